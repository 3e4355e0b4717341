/** A listening socket that turns waiting connections into {@link Connection}s, in a budgeted loop. */
import { EventEmitter } from 'eventemitter3';
import type { BackendSocket } from './backend/backend.js';
import { Connection } from './connection.js';
import type { ConnectionHandler, ConnectionSettings } from './connection-handler.js';
import type { ConnectionHost, ConnectionKind } from './connection-state.js';
import { acceptFailed, listenerListens } from './diagnostics.js';
import { SocketError } from './errors.js';
import { READABLE } from './readiness.js';
import type { ReadinessHandler, SocketRegistration } from './registration.js';
import type { Socket } from './socket.js';
import type { Timer } from './timers.js';

export interface ListenerEvents {
  /** Accepting failed for want of descriptors or memory: once for each episode, which ends with the next success. */
  error: [error: Error];
  /** A connection came while `maxConnections` were open, and was closed (`overload: 'close'`). */
  drop: [];
  /** Accepting has ended. */
  close: [];
}

export interface ListenerSettings {
  readonly connection: ConnectionSettings;
  readonly maxConnections: number;
  readonly overload: 'pause' | 'close';
  readonly acceptBudget: number;
}

/** The connection was gone before it was accepted, or the call was interrupted: the next one is tried. */
const TRANSIENT: ReadonlySet<string> = new Set(['ECONNABORTED', 'ECONNRESET', 'EPROTO', 'EINTR', 'EPERM']);
/** The pause after a failed accept, in ms: doubled up to the longest one while it keeps failing. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1000;

export class Listener<Context = {}> extends EventEmitter<ListenerEvents> {
  readonly #host: ConnectionHost;
  readonly #socket: BackendSocket;
  readonly #kind: ConnectionKind<Context>;
  readonly #settings: ListenerSettings;
  readonly #registration: SocketRegistration;
  #connections = 0;
  #paused = false;
  #full = false;
  #closed = false;
  #pauseMs = 0;
  #retry: Timer | null = null;

  /** Made by `reactor.serve`. `socket` listens already. */
  constructor(
    host: ConnectionHost,
    socket: BackendSocket,
    handler: ConnectionHandler<Context>,
    settings: ListenerSettings,
    context: Context,
  ) {
    super();
    this.#host = host;
    this.#socket = socket;
    this.#kind = { host, handler, settings: settings.connection, context, owner: this };
    this.#settings = settings;
    this.#registration = host.dispatcher.register(socket, READABLE, Listener.#readiness, this, true);
    if (listenerListens.hasSubscribers)
      listenerListens.publish({ listener: this as unknown as Listener, address: socket.localAddress });
  }

  static readonly #readiness: ReadinessHandler<unknown> = {
    readable(_socket, registration) {
      (registration.data as Listener).#acceptWaiting();
    },
  };

  /** Its state, for people. */
  static describe(listener: Listener): string {
    const paused = listener.#paused ? 'paused' : listener.#retry !== null ? 'resting after an error' : 'accepting';
    return `${listener.#full ? 'full' : paused}, ${listener.#connections} open`;
  }

  get socket(): Socket {
    return this.#socket;
  }

  /** Connections that were accepted here and are open. */
  get connections(): number {
    return this.#connections;
  }

  /** Stops accepting: connections wait in the system's queue, as many as the backlog holds. Idempotent. */
  pause(): void {
    this.#paused = true;
    this.#rearm();
  }

  resume(): void {
    this.#paused = false;
    this.#rearm();
  }

  /** Stops listening. The open connections stay; connections that nobody accepted are reset by the system. Idempotent. */
  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#retry?.cancel();
      this.#socket.close();
      this.emit('close');
    }
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #rearm(): void {
    if (this.#closed || !this.#registration.active) return;
    const interest = this.#paused || this.#full || this.#retry !== null ? 0 : READABLE;
    if (interest !== this.#registration.interest) this.#registration.modify(interest);
  }

  #acceptWaiting(): void {
    for (let i = 0; i < this.#settings.acceptBudget; i += 1) {
      // A handler may have closed or paused it.
      if (this.#closed || this.#paused || this.#full) return;
      let accepted: BackendSocket | null;
      try {
        accepted = this.#socket.accept() as BackendSocket | null;
      } catch (error) {
        if (error instanceof SocketError && TRANSIENT.has(error.code)) continue;
        this.#starve(error as Error);
        return;
      }
      if (accepted === null) return;
      this.#pauseMs = 0;
      this.#admit(accepted);
    }
  }

  #admit(accepted: BackendSocket): void {
    const { maxConnections, overload } = this.#settings;
    if (this.#connections >= maxConnections) {
      // Only with overload 'close': 'pause' does not accept beyond the limit.
      accepted.close();
      this.emit('drop');
      return;
    }
    this.#connections += 1;
    const connection = new Connection<Context>(this.#kind, accepted);
    try {
      Connection.start(connection as Connection<never>);
    } catch (error) {
      // The kernel refuses to watch it (ENOSPC, epoll_ctl(2)): nothing is left behind.
      Connection.fail(connection as Connection<never>, error);
    }
    if (overload === 'pause' && this.#connections >= maxConnections) {
      this.#full = true;
      this.#rearm();
    }
  }

  /** A connection has ended. Called by it. */
  left(): void {
    this.#connections -= 1;
    if (!this.#full) return;
    this.#full = false;
    this.#rearm();
  }

  /** No descriptors or no memory: a listener that is ready all the time would spin, so it rests. */
  #starve(error: Error): void {
    if (acceptFailed.hasSubscribers) acceptFailed.publish({ listener: this as unknown as Listener, error });
    const first = this.#pauseMs === 0;
    this.#pauseMs = first ? FIRST_PAUSE_MS : Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    this.#retry = this.#host.dispatcher.timers.add(this.#pauseMs, () => {
      this.#retry = null;
      this.#rearm();
    });
    this.#rearm();
    if (first && !this.emit('error', error)) this.#host.metrics.unheardErrors += 1;
  }
}
