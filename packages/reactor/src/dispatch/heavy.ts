/**
 * Who receives much. A full block of a heavy socket is copied in and out while all others wait, so the events of the sockets
 * that were heavy in the batch before are taken out of it, and served one by one behind the others (batch.ts).
 *
 * Nothing is allocated for a batch: a list that is made anew for each, and held by what is old, V8 soon makes among the old
 * objects at once, and then it collects those, for 15 ms, every half second of a flood.
 */

/** A socket that received as much by one event is heavy: a full block of the kernel backend. */
const HEAVY_BYTES = 64 * 1024;

export class HeavySockets {
  /** Counts batches. A double: it goes beyond V8's small integers. */
  #batch = 2 ** 31;
  /** The batch in which a slot was heavy last. */
  #latest = new Float64Array(64);
  /** The batch in which any was. */
  #newest = Number.NEGATIVE_INFINITY;
  /** Triples of the batch's heavy sockets: `#count` numbers, of which those before `#served` have been taken. */
  readonly waiting: number[] = [];
  #count = 0;
  #served = 0;

  /** Events that wait to be served. */
  get count(): number {
    return (this.#count - this.#served) / 3;
  }

  /** An event of the slot has brought `bytes`. */
  note(slot: number, bytes: number): void {
    if (bytes < HEAVY_BYTES) return;
    if (slot >= this.#latest.length) this.#grow(slot);
    this.#latest[slot] = this.#batch;
    this.#newest = this.#batch;
  }

  #grow(slot: number): void {
    const longer = new Float64Array(2 * slot);
    longer.set(this.#latest);
    this.#latest = longer;
  }

  /** Takes the events of heavy sockets out of a new batch of `count` triples, and returns how many are left. */
  putAside(events: Int32Array, count: number): number {
    this.#batch += 1;
    this.#count = 0;
    this.#served = 0;
    return this.#newest < this.#batch - 1 ? count : this.#filter(events, count, true);
  }

  /** Drops the events of heavy sockets from another look in the middle of a batch: the next batch finds them again. */
  leaveOut(events: Int32Array, count: number): number {
    return this.#filter(events, count, false);
  }

  #filter(events: Int32Array, count: number, aside: boolean): number {
    let end = 0;
    for (let at = 0; at < 3 * count; at += 3) {
      const slot = events[at] as number;
      if (slot < this.#latest.length && (this.#latest[slot] as number) >= this.#batch - 1) {
        if (aside) for (let i = 0; i < 3; i += 1) this.#wait(events[at + i] as number);
      } else {
        if (end < at) events.copyWithin(end, at, at + 3);
        end += 3;
      }
    }
    return end / 3;
  }

  #wait(part: number): void {
    this.waiting[this.#count] = part;
    this.#count += 1;
  }

  /** The place in {@link waiting} of the event that is to be served now. */
  next(): number {
    const at = this.#served;
    this.#served += 3;
    return at;
  }

  clear(): void {
    this.#count = 0;
    this.#served = 0;
  }
}
