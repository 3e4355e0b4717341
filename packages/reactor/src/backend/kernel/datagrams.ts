/** Batches of datagrams by recvmmsg(2) and sendmmsg(2). */
import type { Address, Family } from '../../address.js';
import { checkSpan, type DatagramBatch, memoryOf } from '../../datagram-batch.js';
import { SocketError, socketError } from '../../errors.js';
import { BAD_ARGUMENT, type Core } from '../../native.js';
import { toCoreAddress } from './addresses.js';

/** The datagrams received, or a negative errno. */
export function receiveBatch(core: Core, fd: number, batch: DatagramBatch): number {
  const memory = memoryOf(batch, 'recvBatch');
  const count = core.recvBatch(fd, memory.payloads, memory.stride, memory.addresses, memory.headers);
  memory.received(Math.max(count, 0), core.decodeAddress);
  return count;
}

/** The datagrams sent, or a negative errno. */
export function sendBatch(
  core: Core,
  fd: number,
  family: Family,
  batch: DatagramBatch,
  start = 0,
  end = batch?.length,
): number {
  const memory = memoryOf(batch, 'sendBatch');
  checkSpan(memory, start, end);
  memory.encode(start, end, (into, address) => encode(core, into, address, family));
  const { payloads, stride, addresses, headers } = memory;
  return core.sendBatch(fd, payloads, stride, addresses, headers, start, end);
}

function encode(core: Core, into: Uint8Array, address: Address, family: Family): number {
  const { kind, text, port, flow, scope } = toCoreAddress(core, address, family, 'sendmmsg');
  const length = core.encodeAddress(into, kind, text, port, flow, scope);
  // Everything else about a path was checked.
  if (length === BAD_ARGUMENT) throw socketError('ENAMETOOLONG', 'sendmmsg', address);
  if (length < 0) throw new SocketError(length, 'sendmmsg', address);
  return length;
}
