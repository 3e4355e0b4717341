/**
 * The events of a turn, within its budgets. What a budget stops keeps its place: in the kernel's queue what was not asked
 * for, here what was.
 *
 *   events   0 ......... cursor ............. received ............ heavy ............ count
 *            dispatched  received for, where  still to be received  the same, of sockets that
 *                        they asked for it    for                   had much the time before
 */
import type { Demultiplexer } from '../backend/backend.js';
import { AHEAD } from '../readiness.js';
import { KEEP, type ReceivingHandler } from '../registration.js';
import type { Delivery } from './delivery.js';
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

/** A socket that received as much by one event is heavy: a full block of the kernel backend. */
const HEAVY_BYTES = 64 * 1024;

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
  /** The first event of a heavy socket; they stand behind all others. */
  #heavy = 0;
  /** Slots of the sockets that were heavy in the batch before, and in this one. */
  #heavyBefore = new Set<number>();
  #heavyNow = new Set<number>();
  /** Events since the latest look at the clock, and how many there may be. */
  #untimed = 0;
  #stride = 1;

  constructor(host: BatchHost, budgets: Budgets) {
    this.#host = host;
    this.#budgets = budgets;
    this.#room = (host.demultiplexer.events.length / 3) | 0;
  }

  /** Whether a budget has left something over. */
  get leftOver(): boolean {
    return this.#cursor < this.#count;
  }

  /** What is left over from the turn before, then what is ready, until there is no more or a budget has ended. */
  run(began: number): void {
    const host = this.#host;
    const deadline = began + this.#budgets.ms;
    let left = this.#budgets.events;
    for (;;) {
      if (this.#cursor === this.#count) {
        if (host.closed) return;
        // No more than the budget has left is asked for: the rest keeps its place in the kernel's queue.
        const asked = Math.min(left, this.#room);
        this.#cursor = 0;
        this.#received = 0;
        this.#count = host.demultiplexer.wait(asked);
        host.counters.events += this.#count;
        if (this.#count === 0) return;
        this.#putHeavyLast();
        left -= this.#count;
        const full = this.#count === asked;
        if (!this.#dispatch(deadline)) return;
        if (!full) return;
      } else {
        left -= this.#count - this.#cursor;
        if (!this.#dispatch(deadline)) return;
      }
      // A budget that ended with the batch is ended all the same.
      if (left <= 0 || host.turnBytes >= this.#budgets.bytes || host.now() >= deadline) {
        host.counters.budgetHits += 1;
        return;
      }
    }
  }

  /** Dispatches from the cursor on; `false` when the byte or time budget stopped it. */
  #dispatch(deadline: number): boolean {
    if (this.#dispatchEvents(deadline)) return true;
    this.#host.counters.budgetHits += 1;
    // Between two turns nothing is in nobody's hands.
    this.keepReceived();
    return false;
  }

  #dispatchEvents(deadline: number): boolean {
    const { demultiplexer, slots, delivery, counters } = this.#host;
    const { events } = demultiplexer;
    const mostBytes = this.#budgets.bytes;
    let looked = deadline - this.#budgets.ms;
    while (this.#cursor < this.#count) {
      const index = this.#cursor;
      if (index === this.#received) {
        // The answers of the others do not wait for what a heavy one has to be copied and answered.
        if (index === this.#heavy) {
          this.#host.flush();
          if (this.#host.closed) return true;
        }
        const end = index < this.#heavy ? this.#heavy : this.#count;
        this.#received = demultiplexer.receiveAhead?.(index, end) ?? end;
      }
      const at = index * 3;
      this.#cursor = index + 1;
      const slot = events[at] as number;
      const watch = slots.find(slot, events[at + 1] as number);
      const bytesBefore = this.#host.turnBytes;
      if (watch === undefined) counters.stale += 1;
      else delivery.deliver(watch, events[at + 2] as number, index);
      if (this.#host.turnBytes - bytesBefore >= HEAVY_BYTES) this.#heavyNow.add(slot);
      this.#untimed += 1;
      if (this.#untimed >= this.#stride) {
        const now = this.#host.now();
        this.#untimed = 0;
        this.#stride = now - looked > QUICK_MS ? 1 : Math.min(this.#stride * 2, MOST_UNTIMED_EVENTS);
        looked = now;
        if (now >= deadline && this.#cursor < this.#count) return false;
      }
      if (this.#host.turnBytes >= mostBytes && this.#cursor < this.#count) return false;
    }
    return true;
  }

  /**
   * Puts the events of the sockets that were heavy in the batch before behind all others, in their order. So whoever sends
   * little waits for a full block of another one only when it comes after it.
   */
  #putHeavyLast(): void {
    const heavy = this.#heavyNow;
    this.#heavyNow = this.#heavyBefore;
    this.#heavyNow.clear();
    this.#heavyBefore = heavy;
    this.#heavy = this.#count;
    if (heavy.size === 0) return;
    const { events } = this.#host.demultiplexer;
    const last: number[] = [];
    let end = 0;
    for (let at = 0; at < this.#count * 3; at += 3) {
      const slot = events[at] as number;
      if (heavy.has(slot)) last.push(slot, events[at + 1] as number, events[at + 2] as number);
      else {
        if (last.length > 0) events.copyWithin(end, at, at + 3);
        end += 3;
      }
    }
    events.set(last, end);
    this.#heavy = end / 3;
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
  }
}
