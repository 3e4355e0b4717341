/** What sockets in memory can do. */
import type { Capabilities } from '../backend/backend.js';

export const simulatedCapabilities: Capabilities = Object.freeze({
  syncBind: true,
  oob: true,
  peek: true,
  raw: false,
  hangupWhilePaused: true,
  shutdownRead: true,
  rawDescriptors: false,
  socketPair: true,
  acceptPause: true,
  unixDatagram: true,
  seqpacket: false,
  abstractUnix: true,
  descriptorPassing: false,
  datagramBatch: true,
  rawOptions: false,
  reusePort: true,
  adopt: false,
  /** Nobody could move the clock on while the thread is blocked. */
  blocking: false,
  selectSync: false,
});
