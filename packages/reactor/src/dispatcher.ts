/**
 * The turn: one crossing from the driver, everything that is due and ready, and the flush. The same code on every
 * backend.
 *
 *   1. the tasks posted before the turn, then the timers that were due when it began
 *   2. what a budget left over from the turn before
 *   3. wait without waiting; receive for the connections that flow; each ready socket: writable, readable, error, each
 *      after a look whether it is still wanted
 *   4. the selects that something was reported for
 *   5. the coarse timeouts: after the sockets, so that what has arrived counts
 *   6. the flush: what connections wrote leaves in one gathered send each
 *   7. the next deadline
 */
import type { Backend, BackendSocket, Demultiplexer, Driver, Outbox } from './backend/backend.js';
import { turnEnded } from './diagnostics.js';
import { misuse, raise, socketError } from './errors.js';
import { type Traffic, TurnTimes } from './metrics.js';
import { AHEAD, ERROR, HANGUP, READ_CLOSED, READABLE, WRITABLE } from './readiness.js';
import {
  type AnyHandler,
  GONE,
  KEEP,
  RECEIVED,
  type ReadinessCallback,
  type ReceivingHandler,
  type RegistrationHost,
  SocketRegistration,
  Watch,
} from './registration.js';
import { type SelectHost, SelectTable } from './select.js';
import { SoftwareReadiness, type SoftwareSocket } from './software-readiness.js';
import { TimeoutWheel } from './timeout-wheel.js';
import { TimerQueue } from './timers.js';

/** How much one turn may do before libuv's other handles get theirs. */
export interface Budgets {
  readonly events: number;
  readonly bytes: number;
  readonly ms: number;
}

/** Counters that only grow. */
export interface TurnCounters {
  turns: number;
  events: number;
  stale: number;
  parked: number;
  budgetHits: number;
}

/** Something that leaves at the end of the turn: a connection with queued writes, or with events to tell. */
export interface Departure {
  /**
   * Puts what it has to send into the outbox, where that is all it has to do; otherwise, or where the outbox refuses,
   * `false`, and `leave` follows.
   */
  pack(outbox: Outbox): boolean;
  /** What it packed was sent, at `index`. Tells nobody; `true` where there is something to tell: then `leave` follows. */
  sent(outbox: Outbox, index: number): boolean;
  /** Sends and tells. May call `depart` again: that is the next turn's. */
  leave(): void;
}

/** What happens with a socket whose handler threw, or whose promise was rejected. */
export type FailurePolicy = (error: unknown, registration: SocketRegistration) => void;

/** Events between two looks at the clock: doubled while handlers are quick, back to one when they are not. */
const MOST_UNTIMED_EVENTS = 8;
const QUICK_MS = 0.5;
/** How often a socket that has hung up is looked at for room to send. */
const PARKED_LOOK_MS = 100;

export class Dispatcher implements RegistrationHost, SelectHost {
  readonly backend: Backend;
  readonly timers: TimerQueue;
  /** Idle, read, write and connect timeouts. None of them keeps the process alive. */
  readonly wheel: TimeoutWheel;
  /** The sockets that stand above others, not in the demultiplexer. */
  readonly software: SoftwareReadiness;
  readonly selects: SelectTable;
  readonly counters: TurnCounters = { turns: 0, events: 0, stale: 0, parked: 0, budgetHits: 0 };
  readonly traffic: Traffic = { bytesIn: 0, bytesOut: 0, accepts: 0, datagramsDropped: 0 };
  readonly turnTimes = new TurnTimes();
  /** Bytes received by connections in this turn; they add to it, the byte budget looks at it. */
  turnBytes = 0;
  inTurn = false;
  closed = false;
  readonly demultiplexer: Demultiplexer;
  readonly #driver: Driver;
  readonly #budgets: Budgets;
  /** A handler threw, or its promise was rejected. */
  readonly failed: FailurePolicy;

  #watches: (Watch | undefined)[] = [];
  #generations: number[] = [];
  #freeSlots: number[] = [];
  #registrations = 0;

  #tasks: (() => void)[] = [];
  #departures: Departure[] = [];
  #packed: Departure[] = [];
  #flushScheduled = false;
  #flushing = false;
  readonly #flushLater = (): void => this.#flushOutside();
  /** When the turn began. */
  #began = 0;

  /** The leftover of a batch: `events` from `#cursor` to `#count` is still to be dispatched. */
  #cursor = 0;
  #count = 0;
  /** The events before this one were received for, where they asked for it. */
  #received = 0;

  /** Events since the latest look at the clock, and how many there may be. */
  #untimed = 0;
  #stride = 1;

  #deadline = Number.POSITIVE_INFINITY;
  #holds = 0;
  #referenced = true;
  #holding = false;

  constructor(backend: Backend, budgets: Budgets, onFailure: FailurePolicy) {
    this.backend = backend;
    this.demultiplexer = backend.demultiplexer;
    this.#driver = backend.driver;
    this.#budgets = budgets;
    this.failed = onFailure;
    this.timers = new TimerQueue({
      now: () => this.#driver.now(),
      rearm: () => this.#rearmDeadline(),
      hold: (change) => this.hold(change),
    });
    this.wheel = new TimeoutWheel({ now: () => this.#driver.now(), rearm: () => this.#rearmDeadline() });
    this.software = new SoftwareReadiness(() => this.#driver.post());
    this.selects = new SelectTable(this);
    backend.attach(this);
  }

  // --- registrations -------------------------------------------------------------------------------------------------

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
      this.#registrations += 1;
      if (held) this.hold(1);
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

  get registrationCount(): number {
    return this.#registrations;
  }

  *registrations(): IterableIterator<SocketRegistration> {
    for (const watch of this.#watches) if (watch?.registration) yield watch.registration;
  }

  *sockets(): IterableIterator<BackendSocket> {
    for (const watch of this.#watches) if (watch !== undefined) yield watch.socket;
  }

  /** The socket's slot, made where there is none. */
  watchOf(socket: BackendSocket): Watch {
    if (socket.watch !== null) return socket.watch as Watch;
    const slot = this.#freeSlots.pop() ?? this.#watches.length;
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
    (socket.watcher ?? this.demultiplexer).watch(socket, watch.slot, watch.generation, interest);
    watch.armed = interest;
  }

  closing(socket: BackendSocket): void {
    const watch = socket.watch as Watch | null;
    if (watch === null) return;
    const { registration } = watch;
    if (registration !== null) this.#dropRegistration(watch, registration);
    if (watch.armed !== 0) this.#arm(watch, 0);
    if (watch.selectors !== null) {
      this.selects.closed(watch);
      watch.selectors = null;
    }
    this.#release(watch);
    if (registration !== null) (registration.handler as AnyHandler)[GONE]?.(registration);
  }

  #dropRegistration(watch: Watch, registration: SocketRegistration): void {
    watch.registration = null;
    registration.interest = 0;
    this.#registrations -= 1;
    if (registration.held) this.hold(-1);
  }

  #release(watch: Watch): void {
    if (this.#watches[watch.slot] !== watch) return;
    watch.socket.watch = null;
    this.#watches[watch.slot] = undefined;
    // The next user of the slot is not taken for this one, whatever the batch still holds.
    this.#generations[watch.slot] = (watch.generation + 1) & 0x7fffffff;
    this.#freeSlots.push(watch.slot);
  }

  // --- tasks, timers and the process ---------------------------------------------------------------------------------

  post(task: () => void): void {
    this.#tasks.push(task);
    this.hold(1);
    this.#driver.post();
  }

  now(): number {
    return this.#driver.now();
  }

  /** The time of what happens now, as exactly as timeouts need it: a turn reads the clock once. */
  get time(): number {
    return this.inTurn ? this.#began : this.#driver.now();
  }

  /** Whether the registration keeps the process alive. */
  setHeld(registration: SocketRegistration, held: boolean): void {
    if (!registration.active || registration.held === held) return;
    registration.held = held;
    this.hold(held ? 1 : -1);
  }

  /** Counts what keeps the process alive. */
  hold(change: 1 | -1): void {
    this.#holds += change;
    this.#settleHold();
  }

  setReferenced(referenced: boolean): void {
    this.#referenced = referenced;
    this.#settleHold();
  }

  #settleHold(): void {
    const holding = this.#holds > 0 && this.#referenced && !this.closed;
    if (holding === this.#holding) return;
    this.#holding = holding;
    if (holding) this.#driver.hold();
    else this.#driver.release();
  }

  #rearmDeadline(): void {
    // Within a turn it is done once, at its end.
    if (this.inTurn || this.closed) return;
    const earliest = Math.min(this.timers.earliest, this.wheel.due);
    if (earliest === this.#deadline) return;
    this.#deadline = earliest;
    this.#driver.schedule(earliest);
  }

  // --- the flush -----------------------------------------------------------------------------------------------------

  /**
   * Has `departure.leave()` called at the end of this turn. Outside a turn by process.nextTick, which runs after all
   * queued microtasks: what an async handler writes after an `await` leaves together too.
   */
  depart(departure: Departure): void {
    this.#departures.push(departure);
    if (this.inTurn || this.#flushScheduled || this.#flushing) return;
    this.#flushScheduled = true;
    process.nextTick(this.#flushLater);
  }

  #flushOutside(): void {
    this.#flushScheduled = false;
    this.#flush();
  }

  #flush(): void {
    if (this.#departures.length === 0) return;
    const departures = this.#departures;
    this.#departures = [];
    this.#flushing = true;
    const { outbox } = this.backend;
    for (const departure of outbox === undefined ? departures : this.#send(departures, outbox)) {
      try {
        departure.leave();
      } catch (error) {
        raise(error);
      }
    }
    this.#flushing = false;
    // Written by what the flush told (a drain, a close): the next turn's, so that a stream cannot keep the loop.
    if (this.#departures.length > 0 && !this.closed) this.#driver.post();
  }

  /** Sends what fits into the outbox, and returns the departures that have more to do. No user code runs. */
  #send(departures: readonly Departure[], outbox: Outbox): Departure[] {
    const others: Departure[] = [];
    for (const departure of departures) {
      let packed = departure.pack(outbox);
      if (!packed && outbox.full) {
        this.#sendPacked(outbox, others);
        packed = departure.pack(outbox);
      }
      (packed ? this.#packed : others).push(departure);
    }
    this.#sendPacked(outbox, others);
    return others;
  }

  #sendPacked(outbox: Outbox, others: Departure[]): void {
    const packed = this.#packed;
    if (packed.length === 0) return;
    outbox.send();
    for (let i = 0; i < packed.length; i += 1) {
      const departure = packed[i] as Departure;
      if (departure.sent(outbox, i)) others.push(departure);
    }
    packed.length = 0;
  }

  // --- the turn ------------------------------------------------------------------------------------------------------

  turn(): void {
    if (this.inTurn || this.closed) return;
    this.inTurn = true;
    const { events } = this.counters;
    this.counters.turns += 1;
    const turn = this.counters.turns;
    this.turnBytes = 0;
    const began = this.#driver.now();
    this.#began = began;
    if (this.#tasks.length > 0) this.#runTasks();
    if (this.timers.earliest <= began) this.timers.runDue(began, this.#run);
    this.#dispatchReady(began);
    if (this.software.size > 0) this.software.dispatch(this.#dispatchSoftware);
    this.selects.settle();
    if (this.wheel.due <= began) this.#sweep(began);
    this.#flush();
    this.inTurn = false;
    this.#rearmDeadline();
    if (this.#cursor < this.#count && !this.closed) this.#driver.post();
    const elapsedMs = this.#driver.now() - began;
    this.turnTimes.add(elapsedMs);
    if (turnEnded.hasSubscribers) turnEnded.publish({ turn, events: this.counters.events - events, elapsedMs });
  }

  readonly #dispatchSoftware = (socket: SoftwareSocket, readiness: number): void => {
    this.counters.events += 1;
    if (socket.watch !== null) this.#dispatch(socket.watch as Watch, readiness);
  };

  #sweep(now: number): void {
    this.wheel.sweep(now);
    if (this.wheel.due <= now) this.#driver.post();
  }

  readonly #run = (callback: () => void): void => {
    try {
      callback();
    } catch (error) {
      raise(error);
    }
  };

  #runTasks(): void {
    const tasks = this.#tasks;
    this.#tasks = [];
    for (const task of tasks) {
      // One before it may have closed the reactor.
      if (this.closed) return;
      this.#run(task);
      this.hold(-1);
    }
  }

  #dispatchReady(began: number): void {
    let left = this.#budgets.events;
    const deadline = began + this.#budgets.ms;
    for (;;) {
      if (this.#cursor === this.#count) {
        if (this.closed) return;
        // No more than the budget has left is asked for: the rest keeps its place in the kernel's queue.
        const asked = Math.min(left, (this.demultiplexer.events.length / 3) | 0);
        this.#cursor = 0;
        this.#received = 0;
        this.#count = this.demultiplexer.wait(asked);
        this.counters.events += this.#count;
        if (this.#count === 0) return;
        left -= this.#count;
        const full = this.#count === asked;
        if (!this.#dispatchBatch(deadline)) return;
        if (!full) return;
      } else {
        left -= this.#count - this.#cursor;
        if (!this.#dispatchBatch(deadline)) return;
      }
      // A budget that ended with the batch is ended all the same.
      if (left <= 0 || this.turnBytes >= this.#budgets.bytes || this.#driver.now() >= deadline) {
        this.counters.budgetHits += 1;
        return;
      }
    }
  }

  /** Dispatches the batch from the cursor on; `false` when the byte or time budget stopped it. */
  #dispatchBatch(deadline: number): boolean {
    if (this.#dispatchEvents(deadline)) return true;
    this.counters.budgetHits += 1;
    // Between two turns nothing is in nobody's hands.
    this.keepReceived();
    return false;
  }

  /** What was received for events that have not come to their turn is given to its owners now, to keep. */
  keepReceived(): void {
    const { events } = this.demultiplexer;
    for (let i = this.#cursor; i < this.#received; i += 1) {
      const at = i * 3;
      if (((events[at + 2] as number) & AHEAD) === 0) continue;
      events[at + 2] = (events[at + 2] as number) & ~AHEAD;
      const watch = this.#watches[events[at] as number];
      if (watch === undefined || watch.generation !== events[at + 1] || watch.registration === null) continue;
      (watch.registration.handler as ReceivingHandler)[KEEP](watch.registration, i);
    }
    this.#received = this.#cursor;
  }

  #dispatchEvents(deadline: number): boolean {
    const { events } = this.demultiplexer;
    const mostBytes = this.#budgets.bytes;
    let looked = deadline - this.#budgets.ms;
    while (this.#cursor < this.#count) {
      if (this.#cursor === this.#received)
        this.#received = this.demultiplexer.receiveAhead?.(this.#cursor, this.#count) ?? this.#count;
      const at = this.#cursor * 3;
      this.#cursor += 1;
      const watch = this.#watches[events[at] as number];
      if (watch !== undefined && watch.generation === events[at + 1]) this.#dispatch(watch, events[at + 2] as number);
      else this.counters.stale += 1;
      this.#untimed += 1;
      if (this.#untimed >= this.#stride) {
        const now = this.#driver.now();
        this.#untimed = 0;
        this.#stride = now - looked > QUICK_MS ? 1 : Math.min(this.#stride * 2, MOST_UNTIMED_EVENTS);
        looked = now;
        if (now >= deadline && this.#cursor < this.#count) return false;
      }
      if (this.turnBytes >= mostBytes && this.#cursor < this.#count) return false;
    }
    return true;
  }

  #dispatch(watch: Watch, mask: number): void {
    const { registration } = watch;
    if ((mask & AHEAD) !== 0) {
      if (registration !== null) this.#deliver(registration, mask);
      if (watch.selectors !== null) this.selects.report(watch, mask);
      return;
    }
    let heard = false;
    const hit = registration === null ? 0 : mask & registration.interest;
    if (registration !== null && hit !== 0 && (hit !== READ_CLOSED || !watch.hangupTold)) {
      heard = true;
      const { handler } = registration;
      if (typeof handler === 'function') this.#callBack(registration, handler, mask);
      else this.#callHandler(registration, handler, mask);
    }
    if (watch.selectors !== null && this.selects.report(watch, mask)) heard = true;
    if (!heard) this.#park(watch, mask);
  }

  /**
   * What was received for it is its own, whether it still wants to be told or not; and told first, because what `writable`
   * calls may throw, or give the socket away.
   */
  #deliver(registration: SocketRegistration, mask: number): void {
    const handler = registration.handler as ReceivingHandler;
    const index = this.#cursor - 1;
    try {
      handler[RECEIVED](registration, index);
      if ((mask & registration.interest & WRITABLE) !== 0) handler.writable?.(registration.socket, registration);
    } catch (error) {
      this.failed(error, registration);
    }
  }

  /**
   * Nothing of it is wanted. Where that is a set which a select has left armed, it is disarmed now; otherwise it is a
   * hang-up or an error, which cannot be masked: out of the kernel until the next `modify` or select.
   */
  #park(watch: Watch, mask: number): void {
    if (watch.armed === 0) return;
    const { wanted } = watch;
    // The interest was changed by another handler of the batch; the next wait tells no more of it.
    if (wanted === watch.armed && (mask & (HANGUP | ERROR)) === 0) return;
    if (wanted !== 0 && wanted !== watch.armed) {
      this.rearm(watch);
      return;
    }
    this.counters.parked += 1;
    this.#arm(watch, 0);
    // Behind a hang-up only room to send can still come, of a unix socket whose peer has yet to receive; and that cannot
    // be waited for without the hang-up. So it is looked at from time to time.
    if ((wanted & WRITABLE) !== 0) this.timers.add(PARKED_LOOK_MS, () => this.#unpark(watch), { ref: false });
    this.releaseIfIdle(watch);
  }

  #unpark(watch: Watch): void {
    if (this.#watches[watch.slot] === watch && watch.armed === 0) this.rearm(watch);
  }

  #callHandler(registration: SocketRegistration, handler: AnyHandler, mask: number): void {
    const { socket } = registration.watch;
    registration.readiness = mask;
    try {
      // The interest is 0 once the registration has ended.
      if ((mask & registration.interest & WRITABLE) !== 0)
        this.#awaited(handler.writable?.(socket, registration), registration);
      if ((mask & registration.interest & READABLE) !== 0)
        this.#awaited(handler.readable?.(socket, registration), registration);
      if ((mask & registration.interest & ERROR) !== 0)
        this.#awaited(handler.error?.(socket, registration), registration);
      if ((mask & (HANGUP | READ_CLOSED)) !== 0 && (registration.interest & READ_CLOSED) !== 0)
        this.#tellHangup(registration, handler);
    } catch (error) {
      this.failed(error, registration);
    } finally {
      registration.readiness = 0;
    }
  }

  /** Once: the condition stays for ever, so READ_CLOSED leaves the kernel's interest until the next `modify`. */
  #tellHangup(registration: SocketRegistration, handler: AnyHandler): void {
    const { watch } = registration;
    if (watch.hangupTold) return;
    watch.hangupTold = true;
    this.#awaited(handler.hangup?.(watch.socket, registration), registration);
    if (registration.active) this.rearm(watch);
  }

  #callBack(registration: SocketRegistration, callback: ReadinessCallback, mask: number): void {
    const { watch } = registration;
    const readiness = (mask & registration.interest) | (mask & (HANGUP | READ_CLOSED));
    const hangup = (mask & registration.interest & READ_CLOSED) !== 0;
    registration.readiness = mask;
    // Before the call: a `modify` in it asks for the hang-up anew, as it does in a handler's `hangup`.
    if (hangup) watch.hangupTold = true;
    try {
      this.#awaited(callback(watch.socket, readiness, registration), registration);
      if (hangup && registration.active) this.rearm(watch);
    } catch (error) {
      this.failed(error, registration);
    } finally {
      registration.readiness = 0;
    }
  }

  /** A handler may be an async function: its rejection is treated as what it would have thrown. */
  #awaited(result: unknown, registration: SocketRegistration): void {
    if (result === undefined) return;
    if (typeof (result as PromiseLike<unknown> | null)?.then !== 'function') return;
    (result as PromiseLike<unknown>).then(undefined, (error: unknown) => this.failed(error, registration));
  }

  // --- the end -------------------------------------------------------------------------------------------------------

  /** Unregisters everything and frees the backend. Sockets stay open: those of the user are the user's. */
  close(): void {
    if (this.closed) return;
    this.selects.rejectAll(misuse('ERR_REACTOR_CLOSED', 'the reactor was closed while the select waited'));
    for (const watch of this.#watches) {
      if (watch === undefined) continue;
      if (watch.registration !== null) this.#dropRegistration(watch, watch.registration);
      watch.selectors = null;
      this.rearm(watch);
      this.#release(watch);
    }
    this.timers.clear();
    this.wheel.clear();
    this.#flush();
    this.closed = true;
    this.#tasks = [];
    this.#cursor = 0;
    this.#count = 0;
    this.#settleHold();
    this.backend[Symbol.dispose]();
  }
}
