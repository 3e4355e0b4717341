import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { Needles } from '../needles.js';
import {
  containsDelimiter,
  DELIMITED_OPTIONS,
  DelimitedCodec,
  type DelimitedOptions,
  delimitedSettings,
} from './delimited.js';
import { OptionReader } from './options.js';

/** Options of {@link delimiter}. `final` defaults to `'error'`. */
export interface DelimiterOptions extends DelimitedOptions {
  /**
   * What ends a frame: bytes, or text in UTF-8; one or several. The first is the one that is written. Of several the one
   * that is complete first ends the frame, and of those complete together the longest.
   */
  delimiters: BytesLike | readonly BytesLike[];
}

class DelimiterCodec extends DelimitedCodec<Uint8Array> {
  private readonly needles: Needles;
  /** The one delimiter, where it is a single byte: that search is the fastest. */
  private readonly byte: number;
  private readonly written: Uint8Array;

  constructor(reader: OptionReader) {
    super(delimitedSettings(reader, 'error'));
    const delimiters = reader.byteStrings('delimiters');
    this.needles = new Needles(delimiters);
    this.written = delimiters[0]!;
    this.byte = this.needles.longest === 1 ? this.needles.lastByte : -1;
  }

  protected find(input: Input): number {
    const at = input.indexOf(this.byte >= 0 ? this.byte : this.needles);
    this.delimiterSize = input.matched;
    return at;
  }

  protected pendingAtEnd(input: Input): number {
    return this.byte >= 0 ? 0 : this.needles.pendingAtEnd(input.length, (at) => input.u8(at));
  }

  protected checkPayload(payload: Uint8Array, message: Uint8Array): void {
    const { needles } = this;
    const ending = message.length > payload.length ? message.subarray(payload.length) : this.written;
    const inside = needles.search(payload, 0, 0, payload.length);
    if (inside >= 0) throw containsDelimiter(inside);
    if (needles.longest === 1) return;
    // A delimiter may also begin in the payload and end in the one behind it: "a" before "aa" splits "aa" + "a".
    const border = payload.subarray(Math.max(0, payload.length - needles.longest + 1));
    const joined = new Uint8Array(border.length + ending.length);
    joined.set(border);
    joined.set(ending, border.length);
    const at = needles.search(joined, 0, 0, joined.length);
    if (at !== border.length || needles.matched !== ending.length) {
      throw containsDelimiter(payload.length - border.length + at);
    }
  }

  protected checkFrame(): void {}

  protected take(input: Input, n: number): Uint8Array {
    return input.take(n);
  }

  protected delimiterAtEnd(message: Uint8Array): number {
    return message.length === 0 ? 0 : this.needles.matchEndingAt(message, message.length - 1, 0);
  }

  protected writeDelimiter(output: Output): void {
    output.bytes(this.written);
  }
}

/**
 * Frames that end with a delimiter of one byte or more. Messages are bytes.
 *
 * Encoding a payload that contains a delimiter, or would form one together with the one that follows, throws
 * `BAD_DELIMITER`. With `strip: false` a message that ends with a delimiter is written as it is.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function delimiter(options: DelimiterOptions): Codec<Uint8Array, BytesLike> {
  return new DelimiterCodec(new OptionReader('delimiter', options, ['delimiters', ...DELIMITED_OPTIONS]));
}
