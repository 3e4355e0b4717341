import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll, Framed, type StatusReplyOptions, statusReply } from '../index.js';
import { comesBack, fails, sameInAnyChunking, streamsOf } from '../testing/properties.js';

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const decode = (text: string, options: StatusReplyOptions = {}) => decodeAll(statusReply(options), latin1(text));
const encode = (code: number, lines: string[], options: StatusReplyOptions = {}) =>
  String(encodeAll(statusReply(options), [{ code, lines }]));
const ftp = { style: 'ftp' } as const;

describe('statusReply', () => {
  it('smtp: one line or several, of one code', () => {
    expect(decode('220 ready\r\n250-a\r\n250-\r\n250 c\r\n250\r\n')).toEqual([
      { code: 220, lines: ['ready'] },
      { code: 250, lines: ['a', '', 'c'] },
      { code: 250, lines: [''] },
    ]);
    expect(() => decode('250-a\r\n251 b\r\n')).toThrow(fails('BAD_REPLY', { offset: 7 }));
    expect(() => decode('250-a\r\nb\r\n')).toThrow(fails('BAD_REPLY', { offset: 7 }));
  });

  it('ftp: the lines between the first and the last are free, whatever digits they begin with', () => {
    const text = '211-Features:\r\n MDTM\r\n211-SIZE\r\n250 x\r\n2110\r\n\r\n211 End\r\n220 next\r\n';
    expect(decode(text, ftp)).toEqual([
      { code: 211, lines: ['Features:', ' MDTM', '211-SIZE', '250 x', '2110', '', 'End'] },
      { code: 220, lines: ['next'] },
    ]);
  });

  it('what is no reply is told where its line begins', () => {
    for (const style of ['smtp', 'ftp'] as const) {
      for (const line of ['xyz Ok', '20 Ok', '2x0 Ok', '200:Ok', '2000 Ok', '099 Ok', '', ' 200 Ok']) {
        expect(() => decode(`220 a\r\n${line}\r\n`, { style }), line).toThrow(fails('BAD_REPLY', { offset: 7 }));
      }
    }
  });

  it('a line feed alone ends no line', () => {
    expect(() => decode('250 a\nb\r\n')).toThrow(fails('BARE_LF', { offset: 5 }));
    expect(() => decode('\n')).toThrow(fails('BARE_LF', { offset: 0 }));
  });

  it('the text is UTF-8, and bytes that are not are told where the text begins', () => {
    expect(decodeAll(statusReply(), Buffer.from('250 héllo\r\n'))).toEqual([{ code: 250, lines: ['héllo'] }]);
    expect(() => decode('250-a\r\n250 \xff\r\n')).toThrow(fails('BAD_UTF8', { offset: 11 }));
  });

  it('the stream may not end inside a reply, and what has come of it stays', () => {
    const framer = new Framed(statusReply(ftp), () => {});
    framer.push(latin1('211-a\r\n211-b\r\n'));
    expect(() => framer.end()).toThrow(fails('UNEXPECTED_EOF'));
    expect(String(framer.leftover)).toBe('211-a\r\n211-b\r\n');
  });

  it('the limit counts all lines of a reply, without their ends', () => {
    expect(decode('250-ab\r\n250 c\r\n', { maxFrameLength: 11 })).toHaveLength(1);
    expect(() => decode('250-ab\r\n250 c\r\n', { maxFrameLength: 10 })).toThrow(fails('FRAME_TOO_LONG', { offset: 0 }));
    expect(decode('250-ab\r\n250-\r\n250 c\r\n', { maxFrameLength: 15 })).toHaveLength(1);
    expect(() => decode('250-ab\r\n250-\r\n250 c\r\n', { maxFrameLength: 14 })).toThrow(fails('FRAME_TOO_LONG'));
    const framer = new Framed(statusReply({ maxFrameLength: 5 }), () => {});
    framer.push(latin1('250 a\r'));
    expect(() => framer.push(latin1('\r'))).toThrow(fails('FRAME_TOO_LONG'));
    expect(encode(250, ['ab', 'c'], { maxFrameLength: 11 })).toBe('250-ab\r\n250 c\r\n');
    expect(() => encode(250, ['ab', 'c'], { maxFrameLength: 10 })).toThrow(fails('FRAME_TOO_LONG'));
  });

  it('is written in its style', () => {
    expect(encode(250, ['a', '', 'c'])).toBe('250-a\r\n250-\r\n250 c\r\n');
    expect(encode(211, ['a', ' b', 'c'], ftp)).toBe('211-a\r\n b\r\n211 c\r\n');
    expect(encode(211, ['a'], ftp)).toBe('211 a\r\n');
  });

  it('the encoder refuses what would not come back', () => {
    for (const text of ['a\r\nb', 'a\n', '\r']) expect(() => encode(250, [text])).toThrow(fails('BAD_DELIMITER'));
    expect(() => encode(250, ['\ud800'])).toThrow(fails('BAD_UTF8'));
    for (const code of [99, 1000, 250.5, Number.NaN]) expect(() => encode(code, ['a'])).toThrow(fails('BAD_REPLY'));
    expect(() => encode(250, [])).toThrow(fails('BAD_REPLY'));
    for (const inner of ['211 ', '211', '211 x'])
      expect(() => encode(211, ['a', inner, 'c'], ftp)).toThrow(fails('BAD_REPLY'));
    expect(encode(211, ['211 a', '211-b', '211 c'], ftp)).toBe('211-211 a\r\n211-b\r\n211 211 c\r\n');
    const misuse = expect.objectContaining({ name: 'TypeError', code: 'ERR_FRAMING_MESSAGE' });
    for (const wrong of [
      null,
      'text',
      { code: '250', lines: [] },
      { code: 250, lines: 'a' },
      { code: 250, lines: [5] },
    ]) {
      expect(() => encodeAll(statusReply(), [wrong as never])).toThrow(misuse);
    }
  });

  it('gives the same in any chunking, and what was encoded comes back', () => {
    const codecs = fc
      .record({
        style: fc.constantFrom('ftp' as const, 'smtp' as const),
        maxFrameLength: fc.constantFrom(0, 4, 9, 20, 1000),
      })
      .map(statusReply);
    const pieces = fc.constantFrom('250', '251', '-', ' ', '\r\n', '\r\n', '\r', '\n', 'a', '250-a\r\n', '250 b\r\n');
    sameInAnyChunking(
      codecs,
      fc.array(pieces, { maxLength: 20 }).map((all) => latin1(all.join(''))),
      3000,
    );
    sameInAnyChunking(codecs, streamsOf('250 -\r\n\xff'));
    const lines = fc.array(
      fc.string({ unit: 'grapheme', maxLength: 9 }).filter((line) => !/[\r\n]|^\d\d\d/.test(line)),
      {
        minLength: 1,
        maxLength: 4,
      },
    );
    const replies = fc.record({ code: fc.integer({ min: 100, max: 999 }), lines });
    const roomy = fc.constantFrom('ftp' as const, 'smtp' as const).map((style) => statusReply({ style }));
    comesBack(roomy, fc.array(replies, { maxLength: 5 }));
  });
});
