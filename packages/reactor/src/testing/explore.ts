/** Runs a program under many seeds, and makes of a failure the shortest schedule that shows it. */

import { describe, misuse } from '../errors.js';
import { checkCount } from './arguments.js';
import { SimulatedNetwork, type SimulatedNetworkOptions } from './network.js';
import { type Decision, formatSchedule, parseSchedule } from './schedule.js';
import { shrink } from './shrink.js';

/** A program in a network of its own. It fails by throwing, or by a promise that rejects. */
export type Program = (network: SimulatedNetwork) => unknown;

export interface ExploreOptions extends Omit<SimulatedNetworkOptions, 'seed'> {
  /** How many seeds are tried, from 1 on (100). */
  seeds?: number;
  /** A schedule that an {@link ExplorationError} has given: it is run alone, and nothing is made shorter. */
  replay?: string;
  /** The virtual time that one run may take, in ms (3 600 000). */
  limitMs?: number;
  /** How often the program is run to make a failure's schedule shorter, at most (1000). */
  shrinkRuns?: number;
}

/** A program has failed. `cause` is what it failed with. */
export class ExplorationError extends Error {
  /** What replays the failure: `explore(program, { replay })`, with the same other options. */
  readonly schedule: string;
  /** The seed that has found it; `undefined` of a replay. */
  readonly seed: number | undefined;

  constructor(message: string, schedule: string, seed: number | undefined, cause: unknown) {
    super(message, { cause });
    this.schedule = schedule;
    this.seed = seed;
  }

  override get name(): string {
    return 'ExplorationError';
  }
}

/** What no correct program may fail under. */
const DEFAULT_FAULTS = { splits: true, partialSends: true, spurious: true, wouldBlock: true };
const DEFAULT_LATENCY = [0, 10] as const;

interface Outcome {
  readonly failed: boolean;
  readonly error: unknown;
  readonly decisions: readonly Decision[];
}

/**
 * Runs `program` once for each seed, each time in a new {@link SimulatedNetwork} whose time passes by itself until the
 * program is over (see {@link SimulatedNetwork.run}). By default the faults are those that a correct program survives
 * (`splits`, `partialSends`, `spurious`, `wouldBlock`), and what is sent takes 0 to 10 ms.
 *
 * At the first failure it drops decisions, merges cuts and lessens delays while the program still fails in the same way, by
 * the error's name and code, and rejects with an {@link ExplorationError} whose message has the rest as one string. What
 * is thrown with nobody to catch it (in a handler, in a promise) fails the run, too. Resolves with the number of runs.
 *
 * The program must depend on nothing but its network: no `Date`, no `Math.random`, no timers of Node. It makes its reactors
 * itself; they stop with the network.
 */
export async function explore(program: Program, options: ExploreOptions = {}): Promise<number> {
  if (typeof program !== 'function')
    throw misuse('ERR_REACTOR_ARGUMENT', `explore takes a function of a network, got ${describe(program)}`);
  const { seeds = 100, replay, limitMs, shrinkRuns = 1000, ...rest } = options;
  checkCount(seeds, 'seeds');
  checkCount(shrinkRuns, 'shrinkRuns');
  const network = { faults: DEFAULT_FAULTS, latencyMs: DEFAULT_LATENCY, ...rest };
  const run = (chosen: { seed: number } | { replay: string }): Promise<Outcome> =>
    runOnce(program, { ...network, ...chosen }, limitMs);

  if (replay !== undefined) {
    const { failed, error } = await run({ replay });
    if (failed) throw failure(`the replay failed: ${messageOf(error)}`, replay, undefined, error);
    return 1;
  }
  for (let seed = 1; seed <= seeds; seed += 1) {
    const found = await run({ seed });
    if (!found.failed) continue;
    throw await shortened(seed, found, shrinkRuns, (decisions) => run({ replay: formatSchedule(decisions) }));
  }
  return seeds;
}

async function shortened(
  seed: number,
  found: Outcome,
  mostRuns: number,
  rerun: (decisions: readonly Decision[]) => Promise<Outcome>,
): Promise<ExplorationError> {
  const isSame = (outcome: Outcome) => outcome.failed && signature(outcome.error) === signature(found.error);
  const schedule = formatSchedule(found.decisions);
  if (!isSame(await rerun(found.decisions)))
    return failure(
      `seed ${seed} failed, but not a second time: the program depends on something else than its network. ${messageOf(found.error)}`,
      schedule,
      seed,
      found.error,
    );
  let { error } = found;
  const { left, runs } = await shrink(
    found.decisions,
    async (decisions) => {
      const outcome = await rerun(decisions);
      if (!isSame(outcome)) return null;
      error = outcome.error;
      return outcome.decisions;
    },
    mostRuns,
  );
  const kept = `${left.length} of ${found.decisions.length} decisions are left after ${runs} runs`;
  return failure(`seed ${seed} failed: ${messageOf(error)}\n  ${kept}`, formatSchedule(left), seed, error);
}

function failure(what: string, schedule: string, seed: number | undefined, cause: unknown): ExplorationError {
  return new ExplorationError(`${what}\n  explore(program, { replay: '${schedule}' })`, schedule, seed, cause);
}

async function runOnce(program: Program, options: SimulatedNetworkOptions, limitMs?: number): Promise<Outcome> {
  const network = new SimulatedNetwork(options);
  const uncaught = catchUncaught();
  let failed = false;
  let error: unknown;
  try {
    const over = network.run(() => program(network), limitMs === undefined ? {} : { limitMs });
    await Promise.race([over, uncaught.first]);
    // What its last turn has left to be thrown.
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.race([uncaught.first, Promise.resolve()]);
  } catch (thrown) {
    failed = true;
    error = thrown;
  } finally {
    network.close();
    uncaught.release();
  }
  return { failed, error, decisions: parseSchedule(network.schedule) };
}

/** Rejects with what nobody has caught, instead of the end of the process. Where somebody else does so already, never. */
function catchUncaught(): { first: Promise<never>; release(): void } {
  let reject: (error: unknown) => void = () => {};
  const first = new Promise<never>((_resolve, rejectPromise) => {
    reject = rejectPromise;
  });
  first.catch(() => {});
  if (process.hasUncaughtExceptionCaptureCallback()) return { first, release: () => {} };
  process.setUncaughtExceptionCaptureCallback((error) => reject(error));
  return { first, release: () => process.setUncaughtExceptionCaptureCallback(null) };
}

/** By what two failures are the same: messages hold numbers. */
function signature(error: unknown): string {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
  return `${String(name ?? typeof error)} ${String(code ?? '')}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
