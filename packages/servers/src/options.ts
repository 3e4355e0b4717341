/** The options of a server: their checks and their defaults. */
import type { ResourceLimits } from 'node:worker_threads';
import type { Address, BackendChoice, ListenOptions, ListenTarget } from '@fdset/reactor';
import { describe, misuse, outOfRange } from './errors.js';
import type { IoMode, RequestHandlerClass } from './handlers.js';
import { nearest } from './nearest.js';
import type { Settings } from './settings.js';
import { STYLE_NAMES, type StyleName } from './styles/registry.js';

export interface ServerOptions extends ListenOptions {
  /** How connections are served. An unknown one throws `ERR_SERVER_STYLE`, with the nearest name. */
  style: StyleName;
  /**
   * A request handler class, or the module whose default export is one, as a URL or as a path ('./handler.js' is looked
   * up from the working directory). The styles with threads and processes load it by module: a class needs
   * `static module = import.meta.url` there (`ERR_SERVER_HANDLER_MODULE`).
   */
  handler: RequestHandlerClass | URL | string;
  /** Where to listen; port 0 lets the system choose (see `server.address`). */
  address: ListenTarget;
  /**
   * For 'thread-per-connection': 'reactor' (the default) gives each thread a reactor, as everywhere; with 'blocking' the
   * calls of `rfile` and `wfile` block the thread: for handlers that do one thing after the other. Timers do not fire
   * while a call waits.
   */
  io?: IoMode;
  /** The reactor's backend ('auto'). Threads and processes need descriptors: without them, `ENOTSUP`. */
  backend?: BackendChoice;
  /** Threads at once, of 'thread-per-connection' (250). Beyond it, connections wait in the system's queue. */
  maxThreads?: number;
  /** Processes at once, of 'process-per-connection' (40). Beyond it, connections wait in the system's queue. */
  maxChildren?: number;
  /** Limits of each thread's heap, which would size itself by the machine otherwise (64 MiB old, 8 MiB young). */
  resourceLimits?: ResourceLimits;
  /** `TCP_NODELAY` of the connections (true). */
  noDelay?: boolean;
  /** How long `handleRequest` waits for a connection, in ms (for ever). */
  timeoutMs?: number;
  /** How long the handlers that are at work at `shutdown` may go on by themselves, in ms (2000). */
  shutdownGraceMs?: number;
  /** Called with the peer's address before a connection is served; `false` closes it, and 'drop' is told. */
  verifyRequest?: (clientAddress: Address) => boolean;
  /** As of a `Connection`. */
  highWaterMark?: number;
  /** As of a `Connection`. */
  lowWaterMark?: number;
  /** As of a `Connection`. */
  maxBufferedBytes?: number;
}

const LISTEN_OPTIONS = ['backlog', 'reuseAddress', 'reusePort', 'ipv6Only', 'deferAccept', 'mode'] as const;
const CONNECTION_OPTIONS = ['highWaterMark', 'lowWaterMark', 'maxBufferedBytes'] as const;
const OWN_OPTIONS = [
  'style',
  'handler',
  'address',
  'io',
  'backend',
  'maxThreads',
  'maxChildren',
  'resourceLimits',
  'noDelay',
  'timeoutMs',
  'shutdownGraceMs',
  'verifyRequest',
] as const satisfies readonly (keyof ServerOptions)[];
const KNOWN: readonly string[] = [...OWN_OPTIONS, ...LISTEN_OPTIONS, ...CONNECTION_OPTIONS];

/** 64 MiB are room for a handler; V8's own default grows with the machine's memory, and is reserved by each thread. */
const DEFAULT_RESOURCE_LIMITS: ResourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 };

/** `ERR_SERVER_STYLE`, with the nearest name, for a style that there is not. */
export function checkStyle(options: ServerOptions): StyleName {
  if (typeof options !== 'object' || options === null)
    throw misuse('ERR_SERVER_ARGUMENT', `createServer takes an object of options, got ${describe(options as unknown)}`);
  const style: unknown = options.style;
  if (STYLE_NAMES.includes(style as StyleName)) return style as StyleName;
  const near = typeof style === 'string' ? nearest(style, STYLE_NAMES) : undefined;
  const list = STYLE_NAMES.map((name) => `'${name}'`).join(', ');
  throw misuse(
    'ERR_SERVER_STYLE',
    `there is no server style ${describe(style)}${near === undefined ? '' : `: is '${near}' meant?`} The styles are ${list}`,
  );
}

/** Checks the options. An unknown one throws `ERR_SERVER_ARGUMENT`, with the nearest name. */
export function checkOptions(options: ServerOptions): Settings {
  for (const name of Object.keys(options)) {
    if (KNOWN.includes(name)) continue;
    const near = nearest(name, KNOWN);
    throw misuse(
      'ERR_SERVER_ARGUMENT',
      `there is no option '${name}'${near === undefined ? `; the options are ${KNOWN.join(', ')}` : `: is '${near}' meant?`}`,
    );
  }
  const { address, io = 'reactor', verifyRequest, resourceLimits = {} } = options;
  if (typeof address !== 'object' || address === null)
    throw misuse(
      'ERR_SERVER_ARGUMENT',
      `address must be { host, port }, { path } or { fd }, got ${describe(address as unknown)}`,
    );
  if (io !== 'reactor' && io !== 'blocking')
    throw misuse('ERR_SERVER_ARGUMENT', `io must be 'reactor' or 'blocking', got ${describe(io)}`);
  if (io === 'blocking' && options.style !== 'thread-per-connection')
    throw misuse(
      'ERR_SERVER_ARGUMENT',
      `io: 'blocking' is for the style 'thread-per-connection', got '${options.style}'`,
    );
  if (verifyRequest !== undefined && typeof verifyRequest !== 'function')
    throw misuse('ERR_SERVER_ARGUMENT', `verifyRequest must be a function, got ${describe(verifyRequest)}`);
  if (typeof resourceLimits !== 'object' || resourceLimits === null)
    throw misuse('ERR_SERVER_ARGUMENT', `resourceLimits must be an object, got ${describe(resourceLimits)}`);
  return {
    io,
    maxThreads: count(options, 'maxThreads', 250),
    maxChildren: count(options, 'maxChildren', 40),
    resourceLimits: { ...DEFAULT_RESOURCE_LIMITS, ...resourceLimits },
    noDelay: options.noDelay ?? true,
    timeoutMs: options.timeoutMs === undefined ? undefined : milliseconds(options, 'timeoutMs', 0),
    shutdownGraceMs: milliseconds(options, 'shutdownGraceMs', 2000),
    verifyRequest,
    connection: { ...pick(options, CONNECTION_OPTIONS), allowHalfOpen: true },
  };
}

/** Those that go to the reactor's `listen`, which checks them. */
export function listenOptions(options: ServerOptions): ListenOptions {
  return pick(options, LISTEN_OPTIONS);
}

function count(options: ServerOptions, name: 'maxThreads' | 'maxChildren', fallback: number): number {
  const value = options[name] ?? fallback;
  if (typeof value !== 'number')
    throw misuse('ERR_SERVER_ARGUMENT', `${name} must be a number, got ${describe(value)}`);
  if (!Number.isInteger(value) || value < 1)
    throw outOfRange('ERR_SERVER_ARGUMENT', `${name} must be an integer of 1 or more, got ${value}`);
  return value;
}

/** What `setTimeout` takes at most; beyond it, it fires at once. */
const LONGEST_MS = 2 ** 31 - 1;

function milliseconds(options: ServerOptions, name: 'timeoutMs' | 'shutdownGraceMs', fallback: number): number {
  const value = options[name] ?? fallback;
  if (typeof value !== 'number')
    throw misuse('ERR_SERVER_ARGUMENT', `${name} must be a number of ms, got ${describe(value)}`);
  if (!(value >= 0 && value <= LONGEST_MS))
    throw outOfRange('ERR_SERVER_ARGUMENT', `${name} must be from 0 to ${LONGEST_MS} ms, got ${value}`);
  return value;
}

function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
  const picked = {} as Pick<T, K>;
  for (const name of names) if (from[name] !== undefined) picked[name] = from[name];
  return picked;
}
