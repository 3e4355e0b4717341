/** What will happen in the network, in the order of its time, and of its announcement where the times are equal. */

export interface Happening {
  /** Takes it back. Idempotent. */
  cancel(): void;
}

class Entry implements Happening {
  readonly time: number;
  readonly sequence: number;
  readonly #timeline: Timeline;
  readonly #background: boolean;
  act: (() => void) | null;

  constructor(timeline: Timeline, time: number, sequence: number, act: () => void, background: boolean) {
    this.#timeline = timeline;
    this.time = time;
    this.sequence = sequence;
    this.act = act;
    this.#background = background;
  }

  cancel(): void {
    if (this.act === null) return;
    this.act = null;
    if (!this.#background) this.#timeline.underWay -= 1;
  }
}

export class Timeline {
  #heap: Entry[] = [];
  #sequence = 0;
  /** How many things are on their way: without those that only happen when nothing else does (a retry, a timeout). */
  underWay = 0;

  /** When the next thing happens; `Infinity` for never. */
  get next(): number {
    this.#drop();
    return this.#heap[0]?.time ?? Number.POSITIVE_INFINITY;
  }

  /** Has `act` called at `time`. `background`: nobody waits for it, see {@link underWay}. */
  at(time: number, act: () => void, background = false): Happening {
    this.#sequence += 1;
    const entry = new Entry(this, time, this.#sequence, act, background);
    if (!background) this.underWay += 1;
    this.#push(entry);
    return entry;
  }

  /** Does all that is due at `now`, also what that itself brings about. */
  run(now: number): void {
    while (this.next <= now) {
      const entry = this.#pop();
      const { act } = entry;
      entry.cancel();
      act?.();
    }
  }

  clear(): void {
    for (const entry of this.#heap) entry.cancel();
    this.#heap = [];
  }

  /** Those at the front that were taken back. */
  #drop(): void {
    while (this.#heap.length > 0 && (this.#heap[0] as Entry).act === null) this.#pop();
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(entry, heap[parent] as Entry)) break;
      heap[at] = heap[parent] as Entry;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): Entry {
    const heap = this.#heap;
    const first = heap[0] as Entry;
    const last = heap.pop() as Entry;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Entry, heap[child] as Entry)) child += 1;
      if (!isBefore(heap[child] as Entry, last)) break;
      heap[at] = heap[child] as Entry;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(one: Entry, other: Entry): boolean {
  return one.time < other.time || (one.time === other.time && one.sequence < other.sequence);
}
