import { latin1Slice, zeros } from '../bytes.js';
import { FramingError, shown } from '../errors.js';

const lenient = new TextDecoder('utf-8', { ignoreBOM: true });

/** Text in UTF-8; what is not UTF-8 becomes U+FFFD. For texts that only people read: they must not end a stream. */
export function lenientText(bytes: Uint8Array): string {
  const { length } = bytes;
  if (length > 64) return lenient.decode(bytes);
  // Short texts are ASCII, nearly always: a decoder costs more than they do.
  for (let i = 0; i < length; i++) if (bytes[i]! > 0x7f) return lenient.decode(bytes);
  return latin1Slice(bytes, 0, length);
}

/** Text in Latin-1: each byte is the character with its number. */
export function latin1Text(bytes: Uint8Array): string {
  return latin1Slice(bytes, 0, bytes.length);
}

/** The bytes of text in Latin-1; of a character beyond it the lowest eight bits. */
export function latin1Bytes(text: string): Uint8Array {
  const bytes = zeros(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Text that goes into a line: a control character in it would end the line, or be taken for something else. */
export function checkLine(what: string, text: string): void {
  if (/[\0\r\n]/.test(text)) {
    throw new FramingError('BAD_DELIMITER', `${what} cannot contain NUL, CR or LF, got ${shown(text)}`);
  }
}
