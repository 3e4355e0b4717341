/** What a plugin is told and what it is given. Types only: whatever calls hooks stands elsewhere. */
import type { Address } from '../address.js';
import type { Connection } from '../connection/connection.js';
import type { CloseInfo } from '../connection/handler.js';

/** A connection that comes about, before there is one. */
export interface AcceptInfo {
  /** Whether the peer has connected to us, or we to the peer. */
  readonly direction: 'inbound' | 'outbound';
  readonly remoteAddress: Address | undefined;
  readonly localAddress: Address | undefined;
}

/** A turn that is over. */
export interface TurnMetrics {
  /** Its number. */
  readonly turn: number;
  /** Events that it took from the demultiplexer. */
  readonly events: number;
  readonly elapsedMs: number;
}

/**
 * What a plugin does: each hook is optional, and one that is absent costs nothing. All are synchronous but `shutdown`: a
 * decision that takes its time returns 'hold', or takes `connection.hold()`.
 *
 * Bytes that come in pass the plugins in their order and then reach the handler, the listeners and iterators; bytes that are
 * written pass them in reverse. A hook that throws, or returns what it may not (a promise), ends its connection with a
 * {@link PluginError}, and no other.
 */
export interface Hooks<Context = {}> {
  /**
   * Whether a connection may come about: `false` refuses, and so does a throw. A plugin behind this one may still refuse it:
   * what counts connections counts them in `open` and `close`.
   */
  accept?(info: AcceptInfo): boolean | void;
  /**
   * The connection is there. 'hold': the plugins behind this one, and the handler, are told of it when `host.open` is called;
   * until then it is read, and what this plugin passes on waits.
   */
  open?(connection: Connection<Context>): void | 'hold';
  /**
   * A chunk has come. Return another one in its place, `null` to swallow it, nothing to pass it on. With `borrowChunks` it
   * holds its bytes until this returns. Where the connection is held or paused here, what is passed on waits.
   */
  data?(connection: Connection<Context>, chunk: Buffer): Uint8Array | null | void;
  /** A message that framing has decoded: another one, `null` to swallow it, nothing to pass it on. */
  message?(connection: Connection<Context>, message: unknown): unknown;
  /**
   * A chunk is written. Return another one in its place, `null` to swallow it, nothing to pass it on. What counts for
   * back-pressure is what is queued below all plugins: one that keeps bytes back bounds them itself. It may come before `open`,
   * where a plugin before this one holds that up and the program has the connection already (`reactor.connection`).
   */
  write?(connection: Connection<Context>, chunk: Uint8Array): Uint8Array | null | void;
  /**
   * The peer has ended. A chunk that is returned comes in before the end; one that takes its time is delivered while the
   * connection is held (`connection.hold()`).
   */
  end?(connection: Connection<Context>): Uint8Array | null | void;
  /**
   * Our side ends: what `host.send` gives now is the last before FIN. 'hold': FIN waits for `host.finish`. Called in reverse,
   * as `write` is, of each connection whose `open` was called.
   */
  finish?(connection: Connection<Context>): void | 'hold';
  drain?(connection: Connection<Context>): void;
  /** Idle: whoever has this hook answers for it, as with a handler's `timeout`. */
  timeout?(connection: Connection<Context>): void;
  /** Once, of each connection whose `open` was called; after the handler and the listeners, in reverse. */
  close?(connection: Connection<Context>, info: CloseInfo): void;
  /** An error of a connection, before its handler and listeners; or, without a connection, of a listener or a plugin. */
  error?(connection: Connection<Context> | undefined, error: Error): void;
  turn?(turn: TurnMetrics): void;
  /**
   * The plugin's end, once: the reactor is stopped or closed, or nothing is left that it was given to. `stop` waits for the
   * promise until the signal is aborted, at the end of its `drainMs`; where there is nothing to wait for it is aborted already.
   */
  shutdown?(signal: AbortSignal): void | Promise<void>;
}

/** The names of the hooks. */
export const HOOKS = [
  'accept',
  'open',
  'data',
  'message',
  'write',
  'end',
  'finish',
  'drain',
  'timeout',
  'close',
  'error',
  'turn',
  'shutdown',
] as const satisfies readonly (keyof Hooks)[];

export type HookName = (typeof HOOKS)[number];

/** Where plugins write what people should read: console and pino have this form. */
export interface Logger {
  debug(message: string, ...details: unknown[]): void;
  info(message: string, ...details: unknown[]): void;
  warn(message: string, ...details: unknown[]): void;
  error(message: string, ...details: unknown[]): void;
}

/** What a plugin has of its reactor. It may be called at any time; once the plugin has ended, nothing happens. */
export interface PluginHost {
  /** The reactor's (`new Reactor({ log })`). */
  readonly log: Logger;
  /** Milliseconds of the reactor's clock, which timers follow. */
  now(): number;
  /** Calls back in the next turn. */
  defer(callback: () => void): void;
  /** Calls back every `ms` until the result is disposed of or the plugin has ended. Does not keep the process alive. */
  every(ms: number, callback: () => void): Disposable;
  /**
   * Bytes that come in behind this plugin, before all that it has not yet passed on. `false`: the connection is closed, or
   * somebody behind was told its end, and they are dropped.
   */
  deliver(connection: Connection<unknown>, chunk: Uint8Array): boolean;
  /**
   * Bytes that go out below this plugin, behind all that was written before. Returns what `write` does; on a connection that
   * is closed, or has ended its side, `false`, and they are dropped.
   */
  send(connection: Connection<unknown>, chunk: Uint8Array): boolean;
  /**
   * Opens a connection that `open` has held: whoever is behind this plugin is told of it now. `remoteAddress` becomes that of
   * the connection. `false`: this plugin does not hold it.
   */
  open(connection: Connection<unknown>, options?: { remoteAddress?: Address }): boolean;
  /** Goes on with the end that `finish` has held. `false`: this plugin does not hold it. */
  finish(connection: Connection<unknown>): boolean;
}
