/** The errors of node:net as those of the system calls behind them. */
import { constants } from 'node:os';
import type { Address } from '../../address.js';
import { SocketError, socketError } from '../../errors.js';

/** libuv's names for what the BSD verbs call otherwise. */
const VERBS: Record<string, string> = { read: 'recv', write: 'send' };
/** node:net binds and listens in one step and calls it `listen`; these are errors of the first half. */
const BIND_CODES = new Set(['EADDRINUSE', 'EADDRNOTAVAIL', 'EACCES', 'EAFNOSUPPORT', 'EINVAL']);

/** `verb` is the call to name where `error` names none, `address` what it was about. */
export function toSocketError(error: NodeJS.ErrnoException, verb: string, address?: Address): SocketError {
  const called = error.syscall ?? verb;
  const syscall = called === 'listen' && BIND_CODES.has(error.code ?? '') ? 'bind' : (VERBS[called] ?? called);
  if (typeof error.errno === 'number' && error.errno < 0) return new SocketError(error.errno, syscall, address);
  // Bun's errnos are positive, and Deno's are not always there.
  if (Object.hasOwn(constants.errno, error.code ?? '')) return socketError(error.code as string, syscall, address);
  // Node's own (ERR_SOCKET_CLOSED and the like) say that the socket was lost under us.
  const lost = socketError('ECONNABORTED', syscall, address, { cause: error });
  lost.message = `${syscall} ECONNABORTED: ${error.message}`;
  return lost;
}
