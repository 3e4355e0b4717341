/**
 * What comes in passes the plugins, stage by stage, and then reaches the connection's own consumers. What cannot go on is
 * kept with the stage that it has reached, before all that has come less far: so the order of the bytes stands, whoever holds
 * them up.
 *
 *   socket ──0──▶ plugin 0 ──1──▶ plugin 1 ──2──▶ ... ──▶ the handler, the listeners, the iterator
 *                    │               └ held, paused, or its open held: kept with stage 2
 *                    └ host.deliver: enters at stage 1
 */
import { guard } from './calling.js';
import { setFlow } from './flow.js';
import { callForBytes } from './hooked.js';
import {
  type AnyConnection,
  barrier,
  DISCARDING,
  ENDED,
  FLOWING,
  PASSING,
  PAUSED,
  type Received,
  rare,
  Staged,
} from './state.js';

/** Behind all plugins. */
export const LAST_STAGE = Number.MAX_SAFE_INTEGER;

/** Who is behind the plugins. */
export interface Consumers {
  data(connection: AnyConnection, chunk: Buffer): void;
  end(connection: AnyConnection): void;
  /** What is kept is to be told in the next turn. */
  later(connection: AnyConnection): void;
}

/** A chunk, or the end (0), goes on from `stage`; and after it what the hooks have delivered meanwhile. */
export function passOn(connection: AnyConnection, item: Buffer | 0, stage: number, to: Consumers): void {
  if ((connection.flags & PASSING) !== 0) {
    keep(connection, item, stage);
    return;
  }
  connection.flags |= PASSING;
  try {
    pass(connection, item, stage, to);
    for (let next = nextStaged(connection); next !== null; next = nextStaged(connection))
      pass(connection, next.item, next.stage, to);
  } finally {
    connection.flags &= ~PASSING;
    settle(connection, to);
  }
}

/** What is still kept waits for somebody: nothing more is read before. Where a handler threw, it is only owed. */
function settle(connection: AnyConnection, to: Consumers): void {
  const first = firstStaged(connection);
  if (first === null || connection.flow !== FLOWING || connection.ended !== null) return;
  if (first.stage < limit(connection)) to.later(connection);
  // While the plugins are being opened nobody holds them up: what is kept goes on when that is over.
  else if (connection.rarity?.opening) setFlow(connection, PAUSED);
}

function pass(connection: AnyConnection, given: Buffer | 0, stage: number, to: Consumers): void {
  const { hooks } = connection.kind;
  if (hooks === null || connection.ended !== null) return;
  let item = given;
  let at = stage;
  for (const step of given === 0 ? hooks.end : hooks.data) {
    if (isDiscarding(connection)) break;
    if (step.at < at) continue;
    if (!reaches(connection, step.at, stage)) {
      stop(connection, item, at);
      return;
    }
    const result = callForBytes(connection, step, item === 0 ? undefined : item);
    if (connection.ended !== null) return;
    at = step.at + 1;
    if (item === 0) {
      if (!result || result.length === 0) continue;
      keep(connection, bufferOf(result), at);
      keep(connection, 0, at);
      return;
    }
    if (result === null || result?.length === 0) return;
    if (result !== undefined) item = bufferOf(result);
  }
  if (isDiscarding(connection)) {
    if (item === 0) to.end(connection);
  } else if (!reaches(connection, LAST_STAGE, stage)) stop(connection, item, at);
  else if (item === 0) to.end(connection);
  else to.data(connection, item);
}

/** Whether what has set out from `stage` may go on to `next`. What is kept of a later stage was delivered meanwhile, before it. */
function reaches(connection: AnyConnection, next: number, stage: number): boolean {
  if (connection.flow !== FLOWING || next >= limit(connection)) return false;
  const first = firstStaged(connection);
  return first === null || first.stage <= stage;
}

/** It stays where it is; at a barrier it has come as far as that. */
function stop(connection: AnyConnection, item: Buffer | 0, at: number): void {
  const reached = barrier(connection);
  keep(connection, item, reached === Number.POSITIVE_INFINITY ? at : Math.max(at, reached));
}

/** The first plugin that nothing reaches. What is thrown away need reach nobody. */
function limit(connection: AnyConnection): number {
  return isDiscarding(connection) ? Number.POSITIVE_INFINITY : barrier(connection);
}

function isDiscarding(connection: AnyConnection): boolean {
  return (connection.flags & DISCARDING) !== 0;
}

function firstStaged(connection: AnyConnection): Staged | null {
  const first = connection.rarity?.kept[0];
  return first instanceof Staged ? first : null;
}

/** Takes the first that can go on. */
function nextStaged(connection: AnyConnection): Staged | null {
  if (connection.flow !== FLOWING || connection.ended !== null) return null;
  const first = firstStaged(connection);
  if (first === null || first.stage >= limit(connection)) return null;
  connection.rarity?.kept.shift();
  return first;
}

/** Behind what has come as far, but before the end. */
function keep(connection: AnyConnection, item: Buffer | 0, stage: number): void {
  const { kept } = rare(connection);
  const behind = kept.findIndex((other) => stageOf(other) < stage || isEnd(other, stage));
  // It may be a borrowed one.
  const own = item !== 0 && connection.kind.settings.borrowChunks ? Buffer.from(item) : item;
  kept.splice(behind < 0 ? kept.length : behind, 0, new Staged(own, stage));
}

function stageOf(kept: Received | Staged): number {
  return kept instanceof Staged ? kept.stage : 0;
}

/** Whether it is the end, and has come to that stage at least. */
function isEnd(kept: Received | Staged, stage: number): boolean {
  return kept instanceof Staged && kept.item === 0 && kept.stage >= stage;
}

/** Bytes of a plugin enter at `stage`; whether they have not come too late. */
export function enter(connection: AnyConnection, chunk: Uint8Array, stage: number, to: Consumers): boolean {
  if (connection.ended !== null || connection.flow === ENDED || isDiscarding(connection)) return false;
  const kept = connection.rarity?.kept ?? [];
  // The end has been told to somebody behind.
  if (kept.some((other) => isEnd(other, stage + 1))) return false;
  if (chunk.length === 0) return true;
  const waits = connection.flow !== FLOWING || (kept.length > 0 && stageOf(kept[0] as Received) >= stage);
  if (waits) keep(connection, bufferOf(chunk), stage);
  else guard(connection, () => passOn(connection, bufferOf(chunk), stage, to));
  return true;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
