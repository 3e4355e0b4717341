/** The tables: one per workload, best target first. */
import Table from 'cli-table3';
import pc from 'picocolors';
import { isOurs } from '../plan/targets.js';
import { parametersOf, type Workload } from '../plan/workloads.js';
import * as format from './format.js';
import type { Row } from './summary.js';

interface Column {
  head: string;
  text(row: Row): string;
}

const value = (head: string, name: string, show: (value: number | undefined) => string): Column => ({
  head,
  text: (row) => show(row.values[name]),
});
const against = (baseline: string): Column => ({
  head: `x ${baseline} (quartiles)`,
  text: (row) => format.ratio(row.ratios[baseline]),
});
const seconds = (time: number | undefined) => format.microseconds(time === undefined ? undefined : time * 1e6);

/** The headline, behind which the ratios of it stand, and the rest. */
const columns: Record<Workload['shape'], readonly [Column, ...Column[]]> = {
  sessions: [
    value('msg/CPU s', 'perCpuSecond', format.count),
    value('msg/s', 'rate', format.count),
    value('CPU/msg', 'cpuPerMessage', format.microseconds),
    value('p50', 'p50', format.microseconds),
    value('p99', 'p99', format.microseconds),
    value('memory', 'memory', format.bytes),
    value('start-up', 'startup', seconds),
  ],
  arrivals: [
    value('conn/CPU s', 'perCpuSecond', format.count),
    value('conn/s', 'rate', format.count),
    value('CPU/conn', 'cpuPerMessage', format.microseconds),
    value('p50', 'p50', format.microseconds),
    value('p99', 'p99', format.microseconds),
    value('slowest', 'max', format.microseconds),
    value('memory', 'memory', format.bytes),
  ],
  datagrams: [
    value('msg/CPU s', 'perCpuSecond', format.count),
    value('msg/s', 'rate', format.count),
    value('CPU/msg', 'cpuPerMessage', format.microseconds),
    value('p50', 'p50', format.microseconds),
    value('p99', 'p99', format.microseconds),
    value('lost', 'lost', (count) => (count === undefined ? '-' : String(count))),
    value('memory', 'memory', format.bytes),
  ],
  idle: [
    value('per connection', 'bytesPerConnection', format.bytes),
    value('memory', 'memory', format.bytes),
    value('opened in', 'startup', seconds),
  ],
  flood: [
    value('p99', 'p99', format.microseconds),
    value('p50', 'p50', format.microseconds),
    value('p999', 'p999', format.microseconds),
    value('slowest', 'max', format.microseconds),
    value('flood', 'floodRate', (rate) => (rate === undefined ? format.bytes(rate) : `${format.bytes(rate)}/s`)),
    value('memory', 'memory', format.bytes),
  ],
};

/** Flags that say that something is wrong, not only that a figure means less. */
const bad = /^(did-not-stop|left-children|not-idle|E[A-Z0-9]+)/;

function flagsText(row: Row): string {
  return row.flags.map((flag) => (bad.test(flag) ? pc.red(flag) : pc.yellow(flag))).join(', ');
}

/** A heading and the table, ready to be printed. */
export function renderWorkload(workload: Workload, rows: readonly Row[]): string {
  const [head, ...rest] = columns[workload.shape];
  const shown = [head, ...workload.baselines.map(against), ...rest];
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
        isOurs(row.target) ? pc.bold(row.target) : row.target,
        ...shown.map((column) => column.text(row)),
        ...flags,
      ]);
    }
  }
  const rounds = Math.max(0, ...rows.map((row) => row.rounds));
  const slices = Math.max(0, ...rows.map((row) => row.slices));
  const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;
  const parameters = [
    parametersOf(workload),
    counted(rounds, 'round'),
    ...(slices > 0 ? [counted(slices, 'slice')] : []),
  ].join(', ');
  return `\n${pc.bold(workload.name)}  ${workload.title}\n${pc.dim(parameters)}\n${table.toString()}`;
}
