/** The beginning: a connection is watched, and told to whom it concerns. */
import { connectionOpened } from '../diagnostics.js';
import { awaited, enterContext, handlerFailed, withinContext } from './calling.js';
import type { Connection } from './connection.js';
import { endTimeouts } from './ending.js';
import { interestOf } from './flow.js';
import { readinessHandler } from './readiness.js';
import { tellKeptLater } from './reading.js';
import { type AnyConnection, BLOCKED, CONTEXTUAL, FLOWING, rare, TIMED } from './state.js';
import { Timeouts } from './timeouts.js';

/** Registers the socket and tells `handler.open`. Called once. `unread` comes before what it receives. */
export function start(connection: AnyConnection, unread?: Uint8Array): void {
  const { host, handler, settings } = connection.kind;
  if (unread !== undefined && unread.length > 0)
    rare(connection).kept.push(Buffer.from(unread.buffer, unread.byteOffset, unread.byteLength));
  // Reading begins at once where there is a method for it, in the same system call that watches the socket.
  if (handler.data !== undefined) connection.flow = FLOWING;
  if (settings.idleMs > 0 || settings.readMs > 0 || settings.writeMs > 0) startTimeouts(connection);
  if (settings.asyncContext) enterContext(connection);
  connection.registration = host.dispatcher.register(
    connection.transport,
    interestOf(connection),
    readinessHandler({
      receives: host.receivesAhead && !settings.borrowChunks,
      contextual: settings.asyncContext,
    }),
    connection,
    true,
  );
  host.observer?.connection(connection as Connection);
  if (connectionOpened.hasSubscribers) connectionOpened.publish({ connection: connection as Connection });
  if (settings.asyncContext) withinContext(connection, () => tellOpen(connection));
  else tellOpen(connection);
  // Not within this call: its caller has no connection yet.
  if (connection.flow === FLOWING && connection.rarity !== null && connection.rarity.kept.length > 0)
    tellKeptLater(connection);
}

function tellOpen(connection: AnyConnection): void {
  try {
    awaited(connection, connection.kind.handler.open?.(connection));
  } catch (error) {
    handlerFailed(connection, error);
  }
  // Whatever `open` has entered (AsyncLocalStorage.enterWith) is what all that follows runs in.
  if ((connection.flags & CONTEXTUAL) !== 0) enterContext(connection);
}

function startTimeouts(connection: AnyConnection): Timeouts {
  const { host, settings } = connection.kind;
  const now = host.dispatcher.time;
  const timeouts = new Timeouts(connection, settings, now);
  if (connection.flow === FLOWING) timeouts.readingSince = now;
  if ((connection.flags & BLOCKED) !== 0) timeouts.blockedSince = now;
  timeouts.relink(host.dispatcher.wheel, now);
  connection.timeouts = timeouts;
  connection.flags |= TIMED;
  return timeouts;
}

export function setIdleTimeout(connection: AnyConnection, ms: number): void {
  if (connection.ended !== null) return;
  const { dispatcher } = connection.kind.host;
  const timeouts = connection.timeouts ?? startTimeouts(connection);
  timeouts.idleMs = ms;
  timeouts.idleSince = dispatcher.time;
  timeouts.relink(dispatcher.wheel, timeouts.idleSince);
  if (timeouts.shortest === 0) endTimeouts(connection);
}
