/** From the cells of a workload to the rows of its table: medians, and ratios paired within each pass of slices. */
import type { Figures } from '../load/result.js';
import type { Workload } from '../plan/workloads.js';
import { headline, isTold, type Metric, metrics } from './metrics.js';
import type { Cell } from './results.js';
import { median, pairedRatios, type Spread, spread } from './statistics.js';

/** The client's share of a core above which it may be what limits the rate. */
const CLIENT_BOUND = 0.85;
/** CPU time of neither server nor client, as a share of one core. */
const OTHER_LOAD = 0.1;
const STEAL = 0.02;
/** Share of a core that a server may use while others are under load. */
const AT_REST = 0.01;

export interface Row {
  target: string;
  /** Medians over the slices or the rounds, by metric. */
  values: Partial<Record<string, number>>;
  /** Headline against that of each baseline of the workload in the same pass; 1 is equal. */
  ratios: Partial<Record<string, Spread>>;
  rounds: number;
  /** Of all rounds; 0 where it was measured in one go. */
  slices: number;
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
    // A flood keeps the client as busy as the server, and is not timed.
    if (load.clientShare > CLIENT_BOUND && load.shape !== 'flood') flags.push('client-bound');
    const other =
      load.machine.busySeconds - load.clientCpuSeconds - (load.server?.cpuSeconds ?? Number.POSITIVE_INFINITY);
    if (other / load.elapsedSeconds > OTHER_LOAD) flags.push('busy-machine');
    if (load.machine.stealSeconds / load.elapsedSeconds > STEAL) flags.push('steal');
    if (load.machine.listenOverflows > 0) flags.push('listen-overflows');
    if (load.lostDatagrams) flags.push('lost');
  }
  for (const [name, count] of Object.entries(load?.errors ?? {})) if (count > 0) flags.push(name);
  if (cell.idle && cell.idle.cpuSeconds > AT_REST * cell.idle.seconds) flags.push('not-idle');
  if (cell.stop && !cell.stop.graceful) flags.push('did-not-stop');
  if (cell.stop?.leftBehind) flags.push('left-children');
  return flags;
}

/** What is told by each round that was measured whole: its figures, and those of its slices by the number of their pass. */
function measured(cells: readonly Cell[], workload: string, target: string) {
  return cells.flatMap(({ round, load, slices, ...cell }) => {
    if (cell.workload !== workload || cell.target !== target || cell.outcome !== 'ok' || !load) return [];
    return [{ round, load, slices: slices ?? [] }];
  });
}

function keyed<K>(metric: Metric, figures: readonly (readonly [K, Figures])[]): Map<K, number> {
  const values = new Map<K, number>();
  for (const [key, each] of figures) {
    const value = metric.of(each);
    if (value !== undefined) values.set(key, value);
  }
  return values;
}

/** The metric of each round: over all messages of its slices. */
export function byRound(cells: readonly Cell[], workload: string, target: string, metric: Metric): Map<number, number> {
  return keyed(
    metric,
    measured(cells, workload, target).map(({ round, load }) => [round, load] as const),
  );
}

/** The metric of each slice, by round and pass; empty where the target was measured in one go, or a slice does not tell it. */
export function bySlice(cells: readonly Cell[], workload: string, target: string, metric: Metric): Map<string, number> {
  const slices = measured(cells, workload, target).flatMap(({ round, slices }) =>
    slices.map(({ pass, figures }) => [`${round}.${pass}`, figures] as const),
  );
  return keyed(metric, slices.every(([, figures]) => isTold(metric, figures)) ? slices : []);
}

/** All values of which the metric's absolute figure is the median. */
export function valuesOf(cells: readonly Cell[], workload: string, target: string, metric: Metric): number[] {
  const slices = [...bySlice(cells, workload, target, metric).values()];
  return slices.length > 0 ? slices : [...byRound(cells, workload, target, metric).values()];
}

/**
 * The ratio of two targets by a metric, pass by pass; round by round where one of them was measured in one go, or where their slices do
 * not tell the metric.
 */
export function ratio(
  cells: readonly Cell[],
  workload: string,
  target: string,
  baseline: string,
  metric: Metric,
): Spread | undefined {
  const slices = bySlice(cells, workload, target, metric);
  const baseSlices = bySlice(cells, workload, baseline, metric);
  if (slices.size > 0 && baseSlices.size > 0) return spread(pairedRatios(slices, baseSlices));
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
  const taking = cells.filter((cell) => cell.outcome !== 'skipped');
  const slices = taking.reduce((sum, cell) => sum + (cell.slices?.length ?? 0), 0);
  const row: Row = { target, values: {}, ratios: {}, rounds: taking.length, slices, flags: countFlags(taking) };
  if (failed) {
    const round = failed.round > 1 ? ` in round ${failed.round}` : '';
    row.reason =
      failed.outcome === 'skipped' ? (failed.reason ?? '') : `${failed.outcome}${round}: ${failed.reason ?? ''}`;
    return row;
  }
  for (const metric of metrics) {
    if (!metric.shapes.includes(workload.shape)) continue;
    const values = valuesOf(all, workload.name, target, metric);
    // The slowest client of all rounds, not the median of the slowest.
    const value = metric.name === 'max' && values.length > 0 ? Math.max(...values) : median(values);
    if (value !== undefined) row.values[metric.name] = value;
  }
  for (const baseline of workload.baselines) {
    const against = ratio(all, workload.name, target, baseline, headline(workload.shape));
    if (against) row.ratios[baseline] = against;
  }
  return row;
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
