/**
 * The end of the turn, as the dispatcher calls it: small writes are copied to the outbox and leave with those of others,
 * larger ones are sent by themselves, and what has happened is told.
 */
import type { Outbox } from '../backend/backend.js';
import type { SocketError } from '../errors.js';
import { handlerFailed, withinContext } from './calling.js';
import { tell } from './ending.js';
import { consume } from './queued.js';
import {
  type AnyConnection,
  BLOCKED,
  CONTEXTUAL,
  DEPARTING,
  ENDING,
  NEEDS_DRAIN,
  TIMED,
  TOLD,
  UNPACKED,
} from './state.js';
import { isGone } from './write-queue.js';
import { breakPipe, flush, noteSent } from './writing.js';

export function pack(connection: AnyConnection, outbox: Outbox): boolean {
  if (connection.ended !== null || (connection.flags & (BLOCKED | UNPACKED)) !== 0) return false;
  const { chunk, queue } = connection;
  if (chunk !== null) {
    // One whose memory is gone is left to `leave`, which tells it.
    if (isGone(chunk) || !outbox.open(connection.transport, chunk.length)) return false;
    outbox.put(chunk);
  } else if (queue !== null) {
    if (!queue.isWhole() || !outbox.open(connection.transport, queue.bytes)) return false;
    queue.pack(outbox);
  } else return false;
  return true;
}

export function sent(connection: AnyConnection, outbox: Outbox, index: number): boolean {
  let count: number;
  try {
    count = outbox.result(connection.transport, index);
  } catch (error) {
    breakPipe(connection, error as SocketError);
    return true;
  }
  if ((connection.flags & TIMED) !== 0 && count > 0) noteSent(connection);
  // Short: what is left is tried once more by `leave`, which finds the socket full.
  if (count < connection.bufferedBytes) {
    consume(connection, count);
    return true;
  }
  connection.chunk = null;
  connection.queue = null;
  if (connection.rarity !== null || connection.writing === ENDING || (connection.flags & NEEDS_DRAIN) !== 0)
    return true;
  connection.flags &= ~DEPARTING;
  return false;
}

export function leave(connection: AnyConnection): void {
  connection.flags &= ~DEPARTING;
  if ((connection.flags & CONTEXTUAL) === 0) flushAndTell(connection);
  else withinContext(connection, () => flushAndTell(connection));
}

function flushAndTell(connection: AnyConnection): void {
  try {
    flush(connection);
    if (connection.ended !== null && (connection.flags & TOLD) === 0) tell(connection, connection.ended);
  } catch (error) {
    handlerFailed(connection, error);
  }
}
