import { allocate, asciiText, copyOf, indexOfByte, latin1Slice, utf8Text, View } from './bytes.js';
import type { Input } from './codec.js';
import { FramingError, shown, wrongRange } from './errors.js';
import { Needles } from './needles.js';

const EMPTY = new Uint8Array(0);
const EMPTY_BUFFER = EMPTY.buffer;
/** No chunk follows the window, so its end is never a reason to move on. */
const NEVER = 0x7fffffff;
/** Chunks up to this size are copied into a block of ours: one object per drop would be the price of a slow drip. */
const SMALL_CHUNK = 1024;
/** A foreign window up to this size is copied to a block of ours in order to append to it. */
const SMALL_WINDOW = 4096;
/** A kept chunk may hold at most this many times its size in memory; likewise a rest that waits for more. */
const RETAIN_FACTOR = 4;
const LARGEST_TAIL = 65_536;
/** So much is decoded at once for short texts, if it is ASCII. */
const TEXT_AHEAD = 16_384;
/** Longer texts are decoded alone. */
const SHORT_TEXT = 4096;

/**
 * The unread bytes of one stream.
 *
 * ```
 *             frameStart   start             turn        end
 *   block  …consumed…|…undone if needed…|…unread…|…overlap…|…room if owned…
 *                                                 |overlap|……| chunks[0]   chunks[1] …
 * ```
 *
 * The common case is the window alone: a chunk that is decoded where it lies. A chunk that comes while bytes are unread
 * is queued, and copied only as far as a decoder looks across the border: the copied bytes, `overlap`, stay in the
 * chunk, and once everything before them is consumed, decoding goes on in the chunk itself. So a frame that straddles
 * costs its own length and not that of the chunk. Blocks grow geometrically, hence every byte is copied a bounded number
 * of times, and nothing is ever allocated because a length was claimed.
 */
export class InputWindow implements Input {
  state: unknown = undefined;
  matched = 0;
  /**
   * How many unread bytes there must be before the decoder is asked again. While it decodes: the least that a failed
   * `has` wanted, counted from `frameStart`; 0 = none did.
   */
  needed = 1;
  /** Whether `needed` is a number that the decoder asked for, and not just more than there is. */
  counted = false;

  block: Uint8Array = EMPTY;
  start = 0;
  end = 0;
  private buffer: ArrayBufferLike = EMPTY_BUFFER;
  private base = 0;
  private frameStart = 0;
  /** Position in the stream of `block[0]`. */
  private origin = 0;
  /** Whether the block was allocated here, so that bytes may be appended behind `end`. */
  private owned = false;

  private chunks: Uint8Array[] = [];
  /** Bytes of `chunks` that are not in the window. */
  private beyond = 0;
  private overlap = 0;
  private turn = NEVER;
  /** The block of ours that ends `chunks` and takes small chunks; its last view is `chunks`' last element. */
  private tail: Uint8Array | undefined = undefined;

  private discarded = false;
  private drop = -1;

  /** Last search that failed: bytes from `missFrom` to `missTo`, counted from `frameStart`, end no match. */
  private missNeedle: number | Needles = -1;
  private missFrom = 0;
  private missTo = 0;
  private compiledFrom: Uint8Array | undefined = undefined;
  private compiledNeedles: Needles | undefined = undefined;

  /** The text of `block[textFrom, textTo)`, all of it ASCII and none of it behind `end`; what lies before `textTried` is not to be tried again. */
  private ahead = '';
  private textFrom = 0;
  private textTo = 0;
  private textTried = 0;

  private readonly limit: number;
  private readonly limited: boolean;
  /** Bytes behind the limit, which the decoder does not get to see: `end` and `beyond` are less by so much. */
  private hiddenInWindow = 0;
  private hiddenBeyond = 0;
  private readonly copying: boolean;

  constructor(limit: number, copying: boolean) {
    this.limit = limit;
    this.limited = limit !== Number.POSITIVE_INFINITY;
    this.copying = copying;
  }

  get length(): number {
    return this.end - this.start + this.beyond;
  }

  get offset(): number {
    return this.origin + this.start;
  }

  // ---- what decoders call

  // The common case of what follows is kept short, so that the compiler inlines it into the decoder.

  has(n: number): boolean {
    return (n >= 0 && n <= this.end - this.start) || this.hasBeyond(n);
  }

  u8(at: number): number {
    let p = this.start + at;
    if (!(at >= 0 && p < this.end)) p = this.reach(at, 1);
    return this.block[p]!;
  }

  u16(at: number, le = false): number {
    let p = this.start + at;
    if (!(at >= 0 && p + 2 <= this.end)) p = this.reach(at, 2);
    const b = this.block;
    return le ? b[p]! | (b[p + 1]! << 8) : (b[p]! << 8) | b[p + 1]!;
  }

  u24(at: number, le = false): number {
    let p = this.start + at;
    if (!(at >= 0 && p + 3 <= this.end)) p = this.reach(at, 3);
    const b = this.block;
    return le ? b[p]! | (b[p + 1]! << 8) | (b[p + 2]! << 16) : (b[p]! << 16) | (b[p + 1]! << 8) | b[p + 2]!;
  }

  u32(at: number, le = false): number {
    const p = this.start + at;
    if (le || !(at >= 0 && p + 4 <= this.end)) return this.u32Uncommon(at, le);
    const b = this.block;
    // The shift by 24 makes numbers with the high bit negative: `>>> 0` puts that right.
    return ((b[p]! << 24) | (b[p + 1]! << 16) | (b[p + 2]! << 8) | b[p + 3]!) >>> 0;
  }

  u64(at: number, le = false): number {
    const high = this.u32(le ? at + 4 : at, le);
    const low = this.u32(le ? at : at + 4, le);
    if (high > 0x1fffff) {
      throw new FramingError('BAD_LENGTH', 'a 64-bit length is above 2^53-1', { offset: this.offset + at });
    }
    return high * 0x100000000 + low;
  }

  indexOf(needle: number | Uint8Array | Needles, from = 0): number {
    if (from > this.length) return -1;
    if (typeof needle === 'number') return this.findByte(needle, from);
    return this.findBytes(needle instanceof Needles ? needle : this.compiled(needle), from);
  }

  skip(n: number): void {
    if (!(n >= 0 && n <= this.end - this.start)) this.reach(0, n);
    this.start += n;
  }

  take(n: number): Uint8Array {
    if (this.copying || !(n >= 0 && n <= this.end - this.start)) return this.takeUncommon(n);
    const at = this.start;
    this.start = at + n;
    return new View(this.buffer, this.base + at, n);
  }

  takeInside(before: number, n: number, behind: number): Uint8Array {
    const at = this.start + before;
    const to = at + n + behind;
    if (this.copying || to > this.end) {
      this.skip(before);
      const bytes = this.take(n);
      this.skip(behind);
      return bytes;
    }
    this.start = to;
    return new View(this.buffer, this.base + at, n);
  }

  text(n: number): string | undefined {
    const at = this.start;
    const to = at + n;
    if (!(n >= 0 && at >= this.textFrom && to <= this.textTo)) return this.textUncommon(n);
    this.start = to;
    return this.ahead.slice(at - this.textFrom, to - this.textFrom);
  }

  latin1(from: number, to: number): string {
    const at = this.reach(from, to - from);
    return latin1Slice(this.block, at, at + to - from);
  }

  discard(n: number): void {
    if (!(n >= 0 && n <= this.length)) this.reach(0, n);
    this.discarded ||= n > 0;
    const visibleEnd = this.offset + this.length;
    if (this.limited) this.reveal();
    const frameOffset = this.frameOffset;
    let left = n;
    while (left > this.end - this.start) {
      left -= this.end - this.start;
      this.start = this.end;
      this.advance();
    }
    this.start += left;
    const moved = this.offset - frameOffset;
    this.missFrom = Math.max(0, this.missFrom - moved);
    this.missTo = Math.max(0, this.missTo - moved);
    this.needed = 0;
    if (this.drop >= 0 && this.length > 0) this.dropIfThere();
    this.frameStart = this.start;
    if (this.limited) this.hide(Math.max(0, visibleEnd - this.offset));
  }

  rewind(): void {
    this.start = this.frameStart;
  }

  dropNext(byte: number): void {
    this.drop = byte;
  }

  // ---- what the framer calls

  /** Takes a chunk over, by reference where that is good. Never changes bytes that were lent. */
  append(chunk: Uint8Array): void {
    const size = chunk.length;
    if (size === 0) return;
    const window = this.end - this.start;
    if (this.beyond === 0) {
      if (window === 0) {
        this.adopt(chunk, chunk.buffer, chunk.byteOffset, 0, this.offset);
        return;
      }
      if (size <= SMALL_CHUNK && (this.owned || window + size <= SMALL_WINDOW)) {
        if (!this.owned || this.block.length - this.end < size) this.move(2 * (window + size));
        this.block.set(chunk, this.end);
        this.end += size;
        return;
      }
    }
    if (size > SMALL_CHUNK && size * RETAIN_FACTOR >= chunk.buffer.byteLength) {
      this.chunks.push(chunk);
      this.tail = undefined;
    } else {
      this.appendToTail(chunk);
    }
    this.beyond += size;
    this.turn = this.end - this.overlap;
  }

  /** Before each call of the decoder. Whether there is anything to decode. */
  begin(): boolean {
    if (this.start >= this.turn) this.advance();
    if (this.drop >= 0 && !this.dropFirst()) return false;
    this.needed = 0;
    if (this.limited) this.hide(this.limit);
    return true;
  }

  /** Where the message being decoded begins. */
  get frameOffset(): number {
    return this.origin + this.frameStart;
  }

  /** Whether the last `decode` consumed anything. To be asked once. */
  progressed(): boolean {
    if (this.start > this.frameStart) return true;
    const { discarded } = this;
    this.discarded = false;
    return discarded;
  }

  /** After a message: what was consumed is gone for good. */
  commit(): void {
    if (this.limited) this.reveal();
    this.frameStart = this.start;
    this.needed = 1;
    this.missTo = 0;
  }

  /** After `undefined`: what was consumed comes back. `false` if `maxBuffered` will not let the missing bytes in. */
  starve(): boolean {
    this.start = this.frameStart;
    this.discarded = false;
    this.counted = this.needed > 0;
    if (!this.counted) this.needed = this.length + 1;
    if (this.limited) this.reveal();
    return this.needed <= this.limit;
  }

  /** After an exception of the decoder. */
  abandon(): void {
    this.reveal();
  }

  /** A new codec: it is to look at what is there, with a memory of its own. */
  reset(): void {
    this.needed = 1;
    this.missTo = 0;
    this.state = undefined;
  }

  /** After each chunk: lets go of memory that the unread rest would hold for nothing. */
  settle(): void {
    if (this.beyond > 0) return;
    const rest = this.end - this.start;
    if (rest === 0) {
      if (this.block !== EMPTY) this.adopt(EMPTY, EMPTY_BUFFER, 0, 0, this.offset);
      return;
    }
    const held = this.owned ? this.block.length : this.buffer.byteLength;
    // With room for the frame that it begins, where that is small: otherwise it would be moved again with the next chunk.
    const room = Math.max(2 * rest, Math.min(this.needed, SMALL_WINDOW));
    if (held > SMALL_CHUNK && rest * RETAIN_FACTOR < held && 2 * room < held) this.move(room);
  }

  /** All unread bytes in one piece, without consuming them. */
  peekAll(): Uint8Array {
    if (this.start >= this.turn) this.advance();
    if (this.drop >= 0) this.dropFirst();
    if (this.beyond > 0) this.gather(this.length);
    const at = this.base + this.start;
    const size = this.end - this.start;
    return this.copying ? copyOf(this.buffer, at, size) : new View(this.buffer, at, size);
  }

  /** Forgets all unread bytes. */
  clear(): void {
    const offset = this.offset + this.length;
    this.chunks = [];
    this.beyond = 0;
    this.tail = undefined;
    this.adopt(EMPTY, EMPTY_BUFFER, 0, 0, offset);
  }

  // ---- inside

  /** Does what `dropNext` asked for, as soon as there is a byte. Whether there is anything to decode then. */
  private dropFirst(): boolean {
    if (this.length === 0) return false;
    this.dropIfThere();
    this.frameStart = this.start;
    return this.length > 0;
  }

  private dropIfThere(): void {
    if (this.start >= this.turn) this.advance();
    if (this.block[this.start] === this.drop) {
      this.start++;
      // It counted from the byte that is gone.
      this.missTo = 0;
    }
    this.drop = -1;
    if (this.start >= this.turn) this.advance();
  }

  /**
   * A frame must not be longer than the limit, however much has arrived: what the decoder could see only because a chunk
   * was large would make a difference.
   */
  private hide(visible: number): void {
    const room = visible - (this.end - this.start);
    if (room >= this.beyond) return;
    if (room < 0) {
      this.hiddenInWindow = -room;
      this.end += room;
    }
    this.hiddenBeyond = this.beyond - Math.max(room, 0);
    this.beyond = Math.max(room, 0);
  }

  private reveal(): void {
    this.end += this.hiddenInWindow;
    this.beyond += this.hiddenBeyond;
    this.hiddenInWindow = 0;
    this.hiddenBeyond = 0;
  }

  private badCount(verb: string, n: number): never {
    throw wrongRange('ERR_FRAMING_COUNT', `input.${verb} wants a non-negative integer, got ${shown(n)}`);
  }

  private hasBeyond(n: number): boolean {
    if (!(Number.isInteger(n) && n >= 0)) this.badCount('has', n);
    const fromFrame = this.start - this.frameStart + n;
    if (fromFrame > this.limit) {
      throw new FramingError('FRAME_TOO_LONG', `a frame needs ${fromFrame} bytes, maxBuffered is ${this.limit}`);
    }
    if (n > this.length) {
      if (this.needed === 0 || fromFrame < this.needed) this.needed = fromFrame;
      return false;
    }
    this.gather(n);
    return true;
  }

  /** Brings `n` bytes at `at` into the window and returns the index of the first in the block. */
  private reach(at: number, n: number): number {
    if (!(Number.isSafeInteger(at) && at >= 0)) this.badCount('u8 to u64', at);
    if (!(Number.isSafeInteger(n) && n >= 0)) this.badCount('skip, take and discard', n);
    if (at + n > this.length) {
      throw wrongRange(
        'ERR_FRAMING_UNDERRUN',
        `a decoder wants ${n} bytes at ${at}, but ${this.length} are unread: it must ask has(${at + n}) first`,
      );
    }
    if (at + n > this.end - this.start) this.gather(at + n);
    return this.start + at;
  }

  private takeUncommon(n: number): Uint8Array {
    this.reach(0, n);
    const at = this.base + this.start;
    this.start += n;
    return this.copying ? copyOf(this.buffer, at, n) : new View(this.buffer, at, n);
  }

  private textUncommon(n: number): string | undefined {
    this.reach(0, n);
    const at = this.start;
    const unread = this.end - at;
    if (!this.copying && n <= SHORT_TEXT && at >= this.textTried && unread > 2 * n) {
      const size = Math.min(unread, TEXT_AHEAD);
      const text = asciiText(new View(this.buffer, this.base + at, size));
      this.textTried = at + size;
      if (text !== undefined) {
        this.ahead = text;
        this.textFrom = at;
        this.textTo = at + size;
        this.start = at + n;
        return text.slice(0, n);
      }
    }
    const text = utf8Text(new View(this.buffer, this.base + at, n));
    if (text !== undefined) this.start = at + n;
    return text;
  }

  private forgetText(): void {
    this.ahead = '';
    this.textTo = 0;
    this.textTried = 0;
  }

  private u32Uncommon(at: number, le: boolean): number {
    const p = this.reach(at, 4);
    const b = this.block;
    return le
      ? (b[p]! | (b[p + 1]! << 8) | (b[p + 2]! << 16) | (b[p + 3]! << 24)) >>> 0
      : ((b[p]! << 24) | (b[p + 1]! << 16) | (b[p + 2]! << 8) | b[p + 3]!) >>> 0;
  }

  private findByte(byte: number, from: number): number {
    const low = this.start - this.frameStart + from;
    const resumed = this.missNeedle === byte && low >= this.missFrom && low < this.missTo;
    let at = resumed ? this.missTo : low;
    const first = this.frameStart + at;
    if (first >= this.textFrom && first < this.textTo) {
      const found = this.textFrom + this.ahead.indexOf(String.fromCharCode(byte), first - this.textFrom);
      if (found >= first) {
        this.matched = 1;
        return found - this.start;
      }
      at = this.textTo - this.frameStart;
    }
    for (;;) {
      const found = indexOfByte(this.block, byte, this.frameStart + at, this.end);
      if (found >= 0) {
        this.matched = 1;
        return found - this.start;
      }
      at = this.end - this.frameStart;
      if (this.beyond === 0) break;
      this.gather(this.end - this.start + 1);
    }
    if (!resumed) this.missFrom = low;
    this.missNeedle = byte;
    this.missTo = at;
    return -1;
  }

  private findBytes(needles: Needles, from: number): number {
    const low = this.start - this.frameStart + from;
    const resumed = this.missNeedle === needles && low >= this.missFrom;
    let at = low + needles.shortest - 1;
    if (resumed && at < this.missTo) at = this.missTo;
    for (;;) {
      const found = needles.search(this.block, this.frameStart + at, this.frameStart + low, this.end);
      if (found >= 0) {
        this.matched = needles.matched;
        return found - this.start;
      }
      if (at < this.end - this.frameStart) at = this.end - this.frameStart;
      if (this.beyond === 0) break;
      this.gather(this.end - this.start + 1);
    }
    // Also if it was resumed: what begins before `low`, or did not end before the last search, has not been looked for.
    this.missFrom = low;
    this.missNeedle = needles;
    this.missTo = at;
    return -1;
  }

  /** A byte string as needles, compiled once for as long as the same one is searched for. */
  private compiled(pattern: Uint8Array): Needles {
    if (this.compiledFrom !== pattern) {
      this.compiledNeedles = new Needles([pattern]);
      this.compiledFrom = pattern;
    }
    return this.compiledNeedles!;
  }

  /** Makes `chunk` the window; `skipped` of its bytes are consumed. `offset` is the stream position of its first byte. */
  private adopt(chunk: Uint8Array, buffer: ArrayBufferLike, base: number, skipped: number, offset: number): void {
    this.block = chunk;
    this.buffer = buffer;
    this.base = base;
    this.origin = offset;
    this.start = skipped;
    this.frameStart = skipped;
    this.end = chunk.length;
    this.owned = false;
    this.overlap = 0;
    if (this.textTried > 0) this.forgetText();
    this.turn = this.chunks.length > 0 ? this.end : NEVER;
  }

  /** Goes on in the next chunk, all before it being consumed. */
  private advance(): void {
    // The window alone, of 2 GiB or more: `NEVER` is not its end.
    if (this.chunks.length === 0) return;
    const skipped = this.start - this.turn;
    const offset = this.origin + this.turn;
    const next = this.chunks.shift()!;
    if (this.chunks.length === 0) this.tail = undefined;
    this.beyond -= next.length - this.overlap;
    this.adopt(next, next.buffer, next.byteOffset, skipped, offset);
  }

  /** Moves the window, from `frameStart` on, to a block of ours with room for `capacity` bytes. */
  private move(capacity: number): void {
    const kept = this.end - this.frameStart;
    const block = allocate(Math.max(capacity, kept));
    block.set(new View(this.buffer, this.base + this.frameStart, kept));
    this.origin += this.frameStart;
    this.start -= this.frameStart;
    this.frameStart = 0;
    this.end = kept;
    this.block = block;
    this.buffer = block.buffer;
    this.base = block.byteOffset;
    this.owned = true;
    if (this.textTried > 0) this.forgetText();
  }

  /** Copies from the queued chunks so that `n` unread bytes, which must exist, are in the window. */
  private gather(n: number): void {
    const kept = this.end - this.frameStart;
    const total = kept + this.beyond;
    const wanted = this.start - this.frameStart + n;
    // A window that grows a little at a time doubles; one that jumps to a known length gets exactly that.
    const target = Math.min(Math.max(wanted, 2 * kept, 256), total);
    let missing = target - kept;
    if (!this.owned || this.block.length - this.end < missing) this.move(wanted >= 2 * kept ? target : 2 * target);
    let done = 0;
    let from = this.overlap;
    while (missing > 0) {
      const chunk = this.chunks[done]!;
      const size = Math.min(chunk.length - from, missing);
      this.block.set(new View(chunk.buffer, chunk.byteOffset + from, size), this.end);
      this.end += size;
      this.beyond -= size;
      missing -= size;
      from += size;
      if (from === chunk.length) {
        done++;
        from = 0;
      }
    }
    if (done > 0) this.chunks.splice(0, done);
    this.overlap = from;
    if (this.chunks.length === 0) this.tail = undefined;
    this.turn = this.chunks.length > 0 ? this.end - from : NEVER;
  }

  private appendToTail(chunk: Uint8Array): void {
    const last = this.chunks.length - 1;
    const used = this.tail === undefined ? 0 : this.chunks[last]!.length;
    if (this.tail !== undefined && this.tail.length - used >= chunk.length) {
      this.tail.set(chunk, used);
      this.chunks[last] = new View(this.tail.buffer, this.tail.byteOffset, used + chunk.length);
      return;
    }
    const capacity = Math.min(Math.max(this.length, SMALL_WINDOW), LARGEST_TAIL);
    this.tail = allocate(Math.max(capacity, chunk.length));
    this.tail.set(chunk);
    this.chunks.push(new View(this.tail.buffer, this.tail.byteOffset, chunk.length));
  }
}
