/** The request handlers: one class, run by every server style. */
import { makefile, type Reader, type Writer } from '@fdset/framing';
import type { Address, Connection, ConnectionEvents } from '@fdset/reactor';
import { TimedChannel } from './timed-channel.js';

/** How the calls of `rfile` and `wfile` wait: in a reactor, or by blocking the thread. */
export type IoMode = 'reactor' | 'blocking';

/** What a handler may know of its server: plain data, since the handler may run in a thread or process of its own. */
export interface ServerView {
  /** The style that runs the handler. */
  readonly style: string;
  /** Whether the calls of `rfile` and `wfile` block the thread. */
  readonly io: IoMode;
  /** Where the server listens. */
  readonly address: Address;
}

/**
 * The connection of a handler: a reactor's `Connection`, or with `io: 'blocking'` one of the same shape whose calls
 * block. It can be framed (`framed(this.connection, codec)`) as long as `rfile` is left alone.
 */
export interface StreamConnection
  extends Pick<
    Connection,
    | 'socket'
    | 'remoteAddress'
    | 'localAddress'
    | 'bufferedBytes'
    | 'closed'
    | 'flowing'
    | 'write'
    | 'flush'
    | 'flushed'
    | 'end'
    | 'close'
    | 'destroy'
    | 'reset'
    | 'pause'
    | 'resume'
  > {
  on<E extends keyof ConnectionEvents>(event: E, listener: (...values: ConnectionEvents[E]) => void): unknown;
  once<E extends keyof ConnectionEvents>(event: E, listener: (...values: ConnectionEvents[E]) => void): unknown;
  off<E extends keyof ConnectionEvents>(event: E, listener: (...values: ConnectionEvents[E]) => void): unknown;
}

/** What a server gives to the constructor of a handler. */
export interface RequestContext {
  readonly connection: StreamConnection;
  readonly clientAddress: Address;
  readonly server: ServerView;
}

/** A class of handlers. A server makes one object of it for each connection. */
export type RequestHandlerClass = (new (
  context: RequestContext,
) => BaseRequestHandler) & {
  /** Where the styles with threads and processes load the class from: `import.meta.url`. It is the default export there. */
  readonly module?: string | URL;
  readonly timeoutMs?: number;
};

/** Marks the handler classes. By name, because the ESM and the CJS build of this package may meet in one program. */
const REQUEST_HANDLER = Symbol.for('@fdset/servers request handler');

/** Whether `value` is a class that a server can run. */
export function isHandlerClass(value: unknown): value is RequestHandlerClass {
  if (typeof value !== 'function' || (value as { [REQUEST_HANDLER]?: unknown })[REQUEST_HANDLER] !== true) return false;
  return typeof (value.prototype as { handle?: unknown } | undefined)?.handle === 'function';
}

/**
 * A handler of one connection, as in CPython's socketserver: the server makes an object for each connection, calls
 * `setup`, `handle` and `finish` in that order and awaits each, then closes the connection in order (what was written
 * leaves, then FIN). `finish` is called even when `handle` has thrown, but not when `setup` has.
 *
 * What any of the three throws becomes the server's 'error' event, with the code `ERR_SERVER_HANDLER`.
 */
export abstract class BaseRequestHandler {
  /** @internal */
  static readonly [REQUEST_HANDLER] = true;

  /** The connection. */
  readonly request: StreamConnection;
  /** The peer; `{ path: '' }` where it has no name (unix sockets). */
  readonly clientAddress: Address;
  readonly server: ServerView;

  constructor(context: RequestContext) {
    this.request = context.connection;
    this.clientAddress = context.clientAddress;
    this.server = context.server;
  }

  setup(): void | Promise<void> {}

  /** Does all the work of the connection. When it is done, the connection ends. */
  abstract handle(): void | Promise<void>;

  finish(): void | Promise<void> {}
}

/**
 * A handler of a stream with the file-like objects `rfile` and `wfile`.
 *
 * ```ts
 * export default class Echo extends StreamRequestHandler {
 *   static module = import.meta.url; // for the styles with threads and processes
 *   async handle() {
 *     for await (const line of this.rfile) this.wfile.writeLines([line]);
 *   }
 * }
 * ```
 *
 * The peer may end its side first: the handler still can answer. With `io: 'blocking'` the same methods block the
 * thread, and the promises that they return are settled.
 */
export abstract class StreamRequestHandler extends BaseRequestHandler {
  /**
   * How long one call of `rfile` or `wfile` may wait for the peer, in ms (for ever). Beyond it the connection ends and
   * the call fails with `ERR_SERVER_TIMEOUT`.
   */
  static timeoutMs?: number;

  /** The same as `request`. */
  readonly connection: StreamConnection;
  readonly rfile: Reader;
  readonly wfile: Writer;

  constructor(context: RequestContext) {
    super(context);
    this.connection = context.connection;
    const { timeoutMs } = new.target;
    // A blocking connection sees to its time itself.
    const timed = timeoutMs !== undefined && context.server.io === 'reactor';
    const channel = timed ? new TimedChannel(this.connection, timeoutMs) : this.connection;
    const { reader, writer } = makefile(channel);
    this.rfile = reader;
    this.wfile = writer;
  }

  /** Sends what `wfile` holds. That the peer has gone meanwhile is no error here. */
  override async finish(): Promise<void> {
    try {
      await this.wfile.flush();
    } catch {
      // The handler is done: nobody is left who could do anything about it.
    }
  }
}
