import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll, lengthField, netstring, text, untilClose } from '../index.js';
import { comesBack, fails, sameInAnyChunking, streamsOf } from '../testing/properties.js';
import { hex, unhex } from '../testing/rechunk.js';

describe('text', () => {
  it('reads and writes each encoding', () => {
    expect(decodeAll(text(lengthField({ size: 1 })), unhex('02c3a9'))).toEqual(['é']);
    expect(decodeAll(text(lengthField({ size: 1 }), 'latin1'), unhex('02c3a9'))).toEqual(['Ã©']);
    expect(hex(encodeAll(text(lengthField({ size: 1 }), 'latin1'), ['é', '']))).toBe('01e900');
    expect(hex(encodeAll(text(lengthField({ size: 1 }), 'ascii'), ['a']))).toBe('0161');
    expect(decodeAll(text(untilClose(), 'latin1'), new Uint8Array(20_000).fill(0xe9))).toEqual(['é'.repeat(20_000)]);
  });

  it('no byte and no character is replaced by another', () => {
    expect(() => decodeAll(text(netstring()), Buffer.from('1:a,1:\xff,', 'latin1'))).toThrow(
      fails('BAD_UTF8', { offset: 4 }),
    );
    expect(() => decodeAll(text(netstring(), 'ascii'), Buffer.from('1:\x80,', 'latin1'))).toThrow(
      fails('BAD_VALUE', { offset: 0 }),
    );
    expect(() => decodeAll(text(untilClose()), unhex('ff'))).toThrow(fails('BAD_UTF8'));
    expect(() => encodeAll(text(netstring()), ['\ud800'])).toThrow(fails('BAD_UTF8'));
    expect(() => encodeAll(text(netstring(), 'latin1'), ['€'])).toThrow(fails('BAD_VALUE'));
    expect(() => encodeAll(text(netstring(), 'ascii'), ['é'])).toThrow(fails('BAD_VALUE'));
  });

  it('gives the same in any chunking, and what was encoded comes back', () => {
    sameInAnyChunking(
      fc.constantFrom('utf8', 'latin1', 'ascii').map((each) => text(lengthField({ size: 1 }), each)),
      streamsOf([1, 2, 3, 0x61, 0xc3, 0xa9]),
    );
    comesBack(fc.constant(text(netstring())), fc.array(fc.string({ unit: 'grapheme', size: 'medium' })));
    comesBack(fc.constant(text(netstring(), 'ascii')), fc.array(fc.string({ unit: 'binary-ascii' })));
  });
});
