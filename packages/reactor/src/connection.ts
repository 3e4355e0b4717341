/**
 * A connection: a stream socket with a queue of writes and a flow of chunks.
 *
 *   reading   paused ──resume──▶ flowing ──end of stream──▶ ended
 *             (paused: the kernel's buffer fills up and holds the peer back)
 *   writing   open ──end()──▶ ending ──queue empty──▶ finished (FIN)
 *   life      open ──both ended, or destroy, reset, error──▶ closed ──end of the turn──▶ told ('close')
 */
import { EventEmitter } from 'eventemitter3';
import type { Address } from './address.js';
import type { BackendSocket, Outbox } from './backend/backend.js';
import type { CloseInfo, ConnectionEvents } from './connection-handler.js';
import {
  BLOCKED,
  type ConnectionKind,
  DEPARTING,
  DISCARDING,
  ENDED,
  ENDING,
  FINISHED,
  FLOWING,
  type FlushWaiter,
  HEARD,
  LISTENED,
  NEEDS_DRAIN,
  OPEN,
  PAUSED,
  type Rarity,
  TOLD,
} from './connection-state.js';
import type { Departure } from './dispatcher.js';
import { describe, misuse, outOfRange, raise, type SocketError } from './errors.js';
import { READ_CLOSED, READABLE, WRITABLE } from './readiness.js';
import {
  KEEP,
  RECEIVED,
  type ReadinessHandler,
  type ReceivingHandler,
  type SocketRegistration,
} from './registration.js';
import type { Socket } from './socket.js';
import type { Timer } from './timers.js';
import { WriteQueue } from './write-queue.js';

const DEFAULT_LINGER_MS = 2000;
/** Queued bytes that leave at once, without waiting for the end of the turn. */
const FLUSH_BYTES = 64 * 1024;

export class Connection<Context = {}> extends EventEmitter<ConnectionEvents> implements Departure {
  readonly #kind: ConnectionKind<Context>;
  readonly #socket: BackendSocket;
  #registration: SocketRegistration | null = null;
  #flow = PAUSED;
  #writing = OPEN;
  #flags = 0;
  /** What is queued: nothing or one chunk here, further ones and what a short send left in `#queue`. */
  #chunk: Uint8Array | null = null;
  #queue: WriteQueue | null = null;
  #closed: CloseInfo | null = null;
  /** Bytes written so far, for `flushed`. */
  #written = 0;
  #rarity: Rarity | null = null;

  /** Made by `reactor.serve`, `reactor.open` and `reactor.connection`. */
  constructor(kind: ConnectionKind<Context>, socket: BackendSocket) {
    super();
    this.#kind = kind;
    this.#socket = socket;
  }

  /** One handler for all connections: the registration's `data` is the connection. */
  static readonly #readiness: ReadinessHandler<unknown> = {
    readable(_socket, registration) {
      (registration.data as Connection).#onReadable();
    },
    writable(_socket, registration) {
      (registration.data as Connection).#onWritable();
    },
    hangup(_socket, registration) {
      (registration.data as Connection).#onHangup();
    },
  };

  /** The same, given what the backend has received ahead. */
  static readonly #receiving: ReceivingHandler = {
    ...Connection.#readiness,
    [RECEIVED](registration, index) {
      (registration.data as Connection).#onReceived(index);
    },
    [KEEP](registration, index) {
      const connection = registration.data as Connection;
      const received = connection.#received(index);
      if (received !== -1) connection.#rare().kept.push(received);
    },
  };

  /** Registers the socket and tells `handler.open`. Called once, by the reactor. */
  static start(connection: Connection<never>): void {
    const opened = connection as unknown as Connection;
    // Reading begins at once where there is a method for it, in the same system call that watches the socket.
    if (opened.#kind.handler.data !== undefined) opened.#flow = FLOWING;
    const { host, settings } = opened.#kind;
    opened.#registration = host.dispatcher.register(
      opened.#socket,
      opened.#interest(),
      host.receivesAhead && !settings.borrowChunks ? Connection.#receiving : Connection.#readiness,
      opened,
      true,
    );
    try {
      opened.#awaited(opened.#kind.handler.open?.(opened));
    } catch (error) {
      opened.#handlerFailed(error);
    }
  }

  /** A handler threw, or its promise was rejected: as an error of the connection. Called by the reactor. */
  static fail(connection: Connection<never>, error: unknown): void {
    (connection as unknown as Connection).#fail(
      error instanceof Error ? error : new Error('a handler threw a value that is no Error', { cause: error }),
    );
  }

  get socket(): Socket {
    return this.#socket;
  }

  /** What plugins keep of this connection. */
  get context(): Context {
    return this.#kind.context;
  }

  get remoteAddress(): Address | undefined {
    return this.#socket.remoteAddress;
  }

  get localAddress(): Address | undefined {
    return this.#socket.localAddress;
  }

  /** Bytes that were written and have not left yet. */
  get bufferedBytes(): number {
    if (this.#queue !== null) return this.#queue.bytes;
    return this.#chunk === null ? 0 : this.#chunk.length;
  }

  /** Whether it is over: nothing more will be sent or received. */
  get closed(): boolean {
    return this.#closed !== null;
  }

  // --- writing -------------------------------------------------------------------------------------------------------

  /**
   * Queues `data` (a string as UTF-8). It leaves in one gathered send at the end of the turn, or at once beyond 64 KiB.
   * The bytes are referenced, not copied: leave them alone until 'drain', or until `bufferedBytes` is 0.
   *
   * Returns whether the queue is at or below the high-water mark; after `false`, 'drain' tells when to go on. On a closed
   * connection it returns `false` and does nothing; after `end` it returns `false` and the connection gets an error
   * `ERR_REACTOR_WRITE_AFTER_END`. Beyond `maxBufferedBytes` the connection is destroyed with
   * `ERR_REACTOR_SLOW_CONSUMER`.
   */
  write(data: Uint8Array | string): boolean {
    const chunk = typeof data === 'string' ? Buffer.from(data) : data;
    if (!(chunk instanceof Uint8Array))
      throw misuse('ERR_REACTOR_BUFFER', `write takes a Uint8Array or a string, got ${describe(data)}`);
    if (this.#writing !== OPEN || this.#closed !== null || this.#rarity?.brokenPipe) return this.#refuse();
    const { settings } = this.#kind;
    this.#written += chunk.length;
    if (settings.borrowChunks) this.#pushBorrowed(chunk);
    else if (chunk.length > 0) this.#push(chunk);
    let buffered = this.bufferedBytes;
    if ((this.#flags & BLOCKED) === 0) {
      if (buffered < FLUSH_BYTES) this.#depart();
      else {
        this.#flushQueue();
        buffered = this.bufferedBytes;
      }
    }
    if (buffered <= settings.highWaterMark) return true;
    if (buffered > settings.maxBufferedBytes) return this.#tooSlow();
    this.#flags |= NEEDS_DRAIN;
    return false;
  }

  #push(chunk: Uint8Array): void {
    if (this.#queue !== null) this.#queue.push(chunk);
    else if (this.#chunk === null) this.#chunk = chunk;
    else {
      const queue = new WriteQueue();
      queue.push(this.#chunk);
      queue.push(chunk);
      this.#chunk = null;
      this.#queue = queue;
    }
  }

  /** Sends what is queued now, as much as the system takes. */
  flush(): void {
    if (this.#closed === null && (this.#flags & BLOCKED) === 0) this.#flushQueue();
  }

  /**
   * Resolves when everything written so far is in the kernel. Rejects once if the connection ends before that.
   */
  flushed(): Promise<void> {
    if (this.bufferedBytes === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#rare().waiters.push({ mark: this.#written, resolve, reject });
    });
  }

  /** Writes `data`, and ends the stream (FIN) after all that is queued. The peer may still send. Idempotent. */
  end(data?: Uint8Array | string): void {
    if (data !== undefined) this.write(data);
    if (this.#writing !== OPEN || this.#closed !== null) return;
    this.#writing = ENDING;
    // Both sides are done and nothing is queued: close says it all.
    if (this.#flow === ENDED && this.bufferedBytes === 0) this.#finish({ by: 'peer' });
    else if ((this.#flags & BLOCKED) === 0) this.#depart();
  }

  /**
   * Ends in order: flush, FIN, read and discard until the peer's end or until `lingerMs` (2000) have passed without
   * progress, close. Resolves when the connection is closed, whatever the reason.
   */
  close(options: { lingerMs?: number } = {}): Promise<void> {
    const lingerMs = options.lingerMs ?? DEFAULT_LINGER_MS;
    if ((this.#flags & TOLD) !== 0) return Promise.resolve();
    const closed = new Promise<void>((resolve) => {
      this.#rare().onClosed.push(resolve);
    });
    if (this.#closed !== null) return closed;
    this.#flags |= DISCARDING;
    this.end();
    if (this.#flow === PAUSED) this.#setFlow(FLOWING);
    this.#lingerFor(lingerMs);
    return closed;
  }

  /** Drops what is queued and closes. With an `error`, 'error' is told before 'close'. Idempotent. */
  destroy(error?: Error): void {
    if (this.#closed !== null) return;
    this.#finish(error === undefined ? { by: 'local' } : { by: 'local', error });
  }

  /** As {@link destroy}, but the peer sees a reset (RST). */
  reset(): void {
    if (this.#closed !== null) return;
    this.#socket.reset();
    this.#finish({ by: 'local' });
  }

  // --- reading -------------------------------------------------------------------------------------------------------

  /** Stops reading: the kernel's buffer fills, and the peer is held back. Idempotent. */
  pause(): void {
    if (this.#flow === FLOWING) this.#setFlow(PAUSED);
  }

  /** Reads on, or begins to. Idempotent. */
  resume(): void {
    if (this.#flow !== PAUSED) return;
    this.#setFlow(FLOWING);
    if (this.#rarity !== null && this.#rarity.kept.length > 0) this.#tellKeptLater();
  }

  /** Whether it reads at the moment. */
  get flowing(): boolean {
    return this.#flow === FLOWING;
  }

  override on<E extends keyof ConnectionEvents>(
    event: E,
    listener: (...values: ConnectionEvents[E]) => void,
    context?: unknown,
  ): this {
    super.on(event, listener as never, context as never);
    this.#flags |= LISTENED;
    if (event === 'data') this.#startFlow();
    return this;
  }

  override once<E extends keyof ConnectionEvents>(
    event: E,
    listener: (...values: ConnectionEvents[E]) => void,
    context?: unknown,
  ): this {
    super.once(event, listener as never, context as never);
    this.#flags |= LISTENED;
    if (event === 'data') this.#startFlow();
    return this;
  }

  override addListener<E extends keyof ConnectionEvents>(
    event: E,
    listener: (...values: ConnectionEvents[E]) => void,
    context?: unknown,
  ): this {
    return this.on(event, listener, context);
  }

  /** The first 'data' listener starts the flow; a connection that was paused on purpose afterwards stays so. */
  #startFlow(): void {
    if ((this.#flags & HEARD) !== 0) return;
    this.#flags |= HEARD;
    this.resume();
  }

  /** Whether an event of an open connection has anybody to go to. */
  #isHeard(): boolean {
    return (this.#flags & LISTENED) !== 0 && this.#closed === null;
  }

  #setFlow(flow: number): void {
    this.#flow = flow;
    this.#rearm();
  }

  #interest(): number {
    const reading = this.#flow === FLOWING ? READABLE : 0;
    const writing = (this.#flags & BLOCKED) !== 0 ? WRITABLE : 0;
    const hangup = this.#flow === PAUSED && this.#kind.host.hangupWhilePaused ? READ_CLOSED : 0;
    return reading | writing | hangup;
  }

  #rearm(): void {
    const registration = this.#registration;
    if (registration === null || !registration.active) return;
    const interest = this.#interest();
    if (interest === registration.interest) return;
    try {
      registration.modify(interest);
    } catch (error) {
      // The kernel has no memory (epoll_ctl(2)): what is waited for would never be told.
      this.#fail(error as SocketError);
    }
  }

  #onReadable(): void {
    if (this.#rarity !== null && this.#rarity.kept.length > 0) {
      this.#tellKept(this.#rarity.kept);
      return;
    }
    let chunk: Buffer | 0 | -1;
    try {
      chunk = this.#socket.receive(this.#kind.settings.borrowChunks);
    } catch (error) {
      this.#fail(error as SocketError);
      return;
    }
    if (chunk === 0) this.#onEnd();
    else if (chunk !== -1) this.#onChunk(chunk);
  }

  /** The backend has received for it: told now, unless another handler of the batch has paused it meanwhile. */
  #onReceived(index: number): void {
    const received = this.#received(index);
    if (this.#flow === FLOWING && (this.#rarity === null || this.#rarity.kept.length === 0)) {
      if (received !== -1) this.#onIncoming(received);
      return;
    }
    const { kept } = this.#rare();
    if (received !== -1) kept.push(received);
    this.#tellKept(kept);
  }

  #received(index: number): Buffer | 0 | -1 | SocketError {
    try {
      // Only a backend that receives ahead comes here.
      return this.#kind.host.dispatcher.demultiplexer.received?.(this.#socket, index) ?? -1;
    } catch (error) {
      return error as SocketError;
    }
  }

  #onIncoming(received: Buffer | 0 | SocketError): void {
    if (received === 0) this.#onEnd();
    else if (received instanceof Uint8Array) this.#onChunk(received);
    else this.#fail(received);
  }

  #onChunk(chunk: Buffer): void {
    const { host, handler } = this.#kind;
    host.dispatcher.turnBytes += chunk.length;
    if ((this.#flags & DISCARDING) !== 0) return;
    const result: unknown = handler.data?.(this, chunk);
    if (result !== undefined) this.#awaited(result);
    if ((this.#flags & HEARD) !== 0 && this.#closed === null) this.emit('data', chunk);
  }

  /** In order, as long as it flows. */
  #tellKept(kept: (Buffer | 0 | SocketError)[]): void {
    try {
      while (kept.length > 0 && this.#flow === FLOWING && this.#closed === null)
        this.#onIncoming(kept.shift() as Buffer | 0 | SocketError);
    } finally {
      // A handler threw: the others are still owed.
      if (kept.length > 0 && this.#flow === FLOWING && this.#closed === null) this.#tellKeptLater();
    }
  }

  #tellKeptLater(): void {
    this.#kind.host.dispatcher.post(() => {
      this.#guard(() => this.#tellKept(this.#rare().kept));
    });
  }

  #onEnd(): void {
    const broken = this.#rarity?.brokenPipe;
    if (broken) {
      this.#finish({ by: 'error', error: broken });
      return;
    }
    this.#flow = ENDED;
    if ((this.#flags & DISCARDING) === 0) {
      this.#awaited(this.#kind.handler.end?.(this));
      if (this.#isHeard()) this.emit('end');
    }
    if (this.#closed !== null) return;
    if (this.#writing === FINISHED) this.#finishInOrder();
    else {
      if (!this.#kind.settings.allowHalfOpen) this.end();
      if (this.#closed === null) this.#rearm();
    }
  }

  #onHangup(): void {
    this.#awaited(this.#kind.handler.hangup?.(this));
    if (this.#isHeard()) this.emit('hangup');
  }

  // --- the flush -----------------------------------------------------------------------------------------------------

  #depart(): void {
    if ((this.#flags & DEPARTING) !== 0) return;
    this.#flags |= DEPARTING;
    this.#kind.host.dispatcher.depart(this);
  }

  /** Called by the dispatcher at the end of the turn, before `leave`. */
  pack(outbox: Outbox): boolean {
    if (this.#closed !== null || (this.#flags & BLOCKED) !== 0) return false;
    if (this.#chunk !== null) {
      if (!outbox.open(this.#socket, this.#chunk.length)) return false;
      outbox.put(this.#chunk);
    } else if (this.#queue !== null) {
      if (!outbox.open(this.#socket, this.#queue.bytes)) return false;
      this.#queue.pack(outbox);
    } else return false;
    return true;
  }

  /** Called by the dispatcher when what was packed has been sent. */
  sent(outbox: Outbox, index: number): boolean {
    let count: number;
    try {
      count = outbox.result(this.#socket, index);
    } catch (error) {
      this.#breakPipe(error as SocketError);
      return true;
    }
    // Short: what is left is tried once more by `leave`, which finds the socket full.
    if (count < this.bufferedBytes) {
      this.#consume(count);
      return true;
    }
    this.#chunk = null;
    this.#queue = null;
    if (this.#rarity !== null || this.#writing === ENDING || (this.#flags & NEEDS_DRAIN) !== 0) return true;
    this.#flags &= ~DEPARTING;
    return false;
  }

  /** The end of the turn: what is queued leaves, and what has happened is told. Called by the dispatcher. */
  leave(): void {
    this.#flags &= ~DEPARTING;
    try {
      if (this.#closed === null && (this.#flags & BLOCKED) === 0) this.#flushQueue();
      if (this.#closed !== null && (this.#flags & TOLD) === 0) this.#tell(this.#closed);
    } catch (error) {
      this.#handlerFailed(error);
    }
  }

  /** A handler may be an async function: its rejection is treated as what it would have thrown. */
  #awaited(result: unknown): void {
    if (typeof (result as PromiseLike<unknown> | null)?.then !== 'function') return;
    (result as PromiseLike<unknown>).then(undefined, (error: unknown) => this.#handlerFailed(error));
  }

  /** A handler was called outside the dispatch of its socket: the same happens with what it throws. */
  #handlerFailed(error: unknown): void {
    if (this.#registration === null) raise(error);
    else this.#kind.host.dispatcher.failed(error, this.#registration);
  }

  /** A borrowed chunk changes with the next read: it leaves at once, and what cannot leave is copied. */
  #pushBorrowed(chunk: Uint8Array): void {
    let sent = 0;
    if (this.bufferedBytes === 0 && (this.#flags & BLOCKED) === 0) {
      try {
        sent = Math.max(0, this.#socket.send(chunk));
      } catch (error) {
        this.#breakPipe(error as SocketError);
        return;
      }
    }
    if (sent < chunk.length) this.#push(Buffer.from(chunk.subarray(sent)));
  }

  #onWritable(): void {
    this.#flags &= ~BLOCKED;
    this.#flushQueue();
    this.#rearm();
  }

  /** Sends what is queued; `false` when the socket would block. */
  #sendQueued(): boolean {
    const chunk = this.#chunk;
    if (chunk !== null) {
      const count = this.#socket.send(chunk);
      if (count === chunk.length) {
        this.#chunk = null;
        return true;
      }
      this.#consume(count);
      return false;
    }
    if (this.#queue === null) return true;
    if (!this.#queue.flush(this.#socket)) return false;
    this.#queue = null;
    return true;
  }

  /** Takes `count` bytes off that have left, fewer than are queued (below 0: none). */
  #consume(count: number): void {
    if (this.#queue === null) {
      this.#queue = new WriteQueue();
      this.#queue.push(this.#chunk as Uint8Array);
      this.#chunk = null;
    }
    if (count > 0) this.#queue.consume(count);
  }

  #flushQueue(): void {
    let empty: boolean;
    try {
      empty = this.#sendQueued();
    } catch (error) {
      this.#breakPipe(error as SocketError);
      return;
    }
    if (this.#rarity !== null) this.#settleWaiters(this.#rarity.waiters);
    if (!empty && (this.#flags & BLOCKED) === 0) {
      this.#flags |= BLOCKED;
      this.#rearm();
    }
    if (empty && this.#writing === ENDING) this.#finishWriting();
    if ((this.#flags & NEEDS_DRAIN) !== 0 && this.bufferedBytes <= this.#kind.settings.lowWaterMark) this.#drained();
  }

  #drained(): void {
    this.#flags &= ~NEEDS_DRAIN;
    if (this.#writing !== OPEN) return;
    this.#awaited(this.#kind.handler.drain?.(this));
    if (this.#isHeard()) this.emit('drain');
  }

  #finishWriting(): void {
    this.#writing = FINISHED;
    if (this.#flow === ENDED) {
      this.#finishInOrder();
      return;
    }
    try {
      this.#socket.shutdown('write');
    } catch (error) {
      // ENOTCONN: the peer's reset came first; the reading side tells it.
      this.#breakPipe(error as SocketError);
    }
  }

  /** Both sides have ended. */
  #finishInOrder(): void {
    this.#finish({ by: (this.#flags & DISCARDING) === 0 ? 'peer' : 'local' });
  }

  #settleWaiters(waiters: FlushWaiter[]): void {
    const left = this.#written - this.bufferedBytes;
    while (waiters.length > 0 && (waiters[0] as FlushWaiter).mark <= left) (waiters.shift() as FlushWaiter).resolve();
  }

  #rare(): Rarity {
    this.#rarity ??= { waiters: [], onClosed: [], brokenPipe: null, kept: [] };
    return this.#rarity;
  }

  #dropQueue(): void {
    this.#chunk = null;
    this.#queue = null;
    this.#flags &= ~BLOCKED;
  }

  /**
   * Sending failed. What the peer sent before it went is still in the kernel and is read first, if somebody reads: the
   * end of that, or its error, ends the connection.
   */
  #breakPipe(error: SocketError): void {
    if (this.#closed !== null) return;
    if (this.#flow !== FLOWING) {
      this.#fail(error);
      return;
    }
    this.#rare().brokenPipe = error;
    this.#dropQueue();
    this.#rejectWaiters(error);
    this.#rearm();
  }

  #refuse(): false {
    if (this.#writing !== OPEN && this.#closed === null)
      this.#report(misuse('ERR_REACTOR_WRITE_AFTER_END', 'write was called after end'));
    return false;
  }

  #tooSlow(): false {
    this.#finish({
      by: 'error',
      error: outOfRange(
        'ERR_REACTOR_SLOW_CONSUMER',
        `${this.bufferedBytes} bytes are queued for a peer that does not read, more than maxBufferedBytes (${this.#kind.settings.maxBufferedBytes})`,
      ),
    });
    return false;
  }

  // --- the end -------------------------------------------------------------------------------------------------------

  /** close(): gives the peer `lingerMs` from its latest progress, then closes whatever it does. */
  #lingerFor(lingerMs: number): void {
    let queued = this.bufferedBytes;
    let timer: Timer;
    const check = (): void => {
      if (this.#closed !== null) return;
      if (this.bufferedBytes < queued) {
        queued = this.bufferedBytes;
        timer = this.#kind.host.dispatcher.timers.add(lingerMs, check, { ref: false });
      } else this.#finish({ by: 'local' });
    };
    timer = this.#kind.host.dispatcher.timers.add(lingerMs, check, { ref: false });
    this.#rare().onClosed.push(() => timer.cancel());
  }

  #fail(error: Error): void {
    this.#finish({ by: 'error', error: this.#rarity?.brokenPipe ?? error });
  }

  /** The descriptor goes at once; what has happened is told at the end of the turn. */
  #finish(info: CloseInfo): void {
    if (this.#closed !== null) return;
    this.#closed = info;
    this.#dropQueue();
    this.#socket.close();
    this.#depart();
  }

  #tell(info: CloseInfo): void {
    this.#flags |= TOLD;
    this.#kind.owner?.left();
    this.#rejectWaiters(info.error);
    if (info.error !== undefined) this.#report(info.error);
    // Each by itself: whatever one of them throws, the others are told.
    const { handler } = this.#kind;
    if (handler.close !== undefined) this.#guard(() => handler.close?.(this, info));
    if ((this.#flags & LISTENED) !== 0) this.#guard(() => void this.emit('close', info));
    if (this.#rarity !== null) for (const tell of this.#rarity.onClosed.splice(0)) tell();
  }

  /** Calls out of the dispatch of the socket; what it throws reaches `onHandlerError`. */
  #guard(call: () => unknown): void {
    try {
      this.#awaited(call());
    } catch (error) {
      this.#handlerFailed(error);
    }
  }

  #rejectWaiters(error: Error | undefined): void {
    if (this.#rarity === null || this.#rarity.waiters.length === 0) return;
    const reason = error ?? misuse('ERR_REACTOR_CLOSED', 'the connection was closed before all was sent');
    for (const waiter of this.#rarity.waiters.splice(0)) waiter.reject(reason);
  }

  #report(error: Error): void {
    const { handler, host } = this.#kind;
    this.#guard(() => handler.error?.(this, error));
    let heard = false;
    this.#guard(() => {
      heard = this.listenerCount('error') > 0;
      if (heard) this.emit('error', error);
    });
    if (!heard && handler.error === undefined) host.metrics.unheardErrors += 1;
  }
}
