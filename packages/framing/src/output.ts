import { allocate, copyInto, utf8Bytes, View } from './bytes.js';
import type { Encoder, Output } from './codec.js';
import { FramingError, locate, shown, wrongRange, wrongType } from './errors.js';

/** Size of a pooled block: the price of a new one is spread over some hundred small messages. */
const BLOCK_BYTES = 32_768;
/** Payloads up to this size are copied into the block: cheaper than a piece of its own in the gathered send. */
const COALESCE_BYTES = 1024;
/** A block with less room than this is not worth keeping. */
const LEAST_ROOM = 256;
/** Up to this many bytes a loop is cheaper than a call of `set`. */
const LOOP_BYTES = 8;

/** Memory, and what views of it are made from: asking a typed array for its buffer costs as much as the view. */
interface Block {
  readonly bytes: Uint8Array;
  readonly buffer: ArrayBufferLike;
  readonly base: number;
}

const EMPTY = blockOf(new Uint8Array(0));

function blockOf(bytes: Uint8Array): Block {
  return { bytes, buffer: bytes.buffer, base: bytes.byteOffset };
}

/**
 * The unused end of one block, shared by all outputs of the program. An output that writes takes it away, so that two
 * never write to the same block at a time, and gives the unused end back when its bytes have been handed on. What was
 * written is never written again: the receiver may hold references to it for as long as it likes.
 */
let spare: Block | undefined;
let spareFrom = 0;

interface Checkpoint {
  readonly block: Block;
  readonly mark: number;
  readonly limit: number;
  readonly pieces: number;
  readonly closedBytes: number;
}

/** Encoded bytes on their way out: a list of closed pieces, then an open one at the end of the block. */
export class OutputQueue implements Output {
  state: unknown = undefined;
  private block: Block = EMPTY;
  /** `block.bytes`. */
  private room: Uint8Array = EMPTY.bytes;
  /** `[mark, at)` of the block is the open piece, `[at, limit)` the room. */
  private mark = 0;
  private at = 0;
  private limit = 0;
  private pieces: Uint8Array[] = [];
  private closedBytes = 0;
  private patching = false;
  /** `length` while a reservation is being filled. */
  private lengthBehindPatch = 0;
  /** An encoder is writing: bytes of half a message must not be handed on, nor others be written among them. */
  private busy = false;
  /** What a failed encoder must be undone to, if more than `at` has changed since the message began. */
  private before: Checkpoint | undefined = undefined;
  /** All bytes that were ever handed on. */
  private gone = 0;

  get length(): number {
    return this.patching ? this.lengthBehindPatch : this.closedBytes + this.at - this.mark;
  }

  /**
   * Lets `encoder` write `message`. If it throws, nothing of it stays.
   *
   * @throws `RangeError` `ERR_FRAMING_NESTED` if an encoder is at work: a getter or a `toJSON` of its message sends another
   */
  encode<O>(encoder: Encoder<O>, message: O): void {
    this.checkIdle();
    const { at } = this;
    this.busy = true;
    this.before = undefined;
    try {
      encoder.encode(message, this);
    } catch (error) {
      this.rollBack(at);
      if (typeof encoder.encode !== 'function') {
        throw wrongType('ERR_FRAMING_CODEC', 'this codec has no encode method');
      }
      if (error instanceof FramingError) locate(error, this.gone + this.length);
      throw error;
    }
    this.busy = false;
  }

  u8(value: number): this {
    if (value >>> 0 !== value || value > 0xff) this.badValue('u8', 0xff, value);
    if (this.at + 1 > this.limit) this.grow(1);
    this.room[this.at++] = value;
    return this;
  }

  u16(value: number, le = false): this {
    if (value >>> 0 !== value || value > 0xffff) this.badValue('u16', 0xffff, value);
    if (this.at + 2 > this.limit) this.grow(2);
    const block = this.room;
    const at = this.at;
    if (le) {
      block[at] = value;
      block[at + 1] = value >>> 8;
    } else {
      block[at] = value >>> 8;
      block[at + 1] = value;
    }
    this.at = at + 2;
    return this;
  }

  u24(value: number, le = false): this {
    if (value >>> 0 !== value || value > 0xffffff) this.badValue('u24', 0xffffff, value);
    return le ? this.u16(value & 0xffff, true).u8(value >>> 16) : this.u8(value >>> 16).u16(value & 0xffff);
  }

  u32(value: number, le = false): this {
    if (value >>> 0 !== value) this.badValue('u32', 0xffffffff, value);
    if (this.at + 4 > this.limit) this.grow(4);
    const block = this.room;
    const at = this.at;
    if (le) {
      block[at] = value;
      block[at + 1] = value >>> 8;
      block[at + 2] = value >>> 16;
      block[at + 3] = value >>> 24;
    } else {
      block[at] = value >>> 24;
      block[at + 1] = value >>> 16;
      block[at + 2] = value >>> 8;
      block[at + 3] = value;
    }
    this.at = at + 4;
    return this;
  }

  u64(value: number, le = false): this {
    if (!(Number.isSafeInteger(value) && value >= 0)) this.badValue('u64', Number.MAX_SAFE_INTEGER, value);
    const high = Math.floor(value / 0x100000000);
    const low = value >>> 0;
    return le ? this.u32(low, true).u32(high, true) : this.u32(high).u32(low);
  }

  bytes(bytes: Uint8Array): this {
    const size = bytes.length;
    if (size > COALESCE_BYTES) return this.reference(bytes);
    if (this.at + size > this.limit) this.grow(size);
    if (size <= LOOP_BYTES) {
      const block = this.room;
      for (let i = 0, at = this.at; i < size; i++) block[at++] = bytes[i]!;
    } else {
      copyInto.call(this.room, bytes, this.at);
    }
    this.at += size;
    return this;
  }

  text(text: string): this {
    return this.bytes(utf8Bytes(text));
  }

  reserve(n: number): (fill: (output: Output) => void) => void {
    if (!(Number.isSafeInteger(n) && n >= 0 && n <= COALESCE_BYTES)) {
      throw wrongRange('ERR_FRAMING_COUNT', `output.reserve wants 0 to ${COALESCE_BYTES}, got ${shown(n)}`);
    }
    if (this.at + n > this.limit) this.grow(n);
    const block = this.block;
    const from = this.at;
    this.at += n;
    return (fill) => {
      this.checkpoint();
      const { block: laterBlock, at, limit } = this;
      this.lengthBehindPatch = this.length;
      this.block = block;
      this.room = block.bytes;
      this.at = from;
      this.limit = from + n;
      this.patching = true;
      fill(this);
      const written = this.at - from;
      this.patching = false;
      this.block = laterBlock;
      this.room = laterBlock.bytes;
      this.at = at;
      this.limit = limit;
      if (written !== n) this.badPatch(n, written);
    };
  }

  /**
   * Gives all bytes away, in order, as views that are never written again; the caller owns the array. Empty if there is
   * nothing.
   */
  takeAll(): Uint8Array[] {
    this.checkIdle();
    this.closePiece();
    const pieces = this.pieces;
    this.gone += this.closedBytes;
    this.pieces = [];
    this.closedBytes = 0;
    this.release();
    return pieces;
  }

  /** Like `takeAll`, if all is in one piece; otherwise `undefined`, and nothing has happened. */
  takeSingle(): Uint8Array | undefined {
    this.checkIdle();
    if (this.pieces.length > 0 || this.at === this.mark) return undefined;
    const piece = this.open();
    this.gone += this.at - this.mark;
    this.mark = this.at;
    this.release();
    return piece;
  }

  /** All bytes as views, without giving them away. */
  peek(): Uint8Array[] {
    this.checkIdle();
    this.closePiece();
    return this.pieces.slice();
  }

  /** Drops the first `n` bytes. */
  consume(n: number): void {
    this.checkIdle();
    this.closePiece();
    this.gone += n;
    this.closedBytes -= n;
    let left = n;
    let whole = 0;
    while (left > 0 && left >= this.pieces[whole]!.length) left -= this.pieces[whole++]!.length;
    this.pieces.splice(0, whole);
    if (left > 0) {
      const first = this.pieces[0]!;
      this.pieces[0] = new View(first.buffer, first.byteOffset + left, first.length - left);
    }
    if (this.closedBytes === 0) this.release();
  }

  private open(): Uint8Array {
    return new View(this.block.buffer, this.block.base + this.mark, this.at - this.mark);
  }

  /** Before anything but `at` changes while a message is being encoded. */
  private checkpoint(): void {
    if (this.before !== undefined) return;
    const { block, mark, limit, closedBytes } = this;
    this.before = { block, mark, limit, closedBytes, pieces: this.pieces.length };
  }

  private checkIdle(): void {
    if (this.busy) throw wrongRange('ERR_FRAMING_NESTED', 'an encoder is at work');
  }

  private rollBack(at: number): void {
    const { before } = this;
    if (before !== undefined) {
      if (this.block !== before.block && !this.patching) this.release();
      this.block = before.block;
      this.room = before.block.bytes;
      this.mark = before.mark;
      this.limit = before.limit;
      this.closedBytes = before.closedBytes;
      this.pieces.length = before.pieces;
    }
    this.at = at;
    this.busy = false;
    this.patching = false;
  }

  private closePiece(): void {
    if (this.at === this.mark) return;
    this.pieces.push(this.open());
    this.closedBytes += this.at - this.mark;
    this.mark = this.at;
  }

  private reference(bytes: Uint8Array): this {
    if (this.patching) this.badPatch(this.limit - this.at, bytes.length);
    this.checkpoint();
    this.closePiece();
    this.pieces.push(bytes);
    this.closedBytes += bytes.length;
    return this;
  }

  /** Makes room for `n` contiguous bytes, at most a block. */
  private grow(n: number): void {
    if (this.patching) this.badPatch(this.limit - this.at, n);
    this.checkpoint();
    this.closePiece();
    if (spare !== undefined && spare.bytes.length - spareFrom >= n) {
      this.block = spare;
      this.room = spare.bytes;
      this.at = spareFrom;
      spare = undefined;
    } else {
      this.block = blockOf(allocate(BLOCK_BYTES));
      this.room = this.block.bytes;
      this.at = 0;
    }
    this.mark = this.at;
    this.limit = this.room.length;
  }

  /** Gives the unused end of the block back. */
  private release(): void {
    const room = this.limit - this.at;
    if (room >= LEAST_ROOM && (spare === undefined || spare.bytes.length - spareFrom < room)) {
      spare = this.block;
      spareFrom = this.at;
    }
    this.block = EMPTY;
    this.room = EMPTY.bytes;
    this.mark = 0;
    this.at = 0;
    this.limit = 0;
  }

  private badValue(verb: string, most: number, value: unknown): never {
    if (typeof value !== 'number') {
      throw wrongType('ERR_FRAMING_MESSAGE', `output.${verb} wants a number, got ${shown(value)}`);
    }
    throw new FramingError('BAD_VALUE', `output.${verb} holds integers from 0 to ${most}, got ${value}`);
  }

  private badPatch(reserved: number, written: number): never {
    throw wrongRange(
      'ERR_FRAMING_RESERVE',
      `a reservation of ${reserved} bytes must be filled with as many, got ${written}`,
    );
  }
}
