/** A connection: a stream socket with a queue of writes and a flow of chunks. What it does stands in the files around. */
import type { Duplex } from 'node:stream';
import { EventEmitter } from 'eventemitter3';
import type { Address } from '../address.js';
import { checkMs } from '../arguments.js';
import type { BackendSocket, Outbox } from '../backend/backend.js';
import { misuse } from '../errors.js';
import type { AcceptInfo } from '../plugin/hooks.js';
import type { Reactor } from '../reactor.js';
import type { SocketRegistration } from '../registration.js';
import type { Socket, TransferOptions, TransferTarget } from '../socket.js';
import { admit, Refusal } from './admission.js';
import { leave, pack, sent } from './departing.js';
import type { ConnectionDuplex } from './duplex.js';
import { DuplexSocket } from './duplex-socket.js';
import { finish } from './ending.js';
import { timedOut } from './expiring.js';
import { pause } from './flow.js';
import { detach, toDuplex, transfer } from './handing.js';
import {
  type CloseInfo,
  type ConnectionEvents,
  type ConnectionHandler,
  type ConnectionOptions,
  connectionSettings,
} from './handler.js';
import { DEFAULT_HOLD_MS, hold } from './holding.js';
import { interceptMessage } from './hooked.js';
import type { ConnectionIterator } from './iterator.js';
import { close, DEFAULT_LINGER_MS } from './lingering.js';
import { setIdleTimeout, start } from './opening.js';
import { isFlushed, lostBy } from './queued.js';
import { iterate, resume, startFlow } from './reading.js';
import {
  type AnyConnection,
  type ConnectionKind,
  describeConnection,
  FLOWING,
  HOST,
  LISTENED,
  LOST,
  NO_CONTEXT,
  OPEN,
  PAUSED,
  type Rarity,
  rare,
  UNPACKED,
} from './state.js';
import type { TimeoutKind, Timeouts } from './timeouts.js';
import type { WriteQueue } from './write-queue.js';
import { end, flush, write } from './writing.js';

const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never;

export class Connection<Context = {}>
  extends EventEmitter<ConnectionEvents>
  implements AsyncDisposable, AsyncIterable<Buffer>
{
  /*
   * The state, which the files around work on: plain fields, because private ones cannot cross files; left out of the
   * published types. What the values mean stands in state.ts.
   */
  /** @internal */
  readonly kind: ConnectionKind<Context>;
  /** @internal */
  readonly transport: BackendSocket;
  /** @internal */
  registration: SocketRegistration | null = null;
  /** @internal */
  flow = PAUSED;
  /** @internal */
  writing = OPEN;
  /** @internal */
  flags = 0;
  /** What is queued: see queued.ts. @internal */
  chunk: Uint8Array | null = null;
  /** @internal */
  queue: WriteQueue | null = null;
  /** How it ended. @internal */
  ended: CloseInfo | null = null;
  /** @internal */
  rarity: Rarity | null = null;
  /** @internal */
  timeouts: Timeouts | null = null;
  /** What plugins keep of this very connection: a field only where one of them keeps anything. @internal */
  declare own?: Context;

  /** For framing: a message that has come in passes the plugins. Absent where none of them takes messages. */
  declare readonly interceptMessage?: (message: unknown) => unknown;

  /** Made by `reactor.serve`, `reactor.open` and `reactor.connection`. */
  private constructor(kind: ConnectionKind<Context>, transport: BackendSocket) {
    super();
    this.kind = kind;
    this.transport = transport;
  }

  static {
    Object.defineProperty(Connection.prototype, 'interceptMessage', {
      configurable: true,
      get(this: AnyConnection) {
        const { hooks } = this.kind;
        if (hooks === null || hooks.message.length === 0) return undefined;
        return (message: unknown) => interceptMessage(this, message);
      },
    });
  }

  /** A connection, if the plugins want it. @internal */
  static make<Context>(
    kind: ConnectionKind<Context>,
    transport: BackendSocket,
    direction: AcceptInfo['direction'],
  ): Connection<Context> | Refusal {
    const { hooks } = kind;
    if (hooks === null) return new Connection<Context>(kind, transport);
    // Before the hooks: one of them may close the listener, which was the last to have them.
    hooks.retain();
    const context = admit(hooks, transport, direction);
    if (context instanceof Refusal) {
      hooks.release();
      return context;
    }
    const connection = new Connection<Context>(kind, transport);
    if (context !== hooks.context) connection.own = context as Context;
    return connection;
  }

  /** The same, of a connection that somebody waits for. @internal */
  static makeWanted<Context>(
    parts: Omit<ConnectionKind<Context>, 'context' | 'owner'>,
    transport: BackendSocket,
    direction: AcceptInfo['direction'],
  ): Connection<Context> {
    const kind = { ...parts, context: (parts.hooks?.context ?? NO_CONTEXT) as Context, owner: null };
    const connection = Connection.make<Context>(kind, transport, direction);
    if (!(connection instanceof Refusal)) return connection;
    transport.close();
    const { plugin, error } = connection;
    throw error ?? misuse('ERR_PLUGIN_REFUSED', `plugin '${plugin}' has refused the connection`);
  }

  /**
   * A connection over any byte Duplex (a TLSSocket, a child's pipe made one): the same verbs and events, with the Duplex in
   * the place of the socket. It belongs to the connection from then on. 'drain' and `flushed` mean that the Duplex has taken
   * the bytes; `connection.socket` has no descriptor and only few options. Throws `ERR_REACTOR_ARGUMENT` for what is
   * no byte Duplex, `ERR_REACTOR_CLOSED` where it is destroyed or the reactor is closed, `ERR_PLUGIN_REFUSED` where a plugin
   * does not want it.
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
    const hooks = host.plugins.table(options.plugins);
    try {
      const socket = new DuplexSocket(host.dispatcher, duplex);
      const parts = { host, handler, settings, hooks };
      const connection = Connection.makeWanted<Context>(parts, socket, options.direction ?? 'inbound');
      connection.flags |= UNPACKED;
      start(connection);
      return connection;
    } finally {
      hooks?.release();
    }
  }

  get socket(): Socket {
    return this.transport;
  }

  /** What plugins keep of this connection, by their names. */
  get context(): Context {
    return this.own ?? this.kind.context;
  }

  /** The peer's address, or who a plugin knows it to be (PROXY protocol). */
  get remoteAddress(): Address | undefined {
    return this.rarity?.remoteAddress ?? this.transport.remoteAddress;
  }

  get localAddress(): Address | undefined {
    return this.transport.localAddress;
  }

  /** Bytes that were written and have not left yet. */
  get bufferedBytes(): number {
    if (this.queue !== null) return this.queue.bytes;
    return this.chunk === null ? 0 : this.chunk.length;
  }

  /** Whether it is over: nothing more will be sent or received. */
  get closed(): boolean {
    return this.ended !== null;
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
    return write(this, data);
  }

  /** Sends what is queued now, as much as the system takes. */
  flush(): void {
    flush(this);
  }

  /**
   * Resolves when everything written so far is in the kernel. Rejects if the connection ends before that, or has ended.
   */
  flushed(): Promise<void> {
    if ((this.flags & LOST) !== 0) return Promise.reject(lostBy(this.ended?.error ?? this.rarity?.brokenPipe));
    if (isFlushed(this)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      rare(this).waiters.push({ mark: rare(this).written, resolve, reject });
    });
  }

  /** Writes `data`, and ends the stream (FIN) after all that is queued. The peer may still send. Idempotent. */
  end(data?: Uint8Array | string): void {
    if (data !== undefined) this.write(data);
    end(this);
  }

  /**
   * Ends in order: flush, FIN, read and discard until the peer's end, close. Resolves when the connection is closed,
   * whatever the reason.
   *
   * The peer is given `lingerMs` (2000). It is given as much again as long as it takes what was queued: at least a
   * thirty-second part of that in each `lingerMs`, so that a queue of any length has gone after 32 of them or the connection
   * is closed before; and once more when the queue is empty, to end its side. What it sends prolongs nothing. So close
   * takes `lingerMs` at most where nothing is queued, and 34 times that in any case; all that after the time of a plugin that
   * holds the end.
   */
  close(options: { lingerMs?: number } = {}): Promise<void> {
    return close(this, checkMs(options.lingerMs ?? DEFAULT_LINGER_MS, 'lingerMs'));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Drops what is queued and closes. With an `error`, 'error' is told before 'close'. Idempotent. */
  destroy(error?: Error): void {
    finish(this, error === undefined ? { by: 'local' } : { by: 'local', error });
  }

  /** As {@link destroy}, but the peer sees a reset (RST). */
  reset(): void {
    if (this.ended !== null) return;
    this.transport.reset();
    finish(this, { by: 'local' });
  }

  /**
   * Gives the socket away, for an upgrade or a hand-off: this connection is over (`close` is told, by 'local'), the socket
   * stays open, unregistered, and is the caller's. `unread` is what was received and not delivered: the bytes that come
   * before all that the socket still gives. May be called in a handler.
   *
   * What is queued is sent first. Throws `ERR_REACTOR_DETACH` where not all of it could leave (await `flushed()`), where
   * a Duplex reads the connection or a plugin holds its end, and where it has failed; nothing is changed then. Throws `ERR_REACTOR_CLOSED` when it
   * is over.
   */
  detach(): { socket: Socket; unread: Buffer } {
    return detach(this);
  }

  /**
   * Hands the connection over to another thread or process, as {@link Socket.transfer} does with a socket: this connection is
   * over, as after {@link detach}, and the other side's `receiveSockets` is given the socket, `data` and what was received
   * and not delivered. What `detach` throws it rejects with, and then nothing has changed. Where the socket was not taken,
   * rejects with a `TransferError`, which has `socket` and `unread`: `reactor.connection(socket, handler, { unread })` goes on.
   */
  async transfer(to: TransferTarget, data?: unknown, options: Omit<TransferOptions, 'unread'> = {}): Promise<void> {
    return transfer(this, to, data, options);
  }

  // --- reading -------------------------------------------------------------------------------------------------------

  /** Whether it reads at the moment. */
  get flowing(): boolean {
    return this.flow === FLOWING;
  }

  /** Stops reading: the kernel's buffer fills, and the peer is held back. Idempotent. */
  pause(): void {
    pause(this);
  }

  /** Reads on, or begins to. Idempotent. While it is held: when it is released. */
  resume(): void {
    resume(this);
  }

  /**
   * Stops delivery (data, end, error) until the returned function is called, for a decision that takes its time. Several
   * holds stand side by side: the last release counts. One that is not released within `timeoutMs` (10 000; 0 for no
   * limit) destroys the connection with `ERR_REACTOR_HOLD`. Releasing is idempotent.
   */
  hold(options: { timeoutMs?: number } = {}): () => void {
    return hold(this, checkMs(options.timeoutMs ?? DEFAULT_HOLD_MS, 'timeoutMs'));
  }

  /**
   * The chunks, one after the other: `for await (const chunk of connection)`. It reads one chunk ahead, and not on before
   * that one is asked for. At the peer's end the loop ends; an error is thrown once; leaving the loop pauses the
   * connection and keeps it, with all that was not taken. Loops that run at the same time share the chunks between them.
   * A borrowed chunk is copied.
   */
  [Symbol.asyncIterator](): ConnectionIterator {
    return iterate(this);
  }

  /**
   * The connection as a Node stream, for `pipeline`, node:tls and node:http: half-close, back-pressure and errors go
   * both ways, and `setTimeout`, `setNoDelay`, `setKeepAlive`, `ref`, `unref`, the addresses and `destroySoon` are there, as
   * a net.Socket has them. The same one each time. The Duplex reads for itself from then on; with `allowHalfOpen` false
   * it answers the peer's end after all that was written to it. Throws `ERR_REACTOR_CLOSED` when the connection is over.
   */
  toDuplex(): ConnectionDuplex {
    return toDuplex(this);
  }

  /** Sets or ends (0) the idle timeout, counted from now: see `idleMs` of the options. */
  setIdleTimeout(ms: number): void {
    setIdleTimeout(this, checkMs(ms, 'an idle timeout'));
  }

  // --- events --------------------------------------------------------------------------------------------------------

  override on<E extends keyof ConnectionEvents>(
    event: E,
    listener: (...values: ConnectionEvents[E]) => void,
    context?: unknown,
  ): this {
    super.on(event, listener as never, context as never);
    this.flags |= LISTENED;
    if (event === 'data') startFlow(this);
    return this;
  }

  override once<E extends keyof ConnectionEvents>(
    event: E,
    listener: (...values: ConnectionEvents[E]) => void,
    context?: unknown,
  ): this {
    super.once(event, listener as never, context as never);
    this.flags |= LISTENED;
    if (event === 'data') startFlow(this);
    return this;
  }

  override addListener<E extends keyof ConnectionEvents>(
    event: E,
    listener: (...values: ConnectionEvents[E]) => void,
    context?: unknown,
  ): this {
    return this.on(event, listener, context);
  }

  // --- called from inside --------------------------------------------------------------------------------------------

  /** A departure of the turn: see departing.ts. @internal */
  pack(outbox: Outbox): boolean {
    return pack(this, outbox);
  }

  /** @internal */
  sent(outbox: Outbox, index: number): boolean {
    return sent(this, outbox, index);
  }

  /** @internal */
  leave(): void {
    leave(this);
  }

  /** Called by the wheel. @internal */
  timedOut(kind: TimeoutKind, ms: number): void {
    timedOut(this, kind, ms);
  }

  /** For console.log: the state in words, not the reactor behind it. @internal */
  [INSPECT](): string {
    return `Connection { ${describeConnection(this)} }`;
  }
}
