/** Runs the plan: every workload in rounds, every round over all targets, in slices that take turns (measure/round.ts). */
import type { ClientKind, LoadProgress } from './load/result.js';
import type { Placement } from './measure/placement.js';
import { type Contestant, runRound, SLICE_WARMUP } from './measure/round.js';
import type { Setup } from './measure/session.js';
import { type BenchOptions, plannedDuration, plannedPasses, plannedRounds } from './plan/options.js';
import { commandOf, isSliced, limitsOf, obstacle, type Target, targetNamed } from './plan/targets.js';
import { type Workload, warmUpOf } from './plan/workloads.js';
import type { Cell } from './results/results.js';
import { seededRandom } from './results/statistics.js';

/** What a measurement takes besides warm-up and the clock: starting and ending the server, connecting. Measured; for estimates only. */
const SERVER_SECONDS = 0.3;
/** Starting the load client, connecting, coming to rest. */
const CLIENT_SECONDS = 0.08;
const IDLE_OPENING_SECONDS = 0.8;
/** Of `crowded`: an idle connection is opened, and closed at the end. */
const HELD_SECONDS = 2.5e-4;
/** A connection for which a thread or a process is started. */
const COLD_CONNECTION_SECONDS = 0.08;
/** Messages that the slower servers answer in a second of their warm-up, for each that a connection has in flight. */
const WARM_RATES = { sessions: 60_000, arrivals: 3_500, datagrams: 100_000 } as const;

/** `arrivals`: how long the clock goes on at the most until every client has had its turns: this, or so many times the duration. */
const LONGEST_SECONDS = 5;
const LONGEST_TIMES = 5;

export interface WorkloadPlan {
  workload: Workload;
  rounds: number;
  targets: Target[];
  skipped: { target: Target; reason: string }[];
  /** Slices of a target in a round. */
  passes: number;
  /** Seconds measured of a target in a round: the sum of its slices. */
  duration: number;
}

/** Expected times of a target in a round, in seconds. */
type Expectation = Record<'start' | 'slice' | 'whole', number>;

export function makePlan(options: BenchOptions): WorkloadPlan[] {
  return options.workloads.map((workload) => {
    const all = (options.targets ?? workload.targets).map(targetNamed);
    const skipped = all.flatMap((target) => {
      const reason = obstacle(target, workload);
      return reason === undefined ? [] : [{ target, reason }];
    });
    return {
      workload,
      duration: plannedDuration(workload, options),
      rounds: plannedRounds(workload, options),
      skipped,
      targets: all.filter((target) => obstacle(target, workload) === undefined),
      passes: plannedPasses(workload, options),
    };
  });
}

function expectation(target: Target, { workload, passes, duration }: WorkloadPlan, options: BenchOptions): Expectation {
  const { warmup, settle } = options.preset;
  const { messages, loads } = warmUpOf(workload, options.preset);
  const held = target.crowded ? (workload.idle ?? 0) * HELD_SECONDS : 0;
  const cold = target.coldConnections ? workload.connections * COLD_CONNECTION_SECONDS : 0;
  const start = held + cold + SERVER_SECONDS + loads * CLIENT_SECONDS + Math.max(warmup, messages * warmPace(workload));
  if (workload.shape === 'idle')
    return { start: 0, slice: 0, whole: SERVER_SECONDS + CLIENT_SECONDS + 2 * settle + IDLE_OPENING_SECONDS };
  if (!isSliced(target, workload, passes)) {
    const least = workload.shape === 'arrivals' && target.coldConnections ? options.preset.turns * cold : 0;
    return { start: 0, slice: 0, whole: start + Math.max(duration, least) };
  }
  return { start, slice: CLIENT_SECONDS + SLICE_WARMUP + duration / passes, whole: 0 };
}

/** Seconds from one message of the warm-up to the next. */
function warmPace({ shape, intervalMs = 0, connections, pipeline }: Workload): number {
  if (shape === 'idle') return 0;
  // In a flood the messages of the quiet connections are due at their own pace.
  if (shape === 'flood') return intervalMs / 1000 / connections;
  return 1 / (WARM_RATES[shape] * pipeline);
}

function roundSeconds(target: Target, plan: WorkloadPlan, options: BenchOptions): number {
  const { start, slice, whole } = expectation(target, plan, options);
  return start + plan.passes * slice + whole;
}

export function expectedSeconds(plan: readonly WorkloadPlan[], options: BenchOptions): number {
  return plan.reduce(
    (sum, each) =>
      sum + each.rounds * each.targets.reduce((own, target) => own + roundSeconds(target, each, options), 0),
    0,
  );
}

export interface Tools {
  /** Command of the load client. */
  client: readonly string[];
  clientKind: ClientKind;
  /** Path of a compiled program; `undefined` without a compiler. */
  compiled: (name: string) => string | undefined;
  placement: Placement;
}

export interface Listener {
  onProgress(label: string, progress: LoadProgress): void;
  /** Work is done, or left out, that was expected to take so long. */
  onSpent(seconds: number): void;
  onCell(label: string, cell: Cell): void;
  onWorkload(workload: Workload): void;
}

/** Ends early, with what it has, when `signal` is aborted. */
export async function runPlan(
  plan: readonly WorkloadPlan[],
  options: BenchOptions,
  tools: Tools,
  listener: Listener,
  signal: AbortSignal,
): Promise<void> {
  const random = seededRandom(options.seed);
  for (const each of plan) {
    const { workload, rounds, targets, skipped, passes } = each;
    const tell = (target: Target, round: number, rest: Omit<Cell, 'workload' | 'target' | 'round'>) => {
      const label = `${workload.name}${round > 0 ? ` ${round}/${rounds}` : ''}  ${target.name.padEnd(15)}`;
      listener.onCell(label, { workload: workload.name, target: target.name, round, ...rest });
    };
    for (const { target, reason } of skipped) tell(target, 0, { outcome: 'skipped', reason });
    // A target that failed once is not tried again: a stall costs five seconds each time, and its row shows the reason.
    const left = new Set(targets);
    for (let round = 1; round <= rounds; round++) {
      if (round === 1) {
        for (const target of targets) {
          const reason = missing(target, workload, tools);
          if (reason === undefined) continue;
          left.delete(target);
          tell(target, 1, { outcome: 'unavailable', reason });
        }
      }
      for (const target of targets) if (!left.has(target)) listener.onSpent(roundSeconds(target, each, options));
      const measurements = await runRound(
        [...left].map((target) => contestant(target, each, options, tools)),
        { passes, random, signal },
        {
          onProgress: (target, doing, progress) =>
            listener.onProgress(`${workload.name} ${round}/${rounds}  ${target.name.padEnd(15)} ${doing}`, progress),
          onStep: (target, step) => listener.onSpent(expectation(target, each, options)[step]),
        },
      );
      if (signal.aborted) return;
      for (const [target, measurement] of measurements) {
        if (measurement.outcome !== 'ok') left.delete(target);
        tell(target, round, measurement);
      }
    }
    listener.onWorkload(workload);
  }
}

/** What is not here that the measurement needs, in words, or `undefined`. */
function missing(target: Target, { shape }: Workload, { clientKind, compiled }: Tools): string | undefined {
  if ('c' in target.program && compiled(target.program.c) === undefined) return 'no C compiler here';
  // node:dgram takes one datagram a call: it would measure itself.
  if (shape === 'datagrams' && clientKind === 'ts') return 'the load client in TypeScript has no datagrams';
  return undefined;
}

function contestant(
  target: Target,
  { workload, passes, duration }: WorkloadPlan,
  options: BenchOptions,
  tools: Tools,
): Contestant<Target> {
  const { preset } = options;
  const { shape, connections, size, pipeline, frame, intervalMs = 0 } = workload;
  const idle = target.crowded ? (workload.idle ?? 0) : 0;
  const limits = limitsOf(target, workload);
  const setup: Setup = {
    server: [...limits, ...commandOf(target, (name) => tools.compiled(name)!)],
    client: [...limits, ...tools.client],
    clientKind: tools.clientKind,
    placement: tools.placement,
    load: {
      ...{ shape, connections, idle, size, pipeline, frame, interval: intervalMs / 1000 },
      ...{ warmup: preset.warmup, duration, settle: preset.settle, stall: options.stall },
      // A slice may be shorter than one large message takes.
      atLeast: shape === 'arrivals' ? preset.turns * connections : 1,
      longest: Math.max(LONGEST_SECONDS, LONGEST_TIMES * duration),
      collect: shape === 'idle',
    },
  };
  return { target, setup, sliced: isSliced(target, workload, passes), warmUp: warmUpOf(workload, preset) };
}
