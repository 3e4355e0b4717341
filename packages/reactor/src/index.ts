export type { Address, Family, InetAddress, InetFamily, ListenTarget, UnixAddress } from './address.js';
export type {
  Backend,
  BackendHost,
  BackendSocket,
  BackendWaker,
  Capabilities,
  Demultiplexer,
  DescriptorTable,
  Driver,
  MovableSocket,
  Outbox,
  SocketSpec,
  WakerHandle,
} from './backend/backend.js';
export {
  type Fault,
  type FaultCalls,
  type FaultChance,
  type FaultOptions,
  type FaultyCall,
  type InjectedFault,
  replayFaults,
} from './backend/kernel/fault-plan.js';
export type { BackendChoice } from './backend/select-backend.js';
export { Connection } from './connection/connection.js';
export type { ConnectionDuplex } from './connection/duplex.js';
export type { CloseInfo, ConnectionEvents, ConnectionHandler, ConnectionOptions } from './connection/handler.js';
export type { ConnectionIterator } from './connection/iterator.js';
export type { ConnectOptions } from './connector.js';
export { DatagramBatch } from './datagram-batch.js';
export type { DiagnosticMessages } from './diagnostics.js';
export { MISUSE, type MisuseCode, PluginError, SocketError } from './errors.js';
export type { OnHandlerError } from './failure.js';
export { TransferError } from './hand-off/host.js';
export { type InheritedListener, inheritedListeners } from './inherited.js';
export { Listener, type ListenerEvents } from './listener.js';
export type { ListenOptions } from './listening.js';
export type { ReactorMetrics, Traffic } from './metrics.js';
export { hostName, type LookupOptions, lookup, type ResolverOptions, reverse } from './names.js';
export { WARNINGS, type WarningCode } from './observe/debug.js';
export { formatTraceEvent } from './observe/format.js';
export type { DebugOptions, RecordOptions, RecordSink, TraceEvent, TraceValue } from './observe/trace-event.js';
export type { AcceptInfo, Hooks, Logger, PluginHost, TurnMetrics } from './plugin/hooks.js';
export {
  type AnyPlugin,
  definePlugin,
  type MissingPlugin,
  type Plugin,
  type PluginContext,
  type PluginDefinition,
  type PluginReference,
} from './plugin/plugin.js';
export { Reactor } from './reactor.js';
export type {
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
export { servicePort } from './services.js';
export type {
  GroupOptions,
  PeerCredentials,
  ReceivedDatagram,
  Socket,
  SocketOptions,
  SocketReceiver,
  SocketType,
  TcpInfo,
  TransferOptions,
  TransferTarget,
} from './socket.js';
export type { Timer, TimerOptions } from './timers.js';
export { type ReactorWaker, Waker } from './waker.js';
