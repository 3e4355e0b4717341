/** A listening node:net server, and the connections that wait to be accepted. */
import { createServer, type Socket as NetSocket, type Server } from 'node:net';
import type { Address } from '../../address.js';
import { fromEndpoint } from './addresses.js';
import { SEND_LIMIT } from './stream.js';

/** Who hears of a queue. */
export interface AcceptOwner<Connection> {
  /** A connection has come. What this returns waits to be accepted. */
  onConnection(stream: NetSocket): Connection;
  /** It listens, or there is something in the queue. */
  onQueue(): void;
  onListenFailure(error: NodeJS.ErrnoException): void;
}

export interface ListenSettings {
  readonly ipv6Only: boolean;
  readonly reusePort: boolean;
}

export class AcceptQueue<Connection> {
  listening = false;
  readonly #server: Server;
  readonly #owner: AcceptOwner<Connection>;
  readonly #isUnix: boolean;
  #closed = false;
  #backlog: number;
  #waiting: Connection[] = [];

  /** Starts to listen. The outcome comes as `onQueue` or `onListenFailure`. */
  constructor(owner: AcceptOwner<Connection>, address: Address, backlog: number, settings: ListenSettings) {
    this.#owner = owner;
    this.#backlog = backlog;
    this.#isUnix = 'path' in address;
    // `highWaterMark`: accepted sockets tell when they are drained at the mark that `send` goes by.
    this.#server = createServer({ allowHalfOpen: true, highWaterMark: SEND_LIMIT } as object);
    this.#server.on('connection', this.#onConnection);
    this.#server.on('error', this.#onError);
    this.#server.once('listening', this.#onListening);
    // `exclusive`: in a cluster's worker, too, this process itself listens.
    const target = 'path' in address ? { path: address.path } : { host: address.host, port: address.port, ...settings };
    this.#server.listen({ ...target, backlog, exclusive: true });
    this.#server.unref();
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** Where it listens; `undefined` until then. */
  get address(): Address | undefined {
    const address = this.#server.address();
    if (address === null) return undefined;
    return typeof address === 'string' ? { path: address } : fromEndpoint(address.address, address.port);
  }

  /** How many connections may wait from now on. */
  set backlog(value: number) {
    this.#backlog = value;
  }

  take(): Connection | null {
    return this.#waiting.shift() ?? null;
  }

  /** Stops to listen, and returns the connections that nobody has accepted. */
  close(): Connection[] {
    this.#closed = true;
    // Before it listens there is nothing to close yet: `#onListening` sees to it.
    if (this.listening) this.#server.close();
    this.listening = false;
    return this.#waiting.splice(0);
  }

  readonly #onListening = (): void => {
    if (this.#closed) {
      this.#server.close();
      return;
    }
    this.listening = true;
    this.#owner.onQueue();
  };

  readonly #onConnection = (stream: NetSocket): void => {
    stream.unref();
    if (this.#closed || this.#waiting.length >= Math.max(this.#backlog, 1)) {
      stream.on('error', ignore);
      // A unix socket has no reset.
      if (this.#isUnix) stream.destroy();
      else stream.resetAndDestroy();
      return;
    }
    this.#waiting.push(this.#owner.onConnection(stream));
    this.#owner.onQueue();
  };

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    if (!this.#closed) this.#owner.onListenFailure(error);
  };
}

function ignore(): void {}
