/**
 * One round of a workload. Every target gets a fresh server; the servers stay alive together, and the load goes from one to the next in
 * short slices, pass after pass, each pass in a new random order:
 *
 *   start and warm up   A B C D
 *   pass 1              C A D B
 *   pass 2              B D A C     ...
 *   stop                A B C D
 *
 * Only one server is under load at a time, and the others rest. The slices of a pass lie within seconds, so that a machine whose
 * speed changes disturbs them alike, and their ratios little. Idle connections beside the load (crowd.ts) are opened when a server starts, and
 * stay open until its end. What cannot be sliced is measured in one go, in the middle of a random pass.
 */

import { mergeResults } from '../load/merge.js';
import { figuresOf, type LoadProgress, type LoadResult } from '../load/result.js';
import type { WarmUp } from '../plan/workloads.js';
import { shuffled } from '../results/statistics.js';
import { Crowd } from './crowd.js';
import { Server } from './server.js';
import { concluded, type Loaded, loadServer, type Measurement, measure, type Setup, type Slice } from './session.js';

/** A slice's own warm-up, in seconds: its connections are new, the server's code is warm. */
export const SLICE_WARMUP = 0.05;

/** Less than this the load clients do not measure. */
const SHORTEST_SECONDS = 0.01;
/** A part of a warm-up that has not come to its messages by then ends all the same. */
const LONGEST_WARMUP_SECONDS = 3;

export interface Contestant<T> {
  target: T;
  setup: Setup;
  /** `false`: measured in one go, by a server of its own that lives no longer. */
  sliced: boolean;
  /** Goes on until so many messages were answered: on a busy machine its seconds alone leave code cold. */
  warmUp: WarmUp;
}

export interface RoundOptions {
  passes: number;
  random: () => number;
  signal: AbortSignal;
}

export interface RoundListener<T> {
  onProgress(target: T, doing: string, progress: LoadProgress): void;
  /** A server has started and is warm, a slice is over, or a target that is measured in one go. */
  onStep(target: T, step: 'start' | 'slice' | 'whole'): void;
}

/** A server that lives as long as the round, and what was measured of it so far. */
class Live<T> {
  readonly target: T;
  readonly #setup: Setup;
  readonly #warmUp: WarmUp;
  readonly #server: Server;
  readonly #results: LoadResult[] = [];
  readonly #slices: Slice[] = [];
  #crowd: Crowd | undefined;
  #failure: Loaded | undefined;
  #startupSeconds: number | undefined;

  constructor({ target, setup, warmUp }: Contestant<T>, server: Server) {
    this.target = target;
    this.#setup = setup;
    this.#warmUp = warmUp;
    this.#server = server;
  }

  get failed(): boolean {
    return this.#failure !== undefined;
  }

  async #load(changes: Partial<Setup['load']>, onProgress: (progress: LoadProgress) => void): Promise<Loaded> {
    this.#server.wake();
    const load = { ...this.#setup.load, idle: 0, ...changes };
    const loaded = await loadServer(this.#server, { ...this.#setup, load }, onProgress);
    if (loaded.outcome !== 'ok' || !loaded.load) this.#failure = loaded;
    this.#failure ??= this.#crowd?.failure;
    if (this.#failure) return loaded;
    // To the client they are not its own.
    if (loaded.load && this.#crowd) loaded.load.options.idle = this.#crowd.size;
    await this.#server.rest();
    return loaded;
  }

  /** Opens the idle connections that the setup wants beside the load. */
  async gather(onProgress: (progress: LoadProgress) => void): Promise<void> {
    this.#crowd = await Crowd.open(this.#server, this.#setup, onProgress);
    this.#failure = this.#crowd.failure;
    if (!this.#failure) await this.#server.rest();
  }

  /** The first loads of a fresh server: only how long the first took to be answered is kept. */
  async warmUp(onProgress: (progress: LoadProgress) => void): Promise<void> {
    const { messages, loads } = this.#warmUp;
    const duration = Math.max(this.#setup.load.warmup / loads, SHORTEST_SECONDS);
    const atLeast = Math.max(Math.ceil(messages / loads), this.#setup.load.atLeast);
    const longest = Math.max(duration, LONGEST_WARMUP_SECONDS);
    for (let i = 0; i < loads && !this.failed; i++) {
      const { load } = await this.#load({ warmup: 0, duration, atLeast, longest }, onProgress);
      this.#startupSeconds ??= load?.startupSeconds;
    }
  }

  /** One of `passes` equal parts of the measured time. */
  async slice(pass: number, passes: number, position: number, onProgress: (progress: LoadProgress) => void) {
    const { duration, longest } = this.#setup.load;
    const slice = { warmup: SLICE_WARMUP, duration: duration / passes, longest: Math.max(duration / passes, longest) };
    const { load } = await this.#load(slice, onProgress);
    if (this.failed || !load) return;
    this.#results.push(load);
    this.#slices.push({ pass, position, figures: figuresOf(load) });
  }

  async end(): Promise<Measurement> {
    this.#server.wake();
    await this.#crowd?.end();
    this.#failure ??= this.#crowd?.failure;
    const rest = await concluded(this.#server);
    if (this.#failure) return { ...rest, ...this.#failure };
    const load = mergeResults(this.#results);
    load.startupSeconds = this.#startupSeconds ?? load.startupSeconds;
    return { ...rest, outcome: 'ok', load, slices: this.#slices };
  }
}

/** Measures each contestant once. Returns nothing of those that an abort has kept from their end. */
export async function runRound<T>(
  contestants: readonly Contestant<T>[],
  { passes, random, signal }: RoundOptions,
  listener: RoundListener<T>,
): Promise<Map<T, Measurement>> {
  const done = new Map<T, Measurement>();
  const live: Live<T>[] = [];
  for (const contestant of shuffled(contestants, random)) {
    if (!contestant.sliced) continue;
    const { target, setup } = contestant;
    const server = await Server.start(setup.server, setup.placement);
    if (signal.aborted) return done;
    if (!(server instanceof Server)) {
      done.set(target, server);
      continue;
    }
    const started = new Live(contestant, server);
    live.push(started);
    if (setup.load.idle > 0) await started.gather((progress) => listener.onProgress(target, 'idle ones', progress));
    if (setup.load.warmup > 0 && !started.failed)
      await started.warmUp((progress) => listener.onProgress(target, 'warm-up', progress));
    listener.onStep(target, 'start');
  }
  const whole = contestants.filter(({ sliced }) => !sliced).map((each) => ({ ...each, pass: drawn(passes, random) }));
  for (let pass = 1; pass <= passes; pass++) {
    const alone = whole.filter((each) => each.pass === pass);
    let position = 0;
    for (const each of shuffled([...live, ...alone], random)) {
      if (signal.aborted) return done;
      position++;
      const { target } = each;
      if (!(each instanceof Live)) {
        const onProgress = (progress: LoadProgress) => listener.onProgress(target, 'whole', progress);
        done.set(target, await measure(each.setup, onProgress));
      } else if (!each.failed) {
        await each.slice(pass, passes, position, (progress) =>
          listener.onProgress(target, `slice ${pass}/${passes}`, progress),
        );
      }
      listener.onStep(target, each instanceof Live ? 'slice' : 'whole');
    }
  }
  const ends = await Promise.all(live.map(async (each) => [each.target, await each.end()] as const));
  if (signal.aborted) return done;
  for (const [target, measurement] of ends) done.set(target, measurement);
  return done;
}

function drawn(most: number, random: () => number): number {
  return 1 + Math.floor(random() * most);
}
