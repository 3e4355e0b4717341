/** What a reactor knows of a socket that it watches: the user's registration, and the selects that wait for it. */
import type { BackendHost, BackendSocket } from './backend/backend.js';
import { describe, misuse } from './errors.js';
import {
  AHEAD,
  describeReadiness,
  ERROR,
  HANGUP,
  INTEREST_MASK,
  READ_CLOSED,
  READABLE,
  WRITABLE,
} from './readiness.js';
import type { Socket } from './socket.js';

/**
 * What a socket's readiness calls. One object may serve many sockets. Writable is called before readable before error;
 * before each call it is looked up whether the registration still stands and still wants it. A method that throws, or
 * that returns a promise which rejects, reaches the reactor's `onHandlerError`; the others of the batch still run.
 */
export interface ReadinessHandler<Data = unknown> {
  readable?(socket: Socket, registration: Registration<Data>): void;
  writable?(socket: Socket, registration: Registration<Data>): void;
  error?(socket: Socket, registration: Registration<Data>): void;
  /** The peer has hung up, when READ_CLOSED was asked for. It is told once, until the next `modify`. */
  hangup?(socket: Socket, registration: Registration<Data>): void;
}

/** Called once for each socket and turn with all that is ready, hints included. */
export type ReadinessCallback<Data = unknown> = (
  socket: Socket,
  readiness: number,
  registration: Registration<Data>,
) => void;

/** The bond of a socket, an interest and a handler. It stands until `unregister` or until the socket closes. */
export interface Registration<Data = unknown> {
  readonly socket: Socket;
  /** What is asked for: READABLE, WRITABLE, ERROR, READ_CLOSED. 0 = parked: nothing is reported. */
  readonly interest: number;
  /** While a handler runs: what is being dispatched, with the hints HANGUP and READ_CLOSED. */
  readonly readiness: number;
  readonly active: boolean;
  /** The user's own, given to `register`. */
  data: Data;
  /**
   * Replaces the interest, at once; 0 parks. Parked or not, the registration keeps the process alive (see `ref` of
   * `register`). Throws `ERR_REACTOR_INTEREST` for a bit without its method and `ERR_REACTOR_CLOSED` once it is over.
   */
  modify(interest: number): void;
  /** Ends the registration. What the batch still holds for it is not delivered. Idempotent. */
  unregister(): void;
}

/** The methods of a handler that is given what was received ahead for it (a connection's: see {@link AHEAD}). */
export const RECEIVED: unique symbol = Symbol('received');
export const KEEP: unique symbol = Symbol('keep');
/** Its socket is being closed or given away. Told of a registration that ends so, and of none that was unregistered. */
export const GONE: unique symbol = Symbol('gone');

export interface ReceivingHandler extends AnyHandler {
  /** Its turn has come: `index` is the event whose bytes it takes of the demultiplexer. */
  [RECEIVED](registration: SocketRegistration, index: number): void;
  /** As RECEIVED, but for later: nobody is told now. */
  [KEEP](registration: SocketRegistration, index: number): void;
}

/** Any handler: the dispatcher does not know the user's type of `data`. */
export interface AnyHandler extends ReadinessHandler<unknown> {
  [GONE]?(registration: SocketRegistration): void;
}

/** What a registration needs of its reactor. */
export interface RegistrationHost {
  /** The interest has changed. */
  rearm(watch: Watch): void;
  unregister(registration: SocketRegistration): void;
}

export class SocketRegistration implements Registration<unknown> {
  readonly watch: Watch;
  interest: number;
  readiness = 0;
  data: unknown;
  readonly handler: AnyHandler | ReadinessCallback;
  /** Whether it keeps the process alive. Changed by the reactor only. */
  held: boolean;

  constructor(watch: Watch, interest: number, handler: AnyHandler | ReadinessCallback, data: unknown, held: boolean) {
    checkInterest(interest, handler);
    this.watch = watch;
    this.handler = handler;
    this.interest = interest;
    this.data = data;
    this.held = held;
  }

  /** The reactor of the socket: not kept in a field of each registration. */
  get #host(): RegistrationHost {
    return this.watch.socket.host as BackendHost & RegistrationHost;
  }

  get socket(): Socket {
    return this.watch.socket;
  }

  /** Whether it takes what was received ahead. */
  get receives(): boolean {
    return (this.handler as ReceivingHandler)[RECEIVED] !== undefined;
  }

  get active(): boolean {
    return this.watch.registration === this;
  }

  modify(interest: number): void {
    if (!this.active) throw misuse('ERR_REACTOR_CLOSED', 'modify: the registration has ended');
    // A park, or a hang-up that was told, ends with the same interest asked for again.
    if (interest === this.interest && this.watch.armed === interest && !this.watch.hangupTold) return;
    checkInterest(interest, this.handler);
    const before = this.interest;
    this.interest = interest;
    this.watch.hangupTold = false;
    try {
      this.#host.rearm(this.watch);
    } catch (error) {
      this.interest = before;
      throw error;
    }
  }

  unregister(): void {
    this.#host.unregister(this);
  }
}

/**
 * A watched socket's slot. The demultiplexer's interest is the OR of the registration's and the selects'; `armed` is
 * what it was told last.
 */
export class Watch {
  readonly slot: number;
  readonly generation: number;
  readonly socket: BackendSocket;
  registration: SocketRegistration | null = null;
  armed = 0;
  hangupTold = false;
  selectors: Selectors | null = null;

  constructor(slot: number, generation: number, socket: BackendSocket) {
    this.slot = slot;
    this.generation = generation;
    this.socket = socket;
  }

  /** What is wanted of this socket now. */
  get wanted(): number {
    const interest = this.registration === null ? 0 : this.registration.interest;
    const hint = this.hangupTold ? interest & ~READ_CLOSED : interest;
    if (this.selectors !== null) return hint | this.selectors.interest;
    return (hint & READABLE) !== 0 && this.registration?.receives === true ? hint | AHEAD : hint;
  }
}

/** How many pending selects wait for each set of a socket; and what the latest turn reported of it. */
export class Selectors {
  readers = 0;
  writers = 0;
  errors = 0;
  reported = 0;
  reportedTurn = -1;
  /** Reports that no select wanted, one after the other: see select.ts. */
  unwanted = 0;

  get interest(): number {
    return (this.readers > 0 ? READABLE : 0) | (this.writers > 0 ? WRITABLE : 0) | (this.errors > 0 ? ERROR : 0);
  }
}

function checkInterest(interest: number, handler: AnyHandler | ReadinessCallback): void {
  if (typeof interest !== 'number' || (interest & INTEREST_MASK) !== interest) throw unknownInterest(interest);
  if (typeof handler === 'function') return;
  // Written out: this runs for each connection that is accepted.
  if ((interest & READABLE) !== 0 && typeof handler.readable !== 'function') throw lacks(READABLE, 'readable');
  if ((interest & WRITABLE) !== 0 && typeof handler.writable !== 'function') throw lacks(WRITABLE, 'writable');
  if ((interest & ERROR) !== 0 && typeof handler.error !== 'function') throw lacks(ERROR, 'error');
  if ((interest & READ_CLOSED) !== 0 && typeof handler.hangup !== 'function') throw lacks(READ_CLOSED, 'hangup');
}

function unknownInterest(interest: unknown): Error {
  if (typeof interest === 'number' && (interest & ~INTEREST_MASK) === HANGUP)
    return misuse(
      'ERR_REACTOR_INTEREST',
      'HANGUP is a hint in a readiness and cannot be asked for; READ_CLOSED can where the backend has the capability',
    );
  const given = typeof interest === 'number' ? describeReadiness(interest) : describe(interest);
  return misuse(
    'ERR_REACTOR_INTEREST',
    `an interest is made of READABLE, WRITABLE, ERROR and READ_CLOSED, got ${given}`,
  );
}

function lacks(bit: number, method: keyof ReadinessHandler): Error {
  return misuse('ERR_REACTOR_INTEREST', `the interest ${describeReadiness(bit)} needs a handler method '${method}'`);
}
