/** A connection whose calls do not wait for the peer for ever: `static timeoutMs` of a handler, in a reactor. */
import type { ByteChannel } from '@fdset/framing';
import { afterArrivals } from './after-arrivals.js';
import { timeoutError } from './errors.js';
import type { StreamConnection } from './handlers.js';

/**
 * What `makefile` takes in place of the connection. The clock runs while a call waits, and begins anew with everything
 * that the peer sends or takes: a handler that thinks, or that waits for something else, has all the time it wants.
 */
export class TimedChannel implements ByteChannel {
  readonly #connection: StreamConnection;
  readonly #timeoutMs: number;
  #reading = false;
  /** Ends the clock of a read that waits. */
  #halt: (() => void) | undefined;

  constructor(connection: StreamConnection, timeoutMs: number) {
    this.#connection = connection;
    this.#timeoutMs = timeoutMs;
    for (const event of ['end', 'error', 'close'] as const) connection.on(event, this.#stop);
  }

  get bufferedBytes(): number {
    return this.#connection.bufferedBytes;
  }

  write(data: Uint8Array | string): boolean {
    return this.#connection.write(data);
  }

  pause(): void {
    this.#connection.pause();
  }

  resume(): void {
    this.#connection.resume();
  }

  end(data?: Uint8Array | string): void {
    this.#connection.end(data);
  }

  destroy(error?: Error): void {
    this.#connection.destroy(error);
  }

  // biome-ignore lint/suspicious/noExplicitAny: as in ByteChannel
  on(event: 'data' | 'end' | 'drain' | 'error' | 'close', listener: (...values: any[]) => void): this {
    // The first listener of 'data' makes the connection read: so this one may not come before the reader's.
    if (event === 'data' && !this.#reading) {
      this.#reading = true;
      this.#connection.on('data', this.#stop);
    }
    this.#connection.on(event, listener);
    return this;
  }

  // biome-ignore lint/suspicious/noExplicitAny: as in ByteChannel
  off(event: 'data' | 'end' | 'drain' | 'error' | 'close', listener: (...values: any[]) => void): this {
    this.#connection.off(event, listener);
    return this;
  }

  /** A read waits from now on. What it waits for comes later, as 'data'. */
  fetch(): boolean {
    if (this.#halt === undefined) {
      const timer = setTimeout(() => {
        this.#halt = afterArrivals(() => this.#expire('sent'));
      }, this.#timeoutMs);
      this.#halt = () => clearTimeout(timer);
    }
    return false;
  }

  async flushed(): Promise<void> {
    let left = this.#connection.bufferedBytes;
    let halt: (() => void) | undefined;
    const clock = setInterval(() => {
      halt?.();
      halt = afterArrivals(() => {
        if (this.#connection.bufferedBytes >= left) this.#expire('took');
        left = this.#connection.bufferedBytes;
      });
    }, this.#timeoutMs);
    try {
      await this.#connection.flushed();
    } finally {
      clearInterval(clock);
      halt?.();
    }
  }

  readonly #stop = (): void => {
    this.#halt?.();
    this.#halt = undefined;
  };

  #expire(verb: 'sent' | 'took'): void {
    this.#connection.destroy(timeoutError(verb, this.#timeoutMs));
  }
}
