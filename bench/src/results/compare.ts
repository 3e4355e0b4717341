/** `--compare`: two runs by the ratios to a baseline of each workload. Absolute figures of two runs are never set against each other. */
import Table from 'cli-table3';
import pc from 'picocolors';
import { UsageError } from '../plan/nearest.js';
import type { Workload } from '../plan/workloads.js';
import * as format from './format.js';
import { headline } from './metrics.js';
import type { ResultsFile } from './results.js';
import type { Spread } from './statistics.js';
import { ratio } from './summary.js';

export interface Change {
  workload: string;
  target: string;
  baseline: string;
  before: Spread;
  after: Spread;
  /** New median over old. */
  factor: number;
  /** The quartiles of the two, of at least five pairs each, do not even touch. */
  apart: boolean;
}

/** Throws a {@link UsageError} where the two must not be compared at all. */
export function requireComparable(client: ResultsFile['client'], old: ResultsFile, file: string): void {
  if (old.client !== client) {
    throw new UsageError(
      `${file} was measured with the ${old.client === 'c' ? 'C' : 'TypeScript'} load client, this run uses the other one: their results are never mixed (--client ${old.client})`,
    );
  }
}

function sameParameters(a: Workload, b: Workload): boolean {
  return (
    a.connections === b.connections &&
    a.idle === b.idle &&
    a.size === b.size &&
    a.pipeline === b.pipeline &&
    a.frame === b.frame &&
    a.intervalMs === b.intervalMs &&
    a.shape === b.shape
  );
}

function areApart(a: Spread['quartiles'], b: Spread['quartiles']): boolean {
  return a[1] < b[0] || b[1] < a[0];
}

export interface Comparison {
  changes: Change[];
  /** Why something could not be compared. */
  notes: string[];
}

export function compareRuns(old: ResultsFile, current: ResultsFile): Comparison {
  const changes: Change[] = [];
  const notes: string[] = [];
  if (old.placement.kind !== current.placement.kind)
    notes.push(`placement differs: ${old.placement.kind} then, ${current.placement.kind} now`);
  if (old.environment.node !== current.environment.node)
    notes.push(`Node.js ${old.environment.node} then, ${current.environment.node} now: the baseline itself differs`);
  if (old.schema !== current.schema)
    notes.push('measured without slices then: its ratios are those of whole rounds, which scatter more');
  for (const workload of current.workloads) {
    const before = old.workloads.find((each) => each.name === workload.name);
    if (!before) {
      notes.push(`${workload.name}: not in the old run`);
      continue;
    }
    if (!sameParameters(workload, before)) {
      notes.push(`${workload.name}: run with other parameters then`);
      continue;
    }
    const metric = headline(workload.shape);
    const baseline = workload.baselines.at(-1)!;
    for (const target of new Set(
      current.cells.filter((cell) => cell.workload === workload.name).map((cell) => cell.target),
    )) {
      if (target === baseline) continue;
      const then = ratio(old.cells, workload.name, target, baseline, metric);
      const now = ratio(current.cells, workload.name, target, baseline, metric);
      if (!then || !now) continue;
      changes.push({
        workload: workload.name,
        target,
        baseline,
        before: then,
        after: now,
        factor: now.median / then.median,
        apart: Math.min(then.count, now.count) >= 5 && areApart(then.quartiles, now.quartiles),
      });
    }
  }
  return { changes, notes };
}

export function renderComparison({ changes, notes }: Comparison, file: string): string {
  const table = new Table({
    head: ['workload', 'target', 'against', 'ratio then', 'now', 'change', ''],
    colAligns: ['left', 'left', 'left', 'right', 'right', 'right', 'left'],
    style: { head: [], border: [], compact: true },
  });
  for (const { workload, target, baseline, before, after, factor, apart } of changes) {
    const change = `${factor >= 1 ? '+' : ''}${((factor - 1) * 100).toFixed(1)} %`;
    table.push([
      workload,
      target,
      baseline,
      format.ratio(before),
      format.ratio(after),
      change,
      apart ? 'quartiles apart' : pc.dim('within the quartiles'),
    ]);
  }
  const lines = notes.map((note) => pc.yellow(note));
  return [`\n${pc.bold('compared with')} ${file}`, ...lines, table.toString()].join('\n');
}
