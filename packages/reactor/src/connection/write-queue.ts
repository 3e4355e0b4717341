/** What a connection has still to send: references to the user's chunks, gathered into as few calls as the system allows. */
import type { Outbox } from '../backend/backend.js';
import { misuse } from '../errors.js';
import { WOULD_BLOCK } from '../readiness.js';
import type { Socket } from '../socket.js';

/** `IOV_MAX` of Linux: more chunks do not fit into one call. */
const MOST_GATHERED = 1024;

/** Whether the memory of a queued chunk was transferred to another thread: only chunks with bytes are queued. */
export function isGone(chunk: Uint8Array): boolean {
  return chunk.length === 0;
}

/** What a connection ends with that cannot send what was written to it. */
export function transferred(): TypeError {
  return misuse(
    'ERR_REACTOR_BUFFER',
    'a chunk that was written was transferred before it had left: leave the bytes alone until bufferedBytes is 0',
  );
}

export class WriteQueue {
  /** The first chunk stands by itself: most turns write one. */
  #first: Uint8Array | null = null;
  /** Bytes of the first chunk that have left. */
  #sent = 0;
  #rest: Uint8Array[] | null = null;
  /** Chunks of `#rest` that have become the first one. */
  #taken = 0;
  /** Bytes that have not left. */
  bytes = 0;

  push(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    if (this.#first === null) this.#first = chunk;
    else if (this.#rest === null) this.#rest = [chunk];
    else this.#rest.push(chunk);
  }

  clear(): void {
    this.#first = null;
    this.#rest = null;
    this.#sent = 0;
    this.#taken = 0;
    this.bytes = 0;
  }

  /** Whether every chunk still has its bytes. */
  isWhole(): boolean {
    if (this.#first !== null && isGone(this.#first)) return false;
    if (this.#rest !== null)
      for (let i = this.#taken; i < this.#rest.length; i += 1) if (isGone(this.#rest[i] as Uint8Array)) return false;
    return true;
  }

  /** Copies all of it into an outbox that has room for it. */
  pack(outbox: Outbox): void {
    if (this.#first !== null) outbox.put(this.#sent === 0 ? this.#first : this.#first.subarray(this.#sent));
    if (this.#rest !== null)
      for (let i = this.#taken; i < this.#rest.length; i += 1) outbox.put(this.#rest[i] as Uint8Array);
  }

  /**
   * Sends until nothing is left (`true`) or the socket would block (`false`). Throws the SocketError of send, and
   * `ERR_REACTOR_BUFFER` before a chunk whose bytes are gone.
   */
  flush(socket: Socket): boolean {
    while (this.#first !== null) {
      const asked = this.bytes;
      const count = this.#sendSome(socket, this.#first);
      if (count === WOULD_BLOCK) return false;
      this.consume(count);
      // A short send means that the buffer is full: asking again would cost a call that says so.
      if (count < asked && this.#rest === null) return false;
    }
    return true;
  }

  #sendSome(socket: Socket, first: Uint8Array): number {
    if (isGone(first)) throw transferred();
    if (this.#rest === null) return this.#sent === 0 ? socket.send(first) : socket.send(first, this.#sent);
    const chunks = this.#rest.slice(this.#taken, this.#taken + MOST_GATHERED - 1);
    for (const chunk of chunks) if (isGone(chunk)) throw transferred();
    chunks.unshift(this.#sent === 0 ? first : first.subarray(this.#sent));
    return socket.sendv(chunks);
  }

  /** Takes `count` bytes off that have left. */
  consume(count: number): void {
    this.bytes -= count;
    if (this.bytes === 0) {
      this.clear();
      return;
    }
    let left = count;
    while (this.#first !== null && left >= this.#first.length - this.#sent) {
      left -= this.#first.length - this.#sent;
      this.#sent = 0;
      this.#advance();
    }
    this.#sent += left;
  }

  #advance(): void {
    if (this.#rest === null) {
      this.#first = null;
      return;
    }
    this.#first = this.#rest[this.#taken] as Uint8Array;
    this.#taken += 1;
    if (this.#taken === this.#rest.length) {
      this.#rest = null;
      this.#taken = 0;
    } else if (this.#taken >= MOST_GATHERED) {
      // Sent chunks are let go in blocks, so that a long queue costs each of them one move.
      this.#rest = this.#rest.slice(this.#taken);
      this.#taken = 0;
    }
  }
}
