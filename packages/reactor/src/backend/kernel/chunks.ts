/**
 * Where a thread's connections read to: one block of 64 KiB, reused. A small read is copied to a pooled block by the
 * native core in the same crossing; a larger one takes the block along, and a new one is made. So a chunk belongs to
 * its receiver, a kept chunk retains at most 8 KiB (64 KiB for a large read), and an idle connection holds no memory.
 */
import { type Core, REGISTER_FD, REGISTER_OFFSET, REGISTER_RESULT } from '../../native.js';

const BLOCK_BYTES = 64 * 1024;
const POOL_BYTES = 8 * 1024;
/** As FDS_SMALL_BYTES of the native core. */
export const SMALL_BYTES = 4 * 1024;

/** A view that is made without a check of its arguments. */
export type BufferView = new (memory: ArrayBuffer, offset: number, length: number) => Buffer;
// Buffer.from(memory, offset, length) checks its arguments anew, at three times the cost.
export const View = (Buffer as unknown as Record<symbol, BufferView>)[Symbol.species] as BufferView;

/** Memory that is not cleared: it is read only where bytes were received, and clearing costs more than all the rest. */
function allocate(bytes: number): ArrayBuffer {
  return Buffer.allocUnsafeSlow(bytes).buffer as ArrayBuffer;
}

export class ChunkReader {
  readonly #core: Core;
  readonly #registers: Int32Array;
  #block = allocate(BLOCK_BYTES);
  /** Where small reads stand, until it is full and another takes its place. */
  pool: ArrayBuffer = allocate(POOL_BYTES);

  constructor(core: Core, registers: Int32Array) {
    this.#core = core;
    this.#registers = registers;
    core.setBlock(new Uint8Array(this.#block));
    core.setPool(new Uint8Array(this.pool), 0);
  }

  /** Reads from `fd`: the count, or a negative errno. {@link take} gives the bytes, and must follow at once. */
  read(fd: number, borrow: boolean): number {
    if (borrow) return this.#core.borrow(fd);
    this.#registers[REGISTER_FD] = fd;
    this.#core.receive();
    return this.#registers[REGISTER_RESULT] as number;
  }

  /** The `count` bytes of the latest {@link read}. */
  take(count: number, borrow: boolean): Buffer {
    if (borrow) return new View(this.#block, 0, count);
    const offset = this.#registers[REGISTER_OFFSET] as number;
    return offset < 0 ? this.takeLeft(count) : new View(this.pool, offset, count);
  }

  /** The `count` bytes at the beginning of the block: too many to be copied, or the pool had no room for them. */
  takeLeft(count: number): Buffer {
    const chunk = new View(this.#block, 0, count);
    if (count < SMALL_BYTES) return this.#refill(chunk);
    this.#block = allocate(BLOCK_BYTES);
    this.#core.setBlock(new Uint8Array(this.#block));
    return chunk;
  }

  #refill(bytes: Uint8Array): Buffer {
    this.pool = allocate(POOL_BYTES);
    const chunk = new View(this.pool, 0, bytes.length);
    chunk.set(bytes);
    this.#core.setPool(new Uint8Array(this.pool), (bytes.length + 7) & ~7);
    return chunk;
  }
}
