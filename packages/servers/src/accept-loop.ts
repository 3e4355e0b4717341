/** Accepts connections from a listening socket in a budgeted loop. What becomes of them is the caller's. */
import { READABLE, type Reactor, type Registration, type Socket, SocketError, type Timer } from '@fdset/reactor';

export interface AcceptLoopEvents {
  /** A connection. Must not throw. It may pause or stop the loop. */
  accepted(socket: Socket): void;
  /** Accepting failed for want of descriptors or memory: once for each episode, which ends with the next success. */
  starved(error: Error): void;
}

/** Connections accepted in one turn. */
const BUDGET = 64;
/** The connection was gone before it was accepted, or the call was interrupted: the next one is tried (accept(2)). */
const TRANSIENT: ReadonlySet<string> = new Set(['ECONNABORTED', 'ECONNRESET', 'EPROTO', 'EINTR', 'EPERM']);
/** The rest after a failed accept, in ms: doubled up to the longest one while it keeps failing. */
const FIRST_REST_MS = 100;
const LONGEST_REST_MS = 1000;

export class AcceptLoop {
  readonly #reactor: Reactor;
  readonly #listener: Socket;
  readonly #events: AcceptLoopEvents;
  #registration: Registration | undefined;
  #running = false;
  #stopped = false;
  #restMs = 0;
  #rest: Timer | undefined;

  /** `listener` listens already; the loop closes it in `stop`. */
  constructor(reactor: Reactor, listener: Socket, events: AcceptLoopEvents) {
    this.#reactor = reactor;
    this.#listener = listener;
    this.#events = events;
  }

  /** Begins to accept, or goes on. Idempotent. */
  resume(): void {
    this.#running = true;
    this.#rearm();
  }

  /** Connections wait in the system's queue. The process stays alive. Idempotent. */
  pause(): void {
    this.#running = false;
    this.#rearm();
  }

  /** Pauses, and lets the process end. */
  release(): void {
    this.#running = false;
    this.#registration?.unregister();
    this.#registration = undefined;
  }

  /** Stops for good and closes the listening socket: connections that nobody accepted are reset by the system. */
  stop(): void {
    this.#stopped = true;
    this.release();
    this.#rest?.cancel();
    this.#listener.close();
  }

  #rearm(): void {
    if (this.#stopped) return;
    const interest = this.#running && this.#rest === undefined ? READABLE : 0;
    if (this.#registration === undefined) {
      if (interest !== 0)
        this.#registration = this.#reactor.register(this.#listener, interest, { readable: () => this.#accept() });
    } else if (this.#registration.interest !== interest) this.#registration.modify(interest);
  }

  #accept(): void {
    for (let i = 0; i < BUDGET && this.#running; i += 1) {
      let socket: Socket | null;
      try {
        socket = this.#listener.accept();
      } catch (error) {
        if (error instanceof SocketError && TRANSIENT.has(error.code)) continue;
        this.#starve(error as Error);
        return;
      }
      if (socket === null) return;
      this.#restMs = 0;
      this.#events.accepted(socket);
    }
  }

  /** No descriptors or no memory: a listener that is ready all the time would spin, so it rests. */
  #starve(error: Error): void {
    const isFirst = this.#restMs === 0;
    this.#restMs = isFirst ? FIRST_REST_MS : Math.min(this.#restMs * 2, LONGEST_REST_MS);
    this.#rest = this.#reactor.setTimer(this.#restMs, () => {
      this.#rest = undefined;
      this.#rearm();
    });
    this.#rearm();
    if (isFirst) this.#events.starved(error);
  }
}
