/** How a connection calls the user's code: what that throws or rejects with, and the asynchronous context it runs in. */
import { AsyncResource } from 'node:async_hooks';
import { PluginError, raise } from '../errors.js';
import { invoke } from '../plugin/compile.js';
import { type AnyConnection, barrier, CONTEXTUAL, LISTENED, OPENING, rare } from './state.js';

/** A handler may be an async function: its rejection is treated as what it would have thrown. */
export function awaited(connection: AnyConnection, result: unknown): void {
  if (typeof (result as PromiseLike<unknown> | null)?.then !== 'function') return;
  (result as PromiseLike<unknown>).then(undefined, (error: unknown) => handlerFailed(connection, error));
}

/** A handler was called outside the dispatch of its socket: the same happens with what it throws. */
export function handlerFailed(connection: AnyConnection, error: unknown): void {
  const { registration } = connection;
  if (registration === null) raise(error);
  else connection.kind.host.dispatcher.failed(error, registration);
}

/** Whether an event of an open connection has anybody to go to. */
export function isHeard(connection: AnyConnection): boolean {
  return (connection.flags & LISTENED) !== 0 && connection.ended === null;
}

/** Calls out of the dispatch of the socket; what it throws reaches `onHandlerError`. */
export function guard(connection: AnyConnection, call: () => unknown): void {
  const resource = connection.rarity === null ? null : connection.rarity.resource;
  try {
    awaited(connection, resource === null ? call() : resource.runInAsyncScope(call));
  } catch (error) {
    handlerFailed(connection, error);
  }
}

/** Tells an error of the connection, or counts it where nobody hears. */
export function report(connection: AnyConnection, error: Error): void {
  const { handler, host, hooks } = connection.kind;
  let heard = hooks !== null && reportToHooks(connection, error);
  // A handler that was never told of the connection is not told of its error.
  if (handler.error !== undefined && (connection.flags & OPENING) === 0) {
    heard = true;
    guard(connection, () => handler.error?.(connection, error));
  }
  guard(connection, () => {
    if (connection.listenerCount('error') === 0) return;
    heard = true;
    connection.emit('error', error);
  });
  if (heard) return;
  host.metrics.unheardErrors += 1;
  // The network fails every day; a plugin has a fault that somebody should mend.
  if (error instanceof PluginError) hooks?.plugins.find(({ plugin }) => plugin.name === error.plugin)?.failed(error);
}

/** Whether a plugin has heard of it. */
function reportToHooks(connection: AnyConnection, error: Error): boolean {
  const reached = barrier(connection);
  let heard = false;
  for (const step of connection.kind.hooks?.error ?? []) {
    if (step.at >= reached) continue;
    heard = true;
    const result = invoke(step, connection, error);
    if (result instanceof PluginError) step.plugin.failed(result);
  }
  return heard;
}

/** Makes the context of this moment the one that all that follows runs in. */
export function enterContext(connection: AnyConnection): void {
  const rarity = rare(connection);
  rarity.resource?.emitDestroy();
  rarity.resource = new AsyncResource('FDSET_CONNECTION', { requireManualDestroy: true });
  connection.flags |= CONTEXTUAL;
}

export function withinContext(connection: AnyConnection, call: () => void): void {
  connection.rarity?.resource?.runInAsyncScope(call);
}
