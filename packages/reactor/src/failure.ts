/** What happens with a registration whose handler threw, or returned a promise that was rejected. */
import type { BackendSocket } from './backend/backend.js';
import { describe, misuse, raise } from './errors.js';
import type { Registration, SocketRegistration } from './registration.js';
import type { TimerQueue } from './timers.js';

/**
 * Decides by its result. `'close'` closes the socket (a connection with the error as its own), `'pause'` parks the
 * registration for 100 ms, doubling to 1 s while it fails again, `'rethrow'` raises the error as an uncaughtException.
 * Nothing: by kind; a connected stream is closed, a listener or datagram socket pauses.
 */
export type OnHandlerError = (
  error: unknown,
  registration: Registration,
) => 'close' | 'pause' | 'rethrow' | undefined | void;

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1000;
/** A failure this long after the pause before is a new one. */
const FORGET_MS = 10_000;

interface Pause {
  ms: number;
  until: number;
}

export class FailureHandling {
  readonly #decide: OnHandlerError | undefined;
  readonly #close: (registration: SocketRegistration, error: unknown) => void;
  readonly #pauses = new WeakMap<SocketRegistration, Pause>();

  constructor(decide: OnHandlerError | undefined, close: (registration: SocketRegistration, error: unknown) => void) {
    if (decide !== undefined && typeof decide !== 'function')
      throw misuse('ERR_REACTOR_ARGUMENT', `onHandlerError must be a function, got ${describe(decide)}`);
    this.#decide = decide;
    this.#close = close;
  }

  handle(error: unknown, registration: SocketRegistration, timers: TimerQueue): void {
    let action: ReturnType<OnHandlerError>;
    if (this.#decide === undefined) raise(error);
    else {
      try {
        action = this.#decide(error, registration);
      } catch (second) {
        raise(second);
      }
    }
    if (action === 'rethrow') {
      raise(error);
      return;
    }
    if (!registration.active) return;
    if ((action ?? byKind(registration)) === 'close') this.#close(registration, error);
    else this.#pause(registration, timers);
  }

  #pause(registration: SocketRegistration, timers: TimerQueue): void {
    const { interest } = registration;
    if (interest === 0) return;
    const now = timers.host.now();
    const before = this.#pauses.get(registration);
    const ms =
      before !== undefined && now - before.until < FORGET_MS
        ? Math.min(before.ms * 2, LONGEST_PAUSE_MS)
        : FIRST_PAUSE_MS;
    this.#pauses.set(registration, { ms, until: now + ms });
    registration.modify(0);
    timers.add(
      ms,
      () => {
        if (registration.active && registration.interest === 0) registration.modify(interest);
      },
      { ref: false },
    );
  }
}

function byKind(registration: SocketRegistration): 'close' | 'pause' {
  const socket = registration.socket as BackendSocket;
  return socket.listening || socket.type === 'datagram' || socket.type === 'raw' ? 'pause' : 'close';
}
