/** The tables: one per workload, best target first. */
import Table from 'cli-table3';
import pc from 'picocolors';
import * as format from './format.js';
import type { Shape } from './load-result.js';
import type { Spread } from './statistics.js';
import { BASELINE, LINE, type Row } from './summary.js';
import { parametersOf, type Workload } from './workloads.js';

interface Column {
  head: string;
  text(row: Row): string;
}

function ratioText(ratio: Spread | undefined): string {
  if (!ratio) return '-';
  const range = ratio.count > 1 ? ` (${ratio.least.toFixed(2)}-${ratio.most.toFixed(2)})` : '';
  return `${ratio.median.toFixed(2)}${range}`;
}

const value = (head: string, name: string, show: (value: number | undefined) => string): Column => ({
  head,
  text: (row) => show(row.values[name]),
});
const ofLine: Column = { head: `of ${LINE}`, text: (row) => format.percent(row.ofLine?.median) };
const ofBaseline: Column = { head: `x ${BASELINE} (range)`, text: (row) => ratioText(row.ofBaseline) };
const seconds = (time: number | undefined) => format.microseconds(time === undefined ? undefined : time * 1e6);

const columns: Record<Shape, readonly Column[]> = {
  sessions: [
    value('msg/CPU s', 'perCpuSecond', format.count),
    ofLine,
    ofBaseline,
    value('msg/s', 'rate', format.count),
    value('CPU/msg', 'cpuPerMessage', format.microseconds),
    value('p50', 'p50', format.microseconds),
    value('p99', 'p99', format.microseconds),
    value('memory', 'memory', format.bytes),
    value('start-up', 'startup', seconds),
  ],
  arrivals: [
    value('conn/CPU s', 'perCpuSecond', format.count),
    ofLine,
    ofBaseline,
    value('conn/s', 'rate', format.count),
    value('CPU/conn', 'cpuPerMessage', format.microseconds),
    value('p50', 'p50', format.microseconds),
    value('p99', 'p99', format.microseconds),
    value('slowest', 'max', format.microseconds),
    value('memory', 'memory', format.bytes),
  ],
  idle: [
    value('per connection', 'bytesPerConnection', format.bytes),
    ofBaseline,
    value('memory', 'memory', format.bytes),
    value('opened in', 'startup', seconds),
  ],
};

/** Flags that say that something is wrong, not only that a figure means less. */
const bad = /^(did-not-stop|left-children|E[A-Z0-9]+)/;

function flagsText(row: Row): string {
  return row.flags.map((flag) => (bad.test(flag) ? pc.red(flag) : pc.yellow(flag))).join(', ');
}

/** A heading and the table, ready to be printed. */
export function renderWorkload(workload: Workload, rows: readonly Row[]): string {
  const shown = columns[workload.shape];
  const flagged = rows.some((row) => row.flags.length > 0);
  const table = new Table({
    head: ['target', ...shown.map((column) => column.head), ...(flagged ? ['flags'] : [])],
    colAligns: ['left', ...shown.map(() => 'right' as const), 'left'],
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) {
    const flags = flagged ? [flagsText(row)] : [];
    if (row.reason !== undefined) {
      const text = row.reason.length > 110 ? `${row.reason.slice(0, 109)}…` : row.reason;
      table.push([row.target, { colSpan: shown.length, hAlign: 'left', content: pc.dim(text) }, ...flags]);
    } else {
      table.push([
        row.target.startsWith(BASELINE) || row.target === LINE ? row.target : pc.bold(row.target),
        ...shown.map((column) => column.text(row)),
        ...flags,
      ]);
    }
  }
  const rounds = Math.max(0, ...rows.map((row) => row.rounds));
  const parameters = `${parametersOf(workload)}, ${rounds} round${rounds === 1 ? '' : 's'}`;
  return `\n${pc.bold(workload.name)}  ${workload.title}\n${pc.dim(parameters)}\n${table.toString()}`;
}
