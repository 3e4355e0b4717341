/** `for await (const chunk of connection)`. */

/** What an iterator asks of its connection. */
export interface Iterated {
  /** A chunk is waited for. */
  wanted(): void;
  /** The loop was left: nothing more is asked for. */
  left(): void;
}

interface Waiter {
  resolve(result: IteratorResult<Buffer>): void;
  reject(error: Error): void;
}

const DONE: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });

/**
 * Gives each chunk to one `next()`. The connection reads while somebody waits and one chunk ahead of that, which it keeps
 * itself: a loop that is left early loses nothing.
 */
export class ConnectionIterator implements AsyncIterableIterator<Buffer> {
  readonly #connection: Iterated;
  readonly #waiters: Waiter[] = [];
  #over = false;
  /** How the connection ended, until somebody was told. */
  #error: Error | null = null;

  /** Made by `for await (const chunk of connection)`. */
  private constructor(connection: Iterated) {
    this.#connection = connection;
  }

  /** @internal */
  static make(connection: Iterated): ConnectionIterator {
    return new ConnectionIterator(connection);
  }

  /** Whether a chunk, or the end, can be taken now. @internal */
  get waiting(): boolean {
    return this.#waiters.length > 0;
  }

  /** @internal */
  give(chunk: Buffer): void {
    this.#waiters.shift()?.resolve({ done: false, value: chunk });
  }

  /** Nothing more comes: an error rejects one `next()`, and all others are done. @internal */
  finish(error: Error | undefined): void {
    if (this.#over) return;
    this.#over = true;
    if (error !== undefined) {
      const first = this.#waiters.shift();
      if (first === undefined) this.#error = error;
      else first.reject(error);
    }
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(DONE);
  }

  next(): Promise<IteratorResult<Buffer>> {
    if (this.#error !== null) {
      const error = this.#error;
      this.#error = null;
      return Promise.reject(error);
    }
    if (this.#over) return Promise.resolve(DONE);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#connection.wanted();
    });
  }

  return(): Promise<IteratorResult<Buffer>> {
    this.#error = null;
    if (!this.#over) {
      this.finish(undefined);
      this.#connection.left();
    }
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
