/**
 * The end. The descriptor goes at once; what has happened is told at the end of the turn, once: the error, then 'close'.
 */
import { connectionClosed } from '../diagnostics.js';
import { PluginError } from '../errors.js';
import { type HookTable, invoke } from '../plugin/compile.js';
import { guard, report } from './calling.js';
import type { Connection } from './connection.js';
import type { CloseInfo } from './handler.js';
import { dropQueue, lostBy, rejectWaiters } from './queued.js';
import {
  type AnyConnection,
  barrier,
  DEPARTING,
  DETACHED,
  DISCARDING,
  LISTENED,
  OPENING,
  type Rarity,
  TIMED,
  TOLD,
} from './state.js';

/** Has `leave` called at the end of the turn. */
export function depart(connection: AnyConnection): void {
  if ((connection.flags & DEPARTING) !== 0) return;
  connection.flags |= DEPARTING;
  connection.kind.host.dispatcher.depart(connection);
}

export function finish(connection: AnyConnection, info: CloseInfo): void {
  if (connection.ended !== null) return;
  connection.ended = info;
  dropQueue(connection);
  if ((connection.flags & DETACHED) === 0) connection.transport.close();
  if (connection.timeouts !== null) endTimeouts(connection);
  depart(connection);
}

/** Where sending had failed before, that is what it ends with. */
export function fail(connection: AnyConnection, error: Error): void {
  finish(connection, { by: 'error', error: connection.rarity?.brokenPipe ?? error });
}

/** A handler threw, or its promise was rejected: as an error of the connection. */
export function failByHandler(connection: AnyConnection, error: unknown): void {
  fail(
    connection,
    error instanceof Error ? error : new Error('a handler threw a value that is no Error', { cause: error }),
  );
}

/** Both sides have ended. */
export function finishInOrder(connection: AnyConnection): void {
  finish(connection, { by: (connection.flags & DISCARDING) === 0 ? 'peer' : 'local' });
}

/** Somebody has closed the socket beneath, or given its descriptor away: nothing more will be told of it. */
export function onGone(connection: AnyConnection): void {
  if (connection.ended !== null) return;
  connection.flags |= DETACHED;
  finish(connection, { by: 'local' });
}

export function tell(connection: AnyConnection, info: CloseInfo): void {
  connection.flags |= TOLD;
  const { handler, owner, hooks } = connection.kind;
  owner?.left();
  if (connectionClosed.hasSubscribers) connectionClosed.publish({ connection: connection as Connection, info });
  rejectWaiters(connection, info.error);
  if (info.error !== undefined) report(connection, info.error);
  // Each by itself: whatever one of them throws, the others are told.
  if (handler.close !== undefined && (connection.flags & OPENING) === 0)
    guard(connection, () => handler.close?.(connection, info));
  if ((connection.flags & LISTENED) !== 0) guard(connection, () => void connection.emit('close', info));
  if (hooks !== null) tellHooks(connection, hooks, info);
  if (connection.rarity !== null) tellRare(connection.rarity, info);
}

/** In reverse: whoever heard first of it hears last. */
function tellHooks(connection: AnyConnection, hooks: HookTable, info: CloseInfo): void {
  const reached = barrier(connection);
  for (const step of hooks.close) {
    if (step.at >= reached) continue;
    const result = invoke(step, connection, info);
    if (result instanceof PluginError) step.plugin.failed(result);
  }
  hooks.release();
}

function tellRare(rarity: Rarity, info: CloseInfo): void {
  for (const told of rarity.onFinished.splice(0)) told(lostBy(info.error));
  for (const told of rarity.onClosed.splice(0)) told();
  rarity.kept.length = 0;
  rarity.opening?.deadline.cancel();
  rarity.finishing?.deadline.cancel();
  rarity.holds?.cancel();
  rarity.iterator?.finish(info.error);
  rarity.resource?.emitDestroy();
}

export function endTimeouts(connection: AnyConnection): void {
  connection.timeouts?.end(connection.kind.host.dispatcher.wheel);
  connection.timeouts = null;
  connection.flags &= ~TIMED;
}
