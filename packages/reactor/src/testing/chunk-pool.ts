/** Memory for bytes that are sent and received: small ones share a block, each in a place that nobody else has. */
import { markAsUntransferable } from 'node:worker_threads';
import { View } from '../backend/buffer-view.js';
import { copyBytes } from '../backend/emulated/copy.js';

const BLOCK_BYTES = 8 * 1024;
/** From here on a chunk has memory of its own. */
const LARGE_BYTES = 4 * 1024;
/** The most that a large chunk retains: as on the kernel backend, where a small one retains a block. */
const MOST_RETAINED_BYTES = 64 * 1024;

export class ChunkPool {
  #block = newBlock();
  #used = 0;

  /** A chunk whose bytes are still to be written. */
  take(bytes: number): Buffer {
    if (bytes >= LARGE_BYTES) return Buffer.allocUnsafeSlow(bytes);
    if (bytes > BLOCK_BYTES - this.#used) {
      this.#block = newBlock();
      this.#used = 0;
    }
    const chunk = new View(this.#block, this.#used, bytes);
    this.#used += bytes;
    return chunk;
  }

  copy(from: Uint8Array, start: number, bytes: number): Buffer {
    const chunk = this.take(bytes);
    copyBytes(from, start, chunk, 0, bytes);
    return chunk;
  }
}

/** Whether who keeps the chunk keeps no more memory by it than by one of the pool. */
export function isKeepable(chunk: Buffer): boolean {
  return chunk.buffer.byteLength <= (chunk.length < LARGE_BYTES ? BLOCK_BYTES : MOST_RETAINED_BYTES);
}

function newBlock(): ArrayBuffer {
  const block = Buffer.allocUnsafeSlow(BLOCK_BYTES).buffer as ArrayBuffer;
  // As Node's own pool: several receivers hold parts of it.
  markAsUntransferable(block);
  return block;
}
