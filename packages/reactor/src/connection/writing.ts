/**
 * The writing side: what is written is queued, and leaves at the end of the turn (departing.ts) or when much of it has come
 * together; what the system does not take waits for WRITABLE.
 *
 *   OPEN ──end()──▶ ENDING ──queue empty──▶ FINISHED (FIN)
 *   any ──a send fails──▶ the pipe is broken: what the peer sent before is still read, and then it ends with that error
 */
import { describe, misuse, outOfRange, SocketError } from '../errors.js';
import { awaited, guard, isHeard, report } from './calling.js';
import { depart, fail, finish, finishInOrder } from './ending.js';
import { rearm } from './flow.js';
import { callForHold, tellHooks, waitFor } from './hooked.js';
import { ABOVE_ALL, filter } from './outbound.js';
import { consume, dropQueue, isFlushed, push, rejectWaiters, settleWaiters } from './queued.js';
import {
  type AnyConnection,
  BLOCKED,
  barrier,
  ENDED,
  ENDING,
  FILTERED,
  FILTERING,
  FINISHED,
  FINISHING,
  FLOWING,
  LOST,
  NEEDS_DRAIN,
  OPEN,
  OPENING,
  rare,
  TIMED,
} from './state.js';
import type { Timeouts } from './timeouts.js';
import { isGone, transferred } from './write-queue.js';

/** Beyond as many queued bytes they leave at once, without waiting for the end of the turn. */
const FLUSH_BYTES = 64 * 1024;
const NOTHING = new Uint8Array(0);

export function write(connection: AnyConnection, data: Uint8Array | string): boolean {
  const chunk = typeof data === 'string' ? Buffer.from(data) : data;
  if (!(chunk instanceof Uint8Array))
    throw misuse('ERR_REACTOR_BUFFER', `write takes a Uint8Array or a string, got ${describe(data)}`);
  if (connection.writing !== OPEN || connection.ended !== null || connection.rarity?.brokenPipe)
    return refuse(connection);
  return (connection.flags & FILTERED) === 0 ? enqueue(connection, chunk) : enqueueFrom(connection, chunk, ABOVE_ALL);
}

/** What is queued of it is what the plugins give, and that is what counts. */
function enqueueFrom(connection: AnyConnection, chunk: Uint8Array, above: number): boolean {
  const left = chunk.length === 0 ? null : filter(connection, chunk, above);
  if (connection.ended !== null) return false;
  // A hook has ended the connection, and the FIN is out.
  if (left !== null && connection.writing === FINISHED) return refuse(connection);
  return enqueue(connection, left ?? NOTHING);
}

/** Bytes of plugin `above`, which pass those below it; also while the plugins finish, when nobody else may write. */
export function sendBelow(connection: AnyConnection, chunk: Uint8Array, above: number): boolean {
  if (connection.ended !== null || connection.rarity?.brokenPipe) return false;
  if (connection.writing !== OPEN && (connection.flags & FINISHING) === 0) return false;
  return enqueueFrom(connection, chunk, above);
}

function enqueue(connection: AnyConnection, chunk: Uint8Array): boolean {
  const { settings } = connection.kind;
  if (connection.rarity !== null) connection.rarity.written += chunk.length;
  if (settings.borrowChunks) pushBorrowed(connection, chunk);
  else if (chunk.length > 0) push(connection, chunk);
  let buffered = connection.bufferedBytes;
  if ((connection.flags & BLOCKED) === 0) {
    if (buffered <= FLUSH_BYTES) depart(connection);
    else {
      flushQueue(connection);
      buffered = connection.bufferedBytes;
    }
  }
  if (buffered <= settings.highWaterMark) return true;
  if (buffered > settings.maxBufferedBytes) return tooSlow(connection);
  connection.flags |= NEEDS_DRAIN;
  return false;
}

/** A borrowed chunk changes with the next read: it leaves at once, and what cannot leave is copied. */
function pushBorrowed(connection: AnyConnection, chunk: Uint8Array): void {
  let sent = 0;
  if (connection.bufferedBytes === 0 && (connection.flags & BLOCKED) === 0) {
    try {
      sent = Math.max(0, connection.transport.send(chunk));
      if (sent > 0) noteSent(connection);
    } catch (error) {
      connection.flags |= LOST;
      breakPipe(connection, error as SocketError);
      return;
    }
  }
  if (sent < chunk.length) push(connection, Buffer.from(chunk.subarray(sent)));
}

function refuse(connection: AnyConnection): false {
  if (connection.writing !== OPEN && connection.ended === null)
    report(connection, misuse('ERR_REACTOR_WRITE_AFTER_END', 'write was called after end'));
  return false;
}

function tooSlow(connection: AnyConnection): false {
  const { maxBufferedBytes } = connection.kind.settings;
  finish(connection, {
    by: 'error',
    error: outOfRange(
      'ERR_REACTOR_SLOW_CONSUMER',
      `${connection.bufferedBytes} bytes are queued for a peer that does not read, more than maxBufferedBytes (${maxBufferedBytes})`,
    ),
  });
  return false;
}

/** Sends what is queued now, unless the system has refused more. */
export function flush(connection: AnyConnection): void {
  if (connection.ended === null && (connection.flags & BLOCKED) === 0) flushQueue(connection);
}

export function end(connection: AnyConnection): void {
  if (connection.writing !== OPEN || connection.ended !== null) return;
  connection.writing = ENDING;
  const { hooks } = connection.kind;
  if (hooks !== null && hooks.finish.length > 0) finishPlugins(connection, ABOVE_ALL);
  else endNow(connection);
}

/** The plugins above which the program was have said their last; then comes the end. */
function finishPlugins(connection: AnyConnection, above: number): void {
  connection.flags |= FINISHING;
  for (const step of connection.kind.hooks?.finish ?? []) {
    // One that was never told of the connection has nothing to say.
    if (step.at >= above || step.at >= barrier(connection)) continue;
    const holds = callForHold(connection, step);
    if (connection.ended !== null) return;
    if (holds) {
      rare(connection).finishing = waitFor(connection, step);
      return;
    }
  }
  connection.flags &= ~FINISHING;
  endNow(connection);
}

/** The plugin at that place has finished; whether it was waited for. */
export function goOnFinishing(connection: AnyConnection, at: number): boolean {
  const finishing = connection.rarity?.finishing;
  if (!finishing || finishing.at !== at || connection.ended !== null) return false;
  finishing.deadline.cancel();
  rare(connection).finishing = null;
  guard(connection, () => finishPlugins(connection, at));
  return true;
}

function endNow(connection: AnyConnection): void {
  // Both sides are done and nothing is queued: close says it all.
  if (connection.flow === ENDED && isFlushed(connection)) finishWriting(connection);
  else if ((connection.flags & BLOCKED) === 0) depart(connection);
}

export function onWritable(connection: AnyConnection): void {
  connection.flags &= ~BLOCKED;
  flushQueue(connection);
  rearm(connection);
}

export function flushQueue(connection: AnyConnection): void {
  const before = (connection.flags & TIMED) !== 0 ? connection.bufferedBytes : -1;
  let empty: boolean;
  try {
    empty = sendQueued(connection);
  } catch (error) {
    // Bytes that are gone are no matter of the peer's: there is nothing to wait for.
    if (error instanceof SocketError) breakPipe(connection, error);
    else fail(connection, error as Error);
    return;
  }
  if (before >= 0) noteFlush(connection, before, empty);
  if (connection.rarity !== null) settleWaiters(connection, connection.rarity);
  if (!empty && (connection.flags & BLOCKED) === 0) {
    connection.flags |= BLOCKED;
    rearm(connection);
  }
  if (empty && connection.writing === ENDING) finishWriting(connection);
  if ((connection.flags & NEEDS_DRAIN) !== 0 && connection.bufferedBytes <= connection.kind.settings.lowWaterMark)
    drained(connection);
}

/** Sends what is queued; `false` when the socket would block. */
function sendQueued(connection: AnyConnection): boolean {
  const { chunk, queue } = connection;
  if (chunk !== null) {
    if (isGone(chunk)) throw transferred();
    const count = connection.transport.send(chunk);
    if (count === chunk.length) {
      connection.chunk = null;
      return true;
    }
    consume(connection, count);
    return false;
  }
  if (queue === null) return true;
  if (!queue.flush(connection.transport)) return false;
  connection.queue = null;
  return true;
}

function drained(connection: AnyConnection): void {
  // Told when what is being written is queued: what is written then comes after it.
  if ((connection.flags & FILTERING) !== 0) {
    depart(connection);
    return;
  }
  connection.flags &= ~NEEDS_DRAIN;
  if (connection.writing !== OPEN) return;
  const { hooks } = connection.kind;
  if (hooks !== null && hooks.drain.length > 0) {
    tellHooks(connection, hooks.drain);
    if (connection.ended !== null) return;
  }
  if ((connection.flags & OPENING) === 0) awaited(connection, connection.kind.handler.drain?.(connection));
  if (isHeard(connection)) connection.emit('drain');
}

function finishWriting(connection: AnyConnection): void {
  if ((connection.flags & FINISHING) !== 0) return;
  connection.writing = FINISHED;
  for (const told of connection.rarity?.onFinished.splice(0) ?? []) told();
  if (connection.flow === ENDED) {
    finishInOrder(connection);
    return;
  }
  try {
    connection.transport.shutdown('write');
  } catch (error) {
    // ENOTCONN: the peer's reset came first; the reading side tells it.
    breakPipe(connection, error as SocketError);
  }
}

/**
 * Sending failed. What the peer sent before it went is still in the kernel and is read first, if somebody reads: the
 * end of that, or its error, ends the connection.
 */
export function breakPipe(connection: AnyConnection, error: SocketError): void {
  if (connection.ended !== null) return;
  if (connection.flow !== FLOWING) {
    fail(connection, error);
    return;
  }
  rare(connection).brokenPipe = error;
  dropQueue(connection);
  rejectWaiters(connection, error);
  rearm(connection);
}

/** Bytes have left. */
export function noteSent(connection: AnyConnection): void {
  if (connection.timeouts !== null) connection.timeouts.sent = connection.kind.host.dispatcher.time;
}

/** The queue was flushed, down from `before` bytes. */
function noteFlush(connection: AnyConnection, before: number, empty: boolean): void {
  if (connection.bufferedBytes < before) noteSent(connection);
  const timeouts = connection.timeouts as Timeouts;
  if (empty) timeouts.blockedSince = Number.POSITIVE_INFINITY;
  else if (timeouts.blockedSince === Number.POSITIVE_INFINITY)
    timeouts.blockedSince = connection.kind.host.dispatcher.time;
}
