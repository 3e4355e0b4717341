import { utf8Bytes, utf8Text } from '../bytes.js';
import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { FramingError, shown, wrongType } from '../errors.js';
import { type LinesOptions, lines } from './lines.js';

class Utf8LinesCodec implements Codec<string> {
  private readonly lines: Codec<Uint8Array, BytesLike>;

  constructor(options: LinesOptions) {
    this.lines = lines(options);
  }

  decode(input: Input): string | undefined {
    const { offset } = input;
    const line = this.lines.decode(input);
    return line === undefined ? undefined : textOf(line, offset);
  }

  end(input: Input): string | undefined {
    const { offset } = input;
    const line = this.lines.end!(input);
    return line === undefined ? undefined : textOf(line, offset);
  }

  encode(message: string, output: Output): void {
    if (typeof message !== 'string') {
      throw wrongType('ERR_FRAMING_MESSAGE', `a message must be a string, got ${shown(message)}`);
    }
    // The transcoder would put U+FFFD in their place without a word.
    if (LONE_SURROGATE.test(message)) throw new FramingError('BAD_UTF8', 'the text contains a lone surrogate');
    this.lines.encode(utf8Bytes(message), output);
  }
}

const LONE_SURROGATE = /\p{Surrogate}/u;

function textOf(line: Uint8Array, offset: number): string {
  const text = utf8Text(line);
  if (text === undefined) throw new FramingError('BAD_UTF8', 'the line is not valid UTF-8', { offset });
  return text;
}

/**
 * Lines as strings: {@link lines}, each decoded from UTF-8 once it is complete, so that no character is cut. A line that
 * is not UTF-8 is `BAD_UTF8`. Lengths count bytes.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function utf8Lines(options: LinesOptions = {}): Codec<string> {
  return new Utf8LinesCodec(options);
}
