import { deflateSync, crc32 as zlibCrc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checksummed, cobs, decodeAll, encodeAll, fixed, lengthField, untilClose } from '../index.js';
import { comesBack, fails, sameInAnyChunking, streamsOf } from '../testing/properties.js';
import { hex, unhex } from '../testing/rechunk.js';
import { adler32, crc32, crc32c } from './checksums.js';

const check = Buffer.from('123456789');

describe('the checksums', () => {
  it('give the check values of their catalogue', () => {
    expect(crc32(check)).toBe(0xcbf43926);
    expect(crc32c(check)).toBe(0xe3069283);
    expect(adler32(check)).toBe(0x091e01de);
    // RFC 3720 B.4: 32 bytes of zeros, of ones, and counting.
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
    expect([crc32, crc32c, adler32].map((sum) => sum(new Uint8Array(0)))).toEqual([0, 0, 1]);
  });

  it('agree with zlib on anything', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 9000, size: 'max' }), (bytes) => {
        if (zlibCrc32 !== undefined) expect(crc32(bytes)).toBe(zlibCrc32(bytes));
        expect(adler32(bytes)).toBe(deflateSync(bytes).readUInt32BE(deflateSync(bytes).length - 4));
      }),
      { numRuns: 60 },
    );
    // As large as sums can be: RFC 1950's bound on how long the modulo may be put off.
    const ones = new Uint8Array(100_000).fill(0xff);
    expect(adler32(ones)).toBe(deflateSync(ones).readUInt32BE(deflateSync(ones).length - 4));
  });
});

describe('checksummed', () => {
  it('puts the checksum behind the payload, inside the frame', () => {
    expect(hex(encodeAll(checksummed(lengthField({ size: 1 }), 'crc32'), [check]))).toBe(`0d${hex(check)}cbf43926`);
    expect(hex(encodeAll(checksummed(lengthField({ size: 1 }), 'crc32', { endian: 'le' }), [check]))).toBe(
      `0d${hex(check)}2639f4cb`,
    );
    expect(hex(encodeAll(checksummed(lengthField({ size: 1 }), 'adler32'), ['']))).toBe('0400000001');
    const xor = checksummed(cobs(), (bytes) => bytes.reduce((all, byte) => all ^ byte, 0), { size: 1 });
    expect(hex(encodeAll(xor, [unhex('0103')]))).toBe('0401030200');
    expect(decodeAll(xor, unhex('0401030200')).map(hex)).toEqual(['0103']);
  });

  it('a garbled byte anywhere in the frame is BAD_CHECKSUM, at the frame', () => {
    for (const algorithm of ['crc32', 'crc32c', 'adler32'] as const) {
      const codec = checksummed(fixed({ length: 13 }), algorithm);
      const bytes = encodeAll(codec, [check, check]);
      expect(decodeAll(codec, bytes).map(hex)).toEqual([hex(check), hex(check)]);
      for (let at = 13; at < 26; at++) {
        const garbled = bytes.slice();
        garbled[at]! ^= 0x10;
        expect(() => decodeAll(codec, garbled)).toThrow(fails('BAD_CHECKSUM', { offset: 13 }));
      }
    }
  });

  it('a frame too short to hold one is BAD_LENGTH', () => {
    expect(() => decodeAll(checksummed(lengthField({ size: 1 }), 'crc32'), unhex('03aabbcc'))).toThrow(
      fails('BAD_LENGTH'),
    );
    expect(() => decodeAll(checksummed(untilClose(), 'crc32'), unhex('aabbcc'))).toThrow(fails('BAD_LENGTH'));
    expect(decodeAll(checksummed(untilClose(), 'crc32'), unhex('00000000')).map(hex)).toEqual(['']);
  });

  it('a function must give what its bytes can hold', () => {
    const misuse = expect.objectContaining({ name: 'RangeError', code: 'ERR_FRAMING_OPTION' });
    for (const sum of [256, -1, 0.5, Number.NaN]) {
      expect(() =>
        encodeAll(
          checksummed(cobs(), () => sum, { size: 1 }),
          ['a'],
        ),
      ).toThrow(misuse);
    }
    expect(() => checksummed(cobs(), 'crc32', { size: 2 })).toThrow(misuse);
  });

  it('gives the same in any chunking, and what was encoded comes back', () => {
    const sum = (bytes: Uint8Array) => bytes.reduce((all, byte) => (all + byte) & 0xff, 0);
    sameInAnyChunking(
      fc.constant(checksummed(lengthField({ size: 1 }), sum, { size: 1 })),
      streamsOf([1, 2, 3, 1, 2, 0]),
    );
    const codecs = fc
      .record({ algorithm: fc.constantFrom('crc32', 'crc32c', 'adler32'), endian: fc.constantFrom('be', 'le') })
      .map(({ algorithm, endian }) => checksummed(cobs(), algorithm, { endian }));
    comesBack(codecs, fc.array(fc.uint8Array({ maxLength: 600 }), { maxLength: 5 }));
  });
});
