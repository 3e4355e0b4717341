export type { Address, Family, InetAddress, ListenTarget, UnixAddress } from './address.js';
export type {
  Backend,
  BackendHost,
  BackendSocket,
  Capabilities,
  Demultiplexer,
  Driver,
  SocketSpec,
} from './backend/backend.js';
export type { BackendChoice } from './backend/select-backend.js';
export { Connection } from './connection.js';
export type { CloseInfo, ConnectionEvents, ConnectionHandler, ConnectionOptions } from './connection-handler.js';
export type { ConnectOptions } from './connector.js';
export type { DiagnosticMessages } from './diagnostics.js';
export { MISUSE, type MisuseCode, SocketError } from './errors.js';
export type { OnHandlerError } from './failure.js';
export { Listener, type ListenerEvents } from './listener.js';
export type { ReactorMetrics, Traffic } from './metrics.js';
export { WARNINGS, type WarningCode } from './observe/debug.js';
export { formatTraceEvent } from './observe/format.js';
export type { DebugOptions, RecordOptions, RecordSink, TraceEvent, TraceValue } from './observe/trace-event.js';
export { Reactor } from './reactor.js';
export type {
  ListenOptions,
  ReactorOptions,
  RegisterOptions,
  ServeOptions,
  SocketCreation,
} from './reactor-options.js';
export {
  ERROR,
  HANGUP,
  INTERRUPTED,
  MSG_MORE,
  MSG_OOB,
  MSG_PEEK,
  READ_CLOSED,
  READABLE,
  WOULD_BLOCK,
  WRITABLE,
} from './readiness.js';
export type { ReadinessCallback, ReadinessHandler, Registration } from './registration.js';
export type { Selected } from './select.js';
export type { Socket, SocketOptions, SocketType } from './socket.js';
export type { Timer, TimerOptions } from './timers.js';
