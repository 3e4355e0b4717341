/**
 * Coarse timeouts: very many, of which hardly any expire. What has a timeout stands in the slot of a ring that its time
 * falls into. When the time comes, it is looked at, and says itself when to look again: so activity, which puts a timeout
 * off, moves nothing in the ring and is one field written.
 *
 *   slot   12     13     14     15     ...    (one tick each; the ring has SLOTS of them)
 *                 ▲ swept last
 *          a ─ b         c             d
 *
 * Nothing expires early; up to one tick late. A time beyond the ring is looked at when the ring has come round.
 */

/** The length of a tick, in ms. */
export const TICK_MS = 50;
const SLOTS = 512;
/** Entries that one sweep looks at, so that 100,000 which fall due together do not stop the sockets. */
const MOST_LOOKED_AT = 4096;
const UNLINKED = -1;

/** Something with a timeout. The links are the wheel's own. */
export abstract class WheelEntry {
  next: WheelEntry | null = null;
  previous: WheelEntry | null = null;
  slot = UNLINKED;

  /**
   * The time may have come. Returns when to look again, or `Infinity` for never. It may link and unlink any entry, also
   * itself, and must not throw.
   */
  abstract look(now: number): number;
}

/** What the wheel needs of its reactor. */
export interface WheelHost {
  now(): number;
  /** {@link TimeoutWheel.due} has changed. */
  rearm(): void;
}

export class TimeoutWheel {
  readonly #host: WheelHost;
  /** The first entry of each slot; made by the first link. */
  #slots: (WheelEntry | null)[] = [];
  /** The tick that was swept last. */
  #tick = 0;
  #size = 0;
  /** When to sweep next; `Infinity` while nothing is linked. */
  due = Number.POSITIVE_INFINITY;

  constructor(host: WheelHost) {
    this.#host = host;
  }

  get size(): number {
    return this.#size;
  }

  /** Has `entry` looked at once `deadline` has come; what was linked before is moved. */
  link(entry: WheelEntry, deadline: number): void {
    if (entry.slot !== UNLINKED) this.#takeOut(entry);
    if (this.#size === 0) this.#begin();
    const wanted = Math.ceil(deadline / TICK_MS);
    const tick = Math.min(Math.max(wanted, this.#tick + 1), this.#tick + SLOTS - 1);
    this.#put(entry, tick % SLOTS);
    if (tick * TICK_MS >= this.due) return;
    this.due = tick * TICK_MS;
    this.#host.rearm();
  }

  unlink(entry: WheelEntry): void {
    if (entry.slot === UNLINKED) return;
    this.#takeOut(entry);
    if (this.#size > 0) return;
    this.due = Number.POSITIVE_INFINITY;
    this.#host.rearm();
  }

  /** Calls back once, `ms` from now or up to a tick later. */
  after(ms: number, callback: () => void): { cancel(): void } {
    const entry = new Once(this, this.#host.now() + ms, callback);
    this.link(entry, entry.deadline);
    return entry;
  }

  /** Looks at what is due. What is too much for one sweep leaves `due` in the past. */
  sweep(now: number): void {
    const last = Math.floor(now / TICK_MS);
    let left = MOST_LOOKED_AT;
    while (this.#tick < last && this.#size > 0) {
      // First, so that what is linked meanwhile comes to a later slot.
      this.#tick += 1;
      const slot = this.#tick % SLOTS;
      // The first one each time: a look may unlink any of the others.
      for (let entry = this.#slots[slot] as WheelEntry | null; entry !== null; entry = this.#slots[slot] ?? null) {
        if (left === 0) {
          this.#tick -= 1;
          return;
        }
        left -= 1;
        this.#takeOut(entry);
        const deadline = entry.look(now);
        if (deadline !== Number.POSITIVE_INFINITY && entry.slot === UNLINKED) this.link(entry, deadline);
      }
    }
    this.#tick = last;
    this.due = this.#nextDue();
  }

  /** Drops everything. */
  clear(): void {
    for (let slot = 0; slot < this.#slots.length; slot += 1)
      for (let entry = this.#slots[slot] ?? null; entry !== null; entry = this.#slots[slot] ?? null)
        this.#takeOut(entry);
    this.due = Number.POSITIVE_INFINITY;
  }

  #begin(): void {
    if (this.#slots.length === 0) this.#slots = new Array(SLOTS).fill(null);
    this.#tick = Math.max(this.#tick, Math.floor(this.#host.now() / TICK_MS));
  }

  #nextDue(): number {
    if (this.#size > 0)
      for (let tick = this.#tick + 1; tick < this.#tick + SLOTS; tick += 1)
        if (this.#slots[tick % SLOTS] !== null) return tick * TICK_MS;
    return Number.POSITIVE_INFINITY;
  }

  #put(entry: WheelEntry, slot: number): void {
    const first = this.#slots[slot] ?? null;
    entry.slot = slot;
    entry.next = first;
    if (first !== null) first.previous = entry;
    this.#slots[slot] = entry;
    this.#size += 1;
  }

  #takeOut(entry: WheelEntry): void {
    const { next, previous } = entry;
    if (previous === null) this.#slots[entry.slot] = next;
    else previous.next = next;
    if (next !== null) next.previous = previous;
    entry.next = null;
    entry.previous = null;
    entry.slot = UNLINKED;
    this.#size -= 1;
  }
}

class Once extends WheelEntry {
  readonly #wheel: TimeoutWheel;
  readonly deadline: number;
  readonly #callback: () => void;

  constructor(wheel: TimeoutWheel, deadline: number, callback: () => void) {
    super();
    this.#wheel = wheel;
    this.deadline = deadline;
    this.#callback = callback;
  }

  look(now: number): number {
    if (now < this.deadline) return this.deadline;
    this.#callback();
    return Number.POSITIVE_INFINITY;
  }

  cancel(): void {
    this.#wheel.unlink(this);
  }
}
