import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll, Framed, netstring } from '../index.js';
import { comesBack, fails, sameInAnyChunking, streamsOf } from '../testing/properties.js';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

describe('netstring', () => {
  it('carries any bytes, colons and commas too', () => {
    expect(decodeAll(netstring(), latin1('3:a,b,0:,4:1:a,,')).map(String)).toEqual(['a,b', '', '1:a,']);
  });

  it('each byte is judged when it comes, and told where it stands', () => {
    for (const [bytes, code, offset] of [
      [':', 'BAD_DIGIT', 0],
      ['x', 'BAD_DIGIT', 0],
      ['-1:', 'BAD_DIGIT', 0],
      ['1x', 'BAD_DIGIT', 1],
      ['1 ', 'BAD_DIGIT', 1],
      ['0x', 'BAD_DIGIT', 1],
      ['00', 'BAD_LENGTH', 0],
      ['01:a,', 'BAD_LENGTH', 0],
      ['1:a;', 'BAD_TRAILER', 3],
      ['1:ab', 'BAD_TRAILER', 3],
      ['0:\n', 'BAD_TRAILER', 2],
    ] as const) {
      const framer = new Framed(netstring(), () => {});
      expect(() => framer.push(latin1(bytes)), bytes).toThrow(fails(code, { offset }));
    }
  });

  it('a flood of digits is stopped by the limit, and without a limit by what a number can hold', () => {
    expect(() => new Framed(netstring(), () => {}).push(latin1('99999999'))).toThrow(fails('FRAME_TOO_LONG'));
    const endless = new Framed(netstring({ maxFrameLength: Number.POSITIVE_INFINITY }), () => {});
    endless.push(latin1('9007199254740991'));
    expect(() => endless.push(latin1('0'))).toThrow(fails('BAD_LENGTH'));
    const exact = new Framed(netstring({ maxFrameLength: Number.POSITIVE_INFINITY }), () => {});
    expect(() => exact.push(latin1('9007199254740992'))).toThrow(fails('BAD_LENGTH'));
  });

  it('the limit itself passes, in both directions', () => {
    const limited = netstring({ maxFrameLength: 2 });
    expect(decodeAll(limited, latin1('2:ab,')).map(String)).toEqual(['ab']);
    expect(String(encodeAll(limited, ['ab']))).toBe('2:ab,');
    expect(() => encodeAll(limited, ['abc'])).toThrow(fails('FRAME_TOO_LONG'));
  });

  it('gives the same in any chunking, and what was encoded comes back', () => {
    const codecs = fc.constantFrom(0, 3, 12, 1000).map((maxFrameLength) => netstring({ maxFrameLength }));
    sameInAnyChunking(codecs, streamsOf('0123::,,,a'));
    sameInAnyChunking(
      codecs,
      fc.array(fc.constantFrom('0:,', '1:a,', '3:a,:,', '1', ',', 'x')).map((all) => latin1(all.join(''))),
    );
    comesBack(fc.constant(netstring()), fc.array(fc.uint8Array({ maxLength: 1200 }), { maxLength: 5 }));
  });
});
