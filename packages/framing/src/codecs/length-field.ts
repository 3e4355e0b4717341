import { isBytes } from '../bytes.js';
import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { FramingError, shown, wrongRange, wrongType } from '../errors.js';
import { OptionReader, payloadOf, tooLong } from './options.js';

/** Options of {@link lengthField}. */
export interface LengthFieldOptions {
  /** Bytes of the length field, 1 to 8. Default 4. */
  size?: number | undefined;
  /** Byte order of the length field. Default `'be'`. */
  endian?: 'be' | 'le' | undefined;
  /** Bytes before the length field. Default 0. */
  offset?: number | undefined;
  /**
   * What the length counts. `'payload'`: what is delivered when the header is stripped. `'rest'`: all behind the length
   * field, so a longer header (`strip`) and the `trailer` too. `'frame'`: all of it. Not together with `adjust`.
   */
  counts?: 'payload' | 'rest' | 'frame' | undefined;
  /** Added to the length to get the number of bytes behind the length field. Default 0. Not together with `counts`. */
  adjust?: number | undefined;
  /** Bytes dropped from the front of each frame. Default: the header, `offset + size`. */
  strip?: number | undefined;
  /** `true`: messages are whole frames, header included; the same as `strip: 0`. Default `false`. */
  keepHeader?: boolean | undefined;
  /**
   * Bytes that must end each frame, otherwise `BAD_TRAILER`. They are part of the message, unless `counts` is given
   * without `keepHeader`: then they are dropped, and written by the encoder.
   */
  trailer?: BytesLike | undefined;
  /**
   * Most bytes of payload, after the adjustment, header not counted: checked as soon as the length is there. Default
   * 16 MiB.
   */
  maxFrameLength?: number | undefined;
  /**
   * What happens beyond it: `'error'` is fatal; `'discard'` reports one recoverable `FRAME_TOO_LONG`, drops the frame as
   * it comes, and goes on with the next. Default `'error'`.
   */
  onTooLong?: 'error' | 'discard' | undefined;
  /**
   * Reads a length of any other kind: looks with `has` and `u8`, **skips** what it has read, and returns the number of
   * bytes behind it, or `undefined` if more is needed. In place of `size`, `endian`, `offset`, `adjust`, `counts`, `strip`.
   */
  read?: ((input: Input) => number | undefined) | undefined;
  /** The opposite of `read`: writes the length. Without it such a codec cannot encode (`ERR_FRAMING_CODEC`). */
  write?: ((length: number, output: Output) => void) | undefined;
}

const NUMERIC = ['size', 'endian', 'offset', 'adjust', 'counts', 'strip'] as const;
const OTHERS = ['keepHeader', 'trailer', 'maxFrameLength', 'onTooLong', 'read', 'write'] as const;
const NO_TRAILER = new Uint8Array(0);

/** The number of bytes behind the header, `rest`, is what both kinds of length field come down to. */
class LengthFieldCodec implements Codec<Uint8Array, BytesLike> {
  private readonly size: number;
  private readonly le: boolean;
  private readonly offset: number;
  /** Bytes before and in the length field. */
  private readonly header: number;
  private readonly adjust: number;
  private readonly strip: number;
  private readonly trailer: Uint8Array;
  /** Bytes of trailer that are dropped from the end of a frame. */
  private readonly dropped: number;
  /** Bytes behind the length field that are not payload. */
  private readonly overhead: number;
  private readonly maxFrameLength: number;
  private readonly discards: boolean;
  private readonly largest: number;
  /** Nothing but the length and the payload, at most `plainLimit` bytes: the case that must be fast. */
  private readonly plainLimit: number;

  constructor(reader: OptionReader) {
    this.size = reader.integer('size', 4, 1, 8);
    this.le = reader.choice('endian', 'be', ['be', 'le']) === 'le';
    this.offset = reader.integer('offset', 0, 0, 0x7fffffff);
    this.header = this.offset + this.size;
    const keepHeader = reader.flag('keepHeader', false);
    if (keepHeader && reader.has('strip')) throw reader.contradiction('keepHeader and strip exclude each other');
    if (reader.has('counts') && reader.has('adjust')) {
      throw reader.contradiction('counts and adjust exclude each other: counts is adjust by name');
    }
    this.strip = keepHeader ? 0 : reader.integer('strip', this.header, 0, 0x7fffffff);
    this.trailer = reader.bytes('trailer') ?? NO_TRAILER;
    this.maxFrameLength = reader.maxFrameLength();
    this.discards = discardsTooLong(reader);
    this.largest = this.size < 7 ? 2 ** (8 * this.size) - 1 : Number.MAX_SAFE_INTEGER;
    if (reader.has('counts')) {
      const counts = reader.choice('counts', 'payload', ['payload', 'rest', 'frame']);
      this.overhead = Math.max(0, this.strip - this.header) + this.trailer.length;
      this.adjust = counts === 'payload' ? this.overhead : counts === 'rest' ? 0 : -this.header;
      this.dropped = keepHeader ? 0 : this.trailer.length;
    } else {
      this.overhead = 0;
      this.adjust = reader.integer('adjust', 0, -0x7fffffff, 0x7fffffff);
      this.dropped = 0;
    }
    const plain = this.offset === 0 && this.strip === this.header && this.trailer.length === 0;
    this.plainLimit = plain ? Math.min(this.maxFrameLength, this.largest + Math.min(0, this.adjust), 0x7fffffff) : -1;
  }

  decode(input: Input): Uint8Array | undefined {
    const { header } = this;
    if (this.discards && !discarded(input)) return undefined;
    if (!input.has(header)) return undefined;
    const length = this.size === 4 ? input.u32(this.offset, this.le) : this.readField(input);
    const rest = length + this.adjust;
    if (rest < 0 || rest > this.plainLimit) return this.decodeAny(input, length);
    if (!input.has(header + rest)) return undefined;
    input.skip(header);
    return input.take(rest);
  }

  encode(message: BytesLike, output: Output): void {
    if (!isBytes(message) || message.length > this.plainLimit || message.length < this.adjust) {
      this.encodeAny(message, output);
      return;
    }
    if (this.size === 4) output.u32(message.length - this.adjust, this.le);
    else this.writeField(message.length - this.adjust, output);
    output.bytes(message);
  }

  private decodeAny(input: Input, length: number): Uint8Array | undefined {
    const { header, strip } = this;
    const rest = length + this.adjust;
    const payload = rest - this.overhead;
    const total = header + rest;
    if (payload < 0 || strip > total || rest < this.trailer.length) {
      throw new FramingError('BAD_LENGTH', `length ${length} means a frame of ${total} bytes, which cannot be`);
    }
    if (payload > this.maxFrameLength) throw refused(input, payload, this.maxFrameLength, total, this.discards);
    if (!input.has(total)) return undefined;
    if (this.trailer.length > 0) checkTrailer(input, total, this.trailer);
    if (strip > 0) input.skip(strip);
    const frame = input.take(total - strip - this.dropped);
    if (this.dropped > 0) input.skip(this.dropped);
    return frame;
  }

  private encodeAny(message: BytesLike, output: Output): void {
    const bytes = payloadOf(message);
    const { header, strip } = this;
    // With part of the header kept, the message brings it along; the length in it is overwritten.
    const brought = strip < header ? header - strip : 0;
    const extra = strip > header ? strip - header : 0;
    if (bytes.length < brought) {
      throw new FramingError('BAD_LENGTH', `a message must begin with ${brought} bytes of header, got ${bytes.length}`);
    }
    const rest = extra + bytes.length - brought + this.dropped;
    const length = rest - this.adjust;
    const payload = rest - this.overhead;
    if (payload < 0 || length < 0) {
      throw new FramingError('BAD_LENGTH', `a message of ${bytes.length} bytes would have the length ${length}`);
    }
    if (payload > this.maxFrameLength) throw tooLong(payload, this.maxFrameLength);
    if (length > this.largest) {
      throw new FramingError('FRAME_TOO_LONG', `${this.size} bytes of length hold ${this.largest}, got ${length}`);
    }
    if (this.dropped === 0 && this.trailer.length > 0) checkTrailerOf(bytes, this.trailer);
    if (header > this.size || extra > 0 || brought > 0) {
      this.writeLongHeader(bytes, brought, extra, length, output);
      output.bytes(bytes.subarray(brought));
    } else {
      this.writeField(length, output);
      output.bytes(bytes);
    }
    if (this.dropped > 0) output.bytes(this.trailer);
  }

  /** What is stripped was not delivered, so it is written as zeros. */
  private writeLongHeader(bytes: Uint8Array, brought: number, extra: number, length: number, output: Output): void {
    const missing = this.header - brought;
    for (let i = 0; i < this.offset; i++) output.u8(i < missing ? 0 : bytes[i - missing]!);
    this.writeField(length, output);
    for (let i = 0; i < extra; i++) output.u8(0);
  }

  private readField(input: Input): number {
    const { offset, le } = this;
    switch (this.size) {
      case 4:
        return input.u32(offset, le);
      case 2:
        return input.u16(offset, le);
      case 1:
        return input.u8(offset);
      case 3:
        return input.u24(offset, le);
      case 8:
        return input.u64(offset, le);
      default: {
        const high = this.size - 4;
        let length = 0;
        for (let i = 0; i < high; i++) length = length * 256 + input.u8(le ? offset + this.size - 1 - i : offset + i);
        if (length > 0x1fffff) {
          throw new FramingError('BAD_LENGTH', 'the length is above 2^53-1', { offset: input.offset + offset });
        }
        return length * 0x100000000 + input.u32(le ? offset : offset + high, le);
      }
    }
  }

  private writeField(length: number, output: Output): void {
    const { le } = this;
    switch (this.size) {
      case 4:
        output.u32(length, le);
        return;
      case 2:
        output.u16(length, le);
        return;
      case 1:
        output.u8(length);
        return;
      case 3:
        output.u24(length, le);
        return;
      case 8:
        output.u64(length, le);
        return;
      default:
        for (let i = 0; i < this.size; i++) {
          const place = le ? i : this.size - 1 - i;
          output.u8(Math.floor(length / 256 ** place) % 256);
        }
    }
  }
}

/** A length that a function reads and another one writes. */
class CustomLengthCodec implements Codec<Uint8Array, BytesLike> {
  private readonly read: (input: Input) => number | undefined;
  private readonly write: ((length: number, output: Output) => void) | undefined;
  private readonly keepHeader: boolean;
  private readonly trailer: Uint8Array;
  private readonly maxFrameLength: number;
  private readonly discards: boolean;

  constructor(reader: OptionReader, read: (input: Input) => number | undefined) {
    for (const name of NUMERIC) {
      if (reader.has(name)) throw reader.contradiction(`read and ${name} exclude each other`);
    }
    this.read = read;
    this.write = reader.callback<(length: number, output: Output) => void>('write');
    this.keepHeader = reader.flag('keepHeader', false);
    this.trailer = reader.bytes('trailer') ?? NO_TRAILER;
    this.maxFrameLength = reader.maxFrameLength();
    this.discards = discardsTooLong(reader);
  }

  decode(input: Input): Uint8Array | undefined {
    if (this.discards && !discarded(input)) return undefined;
    const begin = input.offset;
    const rest = this.read(input);
    if (rest === undefined) return undefined;
    const header = input.offset - begin;
    if (!(Number.isSafeInteger(rest) && rest >= this.trailer.length)) {
      throw new FramingError('BAD_LENGTH', `a length of ${shown(rest)} cannot be`);
    }
    if (rest > this.maxFrameLength) {
      input.rewind();
      throw refused(input, rest, this.maxFrameLength, header + rest, this.discards);
    }
    if (!input.has(rest)) return undefined;
    if (this.trailer.length > 0) checkTrailer(input, rest, this.trailer);
    if (!this.keepHeader) return input.take(rest);
    input.rewind();
    return input.take(header + rest);
  }

  encode(message: BytesLike, output: Output): void {
    if (this.write === undefined) {
      throw wrongType('ERR_FRAMING_CODEC', 'lengthField with read needs write(length, output) to encode');
    }
    const bytes = payloadOf(message);
    if (this.trailer.length > 0) checkTrailerOf(bytes, this.trailer);
    if (this.keepHeader) {
      output.bytes(bytes);
      return;
    }
    if (bytes.length > this.maxFrameLength) throw tooLong(bytes.length, this.maxFrameLength);
    this.write(bytes.length, output);
    output.bytes(bytes);
  }
}

function discardsTooLong(reader: OptionReader): boolean {
  return reader.choice('onTooLong', 'error', ['error', 'discard']) === 'discard';
}

/** `FRAME_TOO_LONG` for the frame of `total` bytes; what has come of it is dropped, or else the error is fatal. */
function refused(input: Input, payload: number, most: number, total: number, discards: boolean): FramingError {
  const { offset } = input;
  if (discards) {
    const come = Math.min(total, input.length);
    input.discard(come);
    if (come < total) input.state = total - come;
  }
  return tooLong(payload, most, { offset, recoverable: discards });
}

/** Drops what comes of a frame that was refused: `input.state` is what it lacks. Whether there is anything behind it. */
function discarded(input: Input): boolean {
  if (input.state === undefined) return true;
  const left = input.state as number;
  const come = Math.min(left, input.length);
  input.discard(come);
  input.state = come < left ? left - come : undefined;
  return input.length > 0;
}

function checkTrailer(input: Input, end: number, trailer: Uint8Array): void {
  const from = end - trailer.length;
  for (let i = 0; i < trailer.length; i++) {
    if (input.u8(from + i) === trailer[i]) continue;
    throw new FramingError('BAD_TRAILER', 'the frame does not end with its trailer', {
      offset: input.offset + from + i,
    });
  }
}

function checkTrailerOf(bytes: Uint8Array, trailer: Uint8Array): void {
  const from = bytes.length - trailer.length;
  for (let i = 0; i < trailer.length; i++) {
    if (bytes[from + i] === trailer[i]) continue;
    throw new FramingError('BAD_TRAILER', 'the message does not end with the trailer');
  }
}

/**
 * Frames whose header tells their length. Messages are bytes.
 *
 * ```ts
 * lengthField()                                                 // 4 bytes, big-endian, then the payload
 * lengthField({ size: 2, offset: 2, counts: 'frame' })          // TPKT: version, reserved, length of all
 * lengthField({ offset: 1, counts: 'frame', keepHeader: true }) // type byte, length of all, messages with header
 * ```
 *
 * A length that is negative after the adjustment, or does not cover what is stripped, is `BAD_LENGTH`; one above
 * `maxFrameLength` is `FRAME_TOO_LONG`, before any of the payload has come. With `onTooLong: 'discard'` the stream may
 * end inside a frame that was refused: that has been told. The encoder refuses with the same codes what
 * the field cannot hold. Bytes of the header beside the length that `strip` removes are encoded as zeros: `keepHeader`,
 * where they matter.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function lengthField(options: LengthFieldOptions = {}): Codec<Uint8Array, BytesLike> {
  const reader = new OptionReader('lengthField', options, [...NUMERIC, ...OTHERS]);
  const read = reader.callback<(input: Input) => number | undefined>('read');
  if (read !== undefined) return new CustomLengthCodec(reader, read);
  if (reader.has('write')) throw wrongRange('ERR_FRAMING_OPTION', 'lengthField: write goes with read, got write alone');
  return new LengthFieldCodec(reader);
}
