/**
 * A connection: a stream socket with a queue of writes and a flow of chunks.
 *
 *   reading   paused ──resume──▶ flowing ──end of stream──▶ ended
 *             (paused: the kernel's buffer fills up and holds the peer back)
 *   writing   open ──end()──▶ ending ──queue empty──▶ finished (FIN)
 *   life      open ──both ended, or destroy, reset, error──▶ closed ──end of the turn──▶ told ('close')
 */
import { AsyncResource } from 'node:async_hooks';
import type { Duplex } from 'node:stream';
import { EventEmitter } from 'eventemitter3';
import type { Address } from './address.js';
import { checkMs } from './arguments.js';
import type { BackendSocket, Outbox } from './backend/backend.js';
import {
  type CloseInfo,
  type ConnectionEvents,
  type ConnectionHandler,
  type ConnectionOptions,
  connectionSettings,
} from './connection-handler.js';
import { DEFAULT_HOLD_MS, Holds } from './connection-holds.js';
import { ConnectionIterator } from './connection-iterator.js';
import {
  BLOCKED,
  BRIDGED,
  CONTEXTUAL,
  type ConnectionKind,
  DEPARTING,
  DETACHED,
  DISCARDING,
  ENDED,
  ENDING,
  FINISHED,
  FLOWING,
  type FlushWaiter,
  HEARD,
  HELD,
  HOST,
  ITERATING,
  LISTENED,
  LOST,
  NEEDS_DRAIN,
  newRarity,
  OPEN,
  PAUSED,
  type Rarity,
  TIMED,
  TOLD,
  UNPACKED,
} from './connection-state.js';
import { type TimeoutKind, type TimeoutOwner, Timeouts } from './connection-timeouts.js';
import { connectionClosed, connectionOpened } from './diagnostics.js';
import type { Departure } from './dispatcher.js';
import { ConnectionDuplex } from './duplex.js';
import { DuplexSocket } from './duplex-socket.js';
import { describe, misuse, notSupported, outOfRange, raise, SocketError, socketError } from './errors.js';
import { descriptorsOf } from './hand-off/host.js';
import { checkTransfer } from './hand-off/transfer.js';
import type { Reactor } from './reactor.js';
import { READ_CLOSED, READABLE, WRITABLE } from './readiness.js';
import {
  type AnyHandler,
  GONE,
  KEEP,
  RECEIVED,
  type ReceivingHandler,
  type SocketRegistration,
} from './registration.js';
import type { Socket, TransferOptions, TransferTarget } from './socket.js';
import type { Timer } from './timers.js';
import { isGone, transferred, WriteQueue } from './write-queue.js';

const DEFAULT_LINGER_MS = 2000;
/** Beyond as many queued bytes they leave at once, without waiting for the end of the turn. */
const FLUSH_BYTES = 64 * 1024;
/** What comes in is not simply handed on. */
const UNUSUAL = DISCARDING | TIMED | ITERATING;
const WHAT_TIMED_OUT: Readonly<Record<TimeoutKind, string>> = {
  idle: 'nothing was received or sent',
  read: 'nothing was received',
  write: 'no queued byte has left',
};
const NO_CONTEXT = Object.freeze({});

export class Connection<Context = {}>
  extends EventEmitter<ConnectionEvents>
  implements Departure, TimeoutOwner, AsyncDisposable, AsyncIterable<Buffer>
{
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
  #timeouts: Timeouts | null = null;

  /** Made by `reactor.serve`, `reactor.open` and `reactor.connection`. */
  constructor(kind: ConnectionKind<Context>, socket: BackendSocket) {
    super();
    this.#kind = kind;
    this.#socket = socket;
  }

  /** One handler for all connections: the registration's `data` is the connection. */
  static readonly #readiness: AnyHandler = {
    readable(_socket, registration) {
      (registration.data as Connection).#onReadable();
    },
    writable(_socket, registration) {
      (registration.data as Connection).#onWritable();
    },
    hangup(_socket, registration) {
      (registration.data as Connection).#onHangup();
    },
    [GONE](registration) {
      (registration.data as Connection).#onGone();
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

  /** The same, each within the connection's AsyncResource. */
  static readonly #contextualReadiness: AnyHandler = {
    ...Connection.#readiness,
    readable(_socket, registration) {
      const connection = registration.data as Connection;
      connection.#withinContext(() => connection.#onReadable());
    },
    writable(_socket, registration) {
      const connection = registration.data as Connection;
      connection.#withinContext(() => connection.#onWritable());
    },
    hangup(_socket, registration) {
      const connection = registration.data as Connection;
      connection.#withinContext(() => connection.#onHangup());
    },
  };

  static readonly #contextualReceiving: ReceivingHandler = {
    ...Connection.#contextualReadiness,
    [RECEIVED](registration, index) {
      const connection = registration.data as Connection;
      connection.#withinContext(() => connection.#onReceived(index));
    },
    [KEEP]: Connection.#receiving[KEEP],
  };

  /** Registers the socket and tells `handler.open`. Called once, by the reactor. `unread` comes before what it receives. */
  static start(connection: Connection<never>, unread?: Uint8Array): void {
    const opened = connection as unknown as Connection;
    if (unread !== undefined && unread.length > 0)
      opened.#rare().kept.push(Buffer.from(unread.buffer, unread.byteOffset, unread.byteLength));
    // Reading begins at once where there is a method for it, in the same system call that watches the socket.
    if (opened.#kind.handler.data !== undefined) opened.#flow = FLOWING;
    const { host, settings } = opened.#kind;
    if (settings.idleMs > 0 || settings.readMs > 0 || settings.writeMs > 0) opened.#startTimeouts();
    if (settings.asyncContext) opened.#enterContext();
    const receives = host.receivesAhead && !settings.borrowChunks;
    opened.#registration = host.dispatcher.register(
      opened.#socket,
      opened.#interest(),
      settings.asyncContext
        ? receives
          ? Connection.#contextualReceiving
          : Connection.#contextualReadiness
        : receives
          ? Connection.#receiving
          : Connection.#readiness,
      opened,
      true,
    );
    host.observer?.connection(opened);
    if (connectionOpened.hasSubscribers) connectionOpened.publish({ connection: opened });
    if (settings.asyncContext) opened.#withinContext(() => opened.#open());
    else opened.#open();
    // Not within this call: its caller has no connection yet.
    if (opened.#flow === FLOWING && opened.#rarity !== null && opened.#rarity.kept.length > 0) opened.#tellKeptLater();
  }

  #open(): void {
    try {
      this.#awaited(this.#kind.handler.open?.(this));
    } catch (error) {
      this.#handlerFailed(error);
    }
    // Whatever `open` has entered (AsyncLocalStorage.enterWith) is what all that follows runs in.
    if ((this.#flags & CONTEXTUAL) !== 0) this.#enterContext();
  }

  /**
   * A connection over any byte Duplex (a TLSSocket, a child's pipe made one): the same verbs and events, with the Duplex in
   * the place of the socket. It belongs to the connection from then on. 'drain' and `flushed` mean that the Duplex has taken
   * the bytes; `connection.socket` has no descriptor and only few options. Throws `ERR_REACTOR_ARGUMENT` for what is
   * no byte Duplex, `ERR_REACTOR_CLOSED` where it is destroyed or the reactor is closed.
   */
  static over<Context = {}>(
    duplex: Duplex,
    reactor: Reactor<Context>,
    handler: ConnectionHandler<Context> = {},
    options: ConnectionOptions = {},
  ): Connection<Context> {
    const settings = connectionSettings(options);
    // Nothing is received ahead of a Duplex.
    const host = { ...reactor[HOST], receivesAhead: false };
    const socket = new DuplexSocket(host.dispatcher, duplex);
    const connection = new Connection<Context>(
      { host, handler, settings, context: NO_CONTEXT as Context, owner: null },
      socket,
    );
    connection.#flags |= UNPACKED;
    Connection.start(connection as Connection<never>);
    return connection;
  }

  /** A handler threw, or its promise was rejected: as an error of the connection. Called by the reactor. */
  static fail(connection: Connection<never>, error: unknown): void {
    (connection as unknown as Connection).#fail(
      error instanceof Error ? error : new Error('a handler threw a value that is no Error', { cause: error }),
    );
  }

  /** The reactor stops or is closed. Called by it. */
  static shutDown(connection: Connection): void {
    connection.#finish({ by: 'shutdown' });
  }

  /** Its state, for people. */
  static describe(connection: Connection): string {
    const closed = connection.#closed;
    if (closed !== null) return `closed (by ${closed.by})`;
    const reading = ['paused', 'reading', 'read to the end'][connection.#flow];
    const writing = ['', ', ending', ', ended'][connection.#writing];
    return `${reading}${writing}, ${connection.bufferedBytes} bytes queued${(connection.#flags & BLOCKED) === 0 ? '' : ' and blocked'}`;
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
      if (buffered <= FLUSH_BYTES) this.#depart();
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
   * Resolves when everything written so far is in the kernel. Rejects if the connection ends before that, or has ended.
   */
  flushed(): Promise<void> {
    if ((this.#flags & LOST) !== 0)
      return Promise.reject(this.#lostBy(this.#closed?.error ?? this.#rarity?.brokenPipe));
    if (this.#isFlushed()) return Promise.resolve();
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
    if (this.#flow === ENDED && this.#isFlushed()) this.#finish({ by: 'peer' });
    else if ((this.#flags & BLOCKED) === 0) this.#depart();
  }

  /**
   * Ends in order: flush, FIN, read and discard until the peer's end or until `lingerMs` (2000) have passed without
   * progress, close. Resolves when the connection is closed, whatever the reason.
   */
  close(options: { lingerMs?: number } = {}): Promise<void> {
    const lingerMs = checkMs(options.lingerMs ?? DEFAULT_LINGER_MS, 'lingerMs');
    if ((this.#flags & TOLD) !== 0) return Promise.resolve();
    const closed = new Promise<void>((resolve) => {
      this.#rare().onClosed.push(resolve);
    });
    if (this.#closed !== null) return closed;
    this.#flags |= DISCARDING;
    this.end();
    if (this.#flow === PAUSED) {
      this.#setFlow(FLOWING);
      // The end or the error may be among what was kept.
      if (this.#rare().kept.length > 0) this.#tellKeptLater();
    }
    this.#lingerFor(lingerMs);
    return closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
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

  /**
   * Gives the socket away, for an upgrade or a hand-off: this connection is over (`close` is told, by 'local'), the socket
   * stays open, unregistered, and is the caller's. `unread` is what was received and not delivered: the bytes that come
   * before all that the socket still gives. May be called in a handler.
   *
   * What is queued is sent first. Throws `ERR_REACTOR_DETACH` where not all of it could leave (await `flushed()`), where
   * a Duplex reads the connection, and where it has failed; nothing is changed then. Throws `ERR_REACTOR_CLOSED` when it
   * is over.
   */
  detach(): { socket: Socket; unread: Buffer } {
    const { dispatcher } = this.#kind.host;
    this.#checkDetachable();
    dispatcher.keepReceived();
    const kept = this.#rarity === null ? [] : this.#rarity.kept;
    const failure = this.#rarity?.brokenPipe ?? kept.find((item) => item instanceof Error);
    if (failure)
      throw misuse('ERR_REACTOR_DETACH', `detach: the connection has failed (${failure.message})`, { cause: failure });
    // The end of the stream is told by the socket again.
    const unread = Buffer.concat(kept.splice(0).filter((item): item is Buffer => item instanceof Uint8Array));
    this.#flags |= DETACHED;
    this.#registration?.unregister();
    this.#finish({ by: 'local' });
    return { socket: this.#socket, unread };
  }

  /**
   * Hands the connection over to another thread or process, as {@link Socket.transfer} does with a socket: this connection is
   * over, as after {@link detach}, and the other side's `receiveSockets` is given the socket, `data` and what was received
   * and not delivered. What `detach` throws it rejects with, and then nothing has changed. Where the socket was not taken,
   * rejects with a `TransferError`, which has `socket` and `unread`: `reactor.connection(socket, handler, { unread })` goes on.
   */
  async transfer(to: TransferTarget, data?: unknown, options: Omit<TransferOptions, 'unread'> = {}): Promise<void> {
    const { backend } = this.#kind.host.dispatcher;
    descriptorsOf(backend, 'transfer');
    if ((this.#flags & UNPACKED) !== 0) throw notSupported('transfer', 'rawDescriptors', 'Duplex');
    checkTransfer(to, options);
    const { socket, unread } = this.detach();
    return socket.transfer(to, data, { ...options, unread });
  }

  #checkDetachable(): void {
    if (this.#closed === null) this.flush();
    if (this.#closed !== null) throw misuse('ERR_REACTOR_CLOSED', 'detach: the connection is closed');
    if (this.bufferedBytes > 0)
      throw misuse(
        'ERR_REACTOR_DETACH',
        `detach: ${this.bufferedBytes} bytes that were written have not left; await flushed() first`,
      );
    if ((this.#flags & BRIDGED) !== 0)
      throw misuse('ERR_REACTOR_DETACH', 'detach: the Duplex of toDuplex() reads the connection');
  }

  // --- reading -------------------------------------------------------------------------------------------------------

  /** Stops reading: the kernel's buffer fills, and the peer is held back. Idempotent. */
  pause(): void {
    if (this.#flow === FLOWING) this.#setFlow(PAUSED);
    else if ((this.#flags & HELD) !== 0) this.#setResumes(false);
  }

  /** Reads on, or begins to. Idempotent. While it is held: when it is released. */
  resume(): void {
    if (this.#flow !== PAUSED) return;
    if ((this.#flags & HELD) !== 0) {
      this.#setResumes(true);
      return;
    }
    this.#setFlow(FLOWING);
    if (this.#rarity !== null && this.#rarity.kept.length > 0) this.#tellKeptLater();
  }

  /**
   * Stops delivery (data, end, error) until the returned function is called, for a decision that takes its time. Several
   * holds stand side by side: the last release counts. One that is not released within `timeoutMs` (10 000; 0 for no
   * limit) destroys the connection with `ERR_REACTOR_HOLD`. Releasing is idempotent.
   */
  hold(options: { timeoutMs?: number } = {}): () => void {
    const timeoutMs = checkMs(options.timeoutMs ?? DEFAULT_HOLD_MS, 'timeoutMs');
    if (this.#closed !== null) return () => {};
    const rarity = this.#rare();
    if ((this.#flags & HELD) === 0) {
      rarity.holds = new Holds(this.#flow === FLOWING);
      this.#flags |= HELD;
      if (this.#flow === FLOWING) this.#setFlow(PAUSED);
    }
    const expired = (): void => {
      const error = misuse('ERR_REACTOR_HOLD', `a hold of the connection was not released within ${timeoutMs} ms`);
      this.#finish({ by: 'error', error });
    };
    return (rarity.holds as Holds).add(this.#kind.host.dispatcher.wheel, timeoutMs, expired, () => this.#release());
  }

  #release(): void {
    const resumes = this.#rarity?.holds?.resumes === true;
    this.#flags &= ~HELD;
    this.#rare().holds = null;
    if (resumes && this.#closed === null) this.resume();
  }

  #setResumes(resumes: boolean): void {
    const holds = this.#rarity?.holds;
    if (holds) holds.resumes = resumes;
  }

  /**
   * The chunks, one after the other: `for await (const chunk of connection)`. It reads one chunk ahead, and not on before
   * that one is asked for. At the peer's end the loop ends; an error is thrown once; leaving the loop pauses the
   * connection and keeps it, with all that was not taken. Loops that run at the same time share the chunks between them.
   * A borrowed chunk is copied.
   */
  [Symbol.asyncIterator](): ConnectionIterator {
    const running = this.#rarity?.iterator;
    if (running) return running;
    const iterator = new ConnectionIterator({
      wanted: () => this.#wanted(),
      left: () => this.#stopIterating(),
    });
    if (this.#closed !== null || this.#flow === ENDED) iterator.finish(this.#closed?.error);
    else {
      this.#rare().iterator = iterator;
      this.#flags |= ITERATING;
    }
    return iterator;
  }

  #wanted(): void {
    if ((this.#flags & HELD) !== 0) {
      this.#setResumes(true);
      return;
    }
    if (this.#flow === PAUSED) this.#setFlow(FLOWING);
    const { kept } = this.#rare();
    if (kept.length > 0) this.#guard(() => this.#tellKept(kept));
  }

  #stopIterating(): void {
    this.#flags &= ~ITERATING;
    this.#rare().iterator = null;
    this.pause();
  }

  /** What has come can be told now; otherwise it is kept, and nothing more is read, until the iterator asks. */
  #admits(item: Buffer | 0 | SocketError): boolean {
    if ((this.#flags & ITERATING) === 0 || (this.#flags & DISCARDING) !== 0) return true;
    const { iterator, kept } = this.#rare();
    if (iterator?.waiting === true) return true;
    kept.unshift(item instanceof Uint8Array && this.#kind.settings.borrowChunks ? Buffer.from(item) : item);
    this.#setFlow(PAUSED);
    return false;
  }

  /**
   * The connection as a Node stream, for `pipeline`, node:tls and node:http: half-close, back-pressure and errors go
   * both ways, and `setTimeout`, `setNoDelay`, `setKeepAlive`, `ref`, `unref`, the addresses and `destroySoon` are there, as
   * a net.Socket has them. The same one each time. The Duplex reads for itself from then on; with `allowHalfOpen` false
   * it answers the peer's end after all that was written to it. Throws `ERR_REACTOR_CLOSED` when the connection is over.
   */
  toDuplex(): ConnectionDuplex {
    const made = this.#rarity?.duplex;
    if (made) return made as ConnectionDuplex;
    if (this.#closed !== null) throw misuse('ERR_REACTOR_CLOSED', 'toDuplex: the connection is closed');
    this.pause();
    // A 'data' listener that is added now does not begin the flow: the stream asks for itself.
    this.#flags |= BRIDGED | HEARD;
    const { settings, host } = this.#kind;
    const duplex = new ConnectionDuplex(this as unknown as Connection, {
      allowHalfOpen: settings.allowHalfOpen,
      highWaterMark: settings.highWaterMark,
      copies: settings.borrowChunks,
      ended: this.#flow === ENDED,
      finished: this.#writing !== OPEN,
      send: (chunks, done) => this.#send(chunks, done),
      finish: (done) => this.#sendEnd(done),
      setHeld: (held) => {
        if (this.#registration !== null) host.dispatcher.setHeld(this.#registration, held);
      },
    });
    this.#rare().duplex = duplex;
    return duplex;
  }

  /** For the Duplex, which limits by itself what is queued: sends at once, and tells when all has left. */
  #send(chunks: readonly Uint8Array[], done: (error?: Error) => void): void {
    if (this.#closed !== null || this.#writing !== OPEN || this.#rarity?.brokenPipe) {
      done(this.#closed?.error ?? this.#rarity?.brokenPipe ?? socketError('EPIPE', 'send', this.remoteAddress));
      return;
    }
    for (const chunk of chunks) {
      this.#written += chunk.length;
      if (chunk.length > 0) this.#push(chunk);
    }
    this.flush();
    this.#whenLeft(done);
  }

  #sendEnd(done: (error?: Error) => void): void {
    this.end();
    this.flush();
    if (this.#closed !== null || this.#writing === FINISHED) done();
    else this.#whenLeft(done);
  }

  #whenLeft(done: (error?: Error) => void): void {
    const failure = this.#closed?.error ?? this.#rarity?.brokenPipe;
    if (failure) done(failure);
    else if (this.bufferedBytes === 0) done();
    else this.#rare().waiters.push({ mark: this.#written, resolve: done, reject: done });
  }

  // --- timeouts ------------------------------------------------------------------------------------------------------

  /** Sets or ends (0) the idle timeout, counted from now: see `idleMs` of the options. */
  setIdleTimeout(ms: number): void {
    checkMs(ms, 'an idle timeout');
    if (this.#closed !== null) return;
    const { dispatcher } = this.#kind.host;
    const timeouts = this.#timeouts ?? this.#startTimeouts();
    timeouts.idleMs = ms;
    timeouts.idleSince = dispatcher.time;
    timeouts.relink(dispatcher.wheel, timeouts.idleSince);
    if (timeouts.shortest === 0) this.#endTimeouts();
  }

  #startTimeouts(): Timeouts {
    const { host, settings } = this.#kind;
    const now = host.dispatcher.time;
    const timeouts = new Timeouts(this, settings, now);
    if (this.#flow === FLOWING) timeouts.readingSince = now;
    if ((this.#flags & BLOCKED) !== 0) timeouts.blockedSince = now;
    timeouts.relink(host.dispatcher.wheel, now);
    this.#timeouts = timeouts;
    this.#flags |= TIMED;
    return timeouts;
  }

  #endTimeouts(): void {
    this.#timeouts?.end(this.#kind.host.dispatcher.wheel);
    this.#timeouts = null;
    this.#flags &= ~TIMED;
  }

  /** Called by the wheel. */
  timedOut(kind: TimeoutKind, ms: number): void {
    const { handler } = this.#kind;
    const listened = (this.#flags & LISTENED) !== 0 && this.listenerCount('timeout') > 0;
    if (kind === 'idle' && (listened || handler.timeout !== undefined)) {
      if (handler.timeout !== undefined) this.#guard(() => handler.timeout?.(this));
      if (this.#closed === null && listened) this.#guard(() => void this.emit('timeout'));
      return;
    }
    const error = socketError('ETIMEDOUT', kind === 'write' ? 'send' : 'recv', this.remoteAddress);
    error.message += `: ${WHAT_TIMED_OUT[kind]} for ${ms} ms`;
    this.#fail(error);
  }

  // --- the flow ------------------------------------------------------------------------------------------------------

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
    if (this.#timeouts !== null)
      this.#timeouts.readingSince = flow === FLOWING ? this.#kind.host.dispatcher.time : Number.POSITIVE_INFINITY;
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
    // Armed by another one, who did not know: the pause after a handler that threw is over.
    if (this.#flow !== FLOWING) {
      this.#rearm();
      return;
    }
    if (this.#rarity !== null && this.#rarity.kept.length > 0) {
      this.#tellKept(this.#rarity.kept);
      return;
    }
    let chunk: Buffer | 0 | -1;
    try {
      chunk = this.#socket.receive(this.#kind.settings.borrowChunks);
    } catch (error) {
      this.#onIncoming(error as SocketError);
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
    // As in #onReadable.
    this.#rearm();
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
    else if (this.#admits(received)) this.#fail(received);
  }

  #onChunk(chunk: Buffer): void {
    const { host, handler } = this.#kind;
    host.dispatcher.turnBytes += chunk.length;
    if ((this.#flags & UNUSUAL) !== 0 && !this.#takes(chunk)) return;
    const result: unknown = handler.data?.(this, chunk);
    if (result !== undefined) this.#awaited(result);
    if ((this.#flags & HEARD) !== 0 && this.#closed === null) this.emit('data', chunk);
    if ((this.#flags & ITERATING) !== 0) this.#iterate(chunk);
  }

  #takes(chunk: Buffer): boolean {
    if (this.#timeouts !== null) this.#timeouts.received = this.#kind.host.dispatcher.time;
    return (this.#flags & DISCARDING) === 0 && this.#admits(chunk);
  }

  #iterate(chunk: Buffer): void {
    this.#rarity?.iterator?.give(this.#kind.settings.borrowChunks ? Buffer.from(chunk) : chunk);
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
    const told = (this.#flags & DISCARDING) === 0;
    if (!this.#admits(0)) return;
    this.#flow = ENDED;
    if (this.#timeouts !== null) this.#timeouts.readingSince = Number.POSITIVE_INFINITY;
    try {
      if (told) this.#tellEnd();
    } catch (error) {
      // Here, not by the dispatcher: where the connection stays open, its end is still to be answered.
      this.#handlerFailed(error);
    }
    this.#answerEnd();
  }

  #tellEnd(): void {
    this.#awaited(this.#kind.handler.end?.(this));
    if (this.#isHeard()) this.emit('end');
    if ((this.#flags & ITERATING) !== 0) this.#rarity?.iterator?.finish(undefined);
  }

  #answerEnd(): void {
    if (this.#closed !== null) return;
    if (this.#writing === FINISHED) this.#finishInOrder();
    else {
      if (!this.#kind.settings.allowHalfOpen && (this.#flags & BRIDGED) === 0) this.end();
      if (this.#closed === null) this.#rearm();
    }
  }

  #onHangup(): void {
    this.#awaited(this.#kind.handler.hangup?.(this));
    if (this.#isHeard()) this.emit('hangup');
  }

  /** Somebody has closed the socket beneath, or given its descriptor away: nothing more will be told of it. */
  #onGone(): void {
    if (this.#closed !== null) return;
    this.#flags |= DETACHED;
    this.#finish({ by: 'local' });
  }

  // --- the flush -----------------------------------------------------------------------------------------------------

  #depart(): void {
    if ((this.#flags & DEPARTING) !== 0) return;
    this.#flags |= DEPARTING;
    this.#kind.host.dispatcher.depart(this);
  }

  /** Called by the dispatcher at the end of the turn, before `leave`. */
  pack(outbox: Outbox): boolean {
    if (this.#closed !== null || (this.#flags & (BLOCKED | UNPACKED)) !== 0) return false;
    if (this.#chunk !== null) {
      // One whose memory is gone is left to `leave`, which tells it.
      if (isGone(this.#chunk) || !outbox.open(this.#socket, this.#chunk.length)) return false;
      outbox.put(this.#chunk);
    } else if (this.#queue !== null) {
      if (!this.#queue.isWhole() || !outbox.open(this.#socket, this.#queue.bytes)) return false;
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
    if ((this.#flags & TIMED) !== 0 && count > 0) this.#noteSent();
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
    if ((this.#flags & CONTEXTUAL) === 0) this.#leave();
    else this.#withinContext(() => this.#leave());
  }

  #leave(): void {
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
        if ((this.#flags & TIMED) !== 0 && sent > 0) this.#noteSent();
      } catch (error) {
        this.#flags |= LOST;
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
      if (isGone(chunk)) throw transferred();
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

  /** `bufferedBytes` does not tell: of a chunk that was transferred there is nothing to count. */
  #isFlushed(): boolean {
    return this.#chunk === null && this.#queue === null;
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

  #noteSent(): void {
    if (this.#timeouts !== null) this.#timeouts.sent = this.#kind.host.dispatcher.time;
  }

  /** The queue was flushed, down from `before` bytes. */
  #noteFlush(before: number, empty: boolean): void {
    if (this.bufferedBytes < before) this.#noteSent();
    const timeouts = this.#timeouts as Timeouts;
    if (empty) timeouts.blockedSince = Number.POSITIVE_INFINITY;
    else if (timeouts.blockedSince === Number.POSITIVE_INFINITY)
      timeouts.blockedSince = this.#kind.host.dispatcher.time;
  }

  #flushQueue(): void {
    const before = (this.#flags & TIMED) !== 0 ? this.bufferedBytes : -1;
    let empty: boolean;
    try {
      empty = this.#sendQueued();
    } catch (error) {
      // Bytes that are gone are no matter of the peer's: there is nothing to wait for.
      if (error instanceof SocketError) this.#breakPipe(error);
      else this.#fail(error as Error);
      return;
    }
    if (before >= 0) this.#noteFlush(before, empty);
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
    this.#rarity ??= newRarity();
    return this.#rarity;
  }

  #dropQueue(): void {
    if (!this.#isFlushed()) this.#flags |= LOST;
    this.#chunk = null;
    this.#queue = null;
    this.#flags &= ~BLOCKED;
    if (this.#timeouts !== null) this.#timeouts.blockedSince = Number.POSITIVE_INFINITY;
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
    if ((this.#flags & DETACHED) === 0) this.#socket.close();
    if (this.#timeouts !== null) this.#endTimeouts();
    this.#depart();
  }

  #tell(info: CloseInfo): void {
    this.#flags |= TOLD;
    this.#kind.owner?.left();
    if (connectionClosed.hasSubscribers) connectionClosed.publish({ connection: this as unknown as Connection, info });
    this.#rejectWaiters(info.error);
    if (info.error !== undefined) this.#report(info.error);
    // Each by itself: whatever one of them throws, the others are told.
    const { handler } = this.#kind;
    if (handler.close !== undefined) this.#guard(() => handler.close?.(this, info));
    if ((this.#flags & LISTENED) !== 0) this.#guard(() => void this.emit('close', info));
    if (this.#rarity !== null) this.#tellRare(this.#rarity, info);
  }

  #tellRare(rarity: Rarity, info: CloseInfo): void {
    for (const tell of rarity.onClosed.splice(0)) tell();
    rarity.kept.length = 0;
    rarity.holds?.cancel();
    rarity.iterator?.finish(info.error);
    rarity.resource?.emitDestroy();
  }

  // --- the asynchronous context --------------------------------------------------------------------------------------

  #enterContext(): void {
    const rarity = this.#rare();
    rarity.resource?.emitDestroy();
    rarity.resource = new AsyncResource('FDSET_CONNECTION', { requireManualDestroy: true });
    this.#flags |= CONTEXTUAL;
  }

  #withinContext(call: () => void): void {
    this.#rarity?.resource?.runInAsyncScope(call);
  }

  /** Calls out of the dispatch of the socket; what it throws reaches `onHandlerError`. */
  #guard(call: () => unknown): void {
    const resource = this.#rarity === null ? null : this.#rarity.resource;
    try {
      this.#awaited(resource === null ? call() : resource.runInAsyncScope(call));
    } catch (error) {
      this.#handlerFailed(error);
    }
  }

  #rejectWaiters(error: Error | undefined): void {
    if (this.#rarity === null || this.#rarity.waiters.length === 0) return;
    const reason = this.#lostBy(error);
    for (const waiter of this.#rarity.waiters.splice(0)) waiter.reject(reason);
  }

  #lostBy(error: Error | null | undefined): Error {
    return error ?? misuse('ERR_REACTOR_CLOSED', 'the connection was closed before all was sent');
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
