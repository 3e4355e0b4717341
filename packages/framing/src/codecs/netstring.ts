import { COLON, COMMA } from '../ascii.js';
import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { FramingError } from '../errors.js';
import { readDecimal, writeDecimal } from './decimal.js';
import { type LimitOptions, OptionReader, payloadOf, tooLong } from './options.js';

class NetstringCodec implements Codec<Uint8Array, BytesLike> {
  private readonly maxFrameLength: number;

  constructor(maxFrameLength: number) {
    this.maxFrameLength = maxFrameLength;
  }

  decode(input: Input): Uint8Array | undefined {
    const length = readDecimal(input, COLON, this.maxFrameLength);
    if (length < 0 || !input.has(length + 1)) return undefined;
    if (input.u8(length) !== COMMA) {
      throw new FramingError('BAD_TRAILER', 'a netstring must end with a comma', { offset: input.offset + length });
    }
    const frame = input.take(length);
    input.skip(1);
    return frame;
  }

  encode(message: BytesLike, output: Output): void {
    const payload = payloadOf(message);
    if (payload.length > this.maxFrameLength) throw tooLong(payload.length, this.maxFrameLength);
    writeDecimal(output, payload.length);
    output.u8(COLON).bytes(payload).u8(COMMA);
  }
}

/**
 * Netstrings: `5:hello,` (cr.yp.to/proto/netstrings.txt). Messages are bytes, of any value.
 *
 * A length with a leading zero is `BAD_LENGTH`, other characters in it are `BAD_DIGIT`, something else than the comma
 * is `BAD_TRAILER`. A length above `maxFrameLength` is `FRAME_TOO_LONG` from its first digit too many on.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function netstring(options: LimitOptions = {}): Codec<Uint8Array, BytesLike> {
  return new NetstringCodec(new OptionReader('netstring', options, ['maxFrameLength']).maxFrameLength());
}
