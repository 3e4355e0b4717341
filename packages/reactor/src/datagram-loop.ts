/** Batches for backends without the capability `datagramBatch`: one `recvFrom` or `sendTo` for each datagram. */
import { checkSpan, type DatagramBatch, memoryOf } from './datagram-batch.js';
import { WOULD_BLOCK } from './readiness.js';
import type { Socket } from './socket.js';

/** An error behind datagrams that were received: the next call throws it, as recvmmsg(2) does. */
const deferred = new WeakMap<Socket, unknown>();

/** `recvBatch`, datagram by datagram. */
export function receiveEach(socket: Socket, batch: DatagramBatch): number {
  const memory = memoryOf(batch, 'recvBatch');
  memory.clear();
  if (deferred.has(socket)) {
    const error = deferred.get(socket);
    deferred.delete(socket);
    throw error;
  }
  while (memory.count < memory.capacity) {
    let received: ReturnType<Socket['recvFrom']>;
    try {
      received = socket.recvFrom(memory.slot(memory.count));
    } catch (error) {
      if (memory.count === 0) throw error;
      deferred.set(socket, error);
      break;
    }
    if (received === null) break;
    memory.append(received.bytes, received.address, received.truncated);
  }
  return memory.count === 0 ? WOULD_BLOCK : memory.count;
}

/** `sendBatch`, datagram by datagram: it stops before the first that fails, whose error comes when it is the first. */
export function sendEach(socket: Socket, batch: DatagramBatch, start = 0, end = batch?.length): number {
  const memory = memoryOf(batch, 'sendBatch');
  checkSpan(memory, start, end);
  for (let i = start; i < end; i += 1) {
    const to = memory.address(i);
    let count: number;
    try {
      count = to === undefined ? socket.send(memory.payload(i)) : socket.sendTo(memory.payload(i), to);
    } catch (error) {
      if (i === start) throw error;
      return i - start;
    }
    if (count === WOULD_BLOCK) return i === start ? WOULD_BLOCK : i - start;
  }
  return end - start;
}
