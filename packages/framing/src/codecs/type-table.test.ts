import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll, Framed, typeTable } from '../index.js';
import { comesBack, fails, sameInAnyChunking, streamsOf } from '../testing/properties.js';
import { hex, unhex } from '../testing/rechunk.js';

const table = { 1: 2, 2: 0, 255: 4 };

describe('typeTable', () => {
  it('takes types as numbers, in a Map, or in hexadecimal digits', () => {
    const forms = [
      table,
      new Map([
        [1, 2],
        [2, 0],
        [0xff, 4],
      ]),
      { '01': 2, '02': 0, ff: 4 },
      { '01': 2, '02': 0, FF: 4 },
    ];
    for (const each of forms) {
      const frames = decodeAll(typeTable({ table: each }), unhex('01aabb02ff01020304')).map(hex);
      expect(frames).toEqual(['01aabb', '02', 'ff01020304']);
    }
    // Two digits are not hexadecimal where all of them can be numbers.
    expect(decodeAll(typeTable({ table: { 10: 1, 11: 0 } }), unhex('0aaa0b')).map(hex)).toEqual(['0aaa', '0b']);
  });

  it('an unknown type is told when it comes, where it stands', () => {
    const framer = new Framed(typeTable({ table }), () => {});
    expect(() => framer.push(unhex('02007f'))).toThrow(fails('BAD_TYPE', { offset: 1 }));
  });

  it('the encoder refuses unknown types and other lengths', () => {
    expect(hex(encodeAll(typeTable({ table }), [unhex('01aabb'), unhex('02')]))).toBe('01aabb02');
    expect(() => encodeAll(typeTable({ table }), [unhex('03')])).toThrow(fails('BAD_TYPE'));
    for (const wrong of ['', '01aa', '01aabbcc', '0200']) {
      expect(() => encodeAll(typeTable({ table }), [unhex(wrong)]), wrong).toThrow(fails('BAD_LENGTH'));
    }
  });

  it('gives the same in any chunking, and what was encoded comes back', () => {
    sameInAnyChunking(fc.constant(typeTable({ table })), streamsOf([1, 1, 2, 2, 0xff, 0xff, 0]));
    const frames = fc.constantFrom('01aabb', '02', 'ff01020304').map(unhex);
    comesBack(fc.constant(typeTable({ table })), fc.array(frames, { maxLength: 9 }));
  });
});
