/** Timers in exact order: by deadline, and by the order of their start where deadlines are equal. */

export interface TimerOptions {
  /** Repeat with this period, in ms, counted from each run. */
  repeatMs?: number;
  /** Whether the timer keeps the process alive (true). */
  ref?: boolean;
}

/** A timer of a reactor. */
export interface Timer {
  /** Whether it will still fire. */
  readonly active: boolean;
  /** Stops it. Idempotent; allowed in its own callback. */
  cancel(): void;
  /** Keeps the process alive while it is active, as at the beginning. */
  ref(): this;
  /** Lets the process end although it is active. */
  unref(): this;
  [Symbol.dispose](): void;
}

/** What the timers need of their reactor. */
export interface TimerHost {
  now(): number;
  /** The earliest deadline may have changed. */
  rearm(): void;
  /** A timer that keeps the process alive came (1) or went (-1). */
  hold(change: 1 | -1): void;
}

const NOT_QUEUED = -1;

class HeapTimer implements Timer {
  readonly #queue: TimerQueue;
  readonly callback: () => void;
  readonly repeatMs: number | undefined;
  deadline = 0;
  sequence = 0;
  /** The place in the heap: what makes a cancel cost the heap's depth and leave nothing behind. */
  index = NOT_QUEUED;
  held: boolean;

  constructor(queue: TimerQueue, callback: () => void, options: TimerOptions) {
    this.#queue = queue;
    this.callback = callback;
    this.repeatMs = options.repeatMs;
    this.held = options.ref ?? true;
  }

  get active(): boolean {
    return this.index !== NOT_QUEUED;
  }

  cancel(): void {
    this.#queue.remove(this);
  }

  ref(): this {
    return this.#setHeld(true);
  }

  unref(): this {
    return this.#setHeld(false);
  }

  [Symbol.dispose](): void {
    this.cancel();
  }

  #setHeld(held: boolean): this {
    if (this.held !== held && this.active) this.#queue.host.hold(held ? 1 : -1);
    this.held = held;
    return this;
  }
}

/** A binary heap of timers. */
export class TimerQueue {
  readonly host: TimerHost;
  readonly #heap: HeapTimer[] = [];
  #sequence = 0;

  constructor(host: TimerHost) {
    this.host = host;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** The earliest deadline; `Infinity` without timers. */
  get earliest(): number {
    const first = this.#heap[0];
    return first === undefined ? Number.POSITIVE_INFINITY : first.deadline;
  }

  add(delayMs: number, callback: () => void, options: TimerOptions = {}): Timer {
    const timer = new HeapTimer(this, callback, options);
    this.#insert(timer, this.host.now() + delayMs);
    if (timer.index === 0) this.host.rearm();
    return timer;
  }

  /**
   * Runs the timers that are due at `now`, and none that a callback adds: a timer of 0 ms that starts itself anew does
   * not starve the sockets. `run` calls the callback and catches what it throws.
   */
  runDue(now: number, run: (callback: () => void) => void): void {
    const last = this.#sequence;
    for (;;) {
      const timer = this.#heap[0];
      if (timer === undefined || timer.deadline > now || timer.sequence > last) return;
      this.remove(timer);
      if (timer.repeatMs !== undefined) this.#insert(timer, Math.max(now, timer.deadline) + timer.repeatMs);
      run(timer.callback);
    }
  }

  remove(timer: HeapTimer): void {
    const { index } = timer;
    if (index === NOT_QUEUED) return;
    const heap = this.#heap;
    const last = heap.pop() as HeapTimer;
    timer.index = NOT_QUEUED;
    if (timer.held) this.host.hold(-1);
    if (last === timer) return;
    this.#place(last, index);
    this.#rise(last);
    this.#sink(last);
  }

  /** Cancels every timer. */
  clear(): void {
    while (this.#heap.length > 0) this.remove(this.#heap[this.#heap.length - 1] as HeapTimer);
  }

  #insert(timer: HeapTimer, deadline: number): void {
    this.#sequence += 1;
    timer.deadline = deadline;
    timer.sequence = this.#sequence;
    if (timer.held) this.host.hold(1);
    this.#place(timer, this.#heap.length);
    this.#rise(timer);
  }

  #place(timer: HeapTimer, index: number): void {
    this.#heap[index] = timer;
    timer.index = index;
  }

  #rise(timer: HeapTimer): void {
    while (timer.index > 0) {
      const index = (timer.index - 1) >> 1;
      const parent = this.#heap[index] as HeapTimer;
      if (isBefore(parent, timer)) return;
      this.#place(parent, timer.index);
      this.#place(timer, index);
    }
  }

  #sink(timer: HeapTimer): void {
    const heap = this.#heap;
    for (;;) {
      const left = timer.index * 2 + 1;
      if (left >= heap.length) return;
      const right = left + 1;
      let child = heap[left] as HeapTimer;
      if (right < heap.length && isBefore(heap[right] as HeapTimer, child)) child = heap[right] as HeapTimer;
      if (isBefore(timer, child)) return;
      const { index } = timer;
      this.#place(timer, child.index);
      this.#place(child, index);
    }
  }
}

function isBefore(a: HeapTimer, b: HeapTimer): boolean {
  return a.deadline < b.deadline || (a.deadline === b.deadline && a.sequence < b.sequence);
}
