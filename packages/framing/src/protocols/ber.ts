import { isBytes } from '../bytes.js';
import type { Codec, Input, Output } from '../codec.js';
import { OptionReader, tooLong } from '../codecs/options.js';
import { FramingError, shown, wrongType } from '../errors.js';
import { fault } from './fault.js';
import { writeRaw } from './raw.js';

/** One element of ASN.1's basic encoding. X.690 8.1 */
export interface BerElement {
  /** 0 universal, 1 application, 2 context-specific, 3 private. */
  tagClass: number;
  /** Whether the value consists of elements. */
  constructed: boolean;
  tag: number;
  value: Uint8Array;
}

/** Options of {@link ber}. */
export interface BerOptions {
  /** `true`: messages are the bytes of whole elements, header included. */
  raw?: boolean | undefined;
  /** Most bytes of a value. Default 16 MiB. */
  maxFrameLength?: number | undefined;
}

const LONG_TAG = 31;
/** Four groups of seven bits: more than anybody has assigned. */
const MOST_TAG_BYTES = 4;
const MOST_LENGTH_BYTES = 8;

class BerCodec implements Codec<BerElement | Uint8Array> {
  private readonly raw: boolean;
  private readonly maxFrameLength: number;

  constructor(options: BerOptions) {
    const reader = new OptionReader('ber', options, ['raw', 'maxFrameLength']);
    this.raw = reader.flag('raw', false);
    this.maxFrameLength = reader.maxFrameLength();
  }

  decode(input: Input): BerElement | Uint8Array | undefined {
    const first = input.u8(0);
    let tag = first & LONG_TAG;
    let at = 1;
    if (tag === LONG_TAG) {
      for (tag = 0; ; at++) {
        if (!input.has(at + 1)) return undefined;
        const byte = input.u8(at);
        // 8.1.2.4.2 c: the first of them is not all zeros.
        if (at === 1 && byte === 0x80) throw fault(input, at, 'BAD_VARINT', 'a tag in more bytes than it needs');
        if (at > MOST_TAG_BYTES) throw fault(input, at, 'BAD_VARINT', `a tag of more than ${MOST_TAG_BYTES} bytes`);
        tag = tag * 128 + (byte & 0x7f);
        if (byte < 0x80) break;
      }
      // 8.1.2.2, 8.1.2.4: up to 30 it stands in the first byte.
      if (tag < LONG_TAG) throw fault(input, at, 'BAD_VARINT', 'a tag in more bytes than it needs');
      at++;
    }
    if (!input.has(at + 1)) return undefined;
    let length = input.u8(at++);
    if (length > 0x7f) {
      const size = length & 0x7f;
      // 0: the indefinite form, whose end only a parser of all that is inside finds. 127 is reserved (8.1.3.5).
      if (size === 0) throw fault(input, at - 1, 'BAD_LENGTH', 'the indefinite length is not taken');
      if (size > MOST_LENGTH_BYTES) throw fault(input, at - 1, 'BAD_LENGTH', `a length of ${size} bytes`);
      if (!input.has(at + size)) return undefined;
      length = 0;
      for (const end = at + size; at < end; at++) length = length * 256 + input.u8(at);
      if (length > Number.MAX_SAFE_INTEGER) throw fault(input, at - size, 'BAD_LENGTH', 'a length above 2^53-1');
    }
    if (length > this.maxFrameLength) throw tooLong(length, this.maxFrameLength);
    if (!input.has(at + length)) return undefined;
    if (this.raw) return input.take(at + length);
    input.skip(at);
    return { tagClass: first >> 6, constructed: (first & 0x20) !== 0, tag, value: input.take(length) };
  }

  encode(message: BerElement | Uint8Array, output: Output): void {
    if (this.raw) {
      writeRaw(this, message, 'element', output);
      return;
    }
    const { tagClass, constructed, tag, value } = message as BerElement;
    if (!isBytes(value)) throw wrongType('ERR_FRAMING_MESSAGE', `value must be a Uint8Array, got ${shown(value)}`);
    if (![0, 1, 2, 3].includes(tagClass) || !(Number.isInteger(tag) && tag >= 0 && tag < 2 ** (7 * MOST_TAG_BYTES))) {
      throw new FramingError('BAD_VALUE', `tagClass is 0 to 3, tag 0 to 2^28-1, got ${shown(tagClass)}, ${shown(tag)}`);
    }
    if (value.length > this.maxFrameLength) throw tooLong(value.length, this.maxFrameLength);
    const bits = (tagClass << 6) | (constructed ? 0x20 : 0);
    output.u8(bits | Math.min(tag, LONG_TAG));
    if (tag >= LONG_TAG) {
      for (let shift = 21; shift > 0; shift -= 7) if (tag >> shift > 0) output.u8(0x80 | ((tag >> shift) & 0x7f));
      output.u8(tag & 0x7f);
    }
    writeLength(value.length, output);
    output.bytes(value);
  }
}

/** In as few bytes as it needs, as the distinguished encoding wants it (10.1). */
function writeLength(length: number, output: Output): void {
  if (length < 0x80) output.u8(length);
  else if (length < 0x100) output.u8(0x81).u8(length);
  else if (length < 0x10000) output.u8(0x82).u16(length);
  else if (length < 0x1000000) output.u8(0x83).u24(length);
  else output.u8(0x84).u32(length);
}

/**
 * Elements of ASN.1 in the basic encoding rules, BER and with it DER (X.690 8.1): what LDAP and SNMP consist of. Only
 * the outermost is taken apart; `decodeAll(ber(), element.value)` takes apart a constructed one. The indefinite length is
 * `BAD_LENGTH`.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function ber(options: BerOptions & { raw: true }): Codec<Uint8Array>;
export function ber(options?: BerOptions): Codec<BerElement>;
export function ber(options: BerOptions = {}): Codec<never> {
  return new BerCodec(options) as unknown as Codec<never>;
}
