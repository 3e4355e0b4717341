import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll, Framed, type LinesOptions, lines, utf8Lines } from '../index.js';

function decode(options: LinesOptions, text: string): string[] {
  return decodeAll(lines(options), Buffer.from(text)).map(String);
}

function codeOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return `${(error as { code: string }).code} at ${(error as { offset: number }).offset}`;
  }
  return undefined;
}

describe('lines', () => {
  it('a lone CR at the end of the stream is no line, and a CR at the end of an unterminated line does not belong to it', () => {
    expect(decode({}, 'a\n\r')).toEqual(['a']);
    expect(decode({}, 'a\r')).toEqual(['a']);
    expect(decode({}, '\rk')).toEqual(['\rk']);
    expect(decode({ strip: false }, 'a\r')).toEqual(['a\r']);
  });

  it('with eol any a line that ends with CR is delivered at once, and the LF that follows is not a line', () => {
    const got: string[] = [];
    const framer = new Framed(lines({ eol: 'any' }), (line) => got.push(String(line)));
    framer.push(Buffer.from('a\r'));
    expect(got).toEqual(['a']);
    framer.push(Buffer.from('\n'));
    framer.push(Buffer.from('\nb'));
    framer.end();
    expect(got).toEqual(['a', '', 'b']);
  });

  it('with eol any and strip false the line end is kept whole, a CR at the end of the stream too', () => {
    for (const final of ['emit', 'error'] as const) {
      expect(decode({ eol: 'any', strip: false, final }, 'a\r\nb\rc\nd\r')).toEqual(['a\r\n', 'b\r', 'c\n', 'd\r']);
    }
  });

  it('with bareLF error a LF without CR is an error at its place, whichever eol', () => {
    for (const eol of ['lf', 'crlf'] as const) {
      expect(decode({ eol, bareLF: 'error' }, 'a\r\nb\r\n')).toEqual(['a', 'b']);
      expect(codeOf(() => decode({ eol, bareLF: 'error' }, 'a\r\nb\nc\r\n'))).toBe('BARE_LF at 4');
      expect(codeOf(() => decode({ eol, bareLF: 'error' }, '\n'))).toBe('BARE_LF at 0');
    }
  });

  it('a bare LF inside of a line that is being discarded is not the end of it, but an error', () => {
    const options = { eol: 'crlf', bareLF: 'error', maxFrameLength: 2, onTooLong: 'discard' } as const;
    expect(codeOf(() => decode(options, 'too long\nGET /\r\n'))).toBe('BARE_LF at 8');
  });

  it('the limit does not count a CR that may belong to the line end, until something else follows', () => {
    const got: string[] = [];
    const framer = new Framed(lines({ maxFrameLength: 5 }), (line) => got.push(String(line)));
    framer.push(Buffer.from('hello\r'));
    framer.push(Buffer.from('\nhello\r'));
    expect(codeOf(() => framer.push(Buffer.from('x')))).toBe('FRAME_TOO_LONG at 7');
    expect(got).toEqual(['hello']);
  });

  it('discarding reports a line once, drops it as it comes, and goes on with the next', () => {
    const errors: number[] = [];
    const got: string[] = [];
    const framer = new Framed(lines({ maxFrameLength: 10, onTooLong: 'discard' }), (line) => got.push(String(line)), {
      onError: ({ offset }) => errors.push(offset),
    });
    framer.push(Buffer.from('first\n'));
    for (let i = 0; i < 1000; i++) {
      framer.push(Buffer.from('x'.repeat(1000)));
      expect(framer.buffered).toBe(0);
    }
    framer.push(Buffer.from('\nlast\n'));
    expect([got, errors]).toEqual([['first', 'last'], [6]]);
  });

  it('the encoder writes CR LF for crlf and LF otherwise, and refuses line ends in the payload', () => {
    expect(String(encodeAll(lines(), ['a', '']))).toBe('a\n\n');
    expect(String(encodeAll(lines({ eol: 'any' }), ['a']))).toBe('a\n');
    expect(String(encodeAll(lines({ eol: 'crlf' }), ['a']))).toBe('a\r\n');
    expect(String(encodeAll(lines({ eol: 'lf', bareLF: 'error' }), ['a']))).toBe('a\r\n');
    const refused: [LinesOptions, string][] = [
      [{}, 'a\nb'],
      [{}, 'a\r'],
      [{ eol: 'crlf' }, 'a\r\nb'],
      [{ eol: 'crlf' }, 'a\nb'],
      [{ eol: 'any' }, 'a\rb'],
    ];
    for (const [options, text] of refused) {
      expect(codeOf(() => encodeAll(lines(options), [text]))).toBe('BAD_DELIMITER at 0');
    }
    expect(String(encodeAll(lines(), ['a\rb']))).toBe('a\rb\n');
  });

  it('with strip false a message that ends with its line end is written as it is', () => {
    expect(String(encodeAll(lines({ strip: false }), ['a\r\n', 'b\n', 'c']))).toBe('a\r\nb\nc\n');
    expect(String(encodeAll(lines({ strip: false, eol: 'any' }), ['a\r']))).toBe('a\r');
    expect(codeOf(() => encodeAll(lines({ strip: false, eol: 'crlf' }), ['a\n']))).toBe('BAD_DELIMITER at 0');
  });
});

describe('utf8Lines', () => {
  it('a character cut in the middle arrives whole', () => {
    const got: string[] = [];
    const framer = new Framed(utf8Lines(), (line) => got.push(line));
    for (const byte of Buffer.from('€ 💩\nü')) framer.push(Uint8Array.of(byte));
    framer.end();
    expect(got).toEqual(['€ 💩', 'ü']);
  });

  it('a byte-order mark and U+FFFD are characters like others', () => {
    expect(decodeAll(utf8Lines(), Buffer.from('\ufeffa\n\ufffd\n'))).toEqual(['\ufeffa', '\ufffd']);
  });

  it('a line that is not UTF-8 is BAD_UTF8, at the place where it begins', () => {
    expect(codeOf(() => decodeAll(utf8Lines(), Buffer.from('ok\n\xc3(\n', 'latin1')))).toBe('BAD_UTF8 at 3');
    expect(codeOf(() => decodeAll(utf8Lines(), Buffer.from('ok\n\xc3', 'latin1')))).toBe('BAD_UTF8 at 3');
  });

  it('the encoder refuses a lone surrogate, which would be replaced, and what is no string', () => {
    expect(Buffer.from(encodeAll(utf8Lines(), ['ü'])).toString()).toBe('ü\n');
    expect(codeOf(() => encodeAll(utf8Lines(), ['\ud800']))).toBe('BAD_UTF8 at 0');
    expect(() => encodeAll(utf8Lines(), [5 as never])).toThrow(
      expect.objectContaining({ code: 'ERR_FRAMING_MESSAGE' }),
    );
  });
});
