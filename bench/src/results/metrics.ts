/** The figures that are drawn from one measurement: by name, for the tables, for comparisons and for `--fail-if`. */
import type { Figures, Shape } from '../load/result.js';

export interface Metric {
  name: string;
  title: string;
  better: 'higher' | 'lower';
  shapes: readonly Shape[];
  /** What a figure is the median of, and what ratios are paired by. */
  over: 'slice' | 'round';
  /**
   * Of a percentile: the share of the messages that lie above it, and tell it. Where a slice has enough of them it is one of slices,
   * else of rounds.
   */
  tail?: number;
  /** `undefined` where the measurement does not tell. */
  of(load: Figures): number | undefined;
}

const active: readonly Shape[] = ['sessions', 'arrivals', 'datagrams'];
const timed: readonly Shape[] = [...active, 'flood'];
/** So many messages above a percentile tell it. Fewer, and a time slice that the machine takes away decides about it. */
export const TOLD_BY = 25;

const latency = (name: 'p50' | 'p90' | 'p99' | 'p999' | 'max', title: string, tail?: number): Metric => ({
  name,
  ...(tail === undefined ? {} : { tail }),
  title,
  better: 'lower',
  shapes: timed,
  over: 'round',
  of: (load) => load.latency[name],
});

function cpu(load: Figures): number | undefined {
  const seconds = load.server?.cpuSeconds;
  return seconds !== null && seconds !== undefined && seconds > 0 && load.messages > 0 ? seconds : undefined;
}

export const metrics: readonly Metric[] = [
  {
    name: 'perCpuSecond',
    title: 'messages per server CPU second',
    better: 'higher',
    shapes: active,
    over: 'slice',
    of: (load) => {
      const seconds = cpu(load);
      return seconds === undefined ? undefined : load.messages / seconds;
    },
  },
  {
    name: 'rate',
    title: 'messages a second',
    better: 'higher',
    shapes: active,
    over: 'slice',
    of: (load) => load.messages / load.elapsedSeconds,
  },
  latency('p50', 'median time to a reply, us', 0.5),
  latency('p90', '90th percentile, us', 0.1),
  latency('p99', '99th percentile, us', 0.01),
  latency('p999', '99.9th percentile, us', 0.001),
  latency('max', 'slowest reply, us'),
  {
    name: 'cpuPerMessage',
    title: 'server CPU us per message',
    better: 'lower',
    shapes: active,
    over: 'slice',
    of: (load) => {
      const seconds = cpu(load);
      return seconds === undefined ? undefined : (seconds * 1e6) / load.messages;
    },
  },
  {
    name: 'floodRate',
    title: 'bytes a second that came back to the connection that floods',
    better: 'higher',
    shapes: ['flood'],
    over: 'slice',
    of: (load) => (load.floodBytes === undefined ? undefined : load.floodBytes / load.elapsedSeconds),
  },
  {
    name: 'lost',
    title: 'datagrams that were not answered in time, of a round',
    better: 'lower',
    shapes: ['datagrams'],
    over: 'round',
    of: (load) => load.lostDatagrams,
  },
  {
    name: 'bytesPerConnection',
    title: 'bytes of PSS per connection',
    better: 'lower',
    shapes: ['idle'],
    over: 'round',
    of: (load) =>
      load.server ? (load.server.pssBytes - load.server.pssBytesBefore) / load.options.connections : undefined,
  },
  {
    name: 'memory',
    title: 'PSS of the server, bytes',
    better: 'lower',
    shapes: ['sessions', 'arrivals', 'idle', 'flood', 'datagrams'],
    over: 'round',
    of: (load) => load.server?.pssBytes || undefined,
  },
  {
    name: 'startup',
    title: 'seconds until all connections are open and answered',
    better: 'lower',
    shapes: ['sessions', 'idle', 'flood'],
    over: 'round',
    of: (load) => load.startupSeconds,
  },
];

/** Whether the metric of a slice means something by itself. */
export function isTold({ over, tail }: Metric, slice: Figures): boolean {
  return over === 'slice' || (tail !== undefined && slice.latency.count * tail >= TOLD_BY);
}

export function metricNamed(name: string): Metric {
  const found = metrics.find((metric) => metric.name === name);
  if (!found) throw new TypeError(`no metric '${name}'`);
  return found;
}

const headlines: Record<Shape, string> = {
  sessions: 'perCpuSecond',
  arrivals: 'perCpuSecond',
  idle: 'bytesPerConnection',
  flood: 'p99',
  datagrams: 'perCpuSecond',
  hold: 'startup',
};

/** The metric by which the targets of a workload are ranked and compared. */
export function headline(shape: Shape): Metric {
  return metricNamed(headlines[shape]);
}
