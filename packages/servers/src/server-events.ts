/** What a server tells of itself: its events, counters and state. */
import type { Address } from '@fdset/reactor';
import type { WorkerInfo } from './styles/style.js';

/** The events, with what their listeners are given. */
export interface ServerEvents {
  /** It listens there. */
  listening: [address: Address];
  /** A connection was accepted, and will be served. */
  connection: [clientAddress: Address];
  /** A connection was accepted and closed, because `verifyRequest` has refused it. */
  drop: [clientAddress: Address];
  /** A thread or process has begun or ended. */
  worker: [info: WorkerInfo];
  /**
   * A handler has failed (`ERR_SERVER_HANDLER`, with what it threw as the cause), its thread or process has died, or
   * accepting has failed for want of descriptors. The server goes on. While nobody listens, the error is written to
   * stderr with its stack, as CPython's socketserver does; it is never thrown.
   */
  error: [error: Error];
  /** Nothing is served any more, and every thread and process has ended. */
  close: [];
}

/** Counters of a server. */
export interface ServerStats {
  /** Connections accepted so far, those that `verifyRequest` refused included. */
  readonly accepted: number;
  /** Connections being served now. */
  readonly active: number;
  /** The most that were served at once. */
  readonly peak: number;
  /** Connections that `verifyRequest` refused. */
  readonly dropped: number;
  /** Times that accepting failed for want of descriptors or memory. */
  readonly acceptFailures: number;
  /** Connections that were closed at once for want of descriptors. */
  readonly shed: number;
  /** Connections whose handler has failed. */
  readonly failed: number;
  /** Threads that run now. */
  readonly threads: number;
  /** Processes that run now. */
  readonly children: number;
}

export type ServerHealth = 'starting' | 'ready' | 'draining' | 'stopped';
