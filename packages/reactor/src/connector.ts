/**
 * Connecting: the addresses of a name in the order and with the delays of RFC 8305, a timeout, an abort, and one error at
 * the end.
 *
 *   names looked up ──▶ first attempt ──failed, or 250 ms──▶ next attempt … ──one connected──▶ the others are closed
 *         └───────────────┴── timeout, abort, reactor closed ──▶ all are closed      └── all failed ──▶ one error
 */
import { type Address, checkAddress, type Family, familyOf, type InetAddress, isUnixAddress } from './address.js';
import { checkFlag, checkTimeout } from './arguments.js';
import type { BackendSocket } from './backend/backend.js';
import { describe, misuse, outOfRange, SocketError, socketError } from './errors.js';
import { resolve } from './names.js';

export interface ConnectOptions {
  /** For the whole attempt, names included; 0 for none (30 000). Afterwards the promise rejects with ETIMEDOUT. */
  timeoutMs?: number;
  /** Ends the attempt: the promise rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Where to connect from: a literal. Only addresses of its family are tried then. */
  localAddress?: Address;
  /** `TCP_NODELAY` (true). */
  noDelay?: boolean;
  /** How long an attempt may take before the next address is tried beside it, in ms (250, as RFC 8305 advises). */
  attemptDelayMs?: number;
  /** Looks a name up, instead of the system's resolver: {@link lookup} with servers of your own, or a cache. The ports are not looked at. */
  lookup?: (host: string) => Promise<readonly Address[]>;
}

/** What connecting needs of its reactor. */
export interface ConnectorHost {
  socket(options: { type: 'stream'; family: 'ipv4' | 'ipv6' | 'unix' }): BackendSocket;
  /** Resolves when the socket is writable or in error; rejects when it is closed. */
  untilDecided(socket: BackendSocket): Promise<void>;
  setTimer(delayMs: number, callback: () => void): { cancel(): void };
  /** Ends those that are under way: called by the reactor when it is closed. */
  readonly connecting: Set<(error: unknown) => void>;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_ATTEMPT_DELAY_MS = 250;
/** A unix socket whose listener's queue is full is tried again: after this, doubled up to the longest. */
const FIRST_RETRY_MS = 5;
const LONGEST_RETRY_MS = 100;

/** Throws `ERR_REACTOR_ARGUMENT` or `ERR_REACTOR_ADDRESS`. */
export function checkConnect(address: Address, options: ConnectOptions): void {
  const target = checkAddress(address);
  if (!isUnixAddress(target) && target.port === 0)
    throw outOfRange('ERR_REACTOR_ARGUMENT', 'port 0 cannot be connected to');
  if (typeof options !== 'object' || options === null)
    throw misuse('ERR_REACTOR_ARGUMENT', `the options are an object, got ${describe(options)}`);
  checkTimeout(options.timeoutMs, 'timeoutMs');
  checkTimeout(options.attemptDelayMs, 'attemptDelayMs');
  checkSignal(options.signal);
  checkFlag(options.noDelay, 'noDelay', true);
  if (options.localAddress !== undefined) checkAddress(options.localAddress);
  if (options.lookup !== undefined && typeof options.lookup !== 'function')
    throw misuse('ERR_REACTOR_ARGUMENT', `lookup must be a function, got ${describe(options.lookup)}`);
}

export function checkSignal(signal: unknown): void {
  // By its shape: it may be a polyfill's.
  if (signal !== undefined && typeof (signal as AbortSignal | null)?.addEventListener !== 'function')
    throw misuse('ERR_REACTOR_ARGUMENT', `signal must be an AbortSignal, got ${describe(signal)}`);
}

/** Connects. The arguments were checked. */
export function connect(host: ConnectorHost, address: Address, options: ConnectOptions): Promise<BackendSocket> {
  return new Promise((resolvePromise, reject) => {
    new Connecting(host, address, options, resolvePromise, reject).begin();
  });
}

class Connecting {
  readonly #host: ConnectorHost;
  readonly #address: Address;
  readonly #options: ConnectOptions;
  readonly #resolve: (socket: BackendSocket) => void;
  readonly #reject: (error: unknown) => void;
  #targets: readonly Address[] = [];
  /** How many of the targets have been begun, and how many of those are undecided. */
  #begun = 0;
  #undecided = 0;
  /** What each attempt has failed with, or is being tried again for, in the order of the attempts. */
  readonly #errors: Error[] = [];
  readonly #sockets = new Set<BackendSocket>();
  readonly #timers = new Set<{ cancel(): void }>();
  #next: { cancel(): void } | undefined;
  #over = false;

  constructor(
    host: ConnectorHost,
    address: Address,
    options: ConnectOptions,
    resolvePromise: (socket: BackendSocket) => void,
    reject: (error: unknown) => void,
  ) {
    this.#host = host;
    this.#address = address;
    this.#options = options;
    this.#resolve = resolvePromise;
    this.#reject = reject;
  }

  begin(): void {
    const { signal, timeoutMs = DEFAULT_TIMEOUT_MS } = this.#options;
    if (signal?.aborted) {
      this.#reject(signal.reason);
      return;
    }
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#host.connecting.add(this.#fail);
    if (timeoutMs > 0) this.#after(timeoutMs, () => this.#fail(this.#timeout()));
    resolve(this.#address, this.#options.lookup).then((found) => {
      if (this.#over) return;
      try {
        this.#targets = alternating(reachableFrom(this.#options.localAddress, found));
      } catch (error) {
        this.#fail(error);
        return;
      }
      this.#attempt();
    }, this.#fail);
  }

  // --- the end -------------------------------------------------------------------------------------------------------

  readonly #onAbort = (): void => this.#fail(this.#options.signal?.reason);

  readonly #fail = (error: unknown): void => {
    if (this.#settle(undefined)) this.#reject(error);
  };

  /** Ends everything but `winner`. `false` where it was over already. */
  #settle(winner: BackendSocket | undefined): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#host.connecting.delete(this.#fail);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    for (const timer of this.#timers) timer.cancel();
    for (const socket of this.#sockets) if (socket !== winner) socket.close();
    return true;
  }

  #timeout(): SocketError {
    const errors = Object.values(this.#errors);
    const cause = errors.length > 0 ? combine(errors) : undefined;
    return socketError('ETIMEDOUT', 'connect', this.#address, cause === undefined ? undefined : { cause });
  }

  // --- the attempts --------------------------------------------------------------------------------------------------

  #attempt(): void {
    const index = this.#begun;
    this.#begun += 1;
    this.#undecided += 1;
    this.#next?.cancel();
    if (this.#begun < this.#targets.length)
      this.#next = this.#after(this.#options.attemptDelayMs ?? DEFAULT_ATTEMPT_DELAY_MS, () => this.#attempt());
    this.#try(index).then(
      (socket) => {
        if (this.#settle(socket)) this.#resolve(socket);
      },
      (error: Error) => this.#lost(index, error),
    );
  }

  #lost(index: number, error: Error): void {
    if (this.#over) return;
    this.#undecided -= 1;
    this.#errors[index] = error;
    // Misuse is the same for every address.
    if (!(error instanceof SocketError)) this.#fail(error);
    else if (this.#begun < this.#targets.length) this.#attempt();
    else if (this.#undecided === 0) this.#fail(combine(this.#errors));
  }

  async #try(index: number): Promise<BackendSocket> {
    const target = this.#targets[index] as Address;
    const socket = this.#host.socket({ type: 'stream', family: familyOf(target) as 'ipv4' | 'ipv6' | 'unix' });
    this.#sockets.add(socket);
    try {
      if (!isUnixAddress(target) && (this.#options.noDelay ?? true)) socket.setOption('noDelay', true);
      if (this.#options.localAddress !== undefined) socket.bind(this.#options.localAddress);
      await this.#connected(socket, target, index);
      // On the loopback interface the system may choose the very port that is connected to: TCP's simultaneous open
      // connects the socket with itself, though nobody listens.
      if (isSelf(socket)) {
        // Closed with a FIN it would keep the port for a minute (TIME_WAIT), also from the server that is to listen there.
        socket.reset();
        throw socketError('ECONNREFUSED', 'connect', target, { cause: new Error('it was connected with itself') });
      }
      return socket;
    } catch (error) {
      this.#sockets.delete(socket);
      // It is closed already where the connect is over, and where it was reset.
      if (!socket.closed) socket.close();
      throw error;
    }
  }

  /** A unix socket gives EAGAIN for a full queue, and is never told when there is room (connect(2)): tried by timer. */
  async #connected(socket: BackendSocket, target: Address, index: number): Promise<void> {
    for (let restMs = FIRST_RETRY_MS; ; restMs = Math.min(restMs * 2, LONGEST_RETRY_MS)) {
      try {
        if (socket.connect(target) === 'connecting') {
          do await this.#host.untilDecided(socket);
          while (!socket.finishConnect());
        }
        return;
      } catch (error) {
        if (!isUnixAddress(target) || (error as SocketError).code !== 'EAGAIN' || this.#over) throw error;
        this.#errors[index] = error as Error;
      }
      await new Promise<void>((done) => this.#after(restMs, done));
    }
  }

  #after(delayMs: number, callback: () => void): { cancel(): void } {
    const timer = this.#host.setTimer(delayMs, () => {
      this.#timers.delete(timer);
      callback();
    });
    this.#timers.add(timer);
    return timer;
  }
}

/** RFC 8305, 4: the family of the first address, then the other one, and so on in turn. */
function alternating(addresses: readonly Address[]): Address[] {
  const first = familyOf(addresses[0] as Address);
  const own = addresses.filter((address) => familyOf(address) === first);
  const others = addresses.filter((address) => familyOf(address) !== first);
  const mixed: Address[] = [];
  for (let i = 0; i < Math.max(own.length, others.length); i += 1)
    mixed.push(...own.slice(i, i + 1), ...others.slice(i, i + 1));
  return mixed;
}

/** The addresses of the local address's family. Where there is none, it cannot be connected from there. */
function reachableFrom(local: Address | undefined, addresses: readonly Address[]): readonly Address[] {
  const family = localFamily(local);
  if (family === undefined) return addresses;
  const reachable = addresses.filter((address) => familyOf(address) === family);
  if (reachable.length > 0) return reachable;
  throw misuse(
    'ERR_REACTOR_ADDRESS',
    `localAddress is of the family ${family}, and the address to connect to is not: got ${describe((addresses[0] as InetAddress).host ?? 'a path')}`,
  );
}

/** `undefined`: of both families ('' and 'localhost'), or a name, which `bind` refuses. */
function localFamily(local: Address | undefined): Family | undefined {
  if (local === undefined) return undefined;
  return !isUnixAddress(local) && (local.host === '' || local.host === 'localhost') ? undefined : familyOf(local);
}

function isSelf(socket: BackendSocket): boolean {
  if (socket.family === 'unix') return false;
  const local = socket.localAddress as InetAddress | undefined;
  const remote = socket.remoteAddress as InetAddress | undefined;
  return local !== undefined && remote !== undefined && local.port === remote.port && local.host === remote.host;
}

/** One error for all attempts: the only one, or the first attempt's with all of them in its cause. */
function combine(errors: readonly Error[]): Error {
  const [first] = errors;
  if (errors.length === 1 || !(first instanceof SocketError)) return first as Error;
  const { errno, syscall, address, port } = first;
  const at = address === undefined ? undefined : port === undefined ? { path: address } : { host: address, port };
  return new SocketError(errno, syscall, at, {
    cause: new AggregateError(errors, `none of ${errors.length} addresses could be connected to`),
  });
}
