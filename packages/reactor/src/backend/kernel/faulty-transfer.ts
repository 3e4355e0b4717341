/**
 * The transfers of a core with faults. The core's verbs over registers, block, pool and outbox are spelled out here over
 * `recv` and `send`, so that each system call beneath them can fail by itself; and with memory of their own, so that the
 * reactors of this thread that have no faults keep theirs.
 */
import { constants as os } from 'node:os';
import {
  BAD_ARGUMENT,
  type Core,
  REGISTER_FD,
  REGISTER_LENGTH,
  REGISTER_OFFSET,
  REGISTER_RESULT,
} from '../../native.js';
import { AHEAD, READABLE } from '../../readiness.js';
import { SMALL_BYTES } from './chunks.js';
import { type FaultPlan, type FaultyCall, NO_FAULT, SHORT } from './fault-plan.js';

const { ECONNRESET, EHOSTUNREACH, EINTR, EPIPE, ETIMEDOUT } = os.errno;

/** Errors that end a connection. */
const FATAL: ReadonlySet<number> = new Set([-ECONNRESET, -EPIPE, -ETIMEDOUT, -EHOSTUNREACH]);

const SHUT_BOTH = 2;

interface Ahead {
  readonly fd: number;
  readonly generation: number;
}

export class FaultyTransfer {
  readonly #core: Core;
  readonly #plan: FaultPlan;
  #registers: Int32Array = new Int32Array(0);
  #block: Uint8Array = new Uint8Array(0);
  #pool: Uint8Array = new Uint8Array(0);
  #poolOffset = 0;
  #pinned: Uint8Array[] = [];
  #outbox: Uint8Array = new Uint8Array(0);
  #sends: Int32Array = new Int32Array(0);
  #packedPeer: Float64Array = new Float64Array(1);
  #triples: Int32Array = new Int32Array(0);
  #received: Int32Array = new Int32Array(0);
  /** The slots that are received for ahead. */
  readonly #ahead = new Map<number, Ahead>();

  constructor(core: Core, plan: FaultPlan) {
    this.#core = core;
    this.#plan = plan;
  }

  recv(fd: number, into: Uint8Array, offset: number, length: number, flags: number): number {
    const fault = this.#plan.next('recv', fd);
    if (fault === NO_FAULT || fault === -EINTR) return this.#core.recv(fd, into, offset, length, flags);
    if (fault === SHORT) return this.#core.recv(fd, into, offset, this.part('recv', fd, length), flags);
    return this.broken(fd, fault);
  }

  send(fd: number, from: Uint8Array, offset: number, length: number, flags: number): number {
    const fault = this.#plan.next('send', fd);
    if (fault === NO_FAULT || fault === -EINTR) return this.#core.send(fd, from, offset, length, flags);
    if (fault === SHORT) return this.#core.send(fd, from, offset, this.part('send', fd, length), flags);
    return this.broken(fd, fault);
  }

  sendv(fd: number, chunks: readonly Uint8Array[], offset: number): number {
    const fault = this.#plan.next('send', fd);
    if (fault === NO_FAULT || fault === -EINTR) return this.#core.sendv(fd, chunks, offset);
    if (fault !== SHORT) return this.broken(fd, fault);
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, -offset);
    return this.#core.sendv(fd, firstBytes(chunks, offset + this.part('send', fd, bytes)), offset);
  }

  /** How much is left of `length` where the call is cut. A datagram is whole or not at all. */
  part(call: FaultyCall, fd: number, length: number): number {
    return this.#isStream(fd) ? this.#plan.part(call, length) : length;
  }

  /** The error of a call; one that ends a connection ends it: see `FaultOptions`. */
  broken(fd: number, error: number): number {
    if (FATAL.has(error) && this.#isStream(fd)) this.#core.shutdown(fd, SHUT_BOTH);
    return error;
  }

  #isStream(fd: number): boolean {
    const { SOL_SOCKET, SO_TYPE, SOCK_STREAM } = this.#core.constants as Record<string, number>;
    const type = this.#core.getOption(fd, SOL_SOCKET as number, SO_TYPE as number);
    // Below 0: a pipe.
    return type === SOCK_STREAM || type < 0;
  }

  // --- the verbs over registers --------------------------------------------------------------------------------------

  setRegisters(registers: Int32Array): number {
    this.#registers = registers;
    return 0;
  }

  pin(buffer: Uint8Array, which: number): number {
    this.#pinned[which] = buffer;
    return 0;
  }

  recvPinned(): void {
    const [fd, offset, length] = this.#registers as unknown as [number, number, number];
    this.#registers[REGISTER_RESULT] = this.recv(fd, this.#pinned[0] as Uint8Array, offset, length, 0);
  }

  sendPinned(): void {
    const [fd, offset, length] = this.#registers as unknown as [number, number, number];
    this.#registers[REGISTER_RESULT] = this.send(fd, this.#pinned[1] as Uint8Array, offset, length, 0);
  }

  sendChunk(chunk: Uint8Array): number | undefined {
    if (!(chunk instanceof Uint8Array)) return BAD_ARGUMENT;
    const fd = this.#registers[REGISTER_FD] as number;
    this.#registers[REGISTER_RESULT] = this.send(fd, chunk, 0, chunk.length, 0);
    return undefined;
  }

  // --- chunks: as fds_receive_chunk of the core ----------------------------------------------------------------------

  setBlock(block: Uint8Array): number {
    this.#block = block;
    return 0;
  }

  setPool(pool: Uint8Array, offset: number): number {
    this.#pool = pool;
    this.#poolOffset = offset;
    return 0;
  }

  receive(): void {
    this.#registers[REGISTER_RESULT] = this.#chunk(
      this.#registers[REGISTER_FD] as number,
      this.#registers,
      REGISTER_OFFSET,
    );
  }

  borrow(fd: number): number {
    return this.recv(fd, this.#block, 0, this.#block.length, 0);
  }

  /** Receives a chunk; its place in the pool, or -1 where it stands in the block, goes to `places[at]`. */
  #chunk(fd: number, places: Int32Array, at: number): number {
    const count = this.borrow(fd);
    places[at] = -1;
    if (count <= 0 || count >= SMALL_BYTES || this.#poolOffset + count > this.#pool.length) return count;
    this.#pool.set(this.#block.subarray(0, count), this.#poolOffset);
    places[at] = this.#poolOffset;
    this.#poolOffset = (this.#poolOffset + count + 7) & ~7;
    return count;
  }

  // --- in rows: as receive_ahead and transmit_outbox of the core -----------------------------------------------------

  setTriples(triples: Int32Array, received: Int32Array): void {
    this.#triples = triples;
    this.#received = received;
  }

  noteAhead(fd: number, slot: number, generation: number, interest: number): void {
    if ((interest & AHEAD) === 0) this.#ahead.delete(slot);
    else this.#ahead.set(slot, { fd, generation });
  }

  receiveAhead(): void {
    const triples = this.#triples;
    const registers = this.#registers;
    const count = registers[REGISTER_LENGTH] as number;
    let i = registers[REGISTER_OFFSET] as number;
    let left = -1;
    for (; i < count && left < 0; i += 1) {
      const ahead = this.#ahead.get(triples[3 * i] as number);
      const mask = triples[3 * i + 2] as number;
      if (ahead === undefined || (mask & READABLE) === 0 || ahead.generation !== triples[3 * i + 1]) continue;
      const bytes = this.#chunk(ahead.fd, this.#received, 2 * i + 1);
      this.#received[2 * i] = bytes;
      triples[3 * i + 2] = mask | AHEAD;
      if (bytes > 0 && this.#received[2 * i + 1] === -1) left = i;
    }
    registers[REGISTER_OFFSET] = left;
    registers[REGISTER_RESULT] = i;
  }

  setOutbox(bytes: Uint8Array, sends: Int32Array): number {
    this.#outbox = bytes;
    this.#sends = sends;
    return 0;
  }

  sendAll(): void {
    const sends = this.#sends;
    const count = this.#registers[REGISTER_LENGTH] as number;
    let offset = 0;
    for (let i = 0; i < 2 * count; i += 2) {
      const length = sends[i + 1] as number;
      sends[i + 1] = this.send(sends[i] as number, this.#outbox, offset, length, 0);
      offset += length;
    }
  }

  // --- accepting -----------------------------------------------------------------------------------------------------

  setPackedPeer(into: Float64Array): number {
    this.#packedPeer = into;
    return 0;
  }

  accept(fd: number): number {
    const accepted = this.#core.accept(fd);
    // The packed address goes to the thread's first reactor: this one asks for the whole one.
    this.#packedPeer[0] = -1;
    return accepted;
  }
}

/** The chunks up to `bytes` in all. */
function firstBytes(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const first: Uint8Array[] = [];
  let left = bytes;
  for (const chunk of chunks) {
    if (left <= 0) break;
    first.push(chunk.subarray(0, left));
    left -= chunk.length;
  }
  return first;
}
