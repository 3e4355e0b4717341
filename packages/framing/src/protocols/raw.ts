import { isBytes } from '../bytes.js';
import type { Decoder, Output } from '../codec.js';
import { decodeAll } from '../decode-all.js';
import { FramingError, shown, wrongType } from '../errors.js';

/** With `raw: true`: writes the bytes of a whole message, which `decoder`, raw itself, must find to be just that. */
export function writeRaw(decoder: Decoder<unknown>, message: unknown, what: string, output: Output): void {
  if (!isBytes(message)) throw wrongType('ERR_FRAMING_MESSAGE', `raw messages are bytes, got ${shown(message)}`);
  if (decodeAll(decoder, message).length !== 1) throw new FramingError('BAD_VALUE', `these bytes are not one ${what}`);
  output.bytes(message);
}
