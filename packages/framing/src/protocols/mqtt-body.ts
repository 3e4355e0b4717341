import { isBytes, latin1Slice, utf8Bytes, utf8Text, View, zeros } from '../bytes.js';
import { FramingError, shown } from '../errors.js';

/** Longest text that is looked through by a loop. */
const LOOP_CHARACTERS = 64;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** What is in a packet behind its fixed header. Reading beyond its end is `BAD_LENGTH`: the packet is malformed. */
export class BodyReader {
  at = 0;

  constructor(
    readonly bytes: Uint8Array,
    readonly end: number = bytes.length,
  ) {}

  get done(): boolean {
    return this.at >= this.end;
  }

  u8(): number {
    return this.bytes[this.advance(1)]!;
  }

  u16(): number {
    const at = this.advance(2);
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!;
  }

  u32(): number {
    return this.u16() * 0x10000 + this.u16();
  }

  /** A variable byte integer: at most four bytes, and no more than it needs (MQTT 5, 1.5.5). */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      if (byte > 0x7f) continue;
      if (byte === 0 && shift > 0) throw new FramingError('BAD_VARINT', 'a number in more bytes than it needs (1.5.5)');
      return value;
    }
    throw new FramingError('BAD_VARINT', 'a number of more than four bytes (1.5.5)');
  }

  binary(): Uint8Array {
    return this.take(this.u16());
  }

  rest(): Uint8Array {
    return this.take(this.end - this.at);
  }

  /** UTF-8 without U+0000 and surrogates (1.5.3, in MQTT 5 1.5.4). */
  text(): string {
    const length = this.u16();
    const at = this.advance(length);
    const { bytes } = this;
    const end = at + length;
    let i = at;
    // Names are ASCII, nearly always: to find that out costs less than a decoder.
    if (length <= LOOP_CHARACTERS) while (i < end && bytes[i]! <= 0x7f && bytes[i] !== 0) i++;
    if (i === end) return latin1Slice(bytes, at, end);
    const whole = utf8Text(new View(bytes.buffer, bytes.byteOffset + at, length));
    if (whole === undefined) throw new FramingError('BAD_UTF8', 'a string is not valid UTF-8 (1.5.3)');
    if (whole.includes('\0')) throw new FramingError('BAD_UTF8', 'a string contains U+0000 (1.5.3)');
    return whole;
  }

  private take(length: number): Uint8Array {
    const at = this.advance(length);
    return new View(this.bytes.buffer, this.bytes.byteOffset + at, length);
  }

  private advance(n: number): number {
    const { at } = this;
    if (at + n > this.end) throw new FramingError('BAD_LENGTH', 'a field goes beyond the end of its packet');
    this.at = at + n;
    return at;
  }
}

/** The opposite: a body is written before its length is known. */
export class BodyWriter {
  length = 0;
  private bytes = zeros(128);

  u8(value: number, what: string): void {
    if (value >>> 0 !== value || value > 0xff) throw badNumber(what, 0xff, value);
    this.put(value);
  }

  u16(value: number, what: string): void {
    if (value >>> 0 !== value || value > 0xffff) throw badNumber(what, 0xffff, value);
    const at = this.room(2);
    this.bytes[at] = value >>> 8;
    this.bytes[at + 1] = value;
  }

  u32(value: number, what: string): void {
    if (value >>> 0 !== value) throw badNumber(what, 0xffffffff, value);
    this.u16(value >>> 16, what);
    this.u16(value & 0xffff, what);
  }

  varint(value: number, what: string): void {
    if (value >>> 0 !== value || value > 0xfffffff) throw badNumber(what, 0xfffffff, value);
    let rest = value;
    for (; rest > 0x7f; rest >>>= 7) this.put((rest & 0x7f) | 0x80);
    this.put(rest);
  }

  binary(value: unknown, what: string): void {
    const bytes = typeof value === 'string' ? utf8Bytes(value) : value;
    if (!isBytes(bytes)) throw new FramingError('BAD_VALUE', `${what} wants bytes or a string, got ${shown(value)}`);
    if (bytes.length > 0xffff) {
      throw new FramingError('BAD_VALUE', `${what} has at most 65535 bytes, got ${bytes.length}`);
    }
    this.u16(bytes.length, what);
    this.raw(bytes);
  }

  text(value: unknown, what: string): void {
    if (typeof value !== 'string') throw new FramingError('BAD_VALUE', `${what} wants a string, got ${shown(value)}`);
    if (value.includes('\0') || LONE_SURROGATE.test(value)) {
      throw new FramingError('BAD_UTF8', `${what} cannot contain U+0000 or a lone surrogate, got ${shown(value)}`);
    }
    this.binary(value, what);
  }

  raw(bytes: Uint8Array): void {
    const at = this.room(bytes.length);
    this.bytes.set(bytes, at);
  }

  /** What was written, in memory that is this writer's. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  private put(byte: number): void {
    // First: it may change the memory.
    const at = this.room(1);
    this.bytes[at] = byte;
  }

  private room(n: number): number {
    const at = this.length;
    this.length = at + n;
    if (this.length > this.bytes.length) {
      const larger = zeros(Math.max(2 * this.bytes.length, this.length));
      larger.set(this.bytes);
      this.bytes = larger;
    }
    return at;
  }
}

function badNumber(what: string, most: number, value: unknown): FramingError {
  return new FramingError('BAD_VALUE', `${what} is an integer from 0 to ${most}, got ${shown(value)}`);
}
