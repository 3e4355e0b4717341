/**
 * The server: listens, accepts, and has its style serve what comes.
 *
 *   starting ──activate()──▶ ready ──shutdown()──▶ draining ──nothing is served any more──▶ stopped ('close')
 *      └────────── it cannot listen, or the handler cannot be loaded ─────────────────────────▲
 */
import { constants } from 'node:os';
import { type Address, Reactor, type Socket, SocketError } from '@fdset/reactor';
import { AcceptLoop } from '@fdset/reactor/internal';
import { EventEmitter } from 'eventemitter3';
import { afterArrivals } from './after-arrivals.js';
import { deferred } from './deferred.js';
import { codeOf, misuse, ServerError } from './errors.js';
import { handlerSource } from './handler-source.js';
import type { ServerView } from './handlers.js';
import { refuseNested } from './nested.js';
import { checkOptions, checkStyle, listenOptions, type ServerOptions } from './options.js';
import { Reports } from './reports.js';
import type { ServerEvents, ServerHealth, ServerStats } from './server-events.js';
import { Servings } from './servings.js';
import type { Settings } from './settings.js';
import { STYLES, type StyleName } from './styles/registry.js';
import type { Serving, Style } from './styles/style.js';

/** A server of one of the styles; made by {@link createServer}. */
export class Server extends EventEmitter<ServerEvents> implements AsyncDisposable {
  readonly style: StyleName;
  /** Where it listens; rejects when it cannot. Begun by `activate`, `serveForever` or `handleRequest`. */
  readonly listening: Promise<Address>;

  readonly #options: ServerOptions;
  readonly #settings: Settings;
  readonly #runner: Style;
  readonly #servings = new Servings();
  readonly #reports = new Reports((error) => this.emit('error', error));
  readonly #counters = { accepted: 0, dropped: 0, acceptFailures: 0, shed: 0 };
  readonly #stopping = new AbortController();
  readonly #stopped = deferred<void>();
  readonly #listening = deferred<Address>();
  #reactor: Reactor | undefined;
  #loop: AcceptLoop | undefined;
  #address: Address | undefined;
  #health: ServerHealth = 'starting';
  #activated = false;
  #busy: 'serveForever' | 'handleRequest' | undefined;
  /** A `handleRequest` that waits for its connection. */
  #awaited: ((socket: Socket | undefined) => void) | undefined;

  /** @internal use {@link createServer} */
  constructor(options: ServerOptions) {
    super();
    this.style = checkStyle(options);
    this.#options = options;
    this.#settings = checkOptions(options);
    const server = this;
    this.#runner = STYLES[this.style]({
      name: this.style,
      get reactor() {
        return server.#reactor as Reactor;
      },
      settings: this.#settings,
      source: handlerSource(options.handler),
      view: () => this.#view(),
      failed: (error, clientAddress) => this.#reports.handlerFailed(error, clientAddress),
      worker: (info) => this.#reports.tell(() => this.emit('worker', info)),
    });
    this.listening = this.#listening.promise;
    // Whoever awaits it is told; who does not, learns of it from serveForever.
    this.listening.catch(() => {});
  }

  /** Where it listens: `undefined` before. With port 0 the port that the system has chosen. Stays after the shutdown. */
  get address(): Address | undefined {
    return this.#address;
  }

  /** 'starting' until it listens, 'ready' while it accepts or could, 'draining' from `shutdown` on, then 'stopped'. */
  health(): ServerHealth {
    return this.#health;
  }

  stats(): ServerStats {
    const active = this.#servings.size;
    const { helpers } = this.#runner;
    return {
      ...this.#counters,
      failed: this.#reports.failed,
      active,
      peak: this.#servings.peak,
      threads: helpers === 'threads' ? active : 0,
      children: helpers === 'children' ? active : 0,
    };
  }

  /**
   * Loads the handler, binds and listens, without accepting: connections wait in the system's queue. Idempotent; resolves
   * and rejects as `listening` does.
   */
  activate(): Promise<Address> {
    if (!this.#activated) {
      this.#activated = true;
      this.#activate().then(this.#listening.resolve, (error: unknown) => {
        this.#listening.reject(this.#stopping.signal.aborted ? closedError() : error);
        this.#stop();
      });
    }
    return this.listening;
  }

  /**
   * Accepts and serves connections until `shutdown()` or the signal. Resolves when accepting has ended, all handlers are
   * done, and every thread and process that was started has ended and was reaped. Rejects when it cannot listen, or when
   * the handler cannot be loaded. After a shutdown, also one that came before this call, it resolves without serving.
   */
  async serveForever(signal?: AbortSignal): Promise<void> {
    this.#occupy('serveForever');
    const onAbort = (): void => this.#stop();
    if (signal?.aborted) this.#stop();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      if (!this.#stopping.signal.aborted) await this.activate();
      this.#loop?.resume();
    } catch (error) {
      if (codeOf(error) === 'ERR_SERVER_CLOSED') return;
      this.#stop();
      throw error;
    } finally {
      await this.#stopped.promise;
      signal?.removeEventListener('abort', onAbort);
      this.#busy = undefined;
    }
  }

  /**
   * Accepts one connection and serves it to the end of its handler; for the styles 'iterative' and 'reactor'. `'timeout'`
   * when none has come within the option `timeoutMs`, `'rejected'` when `verifyRequest` has refused it. Rejects when it
   * cannot listen, and with `ERR_SERVER_CLOSED` when the server is shut down meanwhile.
   */
  async handleRequest(): Promise<'handled' | 'timeout' | 'rejected'> {
    if (!this.#runner.inProcess)
      throw misuse(
        'ERR_SERVER_STYLE',
        `handleRequest is for the styles 'iterative' and 'reactor', not for '${this.style}'`,
      );
    this.#occupy('handleRequest');
    try {
      await this.activate();
      if (this.#stopping.signal.aborted) throw closedError();
      const socket = await this.#nextConnection();
      if (socket === 'timeout') return 'timeout';
      if (socket === undefined) throw closedError();
      const serving = this.#admit(socket);
      if (serving === undefined) return 'rejected';
      await serving.done;
      return 'handled';
    } finally {
      this.#busy = undefined;
    }
  }

  /**
   * Ends accepting: the listening socket is closed, and connections that nobody has accepted are reset. May be called
   * from anywhere, also by a handler, and at any time, also before `serveForever`; it waits for no handler. Idempotent.
   *
   * The handlers at work have `shutdownGraceMs` to finish by themselves. Then they are asked to end: the call that waits
   * for the peer fails with `ERR_SERVER_SHUTDOWN`, a blocked thread is woken for it, and a child gets SIGTERM; `finish`
   * still runs. What is not over after one more second is ended: threads are terminated, children get SIGKILL, and a
   * handler in this thread, which nobody can end, is given up. `serveForever` resolves after all that.
   */
  shutdown(): Promise<void> {
    this.#stop();
    return Promise.resolve();
  }

  /** Shuts down, and waits until everything has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop();
    await this.#stopped.promise;
  }

  // --- starting ------------------------------------------------------------------------------------------------------

  #occupy(what: 'serveForever' | 'handleRequest'): void {
    refuseNested();
    if (this.#busy !== undefined)
      throw new ServerError('ERR_SERVER_RUNNING', `${what} was called while ${this.#busy} is under way`);
    this.#busy = what;
  }

  async #activate(): Promise<Address> {
    refuseNested();
    const { signal } = this.#stopping;
    signal.throwIfAborted();
    const { backend = 'auto', address: target } = this.#options;
    const reactor = new Reactor({
      backend,
      // A listener of a handler's own has thrown: its connection ends, the server goes on.
      onHandlerError: (error, { socket }) => {
        this.#reports.handlerFailed(error, socket.remoteAddress ?? UNNAMED);
        return 'close';
      },
    });
    this.#reactor = reactor;
    this.#requireCapabilities(reactor);
    const listener = await reactor.listen(target, listenOptions(this.#options));
    const sink = {
      accepted: (socket: Socket) => this.#accepted(socket),
      starved: (error: Error, first: boolean) => {
        if (first) this.#reports.error(error);
      },
    };
    this.#loop = new AcceptLoop(reactor, listener, sink, { budget: ACCEPT_BUDGET, counters: this.#counters });
    signal.throwIfAborted();
    // Linux gives TCP_NODELAY on to accepted sockets: one call instead of one for each connection.
    if (listener.family !== 'unix' && this.#settings.noDelay) listener.setOption('noDelay', true);
    const address = listener.localAddress ?? UNNAMED;
    await this.#runner.prepare(signal);
    signal.throwIfAborted();
    this.#address = address;
    this.#health = 'ready';
    this.#reports.tell(() => this.emit('listening', address));
    return address;
  }

  #requireCapabilities(reactor: Reactor): void {
    const { needs } = this.#runner;
    if (needs === undefined || reactor.capabilities[needs]) return;
    const { name, reason } = reactor.backend;
    const error = new SocketError(-constants.errno.ENOTSUP, 'listen');
    error.message = `listen ENOTSUP: the style '${this.style}' hands descriptors on, and the ${name} backend lacks the capability '${needs}' (${name} runs because: ${reason})`;
    throw error;
  }

  // --- serving -------------------------------------------------------------------------------------------------------

  #nextConnection(): Promise<Socket | undefined | 'timeout'> {
    return new Promise((resolve) => {
      const loop = this.#loop as AcceptLoop;
      const { timeoutMs } = this.#settings;
      const settle = (outcome: Socket | undefined | 'timeout'): void => {
        timer?.cancel();
        halt?.();
        this.#awaited = undefined;
        loop.release();
        resolve(outcome);
      };
      let halt: (() => void) | undefined;
      const expire = (): void => {
        halt = afterArrivals(() => settle('timeout'));
      };
      const timer = timeoutMs === undefined ? undefined : this.#reactor?.setTimer(timeoutMs, expire);
      this.#awaited = settle;
      loop.resume();
    });
  }

  #accepted(socket: Socket): void {
    if (this.#awaited === undefined) this.#admit(socket);
    else this.#awaited(socket);
  }

  /** Has the style serve the connection, if `verifyRequest` agrees. Never throws. */
  #admit(socket: Socket): Serving | undefined {
    const clientAddress = socket.remoteAddress ?? UNNAMED;
    this.#counters.accepted += 1;
    let serving: Serving;
    try {
      if (this.#settings.verifyRequest?.(clientAddress) === false) {
        socket.close();
        this.#counters.dropped += 1;
        this.#reports.tell(() => this.emit('drop', clientAddress));
        return undefined;
      }
      this.#reports.tell(() => this.emit('connection', clientAddress));
      serving = this.#runner.serve(socket, clientAddress);
    } catch (error) {
      socket.close();
      this.#reports.handlerFailed(error, clientAddress);
      return undefined;
    }
    void this.#servings.add(serving).then(() => {
      if (this.#busy === 'serveForever' && this.#servings.size < this.#runner.limit) this.#loop?.resume();
    });
    if (this.#servings.size >= this.#runner.limit) this.#loop?.pause();
    return serving;
  }

  #view(): ServerView {
    return { style: this.style, io: this.#settings.io, address: this.#address as Address };
  }

  // --- stopping ------------------------------------------------------------------------------------------------------

  #stop(): void {
    if (this.#stopping.signal.aborted) return;
    this.#health = 'draining';
    this.#loop?.stop();
    this.#stopping.abort();
    this.#awaited?.(undefined);
    if (!this.#activated) this.#listening.reject(closedError());
    void this.#finish();
  }

  async #finish(): Promise<void> {
    // The start must not be under way any more: it stops at the abort.
    if (this.#activated) await this.listening.catch(() => {});
    this.#loop?.stop();
    await this.#servings.drain(this.#settings.shutdownGraceMs);
    // With it go the connections whose peers have not hung up yet.
    this.#reactor?.close();
    this.#health = 'stopped';
    this.#stopped.resolve();
    this.#reports.tell(() => this.emit('close'));
  }
}

/**
 * A server. Misuse of the options throws at once (`TypeError` or `RangeError`); nothing is opened before `activate`,
 * `serveForever` or `handleRequest`.
 *
 * ```ts
 * const server = createServer({ style: 'reactor', handler: Echo, address: { host: '127.0.0.1', port: 7000 } });
 * await server.serveForever();
 * ```
 *
 * Codes: `ERR_SERVER_STYLE`, `ERR_SERVER_ARGUMENT`, `ERR_SERVER_HANDLER_CLASS`, `ERR_SERVER_HANDLER_MODULE`.
 */
export function createServer(options: ServerOptions): Server {
  return new Server(options);
}

/** Connections accepted in one turn. */
const ACCEPT_BUDGET = 64;

/** A peer without a name: most clients of unix sockets. */
const UNNAMED: Address = { path: '' };

function closedError(): ServerError {
  return new ServerError('ERR_SERVER_CLOSED', 'the server was shut down');
}
