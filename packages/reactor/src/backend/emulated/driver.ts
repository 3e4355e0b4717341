/** Starts the turns: `setImmediate` for what is ready or posted, one timer for the deadline. */
import { performance } from 'node:perf_hooks';
import { clearImmediate, clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } from 'node:timers';
import type { BackendHost, Driver } from '../backend.js';
import type { EmulatedDemultiplexer } from './demultiplexer.js';

/** The longest delay that a timer of Node takes; beyond it, it would fire at once. */
const MAX_DELAY_MS = 0x7fffffff;

const nothing = (): void => {};

export class EmulatedDriver implements Driver {
  #host: BackendHost | null = null;
  #demultiplexer: EmulatedDemultiplexer | null = null;
  #inTurn = false;
  #posted = false;
  #held = false;
  #immediate: NodeJS.Immediate | null = null;
  #deadline = Infinity;
  #timer: NodeJS.Timeout | null = null;
  /** When the timer fires. It may be earlier than the deadline: a deadline that moves back leaves the timer alone. */
  #timerAt = Infinity;
  /** Made by the first `hold`; while it has a reference, the process lives. Of all handles it is the cheapest to turn. */
  #anchor: NodeJS.Timeout | null = null;
  /** See {@link #arm}. */
  #doorbell: NodeJS.Timeout | null = null;

  start(host: BackendHost, demultiplexer: EmulatedDemultiplexer): void {
    this.#host = host;
    this.#demultiplexer = demultiplexer;
  }

  /** A watched socket became ready. */
  readonly wake = (): void => {
    if (!this.#inTurn) this.#arm();
  };

  now(): number {
    return performance.now();
  }

  post(): void {
    if (this.#posted) return;
    this.#posted = true;
    if (this.#inTurn) return;
    if (this.#immediate === null) this.#arm();
    else this.#immediate.ref();
  }

  schedule(deadline: number): void {
    this.#deadline = deadline;
    // Within a turn, what counts is the deadline at its end.
    if (!this.#inTurn && deadline < this.#timerAt) this.#setTimer();
  }

  hold(): void {
    if (this.#held) return;
    this.#held = true;
    if (this.#anchor === null) this.#anchor = setInterval(nothing, MAX_DELAY_MS);
    else this.#anchor.ref();
    this.#immediate?.ref();
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#anchor?.unref();
    if (this.#immediate !== null && !this.#posted) {
      this.#immediate.unref();
      this.#ring();
    }
  }

  stop(): void {
    this.release();
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#doorbell !== null) clearTimeout(this.#doorbell);
    if (this.#anchor !== null) clearInterval(this.#anchor);
    this.#immediate = this.#timer = this.#doorbell = this.#anchor = this.#host = null;
    this.#deadline = this.#timerAt = Infinity;
    this.#posted = false;
  }

  #arm(): void {
    if (this.#host === null || this.#immediate !== null) return;
    this.#immediate = setImmediate(this.#onImmediate);
    // A post is a promise of a turn. What is merely ready must not keep a process that nobody holds; but an immediate
    // without a reference does not keep libuv from sleeping either: a timer takes its place where nothing else happens.
    if (!this.#held && !this.#posted) {
      this.#immediate.unref();
      this.#ring();
    }
  }

  #ring(): void {
    this.#doorbell ??= setTimeout(this.#onDoorbell, 1).unref();
  }

  readonly #onDoorbell = (): void => {
    this.#doorbell = null;
    if (this.#immediate === null) return;
    // libuv would sleep once more before its immediates.
    clearImmediate(this.#immediate);
    this.#onImmediate();
  };

  readonly #onImmediate = (): void => {
    this.#immediate = null;
    // What it was armed for may be gone: read or closed by others meanwhile, or a deadline that was put off.
    if (this.#posted || this.#demultiplexer!.live > 0 || this.#deadline <= performance.now()) this.#turn();
    else this.#setTimer();
  };

  readonly #onTimer = (): void => {
    this.#timer = null;
    this.#timerAt = Infinity;
    // Not at once: libuv runs timers before it polls. Where the loop was held up, what has arrived meanwhile comes first,
    // as the order of a turn promises, and a peer that has sent in time is not taken for silent.
    if (this.#deadline <= performance.now()) this.#arm();
    else this.#setTimer();
  };

  #turn(): void {
    this.#posted = false;
    this.#inTurn = true;
    try {
      this.#host?.turn();
    } finally {
      this.#inTurn = false;
      if (this.#posted || this.#demultiplexer!.live > 0) this.#arm();
      else if (this.#deadline < this.#timerAt) this.#setTimer();
    }
  }

  /** Sees to it that the timer fires at the deadline or before; what is due already needs none. */
  #setTimer(): void {
    if (this.#deadline >= this.#timerAt || this.#host === null) return;
    const now = performance.now();
    if (this.#deadline <= now) {
      this.#arm();
      return;
    }
    if (this.#timer !== null) clearTimeout(this.#timer);
    // Rounded up: a timer that fires early would only be set again.
    const delay = Math.min(Math.ceil(this.#deadline - now), MAX_DELAY_MS);
    this.#timerAt = now + delay;
    this.#timer = setTimeout(this.#onTimer, delay).unref();
  }
}
