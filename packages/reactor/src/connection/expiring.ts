/** A time that has run out: told where it is idleness that somebody listens for, otherwise the end. */
import { socketError } from '../errors.js';
import { guard } from './calling.js';
import { fail } from './ending.js';
import { tellHooks } from './hooked.js';
import { type AnyConnection, barrier, LISTENED, OPENING } from './state.js';
import type { TimeoutKind } from './timeouts.js';

const WHAT_TIMED_OUT: Readonly<Record<TimeoutKind, string>> = {
  idle: 'nothing was received or sent',
  read: 'nothing was received',
  write: 'no queued byte has left',
};

export function timedOut(connection: AnyConnection, kind: TimeoutKind, ms: number): void {
  if (kind === 'idle' && tellIdle(connection)) return;
  const error = socketError('ETIMEDOUT', kind === 'write' ? 'send' : 'recv', connection.remoteAddress);
  error.message += `: ${WHAT_TIMED_OUT[kind]} for ${ms} ms`;
  fail(connection, error);
}

/** Whether there is somebody to tell. */
function tellIdle(connection: AnyConnection): boolean {
  const { handler, hooks } = connection.kind;
  const listened = (connection.flags & LISTENED) !== 0 && connection.listenerCount('timeout') > 0;
  const handled = handler.timeout !== undefined && (connection.flags & OPENING) === 0;
  const hooked = hooks?.timeout.some(({ at }) => at < barrier(connection)) === true;
  if (hooked) guard(connection, () => tellHooks(connection, hooks.timeout));
  if (handled && connection.ended === null) guard(connection, () => handler.timeout?.(connection));
  if (listened && connection.ended === null) guard(connection, () => void connection.emit('timeout'));
  return hooked || handled || listened;
}
