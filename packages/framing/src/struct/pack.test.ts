import { describe, expect, it } from 'vitest';
import {
  calcsize,
  FramingError,
  htonl,
  htons,
  iterUnpack,
  ntohl,
  ntohs,
  type Packable,
  pack,
  unpack,
} from '../index.js';
import { hex, unhex } from '../testing/rechunk.js';
import { readVectors } from '../testing/vectors.js';

/** Strings of the vectors are Latin-1, `"…n"` is a BigInt. */
function given(value: unknown): Packable {
  if (typeof value !== 'string') return value as Packable;
  return /^-?\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : Uint8Array.from(Buffer.from(value, 'latin1'));
}

const code = (wanted: string) => expect.objectContaining({ code: wanted });
const packedHex = (format: string, ...values: Packable[]) => hex(pack(format, ...values));

describe('every struct vector', () => {
  it.each(readVectors().struct.map((vector) => [vector.name, vector] as const))('%s', (_name, vector) => {
    const { format } = vector.options;
    const values = vector.values.map(given);
    if (vector.error !== undefined) {
      expect(() => pack(format, ...values)).toThrow(code(vector.error));
      return;
    }
    expect(packedHex(format, ...values)).toBe(vector.bytes);
    expect(calcsize(format) * 2).toBe(vector.bytes!.length);
    const plain = (value: unknown) => (value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value);
    const expected = (vector.unpacked ?? vector.values).map((value) => plain(given(value)));
    expect(unpack(format, unhex(vector.bytes!)).map(plain)).toEqual(expected);
  });
});

describe('pack and unpack', () => {
  it('align and pad native formats as C does on a 64-bit Unix, and no others', () => {
    const sizes = {
      '<bI': 5,
      '@bI': 8,
      bI: 8,
      '=bI': 5,
      '@Ib': 5,
      '@Ib0I': 8,
      '@bhilq': 24,
      '@c0d': 8,
      '@n': 8,
      '=l': 4,
    };
    for (const [format, size] of Object.entries(sizes)) expect(calcsize(format), format).toBe(size);
    expect(packedHex('@bI', 1, 2)).toBe('0100000002000000');
  });

  it('give 8-byte integers as bigint, and take numbers for them as long as they are exact', () => {
    expect(unpack('>qQ', pack('>qQ', -1, 2n ** 64n - 1n))).toEqual([-1n, 2n ** 64n - 1n]);
    expect(unpack('@l', pack('@l', 5))).toEqual([5n]);
    expect(unpack('<l', pack('<l', 5n))).toEqual([5]);
    for (const wrong of [2 ** 53, 1.5, 2n ** 63n, '1']) {
      expect(() => pack('>q', wrong), String(wrong)).toThrow(code('BAD_VALUE'));
    }
  });

  it('round half floats to the nearest, ties to even, and refuse what would become infinite', () => {
    const halves: [number, string][] = [
      [1, '3c00'],
      [-0, '8000'],
      [65504, '7bff'],
      [65519.9, '7bff'],
      [2 ** -24, '0001'],
      [2 ** -25, '0000'],
      [2 ** -25 * 1.0001, '0001'],
      [1 + 2 ** -11, '3c00'],
      [1 + 3 * 2 ** -11, '3c02'],
      [2 - 2 ** -52, '4000'],
      [Number.NEGATIVE_INFINITY, 'fc00'],
    ];
    for (const [value, bytes] of halves) expect(packedHex('>e', value), String(value)).toBe(bytes);
    expect(() => pack('>e', 65520)).toThrow(code('BAD_VALUE'));
    expect(() => pack('>f', 1e39)).toThrow(code('BAD_VALUE'));
    expect(unpack('>e', unhex('7e00'))).toEqual([Number.NaN]);
    expect(unpack('>3e', unhex('00018001fbff'))).toEqual([2 ** -24, -(2 ** -24), -65504]);
  });

  it('take text in Latin-1 for bytes, and nothing beyond it', () => {
    expect(packedHex('2s1sc2p', 'ab', '\xff', 'z', 'q')).toBe('6162ff7a0171');
    expect(() => pack('2s', '€')).toThrow(code('BAD_VALUE'));
    expect(() => pack('c', 'ab')).toThrow(code('BAD_VALUE'));
    expect(() => pack('s', 1)).toThrow(code('BAD_VALUE'));
  });

  it('read a Pascal string whose count claims too much only as far as its room goes', () => {
    expect(unpack('3p', unhex('ff6162')).map(hex)).toEqual(['6162']);
    expect(unpack('0p', unhex('')).map(hex)).toEqual(['']);
  });

  it('want exactly as many bytes as the format takes, and iterUnpack a multiple', () => {
    for (const size of [0, 3, 5]) expect(() => unpack('>I', new Uint8Array(size))).toThrow(code('BAD_LENGTH'));
    expect([...iterUnpack('>Hx', unhex('000100000200'))]).toEqual([[1], [2]]);
    expect([...iterUnpack('>H', new Uint8Array(0))]).toEqual([]);
    expect(() => iterUnpack('>H', new Uint8Array(3))).toThrow(code('BAD_LENGTH'));
    expect(() => iterUnpack('', new Uint8Array(0))).toThrow(code('BAD_LENGTH'));
  });

  it('refuse malformed formats, with what is wrong about them', () => {
    for (const wrong of ['3', '3 H', ' <H', '<P', '<n', 'H>', 'z', '99999999999s', '2000000000B', '!3', '-1s']) {
      expect(() => calcsize(wrong), wrong).toThrow(code('ERR_FRAMING_FORMAT'));
    }
    expect(() => calcsize(1 as never)).toThrow(code('ERR_FRAMING_FORMAT'));
    expect(() => unpack('B', 'a' as never)).toThrow(code('ERR_FRAMING_MESSAGE'));
  });

  it('name the value that cannot be written', () => {
    try {
      pack('>BH', 1, 65536);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(FramingError);
      expect((error as Error).message).toBe('u16: u16 holds integers from 0 to 2^16 - 1, got 65536');
    }
  });

  it('stay right with more formats than are kept compiled', () => {
    for (let count = 1; count < 300; count++) expect(calcsize(`>${count}H`)).toBe(2 * count);
    expect(calcsize('>1H')).toBe(2);
  });
});

describe('byte order', () => {
  it('htons and its kin turn integers into the order of the network and back, unsigned', () => {
    const written = new Uint8Array(Uint32Array.of(htonl(0x80010203)).buffer);
    expect([...written]).toEqual([0x80, 1, 2, 3]);
    expect([...new Uint8Array(Uint16Array.of(htons(0xff01)).buffer)]).toEqual([0xff, 1]);
    expect(ntohl(htonl(0xfffffffe))).toBe(0xfffffffe);
    expect(ntohs(htons(0x1234))).toBe(0x1234);
    for (const wrong of [-1, 65536, 1.5, '1' as never]) expect(() => htons(wrong)).toThrow(code('BAD_VALUE'));
    expect(() => ntohl(2 ** 32)).toThrow(code('BAD_VALUE'));
  });
});
