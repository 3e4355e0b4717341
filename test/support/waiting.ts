/** Waiting for what happens, instead of for time. */

/** What has happened, in order; a test waits until there is enough of it. */
export class Log<T> {
  readonly entries: T[] = [];
  #waiters: { count: number; resolve: () => void }[] = [];

  add(entry: T): void {
    this.entries.push(entry);
    this.#waiters = this.#waiters.filter(({ count, resolve }) => {
      if (this.entries.length < count) return true;
      resolve();
      return false;
    });
  }

  /** Resolves once there are `count` entries. */
  reaches(count: number): Promise<void> {
    if (this.entries.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ count, resolve }));
  }
}

interface Emitting {
  once(event: never, listener: never): unknown;
}

/** The first value of the next `event`. */
export function once<T = unknown>(emitter: Emitting, event: string): Promise<T> {
  return new Promise((resolve) => emitter.once(event as never, ((value: T) => resolve(value)) as never));
}

/** For conditions of the system that no event tells (what has arrived in a socket's buffer): looks every 2 ms. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(2);
}

/** A stretch in which something must not happen: the one use of plain time. */
export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Lets the loop go round `count` times, with all that is ready served each time. */
export async function rounds(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** What a promise was rejected with; fails where it was resolved. */
export async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string; syscall?: string }> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    return error as Error & { code?: string };
  }
  throw new Error(`expected a rejection, was resolved with ${String(value)}`);
}

/** What a call has thrown; fails where it returned. */
export function thrown(call: () => unknown): Error & { code?: string; syscall?: string; errno?: number } {
  let value: unknown;
  try {
    value = call();
  } catch (error) {
    return error as Error & { code?: string };
  }
  throw new Error(`expected an exception, got ${String(value)}`);
}
