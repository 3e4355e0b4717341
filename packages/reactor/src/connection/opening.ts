/** The beginning: a connection is watched, and told to whom it concerns. */
import type { Address } from '../address.js';
import { connectionOpened } from '../diagnostics.js';
import { misuse } from '../errors.js';
import type { HookTable } from '../plugin/compile.js';
import { awaited, enterContext, guard, handlerFailed, withinContext } from './calling.js';
import type { Connection } from './connection.js';
import { endTimeouts } from './ending.js';
import { interestOf, pause } from './flow.js';
import { callForHold, waitFor } from './hooked.js';
import { readinessHandler } from './readiness.js';
import { readOn, tellKeptLater } from './reading.js';
import {
  type AnyConnection,
  BLOCKED,
  CONTEXTUAL,
  FILTERED,
  FLOWING,
  OPENING,
  rare,
  reachPlugin,
  STAGED,
  TIMED,
  TOLD,
} from './state.js';
import { Timeouts } from './timeouts.js';

/** Registers the socket and tells `handler.open`. Called once. `unread` comes before what it receives. */
export function start(connection: AnyConnection, unread?: Uint8Array): void {
  const { host, handler, settings, hooks } = connection.kind;
  if (hooks !== null) connection.flags |= OPENING | flagsOf(hooks);
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

/** Where plugins take part in what comes and goes. */
function flagsOf({ data, end, write }: HookTable): number {
  return (data.length > 0 || end.length > 0 ? STAGED : 0) | (write.length > 0 ? FILTERED : 0);
}

function tellOpen(connection: AnyConnection): void {
  const { hooks } = connection.kind;
  if (hooks === null || openPlugins(connection, hooks, 0)) openHandler(connection);
}

/** Opens the plugins from that place on; whether all are open. */
function openPlugins(connection: AnyConnection, hooks: HookTable, from: number): boolean {
  for (const step of hooks.open) {
    if (step.at < from) continue;
    reachPlugin(connection, step.at);
    const holds = callForHold(connection, step);
    if (connection.ended !== null) return false;
    if (holds) {
      const resumes = connection.flow === FLOWING || connection.rarity?.holds?.resumes === true;
      rare(connection).opening = { ...waitFor(connection, step), resumes };
      connection.flags |= STAGED;
      // The plugin reads to decide, and is told of the end.
      readOn(connection);
      return false;
    }
  }
  connection.flags &= ~OPENING;
  return true;
}

/** The plugin at that place, which has held the opening, lets it go on; whether it had. */
export function goOnOpening(connection: AnyConnection, at: number, remoteAddress: Address | undefined): boolean {
  const { hooks } = connection.kind;
  const { rarity } = connection;
  const opening = rarity?.opening;
  if (!hooks || !rarity || !opening || opening.at !== at || connection.ended !== null) return false;
  opening.deadline.cancel();
  rarity.opening = null;
  if (remoteAddress !== undefined) rarity.remoteAddress = remoteAddress;
  if (opening.resumes) readOn(connection);
  else pause(connection);
  guard(connection, () => {
    if (openPlugins(connection, hooks, at + 1)) openHandler(connection);
  });
  if (connection.flow === FLOWING && rarity.kept.length > 0) tellKeptLater(connection);
  return true;
}

/** Resolves once all plugins have opened it; rejects with what it ends with before. `null`: it is open. */
export function opened(connection: AnyConnection): Promise<void> | null {
  if ((connection.flags & OPENING) === 0) return null;
  return new Promise((resolve, reject) => {
    const closed = (): void =>
      reject(connection.ended?.error ?? misuse('ERR_REACTOR_CLOSED', 'the connection was closed before it was open'));
    if ((connection.flags & TOLD) !== 0) closed();
    rare(connection).onOpened.push(resolve);
    rare(connection).onClosed.push(closed);
  });
}

function openHandler(connection: AnyConnection): void {
  for (const told of connection.rarity?.onOpened.splice(0) ?? []) told();
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
