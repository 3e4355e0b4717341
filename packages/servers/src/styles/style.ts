/** What a server style is: how one accepted connection is served, and how many are at once. */
import type { Address, Capabilities, Reactor, Socket } from '@fdset/reactor';
import type { HandlerSource } from '../handler-source.js';
import type { ServerView } from '../handlers.js';
import type { Settings } from '../settings.js';

/** A connection that is being served. */
export interface Serving {
  /** Resolves when the handler is done, and the thread or process that ran it has ended. Never rejects. */
  readonly done: Promise<void>;
  /** Asks the handler to end: the call that waits for the peer fails with `ERR_SERVER_SHUTDOWN`. */
  end(): void;
  /** Ends the thread or process, whatever it does. A handler in this thread cannot be ended: it is given up. */
  kill(): void;
}

export interface Style {
  /** Connections served at once; beyond it the server does not accept. */
  readonly limit: number;
  /** What the reactor must be capable of. */
  readonly needs?: keyof Capabilities;
  /** Whether `handleRequest` makes sense: the handler runs in this thread. */
  readonly inProcess: boolean;
  /** What is counted in `stats()`: threads or children that run now. */
  readonly helpers?: 'threads' | 'children';
  /** Gets ready to serve, and checks that the handler can be loaded. Rejects when it cannot, or at the abort. */
  prepare(signal: AbortSignal): Promise<void>;
  /** Serves a connection. The socket is the style's from then on, also when this throws. */
  serve(socket: Socket, clientAddress: Address): Serving;
}

/** What a style has of its server. */
export interface StyleHost {
  readonly name: string;
  readonly reactor: Reactor;
  readonly settings: Settings;
  readonly source: HandlerSource;
  readonly view: () => ServerView;
  /** A connection has failed: becomes an 'error' event, wrapped as `ERR_SERVER_HANDLER` if it is not one of ours. */
  failed(error: unknown, clientAddress: Address): void;
  /** A thread or process was started or has ended. */
  worker(info: WorkerInfo): void;
}

/** What the 'worker' event tells. */
export interface WorkerInfo {
  readonly kind: 'thread' | 'process';
  readonly event: 'start' | 'exit';
  /** The thread's id, or the process's. */
  readonly id: number;
  /** With 'exit': the exit code, or `null` after a signal. */
  readonly exitCode?: number | null;
  /** With 'exit': the signal that ended a process. */
  readonly signal?: NodeJS.Signals | null;
}

/** Throws misuse of the options at once; everything else is `prepare`'s. */
export type StyleFactory = (host: StyleHost) => Style;
