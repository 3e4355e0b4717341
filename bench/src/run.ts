/** Runs the plan: every workload in rounds, every round over all targets in a new random order. */
import type { ClientKind, LoadProgress } from './load-result.js';
import { type BenchOptions, plannedRounds } from './options.js';
import type { Placement } from './placement.js';
import type { Cell } from './results.js';
import { measure } from './session.js';
import { seededRandom, shuffled } from './statistics.js';
import { commandOf, obstacle, type Target, targetNamed } from './targets.js';
import type { Workload } from './workloads.js';

/** What a measurement takes besides warm-up and the clock: starting and ending the server, connecting. Measured; for estimates only. */
const OVERHEAD_SECONDS = 0.35;
const IDLE_OPENING_SECONDS = 0.8;

/** `arrivals`: how long the clock goes on at the most until every client has had its turns: this, or so many times the duration. */
const LONGEST_SECONDS = 5;
const LONGEST_TIMES = 5;

export interface WorkloadPlan {
  workload: Workload;
  rounds: number;
  targets: Target[];
  skipped: { target: Target; reason: string }[];
  /** Expected time of one measurement, in seconds. */
  cellSeconds: number;
}

export function makePlan(options: BenchOptions): WorkloadPlan[] {
  return options.workloads.map((workload) => {
    const all = (options.targets ?? workload.targets).map(targetNamed);
    const skipped = all.flatMap((target) => {
      const reason = obstacle(target, workload);
      return reason === undefined ? [] : [{ target, reason }];
    });
    const { warmup, duration, settle } = options.preset;
    const active = workload.shape === 'idle' ? 2 * settle + IDLE_OPENING_SECONDS : warmup + duration;
    return {
      workload,
      rounds: plannedRounds(workload, options),
      skipped,
      targets: all.filter((target) => obstacle(target, workload) === undefined),
      cellSeconds: active + OVERHEAD_SECONDS,
    };
  });
}

export function expectedSeconds(plan: readonly WorkloadPlan[]): number {
  return plan.reduce((sum, { targets, rounds, cellSeconds }) => sum + targets.length * rounds * cellSeconds, 0);
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
  onCell(label: string, cell: Cell, expected: number): void;
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
  for (const { workload, rounds, targets, skipped, cellSeconds } of plan) {
    for (const { target, reason } of skipped) {
      const cell: Cell = {
        workload: workload.name,
        target: target.name,
        round: 0,
        position: 0,
        outcome: 'skipped',
        reason,
      };
      listener.onCell(`${workload.name}  ${target.name}`, cell, 0);
    }
    // A target that failed once is not tried again: a stall costs five seconds each time, and its row shows the reason.
    const dropped = new Set<Target>();
    for (let round = 1; round <= rounds; round++) {
      let position = 0;
      for (const target of shuffled(targets, random)) {
        if (signal.aborted) return;
        if (dropped.has(target)) {
          listener.onCell(
            '',
            { workload: workload.name, target: target.name, round, position: 0, outcome: 'skipped' },
            cellSeconds,
          );
          continue;
        }
        position++;
        const label = `${workload.name} ${round}/${rounds}  ${target.name.padEnd(15)}`;
        const cell = await measureCell(workload, target, options, tools, (progress) =>
          listener.onProgress(label, progress),
        );
        if (signal.aborted) return;
        if (cell.outcome !== 'ok') dropped.add(target);
        listener.onCell(label, { ...cell, round, position }, cellSeconds);
      }
    }
    listener.onWorkload(workload);
  }
}

async function measureCell(
  workload: Workload,
  target: Target,
  options: BenchOptions,
  tools: Tools,
  onProgress: (progress: LoadProgress) => void,
): Promise<Cell> {
  const named = { workload: workload.name, target: target.name, round: 0, position: 0 };
  if ('c' in target.program && tools.compiled(target.program.c) === undefined)
    return { ...named, outcome: 'unavailable', reason: 'no C compiler here' };
  const measurement = await measure(
    {
      server: commandOf(target, (name) => tools.compiled(name)!),
      client: tools.client,
      clientKind: tools.clientKind,
      placement: tools.placement,
      load: {
        shape: workload.shape,
        connections: workload.connections,
        idle: 0,
        size: workload.size,
        pipeline: workload.pipeline,
        frame: workload.frame,
        warmup: options.preset.warmup,
        duration: options.preset.duration,
        settle: options.preset.settle,
        stall: options.stall,
        atLeast: workload.shape === 'arrivals' ? options.preset.turns * workload.connections : 0,
        longest: Math.max(LONGEST_SECONDS, LONGEST_TIMES * options.preset.duration),
        collect: workload.shape === 'idle',
      },
    },
    onProgress,
  );
  return { ...named, ...measurement };
}
