/**
 * Every error that @fdset/servers raises has a code of {@link SERVER_ERRORS}. Misuse is a `TypeError` or `RangeError` and
 * is thrown at once; what goes wrong while serving is a {@link ServerError}. Errors of the system stay `SocketError`s.
 */
import { inspect } from 'node:util';
import type { Address } from '@fdset/reactor';

/** The codes, with what each means. The documentation is checked against this table. */
export const SERVER_ERRORS = {
  ERR_SERVER_ARGUMENT: 'an option is unknown, has a wrong type, lies outside its range, or does not fit the style',
  ERR_SERVER_CHILD: 'the process that served a connection could not be started, or ended before its handler was done',
  ERR_SERVER_CLOSED: 'the server was shut down before what was asked for could happen',
  ERR_SERVER_HANDLER: 'a handler threw, or its promise was rejected; the cause is what it threw',
  ERR_SERVER_HANDLER_CLASS: 'the handler is neither a request handler class nor the URL of a module',
  ERR_SERVER_HANDLER_MODULE: 'the style loads its handler by module, and that module is missing or exports no handler',
  ERR_SERVER_NESTED: 'a server was started inside a thread or process that a server had started for a connection',
  ERR_SERVER_RUNNING: 'the server is serving already, or waits for a request already',
  ERR_SERVER_SHUTDOWN: 'the server was shut down while the handler was at work',
  ERR_SERVER_STYLE: 'there is no such server style, or the style cannot do what was asked for',
  ERR_SERVER_THREAD: 'the thread that served a connection could not be started, or ended before its handler was done',
  ERR_SERVER_TIMEOUT: 'the peer sent or took nothing for as long as the handler waits',
} as const;

export type ServerErrorCode = keyof typeof SERVER_ERRORS;

/** Something went wrong while serving. Programs decide by `code`. */
export class ServerError extends Error {
  readonly code: ServerErrorCode;
  /** Whose connection it was, where one is concerned. */
  declare readonly clientAddress?: Address;

  constructor(code: ServerErrorCode, message: string, options: { cause?: unknown; clientAddress?: Address } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    if (options.clientAddress !== undefined) this.clientAddress = options.clientAddress;
  }

  override get name(): string {
    return 'ServerError';
  }
}

/** What a handler's pending call fails with when the server's grace is over. */
export function shutdownError(): ServerError {
  return new ServerError('ERR_SERVER_SHUTDOWN', SERVER_ERRORS.ERR_SERVER_SHUTDOWN);
}

/** What a handler's call fails with after its `timeoutMs`. */
export function timeoutError(verb: 'sent' | 'took', timeoutMs: number): ServerError {
  return new ServerError('ERR_SERVER_TIMEOUT', `the peer ${verb} nothing for ${timeoutMs} ms`);
}

/** A `TypeError` with a code: the value is of a wrong kind. `message` says what was given and what is wanted. */
export function misuse(code: ServerErrorCode, message: string): TypeError & { code: ServerErrorCode } {
  return Object.assign(new TypeError(message), { code });
}

/** A `RangeError` with a code: the kind is right, the value is not. */
export function outOfRange(code: ServerErrorCode, message: string): RangeError & { code: ServerErrorCode } {
  return Object.assign(new RangeError(message), { code });
}

/** The code of an error, if it has one. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** What a thrown value says, whatever it is. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  return typeof thrown === 'string' ? thrown : inspect(thrown, { depth: 1, breakLength: Number.POSITIVE_INFINITY });
}

/** How a value is named in a message: short, and never its whole content. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return value.length > 100 ? `'${value.slice(0, 97)}...'` : `'${value}'`;
  if (typeof value === 'function') return value.name === '' ? 'an anonymous function' : `function ${value.name}`;
  if (value === null || typeof value !== 'object') return String(value);
  return value.constructor === undefined || value.constructor === Object ? 'an object' : `a ${value.constructor.name}`;
}

/** `127.0.0.1:80`, `[::1]:80` or the path, for messages. */
export function formatAddress(address: Address): string {
  if ('path' in address) return address.path === '' ? '(unnamed)' : address.path.replace('\0', '@');
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
