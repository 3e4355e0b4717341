/**
 * Who receives much. A full block of a heavy socket is copied in and out while all others wait, so the events of the sockets
 * that were heavy in the batch before are taken out of it, and served one by one behind the others (batch.ts).
 */

/** A socket that received as much by one event is heavy: a full block of the kernel backend. */
const HEAVY_BYTES = 64 * 1024;

export class HeavySockets {
  /** Slots of the sockets that were heavy in the batch before, and in this one. */
  #before = new Set<number>();
  #now = new Set<number>();
  /** Triples of the batch's heavy sockets, of which those before `#served` have been taken. */
  #waiting: number[] = [];
  #served = 0;

  /** Events that wait to be served. */
  get count(): number {
    return (this.#waiting.length - this.#served) / 3;
  }

  /** An event of the slot has brought `bytes`. */
  note(slot: number, bytes: number): void {
    if (bytes >= HEAVY_BYTES) this.#now.add(slot);
  }

  /** Takes the events of heavy sockets out of a new batch of `count` triples, and returns how many are left. */
  putAside(events: Int32Array, count: number): number {
    const heavy = this.#now;
    // Nobody is, nearly always: emptying a set costs an allocation, also where it is empty.
    if (heavy.size === 0 && this.#before.size === 0) return count;
    this.#now = this.#before;
    this.#now.clear();
    this.#before = heavy;
    if (this.#served > 0) {
      this.#waiting = [];
      this.#served = 0;
    }
    return heavy.size === 0 ? count : this.#filter(events, count, this.#waiting);
  }

  /** Drops the events of heavy sockets from another look in the middle of a batch: the next batch finds them again. */
  leaveOut(events: Int32Array, count: number): number {
    return this.#filter(events, count, null);
  }

  #filter(events: Int32Array, count: number, aside: number[] | null): number {
    let end = 0;
    for (let at = 0; at < 3 * count; at += 3) {
      const slot = events[at] as number;
      if (this.#before.has(slot) || this.#now.has(slot)) {
        if (aside !== null) aside.push(slot, events[at + 1] as number, events[at + 2] as number);
      } else {
        if (end < at) events.copyWithin(end, at, at + 3);
        end += 3;
      }
    }
    return end / 3;
  }

  /** The place in {@link waiting} of the event that is to be served now. */
  next(): number {
    const at = this.#served;
    this.#served += 3;
    return at;
  }

  get waiting(): readonly number[] {
    return this.#waiting;
  }

  clear(): void {
    this.#waiting = [];
    this.#served = 0;
  }
}
