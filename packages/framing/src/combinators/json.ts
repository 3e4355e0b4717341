import type { Codec } from '../codec.js';
import { FramingError } from '../errors.js';
import { mapped } from './mapped.js';
import { bytesOf, textOf } from './text.js';

/**
 * The frames of `codec` as JSON: `json(lines())` is newline-delimited JSON.
 *
 * What is no JSON, and what has none (`undefined`, a function, a bigint, a cycle), is `BAD_VALUE`, with the engine's
 * error as its cause; bytes that are not UTF-8 are `BAD_UTF8`. Nothing is checked beyond that: `T` is a promise of yours.
 *
 * @throws `TypeError` `ERR_FRAMING_CODEC`
 */
export function json<T = unknown>(codec: Codec<Uint8Array, Uint8Array>): Codec<T> {
  return mapped<Uint8Array, Uint8Array, T>(codec, parse<T>, format);
}

function parse<T>(frame: Uint8Array): T {
  const text = textOf(frame, 'utf8');
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new FramingError('BAD_VALUE', `the frame is no JSON: ${(cause as Error).message}`, { cause });
  }
}

function format(message: unknown): Uint8Array {
  let text: string | undefined;
  try {
    text = JSON.stringify(message);
  } catch (cause) {
    throw new FramingError('BAD_VALUE', `the message has no JSON: ${(cause as Error).message}`, { cause });
  }
  if (text === undefined) throw new FramingError('BAD_VALUE', `a message of type ${typeof message} has no JSON`);
  return bytesOf(text, 'utf8');
}
