import type { Codec } from '../codec.js';
import { text } from '../combinators/text.js';
import { type LinesOptions, lines } from './lines.js';

/**
 * Lines as strings: {@link lines}, each decoded from UTF-8 once it is complete, so that no character is cut. A line that
 * is not UTF-8 is `BAD_UTF8`. Lengths count bytes.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function utf8Lines(options: LinesOptions = {}): Codec<string> {
  return text(lines(options));
}
