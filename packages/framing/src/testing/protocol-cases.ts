/** What the tests of the protocols say in one word. */
import { type Codec, type Decoder, decodeAll, type Encoder, encodeAll, Framed, type FramingError } from '../index.js';

export const bytes = (text: string) => Buffer.from(text, 'latin1');
export const text = <O>(codec: Encoder<O>, ...messages: O[]) =>
  Buffer.from(encodeAll(codec, messages)).toString('latin1');
export const one = <I>(codec: Decoder<I>, stream: string): I => decodeAll(codec, bytes(stream))[0]!;

/** Code of what decoding fails with; the end of the stream is not told. */
export function fault(codec: Decoder<unknown>, stream: string | Uint8Array): string | undefined {
  const framer = new Framed(codec as Codec<unknown, never>, () => {});
  try {
    framer.push(typeof stream === 'string' ? bytes(stream) : stream);
  } catch (error) {
    return (error as FramingError).code;
  }
  return undefined;
}

export function refusal<O>(codec: Encoder<O>, message: unknown): string | undefined {
  try {
    encodeAll(codec, [message as O]);
  } catch (error) {
    return (error as FramingError).code;
  }
  return undefined;
}
