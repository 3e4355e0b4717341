import type { ResourceLimits } from 'node:worker_threads';
import type { Address, ConnectionOptions } from '@fdset/reactor';
import type { IoMode } from './handlers.js';

/** The options with their defaults, apart from those that only the system's `listen` sees. */
export interface Settings {
  readonly io: IoMode;
  readonly maxThreads: number;
  readonly maxChildren: number;
  readonly resourceLimits: ResourceLimits;
  readonly noDelay: boolean;
  readonly timeoutMs: number | undefined;
  readonly shutdownGraceMs: number;
  readonly verifyRequest: ((clientAddress: Address) => boolean) | undefined;
  /**
   * Always half-open: the handler's life decides when its connection ends. A peer may send its request, end its side and
   * wait for the answer, as with CPython's socketserver.
   */
  readonly connection: ConnectionOptions;
}
