/** Copies of bytes, and the block in which `send` makes its own. */

/** Up to here a loop is quicker than the view that `set` needs. */
const LOOP_BYTES = 12;

/** Copies `count` bytes; that the ranges fit is the caller's care. */
export function copyBytes(from: Uint8Array, start: number, to: Uint8Array, at: number, count: number): void {
  if (count <= LOOP_BYTES) for (let i = 0; i < count; i++) to[at + i] = from[start + i]!;
  else if (count === from.length) to.set(from, at);
  else to.set(new Uint8Array(from.buffer, from.byteOffset + start, count), at);
}

/** The most that one {@link CopyBlock.lend} gives. */
export const BLOCK_BYTES = 64 * 1024;

/**
 * Where the bytes of a `send` are copied to. What Node hands to the system within `write` (nearly always) needs its
 * copy no longer, so the same bytes are lent again, with the same Buffer when the length is the same; only what Node
 * had to queue is kept, and lending goes on behind it.
 */
export class CopyBlock {
  #block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #used = 0;
  #view: Buffer | null = null;

  /** A Buffer of `count` bytes (at most {@link BLOCK_BYTES}), to be filled and written before the next `lend`. */
  lend(count: number): Buffer {
    if (this.#view !== null && this.#view.length === count) return this.#view;
    if (count > BLOCK_BYTES - this.#used) {
      this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      this.#used = 0;
    }
    this.#view = this.#block.subarray(this.#used, this.#used + count);
    return this.#view;
  }

  /** What was lent last is still in use: it is not lent again. */
  keep(): void {
    if (this.#view === null) return;
    this.#used += this.#view.length;
    this.#view = null;
  }
}
