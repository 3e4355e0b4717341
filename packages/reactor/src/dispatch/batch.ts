/**
 * The events of a turn, within its budgets. What a budget stops keeps its place: in the kernel's queue what was not asked
 * for, here what was.
 *
 *   events   0 ......... cursor ............. received ............. count      heavy: those of sockets that had much the
 *            dispatched  received for, where  still to be received              time before, one by one behind all others
 *                        they asked for it    for                               (`#serveHeavy`)
 */
import type { Demultiplexer } from '../backend/backend.js';
import { AHEAD } from '../readiness.js';
import { KEEP, type ReceivingHandler } from '../registration.js';
import type { Delivery } from './delivery.js';
import { HeavySockets } from './heavy.js';
import type { SlotTable } from './slots.js';

/** How much one turn may do before libuv's other handles get theirs. */
export interface Budgets {
  readonly events: number;
  readonly bytes: number;
  readonly ms: number;
}

/** What a batch needs of its reactor. */
export interface BatchHost {
  readonly demultiplexer: Demultiplexer;
  readonly slots: SlotTable;
  readonly delivery: Delivery;
  readonly counters: { events: number; stale: number; budgetHits: number };
  /** Bytes received by connections in this turn. */
  readonly turnBytes: number;
  readonly closed: boolean;
  now(): number;
  /** Sends what was written until now. */
  flush(): void;
}

/** Events between two looks at the clock: doubled while handlers are quick, back to one when they are not. */
const MOST_UNTIMED_EVENTS = 8;
const QUICK_MS = 0.5;

export class Batch {
  readonly #host: BatchHost;
  readonly #budgets: Budgets;
  /** Triples that the demultiplexer has room for. */
  readonly #room: number;
  #cursor = 0;
  #received = 0;
  #count = 0;
  readonly #heavy = new HeavySockets();
  /** A heavy socket was served last: the others come before the next one, and if a budget ends them, that one before them. */
  #owesOthers = false;
  /** What the events budget has left in this turn. */
  #left = 0;
  /** Events since the latest look at the clock, and how many there may be. */
  #untimed = 0;
  #stride = 1;
  #looked = 0;

  constructor(host: BatchHost, budgets: Budgets) {
    this.#host = host;
    this.#budgets = budgets;
    this.#room = (host.demultiplexer.events.length / 3) | 0;
  }

  /** Whether a budget has left something over. */
  get leftOver(): boolean {
    return this.#cursor < this.#count || this.#heavy.count > 0;
  }

  /** What is left over from the turn before, then what is ready, until there is no more or a budget has ended. */
  run(began: number): void {
    const host = this.#host;
    const deadline = began + this.#budgets.ms;
    this.#left = this.#budgets.events;
    for (;;) {
      let full = true;
      if (this.leftOver) this.#left -= this.#count - this.#cursor + this.#heavy.count;
      else {
        if (host.closed) return;
        // No more than the budget has left is asked for: the rest keeps its place in the kernel's queue.
        const asked = Math.min(this.#left, this.#room);
        const count = this.#take(asked);
        if (count === 0) return;
        this.#count = this.#heavy.putAside(host.demultiplexer.events, count);
        full = count === asked;
      }
      if (!this.#dispatch(deadline)) {
        if (full || this.leftOver) host.counters.budgetHits += 1;
        // Between two turns nothing is in nobody's hands.
        this.keepReceived();
        return;
      }
      if (!full) return;
      // A budget that ended with the batch is ended all the same.
      if (this.#left <= 0 || host.turnBytes >= this.#budgets.bytes || host.now() >= deadline) {
        host.counters.budgetHits += 1;
        return;
      }
    }
  }

  #take(asked: number): number {
    const { demultiplexer, counters } = this.#host;
    this.#cursor = 0;
    this.#received = 0;
    this.#count = demultiplexer.wait(asked);
    this.#left -= this.#count;
    counters.events += this.#count;
    return this.#count;
  }

  /** Dispatches what there is, until the byte or the time budget is used up: `false`. */
  #dispatch(deadline: number): boolean {
    if (!this.#dispatchEvents(deadline)) return false;
    return this.#heavy.count === 0 || this.#serveHeavy(deadline);
  }

  #dispatchEvents(deadline: number): boolean {
    const { demultiplexer } = this.#host;
    const { events } = demultiplexer;
    this.#looked = deadline - this.#budgets.ms;
    while (this.#cursor < this.#count) {
      const index = this.#cursor;
      if (index === this.#received) this.#received = demultiplexer.receiveAhead?.(index, this.#count) ?? this.#count;
      const at = index * 3;
      this.#cursor = index + 1;
      this.#deliver(events[at] as number, events[at + 1] as number, events[at + 2] as number, index);
      if (this.#spent(deadline)) return false;
    }
    return true;
  }

  #deliver(slot: number, generation: number, mask: number, index: number): void {
    const host = this.#host;
    const watch = host.slots.find(slot, generation);
    const bytesBefore = host.turnBytes;
    if (watch === undefined) host.counters.stale += 1;
    else host.delivery.deliver(watch, mask, index);
    this.#heavy.note(slot, host.turnBytes - bytesBefore);
  }

  /** Whether the bytes or the time of the turn are used up. */
  #spent(deadline: number): boolean {
    this.#untimed += 1;
    if (this.#untimed >= this.#stride) {
      const now = this.#host.now();
      this.#untimed = 0;
      this.#stride = now - this.#looked > QUICK_MS ? 1 : Math.min(this.#stride * 2, MOST_UNTIMED_EVENTS);
      this.#looked = now;
      if (now >= deadline) return true;
    }
    return this.#host.turnBytes >= this.#budgets.bytes;
  }

  /**
   * A full block of a heavy socket is copied in and out while all others wait. So what they have written leaves before it is
   * received, and what they have sent meanwhile is served before it is answered: who sends little waits for half of it.
   */
  #serveHeavy(deadline: number): boolean {
    const host = this.#host;
    const heavy = this.#heavy;
    // A turn that goes on with what a budget has left over.
    if (this.#owesOthers && !this.#serveOthers(deadline)) return false;
    while (heavy.count > 0) {
      host.flush();
      if (host.closed) return true;
      const at = heavy.next();
      this.#owesOthers = true;
      const { waiting } = heavy;
      this.#deliver(waiting[at] as number, waiting[at + 1] as number, waiting[at + 2] as number, -1);
      if (this.#spent(deadline) || !this.#serveOthers(deadline)) return false;
    }
    return true;
  }

  /** Serves those that are ready now and not heavy. */
  #serveOthers(deadline: number): boolean {
    const { closed, demultiplexer, counters } = this.#host;
    if (this.#left <= 0 || closed) return true;
    this.#owesOthers = false;
    const found = this.#take(Math.min(this.#left, this.#room));
    this.#count = this.#heavy.leaveOut(demultiplexer.events, found);
    counters.events -= found - this.#count;
    this.#left += found - this.#count;
    return this.#dispatchEvents(deadline);
  }

  /** What was received for events that have not come to their turn is given to its owners now, to keep. */
  keepReceived(): void {
    const { demultiplexer, slots } = this.#host;
    const { events } = demultiplexer;
    for (let i = this.#cursor; i < this.#received; i += 1) {
      const at = i * 3;
      if (((events[at + 2] as number) & AHEAD) === 0) continue;
      events[at + 2] = (events[at + 2] as number) & ~AHEAD;
      const registration = slots.find(events[at] as number, events[at + 1] as number)?.registration;
      if (registration) (registration.handler as ReceivingHandler)[KEEP](registration, i);
    }
    this.#received = this.#cursor;
  }

  /** Drops what is left over. */
  clear(): void {
    this.#cursor = 0;
    this.#count = 0;
    this.#heavy.clear();
    this.#owesOthers = false;
  }
}
