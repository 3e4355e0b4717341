/**
 * The turn: one crossing from the driver, everything that is due and ready, and the flush. The same code on every
 * backend.
 *
 *   1. the tasks posted before the turn, then the timers that were due when it began
 *   2. what a budget left over from the turn before                                         batch.ts
 *   3. wait without waiting; receive for the connections that flow; each ready socket:      slots.ts, delivery.ts
 *      writable, readable, error, each after a look whether it is still wanted; who received much the time before
 *      comes last, one by one, with a flush before and a look at the others behind it       heavy.ts
 *   4. the selects that something was reported for                                          ../select.ts
 *   5. the coarse timeouts: after the sockets, so that what has arrived counts              ../timeout-wheel.ts
 *   6. the flush: what connections wrote leaves in one gathered send each                   departures.ts
 *   7. the next deadline
 */
import type { Backend, BackendSocket, Demultiplexer, Driver } from '../backend/backend.js';
import { turnEnded } from '../diagnostics.js';
import { misuse, raise } from '../errors.js';
import type { Attachment } from '../hand-off/host.js';
import { newTraffic, TurnTimes } from '../metrics.js';
import type { TurnMetrics } from '../plugin/hooks.js';
import type { AnyHandler, ReadinessCallback, RegistrationHost, SocketRegistration, Watch } from '../registration.js';
import { type SelectHost, SelectTable } from '../select.js';
import { SoftwareReadiness, type SoftwareSocket } from '../software-readiness.js';
import { TimeoutWheel } from '../timeout-wheel.js';
import { TimerQueue } from '../timers.js';
import { Batch, type BatchHost, type Budgets } from './batch.js';
import { Delivery, type DeliveryHost, type FailurePolicy } from './delivery.js';
import { type Departure, Departures } from './departures.js';
import { Liveness } from './liveness.js';
import { type SlotHost, SlotTable } from './slots.js';

/** Counters that only grow. */
export interface TurnCounters {
  turns: number;
  events: number;
  stale: number;
  parked: number;
  budgetHits: number;
}

export class Dispatcher implements RegistrationHost, SelectHost, SlotHost, DeliveryHost, BatchHost {
  readonly backend: Backend;
  readonly demultiplexer: Demultiplexer;
  readonly timers: TimerQueue;
  /** Idle, read, write and connect timeouts. None of them keeps the process alive. */
  readonly wheel: TimeoutWheel;
  /** The sockets that stand above others, not in the demultiplexer. */
  readonly software: SoftwareReadiness;
  readonly selects: SelectTable;
  readonly slots: SlotTable;
  readonly delivery: Delivery;
  readonly counters: TurnCounters = { turns: 0, events: 0, stale: 0, parked: 0, budgetHits: 0 };
  readonly traffic = newTraffic();
  readonly turnTimes = new TurnTimes();
  /** A handler threw, or its promise was rejected. */
  readonly failed: FailurePolicy;
  /** Closed with the reactor: wakers, and what hands sockets over. */
  readonly attached = new Set<Attachment>();
  /** Bytes received by connections in this turn; they add to it, the byte budget looks at it. */
  turnBytes = 0;
  inTurn = false;
  closed = false;
  /** Plugins that want to know of turns. It must not throw. */
  onTurn: ((turn: TurnMetrics) => void) | null = null;
  readonly #driver: Driver;
  readonly #batch: Batch;
  readonly #departures: Departures;
  readonly #liveness: Liveness;
  #tasks: (() => void)[] = [];
  #flushScheduled = false;
  /** When the turn began. */
  #began = 0;
  /** What the driver was told last. */
  #deadline = Number.POSITIVE_INFINITY;

  constructor(backend: Backend, budgets: Budgets, onFailure: FailurePolicy) {
    this.backend = backend;
    this.demultiplexer = backend.demultiplexer;
    this.#driver = backend.driver;
    this.failed = onFailure;
    this.#liveness = new Liveness(backend.driver);
    const now = (): number => this.#driver.now();
    const rearm = (): void => this.#rearmDeadline();
    this.timers = new TimerQueue({ now, rearm, hold: (change) => this.hold(change) });
    this.wheel = new TimeoutWheel({ now, rearm });
    this.software = new SoftwareReadiness(() => this.#driver.post());
    this.selects = new SelectTable(this);
    this.slots = new SlotTable(this);
    this.delivery = new Delivery(this);
    this.#batch = new Batch(this, budgets);
    this.#departures = new Departures(backend.outbox);
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
    return this.slots.register(socket, interest, handler, data, held);
  }

  unregister(registration: SocketRegistration): void {
    this.slots.unregister(registration);
  }

  watchOf(socket: BackendSocket): Watch {
    return this.slots.watchOf(socket);
  }

  rearm(watch: Watch): void {
    this.slots.rearm(watch);
  }

  closing(socket: BackendSocket): void {
    this.slots.closing(socket);
  }

  // --- tasks, time and the process -----------------------------------------------------------------------------------

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
    this.#liveness.hold(change);
  }

  setReferenced(referenced: boolean): void {
    this.#liveness.setReferenced(referenced);
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
    this.#departures.add(departure);
    if (this.inTurn || this.#flushScheduled || this.#departures.flushing) return;
    this.#flushScheduled = true;
    process.nextTick(this.#flushLater);
  }

  readonly #flushLater = (): void => {
    this.#flushScheduled = false;
    this.flush();
  };

  /** Sends what was written until now. */
  flush(): void {
    if (this.#departures.count === 0) return;
    this.#departures.flush();
    // Written by what the flush told (a drain, a close): the next turn's, so that a stream cannot keep the loop.
    if (this.#departures.count > 0 && !this.closed) this.#driver.post();
  }

  // --- the turn ------------------------------------------------------------------------------------------------------

  turn(): void {
    if (this.inTurn || this.closed) return;
    this.inTurn = true;
    const { counters } = this;
    const { events } = counters;
    counters.turns += 1;
    const turn = counters.turns;
    this.turnBytes = 0;
    const began = this.#driver.now();
    this.#began = began;
    if (this.#tasks.length > 0) this.#runTasks();
    if (this.timers.earliest <= began) this.timers.runDue(began, this.#run);
    this.#batch.run(began);
    if (this.software.size > 0) this.software.dispatch(this.#deliverSoftware);
    this.selects.settle();
    if (this.wheel.due <= began) this.#sweep(began);
    this.flush();
    this.inTurn = false;
    this.#rearmDeadline();
    if (this.#batch.leftOver && !this.closed) this.#driver.post();
    const elapsedMs = this.#driver.now() - began;
    this.turnTimes.add(elapsedMs);
    if (turnEnded.hasSubscribers) turnEnded.publish({ turn, events: counters.events - events, elapsedMs });
    if (this.onTurn !== null) this.onTurn({ turn, events: counters.events - events, elapsedMs });
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

  /** Nothing is received ahead for these: there is no event of the batch. */
  readonly #deliverSoftware = (socket: SoftwareSocket, readiness: number): void => {
    this.counters.events += 1;
    if (socket.watch !== null) this.delivery.deliver(socket.watch as Watch, readiness, -1);
  };

  #sweep(now: number): void {
    this.wheel.sweep(now);
    if (this.wheel.due <= now) this.#driver.post();
  }

  /** What was received ahead and has not come to its turn is given to its owners now, to keep. */
  keepReceived(): void {
    this.#batch.keepReceived();
  }

  // --- the end -------------------------------------------------------------------------------------------------------

  /** Unregisters everything and frees the backend. Sockets stay open: those of the user are the user's. */
  close(): void {
    if (this.closed) return;
    for (const attachment of [...this.attached]) attachment.close();
    this.selects.rejectAll(misuse('ERR_REACTOR_CLOSED', 'the reactor was closed while the select waited'));
    this.slots.clear();
    this.timers.clear();
    this.wheel.clear();
    this.flush();
    this.closed = true;
    this.#tasks = [];
    this.#batch.clear();
    this.#liveness.end();
    this.backend[Symbol.dispose]();
  }
}
