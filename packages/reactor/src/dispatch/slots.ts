/**
 * Who is watched: each socket that a registration or a select wants has a slot, an index into one array, and the slot's
 * generation. The next user of a slot has another generation, so what a batch still holds for the one before is stale.
 *
 *   free ──watchOf──▶ watched ──rearm──▶ armed ──park, rearm to nothing──▶ watched ──closing, releaseIfIdle──▶ free
 *
 * `armed` is what the demultiplexer was told last; `wanted`, the OR of the registration's interest and the selects'.
 */
import type { BackendSocket, Demultiplexer } from '../backend/backend.js';
import { misuse, socketError } from '../errors.js';
import { ERROR, HANGUP, WRITABLE } from '../readiness.js';
import { type AnyHandler, GONE, type ReadinessCallback, SocketRegistration, Watch } from '../registration.js';
import type { TimerQueue } from '../timers.js';

/** How often a socket that has hung up is looked at for room to send. */
const PARKED_LOOK_MS = 100;

/** What the table needs of its reactor. */
export interface SlotHost {
  readonly demultiplexer: Demultiplexer;
  readonly timers: TimerQueue;
  readonly counters: { parked: number };
  readonly selects: { closed(watch: Watch): void };
  hold(change: 1 | -1): void;
}

export class SlotTable {
  readonly #host: SlotHost;
  readonly #watches: (Watch | undefined)[] = [];
  readonly #generations: number[] = [];
  readonly #free: number[] = [];
  /** Active registrations. */
  registrationCount = 0;

  constructor(host: SlotHost) {
    this.#host = host;
  }

  register(
    socket: BackendSocket,
    interest: number,
    handler: AnyHandler | ReadinessCallback,
    data: unknown,
    held: boolean,
  ): SocketRegistration {
    if (socket.closed) throw socketError('EBADF', 'register');
    if ((socket.watch as Watch | null)?.registration)
      throw misuse(
        'ERR_REACTOR_REGISTERED',
        'the socket has a registration already: modify it, or unregister it first',
      );
    const watch = this.watchOf(socket);
    try {
      const registration = new SocketRegistration(watch, interest, handler, data, held);
      watch.registration = registration;
      this.rearm(watch);
      this.registrationCount += 1;
      if (held) this.#host.hold(1);
      return registration;
    } catch (error) {
      watch.registration = null;
      this.releaseIfIdle(watch);
      throw error;
    }
  }

  unregister(registration: SocketRegistration): void {
    const { watch } = registration;
    if (watch.registration !== registration) return;
    this.#dropRegistration(watch, registration);
    this.rearm(watch);
    this.releaseIfIdle(watch);
  }

  *registrations(): IterableIterator<SocketRegistration> {
    for (const watch of this.#watches) if (watch?.registration) yield watch.registration;
  }

  *sockets(): IterableIterator<BackendSocket> {
    for (const watch of this.#watches) if (watch !== undefined) yield watch.socket;
  }

  /** Who is meant by an event; `undefined` where it is stale. */
  find(slot: number, generation: number): Watch | undefined {
    const watch = this.#watches[slot];
    return watch !== undefined && watch.generation === generation ? watch : undefined;
  }

  /** The socket's slot, made where there is none. */
  watchOf(socket: BackendSocket): Watch {
    if (socket.watch !== null) return socket.watch as Watch;
    const slot = this.#free.pop() ?? this.#watches.length;
    const generation = this.#generations[slot] ?? 0;
    const watch = new Watch(slot, generation, socket);
    this.#watches[slot] = watch;
    this.#generations[slot] = generation;
    socket.watch = watch;
    return watch;
  }

  /** Frees the slot of a socket that neither a registration nor a select needs. */
  releaseIfIdle(watch: Watch): void {
    if (watch.registration !== null || watch.armed !== 0 || watch.selectors !== null) return;
    this.#release(watch);
  }

  /** Tells the demultiplexer what is wanted of the socket now. */
  rearm(watch: Watch): void {
    const { wanted } = watch;
    if (wanted !== watch.armed) this.#arm(watch, wanted);
  }

  #arm(watch: Watch, interest: number): void {
    const { socket } = watch;
    (socket.watcher ?? this.#host.demultiplexer).watch(socket, watch.slot, watch.generation, interest);
    watch.armed = interest;
  }

  closing(socket: BackendSocket): void {
    const watch = socket.watch as Watch | null;
    if (watch === null) return;
    const { registration } = watch;
    if (registration !== null) this.#dropRegistration(watch, registration);
    if (watch.armed !== 0) this.#arm(watch, 0);
    if (watch.selectors !== null) {
      this.#host.selects.closed(watch);
      watch.selectors = null;
    }
    this.#release(watch);
    if (registration !== null) (registration.handler as AnyHandler)[GONE]?.(registration);
  }

  /** Ends every watch. The sockets stay open. */
  clear(): void {
    for (const watch of this.#watches) {
      if (watch === undefined) continue;
      if (watch.registration !== null) this.#dropRegistration(watch, watch.registration);
      watch.selectors = null;
      this.rearm(watch);
      this.#release(watch);
    }
  }

  /**
   * Nothing of what was reported is wanted. Where that is a set which a select has left armed, it is disarmed now; otherwise
   * it is a hang-up or an error, which cannot be masked: out of the kernel until the next `modify` or select.
   */
  park(watch: Watch, mask: number): void {
    if (watch.armed === 0) return;
    const { wanted } = watch;
    // The interest was changed by another handler of the batch; the next wait tells no more of it.
    if (wanted === watch.armed && (mask & (HANGUP | ERROR)) === 0) return;
    if (wanted !== 0 && wanted !== watch.armed) {
      this.rearm(watch);
      return;
    }
    this.#host.counters.parked += 1;
    this.#arm(watch, 0);
    // Behind a hang-up only room to send can still come, of a unix socket whose peer has yet to receive; and that cannot
    // be waited for without the hang-up. So it is looked at from time to time.
    if ((wanted & WRITABLE) !== 0) this.#host.timers.add(PARKED_LOOK_MS, () => this.#unpark(watch), { ref: false });
    this.releaseIfIdle(watch);
  }

  #unpark(watch: Watch): void {
    if (this.#watches[watch.slot] === watch && watch.armed === 0) this.rearm(watch);
  }

  #dropRegistration(watch: Watch, registration: SocketRegistration): void {
    watch.registration = null;
    registration.interest = 0;
    this.registrationCount -= 1;
    if (registration.held) this.#host.hold(-1);
  }

  #release(watch: Watch): void {
    if (this.#watches[watch.slot] !== watch) return;
    watch.socket.watch = null;
    this.#watches[watch.slot] = undefined;
    // The next user of the slot is not taken for this one, whatever the batch still holds.
    this.#generations[watch.slot] = (watch.generation + 1) & 0x7fffffff;
    this.#free.push(watch.slot);
  }
}
