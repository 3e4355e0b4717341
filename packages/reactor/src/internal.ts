/** For fdset's other packages. No part of this is stable. */
export {
  type AcceptCounters,
  type AcceptHost,
  AcceptLoop,
  type AcceptSettings,
  type AcceptSink,
} from './accept-loop.js';

import type { MovableSocket } from './backend/backend.js';
import { HOST } from './connection/state.js';
import { SocketError } from './errors.js';
import { descriptorsOf, type HandOffHost } from './hand-off/host.js';
import { loadCore } from './native.js';
import type { Reactor } from './reactor.js';
import type { Socket } from './socket.js';

/** A handle, plain data, that wakes this thread out of its blocking verbs; `undefined` without the native core. */
export function threadWaker(): number | undefined {
  const core = loadCore();
  return typeof core === 'string' ? undefined : core.threadWaker();
}

/** Wakes a thread out of its blocking verb: that one, or its next. Returns whether the thread is still there. */
export function wakeThread(handle: number): boolean {
  const core = loadCore();
  return typeof core !== 'string' && core.wake(handle) === 1;
}

/** A socket that is offered to whichever thread of this process is told the token. */
export interface SocketOffer {
  readonly token: number;
  /** When that thread has ended: closes the socket if it was never claimed. */
  withdraw(): void;
}

/** Offers a socket, which is closed and unregistered here from then on. */
export function offerSocket(socket: Socket): SocketOffer {
  const moved = socket as MovableSocket;
  const table = descriptorsOf((moved.host as MovableSocket['host'] & HandOffHost).backend, 'transfer');
  const fd = moved.lend();
  const token = table.offer(fd);
  if (token < 0) {
    table.close(fd);
    throw new SocketError(token, 'transfer');
  }
  return {
    token,
    withdraw() {
      const back = table.withdraw(token);
      if (back >= 0) table.close(back);
    },
  };
}

/** The socket that a thread has offered, as the reactor's. */
export function claimSocket<Context>(reactor: Reactor<Context>, token: number): Socket {
  const { backend } = reactor[HOST].dispatcher;
  const table = descriptorsOf(backend, 'receiveSockets');
  const fd = table.claim(token);
  if (fd < 0) throw new SocketError(fd, 'transfer');
  const socket = backend.adopt(fd);
  table.settle(token, true);
  return socket;
}

/** For `bench micro timeouts`. */
export { Timeouts } from './connection/timeouts.js';
export { TICK_MS, TimeoutWheel } from './timeout-wheel.js';
