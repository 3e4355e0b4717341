/** select's three sets, kept up to date by the sockets themselves: a wait costs what is ready, not what is watched. */
import { describe, misuse, notSupported, socketError } from '../../errors.js';
import type { BackendSocket, Demultiplexer } from '../backend.js';
import { BaseSocket, type ReadinessSink } from './base-socket.js';

/** The triples that one `wait` can report. What is beyond keeps its place, and the driver starts another turn. */
const MAX_TRIPLES = 1024;

/**
 * The ready sockets stand in a ring, each once. `wait` takes from the front, and puts what it reports back at the end:
 * readiness is level-triggered, and what did not fit into the capacity comes first the next time. A socket that is no
 * longer ready is only marked (`live`), and leaves the ring when a wait meets it.
 */
export class EmulatedDemultiplexer implements Demultiplexer, ReadinessSink {
  readonly events = new Int32Array(3 * MAX_TRIPLES);
  /** How many watched sockets are ready. */
  live = 0;
  readonly #wake: () => void;
  /** Its length is a power of two. */
  #ring: (BaseSocket | null)[] = new Array(64).fill(null);
  #first = 0;
  #size = 0;

  /** `wake` is called whenever a socket becomes ready. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  watch(socket: BackendSocket, slot: number, generation: number, interest: number): void {
    if (!(socket instanceof BaseSocket))
      throw misuse('ERR_REACTOR_SOCKET', `the emulated backend watches its own sockets, got ${describe(socket)}`);
    if (interest !== 0 && socket.closed) throw socketError('EBADF', 'watch');
    socket.slot = slot;
    socket.generation = generation;
    socket.interest = interest;
    this.changed(socket);
  }

  /** A socket's readiness or interest is another one than before. */
  changed(socket: BaseSocket): void {
    const live = (socket.readiness & socket.interest) !== 0;
    if (live === socket.live) return;
    socket.live = live;
    if (!live) {
      this.live--;
      return;
    }
    this.live++;
    if (!socket.inRing) this.#push(socket);
    this.#wake();
  }

  wait(capacity: number): number {
    const { events } = this;
    const most = Math.min(capacity, MAX_TRIPLES);
    let count = 0;
    // Only those that stood here when it began: what is put back is not met again.
    for (let left = this.#size; left > 0 && count < most; left--) {
      const socket = this.#shift();
      if (!socket.live) continue;
      events[3 * count] = socket.slot;
      events[3 * count + 1] = socket.generation;
      events[3 * count + 2] = socket.readiness;
      count++;
      this.#push(socket);
    }
    return count;
  }

  look(sockets: readonly BackendSocket[], masks: Int32Array, timeoutMs: number | null): number {
    if (timeoutMs !== 0) throw notSupported('select', 'selectSync', 'emulated');
    let count = 0;
    for (let i = 0; i < sockets.length; i++) {
      const mask = masks[i]! & (sockets[i] as unknown as BaseSocket).readiness;
      masks[i] = mask;
      if (mask !== 0) count++;
    }
    return count;
  }

  /** Lets go of the sockets; nothing is reported any more. */
  clear(): void {
    while (this.#size > 0) {
      const socket = this.#shift();
      socket.live = false;
      socket.interest = 0;
    }
    this.live = 0;
  }

  #push(socket: BaseSocket): void {
    if (this.#size === this.#ring.length) this.#grow();
    this.#ring[(this.#first + this.#size) & (this.#ring.length - 1)] = socket;
    this.#size++;
    socket.inRing = true;
  }

  #shift(): BaseSocket {
    const socket = this.#ring[this.#first]!;
    this.#ring[this.#first] = null;
    this.#first = (this.#first + 1) & (this.#ring.length - 1);
    this.#size--;
    socket.inRing = false;
    return socket;
  }

  #grow(): void {
    const ring = this.#ring;
    this.#ring = [...ring.slice(this.#first), ...ring.slice(0, this.#first), ...new Array(ring.length).fill(null)];
    this.#first = 0;
  }
}
