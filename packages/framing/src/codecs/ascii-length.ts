import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { FramingError } from '../errors.js';
import { digitAt, writeDecimal } from './decimal.js';
import { OptionReader, payloadOf, tooLong } from './options.js';

/** Options of {@link asciiLength}. */
export interface AsciiLengthOptions {
  /** How many digits each length has, 1 to 15, with zeros in front. */
  digits: number;
  /** Most bytes of payload: checked as soon as the length is there. Default 16 MiB. */
  maxFrameLength?: number | undefined;
}

class AsciiLengthCodec implements Codec<Uint8Array, BytesLike> {
  private readonly digits: number;
  private readonly maxFrameLength: number;

  constructor(reader: OptionReader) {
    this.digits = reader.integer('digits', undefined, 1, 15);
    this.maxFrameLength = reader.maxFrameLength();
  }

  decode(input: Input): Uint8Array | undefined {
    const { digits } = this;
    let length = 0;
    for (let at = 0; at < digits; at++) {
      // One by one: a wrong character is told when it comes.
      if (!input.has(at + 1)) return undefined;
      length = length * 10 + digitAt(input, at);
    }
    if (length > this.maxFrameLength) throw tooLong(length, this.maxFrameLength);
    if (!input.has(digits + length)) return undefined;
    input.skip(digits);
    return input.take(length);
  }

  encode(message: BytesLike, output: Output): void {
    const payload = payloadOf(message);
    const { length } = payload;
    if (length > this.maxFrameLength) throw tooLong(length, this.maxFrameLength);
    if (length >= 10 ** this.digits) {
      throw new FramingError('FRAME_TOO_LONG', `${this.digits} digits cannot tell a length of ${length}`);
    }
    writeDecimal(output, length, this.digits);
    output.bytes(payload);
  }
}

/**
 * Frames that begin with their length in so many ASCII digits: `00005hello`. Messages are bytes.
 *
 * Anything but a digit in the length is `BAD_DIGIT`, no matter what Number() would make of it. The encoder refuses a
 * payload whose length the digits cannot tell with `FRAME_TOO_LONG`.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function asciiLength(options: AsciiLengthOptions): Codec<Uint8Array, BytesLike> {
  return new AsciiLengthCodec(new OptionReader('asciiLength', options, ['digits', 'maxFrameLength']));
}
