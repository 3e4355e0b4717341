/**
 * One round of a workload. Every target gets a fresh server; the servers stay alive together, and the load goes from one to the next in
 * short slices, pass after pass, each pass in a new random order:
 *
 *   start and warm up   A B C D
 *   pass 1              C A D B
 *   pass 2              B D A C     ...
 *   stop                A B C D
 *
 * Only one server is under load at a time, and the others rest. The slices of a pass lie within a second or two, so that a machine whose
 * speed changes disturbs them alike, and their ratios little. What cannot be sliced is measured in one go, in the middle of a random pass.
 */
import { figuresOf, type LoadProgress, type LoadResult } from './load-result.js';
import { mergeResults } from './merge.js';
import { Server } from './server.js';
import { concluded, type Loaded, loadServer, type Measurement, measure, type Setup, type Slice } from './session.js';
import { shuffled } from './statistics.js';

/** A slice's own warm-up, in seconds: its connections are new, the server's code is warm. */
export const SLICE_WARMUP = 0.05;

export interface Contestant<T> {
  target: T;
  setup: Setup;
  /** `false`: measured in one go, by a server of its own that lives no longer. */
  sliced: boolean;
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
  readonly #server: Server;
  readonly #results: LoadResult[] = [];
  readonly #slices: Slice[] = [];
  #failure: Loaded | undefined;
  #startupSeconds: number | undefined;

  constructor({ target, setup }: Contestant<T>, server: Server) {
    this.target = target;
    this.#setup = setup;
    this.#server = server;
  }

  get failed(): boolean {
    return this.#failure !== undefined;
  }

  async #load(warmup: number, duration: number, onProgress: (progress: LoadProgress) => void): Promise<Loaded> {
    this.#server.wake();
    const load = { ...this.#setup.load, warmup, duration, longest: Math.max(duration, this.#setup.load.longest) };
    const loaded = await loadServer(this.#server, { ...this.#setup, load }, onProgress);
    if (loaded.outcome !== 'ok' || !loaded.load) this.#failure = loaded;
    else await this.#server.rest();
    return loaded;
  }

  /** The first load of a fresh server: only how long it took to be answered is kept. */
  async warmUp(onProgress: (progress: LoadProgress) => void): Promise<void> {
    const { load } = await this.#load(0, this.#setup.load.warmup, onProgress);
    this.#startupSeconds = load?.startupSeconds;
  }

  /** One of `passes` equal parts of the measured time. */
  async slice(pass: number, passes: number, position: number, onProgress: (progress: LoadProgress) => void) {
    const { load } = await this.#load(SLICE_WARMUP, this.#setup.load.duration / passes, onProgress);
    if (this.failed || !load) return;
    this.#results.push(load);
    this.#slices.push({ pass, position, figures: figuresOf(load) });
  }

  async end(): Promise<Measurement> {
    this.#server.wake();
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
    if (setup.load.warmup > 0) await started.warmUp((progress) => listener.onProgress(target, 'warm-up', progress));
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
  for (const each of live) {
    const measurement = await each.end();
    if (signal.aborted) return done;
    done.set(each.target, measurement);
  }
  return done;
}

function drawn(most: number, random: () => number): number {
  return 1 + Math.floor(random() * most);
}
