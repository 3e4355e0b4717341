import { describe, expect, it } from 'vitest';
import { type DelimiterOptions, decodeAll, delimiter, encodeAll, type FramingError } from '../index.js';

function decode(options: DelimiterOptions, text: string): string[] {
  return decodeAll(delimiter(options), Buffer.from(text)).map(String);
}

describe('delimiter', () => {
  it('takes one delimiter or several, as text or as bytes', () => {
    expect(decode({ delimiters: ';' }, 'a;b;')).toEqual(['a', 'b']);
    expect(decode({ delimiters: [Uint8Array.of(59), ','] }, 'a;b,')).toEqual(['a', 'b']);
    expect(decode({ delimiters: '€' }, 'a€b€')).toEqual(['a', 'b']);
  });

  it('of CR LF and LF, each ends a frame, and neither leaves a CR', () => {
    expect(decode({ delimiters: ['\n', '\r\n'] }, 'ABC\nDEF\r\n')).toEqual(['ABC', 'DEF']);
  });

  it('what is written with its own delimiter is judged with that one, and not with the first', () => {
    const codec = (...delimiters: string[]) => delimiter({ delimiters, strip: false });
    expect(() => encodeAll(codec('X', 'aa'), ['baaa'])).toThrow(expect.objectContaining({ code: 'BAD_DELIMITER' }));
    expect(String(encodeAll(codec('aa', 'X'), ['baX']))).toBe('baX');
  });

  it('a delimiter that is cut while a frame is being discarded still ends the discarding', () => {
    const errors: FramingError[] = [];
    const codec = delimiter({ delimiters: '$|_', maxFrameLength: 2, onTooLong: 'discard' });
    const got = decodeAll(codec, Buffer.from('long$$|_ok$|_'), { onError: (error) => errors.push(error) });
    expect(got.map(String)).toEqual(['ok']);
    expect(errors).toHaveLength(1);
  });

  it('the stream may end while a frame is being discarded: that frame has been reported already', () => {
    const errors: string[] = [];
    const codec = delimiter({ delimiters: ';', maxFrameLength: 2, onTooLong: 'discard' });
    decodeAll(codec, Buffer.from('ok;long'), { onError: (error) => errors.push(error.code) });
    expect(errors).toEqual(['FRAME_TOO_LONG']);
  });

  it('a last frame without delimiter that passes the limit only because no delimiter follows is too long as well', () => {
    const options = { delimiters: 'ab', maxFrameLength: 2, final: 'emit' } as const;
    expect(decode(options, 'xx')).toEqual(['xx']);
    expect(() => decode(options, 'xxa')).toThrow(expect.objectContaining({ code: 'FRAME_TOO_LONG' }));
  });

  it('the encoder writes the first delimiter, and refuses payloads that contain any of them', () => {
    const codec = delimiter({ delimiters: ['\r\n', ';'] });
    expect(String(encodeAll(codec, ['a', 'b']))).toBe('a\r\nb\r\n');
    for (const wrong of ['a;', 'a\r\nb', 'a\r\n']) {
      expect(() => encodeAll(codec, [wrong])).toThrow(expect.objectContaining({ code: 'BAD_DELIMITER' }));
    }
  });

  it('the encoder refuses a payload that would form a delimiter together with the one behind it', () => {
    for (const [delimiters, payload] of [
      ['aa', 'xa'],
      ['abab', 'xab'],
      [['ab', 'a'], 'x'],
      [['\n', '\r\n'], 'x\r'],
    ] as const) {
      expect(() => encodeAll(delimiter({ delimiters }), [payload])).toThrow(
        expect.objectContaining({ code: 'BAD_DELIMITER' }),
      );
    }
  });

  it('with strip false a message that ends with its delimiter is written as it is', () => {
    const codec = delimiter({ delimiters: ['\r\n', '\n'], strip: false, maxFrameLength: 1 });
    const stream = 'a\r\nb\n';
    expect(decodeAll(codec, Buffer.from(stream)).map(String)).toEqual(['a\r\n', 'b\n']);
    expect(String(encodeAll(codec, ['a\r\n', 'b\n', 'c']))).toBe('a\r\nb\nc\r\n');
    expect(() => encodeAll(codec, ['\n\n'])).toThrow(expect.objectContaining({ code: 'BAD_DELIMITER' }));
    expect(() => encodeAll(codec, ['ab\n'])).toThrow(expect.objectContaining({ code: 'FRAME_TOO_LONG' }));
  });

  it('the encoder keeps to maxFrameLength', () => {
    const codec = delimiter({ delimiters: ';', maxFrameLength: 2 });
    expect(String(encodeAll(codec, ['ab']))).toBe('ab;');
    expect(() => encodeAll(codec, ['abc'])).toThrow(expect.objectContaining({ code: 'FRAME_TOO_LONG' }));
  });
});
