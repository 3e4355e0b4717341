/** What node:net can do, on this version of Node and this platform. */
import type { Capabilities } from '../backend.js';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

function nodeHas(...since: [major: number, minor: number][]): boolean {
  return since.some(([a, b], i) => (i === since.length - 1 ? major > a : false) || (major === a && minor >= b));
}

export const emulatedCapabilities: Capabilities = Object.freeze({
  syncBind: false,
  oob: false,
  /** Within what has been read from the system. */
  peek: true,
  raw: false,
  hangupWhilePaused: false,
  /** What comes after it is thrown away. */
  shutdownRead: true,
  rawDescriptors: false,
  socketPair: false,
  acceptPause: false,
  unixDatagram: false,
  seqpacket: false,
  abstractUnix: process.platform === 'linux' && nodeHas([20, 8]),
  descriptorPassing: false,
  datagramBatch: false,
  rawOptions: false,
  reusePort: process.platform === 'linux' && nodeHas([22, 12], [23, 1]),
  adopt: false,
  blocking: false,
  selectSync: false,
});
