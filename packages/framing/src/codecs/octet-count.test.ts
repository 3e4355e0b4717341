import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll, Framed, octetCount } from '../index.js';
import { comesBack, fails, sameInAnyChunking, streamsOf } from '../testing/properties.js';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

describe('octetCount', () => {
  it('needs nothing behind a message: line feeds inside belong to it', () => {
    expect(decodeAll(octetCount(), latin1('11 <34>1 hello5 a\nb\nc')).map(String)).toEqual(['<34>1 hello', 'a\nb\nc']);
  });

  it('each byte of the count is judged when it comes', () => {
    for (const [bytes, code, offset] of [
      ['0', 'BAD_DIGIT', 0],
      [' ', 'BAD_DIGIT', 0],
      ['<34>', 'BAD_DIGIT', 0],
      ['5<', 'BAD_DIGIT', 1],
      ['5\t', 'BAD_DIGIT', 1],
      ['99999999', 'FRAME_TOO_LONG', 0],
    ] as const) {
      const framer = new Framed(octetCount(), () => {});
      expect(() => framer.push(latin1(bytes)), bytes).toThrow(fails(code, { offset }));
    }
  });

  it('the encoder refuses an empty message, whose count would be 0, and one above the limit', () => {
    expect(() => encodeAll(octetCount(), [''])).toThrow(fails('BAD_LENGTH'));
    expect(() => encodeAll(octetCount({ maxFrameLength: 1 }), ['ab'])).toThrow(fails('FRAME_TOO_LONG'));
    expect(String(encodeAll(octetCount(), ['a'.repeat(1000)])).slice(0, 6)).toBe('1000 a');
  });

  it('gives the same in any chunking, and what was encoded comes back', () => {
    const codecs = fc.constantFrom(0, 3, 12, 1000).map((maxFrameLength) => octetCount({ maxFrameLength }));
    sameInAnyChunking(codecs, streamsOf('0123   a'));
    comesBack(fc.constant(octetCount()), fc.array(fc.uint8Array({ minLength: 1, maxLength: 1200 }), { maxLength: 5 }));
  });
});
