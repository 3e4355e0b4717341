/** The options of a reactor and of its verbs, and its counters. */
import type { Family } from './address.js';
import type { BackendChoice } from './backend/select-backend.js';
import type { ConnectionOptions } from './connection-handler.js';
import type { OnHandlerError } from './failure.js';
import type { ListenOptions } from './listening.js';
import type { SocketType } from './socket.js';

export interface ReactorOptions {
  /** Who supplies the sockets ('auto'). */
  backend?: BackendChoice;
  /** Events that one turn may dispatch (1024). */
  eventBudget?: number;
  /** Bytes that the connections may read in one turn (16 MiB). */
  byteBudget?: number;
  /** How long one turn may dispatch, in ms (20). */
  turnBudgetMs?: number;
  /** Connections that one listener may accept in one turn (64). */
  acceptBudget?: number;
  onHandlerError?: OnHandlerError;
}

export interface SocketCreation {
  /** 'stream' */
  type?: Exclude<SocketType, 'pipe'>;
  /** 'ipv4' */
  family?: Exclude<Family, 'pipe'>;
  /** `socket(2)`'s third argument (0). */
  protocol?: number;
}

export interface ServeOptions extends ListenOptions, ConnectionOptions {
  /** `TCP_NODELAY` of the connections (true). */
  noDelay?: boolean;
  /** Open connections at most (no limit). */
  maxConnections?: number;
  /** At the limit: leave further connections in the system's queue ('pause'), or accept and close them ('close'). */
  overload?: 'pause' | 'close';
  /** Closes the listener. */
  signal?: AbortSignal;
}

/** Counters of a reactor; they only grow, but for the last one. */
export interface ReactorMetrics {
  /** Turns run. */
  readonly turns: number;
  /** Events dispatched. */
  readonly events: number;
  /** Events that came for a socket which was closed or unregistered before. */
  readonly stale: number;
  /** Sockets taken out of the kernel because nothing that they reported was wanted. */
  readonly parked: number;
  /** Turns that a budget stopped. */
  readonly budgetHits: number;
  /** Network errors of connections and listeners that nobody listened for. */
  readonly unheardErrors: number;
  /** Times that accepting failed for want of descriptors or memory; each was followed by a rest. */
  readonly acceptFailures: number;
  /** Connections that were accepted with the spare descriptor and closed at once, for want of others. */
  readonly shed: number;
  /** Active registrations at the moment. */
  readonly registrations: number;
}

export interface RegisterOptions<Data> {
  /** Becomes `registration.data`. */
  data?: Data;
  /** Whether the registration keeps the process alive (true). */
  ref?: boolean;
}
