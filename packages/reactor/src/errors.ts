/**
 * Every error that @fdset/reactor raises. Misuse is a `TypeError` or `RangeError` with a code of {@link MISUSE} and is
 * thrown at once; trouble of the system is a {@link SocketError} with the code of its errno.
 */

import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import type { Address } from './address.js';

/** The codes of misuse, with what each means. The documentation is checked against this table. */
export const MISUSE = {
  ERR_PLUGIN_ARGUMENT: 'a plugin is wrongly defined, or its host was called with what does not concern it',
  ERR_PLUGIN_DUPLICATE: 'two plugins have the same name',
  ERR_PLUGIN_HOOK: 'a hook of a plugin threw, or returned what it may not',
  ERR_PLUGIN_REFUSED: 'a plugin has refused the connection',
  ERR_PLUGIN_REQUIRES: 'a plugin that another one requires does not stand before it',
  ERR_REACTOR_ADDRESS: 'an address is not of the form that the socket takes',
  ERR_REACTOR_ARGUMENT: 'an argument has a wrong type or lies outside its range',
  ERR_REACTOR_BACKEND: 'the backend is unknown, cannot run here, or serves another reactor',
  ERR_REACTOR_BUFFER: 'a buffer is no Uint8Array, or the range does not lie within it',
  ERR_REACTOR_CLOSED: 'the reactor, listener or connection is closed',
  ERR_REACTOR_DETACH:
    'the connection cannot be detached: unsent bytes, a held end, an error, or a Duplex that reads it',
  ERR_REACTOR_HOLD: 'a hold of the connection was not released in its time',
  ERR_REACTOR_INTEREST: 'the interest has an unknown bit, or a bit without its method in the handler',
  ERR_REACTOR_NAME: 'a socket verb was given a host name; only literals, "" and "localhost" need no look-up',
  ERR_REACTOR_NOT_POLLABLE: 'the descriptor cannot be waited on (a regular file or a directory)',
  ERR_REACTOR_REGISTERED: 'the socket has a registration already',
  ERR_REACTOR_SERVICE: 'the services file has no such service for that protocol',
  ERR_REACTOR_SLOW_CONSUMER: 'the peer reads too slowly: more than maxBufferedBytes are waiting for it',
  ERR_REACTOR_SOCKET: 'the value is no socket of this reactor',
  ERR_REACTOR_TRANSFER: 'a socket was not taken: its receiver has ended, refused it, or did not answer in time',
  ERR_REACTOR_WRITE_AFTER_END: 'write was called after end',
} as const;

export type MisuseCode = keyof typeof MISUSE;

/** A `TypeError` with a code: the value is of a wrong kind. `message` says what was given and what is wanted. */
export function misuse(code: MisuseCode, message: string, options?: ErrorOptions): TypeError & { code: MisuseCode } {
  return withCode(new TypeError(message, options), code);
}

/** A `RangeError` with a code: the kind is right, the value is not. */
export function outOfRange(code: MisuseCode, message: string): RangeError & { code: MisuseCode } {
  return withCode(new RangeError(message), code);
}

function withCode<E extends Error>(error: E, code: MisuseCode): E & { code: MisuseCode } {
  Error.captureStackTrace?.(error, error instanceof RangeError ? outOfRange : misuse);
  return Object.assign(error, { code });
}

/** How a value is named in a message: short, and never its whole content. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return value.length > 60 ? `'${value.slice(0, 57)}...'` : `'${value}'`;
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`;
  if (value === null || typeof value !== 'object') return String(value);
  if (ArrayBuffer.isView(value)) return `${value.constructor.name} of ${value.byteLength} bytes`;
  return value.constructor === undefined || value.constructor === Object ? 'an object' : `a ${value.constructor.name}`;
}

/**
 * A system call failed. Like Node's own `SystemError`: `code` is the errno's name (`ECONNREFUSED`), `errno` is negative,
 * `syscall` the call that failed, `address` and `port` (or the path in `address`) are present where one is concerned.
 */
export class SocketError extends Error {
  readonly code: string;
  /** The negated errno, as libuv and Node give it. */
  readonly errno: number;
  readonly syscall: string;
  readonly address?: string;
  readonly port?: number;

  constructor(errno: number, syscall: string, address?: Address, options?: ErrorOptions) {
    const code = errnoName(errno);
    const at = address === undefined ? '' : ` ${'path' in address ? address.path : `${address.host}:${address.port}`}`;
    super(`${syscall} ${code}${at}`, options);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
    if (address !== undefined) {
      if ('path' in address) this.address = address.path;
      else {
        this.address = address.host;
        this.port = address.port;
      }
    }
  }

  override get name(): string {
    return 'SocketError';
  }
}

/** The error of a system call by its errno's name, on every platform. */
export function socketError(code: string, syscall: string, address?: Address, options?: ErrorOptions): SocketError {
  const number = (constants.errno as Record<string, number>)[code] ?? 0;
  return new SocketError(-number, syscall, address, options);
}

/** A name that could not be looked up: the resolver's codes (`ENOTFOUND`, `EAI_AGAIN`) are no errnos. */
export function lookupError(host: string, cause: unknown, syscall = 'getaddrinfo'): SocketError {
  const { code = 'ENOTFOUND', errno = 0 } = cause as NodeJS.ErrnoException;
  const error = new SocketError(0, syscall, undefined, { cause });
  return Object.assign(error, { code, errno, message: `${syscall} ${code} ${host}` });
}

/** What a backend cannot do: `ENOTSUP`, with the missing capability in the message. */
export function notSupported(syscall: string, capability: string, backend: string): SocketError {
  const error = socketError('ENOTSUP', syscall);
  error.message = `${syscall} ENOTSUP: the ${backend} backend lacks the capability '${capability}'`;
  return error;
}

/** `ENODEV`, with what was taken for the name or the address of a network interface. */
export function noInterface(given: string, syscall: string): SocketError {
  const error = socketError('ENODEV', syscall);
  error.message = `${syscall} ENODEV: there is no interface ${describe(given)}`;
  return error;
}

function errnoName(errno: number): string {
  if (errno >= 0) return 'UNKNOWN';
  const name = getSystemErrorName(errno);
  if (!name.startsWith('Unknown')) return name;
  // libuv knows fewer errnos than the system.
  for (const [known, value] of Object.entries(constants.errno)) if (value === -errno) return known;
  return `E${-errno}`;
}

/**
 * A hook of a plugin has failed: `ERR_PLUGIN_HOOK`. `plugin` and `hook` are the names; `cause` is what it threw, where it
 * threw.
 */
export class PluginError extends Error {
  readonly code = 'ERR_PLUGIN_HOOK';
  readonly plugin: string;
  readonly hook: string;

  private constructor(plugin: string, hook: string, what: string, options?: ErrorOptions) {
    super(`the hook '${hook}' of plugin '${plugin}' ${what}`, options);
    this.plugin = plugin;
    this.hook = hook;
  }

  override get name(): string {
    return 'PluginError';
  }

  /** @internal */
  static thrown(plugin: string, hook: string, cause: unknown): PluginError {
    return new PluginError(plugin, hook, `threw ${cause instanceof Error ? cause.message : describe(cause)}`, {
      cause,
    });
  }

  /** @internal */
  static refused(plugin: string, hook: string, returned: string): PluginError {
    return new PluginError(plugin, hook, `returned ${returned}`);
  }
}

/** An exception that nobody may catch here: an uncaughtException, after the batch, as Node does with a listener's. */
export function raise(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}
