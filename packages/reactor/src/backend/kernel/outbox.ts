/**
 * Small sends of a whole turn, gathered: their bytes are copied into one block, and the native core sends them in one loop.
 * Copying some hundred bytes costs less than a crossing for each socket, with caches that its system call has emptied.
 */
import { type Core, REGISTER_LENGTH } from '../../native.js';
import type { BackendSocket, Outbox } from '../backend.js';
import type { KernelSocket } from './socket.js';

const OUTBOX_BYTES = 64 * 1024;
const MOST_SENDS = 512;
/** More than this is not copied. */
const MOST_COPIED = 4 * 1024;

export class KernelOutbox implements Outbox {
  readonly #core: Core;
  readonly #registers: Int32Array;
  readonly #bytes = Buffer.allocUnsafeSlow(OUTBOX_BYTES);
  /** The descriptor and the length of each send; afterwards its result stands for the length. */
  readonly #sends = new Int32Array(2 * MOST_SENDS);
  #count = 0;
  #used = 0;
  full = false;

  constructor(core: Core, registers: Int32Array) {
    this.#core = core;
    this.#registers = registers;
    core.setOutbox(this.#bytes, this.#sends);
  }

  open(socket: BackendSocket, bytes: number): boolean {
    if (bytes > MOST_COPIED) return false;
    if (this.#count === MOST_SENDS || this.#used + bytes > OUTBOX_BYTES) {
      this.full = true;
      return false;
    }
    const at = 2 * this.#count;
    this.#sends[at] = socket.fileno();
    this.#sends[at + 1] = 0;
    this.#count += 1;
    return true;
  }

  put(chunk: Uint8Array): void {
    const { length } = chunk;
    this.#bytes.set(chunk, this.#used);
    this.#used += length;
    // Counted here: a chunk whose memory was transferred since it was written is shorter than it was.
    this.#sends[2 * this.#count - 1] = (this.#sends[2 * this.#count - 1] as number) + length;
  }

  send(): void {
    this.#registers[REGISTER_LENGTH] = this.#count;
    this.#count = 0;
    this.#used = 0;
    this.full = false;
    this.#core.sendAll();
  }

  result(socket: BackendSocket, index: number): number {
    return (socket as KernelSocket).sent(this.#sends[2 * index + 1] as number);
  }
}
