/** What is measured: the workloads by name, and the presets that say how long and how often. */
import type { Shape } from '../load/result.js';

export interface Workload {
  name: string;
  /** One sentence for `--list` and above the table. */
  title: string;
  shape: Exclude<Shape, 'hold'>;
  connections: number;
  /** Idle connections that are held open beside them, for the targets that are `crowded`. */
  idle?: number;
  size: number;
  pipeline: number;
  frame: 'u32' | null;
  /** `flood`: milliseconds from one message of a quiet connection to its next. */
  intervalMs?: number;
  /** What a server answers, at the least, before anything of it is measured: a JavaScript engine compiles what it has seen often. */
  warmMessages: number;
  /**
   * In how many loads, one after the other (= 2): ends of connections, and new ones behind them, are code too, and the first of them
   * cost a JavaScript server what was compiled without them.
   */
  warmLoads?: number;
  /** The targets of a run without `--targets`. */
  targets: readonly string[];
  /** Whom the headline is set against, a column each. `--compare` goes by the last one. */
  baselines: readonly [string, ...string[]];
  /** Which part of the preset's rounds it gets: the core cells all of them. */
  roundShare: number;
  /** Where there is more than one round, it measures so many times the preset's duration (= 1), */
  durationTimes?: number;
  /** in slices of so many times the preset's (= 1). */
  sliceTimes?: number;
}

const styles = ['iterative', 'thread', 'thread-blocking', 'process', 'style-reactor'] as const;
const raw = ['c-epoll', 'node-net', 'reactor', 'registered', 'emulated'] as const;
/** The 100 % line, and what most Node servers are made of. */
const lines = ['c-epoll', 'node-net'] as const;

export const workloads: readonly Workload[] = [
  {
    name: 'echo',
    title: 'open connections, one message in flight on each',
    shape: 'sessions',
    connections: 50,
    size: 64,
    pipeline: 1,
    frame: null,
    warmMessages: 20_000,
    targets: [...raw, 'select', 'node-net-again'],
    baselines: lines,
    roundShare: 1,
  },
  {
    name: 'pipelined',
    title: 'open connections, many messages in one send, each after its length',
    shape: 'sessions',
    connections: 50,
    size: 64,
    pipeline: 16,
    frame: 'u32',
    warmMessages: 320_000,
    targets: [...raw, 'framed'],
    baselines: lines,
    roundShare: 1,
  },
  {
    name: 'arrivals',
    title: 'connect, one message, its echo, close',
    shape: 'arrivals',
    connections: 10,
    size: 64,
    pipeline: 1,
    frame: null,
    warmMessages: 5_000,
    targets: [...raw, ...styles],
    baselines: lines,
    roundShare: 0.4,
  },
  {
    name: 'styles',
    title: 'open connections in every server style',
    shape: 'sessions',
    connections: 8,
    size: 64,
    pipeline: 1,
    frame: null,
    warmMessages: 20_000,
    targets: ['c-epoll', 'node-net', 'reactor', ...styles],
    baselines: lines,
    roundShare: 0.4,
  },
  {
    name: 'fairness',
    title: 'quiet connections beside one that floods: it writes as fast as the server takes it, and reads its echo',
    shape: 'flood',
    connections: 10,
    size: 64,
    pipeline: 1,
    frame: null,
    intervalMs: 3,
    // A percentile is told by the few messages above it, and what an engine still compiles is among them: servers warm up for long, are
    // few, and live long; a slice has fifty messages above its percentile, and there are enough of them for quartiles.
    warmMessages: 36_000,
    warmLoads: 12,
    targets: ['c-epoll', 'node-net', 'reactor', 'reactor-borrowed'],
    baselines: ['c-epoll'],
    roundShare: 0.4,
    durationTimes: 16,
    sliceTimes: 6,
  },
  {
    name: 'crowded',
    title: 'the load of echo, with and without idle connections beside it',
    shape: 'sessions',
    connections: 50,
    idle: 15_000,
    size: 64,
    pipeline: 1,
    frame: null,
    warmMessages: 20_000,
    targets: [
      'c-epoll',
      'c-epoll-crowded',
      'node-net',
      'node-net-crowded',
      'reactor',
      'reactor-crowded',
      'reactor-timed',
    ],
    baselines: ['reactor-crowded', 'reactor'],
    roundShare: 0.4,
  },
  {
    name: 'datagrams',
    title: 'datagrams over UDP: each reply is followed by a new one at once',
    shape: 'datagrams',
    connections: 64,
    size: 64,
    pipeline: 1,
    frame: null,
    warmMessages: 50_000,
    targets: ['c-udp', 'node-dgram', 'datagram-batch', 'datagram'],
    baselines: ['c-udp', 'node-dgram'],
    roundShare: 0.6,
  },
  {
    name: 'idle',
    title: 'connections that are opened and never used: the memory that each costs in the server',
    shape: 'idle',
    connections: 9000,
    size: 64,
    pipeline: 1,
    frame: null,
    warmMessages: 0,
    targets: [...raw],
    baselines: ['node-net'],
    roundShare: 0.2,
  },
];

export interface Preset {
  rounds: number;
  /** Whether a fresh server answers the workload's `warmMessages` before anything of it is measured. */
  warm: boolean;
  /** Seconds: of load before that at the least, */
  warmup: number;
  /** measured in a round, in all, */
  duration: number;
  /** and of that in one go, before it is another target's turn (about: the duration is cut into equal parts). */
  slice: number;
  settle: number;
  /** `arrivals`: the clock goes on until every client has had so many turns on average. */
  turns: number;
  /** `crowded`: no more idle connections than this. */
  mostIdle: number;
}

export const presets = {
  smoke: { rounds: 1, warm: false, warmup: 0.1, duration: 0.2, slice: 0.1, settle: 0.4, turns: 1, mostIdle: 2000 },
  quick: {
    rounds: 5,
    warm: true,
    warmup: 0.4,
    duration: 0.75,
    slice: 0.25,
    settle: 0.6,
    turns: 2,
    mostIdle: Number.MAX_SAFE_INTEGER,
  },
  full: {
    rounds: 15,
    warm: true,
    warmup: 2,
    duration: 3,
    slice: 0.25,
    settle: 2,
    turns: 5,
    mostIdle: Number.MAX_SAFE_INTEGER,
  },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof presets;

export interface Overrides {
  connections?: number | undefined;
  idle?: number | undefined;
  size?: number | undefined;
  pipeline?: number | undefined;
}

/** The workload with what the command line and the preset change. A pipeline concerns sessions only: an arrival sends one message. */
export function adjusted(workload: Workload, overrides: Overrides, { mostIdle }: Pick<Preset, 'mostIdle'>): Workload {
  return {
    ...workload,
    connections: overrides.connections ?? workload.connections,
    ...(workload.idle === undefined ? {} : { idle: overrides.idle ?? Math.min(workload.idle, mostIdle) }),
    size: overrides.size ?? workload.size,
    pipeline: workload.shape === 'sessions' ? (overrides.pipeline ?? workload.pipeline) : workload.pipeline,
  };
}

const connectionsOf: Record<Workload['shape'], string> = {
  sessions: 'connections',
  arrivals: 'clients at a time',
  idle: 'connections',
  flood: 'quiet connections',
  datagrams: 'in flight',
};

/** The parameters in words. */
export function parametersOf({ shape, connections, idle, size, pipeline, frame, intervalMs }: Workload): string {
  return [
    `${connections} ${connectionsOf[shape]}`,
    ...(idle === undefined ? [] : [`${idle} idle ones beside them where crowded`]),
    ...(shape === 'idle' ? [] : [`${size} bytes${frame ? ` after a ${frame} length` : ''}`]),
    ...(shape === 'sessions' ? [`pipeline ${pipeline}`] : []),
    ...(shape === 'flood' ? [`a message each ${intervalMs} ms`] : []),
  ].join(', ');
}

/** How much of its load a fresh server has before anything of it is measured, besides the preset's seconds. */
export interface WarmUp {
  messages: number;
  loads: number;
}

/** No warm-up sends more than this. */
const WARM_BYTES = 2 ** 28;

export function warmUpOf({ warmMessages, warmLoads = 2, size }: Workload, { warm }: Pick<Preset, 'warm'>): WarmUp {
  // Large messages warm as much with fewer of them.
  return warm
    ? { messages: Math.ceil(Math.min(warmMessages, WARM_BYTES / size)), loads: warmLoads }
    : { messages: 0, loads: 1 };
}

/** One round is one round, for every workload: it decides nothing. */
export function roundsOf(workload: Workload, rounds: number): number {
  return rounds === 1 ? 1 : Math.max(1, Math.round(rounds * workload.roundShare));
}
