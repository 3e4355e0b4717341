/**
 * The buffer that is received into, or sent from, again and again: most programs have one. The native core keeps its
 * address, so that a verb over it crosses without arguments, which halves the cost of the crossing.
 */
import { type Core, REGISTER_FD, REGISTER_LENGTH, REGISTER_OFFSET, REGISTER_RESULT } from '../../native.js';

export const PINNED_RECV = 0;
export const PINNED_SEND = 1;

/** Offsets and lengths beyond it do not fit into a register. */
const MOST_BYTES = 2 ** 31 - 1;

export class PinnedBuffer {
  readonly #core: Core;
  readonly #registers: Int32Array;
  readonly #which: typeof PINNED_RECV | typeof PINNED_SEND;
  #buffer: Uint8Array | null = null;
  /** Its length when it was pinned: a buffer that was transferred or resized since has another one. */
  #length = 0;
  #latest: Uint8Array | null = null;

  constructor(core: Core, registers: Int32Array, which: typeof PINNED_RECV | typeof PINNED_SEND) {
    this.#core = core;
    this.#registers = registers;
    this.#which = which;
  }

  /**
   * The transfer over `buffer[offset, offset + length)`, or `undefined` where the buffer is not the pinned one or the range
   * is not plainly within it: then the verb with arguments decides.
   */
  transfer(fd: number, buffer: Uint8Array, offset: number, length: number): number | undefined {
    if (buffer !== this.#buffer || buffer.length !== this.#length) {
      this.#notice(buffer);
      return undefined;
    }
    if ((offset | 0) !== offset || (length | 0) !== length || offset < 0 || length <= 0) return undefined;
    if (offset + length > this.#length) return undefined;
    const registers = this.#registers;
    registers[REGISTER_FD] = fd;
    registers[REGISTER_OFFSET] = offset;
    registers[REGISTER_LENGTH] = length;
    if (this.#which === PINNED_RECV) this.#core.recvPinned();
    else this.#core.sendPinned();
    return registers[REGISTER_RESULT] as number;
  }

  /** Sends all of a chunk, whichever it is. */
  send(fd: number, chunk: Uint8Array): number {
    this.#registers[REGISTER_FD] = fd;
    return this.#core.sendChunk(chunk) ?? (this.#registers[REGISTER_RESULT] as number);
  }

  /** Pins a buffer at its second use in succession. */
  #notice(buffer: Uint8Array): void {
    if (buffer !== this.#latest) {
      this.#latest = buffer;
      return;
    }
    // Shared memory can grow under the view, and resizable memory shrink: their length alone says nothing.
    if (!(buffer instanceof Uint8Array) || buffer.length === 0 || buffer.length > MOST_BYTES) return;
    const memory = buffer.buffer as ArrayBuffer & { resizable?: boolean };
    if (!(memory instanceof ArrayBuffer) || memory.resizable === true) return;
    if (this.#core.pin(buffer, this.#which) !== 0) return;
    this.#buffer = buffer;
    this.#length = buffer.length;
  }
}
