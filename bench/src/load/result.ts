/** What both load clients (load/load.c and src/load/client.ts) take and print; `client` tells which one, and the two are never mixed. */

export type Shape = 'sessions' | 'arrivals' | 'idle' | 'flood' | 'datagrams' | 'hold';
export type ClientKind = 'c' | 'ts';

export interface LoadOptions {
  shape: Shape;
  host: string;
  port: number;
  /** In `datagrams`, how many of them are in flight. */
  connections: number;
  /** Connections opened beside the active ones and never used. */
  idle: number;
  /** Payload bytes of a message. */
  size: number;
  /** Messages sent in one batch. */
  pipeline: number;
  /** `u32`: each payload follows its length as four bytes, big-endian. */
  frame: 'u32' | null;
  /** `flood`: seconds from one message of a quiet connection to its next. */
  interval: number;
  /** Seconds before the clock. */
  warmup: number;
  /** Seconds measured. */
  duration: number;
  /** Messages until which the clock goes on, */
  atLeast: number;
  /** up to so many seconds. */
  longest: number;
  /** `idle`: seconds of rest before memory is read. */
  settle: number;
  /** Seconds without a reply after which the target counts as stalled. */
  stall: number;
  /** `datagrams`: seconds without a reply after which one counts as lost (0.2). */
  lostAfter?: number;
  serverPids: readonly number[];
  /** `idle`: SIGUSR2 asks the server to collect its garbage before memory is read. */
  collect: boolean;
}

export type Outcome = 'ok' | 'failed' | 'corrupt' | 'stalled' | 'interrupted';

export interface LoadResult {
  /** 1 until `flood` came and the rates within a run went. */
  schema: 1 | 2;
  client: ClientKind;
  shape: Shape;
  outcome: Outcome;
  reason?: string;
  options: Pick<LoadOptions, 'connections' | 'idle' | 'size' | 'pipeline' | 'frame' | 'warmup' | 'duration'>;
  /** `sessions`, `flood`: all connections opened and answered once; `arrivals`, `datagrams`: the first one; `idle`: all opened. */
  startupSeconds: number;
  elapsedSeconds: number;
  /** Answered while the clock ran; in `arrivals` one a connection, in `flood` those of the quiet connections. */
  messages: number;
  /** `flood`: what came back to the connection that floods, meanwhile. */
  floodBytes?: number;
  /** `datagrams`: not answered within `lostAfter`, meanwhile. */
  lostDatagrams?: number;
  /** Bytes of one message on the wire, one way. */
  messageBytes: number;
  /** How often, by errno name; `EOF`: the server closed before its reply. */
  errors: Record<string, number>;
  latency: {
    unit: 'us';
    count: number;
    mean: number;
    p50: number;
    p90: number;
    p99: number;
    p999: number;
    /** Never less than `oldestPending`. */
    max: number;
    /** How long the oldest unanswered batch had waited when the clock stopped. */
    oldestPending: number;
    /** [smallest value of the bucket in ns, count], empty buckets left out. */
    histogramNs: [number, number][];
  };
  perConnection?: { least: number; most: number };
  clientCpuSeconds: number;
  /** CPU time of the client as a share of one core. */
  clientShare: number;
  /** `null`: no process given. `cpuSeconds` is `null` where the system does not tell. */
  server: {
    cpuSeconds: number | null;
    pssBytes: number;
    pssBytesBefore: number;
    processes: number;
    threads: number;
  } | null;
  /** Of the whole machine during the measured time; in `ticks` of 10 ms. */
  machine: { busySeconds: number; stealSeconds: number; listenOverflows: number; retransmits: number };
}

/** What metrics are drawn from: the result of a slice, without what only its sum with others is needed for. */
export type Figures = Pick<
  LoadResult,
  | 'options'
  | 'startupSeconds'
  | 'elapsedSeconds'
  | 'messages'
  | 'floodBytes'
  | 'lostDatagrams'
  | 'clientShare'
  | 'server'
  | 'machine'
> & { latency: Omit<LoadResult['latency'], 'histogramNs'> };

export function figuresOf(load: LoadResult): Figures {
  const { options, startupSeconds, elapsedSeconds, messages, clientShare, server, machine } = load;
  const { floodBytes, lostDatagrams } = load;
  const { histogramNs: _, ...latency } = load.latency;
  return {
    ...{ options, startupSeconds, elapsedSeconds, messages, clientShare, server, machine, latency },
    ...(floodBytes === undefined ? {} : { floodBytes }),
    ...(lostDatagrams === undefined ? {} : { lostDatagrams }),
  };
}

/** A line on the client's standard error. */
export interface LoadProgress {
  seconds: number;
  phase: 'open' | 'warmup' | 'measure' | 'done';
  connections: number;
  messages: number;
}

/** The arguments that either client takes. */
export function loadArguments(options: LoadOptions): string[] {
  return [
    options.shape,
    ...['--host', options.host],
    ...['--port', String(options.port)],
    ...['--connections', String(options.connections)],
    ...['--idle', String(options.idle)],
    ...['--size', String(options.size)],
    ...['--pipeline', String(options.pipeline)],
    ...(options.frame ? ['--frame', options.frame] : []),
    ...(options.shape === 'flood' ? ['--interval', String(options.interval)] : []),
    ...(options.lostAfter === undefined ? [] : ['--lost-after', String(options.lostAfter)]),
    ...['--warmup', String(options.warmup)],
    ...['--duration', String(options.duration)],
    ...['--at-least', String(options.atLeast)],
    ...['--longest', String(options.longest)],
    ...['--settle', String(options.settle)],
    ...['--stall', String(options.stall)],
    ...options.serverPids.flatMap((pid) => ['--server-pid', String(pid)]),
    ...(options.collect ? ['--collect'] : []),
  ];
}
