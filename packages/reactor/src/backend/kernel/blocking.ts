/** The blocking verbs that consist of others: each try is followed by a wait of the thread, until the time is over. */
import { constants as os } from 'node:os';
import type { Address } from '../../address.js';
import { checkTimeout } from '../../arguments.js';
import { SocketError, socketError } from '../../errors.js';
import type { Core } from '../../native.js';
import { READABLE, WRITABLE } from '../../readiness.js';
import type { Socket } from '../../socket.js';

const LONGEST_CONNECT_PAUSE_MS = 50;
/** Waits for no descriptor: only the time, or the thread's waker, ends it. */
const NO_DESCRIPTOR = -1;

export function acceptSync(core: Core, socket: Socket, timeoutMs: number | undefined): Socket | null {
  const deadline = deadlineOf(timeoutMs);
  for (;;) {
    const accepted = socket.accept();
    if (accepted !== null) return accepted;
    if (wait(core, socket.fileno(), READABLE, deadline) !== 'ready') return null;
  }
}

export function connectSync(core: Core, socket: Socket, address: Address, timeoutMs: number | undefined): void {
  const deadline = deadlineOf(timeoutMs);
  if (beginConnect(core, socket, address, deadline) === 'connected') return;
  for (;;) {
    const outcome = wait(core, socket.fileno(), WRITABLE, deadline);
    if (outcome === 'timeout') throw socketError('ETIMEDOUT', 'connect', address);
    if (outcome === 'interrupted') throw socketError('EINTR', 'connect', address);
    if (socket.finishConnect()) return;
  }
}

/** A unix socket whose listener's queue is full says EAGAIN, and no readiness tells when there is room (measured). */
function beginConnect(
  core: Core,
  socket: Socket,
  address: Address,
  deadline: number | undefined,
): 'connected' | 'connecting' {
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, LONGEST_CONNECT_PAUSE_MS)) {
    try {
      return socket.connect(address);
    } catch (error) {
      if (socket.family !== 'unix' || (error as SocketError).code !== 'EAGAIN') throw error;
    }
    const left = deadline === undefined ? Number.POSITIVE_INFINITY : deadline - performance.now();
    if (left <= 0) throw socketError('ETIMEDOUT', 'connect', address);
    if (core.waitSync(NO_DESCRIPTOR, 0, Math.min(pauseMs, left)) < 0) throw socketError('EINTR', 'connect', address);
  }
}

function wait(
  core: Core,
  fd: number,
  interest: number,
  deadline: number | undefined,
): 'ready' | 'timeout' | 'interrupted' {
  const left = deadline === undefined ? -1 : Math.max(0, deadline - performance.now());
  const result = core.waitSync(fd, interest, left);
  if (result < 0 && result !== -os.errno.EINTR) throw new SocketError(result, 'poll');
  return result > 0 ? 'ready' : result === 0 ? 'timeout' : 'interrupted';
}

function deadlineOf(timeoutMs: number | undefined): number | undefined {
  const timeout = checkTimeout(timeoutMs, 'timeoutMs');
  return timeout === undefined ? undefined : performance.now() + timeout;
}
