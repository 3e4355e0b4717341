/**
 * A connection whose calls block the thread: `io: 'blocking'`. It has the shape of a reactor's `Connection`, so framing's
 * Reader and Writer serve both; a read that waits asks it to `fetch`, and what it fetches it emits before it returns.
 */
import type { ByteChannel } from '@fdset/framing';
import {
  type Address,
  type CloseInfo,
  type ConnectionEvents,
  INTERRUPTED,
  type Socket,
  WOULD_BLOCK,
} from '@fdset/reactor';
import { EventEmitter } from 'eventemitter3';
import { shutdownError, timeoutError } from './errors.js';
import type { StreamConnection } from './handlers.js';

/** Room for one read; what is left of it serves the next. */
const BLOCK_BYTES = 64 * 1024;
/** A block with less room than this is given up. */
const LEAST_BYTES = 4 * 1024;
const DEFAULT_LINGER_MS = 2000;

export interface BlockingOptions {
  /** How long a call may wait for the peer, in ms. */
  readonly timeoutMs: number | undefined;
  /** Whether the server has asked the handlers to end: looked at when the thread is woken. */
  readonly ending: () => boolean;
}

export class BlockingConnection extends EventEmitter<ConnectionEvents> implements StreamConnection, ByteChannel {
  readonly socket: Socket;
  readonly remoteAddress: Address | undefined;
  readonly #options: BlockingOptions;
  readonly #timeout: { timeoutMs?: number };
  #block: Buffer = Buffer.alloc(0);
  #used = 0;
  #ended = false;
  #paused = false;
  #finished = false;
  #closed = false;

  /** `socket` is connected and not registered; it is the connection's from then on. */
  constructor(socket: Socket, remoteAddress: Address, options: BlockingOptions) {
    super();
    this.socket = socket;
    this.remoteAddress = remoteAddress;
    this.#options = options;
    this.#timeout = options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs };
  }

  get localAddress(): Address | undefined {
    return this.socket.localAddress;
  }

  /** Always 0: what was written has left. */
  get bufferedBytes(): number {
    return 0;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get flowing(): boolean {
    return !this.#paused && !this.#ended && !this.#closed;
  }

  // --- reading -------------------------------------------------------------------------------------------------------

  /**
   * Receives once, blocking the thread until there is something, and emits it. Returns `false` once there is nothing
   * more to come.
   */
  fetch(): boolean {
    if (this.#ended || this.#closed) return false;
    let chunk: Buffer | null;
    try {
      chunk = this.#receive(this.#timeout);
    } catch (error) {
      this.destroy(error as Error);
      return true;
    }
    if (chunk !== null) this.emit('data', chunk);
    else {
      this.#ended = true;
      this.emit('end');
    }
    return true;
  }

  /** One receive: `null` at the end of the stream. Each chunk has its own part of the block, and may be kept. */
  #receive(timeout: { timeoutMs?: number }): Buffer | null {
    if (this.#block.length - this.#used < LEAST_BYTES) {
      this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      this.#used = 0;
    }
    const offset = this.#used;
    for (;;) {
      if (this.#options.ending()) throw shutdownError();
      const count = this.socket.recvSync(this.#block, { offset, ...timeout });
      if (count === INTERRUPTED) continue;
      if (count === WOULD_BLOCK) throw timeoutError('sent', this.#options.timeoutMs as number);
      this.#used += count;
      return count === 0 ? null : this.#block.subarray(offset, this.#used);
    }
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  // --- writing -------------------------------------------------------------------------------------------------------

  /** Sends all of it, blocking the thread until the system has taken it. Throws when the connection breaks meanwhile. */
  write(data: Uint8Array | string): boolean {
    if (this.#finished || this.#closed) return false;
    let rest: Uint8Array = typeof data === 'string' ? Buffer.from(data) : data;
    try {
      while (rest.length > 0) {
        if (this.#options.ending()) throw shutdownError();
        const before = performance.now();
        const count = this.socket.sendAllSync(rest, this.#timeout);
        const sent = Math.max(0, count);
        const { timeoutMs } = this.#options;
        // Short of all: the thread was woken, or the time is over.
        if (sent < rest.length && timeoutMs !== undefined && performance.now() - before >= timeoutMs)
          throw timeoutError('took', timeoutMs);
        rest = rest.subarray(sent);
      }
    } catch (error) {
      this.destroy(error as Error);
      throw error;
    }
    return true;
  }

  flush(): void {}

  /** Settled at once: what was written has left. */
  flushed(): Promise<void> {
    return Promise.resolve();
  }

  end(data?: Uint8Array | string): void {
    if (data !== undefined) this.write(data);
    if (this.#finished || this.#closed) return;
    this.#finished = true;
    try {
      this.socket.shutdown('write');
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  // --- the end -------------------------------------------------------------------------------------------------------

  /** FIN, then reads and discards until the peer's end, or until nothing has come for `lingerMs` (2000); closes. Blocks. */
  close(options: { lingerMs?: number } = {}): Promise<void> {
    this.end();
    const timeoutMs = options.lingerMs ?? DEFAULT_LINGER_MS;
    try {
      // The end of a stream that nobody will read: bytes left unread would turn the close into a reset (RFC 1122 4.2.2.13).
      while (!this.#ended && !this.#closed) this.#ended = this.#receive({ timeoutMs }) === null;
    } catch {
      // Broken, timed out, or shut down: it is closed in any case.
    }
    this.#finish({ by: this.#ended ? 'peer' : 'local' });
    return Promise.resolve();
  }

  destroy(error?: Error): void {
    this.#finish(error === undefined ? { by: 'local' } : { by: 'error', error });
  }

  reset(): void {
    if (this.#closed) return;
    this.socket.reset();
    this.#finish({ by: 'local' });
  }

  #finish(info: CloseInfo): void {
    if (this.#closed) return;
    this.#closed = true;
    this.socket.close();
    if (info.error !== undefined) this.emit('error', info.error);
    this.emit('close', info);
  }
}
