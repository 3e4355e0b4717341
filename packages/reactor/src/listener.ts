/** A listening socket that turns waiting connections into {@link Connection}s. How it accepts is accept-loop.ts's. */
import { EventEmitter } from 'eventemitter3';
import { type AcceptHost, AcceptLoop } from './accept-loop.js';
import type { BackendSocket } from './backend/backend.js';
import { Refusal } from './connection/admission.js';
import { Connection } from './connection/connection.js';
import { failByHandler } from './connection/ending.js';
import type { ConnectionHandler, ConnectionSettings } from './connection/handler.js';
import { start } from './connection/opening.js';
import { type ConnectionHost, type ConnectionKind, NO_CONTEXT } from './connection/state.js';
import { acceptFailed, listenerListens } from './diagnostics.js';
import { PluginError } from './errors.js';
import { type HookTable, invoke } from './plugin/compile.js';
import type { Socket } from './socket.js';

export interface ListenerEvents {
  /** Accepting failed for want of descriptors or memory: once for each episode, which ends with the next success. */
  error: [error: Error];
  /** A connection came while `maxConnections` were open, and was closed (`overload: 'close'`). */
  drop: [];
  /** Accepting has ended: by `close`, or because the socket was closed or detached beneath the listener. Told once. */
  close: [];
}

export interface ListenerSettings {
  readonly connection: ConnectionSettings;
  readonly maxConnections: number;
  readonly overload: 'pause' | 'close';
  readonly acceptBudget: number;
  readonly backlog: number | undefined;
}

/** What a listener is made of. */
export interface ListenerParts<Context> {
  readonly reactor: AcceptHost;
  readonly host: ConnectionHost;
  /** It listens already, and is the listener's from then on. */
  readonly socket: BackendSocket;
  readonly handler: ConnectionHandler<Context>;
  readonly settings: ListenerSettings;
  /** It keeps them until it is closed. */
  readonly hooks: HookTable | null;
  /** Closes it. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Accepts as long as it is open and neither paused nor full, within a budget of connections a turn (`acceptBudget`).
 *
 * When descriptors run out (`EMFILE`, `ENFILE`), what waits is accepted with a descriptor kept in reserve and closed at
 * once, so that the peers need not wait in vain; then the listener rests for 100 ms, doubling to 1 s while it fails
 * again. 'error' is told once for each such episode; `metrics.acceptFailures` and `metrics.shed` count.
 */
export class Listener<Context = {}> extends EventEmitter<ListenerEvents> {
  /** The backlog as the system takes it: cut to `net.core.somaxconn`. `undefined` of an inherited descriptor: it listened already. */
  readonly backlog: number | undefined;
  readonly #socket: BackendSocket;
  readonly #kind: ConnectionKind<Context>;
  readonly #settings: ListenerSettings;
  readonly #loop: AcceptLoop;
  #connections = 0;
  #paused = false;
  #full = false;
  #closed = false;

  /** Made by `reactor.serve`. */
  private constructor({ reactor, host, socket, handler, settings, hooks, signal }: ListenerParts<Context>) {
    super();
    this.backlog = settings.backlog;
    this.#socket = socket;
    const context = (hooks?.context ?? NO_CONTEXT) as Context;
    this.#kind = { host, handler, settings: settings.connection, hooks, context, owner: this };
    this.#settings = settings;
    const sink = {
      accepted: (accepted: Socket) => this.#admit(accepted as BackendSocket),
      starved: (error: Error, first: boolean) => {
        if (acceptFailed.hasSubscribers) acceptFailed.publish({ listener: this as unknown as Listener, error });
        if (first) this.#report(error);
      },
      // Told when the socket is closed, and not from within its close: whoever hears of it may close what he likes.
      gone: () => {
        this.#closed = true;
        hooks?.release();
        queueMicrotask(() => this.emit('close'));
      },
    };
    this.#loop = new AcceptLoop(reactor, socket, sink, {
      budget: settings.acceptBudget,
      counters: host.metrics,
      data: this,
    });
    this.#loop.resume();
    hooks?.retain();
    if (signal !== undefined) this.#closeOn(signal);
    if (listenerListens.hasSubscribers)
      listenerListens.publish({ listener: this as unknown as Listener, address: socket.localAddress });
  }

  /** @internal */
  static make<Context>(parts: ListenerParts<Context>): Listener<Context> {
    return new Listener<Context>(parts);
  }

  /** Its state, for people. @internal */
  static describe(listener: Listener): string {
    const paused = listener.#paused ? 'paused' : listener.#loop.resting ? 'resting after an error' : 'accepting';
    return `${listener.#full ? 'full' : paused}, ${listener.#connections} open`;
  }

  get socket(): Socket {
    return this.#socket;
  }

  /** Connections that were accepted here and are open. */
  get connections(): number {
    return this.#connections;
  }

  /**
   * Stops accepting: connections wait in the system's queue, as many as the backlog holds; to their peers they seem
   * connected, and what they send waits too. Idempotent.
   */
  pause(): void {
    this.#paused = true;
    this.#settle();
  }

  resume(): void {
    this.#paused = false;
    this.#settle();
  }

  /**
   * Stops listening. The open connections stay; connections that nobody accepted are reset by the system. Idempotent.
   * To close or detach `socket` ends the listener likewise.
   */
  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#loop.stop();
      this.#kind.hooks?.release();
      this.emit('close');
    }
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #closeOn(signal: AbortSignal): void {
    const onAbort = (): void => void this.close();
    signal.addEventListener('abort', onAbort, { once: true });
    this.once('close', () => signal.removeEventListener('abort', onAbort));
  }

  #settle(): void {
    if (this.#closed) return;
    if (this.#paused || this.#full) this.#loop.pause();
    else this.#loop.resume();
  }

  #admit(accepted: BackendSocket): void {
    const { maxConnections, overload } = this.#settings;
    if (this.#connections >= maxConnections) {
      // Only with overload 'close': 'pause' does not accept beyond the limit.
      accepted.close();
      this.emit('drop');
      return;
    }
    const connection = Connection.make<Context>(this.#kind, accepted, 'inbound');
    if (connection instanceof Refusal) {
      accepted.close();
      return;
    }
    this.#connections += 1;
    try {
      start(connection);
    } catch (error) {
      // The kernel refuses to watch it (ENOSPC, epoll_ctl(2)): nothing is left behind.
      failByHandler(connection, error);
    }
    if (overload === 'pause' && this.#connections >= maxConnections) {
      this.#full = true;
      this.#settle();
    }
  }

  /** An error of its own: plugins hear of it first. */
  #report(error: Error): void {
    const { host, hooks } = this.#kind;
    for (const step of hooks?.error ?? []) {
      const result = invoke(step, undefined, error);
      if (result instanceof PluginError) step.plugin.failed(result);
    }
    const heard = this.emit('error', error) || (hooks !== null && hooks.error.length > 0);
    if (!heard) host.metrics.unheardErrors += 1;
  }

  /** The names of its plugins, in the order of their calls. @internal */
  static pluginsOf(listener: Listener): readonly string[] {
    return listener.#kind.hooks?.plugins.map(({ plugin }) => plugin.name) ?? [];
  }

  /** A connection has ended. Called by it. @internal */
  left(): void {
    this.#connections -= 1;
    if (!this.#full) return;
    this.#full = false;
    this.#settle();
  }
}
