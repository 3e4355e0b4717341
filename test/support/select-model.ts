/**
 * What select(2) has to say, kept beside the real sockets: connected streams in pairs, what waits in each, and what is
 * registered. Closing drains first, and nobody sends to a peer that has gone, so that no reset comes into it.
 */
import { READABLE, type Reactor, type Registration, type Socket, WOULD_BLOCK, WRITABLE } from '@fdset/reactor';
import { expect } from 'vitest';

/** More is not sent without being read: far below a quarter of the send buffer, where a socket ceases to be writable. */
const MOST_WAITING = 4096;

/** One end of a connection. */
export interface End {
  readonly name: string;
  readonly socket: Socket;
  peer: End;
  /** Bytes that its peer has sent and it has not received. */
  waiting: number;
  /** It has ended its writing side. */
  ended: boolean;
  /** The system takes no more of it, until its peer has received all. */
  full: boolean;
  registration: Registration | null;
  interest: number;
  /** What it was ready for at some time since the latest settling: a batch may tell what has passed. */
  possible: number;
}

/** A handler was called. */
export interface Call {
  readonly end: End;
  readonly readiness: number;
}

export class SelectModel {
  readonly ends: End[] = [];
  readonly calls: Call[] = [];
  readonly #reactor: Reactor;
  /** Whether bytes arrive with the call that sends them, as between two ends of a socket pair. */
  readonly #immediate: boolean;
  #script: ((end: End) => void)[] = [];

  constructor(reactor: Reactor, pairs: readonly (readonly [Socket, Socket])[], immediate: boolean) {
    this.#reactor = reactor;
    this.#immediate = immediate;
    for (const [i, sockets] of pairs.entries()) {
      const [near, far] = sockets.map((socket, side) => ({
        name: `${i}${'ab'[side]}`,
        socket,
        peer: undefined as unknown as End,
        waiting: 0,
        ended: false,
        full: false,
        registration: null,
        interest: 0,
        possible: WRITABLE,
      })) as [End, End];
      near.peer = far;
      far.peer = near;
      this.ends.push(near, far);
    }
  }

  get open(): End[] {
    return this.ends.filter((end) => !end.socket.closed);
  }

  readiness(end: End): number {
    if (end.socket.closed) return 0;
    const readable = end.waiting > 0 || end.peer.ended || end.peer.socket.closed;
    return (readable ? READABLE : 0) | (end.full ? 0 : WRITABLE);
  }

  /** The subset that select has to give of `ends`. */
  ready(ends: readonly End[], bit: number): Socket[] {
    return ends.filter((end) => (this.readiness(end) & bit) !== 0).map(({ socket }) => socket);
  }

  // --- what may be done to an end, at any time -------------------------------------------------------------------------

  register(end: End, interest: number): void {
    if (end.socket.closed || end.registration !== null) return;
    const told = (readiness: number, registration: Registration) => {
      expect(registration, `${end.name} is told by a registration that has ended`).toBe(end.registration);
      expect(registration.active).toBe(true);
      const bits = readiness & (READABLE | WRITABLE);
      expect(bits & ~end.interest, `${end.name} is told what it does not want`).toBe(0);
      expect(bits & ~end.possible, `${end.name} is told what never was`).toBe(0);
      this.calls.push({ end, readiness: bits });
      this.#script.shift()?.(end);
    };
    // Both forms of a handler, half of the ends each.
    const handler = end.name.endsWith('a')
      ? (_socket: Socket, readiness: number, registration: Registration) => told(readiness, registration)
      : {
          readable: (_socket: Socket, registration: Registration) => told(READABLE, registration),
          writable: (_socket: Socket, registration: Registration) => told(WRITABLE, registration),
        };
    end.registration = this.#reactor.register(end.socket, interest, handler);
    end.interest = interest;
  }

  modify(end: End, interest: number): void {
    if (end.registration === null) return;
    end.registration.modify(interest);
    end.interest = interest;
  }

  unregister(end: End): void {
    end.registration?.unregister();
    this.#forget(end);
  }

  send(end: End, bytes: number): void {
    if (end.socket.closed || end.ended || end.peer.socket.closed || end.full) return;
    if (end.peer.waiting + bytes > MOST_WAITING) return;
    expect(end.socket.send(Buffer.alloc(bytes, 'x'))).toBe(bytes);
    end.peer.waiting += bytes;
    this.#note();
  }

  /** Sends until the system takes no more. Only where its peer can receive that at once. */
  fill(end: End): void {
    if (!this.#immediate || end.socket.closed || end.ended || end.peer.socket.closed) return;
    const block = Buffer.alloc(4096);
    for (let count = end.socket.send(block); count !== WOULD_BLOCK; count = end.socket.send(block))
      end.peer.waiting += count;
    end.full = true;
    this.#note();
  }

  receive(end: End, bytes: number): void {
    if (end.socket.closed) return;
    if (end.peer.full) {
      // In between, when it becomes writable is the system's own affair.
      this.drain(end);
      return;
    }
    const count = end.socket.recv(Buffer.alloc(bytes));
    if (this.#immediate) {
      const ended = end.peer.ended || end.peer.socket.closed;
      expect(count).toBe(end.waiting > 0 ? Math.min(bytes, end.waiting) : ended ? 0 : WOULD_BLOCK);
    }
    end.waiting -= Math.max(count, 0);
  }

  shutdown(end: End): void {
    // A unix socket that is full and shut is hung up, and its room to send is told late: see parking.test.ts.
    if (end.socket.closed || end.ended || end.full || end.peer.socket.closed) return;
    end.socket.shutdown('write');
    end.ended = true;
    this.#note();
  }

  /** Receives all that waits, and closes; not where some of it is still on its way. Returns whether it did. */
  close(end: End): boolean {
    if (!this.drain(end)) return false;
    end.socket.close();
    this.closed(end);
    return true;
  }

  /** Receives all that waits; `false` where some of it is still on its way, or the socket is closed. */
  drain(end: End): boolean {
    if (end.socket.closed) return false;
    while (end.waiting > 0) {
      const count = end.socket.recv(Buffer.alloc(MOST_WAITING));
      if (count <= 0) return false;
      end.waiting -= count;
    }
    end.peer.full = false;
    this.#note();
    return true;
  }

  /** The end was closed. */
  closed(end: End): void {
    this.#forget(end);
    this.#note();
  }

  #forget(end: End): void {
    end.registration = null;
    end.interest = 0;
  }

  #note(): void {
    for (const end of this.ends) end.possible |= this.readiness(end);
  }

  /** For a few turns the handlers that are called do this, one after the other; otherwise they only note the call. */
  async play(script: ((end: End) => void)[]): Promise<void> {
    this.#script = script;
    await this.#rounds(5);
    this.#script = [];
  }

  async #rounds(count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  // --- comparing ---------------------------------------------------------------------------------------------------------

  /** Looks at all sockets until they are as the model has them: what was sent takes its time. */
  async settle(): Promise<void> {
    const sockets = this.open.map(({ socket }) => socket);
    const wanted = [this.ready(this.open, READABLE), this.ready(this.open, WRITABLE), []];
    const deadline = performance.now() + 2000;
    for (;;) {
      const found = await this.#reactor.select(sockets, sockets, sockets, 0);
      const same = found.every((set, i) => set.length === wanted[i]?.length);
      if (!same && !this.#immediate && performance.now() < deadline) continue;
      expect(found).toEqual(wanted);
      break;
    }
    if (this.#reactor.capabilities.selectSync)
      expect(this.#reactor.selectSync(sockets, sockets, sockets, 0)).toEqual(wanted);
    for (const end of this.ends) end.possible = this.readiness(end);
    expect(new Set(this.#reactor.registrations())).toEqual(
      new Set(this.ends.flatMap(({ registration }) => registration ?? [])),
    );
  }

  /** Lets `count` turns pass in which handlers only note: each that is ready and wanted is called, and no other. */
  async compareCalls(count: number): Promise<void> {
    const wanted = this.open.filter((end) => (end.interest & this.readiness(end)) !== 0);
    const { turns } = this.#reactor.metrics;
    this.calls.length = 0;
    // The turn under way may have told some already.
    const end = turns + (wanted.length > 0 ? count : 0);
    await this.#rounds(4);
    while (this.#reactor.metrics.turns < end) await this.#rounds(1);
    expect(new Set(this.calls.map((call) => call.end.name))).toEqual(new Set(wanted.map(({ name }) => name)));
    for (const end of wanted) {
      const told = this.calls.reduce((bits, call) => (call.end === end ? bits | call.readiness : bits), 0);
      expect(told, `what ${end.name} is told`).toBe(end.interest & this.readiness(end));
    }
  }
}
