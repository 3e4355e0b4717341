/**
 * The flush: what connections wrote in a turn leaves at its end, small writes of many in one loop of sends; then what has
 * happened is told.
 *
 *   depart ──▶ waiting ──flush──▶ pack ──the outbox took it──▶ packed ──sent──▶ done
 *                                  └──anything else──▶ others ◀──something to tell──┘
 *                                                       └──▶ leave
 *
 * The lists are used again and again: a place that has been served is cleared, so that they hold nobody back.
 */
import type { Outbox } from '../backend/backend.js';
import { raise } from '../errors.js';

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

type Places = (Departure | null)[];

export class Departures {
  readonly #outbox: Outbox | undefined;
  #waiting: Places = [];
  #count = 0;
  /** The list of the flush before; `null` while one is under way. */
  #spare: Places | null = [];
  readonly #packed: Places = [];
  #packedCount = 0;

  constructor(outbox: Outbox | undefined) {
    this.#outbox = outbox;
  }

  get count(): number {
    return this.#count;
  }

  /** Whether a flush is under way: what departs then is the next one's. */
  get flushing(): boolean {
    return this.#spare === null;
  }

  add(departure: Departure): void {
    this.#waiting[this.#count] = departure;
    this.#count += 1;
  }

  /** May be called within `leave`, by one that closes the reactor. */
  flush(): void {
    const count = this.#count;
    if (count === 0) return;
    const leaving = this.#waiting;
    this.#waiting = this.#spare ?? [];
    this.#spare = null;
    this.#count = 0;
    const others = this.#outbox === undefined ? count : this.#send(leaving, count, this.#outbox);
    for (let i = 0; i < others; i += 1) {
      const departure = leaving[i] as Departure;
      leaving[i] = null;
      try {
        departure.leave();
      } catch (error) {
        raise(error);
      }
    }
    this.#spare = leaving;
  }

  /**
   * Sends what fits into the outbox. Those that have more to do stand at the beginning of the list then; the result is their
   * count. No user code runs.
   */
  #send(leaving: Places, count: number, outbox: Outbox): number {
    let others = 0;
    for (let i = 0; i < count; i += 1) {
      const departure = leaving[i] as Departure;
      leaving[i] = null;
      let packed = departure.pack(outbox);
      if (!packed && outbox.full) {
        others = this.#sendPacked(outbox, leaving, others);
        packed = departure.pack(outbox);
      }
      if (packed) {
        this.#packed[this.#packedCount] = departure;
        this.#packedCount += 1;
      } else {
        leaving[others] = departure;
        others += 1;
      }
    }
    return this.#sendPacked(outbox, leaving, others);
  }

  #sendPacked(outbox: Outbox, leaving: Places, others: number): number {
    const packed = this.#packed;
    const count = this.#packedCount;
    if (count === 0) return others;
    outbox.send();
    let more = others;
    for (let i = 0; i < count; i += 1) {
      const departure = packed[i] as Departure;
      packed[i] = null;
      if (!departure.sent(outbox, i)) continue;
      leaving[more] = departure;
      more += 1;
    }
    this.#packedCount = 0;
    return more;
  }
}
