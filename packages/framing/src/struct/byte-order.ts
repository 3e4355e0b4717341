import { FramingError, shown } from '../errors.js';

/** Whether this machine is little-endian. */
export const HOST_LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** A 16-bit integer from the byte order of this machine to that of the network (byteorder(3)). `BAD_VALUE` if it is none. */
export function htons(value: number): number {
  return swap16(value, 'htons');
}

/** A 32-bit integer from the byte order of this machine to that of the network. `BAD_VALUE` if it is none. */
export function htonl(value: number): number {
  return swap32(value, 'htonl');
}

/** A 16-bit integer from the byte order of the network to that of this machine. */
export function ntohs(value: number): number {
  return swap16(value, 'ntohs');
}

/** A 32-bit integer from the byte order of the network to that of this machine. */
export function ntohl(value: number): number {
  return swap32(value, 'ntohl');
}

function swap16(value: number, name: string): number {
  if (value >>> 0 !== value || value > 0xffff) throw outOfRange(name, 16, value);
  return HOST_LITTLE ? ((value & 0xff) << 8) | (value >>> 8) : value;
}

function swap32(value: number, name: string): number {
  if (value >>> 0 !== value) throw outOfRange(name, 32, value);
  if (!HOST_LITTLE) return value;
  return ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}

function outOfRange(name: string, bits: number, value: unknown): FramingError {
  return new FramingError('BAD_VALUE', `${name} wants an integer from 0 to 2^${bits} - 1, got ${shown(value)}`);
}
