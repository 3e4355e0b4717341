import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asciiLength, decodeAll, encodeAll, Framed } from '../index.js';
import { comesBack, fails, sameInAnyChunking, streamsOf } from '../testing/properties.js';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

describe('asciiLength', () => {
  it('reads the five digits of the HOWTO, and of every other number of digits', () => {
    expect(decodeAll(asciiLength({ digits: 5 }), latin1('00005hello0000000001!')).map(String)).toEqual([
      'hello',
      '',
      '!',
    ]);
    expect(decodeAll(asciiLength({ digits: 15 }), latin1('000000000000002ab')).map(String)).toEqual(['ab']);
  });

  it('a character that is no digit is told where it stands and when it comes', () => {
    for (const [bytes, offset] of [
      ['0000x', 4],
      [' 5', 0],
      ['+1', 0],
      ['0x5', 1],
      ['1e3', 1],
      ['12/', 2],
      ['12:', 2],
    ] as const) {
      const framer = new Framed(asciiLength({ digits: 5 }), () => {});
      expect(() => framer.push(latin1(bytes)), bytes).toThrow(fails('BAD_DIGIT', { offset }));
    }
  });

  it('the limit strikes before the payload has come, and the encoder keeps to it and to its digits', () => {
    const framer = new Framed(asciiLength({ digits: 3, maxFrameLength: 99 }), () => {});
    expect(() => framer.push(latin1('100'))).toThrow(fails('FRAME_TOO_LONG', { offset: 0 }));
    expect(() => encodeAll(asciiLength({ digits: 3, maxFrameLength: 2 }), ['abc'])).toThrow(fails('FRAME_TOO_LONG'));
    expect(() => encodeAll(asciiLength({ digits: 2 }), [new Uint8Array(100)])).toThrow(fails('FRAME_TOO_LONG'));
    expect(String(encodeAll(asciiLength({ digits: 2 }), [new Uint8Array(99)])).slice(0, 2)).toBe('99');
  });

  it('gives the same in any chunking, and what was encoded comes back', () => {
    const codecs = fc
      .record({ digits: fc.integer({ min: 1, max: 4 }), maxFrameLength: fc.constantFrom(0, 3, 12, 1000) })
      .map(asciiLength);
    sameInAnyChunking(codecs, streamsOf('0000123a'));
    const roomy = fc.integer({ min: 2, max: 15 }).map((digits) => asciiLength({ digits }));
    comesBack(roomy, fc.array(fc.uint8Array({ maxLength: 99 })));
  });
});
