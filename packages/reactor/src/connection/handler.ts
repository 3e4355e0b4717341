/** What a connection calls and how it behaves: its handler, its events and its options. */
import { checkFlag, checkMs } from '../arguments.js';
import { describe, misuse, outOfRange } from '../errors.js';
import type { AnyPlugin } from '../plugin/plugin.js';
import type { Connection } from './connection.js';

/**
 * Why a connection ended. `'peer'`: both sides have ended in order, whoever was first. `'local'`: `close`, `destroy`, `reset`
 * or `detach` was called, or its socket was closed beneath it. `'error'`: it failed, or a handler did. `'shutdown'`: the
 * reactor was stopped or closed while it was open. `error` stands with `'error'`, and where `destroy` was given one.
 */
export interface CloseInfo {
  by: 'peer' | 'local' | 'error' | 'shutdown';
  error?: Error;
}

/**
 * What a connection calls: one object for all of a listener's connections. Its methods are called before the listeners
 * of the event of the same name. A method that throws, or whose promise is rejected, closes this connection (see
 * `onHandlerError`), and no other.
 */
export interface ConnectionHandler<Context = {}> {
  open?(connection: Connection<Context>): void | Promise<void>;
  /** `chunk` belongs to the receiver, unless `borrowChunks` is set: then it holds its bytes until this method returns. */
  data?(connection: Connection<Context>, chunk: Buffer): void | Promise<void>;
  /** What was queued has fallen to the low-water mark, after a `write` that returned `false`. */
  drain?(connection: Connection<Context>): void | Promise<void>;
  /** The peer will send no more. Without `allowHalfOpen` the connection ends its own side then. */
  end?(connection: Connection<Context>): void | Promise<void>;
  /**
   * Nothing was received or sent for `idleMs`: once for each such stretch. Where neither this method nor a 'timeout'
   * listener is there, the connection is destroyed with ETIMEDOUT instead.
   */
  timeout?(connection: Connection<Context>): void | Promise<void>;
  /** The peer hung up while the connection was paused: what it sent before is still to be read. */
  hangup?(connection: Connection<Context>): void | Promise<void>;
  /** Once, before `close`. */
  error?(connection: Connection<Context>, error: Error): void | Promise<void>;
  /** Once, last of all. */
  close?(connection: Connection<Context>, info: CloseInfo): void | Promise<void>;
}

/** The events, with what their listeners are given. A network error that nobody hears is counted, never thrown. */
export interface ConnectionEvents {
  data: [chunk: Buffer];
  end: [];
  drain: [];
  timeout: [];
  hangup: [];
  error: [error: Error];
  close: [info: CloseInfo];
}

export interface ConnectionOptions {
  /** Keep the writing side open when the peer has ended (false). */
  allowHalfOpen?: boolean;
  /** `write` returns `false` while more bytes than this are queued (64 KiB). */
  highWaterMark?: number;
  /** 'drain' comes when the queue has fallen to this many bytes (16 KiB, or `highWaterMark` where that is less). */
  lowWaterMark?: number;
  /** A queue beyond this destroys the connection with `ERR_REACTOR_SLOW_CONSUMER` (16 MiB). */
  maxBufferedBytes?: number;
  /** Hand out the reactor's own read block, valid until the handler returns: for handlers that keep nothing (false). */
  borrowChunks?: boolean;
  /** 'timeout' comes when nothing was received or sent for so many ms, or up to 50 ms later; 0 for never (0). */
  idleMs?: number;
  /** While it reads: destroyed with ETIMEDOUT when nothing was received for so many ms; 0 for never (0). */
  readMs?: number;
  /** While bytes are queued: destroyed with ETIMEDOUT when none has left for so many ms; 0 for never (0). */
  writeMs?: number;
  /**
   * Make each connection an AsyncResource in which its handlers and listeners run, so that an AsyncLocalStorage keeps its
   * value for it: what `open` enters holds for all that follows (false). Without it what a handler enters by `enterWith` may
   * hold for whatever the reactor calls after it, whosever it is: use `run` there.
   */
  asyncContext?: boolean;
  /**
   * The plugins, in the place of the reactor's: a list replaces them, and an empty one goes without. The type of `context`
   * stays that of the reactor's own. A plugin that the reactor has not set up is set up now, and ends with the last listener
   * and connection that have it.
   */
  plugins?: readonly AnyPlugin[];
  /** What plugins are told of a connection that is made of a socket or Duplex ('inbound'). */
  direction?: 'inbound' | 'outbound';
}

/** The options with their defaults, shared by a listener's connections. */
export interface ConnectionSettings {
  readonly allowHalfOpen: boolean;
  readonly highWaterMark: number;
  readonly lowWaterMark: number;
  readonly maxBufferedBytes: number;
  readonly borrowChunks: boolean;
  readonly idleMs: number;
  readonly readMs: number;
  readonly writeMs: number;
  readonly asyncContext: boolean;
}

/** Checks the options and fills in their defaults. */
export function connectionSettings(options: ConnectionOptions = {}): ConnectionSettings {
  const count = (name: 'highWaterMark' | 'lowWaterMark' | 'maxBufferedBytes', fallback: number): number => {
    const value = options[name] ?? fallback;
    if (typeof value !== 'number')
      throw misuse('ERR_REACTOR_ARGUMENT', `${name} must be a number of bytes, got ${describe(value)}`);
    if (!(value >= 0)) throw outOfRange('ERR_REACTOR_ARGUMENT', `${name} must be 0 or more bytes, got ${value}`);
    return value;
  };
  const highWaterMark = count('highWaterMark', 64 * 1024);
  const lowWaterMark = count('lowWaterMark', Math.min(16 * 1024, highWaterMark));
  if (lowWaterMark > highWaterMark)
    throw outOfRange(
      'ERR_REACTOR_ARGUMENT',
      `lowWaterMark must not lie above highWaterMark, got ${lowWaterMark} above ${highWaterMark}`,
    );
  return {
    allowHalfOpen: checkFlag(options.allowHalfOpen, 'allowHalfOpen'),
    highWaterMark,
    lowWaterMark,
    maxBufferedBytes: count('maxBufferedBytes', 16 * 1024 * 1024),
    borrowChunks: checkFlag(options.borrowChunks, 'borrowChunks'),
    idleMs: checkMs(options.idleMs ?? 0, 'idleMs'),
    readMs: checkMs(options.readMs ?? 0, 'readMs'),
    writeMs: checkMs(options.writeMs ?? 0, 'writeMs'),
    asyncContext: checkFlag(options.asyncContext, 'asyncContext'),
  };
}
