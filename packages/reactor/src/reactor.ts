/** The reactor, as users meet it: a façade over the dispatcher, the backend and the layers that stand on them. */

import type { ChildProcess } from 'node:child_process';
import type { Server as NetServer, Socket as NetSocket } from 'node:net';
import type { MessagePort, Worker } from 'node:worker_threads';
import type { Address, ListenTarget } from './address.js';
import { checkDelay, checkFlag, checkTimeout, checkUnread, oneOf } from './arguments.js';
import type { Backend, BackendSocket, Capabilities } from './backend/backend.js';
import { selectBackend } from './backend/select-backend.js';
import { openChannelWaker } from './channel-waker.js';
import { Connection } from './connection/connection.js';
import { failByHandler } from './connection/ending.js';
import { type ConnectionHandler, type ConnectionOptions, connectionSettings } from './connection/handler.js';
import { opened, start } from './connection/opening.js';
import { type ConnectionHost, type ConnectionKind, HOST } from './connection/state.js';
import { type ConnectOptions, checkSignal } from './connector.js';
import type { Budgets } from './dispatch/batch.js';
import type { FailurePolicy } from './dispatch/delivery.js';
import { Dispatcher } from './dispatch/dispatcher.js';
import { describe, misuse, notSupported, socketError } from './errors.js';
import { FailureHandling } from './failure.js';
import { adoptNode } from './hand-off/node-handle.js';
import { receive } from './hand-off/transfer.js';
import { inspectReactor } from './inspect.js';
import { Life } from './life.js';
import { Listener, type ListenerSettings } from './listener.js';
import type { ListenOptions } from './listening.js';
import { type ReactorMetrics, snapshot } from './metrics.js';
import { ObservedBackend } from './observe/observed-backend.js';
import { ObservedDispatcher } from './observe/observed-dispatcher.js';
import type { Observer } from './observe/observer.js';
import { createObserver } from './observe/options.js';
import { Opening } from './opening.js';
import type { HookTable } from './plugin/compile.js';
import { checkLog } from './plugin/log.js';
import type { AnyPlugin, MissingPlugin, Plugin } from './plugin/plugin.js';
import { Plugins } from './plugin/plugins.js';
import type { ReactorOptions, RegisterOptions, ServeOptions, SocketCreation } from './reactor-options.js';
import { listenerSettings, reactorSettings } from './reactor-settings.js';
import { READ_CLOSED } from './readiness.js';
import type { AnyHandler, ReadinessCallback, ReadinessHandler, Registration } from './registration.js';
import { lookNow, type Selected, toSet } from './select.js';
import type { Socket, SocketReceiver } from './socket.js';
import type { Timer, TimerOptions } from './timers.js';
import { ReactorWaker } from './waker.js';

/**
 * A select-style reactor: one thread multiplexes sockets through readiness callbacks. It works from the first
 * registration on, driven by Node's own loop; `run()` only waits. The process lives as long as a registration, a
 * connection, a timer, a posted task or a select is there.
 */
export class Reactor<Context = {}> {
  readonly #backend: Backend;
  readonly #dispatcher: Dispatcher;
  readonly #failures: FailureHandling;
  readonly #budgets: Budgets;
  readonly #acceptBudget: number;
  /** `null` where nobody looks on. */
  readonly #observer: Observer | null;
  readonly #observing: readonly string[];
  readonly #unheard = { unheardErrors: 0, acceptFailures: 0, shed: 0 };
  readonly #connectionHost: ConnectionHost;
  readonly #made: number;
  readonly #opening: Opening;
  readonly #life: Life;
  readonly #plugins: Plugins;

  constructor(options: ReactorOptions = {}) {
    const { budgets, acceptBudget } = reactorSettings(options);
    this.#budgets = budgets;
    this.#acceptBudget = acceptBudget;
    this.#failures = new FailureHandling(options.onHandlerError, (registration, error) => {
      const { data } = registration;
      if (data instanceof Connection) failByHandler(data, error);
      else registration.socket.close();
    });
    const observer = createObserver(options);
    this.#observer = observer;
    this.#observing = (['trace', 'record', 'debug'] as const).filter((name) => options[name]);
    const backend = selectBackend(options.backend, options.faults);
    const onFailure: FailurePolicy = (error, registration) =>
      this.#failures.handle(error, registration, this.#dispatcher.timers);
    this.#backend = observer === null ? backend : new ObservedBackend(backend, observer);
    this.#dispatcher =
      observer === null
        ? new Dispatcher(this.#backend, this.#budgets, onFailure)
        : new ObservedDispatcher(this.#backend, this.#budgets, onFailure, observer);
    this.#made = this.#backend.driver.now();
    this.#plugins = new Plugins({
      dispatcher: this.#dispatcher,
      log: checkLog(options.log),
      looked: (hooks) => this.#looked(hooks),
    });
    this.#life = new Life(this.#dispatcher, this.#plugins);
    this.#opening = new Opening(
      {
        name: this.#backend.name,
        capabilities: this.#backend.capabilities,
        socket: (spec) => this.socket(spec) as BackendSocket,
        adopt: (fd) => this.adopt(fd) as BackendSocket,
      },
      this.#dispatcher,
      this.#life.pending,
    );
    this.#connectionHost = {
      dispatcher: this.#dispatcher,
      metrics: this.#unheard,
      hangupWhilePaused: this.#backend.capabilities.hangupWhilePaused,
      receivesAhead: this.#backend.demultiplexer.receiveAhead !== undefined,
      plugins: this.#plugins,
      observer,
    };
  }

  /** Which backend runs, and why. */
  get backend(): { name: Backend['name']; reason: string } {
    return { name: this.#backend.name, reason: this.#backend.reason };
  }

  /** What the backend can do. What it cannot do throws `ENOTSUP`. */
  get capabilities(): Capabilities {
    return this.#backend.capabilities;
  }

  /** What has happened so far, as a snapshot. */
  get metrics(): ReactorMetrics {
    return snapshot(this.#dispatcher, this.#unheard, this.#backend.driver.now() - this.#made);
  }

  // --- sockets -------------------------------------------------------------------------------------------------------

  /** A new socket: non-blocking, closed on exec. Throws a SocketError: `EMFILE`; `EPERM` for a raw one without the permission. */
  socket(options: SocketCreation = {}): Socket {
    this.#checkOpen();
    const type = oneOf('type', options.type ?? 'stream', ['stream', 'datagram', 'seqpacket', 'raw'] as const);
    const family = oneOf('family', options.family ?? 'ipv4', ['ipv4', 'ipv6', 'unix'] as const);
    const protocol = options.protocol ?? 0;
    // The system's numbers are ints.
    if (!Number.isInteger(protocol) || (protocol | 0) !== protocol)
      throw misuse('ERR_REACTOR_ARGUMENT', `protocol must be an integer, got ${describe(protocol)}`);
    return this.#backend.socket({ type, family, protocol });
  }

  /** Two sockets that are connected with each other (capability `socketPair`). */
  socketPair(options: { type?: 'stream' | 'datagram' | 'seqpacket' } = {}): [Socket, Socket] {
    this.#checkOpen();
    if (!this.capabilities.socketPair) throw notSupported('socketpair', 'socketPair', this.#backend.name);
    const type = oneOf('type', options.type ?? 'stream', ['stream', 'datagram', 'seqpacket'] as const);
    return this.#backend.socketPair({ type, family: 'unix', protocol: 0 });
  }

  /**
   * A socket for a descriptor that exists already (capability `adopt`): a socket, a pipe, a FIFO or a terminal. It
   * becomes non-blocking, and this reactor's to close. A regular file throws `ERR_REACTOR_NOT_POLLABLE`; a descriptor
   * that a socket of this thread has already, `ERR_REACTOR_ARGUMENT`; one that is not open, `EBADF`.
   */
  adopt(fd: number): Socket {
    this.#checkOpen();
    if (!this.capabilities.adopt) throw notSupported('adopt', 'adopt', this.#backend.name);
    return this.#backend.adopt(fd);
  }

  /**
   * Takes a connection or a server over from node:net (capability `adopt`), such as one that came by `child.send(message,
   * handle)`. Node's object is destroyed, or closed, without its peer noticing. `unread` is what Node had read and nobody
   * had taken: it comes before all that the socket gives (see `unread` of {@link connection}).
   *
   * Throws where something would be lost: `ERR_REACTOR_DETACH` while written bytes have not left; `ERR_REACTOR_SOCKET` for
   * a TLSSocket, after `setEncoding`, for a server at a path (Node removes that) and for one whose descriptor another
   * process has; `ERR_REACTOR_CLOSED` for what is closed, does not listen, or still connects. Nothing has changed then.
   */
  adoptNode(node: NetSocket | NetServer): { socket: Socket; unread: Buffer } {
    this.#checkOpen();
    if (!this.capabilities.adopt) throw notSupported('adoptNode', 'adopt', this.#backend.name);
    return adoptNode(this.#dispatcher, node);
  }

  /**
   * A socket that is bound and listening; of a name, on its first address. Rejects with the SocketError (`EADDRINUSE`,
   * `EACCES`) or the resolver's error.
   *
   * A unix path that a killed process has left is removed first: only a socket, and only when nobody answers a connect
   * to it; otherwise `EADDRINUSE`. The path that was made here is removed when the socket is closed (not when it is
   * detached), unless another file has taken its place.
   *
   * `{ fd }` takes over a descriptor that listens already (see {@link inheritedListeners}); the options do not concern
   * it. One that does not listen throws `ERR_REACTOR_SOCKET`, and stays the caller's.
   */
  async listen(target: ListenTarget, options: ListenOptions = {}): Promise<Socket> {
    this.#checkOpen();
    return this.#opening.listen(target, options);
  }

  /**
   * A connected stream socket. The addresses of a name are tried as RFC 8305 says: the families in turn, beginning with
   * the resolver's first, the next one when the one before has failed or is undecided for 250 ms; the first that connects
   * is taken, and the others are closed. When all have failed, rejects with the first attempt's error, in whose `cause`
   * an AggregateError has them all, each with its own address. `ETIMEDOUT` after `timeoutMs` for the whole, the signal's
   * reason when it is aborted, `ERR_REACTOR_CLOSED` when the reactor is closed meanwhile.
   *
   * A unix socket whose listener's queue is full is tried again until `timeoutMs`. A TCP socket that was connected with
   * itself (which happens on the loopback interface when nobody listens on a port of the ephemeral range) is refused.
   */
  async connect(address: Address, options: ConnectOptions = {}): Promise<Socket> {
    this.#checkOpen();
    return this.#opening.connect(address, options);
  }

  // --- readiness -----------------------------------------------------------------------------------------------------

  /**
   * Has `handler` called while `socket` has what `interest` asks for: level-triggered, so again in each turn until it
   * is read, or not asked for any more. A socket has at most one registration (`ERR_REACTOR_REGISTERED`); it ends with
   * `unregister` or with the socket. An unknown bit, HANGUP, or a bit without its method throws `ERR_REACTOR_INTEREST`.
   */
  register<Data = undefined>(
    socket: Socket,
    interest: number,
    handler: ReadinessHandler<Data> | ReadinessCallback<Data>,
    options: RegisterOptions<Data> = {},
  ): Registration<Data> {
    this.#checkOpen();
    const watched = this.#own(socket, 'register');
    if (typeof handler !== 'function' && (typeof handler !== 'object' || handler === null))
      throw misuse('ERR_REACTOR_ARGUMENT', `a handler is an object or a function, got ${describe(handler)}`);
    if (interest === READ_CLOSED && !this.capabilities.hangupWhilePaused)
      throw notSupported('register', 'hangupWhilePaused', this.#backend.name);
    return this.#dispatcher.register(
      watched,
      interest,
      this.#looked(handler as AnyHandler | ReadinessCallback),
      options.data,
      options.ref ?? true,
    ) as Registration<unknown> as Registration<Data>;
  }

  registrationOf(socket: Socket): Registration | undefined {
    const watch = (socket as BackendSocket).watch as { registration: Registration | null } | null;
    return watch?.registration ?? undefined;
  }

  /** The active registrations. */
  registrations(): IterableIterator<Registration> {
    return this.#dispatcher.slots.registrations();
  }

  /**
   * `select(2)` as a promise: three sets in, three subsets out, each in the order given. A socket may be in several
   * sets; duplicates are reported once. Resolves with three empty arrays after `timeoutMs` (`null` = never, 0 = a look),
   * and never before the next turn. Rejects with `EBADF` for a socket that is closed, also while waiting, and with the
   * signal's reason. Registrations of the same sockets are called first.
   */
  select(
    readers: Iterable<Socket>,
    writers: Iterable<Socket>,
    errors: Iterable<Socket>,
    timeoutMs: number | null = null,
    signal?: AbortSignal,
  ): Promise<Selected> {
    try {
      this.#checkOpen();
      checkSignal(signal);
      const sets = this.#sets(readers, writers, errors);
      return this.#dispatcher.selects.select(sets, checkTimeout(timeoutMs, 'timeoutMs') ?? null, signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * `select(2)` itself (capability `selectSync`): blocks this thread until something is ready or the time is over
   * (`null` = for ever). It is one poll(2), dispatches nothing, and may be called inside a handler. Three empty arrays
   * also when the thread was woken.
   */
  selectSync(
    readers: Iterable<Socket>,
    writers: Iterable<Socket>,
    errors: Iterable<Socket>,
    timeoutMs: number | null = null,
  ): Selected {
    this.#checkOpen();
    if (!this.capabilities.selectSync) throw notSupported('select', 'selectSync', this.#backend.name);
    const sets = this.#sets(readers, writers, errors);
    return lookNow(this.#dispatcher, sets, checkTimeout(timeoutMs, 'timeoutMs') ?? null) ?? [[], [], []];
  }

  // --- time and tasks ------------------------------------------------------------------------------------------------

  /** Calls back once after `delayMs`, or again and again. Timers fire in the order of their deadlines, then of their start. */
  setTimer(delayMs: number, callback: () => void, options: TimerOptions = {}): Timer {
    this.#checkOpen();
    checkDelay(delayMs, 'delayMs');
    if (options.repeatMs !== undefined) checkDelay(options.repeatMs, 'repeatMs');
    if (typeof callback !== 'function')
      throw misuse('ERR_REACTOR_ARGUMENT', `a timer's callback must be a function, got ${describe(callback)}`);
    return this.#dispatcher.timers.add(delayMs, this.#looked(callback), options);
  }

  /**
   * Resolves after `ms`. Rejects with `ERR_REACTOR_CLOSED` when the reactor is closed before: time that has not passed
   * must not look as if it had. A sleep that nobody waits for is no unhandled rejection then.
   */
  sleep(ms: number): Promise<void> {
    const slept = new Promise<void>((resolvePromise, reject) => {
      this.setTimer(ms, () => {
        this.#life.pending.delete(reject);
        resolvePromise();
      });
      this.#life.pending.add(reject);
    });
    slept.catch(() => {});
    return slept;
  }

  /** Milliseconds of the backend's clock: it never goes back, and is the one that timers follow. */
  now(): number {
    return this.#dispatcher.now();
  }

  /** Calls back in the next turn. What it throws is raised as an uncaughtException. */
  post(callback: () => void): void {
    this.#checkOpen();
    if (typeof callback !== 'function')
      throw misuse('ERR_REACTOR_ARGUMENT', `post takes a function, got ${describe(callback)}`);
    this.#dispatcher.post(callback);
  }

  // --- other threads and processes -----------------------------------------------------------------------------------

  /**
   * A way into this reactor from any thread of its process: send `waker.handle` there, and `Waker.from(handle).wake()` has
   * `callback` called here, once for all wakes before it, as a posted task. It keeps the process alive until it is closed,
   * unless `ref` is false or `unref` was called; it is closed with the reactor and with the thread.
   */
  waker(callback: () => void, options: { ref?: boolean } = {}): ReactorWaker {
    this.#checkOpen();
    if (typeof callback !== 'function')
      throw misuse('ERR_REACTOR_ARGUMENT', `a waker takes a function, got ${describe(callback)}`);
    const backend = this.#backend;
    const open = (woken: () => void) => backend.waker?.(woken) ?? openChannelWaker(woken);
    const waker = ReactorWaker.open(this.#dispatcher, open, this.#looked(callback));
    return (options.ref ?? true) ? waker.ref() : waker;
  }

  /**
   * Receives the sockets that `socket.transfer` and `connection.transfer` hand to this thread or process: from a Worker or a
   * MessagePort (`parentPort` in a worker), a ChildProcess or `process` (in a child), or a unix stream socket of this
   * reactor, which is for hand-offs alone from then on (capability `rawDescriptors`). Each comes without a registration, and
   * is this reactor's; a callback that throws refuses it. It should take the socket and no more: if this thread or process
   * ends within the callback, the giver has the socket again.
   *
   * It holds the process as a 'message' listener does, until it is disposed of or the reactor is closed. Messages of ours
   * have the single key '@fdset/hand-off': other listeners of the port see them, and leave them alone.
   */
  receiveSockets(
    from: MessagePort | Worker | ChildProcess | NodeJS.Process | Socket,
    callback: SocketReceiver,
  ): Disposable {
    this.#checkOpen();
    return receive(this.#dispatcher, from, callback);
  }

  // --- connections ---------------------------------------------------------------------------------------------------

  /**
   * Listens, and makes a {@link Connection} of every connection that comes. A function as handler is called with each
   * new connection.
   */
  async serve(
    target: ListenTarget,
    handler: ConnectionHandler<Context> | ((connection: Connection<Context>) => void),
    options: ServeOptions = {},
  ): Promise<Listener<Context>> {
    this.#checkOpen();
    if (typeof handler !== 'function' && (typeof handler !== 'object' || handler === null))
      throw misuse('ERR_REACTOR_ARGUMENT', `a connection handler is an object or a function, got ${describe(handler)}`);
    const noDelay = checkFlag(options.noDelay, 'noDelay', true);
    const settings = listenerSettings(target, options, this.#acceptBudget);
    checkSignal(options.signal);
    options.signal?.throwIfAborted();
    const hooks = this.#plugins.table(options.plugins);
    try {
      return await this.#serve(target, handler, options, { noDelay, settings, hooks });
    } finally {
      hooks?.release();
    }
  }

  async #serve(
    target: ListenTarget,
    handler: ConnectionHandler<Context> | ((connection: Connection<Context>) => void),
    options: ServeOptions,
    { noDelay, settings, hooks }: { noDelay: boolean; settings: ListenerSettings; hooks: HookTable | null },
  ): Promise<Listener<Context>> {
    const socket = await this.#opening.listen(target, options);
    try {
      options.signal?.throwIfAborted();
      this.#checkOpen();
      if (socket.type !== 'stream')
        throw misuse('ERR_REACTOR_SOCKET', `serve takes a listening stream socket, got a ${socket.type} socket`);
      // Linux gives TCP_NODELAY on to accepted sockets: one call instead of one for each connection.
      if (socket.family !== 'unix' && noDelay) socket.setOption('noDelay', true);
      return Listener.make<Context>({
        reactor: this,
        host: this.#connectionHost,
        socket,
        handler: this.#looked(typeof handler === 'function' ? { open: handler } : handler),
        settings,
        hooks,
        signal: options.signal,
      });
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /**
   * Connects, and gives the connection once the plugins have opened it. It reads once somebody listens: see
   * {@link Connection.resume}. Rejects with `ERR_PLUGIN_REFUSED` where a plugin does not want it, and with the error that it
   * ends with before it is open.
   */
  async open(address: Address, options: ConnectOptions & ConnectionOptions = {}): Promise<Connection<Context>> {
    this.#checkOpen();
    const settings = connectionSettings(options);
    const hooks = this.#plugins.table(options.plugins);
    try {
      const socket = await this.#opening.connect(address, options);
      const connection = this.#connection(socket, { handler: {}, settings, hooks }, 'outbound');
      await opened(connection);
      return connection;
    } finally {
      hooks?.release();
    }
  }

  /**
   * A connection over a connected stream socket of this reactor that has no registration: one that `accept`, `connect`,
   * `adopt`, `socketPair` or `receiveSockets` gave. The socket is the connection's from then on. `unread` are bytes that were
   * received before: they are delivered first, and belong to the connection. Where a plugin does not want the connection, its
   * socket is closed and `ERR_PLUGIN_REFUSED` thrown.
   */
  connection(
    socket: Socket,
    handler: ConnectionHandler<Context> = {},
    options: ConnectionOptions & { unread?: Uint8Array } = {},
  ): Connection<Context> {
    this.#checkOpen();
    const { unread } = options;
    if (unread !== undefined) checkUnread(unread);
    const owned = this.#own(socket, 'connection');
    const settings = connectionSettings(options);
    if (owned.closed) throw socketError('EBADF', 'connection');
    if (owned.listening || (owned.type !== 'stream' && owned.type !== 'pipe'))
      throw misuse(
        'ERR_REACTOR_SOCKET',
        `a connection needs a stream socket that does not listen, got a ${owned.listening ? 'listening' : owned.type} socket`,
      );
    if (owned.watch !== null && this.registrationOf(owned) !== undefined)
      throw misuse('ERR_REACTOR_REGISTERED', 'the socket has a registration already: unregister it first');
    const hooks = this.#plugins.table(options.plugins);
    try {
      return this.#connection(owned, { handler, settings, hooks }, options.direction ?? 'inbound', unread);
    } finally {
      hooks?.release();
    }
  }

  // --- plugins -------------------------------------------------------------------------------------------------------

  /**
   * Adds a plugin to the listeners that are opened, and the connections that are made, from now on: `connection.context[name]`
   * is what it keeps of each. Its setup is called at once. Gives this reactor, with the type of the longer context.
   *
   * Throws `ERR_PLUGIN_REQUIRES` where a plugin is missing that it requires, which the compiler sees too,
   * `ERR_PLUGIN_DUPLICATE` for a second one of its name, `ERR_PLUGIN_ARGUMENT` for what is no plugin, and what the setup
   * throws.
   */
  use<Name extends string, State, Needs>(
    plugin: Context extends Needs ? Plugin<Name, State, Needs> : MissingPlugin<Needs, Context>,
  ): Reactor<Context & { readonly [K in Name]: State }> {
    this.#checkOpen();
    this.#plugins.use(plugin as AnyPlugin);
    return this as never;
  }

  // --- life ----------------------------------------------------------------------------------------------------------

  /** Waits until `stop()` or the signal, and keeps the process alive meanwhile. */
  run(signal?: AbortSignal): Promise<void> {
    this.#checkOpen();
    checkSignal(signal);
    return this.#life.run(signal);
  }

  /**
   * Closes the listeners, gives the connections `drainMs` (0) to end by themselves after their side was ended, destroys
   * the rest, and ends `run()`.
   */
  async stop(options: { drainMs?: number } = {}): Promise<void> {
    await this.#life.stop(checkTimeout(options.drainMs, 'drainMs') ?? 0);
  }

  /** Keeps the process alive while something is registered: as at the beginning. */
  ref(): this {
    this.#dispatcher.setReferenced(true);
    return this;
  }

  /** Lets the process end although something is registered. */
  unref(): this {
    this.#dispatcher.setReferenced(false);
    return this;
  }

  /**
   * Destroys the listeners and connections, unregisters all other sockets without closing them, and stops: what still waits
   * is rejected with `ERR_REACTOR_CLOSED`, and `run` resolves. Idempotent.
   */
  close(): void {
    if (this.#dispatcher.closed) return;
    this.#life.close();
    this.#dispatcher.close();
    this.#plugins.end();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * A readable picture of several lines: the backend, the budgets, the counters, what is waited for, and each watched socket
   * with what it is asked for, what is ready at the moment, and the state of its listener or connection. For people: its form
   * may change.
   */
  inspect(): string {
    return inspectReactor({
      backend: this.#backend,
      dispatcher: this.#dispatcher,
      metrics: this.metrics,
      budgets: this.#budgets,
      acceptBudget: this.#acceptBudget,
      observing: this.#observing,
      plugins: this.#plugins.inspect(),
      idOf: (socket) => this.#observer?.idOf(socket) ?? 0,
    });
  }

  /** For what makes connections by itself. No part of the public API. @internal */
  get [HOST](): ConnectionHost {
    this.#checkOpen();
    return this.#connectionHost;
  }

  // --- inside --------------------------------------------------------------------------------------------------------

  #connection(
    socket: BackendSocket,
    wanted: Pick<ConnectionKind<Context>, 'handler' | 'settings' | 'hooks'>,
    direction: 'inbound' | 'outbound',
    unread?: Uint8Array,
  ): Connection<Context> {
    const parts = { ...wanted, host: this.#connectionHost, handler: this.#looked(wanted.handler) };
    const connection = Connection.makeWanted<Context>(parts, socket, direction);
    try {
      start(connection, unread);
    } catch (error) {
      connection.destroy();
      throw error;
    }
    return connection;
  }

  /** The handler or callback itself, or in debug mode one that is timed. */
  #looked<H extends object>(handler: H): H {
    return this.#observer?.debug?.timed(handler) ?? handler;
  }

  #checkOpen(): void {
    if (this.#dispatcher.closed) throw misuse('ERR_REACTOR_CLOSED', 'the reactor is closed');
  }

  #own(socket: Socket, verb: string): BackendSocket {
    const owned = socket as BackendSocket;
    if (typeof owned !== 'object' || owned === null || owned.host !== this.#dispatcher)
      throw misuse('ERR_REACTOR_SOCKET', `${verb} takes a socket of this reactor, got ${describe(socket)}`);
    return owned;
  }

  #sets(readers: Iterable<Socket>, writers: Iterable<Socket>, errors: Iterable<Socket>) {
    return [
      toSet(readers, this.#dispatcher, 'readers'),
      toSet(writers, this.#dispatcher, 'writers'),
      toSet(errors, this.#dispatcher, 'errors'),
    ] as const as [BackendSocket[], BackendSocket[], BackendSocket[]];
  }
}
