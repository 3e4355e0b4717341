/**
 * The debug mode: it finds what works by luck or fails far from its cause. What is wrong anyway (a verb on a closed socket
 * throws EBADF) stays as it is and is explained; what is allowed but suspicious becomes a warning of the process.
 */
import type { BackendSocket } from '../backend/backend.js';
import type { Connection } from '../connection/connection.js';
import { describeConnection } from '../connection/state.js';
import type { AnyHandler, ReadinessCallback } from '../registration.js';

/** The codes of the warnings (`process.on('warning')`, name `FdsetWarning`), with what each means. */
export const WARNINGS = {
  WARN_REACTOR_DOUBLE_CLOSE:
    'a socket or connection was closed a second time: allowed, but its number may be another’s by now',
  WARN_REACTOR_SLOW_HANDLER: 'a handler ran for longer than slowHandlerMs: nothing else was served meanwhile',
  WARN_REACTOR_USE_AFTER_CLOSE: 'a closed socket or connection was used; the cause holds the stack of the close',
} as const;

export type WarningCode = keyof typeof WARNINGS;

/** What a borrowed chunk is filled with when its handler has returned. */
const POISON = 0xdb;

type Method = (...args: unknown[]) => unknown;
type Callable = object | Method;
/** The function that the user has called: the stacks begin at whoever called it. */
type Called = (...args: never[]) => unknown;

/** What is remembered of a socket or connection that was closed. */
interface Closed {
  /** Its stack is that of the close. */
  readonly site: Error;
  /** Each code once. */
  readonly warned: Set<WarningCode>;
}

export class Debug {
  readonly #slowHandlerMs: number;
  readonly #closed = new WeakMap<object, Closed>();
  /** The sockets of connections: the connection closes them, and answers for it. */
  readonly #owned = new WeakSet<object>();
  #lent: Uint8Array | null = null;
  /** Of the time that handlers took: what was warned of already. A slow handler within another call is told once. */
  #warnedMs = 0;

  constructor(slowHandlerMs: number) {
    this.#slowHandlerMs = slowHandlerMs;
  }

  closed(socket: BackendSocket, id: number, verb: string, called: Called): void {
    this.#closed.set(socket, closedHere(`socket #${id} was closed by ${verb}()`, called));
  }

  closedTwice(socket: BackendSocket, id: number, verb: string, called: Called): void {
    if (this.#owned.has(socket)) return;
    const closed = this.#closed.get(socket);
    warnOnce(closed, 'WARN_REACTOR_DOUBLE_CLOSE', `${verb}() on socket #${id}, which is closed already`, called);
  }

  /** A verb of a closed socket has thrown `error`, which gets the stack of the close as its cause. */
  usedAfterClose(socket: BackendSocket, id: number, verb: string, called: Called, error: unknown): void {
    const closed = this.#closed.get(socket);
    if (closed !== undefined && error instanceof Error && error.cause === undefined)
      Object.defineProperty(error, 'cause', { value: closed.site, configurable: true, writable: true });
    warnOnce(closed, 'WARN_REACTOR_USE_AFTER_CLOSE', `${verb}() on socket #${id}, which is closed`, called);
  }

  /** Puts methods of its own in the place of a connection's. `id` is its socket's. */
  connection(connection: Connection, id: number): void {
    this.#owned.add(connection.socket);
    this.#watchWrite(connection, id);
    for (const verb of ['close', 'destroy', 'reset'] as const) this.#watchEnd(connection, id, verb);
    const emit = connection.emit.bind(connection) as Method;
    define(connection, 'emit', (event: keyof typeof connection, ...values: unknown[]) =>
      this.#time(() => emit(event, ...values), `a listener of '${String(event)}' of connection #${id}`),
    );
  }

  /** Dropped data is no error, but seldom meant. */
  #watchWrite(connection: Connection, id: number): void {
    const write = connection.write.bind(connection) as Method;
    const watched: Method = (data) => {
      if (connection.closed) {
        const message = `write() on connection #${id}, which is ${describeConnection(connection)}: the data is dropped`;
        warnOnce(this.#closed.get(connection.socket), 'WARN_REACTOR_USE_AFTER_CLOSE', message, watched);
      }
      return write(data);
    };
    define(connection, 'write', watched);
  }

  #watchEnd(connection: Connection, id: number, verb: 'close' | 'destroy' | 'reset'): void {
    const end = connection[verb].bind(connection) as Method;
    const watched: Method = (...args) => {
      const closed = this.#closed.get(connection);
      if (connection.closed && closed !== undefined) {
        const message = `${verb}() on connection #${id}, which is ${describeConnection(connection)}`;
        warnOnce(closed, 'WARN_REACTOR_DOUBLE_CLOSE', message, watched);
      } else if (!connection.closed && closed === undefined)
        this.#closed.set(connection, closedHere(`connection #${id} was closed by ${verb}()`, watched));
      return end(...args);
    };
    define(connection, verb, watched);
  }

  /** The same callback or handler, whose calls are timed. Its methods are looked up anew for each call. */
  timed<C extends Callable>(callable: C): C {
    if (typeof callable === 'function') {
      const name = `the handler ${callable.name || '(anonymous)'}`;
      const call = callable as Method;
      return ((...args: unknown[]) => this.#time(() => call(...args), name)) as C;
    }
    return wrapped(callable, (method, target, key) => {
      const name = `the handler ${nameOf(target, method, key)}`;
      return (...args) => this.#time(() => method.apply(target, args), name);
    });
  }

  /** A chunk is given away that is the reactor's own, until the handler returns. */
  lent(chunk: Uint8Array): void {
    this.#lent = chunk;
  }

  /** The same handler, after whose `readable` what was lent is spoilt: who has kept it reads 0xdb. */
  poisoning(handler: AnyHandler | ReadinessCallback): AnyHandler | ReadinessCallback {
    if (typeof handler === 'function') return handler;
    return wrapped(handler, (method, target, key) => {
      if (key !== 'readable') return method;
      return (...args) => {
        try {
          return method.apply(target, args);
        } finally {
          // Its memory may have been transferred.
          if (this.#lent !== null && this.#lent.length > 0) this.#lent.fill(POISON);
          this.#lent = null;
        }
      };
    });
  }

  #time(call: () => unknown, name: string): unknown {
    // The clock of the world, also where the reactor's is a virtual one.
    const began = performance.now() - this.#warnedMs;
    try {
      return call();
    } finally {
      const took = performance.now() - this.#warnedMs - began;
      if (took > this.#slowHandlerMs) {
        this.#warnedMs += took;
        const message = `${name} ran for ${took.toFixed(1)} ms (slowHandlerMs is ${this.#slowHandlerMs}): nothing else was served meanwhile`;
        process.emitWarning(message, { type: 'FdsetWarning', code: 'WARN_REACTOR_SLOW_HANDLER' satisfies WarningCode });
      }
    }
  }
}

/** An error that nobody throws: it carries the stack of the call that it is made in. */
function closedHere(message: string, called: Called): Closed {
  const site = new Error(message);
  Error.captureStackTrace(site, called);
  return { site, warned: new Set() };
}

function warnOnce(closed: Closed | undefined, code: WarningCode, message: string, called: Called): void {
  if (closed?.warned.has(code)) return;
  closed?.warned.add(code);
  warn(code, message, called, closed?.site);
}

/** Node prints the detail, and the warning's own stack only with --trace-warnings: so the detail has both places. */
function warn(code: WarningCode, message: string, called: Called, cause?: Error): void {
  const warning = new Error(message, cause === undefined ? undefined : { cause });
  Error.captureStackTrace(warning, called);
  const [, ...frames] = (warning.stack ?? '').split('\n');
  const detail = [...frames, ...(cause?.stack === undefined ? [] : [cause.stack])].join('\n');
  process.emitWarning(Object.assign(warning, { name: 'FdsetWarning', code, detail }));
}

function define(connection: Connection, name: keyof Connection, value: unknown): void {
  Object.defineProperty(connection, name, { value, configurable: true, writable: true, enumerable: false });
}

/** An object with the same methods, but for what `wrap` makes of them; fields and absent methods are those of `target`. */
function wrapped<T extends object>(target: T, wrap: (method: Method, target: T, key: PropertyKey) => Method): T {
  // Not a proxy of the target itself: of a frozen one it would have to give the very same methods.
  return new Proxy({} as T, {
    get(_nothing, key) {
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? wrap(value as Method, target, key) : value;
    },
    has: (_nothing, key) => key in target,
  });
}

/** `EchoHandler.data`, or what the function itself is called. */
function nameOf(target: object, method: Method, key: PropertyKey): string {
  const { name } = target.constructor ?? Object;
  return name !== 'Object' && name !== '' ? `${name}.${String(key)}` : method.name || String(key);
}
