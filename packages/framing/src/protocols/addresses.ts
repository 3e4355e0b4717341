import { FramingError, shown } from '../errors.js';

/** IP addresses as text and as bytes. Text is read strictly, and written as RFC 5952 wants it. */

/** `127.0.0.1` of four bytes at `at`. */
export function ipv4Text(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/** `2001:db8::1` of 16 bytes at `at`: lower case, the longest run of two zero groups or more as `::` (RFC 5952 4). */
export function ipv6Text(bytes: Uint8Array, at: number): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((bytes[at + i]! << 8) | bytes[at + i + 1]!);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${ipv4Text(bytes, at + 12)}`;
  }
  let from = -1;
  let longest = 1;
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > longest) {
      from = i;
      longest = length;
    }
    i += length;
  }
  const text = (list: number[]) => list.map((group) => group.toString(16)).join(':');
  return from < 0 ? text(groups) : `${text(groups.slice(0, from))}::${text(groups.slice(from + longest))}`;
}

/** Four bytes of a dotted address without leading zeros, which some read as octal; `undefined` if it is none. */
export function ipv4Bytes(text: string): number[] | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return parts.map(Number);
}

/** 16 bytes of an address as RFC 4291 2.2 writes it, without a zone; `undefined` if it is none. */
export function ipv6Bytes(text: string): number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [before, behind] = halves.map((half, i) => groupsOf(half, i === halves.length - 1));
  if (before === undefined || (halves.length === 2 && behind === undefined)) return undefined;
  const missing = 16 - before.length - (behind?.length ?? 0);
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  return [...before, ...new Array<number>(missing).fill(0), ...(behind ?? [])];
}

function groupsOf(text: string, last: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [i, group] of groups.entries()) {
    const dotted = last && i === groups.length - 1 ? ipv4Bytes(group) : undefined;
    if (dotted !== undefined) bytes.push(...dotted);
    else if (/^[0-9a-fA-F]{1,4}$/.test(group))
      bytes.push(Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255);
    else return undefined;
  }
  return bytes;
}

/** The bytes of an address that is to be sent. */
export function addressBytes(text: string, family: 4 | 6): number[] {
  const bytes = typeof text === 'string' ? (family === 4 ? ipv4Bytes(text) : ipv6Bytes(text)) : undefined;
  if (bytes !== undefined) return bytes;
  throw new FramingError('BAD_VALUE', `an IPv${family} address is wanted, got ${shown(text)}`);
}
