import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { bytesOf } from '../combinators/text.js';
import { FramingError } from '../errors.js';
import { AnyLinesCodec, LINES_OPTIONS, type LinesOptions } from './lines.js';
import { OptionReader } from './options.js';

/** `text(lines(options))`, without making bytes of each line first. */
class Utf8LinesCodec extends AnyLinesCodec<string> {
  protected take(input: Input, n: number): string {
    const text = input.text(n);
    if (text === undefined) {
      throw new FramingError('BAD_UTF8', 'the line is not valid UTF-8', { offset: input.offset });
    }
    return text;
  }

  override encode(message: BytesLike, output: Output): void {
    super.encode(bytesOf(message as string, 'utf8'), output);
  }
}

/**
 * Lines as strings: {@link lines}, each decoded from UTF-8 once it is complete, so that no character is cut. A line that
 * is not UTF-8 is `BAD_UTF8`. Lengths count bytes.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function utf8Lines(options: LinesOptions = {}): Codec<string> {
  return new Utf8LinesCodec(new OptionReader('utf8Lines', options, LINES_OPTIONS));
}
