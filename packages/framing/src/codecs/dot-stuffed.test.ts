import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DotStuffedOptions, decodeAll, dotStuffed, encodeAll, Framed } from '../index.js';
import { comesBack, cut, cuts, fails, makerOf, sameInAnyChunking, streamsOf } from '../testing/properties.js';
import { hex, outcome } from '../testing/rechunk.js';

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const decode = (text: string, options: DotStuffedOptions = {}) =>
  decodeAll(dotStuffed(options), latin1(text)).map(String);
const encode = (text: string, options: DotStuffedOptions = {}) =>
  String(encodeAll(dotStuffed(options), [latin1(text)]));

describe('dotStuffed', () => {
  it('takes one dot from the beginning of each line, and from nowhere else', () => {
    expect(decode('..a\r\nb.\r\n.. \r\n...\r\n.x\r\n.\r\n')).toEqual(['.a\r\nb.\r\n. \r\n..\r\nx\r\n']);
    expect(decode('.\r\n.\r\na\r\n.\r\n')).toEqual(['', '', 'a\r\n']);
  });

  it('a message without such dots is a view of the chunk', () => {
    const chunk = latin1('hello\r\n.\r\n');
    expect(decodeAll(dotStuffed(), chunk)[0]!.buffer).toBe(chunk.buffer);
  });

  it('nothing but CR LF . CR LF ends a message: no other mixture smuggles one in', () => {
    for (const text of ['a\n.\n', 'a\n.\r\n', 'a\r.\r', 'a\r\n.\n', 'a\r\n.\r', 'a\r\r\n.\r', '\n.\r\n']) {
      expect(decode(`${text}b\r\n.\r\n`), JSON.stringify(text)).toHaveLength(1);
      expect(() => decode(text), JSON.stringify(text)).toThrow(fails('UNEXPECTED_EOF'));
    }
  });

  it('with bareLF error a LF alone is told where it stands, in both directions', () => {
    const strict = { bareLF: 'error' } as const;
    expect(() => decode('a\r\nb\n.\r\n\r\n.\r\n', strict)).toThrow(fails('BARE_LF', { offset: 4 }));
    expect(() => decode('\n', strict)).toThrow(fails('BARE_LF', { offset: 0 }));
    expect(() => encode('a\nb', strict)).toThrow(fails('BARE_LF'));
    expect(decode('a\r\n\r\n.\r\n', strict)).toEqual(['a\r\n\r\n']);
    expect(encode('a\r\n', strict)).toBe('a\r\n.\r\n');
  });

  it('the limit counts the message without the dots, and not what may be its end', () => {
    expect(decode('..\r\n..\r\n.\r\n', { maxFrameLength: 6 })).toEqual(['.\r\n.\r\n']);
    const framer = new Framed(dotStuffed({ maxFrameLength: 3 }), () => {});
    framer.push(latin1('a\r\n.\r'));
    expect(() => framer.push(latin1('b'))).toThrow(fails('FRAME_TOO_LONG', { offset: 0 }));
    expect(() => encode('ab', { maxFrameLength: 1 })).toThrow(fails('FRAME_TOO_LONG'));
  });

  it('the encoder doubles dots, and adds the line end that a message lacks', () => {
    expect(encode('')).toBe('.\r\n');
    expect(encode('.')).toBe('..\r\n.\r\n');
    expect(encode('a\r\n.\r\nb')).toBe('a\r\n..\r\nb\r\n.\r\n');
    expect(encode('\r\n.\r\n.\r\n')).toBe('\r\n..\r\n..\r\n.\r\n');
    expect(encode('a\r')).toBe('a\r\r\n.\r\n');
    expect(encode('\n.\n')).toBe('\n.\n\r\n.\r\n');
  });

  it('that discards reports a message that is too long once, and delivers all others, whatever the cuts', () => {
    let discarded = 0;
    const pieces = fc.constantFrom('\r\n', '\r\n.', '.', '\r', 'a', 'bc');
    const texts = fc.array(pieces, { maxLength: 8 }).map((all) => latin1(all.length > 0 ? `${all.join('')}\r\n` : ''));
    fc.assert(
      fc.property(
        fc.array(texts, { maxLength: 8 }),
        fc.constantFrom(0, 1, 2, 5, 8),
        cuts,
        (sent, maxFrameLength, sizes) => {
          const codec = dotStuffed({ maxFrameLength, onTooLong: 'discard' });
          const { frames, skipped, error } = outcome(makerOf(codec), cut(encodeAll(dotStuffed(), sent), sizes));
          const good = sent.filter(({ length }) => length <= maxFrameLength);
          discarded += sent.length - good.length;
          expect(error).toBeUndefined();
          expect(frames).toEqual(good.map(hex));
          expect(skipped).toHaveLength(sent.length - good.length);
        },
      ),
      { numRuns: 1000 },
    );
    expect(discarded).toBeGreaterThan(100);
  });

  it('that discards finds an end that is cut anywhere, and takes no dot behind what is gone for one', () => {
    const told: unknown[] = [];
    const got: string[] = [];
    const framer = new Framed(dotStuffed({ maxFrameLength: 2, onTooLong: 'discard' }), (m) => got.push(String(m)), {
      onError: ({ code, offset }) => told.push([code, offset]),
    });
    framer.push(latin1('abc'));
    expect(told).toEqual([['FRAME_TOO_LONG', 0]]);
    expect(framer.buffered).toBe(0);
    framer.push(latin1('.\r\n'));
    for (let i = 0; i < 1000; i++) framer.push(latin1('\r\n'));
    expect(framer.buffered).toBe(2);
    for (const byte of '.\r\n\r\n.\r\n') framer.push(latin1(byte));
    expect([got, told]).toEqual([['\r\n'], [['FRAME_TOO_LONG', 0]]]);
  });

  it('gives the same in any chunking, and what was encoded comes back', () => {
    const codecs = fc
      .record({
        maxFrameLength: fc.constantFrom(0, 1, 2, 4, 8, 1000),
        bareLF: fc.constantFrom('allow' as const, 'error' as const),
        onTooLong: fc.constantFrom('discard' as const, 'error' as const),
      })
      .map(dotStuffed);
    const pieces = fc.constantFrom('\r\n', '\r\n.', '\r\n.\r\n', '.', '\r', '\n', 'a');
    sameInAnyChunking(codecs, streamsOf('..\r\n\r\na'), 3000);
    sameInAnyChunking(
      codecs,
      fc.array(pieces, { maxLength: 25 }).map((all) => latin1(all.join(''))),
      3000,
    );
    const messages = fc.array(pieces, { maxLength: 25 }).map((all) => latin1(`${all.join('')}\r\n`));
    comesBack(
      fc.constant(dotStuffed()),
      fc.array(fc.oneof(messages, fc.constant(new Uint8Array(0))), { maxLength: 5 }),
    );
  });
});
