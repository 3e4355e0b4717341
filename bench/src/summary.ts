/** From the cells of a workload to the rows of its table: medians over the rounds, and ratios paired within each round. */
import type { LoadResult } from './load-result.js';
import { headline, type Metric, metrics } from './metrics.js';
import type { Cell } from './results.js';
import { median, pairedRatios, type Spread, spread } from './statistics.js';
import type { Workload } from './workloads.js';

/** The client's share of a core above which it may be what limits the rate. */
const CLIENT_BOUND = 0.85;
/** CPU time of neither server nor client, as a share of one core. */
const OTHER_LOAD = 0.1;
const STEAL = 0.02;

export const BASELINE = 'node-net';
export const LINE = 'c-epoll';

export interface Row {
  target: string;
  /** Medians over the rounds, by metric. */
  values: Partial<Record<string, number>>;
  /** Headline against the C epoll echo of the same round; 1 is equal. */
  ofLine?: Spread;
  /** Headline against node:net of the same round. */
  ofBaseline?: Spread;
  rounds: number;
  /** What restrains the meaning of the figures, each with how many rounds it concerns. */
  flags: string[];
  /** Instead of figures: why there are none. */
  reason?: string;
}

/** What is to be said about one measurement. */
export function flagsOf(cell: Cell): string[] {
  const flags: string[] = [];
  const load = cell.load;
  if (load && load.elapsedSeconds > 0) {
    if (load.clientShare > CLIENT_BOUND) flags.push('client-bound');
    const other =
      load.machine.busySeconds - load.clientCpuSeconds - (load.server?.cpuSeconds ?? Number.POSITIVE_INFINITY);
    if (other / load.elapsedSeconds > OTHER_LOAD) flags.push('busy-machine');
    if (load.machine.stealSeconds / load.elapsedSeconds > STEAL) flags.push('steal');
    if (load.machine.listenOverflows > 0) flags.push('listen-overflows');
  }
  for (const [name, count] of Object.entries(load?.errors ?? {})) if (count > 0) flags.push(name);
  if (cell.stop && !cell.stop.graceful) flags.push('did-not-stop');
  if (cell.stop?.leftBehind) flags.push('left-children');
  return flags;
}

/** The metric of each round that was measured whole. */
export function byRound(cells: readonly Cell[], workload: string, target: string, metric: Metric): Map<number, number> {
  const values = new Map<number, number>();
  for (const cell of cells) {
    if (cell.workload !== workload || cell.target !== target || cell.outcome !== 'ok' || !cell.load) continue;
    const value = metric.of(cell.load);
    if (value !== undefined) values.set(cell.round, value);
  }
  return values;
}

/** The ratio of two targets by a metric, round by round. */
export function ratio(
  cells: readonly Cell[],
  workload: string,
  target: string,
  baseline: string,
  metric: Metric,
): Spread | undefined {
  return spread(pairedRatios(byRound(cells, workload, target, metric), byRound(cells, workload, baseline, metric)));
}

function countFlags(cells: readonly Cell[]): string[] {
  const counts = new Map<string, number>();
  for (const flag of cells.flatMap(flagsOf)) counts.set(flag, (counts.get(flag) ?? 0) + 1);
  return [...counts].map(([flag, count]) => (count === cells.length ? flag : `${flag} ${count}/${cells.length}`));
}

function summarizeTarget(all: readonly Cell[], workload: Workload, target: string): Row {
  const cells = all.filter((cell) => cell.workload === workload.name && cell.target === target);
  const failed = cells.find((cell) => cell.outcome !== 'ok');
  const measured = cells.filter((cell) => cell.outcome !== 'skipped');
  const row: Row = { target, values: {}, rounds: measured.length, flags: countFlags(measured) };
  if (failed) {
    const round = failed.round > 1 ? ` in round ${failed.round}` : '';
    row.reason =
      failed.outcome === 'skipped' ? (failed.reason ?? '') : `${failed.outcome}${round}: ${failed.reason ?? ''}`;
    return row;
  }
  const loads = cells.map((cell) => cell.load).filter((load): load is LoadResult => load !== undefined);
  for (const metric of metrics) {
    if (!metric.shapes.includes(workload.shape)) continue;
    const values = loads.map((load) => metric.of(load)).filter((value) => value !== undefined);
    // The slowest client of all rounds, not the median of the slowest.
    const value = metric.name === 'max' && values.length > 0 ? Math.max(...values) : median(values);
    if (value !== undefined) row.values[metric.name] = value;
  }
  const ofLine = ratio(all, workload.name, target, LINE, headline(workload.shape));
  const ofBaseline = ratio(all, workload.name, target, BASELINE, headline(workload.shape));
  return { ...row, ...(ofLine ? { ofLine } : {}), ...(ofBaseline ? { ofBaseline } : {}) };
}

/** The rows of a workload, best first, those without figures last. */
export function summarize(cells: readonly Cell[], workload: Workload): Row[] {
  const metric = headline(workload.shape);
  const names = [...new Set(cells.filter((cell) => cell.workload === workload.name).map((cell) => cell.target))];
  const rank = (row: Row): number => {
    const value = row.values[metric.name];
    if (value === undefined) return row.reason === undefined ? Number.MAX_VALUE : Number.POSITIVE_INFINITY;
    return metric.better === 'higher' ? -value : value;
  };
  return names
    .map((name) => summarizeTarget(cells, workload, name))
    .sort((a, b) => {
      const [left, right] = [rank(a), rank(b)];
      return left === right ? 0 : left - right;
    });
}
