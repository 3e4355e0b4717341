/**
 * What was received ahead of the handlers. For connections that flow, the bytes of a whole batch are received by the
 * native core in one loop, before the first handler runs: so the handlers run one after the other, with their code and
 * data in the processor's caches, which each system call in between would empty.
 */
import { type Core, REGISTER_FD, REGISTER_LENGTH, REGISTER_OFFSET, REGISTER_RESULT } from '../../native.js';
import { View } from '../buffer-view.js';
import type { ChunkReader } from './chunks.js';

export class ReceivedAhead {
  readonly #core: Core;
  readonly #registers: Int32Array;
  readonly #chunks: ChunkReader;
  /** For each event that was received for: the count or negative errno, and its place in the pool. */
  readonly results: Int32Array;
  #pool: ArrayBuffer;
  /** The chunk that did not go into the pool, always the latest one. */
  #left: Buffer | null = null;

  constructor(core: Core, registers: Int32Array, chunks: ChunkReader, events: number) {
    this.#core = core;
    this.#registers = registers;
    this.#chunks = chunks;
    this.results = new Int32Array(2 * events);
    this.#pool = chunks.pool;
  }

  /** Receives for the events from `from` to `count`, until the pool is full, and returns where it has come to. */
  receive(id: number, from: number, count: number): number {
    const registers = this.#registers;
    registers[REGISTER_FD] = id;
    registers[REGISTER_OFFSET] = from;
    registers[REGISTER_LENGTH] = count;
    this.#chunks.ensure();
    this.#pool = this.#chunks.pool;
    this.#core.receiveAhead();
    const left = registers[REGISTER_OFFSET] as number;
    // The block belongs to the next read: what stands in it is taken along now.
    const reached = registers[REGISTER_RESULT] as number;
    this.#left = left < 0 ? null : this.#chunks.takeLeft(this.results[2 * left] as number, reached < count);
    return reached;
  }

  /** The bytes of an event with a count above 0. */
  take(index: number): Buffer {
    const offset = this.results[2 * index + 1] as number;
    return offset < 0 ? (this.#left as Buffer) : new View(this.#pool, offset, this.results[2 * index] as number);
  }
}
