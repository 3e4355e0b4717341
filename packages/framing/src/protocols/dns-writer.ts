import { isBytes, zeros } from '../bytes.js';
import { FramingError, shown } from '../errors.js';
import { labelsOf } from './dns-name.js';
import { latin1Bytes } from './text.js';

/** A message has a length of 16 bits over TCP (RFC 1035 4.2.2), and a datagram no more. */
const LARGEST = 65_535;
/** Pointers have 14 bits. */
const LAST_TARGET = 0x3fff;

/** Where a message is put together: names that were written are pointed to. */
export class DnsWriter {
  private bytes = zeros(512);
  private length = 0;
  /** Where each name and each end of a name stands, by its labels. */
  private readonly names = new Map<string, number>();

  u8(value: number, what: string): void {
    this.put(value, 1, what);
  }

  u16(value: number, what: string): void {
    this.put(value, 2, what);
  }

  u32(value: number, what: string): void {
    this.put(value, 4, what);
  }

  raw(bytes: Uint8Array): void {
    if (!isBytes(bytes)) throw new FramingError('BAD_VALUE', `a Uint8Array is wanted, got ${shown(bytes)}`);
    const at = this.room(bytes.length);
    this.bytes.set(bytes, at);
  }

  /** A string of at most 255 bytes behind its length. Text is ASCII. */
  counted(value: Uint8Array | string, what: string): void {
    if (typeof value === 'string' && /[^\x20-\x7e]/.test(value)) {
      throw new FramingError('BAD_VALUE', `${what} is printable ASCII, got ${shown(value)}`);
    }
    const bytes = typeof value === 'string' ? latin1Bytes(value) : value;
    if (!isBytes(bytes)) throw new FramingError('BAD_VALUE', `${what} wants a Uint8Array, got ${shown(value)}`);
    this.u8(bytes.length, `the length of ${what}`);
    this.raw(bytes);
  }

  /** RFC 1035 4.1.4: as much of the end of the name as stands somewhere already is a pointer to it, if `compress`. */
  name(name: string, compress: boolean): void {
    const labels = labelsOf(name);
    for (let i = 0; i < labels.length; i++) {
      // Of another case it would come back in another case.
      const rest = labels.slice(i).join('.');
      const known = compress ? this.names.get(rest) : undefined;
      if (known !== undefined) {
        this.u16(0xc000 | known, 'a pointer');
        return;
      }
      if (this.length <= LAST_TARGET && !this.names.has(rest)) this.names.set(rest, this.length);
      this.u8(labels[i]!.length, 'a label');
      this.raw(labels[i]!);
    }
    this.u8(0, 'the root');
  }

  /** Writes what `write` writes behind its length in two bytes. */
  sized(write: () => void): void {
    const at = this.room(2);
    write();
    const size = this.length - at - 2;
    this.bytes[at] = size >> 8;
    this.bytes[at + 1] = size;
  }

  /** The message. The writer is not to be used any more. */
  finish(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  private put(value: number, size: number, what: string): void {
    if (!(Number.isInteger(value) && value >= 0 && value < 256 ** size)) {
      throw new FramingError('BAD_VALUE', `${what} is an integer below 2^${8 * size}, got ${shown(value)}`);
    }
    const at = this.room(size);
    for (let i = 0; i < size; i++) this.bytes[at + i] = value >>> (8 * (size - 1 - i));
  }

  private room(n: number): number {
    const at = this.length;
    this.length = at + n;
    if (this.length > LARGEST) throw new FramingError('FRAME_TOO_LONG', `a message has at most ${LARGEST} bytes`);
    if (this.length > this.bytes.length) {
      const larger = zeros(Math.max(2 * this.bytes.length, this.length));
      larger.set(this.bytes);
      this.bytes = larger;
    }
    return at;
  }
}
