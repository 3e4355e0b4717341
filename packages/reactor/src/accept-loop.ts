/** Accepts from a listening socket in a budgeted loop, and rests when that fails. What becomes of a connection is the caller's. */
import { READABLE } from './readiness.js';
import { type AnyHandler, GONE, type ReadinessHandler, type Registration } from './registration.js';
import type { Socket } from './socket.js';
import { holdSpare, releaseSpare, spendSpare } from './spare-descriptor.js';
import type { Timer } from './timers.js';

/** What the loop needs of its reactor. */
export interface AcceptHost {
  register(socket: Socket, interest: number, handler: ReadinessHandler, options: { data: unknown }): Registration;
  setTimer(delayMs: number, callback: () => void): Timer;
}

/** Who hears of the loop. It may pause or stop it. */
export interface AcceptSink {
  /** A connection, which is the sink's from then on. */
  accepted(socket: Socket): void;
  /** Accepting has failed, and rests. `first`: the last time before it had succeeded. */
  starved(error: Error, first: boolean): void;
  /** The loop has stopped by itself: the listening socket is being closed or given away beneath it. Must not throw. */
  gone?(): void;
}

/** Counted by the loop; they only grow. */
export interface AcceptCounters {
  /** Times that accepting failed for want of descriptors or memory. */
  acceptFailures: number;
  /** Connections that were closed at once for want of descriptors. */
  shed: number;
}

export interface AcceptSettings {
  /** Connections accepted in one turn, at most. */
  readonly budget: number;
  readonly counters: AcceptCounters;
  /** Becomes `registration.data`. */
  readonly data?: unknown;
}

/**
 * The one connection is lost or was refused, and the next may be well. Linux tells at `accept` what the network already
 * knows of the new socket (accept(2), "Error handling").
 */
const TRANSIENT: ReadonlySet<string> = new Set([
  'ECONNABORTED',
  'ECONNRESET',
  'EINTR',
  'EPERM',
  'EPROTO',
  'ENETDOWN',
  'ENOPROTOOPT',
  'EHOSTDOWN',
  'ENONET',
  'EHOSTUNREACH',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENETUNREACH',
]);

/** Where a descriptor that is freed helps. */
const OUT_OF_DESCRIPTORS: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE']);

/** Whether an error of `accept` concerns one connection only: then the next one is tried at once. */
export function isTransient(error: unknown): boolean {
  // By its code: the error's class may be that of the other build (CommonJS) of this package.
  return TRANSIENT.has((error as NodeJS.ErrnoException | null)?.code ?? '');
}

/** The rest after a failure, in ms: doubled up to the longest one while it keeps failing. */
const FIRST_REST_MS = 100;
const LONGEST_REST_MS = 1000;

/**
 * Level-triggered, a listening socket from which nobody can accept is ready all the time: a loop without a rest would
 * spin. When descriptors run out, the spare one serves to accept what waits and close it at once, so that the peers hear
 * of it; and the loop rests all the same, because others (Node's own threads) may take the descriptor that was freed.
 */
export class AcceptLoop {
  readonly #host: AcceptHost;
  readonly #socket: Socket;
  readonly #sink: AcceptSink;
  readonly #settings: AcceptSettings;
  readonly #hasSpare: boolean;
  #registration: Registration | null = null;
  #running = false;
  #stopped = false;
  #restMs = 0;
  #rest: Timer | null = null;

  /** `socket` listens already; the loop closes it in `stop`. */
  constructor(host: AcceptHost, socket: Socket, sink: AcceptSink, settings: AcceptSettings) {
    this.#host = host;
    this.#socket = socket;
    this.#sink = sink;
    this.#settings = settings;
    // Where the system's descriptors are not ours (the emulated backend), Node looks after them.
    this.#hasSpare = socket.fileno() >= 0;
    if (this.#hasSpare) holdSpare();
  }

  /** Begins to accept, or goes on. Idempotent. A socket that cannot be watched is closed, and the error thrown. */
  resume(): void {
    if (this.#stopped) return;
    this.#running = true;
    try {
      this.#rearm();
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /** Whether it waits for descriptors or memory to become free. */
  get resting(): boolean {
    return this.#rest !== null;
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
    this.#registration = null;
  }

  /** Stops for good and closes the listening socket: connections that nobody accepted are reset by the system. Idempotent. */
  stop(): void {
    if (this.#stopped) return;
    this.#end();
    this.#socket.close();
  }

  /** All but the socket, which another one may be closing at the moment. */
  #end(): void {
    this.#stopped = true;
    this.release();
    this.#rest?.cancel();
    if (this.#hasSpare) releaseSpare();
  }

  #rearm(): void {
    // Without its descriptor (closed or detached by its owner) there is nothing to accept from.
    if (this.#stopped || this.#socket.closed) return;
    const interest = this.#running && this.#rest === null ? READABLE : 0;
    if (this.#registration === null) {
      if (interest !== 0)
        this.#registration = this.#host.register(this.#socket, interest, this.#readiness, {
          data: this.#settings.data,
        });
    } else if (this.#registration.active && this.#registration.interest !== interest) {
      try {
        this.#registration.modify(interest);
      } catch (error) {
        // The kernel has no memory (epoll_ctl(2)).
        this.#starve(error as Error);
      }
    }
  }

  readonly #readiness: AnyHandler = {
    readable: () => this.#accept(),
    [GONE]: () => {
      this.#end();
      this.#sink.gone?.();
    },
  };

  #accept(): void {
    if (!this.#running || this.#rest !== null) {
      // Another one has armed it: the pause after a handler that threw is over.
      this.#rearm();
      return;
    }
    let lost: NodeJS.ErrnoException | null = null;
    for (let left = this.#settings.budget; left > 0; left -= 1) {
      let socket: Socket | null;
      try {
        socket = this.#socket.accept();
      } catch (error) {
        if (isTransient(error)) {
          lost = error as Error;
          continue;
        }
        this.#starve(error as Error);
        return;
      }
      if (socket === null) return;
      lost = null;
      this.#restMs = 0;
      this.#sink.accepted(socket);
      if (!this.#running || this.#socket.closed) return;
    }
    // A security module's refusal leaves the connection in the queue: it comes again and again.
    if (lost?.code === 'EPERM') this.#starve(lost);
  }

  #starve(error: Error): void {
    const { counters } = this.#settings;
    const outOfDescriptors = OUT_OF_DESCRIPTORS.has((error as NodeJS.ErrnoException).code ?? '');
    // Linux looks for a descriptor before it looks into the queue: it may have failed with nobody waiting.
    if (outOfDescriptors && this.#hasSpare && spendSpare(() => this.#shed()) === 'nobody') return;
    const isFirst = this.#restMs === 0;
    this.#restMs = isFirst ? FIRST_REST_MS : Math.min(this.#restMs * 2, LONGEST_REST_MS);
    this.#rest = this.#host.setTimer(this.#restMs, () => {
      this.#rest = null;
      this.#rearm();
    });
    this.#rearm();
    counters.acceptFailures += 1;
    this.#sink.starved(error, isFirst);
  }

  /** Accepts and closes what waits, at most a turn's budget. */
  #shed(): 'shed' | 'nobody' | 'failed' {
    for (let count = 0; count < this.#settings.budget; count += 1) {
      let socket: Socket | null;
      try {
        socket = this.#socket.accept();
      } catch {
        // Another thread was quicker. The rest sees to it.
        return 'failed';
      }
      if (socket === null) return count === 0 ? 'nobody' : 'shed';
      socket.close();
      this.#settings.counters.shed += 1;
    }
    return 'shed';
  }
}
