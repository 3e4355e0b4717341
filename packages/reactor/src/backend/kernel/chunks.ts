/**
 * Where a thread's connections read to: one block of 64 KiB, reused. A small read is copied to a pooled block by the
 * native core in the same crossing; a larger one takes the block along, and a new one is made. So a chunk belongs to
 * its receiver, a kept chunk retains at most 8 KiB (64 KiB for a large read, or of a turn that receives much), and an idle
 * connection holds no memory.
 */
import { markAsUntransferable } from 'node:worker_threads';
import { type Core, REGISTER_FD, REGISTER_OFFSET, REGISTER_RESULT } from '../../native.js';
import { View } from '../buffer-view.js';

const BLOCK_BYTES = 64 * 1024;
const POOL_BYTES = 8 * 1024;
/** For a batch of which more is waiting than a pool takes. */
const LARGE_POOL_BYTES = 64 * 1024;
/** As FDS_SMALL_BYTES of the native core. */
export const SMALL_BYTES = 4 * 1024;

/** Memory that is not cleared: it is read only where bytes were received, and clearing costs more than all the rest. */
function allocate(bytes: number): ArrayBuffer {
  return Buffer.allocUnsafeSlow(bytes).buffer as ArrayBuffer;
}

export class ChunkReader {
  readonly #core: Core;
  readonly #registers: Int32Array;
  #block: ArrayBuffer;
  /** Where small reads stand, until it is full and another takes its place. */
  pool: ArrayBuffer;
  /** As the core has them: empty once their memory was transferred by somebody who got a chunk of it. */
  #blockBytes: Uint8Array;
  #poolBytes: Uint8Array;

  constructor(core: Core, registers: Int32Array) {
    this.#core = core;
    this.#registers = registers;
    this.#block = allocate(BLOCK_BYTES);
    this.#blockBytes = new Uint8Array(this.#block);
    core.setBlock(this.#blockBytes);
    this.pool = allocate(POOL_BYTES);
    this.#poolBytes = new Uint8Array(this.pool);
    this.#setPool(0);
  }

  /** To be called before each crossing that may write to them: the core knows addresses, and must not know stale ones. */
  ensure(): void {
    if (this.#blockBytes.length === 0) this.#renewBlock();
    if (this.#poolBytes.length === 0) this.#renewPool(0, POOL_BYTES);
  }

  /** Reads from `fd`: the count, or a negative errno. {@link take} gives the bytes, and must follow at once. */
  read(fd: number, borrow: boolean): number {
    this.ensure();
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

  /**
   * The `count` bytes at the beginning of the block: too many to be copied, or the pool had no room for them. `crowded`: more
   * is to follow in the same turn.
   */
  takeLeft(count: number, crowded = false): Buffer {
    const chunk = new View(this.#block, 0, count);
    if (count < SMALL_BYTES) return this.#refill(chunk, crowded);
    this.#renewBlock();
    return chunk;
  }

  #refill(bytes: Uint8Array, crowded: boolean): Buffer {
    this.#renewPool((bytes.length + 7) & ~7, crowded ? LARGE_POOL_BYTES : POOL_BYTES);
    const chunk = new View(this.pool, 0, bytes.length);
    chunk.set(bytes);
    return chunk;
  }

  #renewBlock(): void {
    this.#block = allocate(BLOCK_BYTES);
    this.#blockBytes = new Uint8Array(this.#block);
    this.#core.setBlock(this.#blockBytes);
  }

  #renewPool(offset: number, bytes: number): void {
    this.pool = allocate(bytes);
    this.#poolBytes = new Uint8Array(this.pool);
    this.#setPool(offset);
  }

  #setPool(offset: number): void {
    // As Node's own pool: several receivers hold parts of it.
    markAsUntransferable(this.pool);
    this.#core.setPool(this.#poolBytes, offset);
  }
}
