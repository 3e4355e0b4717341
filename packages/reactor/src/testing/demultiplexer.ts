/** The sockets that are ready for what they are watched for, kept up to date by the sockets themselves. */
import type { BackendSocket, Demultiplexer } from '../backend/backend.js';
import { describe, misuse, notSupported, socketError } from '../errors.js';
import { READABLE, WRITABLE } from '../readiness.js';
import type { Decisions } from './decisions.js';
import { ReadyList } from './ready-list.js';
import { SimulatedSocket } from './socket.js';

/** The triples that one `wait` can report. */
const MAX_TRIPLES = 1024;

export class SimulatedDemultiplexer implements Demultiplexer {
  readonly events = new Int32Array(3 * MAX_TRIPLES);
  readonly #wake: () => void;
  readonly #decisions: Decisions;
  readonly #chance: number;
  /** In the order in which they are reported: who has been reported stands at the end again. */
  readonly #ready = new ReadyList();

  /** `wake` is called whenever a socket becomes ready. `chance`: of telling one ready that is not. */
  constructor(wake: () => void, decisions: Decisions, chance: number) {
    this.#wake = wake;
    this.#decisions = decisions;
    this.#chance = chance;
  }

  /** Whether `wait` would report something. */
  get live(): boolean {
    return this.#ready.size > 0;
  }

  watch(socket: BackendSocket, slot: number, generation: number, interest: number): void {
    if (!(socket instanceof SimulatedSocket))
      throw misuse('ERR_REACTOR_SOCKET', `the simulated backend watches its own sockets, got ${describe(socket)}`);
    if (interest !== 0 && socket.closed) throw socketError('EBADF', 'watch');
    socket.slot = slot;
    socket.generation = generation;
    socket.interest = interest;
    if (interest === 0) {
      socket.falsely = 0;
      this.#ready.delete(socket);
    } else this.changed(socket);
  }

  /** A socket's readiness may be another one than before. */
  changed(socket: SimulatedSocket): void {
    if ((socket.readiness & socket.interest) !== 0) {
      this.#add(socket);
      return;
    }
    if (socket.interest === 0 || socket.falsely !== 0 || !this.#ready.delete(socket)) return;
    socket.calms += 1;
    const told = this.#decisions.choose('false', socket.id, socket.calms, READABLE | WRITABLE, this.#chance);
    socket.falsely = told & socket.interest;
    if (socket.falsely !== 0) this.#add(socket);
  }

  #add(socket: SimulatedSocket): void {
    if (this.#ready.add(socket)) this.#wake();
  }

  wait(capacity: number): number {
    const { events } = this;
    const count = Math.min(capacity, MAX_TRIPLES, this.#ready.size);
    for (let i = 0; i < count; i += 1) {
      const socket = this.#ready.shift() as SimulatedSocket;
      events[3 * i] = socket.slot;
      events[3 * i + 1] = socket.generation;
      events[3 * i + 2] = socket.readiness | socket.falsely;
      socket.falsely = 0;
      if ((socket.readiness & socket.interest) !== 0) this.#ready.add(socket);
    }
    return count;
  }

  look(sockets: readonly BackendSocket[], masks: Int32Array, timeoutMs: number | null): number {
    if (timeoutMs !== 0) throw notSupported('select', 'selectSync', 'simulated');
    let count = 0;
    for (const [i, socket] of sockets.entries()) {
      masks[i] = (masks[i] as number) & (socket as SimulatedSocket).readiness;
      if (masks[i] !== 0) count += 1;
    }
    return count;
  }

  /** Lets go of the sockets: nothing is reported any more. */
  clear(): void {
    for (let socket = this.#ready.shift(); socket !== null; socket = this.#ready.shift())
      socket.interest = socket.falsely = 0;
  }
}
