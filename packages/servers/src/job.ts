/** What a thread or process is started for, and what it tells: the messages between a server and its workers. */

import type { Address, ConnectionOptions } from '@fdset/reactor';
import type { IoMode, ServerView } from './handlers.js';
import type { WireError } from './wire-error.js';

/** One connection to serve. Without `request` the handler is only loaded, to see whether it can be. */
export interface Job {
  readonly module: string;
  readonly io: IoMode;
  readonly connection: ConnectionOptions;
  readonly request?: { readonly socket: HandedOver; readonly clientAddress: Address; readonly server: ServerView };
}

/** Where a worker finds its connection: a process inherits a descriptor, a thread claims what is offered. */
export type HandedOver = { readonly fd: number } | { readonly token: number };

/** What a thread gets in addition: shared with the server, not 0 once the handler is to end. */
export interface ThreadJob extends Job {
  readonly ending: Int32Array;
}

/** What a worker tells. */
export type Report =
  /** A thread's handle for `wakeThread`. */
  | { readonly type: 'waker'; readonly handle: number | undefined }
  | { readonly type: 'loaded' }
  /** The handler could not be loaded, or has thrown. */
  | { readonly type: 'failed'; readonly error: WireError };
