import { SPACE, ZERO } from '../ascii.js';
import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { FramingError } from '../errors.js';
import { badDigit, readDecimal, writeDecimal } from './decimal.js';
import { type LimitOptions, OptionReader, payloadOf, tooLong } from './options.js';

class OctetCountCodec implements Codec<Uint8Array, BytesLike> {
  private readonly maxFrameLength: number;

  constructor(maxFrameLength: number) {
    this.maxFrameLength = maxFrameLength;
  }

  decode(input: Input): Uint8Array | undefined {
    // MSG-LEN = NONZERO-DIGIT *DIGIT
    if (input.u8(0) === ZERO) throw badDigit(input, 0);
    const length = readDecimal(input, SPACE, this.maxFrameLength);
    if (length < 0 || !input.has(length)) return undefined;
    return input.take(length);
  }

  encode(message: BytesLike, output: Output): void {
    const payload = payloadOf(message);
    if (payload.length === 0) throw new FramingError('BAD_LENGTH', 'a message must have a byte: its count cannot be 0');
    if (payload.length > this.maxFrameLength) throw tooLong(payload.length, this.maxFrameLength);
    writeDecimal(output, payload.length);
    output.u8(SPACE).bytes(payload);
  }
}

/**
 * Octet counting: `11 <34>1 hello`, the framing of syslog over TCP and TLS (RFC 6587 3.4.1, RFC 5425). Messages are
 * bytes, one at least.
 *
 * A count that begins with 0, or holds anything but digits, is `BAD_DIGIT`; one above `maxFrameLength` is
 * `FRAME_TOO_LONG` from its first digit too many on. An empty payload cannot be encoded: `BAD_LENGTH`.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function octetCount(options: LimitOptions = {}): Codec<Uint8Array, BytesLike> {
  return new OctetCountCodec(new OptionReader('octetCount', options, ['maxFrameLength']).maxFrameLength());
}
