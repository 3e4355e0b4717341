/** What a peer has sent and nobody has received yet: Node's own chunks, in order, none copied. */
import { copyBytes } from './copy.js';

/** The chunk count at which an inbox is full, whatever its bytes: a chunk of one byte costs some 200. */
const MAX_CHUNKS = 512;

const NONE: Buffer[] = [];

export class Inbox {
  /** How many bytes are unread. */
  bytes = 0;
  /** The first chunk stands apart: mostly it is the only one, and then no array is touched. */
  #head: Buffer | null = null;
  #offset = 0;
  #rest = NONE;

  /** Takes a chunk over. It must not be empty. */
  push(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.#head === null) this.#head = chunk;
    else if (this.#rest === NONE) this.#rest = [chunk];
    else this.#rest.push(chunk);
  }

  /** Whether more should not be asked for: beyond `limit` bytes, or too many small chunks. */
  isFull(limit: number): boolean {
    return this.bytes > limit || this.#rest.length >= MAX_CHUNKS;
  }

  /** Moves up to `length` bytes to `into`, across chunks, and returns the count. */
  read(into: Uint8Array, offset: number, length: number): number {
    let done = 0;
    while (done < length && this.#head !== null) {
      const head = this.#head;
      const count = Math.min(length - done, head.length - this.#offset);
      copyBytes(head, this.#offset, into, offset + done, count);
      done += count;
      this.#offset += count;
      if (this.#offset === head.length) this.#next();
    }
    this.bytes -= done;
    return done;
  }

  /** Copies up to `length` bytes to `into` and leaves them here. */
  peek(into: Uint8Array, offset: number, length: number): number {
    let done = 0;
    let chunk = this.#head;
    let start = this.#offset;
    for (let next = 0; done < length && chunk !== null; next++) {
      const count = Math.min(length - done, chunk.length - start);
      copyBytes(chunk, start, into, offset + done, count);
      done += count;
      chunk = this.#rest[next] ?? null;
      start = 0;
    }
    return done;
  }

  /** Hands over the unread part of the first chunk itself, at most `limit` bytes of it. Only when `bytes` is not 0. */
  take(limit: number): Buffer {
    const head = this.#head!;
    const start = this.#offset;
    const end = Math.min(head.length, start + limit);
    this.bytes -= end - start;
    if (end === head.length) this.#next();
    else this.#offset = end;
    return start === 0 && end === head.length ? head : head.subarray(start, end);
  }

  clear(): void {
    this.bytes = 0;
    this.#head = null;
    this.#offset = 0;
    this.#rest = NONE;
  }

  #next(): void {
    this.#offset = 0;
    this.#head = this.#rest.shift() ?? null;
    if (this.#rest.length === 0) this.#rest = NONE;
  }
}
