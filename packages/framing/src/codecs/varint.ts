import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { FramingError } from '../errors.js';
import { OptionReader, payloadOf, tooLong } from './options.js';

/** Options of {@link varint}. */
export interface VarintOptions {
  /** Most bytes of the length, 1 to 10. Default 5: 32 bits, as protobuf has them; MQTT has 4. */
  maxBytes?: number | undefined;
  /** `true`: a length that is longer than it need be, such as `85 00` for 5, is `BAD_VARINT`. Default `false`. */
  canonical?: boolean | undefined;
  /** Bytes before the length. Default 0. */
  offset?: number | undefined;
  /** `true`: messages are whole frames, with the bytes before the payload. Default `false`. */
  keepHeader?: boolean | undefined;
  /** Most bytes of payload, header not counted: checked as soon as the length is there. Default 16 MiB. */
  maxFrameLength?: number | undefined;
}

const OPTIONS = ['maxBytes', 'canonical', 'offset', 'keepHeader', 'maxFrameLength'] as const;
/** Behind so many bytes a shift would reach the sign. */
const SHIFTED_BYTES = 4;

class VarintCodec implements Codec<Uint8Array, BytesLike> {
  private readonly maxBytes: number;
  private readonly canonical: boolean;
  private readonly offset: number;
  private readonly keepHeader: boolean;
  private readonly maxFrameLength: number;
  private readonly largest: number;

  constructor(reader: OptionReader) {
    this.maxBytes = reader.integer('maxBytes', 5, 1, 10);
    this.canonical = reader.flag('canonical', false);
    this.offset = reader.integer('offset', 0, 0, 0x7fffffff);
    this.keepHeader = reader.flag('keepHeader', false);
    this.maxFrameLength = reader.maxFrameLength();
    this.largest = this.maxBytes < 8 ? 2 ** (7 * this.maxBytes) - 1 : Number.MAX_SAFE_INTEGER;
  }

  decode(input: Input): Uint8Array | undefined {
    let at = this.offset;
    // Byte by byte: the first that is wrong is told when it comes, and a length cut in two is not malformed.
    if (!input.has(at + 1)) return undefined;
    let length = input.u8(at++);
    if (length > 0x7f) {
      let byte = length;
      length &= 0x7f;
      for (let size = 1; byte > 0x7f; size++) {
        if (size === this.maxBytes) throw badVarint(`a length has at most ${size} bytes`, input.offset + at - 1);
        if (!input.has(at + 1)) return undefined;
        byte = input.u8(at++);
        length += size < SHIFTED_BYTES ? (byte & 0x7f) << (7 * size) : (byte & 0x7f) * 2 ** (7 * size);
      }
      if (byte === 0 && this.canonical) throw badVarint('the length has a byte too many', input.offset + at - 1);
      if (length > Number.MAX_SAFE_INTEGER) throw new FramingError('BAD_LENGTH', 'the length is above 2^53-1');
    }
    if (length > this.maxFrameLength) throw tooLong(length, this.maxFrameLength);
    if (!input.has(at + length)) return undefined;
    if (this.keepHeader) return input.take(at + length);
    input.skip(at);
    return input.take(length);
  }

  encode(message: BytesLike, output: Output): void {
    const bytes = payloadOf(message);
    if (this.keepHeader) {
      this.checkHeader(bytes);
      output.bytes(bytes);
      return;
    }
    const { length } = bytes;
    this.checkLength(length);
    for (let i = 0; i < this.offset; i++) output.u8(0);
    let rest = length;
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) output.u8((rest % 128) | 0x80);
    output.u8(rest).bytes(bytes);
  }

  private checkLength(length: number): void {
    if (length > this.maxFrameLength) throw tooLong(length, this.maxFrameLength);
    if (length > this.largest) {
      throw new FramingError('FRAME_TOO_LONG', `${this.maxBytes} bytes of length hold ${this.largest}, got ${length}`);
    }
  }

  /** A message that brings its header along must be one frame. */
  private checkHeader(bytes: Uint8Array): void {
    let length = 0;
    let at = this.offset;
    for (let size = 0; ; size++) {
      const byte = bytes[at++];
      if (byte === undefined) throw new FramingError('BAD_LENGTH', 'the message ends inside its header');
      length += (byte & 0x7f) * 2 ** (7 * size);
      if (byte < 0x80) {
        if (byte === 0 && size > 0 && this.canonical) throw badVarint('the length has a byte too many');
        break;
      }
      if (size + 1 === this.maxBytes) throw badVarint(`a length has at most ${this.maxBytes} bytes`);
    }
    this.checkLength(bytes.length - at);
    if (length !== bytes.length - at) {
      throw new FramingError('BAD_LENGTH', `the header tells a length of ${length}, got ${bytes.length - at} bytes`);
    }
  }
}

function badVarint(message: string, offset?: number): FramingError {
  return new FramingError('BAD_VARINT', message, offset === undefined ? {} : { offset });
}

/**
 * Frames that begin with their length in base 128, the lowest 7 bits first, the eighth bit set in all bytes but the
 * last: protobuf's delimited messages, libp2p, MQTT (`{ offset: 1, maxBytes: 4, keepHeader: true }`). Messages are bytes.
 *
 * A length of more than `maxBytes` bytes is `BAD_VARINT`, one above `maxFrameLength` is `FRAME_TOO_LONG`, before any of
 * the payload has come. What is encoded is canonical. Without `keepHeader` the bytes before the length are dropped, and
 * encoded as zeros; with it the message must bring along a header that tells its length, otherwise `BAD_LENGTH`.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function varint(options: VarintOptions = {}): Codec<Uint8Array, BytesLike> {
  return new VarintCodec(new OptionReader('varint', options, OPTIONS));
}
