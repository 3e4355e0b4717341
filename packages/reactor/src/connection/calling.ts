/** How a connection calls the user's code: what that throws or rejects with, and the asynchronous context it runs in. */
import { AsyncResource } from 'node:async_hooks';
import { raise } from '../errors.js';
import { type AnyConnection, CONTEXTUAL, LISTENED, rare } from './state.js';

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
  const { handler, host } = connection.kind;
  guard(connection, () => handler.error?.(connection, error));
  let heard = false;
  guard(connection, () => {
    heard = connection.listenerCount('error') > 0;
    if (heard) connection.emit('error', error);
  });
  if (!heard && handler.error === undefined) host.metrics.unheardErrors += 1;
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
