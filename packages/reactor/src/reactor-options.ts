/** The options of a reactor and of its verbs, and its counters. */
import type { Family } from './address.js';
import type { FaultOptions } from './backend/kernel/fault-plan.js';
import type { BackendChoice } from './backend/select-backend.js';
import type { ConnectionOptions } from './connection/handler.js';
import type { OnHandlerError } from './failure.js';
import type { ListenOptions } from './listening.js';
import type { DebugOptions, RecordOptions, RecordSink, TraceEvent } from './observe/trace-event.js';
import type { Logger } from './plugin/hooks.js';
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
  /** Where plugins write (warnings become warnings of the process; the rest is for `NODE_DEBUG=fdset`). */
  log?: Logger;
  /** System calls that are to fail, for tests of what stands above them (backend `kernel`; elsewhere `ENOTSUP`). */
  faults?: FaultOptions;
  /**
   * Called with each verb of each socket, each wait and each turn, as it has happened (off). `formatTraceEvent` makes a line
   * of it. What the reactor does within the call is not told; what it throws is raised as an uncaughtException.
   */
  trace?: (event: TraceEvent) => void;
  /** The same events to keep: into a function or an array, with the bytes where `payloads` asks for them (off). */
  record?: RecordSink | RecordOptions;
  /**
   * Warns of what is allowed but suspicious (see `WARNINGS`), gives what a closed socket throws the stack of the close as its
   * cause, and spoils borrowed chunks when their handler returns (false).
   */
  debug?: boolean | DebugOptions;
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

export interface RegisterOptions<Data> {
  /** Becomes `registration.data`. */
  data?: Data;
  /** Whether the registration keeps the process alive (true). */
  ref?: boolean;
}
