/**
 * What is queued to be sent: nothing or one chunk in `connection.chunk`; further ones, and what a short send left, in
 * `connection.queue`. And who waits for it to leave.
 */
import { misuse } from '../errors.js';
import { type AnyConnection, BLOCKED, type FlushWaiter, LOST, type Rarity } from './state.js';
import { WriteQueue } from './write-queue.js';

export function push(connection: AnyConnection, chunk: Uint8Array): void {
  if (connection.queue !== null) connection.queue.push(chunk);
  else if (connection.chunk === null) connection.chunk = chunk;
  else {
    const queue = new WriteQueue();
    queue.push(connection.chunk);
    queue.push(chunk);
    connection.chunk = null;
    connection.queue = queue;
  }
}

/** Takes `count` bytes off that have left, fewer than are queued (below 0: none). */
export function consume(connection: AnyConnection, count: number): void {
  if (connection.queue === null) {
    connection.queue = new WriteQueue();
    connection.queue.push(connection.chunk as Uint8Array);
    connection.chunk = null;
  }
  if (count > 0) connection.queue.consume(count);
}

/** `bufferedBytes` does not tell: of a chunk that was transferred there is nothing to count. */
export function isFlushed(connection: AnyConnection): boolean {
  return connection.chunk === null && connection.queue === null;
}

export function dropQueue(connection: AnyConnection): void {
  if (!isFlushed(connection)) connection.flags |= LOST;
  connection.chunk = null;
  connection.queue = null;
  connection.flags &= ~BLOCKED;
  if (connection.timeouts !== null) connection.timeouts.blockedSince = Number.POSITIVE_INFINITY;
}

export function settleWaiters(connection: AnyConnection, rarity: Rarity): void {
  const { waiters } = rarity;
  const left = rarity.written - connection.bufferedBytes;
  while (waiters.length > 0 && (waiters[0] as FlushWaiter).mark <= left) (waiters.shift() as FlushWaiter).resolve();
}

export function rejectWaiters(connection: AnyConnection, error: Error | undefined): void {
  const { rarity } = connection;
  if (rarity === null || rarity.waiters.length === 0) return;
  const reason = lostBy(error);
  for (const waiter of rarity.waiters.splice(0)) waiter.reject(reason);
}

export function lostBy(error: Error | null | undefined): Error {
  return error ?? misuse('ERR_REACTOR_CLOSED', 'the connection was closed before all was sent');
}
