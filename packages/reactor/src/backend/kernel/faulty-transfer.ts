/**
 * The transfers of a core with faults. The core's verbs over registers, block, pool and outbox are spelled out here over
 * `recv` and `send`, so that each system call beneath them can fail by itself; and with memory of their own, so that the
 * reactors of this thread that have no faults keep theirs.
 */
import { constants as os } from 'node:os';
import { HEADER_WORDS } from '../../datagram-batch.js';
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
import { type FaultPlan, NO_FAULT, SHORT } from './fault-plan.js';
import { threadState } from './thread-state.js';

const { ECONNRESET, EHOSTUNREACH, EINTR, EPIPE, ETIMEDOUT } = os.errno;

/** Errors that end a connection. */
const FATAL: ReadonlySet<number> = new Set([-ECONNRESET, -EPIPE, -ETIMEDOUT, -EHOSTUNREACH]);

const SHUT_BOTH = 2;

/** The calls that move bytes. */
type Transfer = 'recv' | 'send';

/** The arguments of the core's `sendTo` behind the descriptor and the bytes. */
type SendToRest = Parameters<Core['sendTo']> extends [number, Uint8Array, ...infer Rest] ? Rest : never;

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
  #packedPeer: Float64Array = new Float64Array(2);
  #triples: Int32Array = new Int32Array(0);
  #received: Int32Array = new Int32Array(0);
  /** The slots that are received for ahead. */
  readonly #ahead = new Map<number, Ahead>();

  constructor(core: Core, plan: FaultPlan) {
    this.#core = core;
    this.#plan = plan;
  }

  recv(fd: number, into: Uint8Array, offset: number, length: number, flags: number): number {
    return this.#bytes('recv', fd, length, (count) => this.#core.recv(fd, into, offset, count, flags));
  }

  send(fd: number, from: Uint8Array, offset: number, length: number, flags: number): number {
    return this.#bytes('send', fd, length, (count) => this.#core.send(fd, from, offset, count, flags));
  }

  sendv(fd: number, chunks: readonly Uint8Array[], offset: number): number {
    const bytes = chunks.reduce((sum, chunk) => sum + chunk?.length, -offset);
    return this.#bytes('send', fd, bytes, (count) =>
      this.#core.sendv(fd, count < bytes ? firstBytes(chunks, offset + count) : chunks, offset),
    );
  }

  // --- datagrams and descriptors -------------------------------------------------------------------------------------

  recvFrom(fd: number, into: Uint8Array, flags: number): number {
    const received = this.#bytes('recv', fd, into?.length, (count) =>
      this.#core.recvFrom(fd, first(into, count), flags),
    );
    this.#tellPeer();
    return received;
  }

  sendTo(fd: number, from: Uint8Array, ...to: SendToRest): number {
    return this.#bytes('send', fd, from?.length, (count) => this.#core.sendTo(fd, first(from, count), ...to));
  }

  recvBatch(fd: number, payloads: Uint8Array, stride: number, addresses: Uint8Array, headers: Int32Array): number {
    return this.#datagrams('recv', fd, headers.length / HEADER_WORDS, (count) =>
      this.#core.recvBatch(fd, payloads, stride, addresses, headers.subarray(0, count * HEADER_WORDS)),
    );
  }

  sendBatch(
    fd: number,
    payloads: Uint8Array,
    stride: number,
    addresses: Uint8Array,
    headers: Int32Array,
    start: number,
    end: number,
  ): number {
    return this.#datagrams('send', fd, end - start, (count) =>
      this.#core.sendBatch(fd, payloads, stride, addresses, headers, start, start + count),
    );
  }

  sendDescriptors(fd: number, descriptors: Int32Array, payload: Uint8Array): number {
    return this.#bytes('send', fd, payload?.length, (count) =>
      this.#core.sendDescriptors(fd, descriptors, first(payload, count)),
    );
  }

  recvDescriptors(fd: number, into: Uint8Array, descriptors: Int32Array): number {
    return this.#bytes('recv', fd, into?.length, (count) =>
      this.#core.recvDescriptors(fd, first(into, count), descriptors),
    );
  }

  // --- one call ------------------------------------------------------------------------------------------------------

  /** A call that moves up to `whole` bytes: `move` makes it, with how many it may move. */
  #bytes(call: Transfer, fd: number, whole: number, move: (count: number) => number): number {
    return this.#made(call, fd, whole, move, () => this.part(call, fd, whole));
  }

  /** The same of a batch: cut, it moves fewer datagrams. */
  #datagrams(call: Transfer, fd: number, whole: number, move: (count: number) => number): number {
    return this.#made(call, fd, whole, move, () => this.#plan.part(call, whole));
  }

  #made(call: Transfer, fd: number, whole: number, move: (count: number) => number, part: () => number): number {
    const fault = this.#plan.next(call, fd);
    // The core repeats what was interrupted.
    if (fault === NO_FAULT || fault === -EINTR) return move(whole);
    return fault === SHORT ? move(part()) : this.broken(fd, fault);
  }

  /** How much is left of `length` where the call is cut. A datagram is whole or not at all. */
  part(call: Transfer, fd: number, length: number): number {
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

  // --- whom from -----------------------------------------------------------------------------------------------------

  setPackedPeer(into: Float64Array): number {
    this.#packedPeer = into;
    return 0;
  }

  accept(fd: number): number {
    const accepted = this.#core.accept(fd);
    this.#tellPeer();
    return accepted;
  }

  /** The core knows one place for the peer, that of the reactors without faults. */
  #tellPeer(): void {
    this.#packedPeer.set(threadState(this.#core).packedPeer);
  }
}

/** The first `count` bytes; of what is no bytes, itself, which the core refuses. */
function first(bytes: Uint8Array, count: number): Uint8Array {
  return bytes instanceof Uint8Array ? bytes.subarray(0, count) : bytes;
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
