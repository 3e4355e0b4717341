/** A network in memory, with a clock of its own. */
import type { Backend } from '../backend/backend.js';
import { provideBackend } from '../backend/provided-backend.js';
import { describe, misuse, outOfRange, socketError } from '../errors.js';
import { SimulatedBackend } from './backend.js';
import { ChunkPool } from './chunk-pool.js';
import { Clock } from './clock.js';
import { NetworkConductor } from './conductor.js';
import { Decisions } from './decisions.js';
import { type FaultChances, faultChances, type NetworkFaults } from './faults.js';
import { seedOf, stir } from './random.js';
import { Registry } from './registry.js';
import { formatSchedule, parseSchedule } from './schedule.js';
import type { NetworkCore } from './socket.js';
import { Timeline } from './timeline.js';

export interface SimulatedNetworkOptions {
  /** Whatever chance decides follows from it: an integer or a string (0). */
  seed?: string | number;
  /** What goes wrong (nothing). */
  faults?: NetworkFaults;
  /** How long bytes and datagrams over IP are under way: the least and the most, in ms ([0, 0]: they are there at once). */
  latencyMs?: readonly [least: number, most: number];
  /** What each direction of a connection, and each sender of datagrams, may send (no limit). */
  bytesPerSecond?: number;
  /** A schedule that `network.schedule` or `explore` has given: its decisions are taken again, instead of those of the seed. */
  replay?: string;
}

export interface RunOptions {
  /** The virtual time after which the program is given up, in ms (3 600 000). */
  limitMs?: number;
}

const DEFAULT_LIMIT_MS = 3_600_000;
/** Of a latency between the least and the most, the steps. */
const LATENCY_STEPS = 255;
/** What reactors have descriptors of, as a subject of decisions. */
const DESCRIPTORS = 1;

class Core implements NetworkCore {
  readonly timeline = new Timeline();
  readonly registry = new Registry();
  readonly pool = new ChunkPool();
  readonly clock = new Clock();
  readonly conductor = new NetworkConductor(this.clock, this.timeline);
  readonly decisions: Decisions;
  readonly chances: FaultChances;
  readonly bytesPerSecond: number;
  trace = 0;
  readonly #latencyMs: readonly [number, number];
  readonly #numbers = { socket: 0, link: 0 };
  #descriptors = 0;

  constructor(
    decisions: Decisions,
    chances: FaultChances,
    latencyMs: readonly [number, number],
    bytesPerSecond: number,
  ) {
    this.decisions = decisions;
    this.chances = chances;
    this.bytesPerSecond = bytesPerSecond;
    this.#latencyMs = latencyMs;
  }

  now(): number {
    return this.clock.now();
  }

  number(kind: 'socket' | 'link'): number {
    this.#numbers[kind] += 1;
    return this.#numbers[kind];
  }

  latency(subject: number, at: number): number {
    const [least, most] = this.#latencyMs;
    if (least === most) return least;
    return least + ((most - least) * this.decisions.choose('delay', subject, at, LATENCY_STEPS)) / LATENCY_STEPS;
  }

  takeDescriptor(syscall: string): void {
    this.#descriptors += 1;
    if (this.decisions.refuses('full', DESCRIPTORS, this.#descriptors, this.chances.emfile))
      throw socketError('EMFILE', syscall);
  }

  note(what: string, subject: number, value: number): void {
    this.conductor.moved();
    let hash = this.trace ^ what.length ^ (what.charCodeAt(0) << 8) ^ (what.charCodeAt(what.length - 1) << 16);
    hash = stir(hash ^ Math.imul(subject + 1, 0x9e3779b1));
    hash = stir(hash ^ Math.imul(value + 1, 0x85ebca6b));
    this.trace = stir(hash ^ (this.clock.now() * 1024));
  }
}

/**
 * A network of sockets in memory, for deterministic tests. `new Reactor({ backend: network.backend() })` is a reactor whose
 * sockets live in it: any number of reactors may. It is one host, to which every unicast address belongs; what is bound in
 * one reactor is reached from all of them. Nothing of it touches the system: no descriptor, no file, no port.
 *
 * The clock stands still until {@link advance}, {@link runUntilIdle} or {@link run} move it on. The reactors' timers,
 * timeouts and `now` are virtual; Node's own timers and `Date` are not. Turns start one at a time, each after all promises
 * that the one before has settled.
 *
 * With the same seed the same program has the same {@link trace}, to the bit. A reactor here does not keep the process
 * alive, and does not need to: who waits for it waits for one of the three, which do.
 */
export class SimulatedNetwork {
  readonly #core: Core;

  /** Throws `ERR_REACTOR_ARGUMENT`. */
  constructor(options: SimulatedNetworkOptions = {}) {
    if (typeof options !== 'object' || options === null)
      throw misuse('ERR_REACTOR_ARGUMENT', `the options are an object, got ${describe(options)}`);
    const { seed = 0, faults, latencyMs = [0, 0], bytesPerSecond = Number.POSITIVE_INFINITY, replay } = options;
    if (typeof seed !== 'string' && !Number.isSafeInteger(seed))
      throw misuse('ERR_REACTOR_ARGUMENT', `seed must be an integer or a string, got ${describe(seed)}`);
    checkLatency(latencyMs);
    if (typeof bytesPerSecond !== 'number' || !(bytesPerSecond > 0))
      throw outOfRange('ERR_REACTOR_ARGUMENT', `bytesPerSecond must be above 0, got ${describe(bytesPerSecond)}`);
    const decisions = new Decisions(seedOf(seed), replay === undefined ? null : parseSchedule(replay));
    this.#core = new Core(decisions, faultChances(faults), [...latencyMs], bytesPerSecond);
  }

  /** A backend for one reactor. */
  backend(): Backend {
    const { conductor } = this.#core;
    const backend = new SimulatedBackend(this.#core, conductor);
    conductor.add(backend.driver);
    return backend;
  }

  /**
   * Has every reactor that is made without a choice of its backend live in this network, whatever FDSET_BACKEND says, until the
   * result is disposed of: programs and servers that make their reactors themselves run here unchanged. Most of them know
   * nothing of the virtual clock, and want {@link follow} as well.
   */
  provide(): Disposable {
    return provideBackend(() => this.backend());
  }

  /** The virtual time, in ms: 0 when the network was made. */
  now(): number {
    return this.#core.now();
  }

  /** Lets `ms` pass, with all that is due in them: packets, turns, timers. */
  advance(ms: number): Promise<void> {
    if (typeof ms !== 'number' || !(ms >= 0 && ms <= Number.MAX_SAFE_INTEGER))
      return Promise.reject(
        outOfRange('ERR_REACTOR_ARGUMENT', `advance takes a number of ms of at least 0, got ${describe(ms)}`),
      );
    return this.#core.conductor.reachTime(this.now() + ms);
  }

  /**
   * Lets happen what is under way: until nothing is ready or posted and nothing is in the network. Time passes as far as
   * that needs. Timers that are due meanwhile fire; those to come are not waited for, and neither is what only a timeout or
   * a retry would bring about.
   */
  runUntilIdle(): Promise<void> {
    return this.#core.conductor.reachIdle();
  }

  /**
   * Calls `program`, and lets time pass until its promise has settled; settles alike. Rejects with a SimulationError where
   * it waits for what will never come, or is not over after `limitMs`. The program may itself wait for {@link advance} and
   * {@link runUntilIdle}, but not for the real world: files, processes, Node's timers.
   */
  run<T>(program: () => T | Promise<T>, options: RunOptions = {}): Promise<T> {
    const { limitMs = DEFAULT_LIMIT_MS } = options;
    if (typeof limitMs !== 'number' || !(limitMs > 0))
      return Promise.reject(outOfRange('ERR_REACTOR_ARGUMENT', `limitMs must be above 0, got ${describe(limitMs)}`));
    const started = new Promise<T>((resolve) => resolve(program()));
    return this.#core.conductor.reachEnd(started, limitMs);
  }

  /**
   * Has the clock follow the real one until the result is disposed of, and turns start by themselves: programs that know
   * nothing of the network run as on any other backend, and reactors keep the process alive as there. What happens when is
   * then no longer repeatable.
   */
  follow(): Disposable {
    this.#core.conductor.follow();
    return { [Symbol.dispose]: () => this.#core.conductor.unfollow() };
  }

  /** The decisions taken so far, as the string that `replay` takes. */
  get schedule(): string {
    return formatSchedule(this.#core.decisions.made.decisions());
  }

  /** A hash of all that has happened so far, and when. */
  get trace(): string {
    return (this.#core.trace >>> 0).toString(16).padStart(8, '0');
  }

  /** Stops every reactor of it, as if their threads had ended: nothing happens any more. Idempotent. */
  close(): void {
    this.#core.conductor.close();
    this.#core.timeline.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function checkLatency(latency: unknown): void {
  const isPair = Array.isArray(latency) && latency.length === 2 && latency.every((ms) => typeof ms === 'number');
  if (!isPair) throw misuse('ERR_REACTOR_ARGUMENT', `latencyMs must be [least, most], got ${describe(latency)}`);
  const [least, most] = latency as [number, number];
  if (!(least >= 0 && most >= least && most < Number.POSITIVE_INFINITY))
    throw outOfRange(
      'ERR_REACTOR_ARGUMENT',
      `latencyMs must be [least, most] with 0 <= least <= most, got [${least}, ${most}]`,
    );
}
