import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { type LimitOptions, OptionReader, payloadOf, tooLong } from './options.js';

class UntilCloseCodec implements Codec<Uint8Array, BytesLike> {
  private readonly maxFrameLength: number;

  constructor(maxFrameLength: number) {
    this.maxFrameLength = maxFrameLength;
  }

  decode(input: Input): undefined {
    if (input.length > this.maxFrameLength) throw tooLong(this.maxFrameLength + 1, this.maxFrameLength);
  }

  end(input: Input): Uint8Array {
    return input.take(input.length);
  }

  encode(message: BytesLike, output: Output): void {
    const payload = payloadOf(message);
    if (payload.length > this.maxFrameLength) throw tooLong(payload.length, this.maxFrameLength);
    output.bytes(payload);
  }
}

/**
 * One message: all bytes up to the end of the stream, which may be none. Whoever sends more than one message sends one
 * that is longer; end the connection behind it.
 *
 * More bytes than `maxFrameLength` are `FRAME_TOO_LONG`. For what is too large to be held, use {@link inParts}.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function untilClose(options: LimitOptions = {}): Codec<Uint8Array, BytesLike> {
  return new UntilCloseCodec(new OptionReader('untilClose', options, ['maxFrameLength']).maxFrameLength());
}
