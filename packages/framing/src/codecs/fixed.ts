import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { FramingError } from '../errors.js';
import { OptionReader, payloadOf } from './options.js';

/** Options of {@link fixed}. */
export interface FixedOptions {
  /** Bytes per frame, 1 or more. */
  length: number;
}

class FixedCodec implements Codec<Uint8Array, BytesLike> {
  private readonly length: number;

  constructor(length: number) {
    this.length = length;
  }

  decode(input: Input): Uint8Array | undefined {
    return input.has(this.length) ? input.take(this.length) : undefined;
  }

  encode(message: BytesLike, output: Output): void {
    const payload = payloadOf(message);
    if (payload.length !== this.length) {
      throw new FramingError('BAD_LENGTH', `a frame has ${this.length} bytes, got a payload of ${payload.length}`);
    }
    output.bytes(payload);
  }
}

/**
 * Frames of one fixed length, nothing around them. Messages are bytes.
 *
 * Encoding a payload of another length throws `BAD_LENGTH`. A rest at the end of the stream is `UNEXPECTED_EOF`.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function fixed(options: FixedOptions): Codec<Uint8Array, BytesLike> {
  return new FixedCodec(new OptionReader('fixed', options, ['length']).integer('length', undefined, 1, 0x7fffffff));
}
