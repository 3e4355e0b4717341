/** What node:net and node:dgram can do, on this version of Node and this platform. */
import { Socket } from 'node:net';
import type { Capabilities } from '../backend.js';

const { node, bun, deno } = process.versions;
const [major = 0, minor = 0] = node.split('.').map(Number);
/** Bun and Deno tell the version of a Node whose every option they do not have. */
const isNode = bun === undefined && deno === undefined;

function nodeHas(...since: [major: number, minor: number][]): boolean {
  if (!isNode) return false;
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

/** Named options that came to node:net later than the Node that this package asks for. */
export const features = Object.freeze({
  keepAliveProbes: isNode && Socket.prototype.setKeepAlive.length >= 4,
  typeOfService: isNode && 'setTypeOfService' in Socket.prototype,
});
