/** The connection that floods, of the TypeScript load client; load/flood.c is its twin in C. */
import { connect, type Socket } from 'node:net';

const STEP = 64 * 1024;
/** The contents repeat after this many bytes. A prime: whatever is lost, doubled or swapped shifts them. */
const PERIOD = 1_000_003;
/** Bytes on their way at the most: the server always finds more to read, and keeps no more than it must for a client that is slower. */
const WINDOW = 4 * 1024 * 1024;

function contents(): Buffer {
  const bytes = Buffer.allocUnsafe(PERIOD + STEP);
  let x = 0x9e3779b9;
  for (let i = 0; i < PERIOD; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) | 0;
    bytes[i] = x >>> 24;
  }
  // What begins near the end finds its bytes in one piece.
  bytes.copy(bytes, PERIOD, 0, STEP);
  return bytes;
}

export interface FloodListener {
  /** So many right bytes came back. */
  onEcho(bytes: number): void;
  /** The server ended the connection: an errno name, or `EOF`. */
  onLost(code: string): void;
  onCorrupt(reason: string): void;
}

export class Flood {
  readonly #bytes = contents();
  readonly #socket: Socket;
  readonly #listener: FloodListener;
  #sent = 0;
  #received = 0;

  /** Connects, and begins to write as soon as it may. */
  constructor(address: { host: string; port: number }, listener: FloodListener) {
    this.#listener = listener;
    this.#socket = connect({ ...address, noDelay: true });
    this.#socket.once('connect', () => this.#write());
    this.#socket.on('drain', () => this.#write());
    this.#socket.on('data', (chunk) => this.#check(chunk));
    this.#socket.once('error', (error: NodeJS.ErrnoException) => listener.onLost(error.code ?? error.message));
    this.#socket.once('end', () => listener.onLost('EOF'));
  }

  #write(): void {
    while (this.#sent - this.#received < WINDOW) {
      const at = this.#sent % PERIOD;
      this.#sent += STEP;
      // It says false when the kernel did not take all: `drain` follows.
      if (!this.#socket.write(this.#bytes.subarray(at, at + STEP))) return;
    }
  }

  #check(chunk: Buffer): void {
    for (let from = 0; from < chunk.length; from += STEP) {
      const to = Math.min(from + STEP, chunk.length);
      const at = (this.#received + from) % PERIOD;
      if (chunk.compare(this.#bytes, at, at + to - from, from, to) !== 0) {
        this.#listener.onCorrupt(`something else than was sent came back after byte ${this.#received + from}`);
        return;
      }
    }
    this.#received += chunk.length;
    this.#listener.onEcho(chunk.length);
    if (this.#received > this.#sent) this.#listener.onCorrupt('more came back than was sent');
    else if (!this.#socket.writableNeedDrain) this.#write();
  }
}
