/** Bytes as hex, for people and for vectors. */

import { isBytes } from './bytes.js';
import { shown, wrongType } from './errors.js';

export function hexOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

export function unhex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text))
    throw wrongType('ERR_FRAMING_OPTION', `a byte string in hex is wanted, got ${shown(text)}`);
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

const LINE_BYTES = 16;

/** Options of {@link hexdump}. */
export interface HexdumpOptions {
  /** The offset of the first byte, where `bytes` is a part of something. Default 0. */
  offset?: number;
  /** Beyond it the dump says how much is left out. Default 4096. */
  maxBytes?: number;
}

/**
 * `bytes` for people, as `hexdump -C` writes them: offset, sixteen bytes, and what of them is printable ASCII. Lines are separated
 * by LF, without one at the end; of no bytes, the empty string.
 *
 * @throws `TypeError` `ERR_FRAMING_CHUNK` if `bytes` is not a `Uint8Array`
 */
export function hexdump(bytes: Uint8Array, options: HexdumpOptions = {}): string {
  if (!isBytes(bytes)) throw wrongType('ERR_FRAMING_CHUNK', `hexdump wants a Uint8Array, got ${shown(bytes)}`);
  const { offset = 0, maxBytes = 4096 } = options;
  const end = Math.min(bytes.length, maxBytes);
  const lines: string[] = [];
  for (let at = 0; at < end; at += LINE_BYTES) {
    let codes = '';
    let text = '';
    for (let i = 0; i < LINE_BYTES; i += 1) {
      const byte = at + i < end ? (bytes[at + i] as number) : -1;
      codes += `${i === LINE_BYTES / 2 ? ' ' : ''} ${byte < 0 ? '  ' : byte.toString(16).padStart(2, '0')}`;
      if (byte >= 0) text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.';
    }
    lines.push(`${(offset + at).toString(16).padStart(8, '0')} ${codes}  |${text}|`);
  }
  if (end < bytes.length) lines.push(`… ${bytes.length - end} bytes more`);
  return lines.join('\n');
}
