import { newBytes, View } from '../bytes.js';
import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { OptionReader, payloadOf } from '../codecs/options.js';
import { FramingError, shown, wrongRange, wrongType } from '../errors.js';
import { checkBothWays } from '../framed.js';
import { adler32, crc32, crc32c } from './checksums.js';

/** A checksum: by name, or a function of the payload that gives an unsigned integer. */
export type ChecksumAlgorithm = 'crc32' | 'crc32c' | 'adler32' | ((payload: Uint8Array) => number);

/** Options of {@link checksummed}. */
export interface ChecksummedOptions {
  /** Bytes of the checksum, 1 to 4. Default 4. */
  size?: number | undefined;
  /** Byte order of the checksum. Default `'be'`. */
  endian?: 'be' | 'le' | undefined;
}

const ALGORITHMS = /* @__PURE__ */ new Map<unknown, (payload: Uint8Array) => number>([
  ['crc32', crc32],
  ['crc32c', crc32c],
  ['adler32', adler32],
]);

class ChecksummedCodec implements Codec<Uint8Array, BytesLike> {
  private readonly codec: Codec<Uint8Array, Uint8Array>;
  private readonly algorithm: (payload: Uint8Array) => number;
  private readonly size: number;
  private readonly le: boolean;

  constructor(
    codec: Codec<Uint8Array, Uint8Array>,
    algorithm: (payload: Uint8Array) => number,
    size: number,
    le: boolean,
  ) {
    this.codec = codec;
    this.algorithm = algorithm;
    this.size = size;
    this.le = le;
  }

  decode(input: Input): Uint8Array | undefined {
    const frame = this.codec.decode(input);
    return frame === undefined ? undefined : this.checked(frame);
  }

  end(input: Input): Uint8Array | undefined {
    const frame = this.codec.end?.(input);
    return frame === undefined ? undefined : this.checked(frame);
  }

  encode(message: BytesLike, output: Output): void {
    const payload = payloadOf(message);
    const frame = newBytes(payload.length + this.size);
    frame.set(payload);
    const sum = this.sumOf(payload);
    for (let i = 0; i < this.size; i++) frame[payload.length + i] = this.byteOf(sum, i);
    this.codec.encode(frame, output);
  }

  private checked(frame: Uint8Array): Uint8Array {
    const length = frame.length - this.size;
    if (length < 0) {
      throw new FramingError('BAD_LENGTH', `a frame ends with ${this.size} bytes of checksum, got ${frame.length}`);
    }
    const payload = new View(frame.buffer, frame.byteOffset, length);
    const sum = this.sumOf(payload);
    for (let i = 0; i < this.size; i++) {
      if (frame[length + i] === this.byteOf(sum, i)) continue;
      throw new FramingError('BAD_CHECKSUM', `the checksum of the payload is 0x${sum.toString(16)}, got another`);
    }
    return payload;
  }

  private sumOf(payload: Uint8Array): number {
    const { algorithm } = this;
    const sum = algorithm(payload);
    if (Number.isInteger(sum) && sum >= 0 && sum < 2 ** (8 * this.size)) return sum;
    throw wrongRange('ERR_FRAMING_OPTION', `checksummed: ${this.size} unsigned bytes are wanted, got ${shown(sum)}`);
  }

  /** Byte `i` of the checksum as it is written. */
  private byteOf(sum: number, i: number): number {
    return (sum >>> (8 * (this.le ? i : this.size - 1 - i))) & 0xff;
  }
}

/**
 * The frames of `codec` with a checksum of the payload at their end. Messages are the payloads, in bytes.
 *
 * A wrong checksum is `BAD_CHECKSUM`, a frame too short to hold one is `BAD_LENGTH`. It finds what a line has garbled; it
 * keeps nobody from forging. Limits of `codec` count the checksum as payload.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_CODEC`, `ERR_FRAMING_OPTION`
 */
export function checksummed(
  codec: Codec<Uint8Array, Uint8Array>,
  algorithm: ChecksumAlgorithm,
  options: ChecksummedOptions = {},
): Codec<Uint8Array, BytesLike> {
  checkBothWays(codec);
  const reader = new OptionReader('checksummed', options, ['size', 'endian']);
  const named = ALGORITHMS.get(algorithm);
  if (named === undefined && typeof algorithm !== 'function') {
    const message = `checksummed wants 'crc32', 'crc32c', 'adler32' or a function, got ${shown(algorithm)}`;
    throw (typeof algorithm === 'string' ? wrongRange : wrongType)('ERR_FRAMING_OPTION', message);
  }
  const size = reader.integer('size', 4, named === undefined ? 1 : 4, 4);
  const le = reader.choice('endian', 'be', ['be', 'le']) === 'le';
  return new ChecksummedCodec(codec, named ?? (algorithm as (payload: Uint8Array) => number), size, le);
}
