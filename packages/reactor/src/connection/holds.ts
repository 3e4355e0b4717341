/** What holds a connection's delivery up: decisions that take their time, each with a deadline. */
import type { TimeoutWheel } from '../timeout-wheel.js';

export class Holds {
  readonly #deadlines = new Set<{ cancel(): void }>();
  /** Whether the connection reads on when the last of them is released. */
  resumes: boolean;

  constructor(resumes: boolean) {
    this.resumes = resumes;
  }

  /** Adds one; `expired` after `timeoutMs` (0: never), `released` when it was the last. The result releases it, once. */
  add(wheel: TimeoutWheel, timeoutMs: number, expired: () => void, released: () => void): () => void {
    const deadline = timeoutMs > 0 ? wheel.after(timeoutMs, expired) : { cancel: () => {} };
    this.#deadlines.add(deadline);
    return () => {
      if (!this.#deadlines.delete(deadline)) return;
      deadline.cancel();
      if (this.#deadlines.size === 0) released();
    };
  }

  /** The connection is over. */
  cancel(): void {
    for (const deadline of this.#deadlines) deadline.cancel();
    this.#deadlines.clear();
  }
}
