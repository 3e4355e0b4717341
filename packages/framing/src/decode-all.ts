import { concat } from './bytes.js';
import type { Codec, Decoder, Encoder } from './codec.js';
import { checkDecoder, checkEncoder, Framed, type FramedOptions } from './framed.js';
import { OutputQueue } from './output.js';

/**
 * All messages of a complete stream. Recoverable errors go to `options.onError`.
 *
 * @throws what {@link Framed} throws: the messages before the error are lost then
 */
export function decodeAll<I>(codec: Decoder<I>, bytes: Uint8Array, options: FramedOptions = {}): I[] {
  checkDecoder(codec);
  const messages: I[] = [];
  const framer = new Framed(codec as Codec<I, never>, (message) => messages.push(message), options);
  framer.push(bytes);
  framer.end();
  return messages;
}

/**
 * The stream that `messages` make, in one piece.
 *
 * @throws {@link FramingError} of the first message that cannot be encoded
 */
export function encodeAll<O>(codec: Encoder<O>, messages: Iterable<O>): Uint8Array {
  checkEncoder(codec);
  const output = new OutputQueue();
  for (const message of messages) output.encode(codec, message);
  return concat(output.takeAll());
}
