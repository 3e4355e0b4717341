/**
 * The reading side: chunks, the end and the error, each told when it can be. What cannot be told yet is kept, in order, and
 * nothing more is read until it is.
 *
 *   PAUSED ──resume, an iterator that asks──▶ FLOWING ──end of stream──▶ ENDED ──▶ our end, unless `allowHalfOpen`
 *   FLOWING ──pause, hold, an iterator that does not ask──▶ PAUSED
 */
import type { SocketError } from '../errors.js';
import { awaited, guard, handlerFailed, isHeard } from './calling.js';
import { fail, finish, finishInOrder } from './ending.js';
import { pause, rearm, setFlow, setResumes, waitsToOpen } from './flow.js';
import { type Consumers, enter, LAST_STAGE, passOn } from './inbound.js';
import { ConnectionIterator } from './iterator.js';
import {
  type AnyConnection,
  BRIDGED,
  DISCARDING,
  ENDED,
  FINISHED,
  FLOWING,
  HEARD,
  HELD,
  ITERATING,
  OPENING,
  PASSING,
  PAUSED,
  type Received,
  rare,
  STAGED,
  Staged,
  TIMED,
} from './state.js';
import { end } from './writing.js';

/** What comes in is not simply handed on. */
const UNUSUAL = DISCARDING | TIMED | ITERATING | STAGED;

export function resume(connection: AnyConnection): void {
  if (!waitsToOpen(connection, true)) readOn(connection);
}

/** As `resume`, whoever waits for the connection to open. */
export function readOn(connection: AnyConnection): void {
  if (connection.flow !== PAUSED) return;
  if ((connection.flags & HELD) !== 0) {
    setResumes(connection, true);
    return;
  }
  setFlow(connection, FLOWING);
  if (connection.rarity !== null && connection.rarity.kept.length > 0) tellKeptLater(connection);
}

/** The first 'data' listener starts the flow; a connection that was paused on purpose afterwards stays so. */
export function startFlow(connection: AnyConnection): void {
  if ((connection.flags & HEARD) !== 0) return;
  connection.flags |= HEARD;
  connection.resume();
}

// --- what comes in ---------------------------------------------------------------------------------------------------

export function onReadable(connection: AnyConnection): void {
  // Armed by another one, who did not know: the pause after a handler that threw is over.
  if (connection.flow !== FLOWING) {
    rearm(connection);
    return;
  }
  if (connection.rarity !== null && connection.rarity.kept.length > 0) {
    tellKept(connection, connection.rarity.kept);
    return;
  }
  let chunk: Buffer | 0 | -1;
  try {
    chunk = connection.transport.receive(connection.kind.settings.borrowChunks);
  } catch (error) {
    onIncoming(connection, error as SocketError);
    return;
  }
  if (chunk === 0) onEnd(connection);
  else if (chunk !== -1) onChunk(connection, chunk);
}

/** The backend has received for it: told now, unless another handler of the batch has paused it meanwhile. */
export function onReceived(connection: AnyConnection, index: number): void {
  const received = receivedAt(connection, index);
  if (connection.flow === FLOWING && (connection.rarity === null || connection.rarity.kept.length === 0)) {
    if (received !== -1) onIncoming(connection, received);
    return;
  }
  const { kept } = rare(connection);
  if (received !== -1) kept.push(received);
  tellKept(connection, kept);
  // As in onReadable.
  rearm(connection);
}

/** The same, to be told later. */
export function keepReceived(connection: AnyConnection, index: number): void {
  const received = receivedAt(connection, index);
  if (received !== -1) rare(connection).kept.push(received);
}

function receivedAt(connection: AnyConnection, index: number): Received | -1 {
  try {
    // Only a backend that receives ahead comes here.
    return connection.kind.host.dispatcher.demultiplexer.received?.(connection.transport, index) ?? -1;
  } catch (error) {
    return error as SocketError;
  }
}

function onIncoming(connection: AnyConnection, received: Received | Staged): void {
  if (received instanceof Staged) passOn(connection, received.item, received.stage, consumers);
  else if (received === 0) onEnd(connection);
  else if (received instanceof Uint8Array) onChunk(connection, received);
  else if (admits(connection, received)) fail(connection, received);
}

function onChunk(connection: AnyConnection, chunk: Buffer): void {
  connection.kind.host.dispatcher.turnBytes += chunk.length;
  if ((connection.flags & UNUSUAL) !== 0 && !takes(connection, chunk)) return;
  tellChunk(connection, chunk);
}

function tellChunk(connection: AnyConnection, chunk: Buffer): void {
  const { handler } = connection.kind;
  const result: unknown = handler.data?.(connection, chunk);
  if (result !== undefined) awaited(connection, result);
  if ((connection.flags & HEARD) !== 0 && connection.ended === null) connection.emit('data', chunk);
  if ((connection.flags & ITERATING) !== 0) give(connection, chunk);
}

function takes(connection: AnyConnection, chunk: Buffer): boolean {
  if (connection.timeouts !== null) connection.timeouts.received = connection.kind.host.dispatcher.time;
  if ((connection.flags & DISCARDING) !== 0) return false;
  if ((connection.flags & STAGED) === 0) return admits(connection, chunk);
  passOn(connection, chunk, 0, consumers);
  return false;
}

function onEnd(connection: AnyConnection): void {
  const broken = connection.rarity?.brokenPipe;
  if (broken) {
    finish(connection, { by: 'error', error: broken });
    return;
  }
  if ((connection.flags & STAGED) !== 0) passOn(connection, 0, 0, consumers);
  else reachEnd(connection);
}

function reachEnd(connection: AnyConnection): void {
  const told = (connection.flags & (DISCARDING | OPENING)) === 0;
  if (!admits(connection, 0)) return;
  connection.flow = ENDED;
  if (connection.timeouts !== null) connection.timeouts.readingSince = Number.POSITIVE_INFINITY;
  try {
    if (told) tellEnd(connection);
  } catch (error) {
    // Here, not by the dispatcher: where the connection stays open, its end is still to be answered.
    handlerFailed(connection, error);
  }
  answerEnd(connection);
}

function tellEnd(connection: AnyConnection): void {
  awaited(connection, connection.kind.handler.end?.(connection));
  if (isHeard(connection)) connection.emit('end');
  if ((connection.flags & ITERATING) !== 0) connection.rarity?.iterator?.finish(undefined);
}

function answerEnd(connection: AnyConnection): void {
  if (connection.ended !== null) return;
  if (connection.writing === FINISHED) finishInOrder(connection);
  else {
    if (!connection.kind.settings.allowHalfOpen && (connection.flags & BRIDGED) === 0) end(connection);
    if (connection.ended === null) rearm(connection);
  }
}

export function onHangup(connection: AnyConnection): void {
  if ((connection.flags & OPENING) !== 0) return;
  awaited(connection, connection.kind.handler.hangup?.(connection));
  if (isHeard(connection)) connection.emit('hangup');
}

// --- behind plugins --------------------------------------------------------------------------------------------------

const consumers: Consumers = {
  data(connection, chunk) {
    if (admits(connection, chunk)) tellChunk(connection, chunk);
  },
  end: reachEnd,
  later: tellKeptLater,
};

/** Bytes that come in behind the plugins before `stage`. */
export function deliver(connection: AnyConnection, chunk: Uint8Array, stage: number): boolean {
  return enter(connection, chunk, stage, consumers);
}

// --- what is kept ----------------------------------------------------------------------------------------------------

/** In order, as long as it flows. */
function tellKept(connection: AnyConnection, kept: (Received | Staged)[]): void {
  try {
    while (kept.length > 0 && connection.flow === FLOWING && connection.ended === null)
      onIncoming(connection, kept.shift() as Received | Staged);
  } finally {
    // A handler threw: the others are still owed.
    if (kept.length > 0 && connection.flow === FLOWING && connection.ended === null) tellKeptLater(connection);
  }
}

export function tellKeptLater(connection: AnyConnection): void {
  connection.kind.host.dispatcher.post(() => {
    guard(connection, () => tellKept(connection, rare(connection).kept));
  });
}

// --- the iterator ----------------------------------------------------------------------------------------------------

export function iterate(connection: AnyConnection): ConnectionIterator {
  const running = connection.rarity?.iterator;
  if (running) return running;
  const iterator = ConnectionIterator.make({
    wanted: () => wanted(connection),
    left: () => stopIterating(connection),
  });
  if (connection.ended !== null || connection.flow === ENDED) iterator.finish(connection.ended?.error);
  else {
    rare(connection).iterator = iterator;
    connection.flags |= ITERATING;
  }
  return iterator;
}

function wanted(connection: AnyConnection): void {
  if (waitsToOpen(connection, true)) return;
  if ((connection.flags & HELD) !== 0) {
    setResumes(connection, true);
    return;
  }
  if (connection.flow === PAUSED) setFlow(connection, FLOWING);
  const { kept } = rare(connection);
  if (kept.length === 0) return;
  // Asked within a hook: what goes through the stages must come out of them first.
  if ((connection.flags & PASSING) !== 0) tellKeptLater(connection);
  else guard(connection, () => tellKept(connection, kept));
}

function stopIterating(connection: AnyConnection): void {
  connection.flags &= ~ITERATING;
  rare(connection).iterator = null;
  pause(connection);
}

/** What has come can be told now; otherwise it is kept, and nothing more is read, until the iterator asks. */
function admits(connection: AnyConnection, item: Received): boolean {
  if ((connection.flags & ITERATING) === 0 || (connection.flags & DISCARDING) !== 0) return true;
  const { iterator, kept } = rare(connection);
  if (iterator?.waiting === true) return true;
  const own = item instanceof Uint8Array && connection.kind.settings.borrowChunks ? Buffer.from(item) : item;
  const isStaged = (connection.flags & STAGED) !== 0 && !(own instanceof Error);
  kept.unshift(isStaged ? new Staged(own, LAST_STAGE) : own);
  setFlow(connection, PAUSED);
  return false;
}

function give(connection: AnyConnection, chunk: Buffer): void {
  connection.rarity?.iterator?.give(connection.kind.settings.borrowChunks ? Buffer.from(chunk) : chunk);
}
