import { newBytes, utf8Bytes, utf8Text } from '../bytes.js';
import type { Codec, Input, Output } from '../codec.js';
import { OptionReader } from '../codecs/options.js';
import { FramingError, shown, wrongType } from '../errors.js';
import { checkBothWays } from '../framed.js';

/** How {@link text} reads bytes: each is strict. */
export type TextEncoding = 'utf8' | 'latin1' | 'ascii';

const LONE_SURROGATE = /\p{Surrogate}/u;
/** `String.fromCharCode` takes as many arguments as the stack has room for. */
const CHARACTERS_AT_ONCE = 4096;

/** The text of `bytes`. Throws `BAD_UTF8`, or `BAD_VALUE` if a byte is not ASCII. */
export function textOf(bytes: Uint8Array, encoding: TextEncoding, offset?: number): string {
  const info = offset === undefined ? {} : { offset };
  if (encoding === 'utf8') {
    const text = utf8Text(bytes);
    if (text === undefined) throw new FramingError('BAD_UTF8', 'the text is not valid UTF-8', info);
    return text;
  }
  if (encoding === 'ascii' && bytes.some((byte) => byte > 0x7f)) {
    throw new FramingError('BAD_VALUE', 'the text is not ASCII', info);
  }
  let text = '';
  for (let at = 0; at < bytes.length; at += CHARACTERS_AT_ONCE) {
    text += String.fromCharCode(...bytes.subarray(at, at + CHARACTERS_AT_ONCE));
  }
  return text;
}

/** The bytes of `text`. Throws `BAD_UTF8` for a lone surrogate, `BAD_VALUE` for characters that the encoding lacks. */
export function bytesOf(text: string, encoding: TextEncoding): Uint8Array {
  if (typeof text !== 'string') {
    throw wrongType('ERR_FRAMING_MESSAGE', `a message must be a string, got ${shown(text)}`);
  }
  if (encoding === 'utf8') {
    // The transcoder would put U+FFFD in their place without a word.
    if (LONE_SURROGATE.test(text)) throw new FramingError('BAD_UTF8', 'the text contains a lone surrogate');
    return utf8Bytes(text);
  }
  const most = encoding === 'ascii' ? 0x7f : 0xff;
  const bytes = newBytes(text.length);
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character > most) throw new FramingError('BAD_VALUE', `${encoding} has no character ${shown(text[at])}`);
    bytes[at] = character;
  }
  return bytes;
}

class TextCodec implements Codec<string> {
  private readonly codec: Codec<Uint8Array, Uint8Array>;
  private readonly encoding: TextEncoding;

  constructor(codec: Codec<Uint8Array, Uint8Array>, encoding: TextEncoding) {
    this.codec = codec;
    this.encoding = encoding;
  }

  decode(input: Input): string | undefined {
    const { offset } = input;
    const frame = this.codec.decode(input);
    return frame === undefined ? undefined : textOf(frame, this.encoding, offset);
  }

  end(input: Input): string | undefined {
    const { offset } = input;
    const frame = this.codec.end?.(input);
    return frame === undefined ? undefined : textOf(frame, this.encoding, offset);
  }

  encode(message: string, output: Output): void {
    this.codec.encode(bytesOf(message, this.encoding), output);
  }
}

/**
 * The frames of `codec` as strings, each decoded when it is complete, so that no character is cut: no byte is replaced.
 *
 * Bytes that are not UTF-8, and strings with lone surrogates, are `BAD_UTF8`; what is not in `'ascii'` or `'latin1'` is
 * `BAD_VALUE`. A byte-order mark is kept as the character that it is. Limits count bytes.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_CODEC`, `ERR_FRAMING_OPTION`
 */
export function text(codec: Codec<Uint8Array, Uint8Array>, encoding: TextEncoding = 'utf8'): Codec<string> {
  checkBothWays(codec);
  const options = new OptionReader('text', { encoding }, ['encoding']);
  return new TextCodec(codec, options.choice('encoding', 'utf8', ['utf8', 'latin1', 'ascii']));
}
