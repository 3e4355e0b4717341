import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll } from '../index.js';
import { bytes, fault, refusal, text } from '../testing/protocol-cases.js';
import { chunked } from './index.js';

describe('chunked', () => {
  it('extensions and trailers are told on request', () => {
    const stream = '2;a="x;y"\r\nab\r\n0\r\nX: 1\r\n\r\n';
    expect(decodeAll(chunked(), bytes(stream)).map(String)).toEqual(['ab', '']);
    expect(decodeAll(chunked({ details: true }), bytes(stream))).toEqual([
      { body: bytes('ab'), extensions: ';a="x;y"', trailers: [] },
      { body: bytes(''), extensions: '', trailers: [['X', '1']] },
    ]);
    expect(text(chunked(), { body: 'ab', extensions: ';a="x;y"' }, { body: '', trailers: [['X', '1']] })).toBe(stream);
    expect(text(chunked(), 'Wikipedia in\r\n\r\nchunks.', '')).toBe('17\r\nWikipedia in\r\n\r\nchunks.\r\n0\r\n\r\n');
  });

  it('what two parsers could understand differently is refused', () => {
    const faults: [string, string][] = [
      ['0x4\r\n', 'BAD_DIGIT'],
      ['\r\n', 'BAD_DIGIT'],
      ['-1\r\n', 'BAD_DIGIT'],
      ['+4\r\n', 'BAD_DIGIT'],
      ['4 \r\nWiki\r\n', 'BAD_HEADER'],
      [' 4\r\n', 'BAD_DIGIT'],
      ['4\nWiki\n', 'BARE_LF'],
      ['4\rX', 'BAD_DELIMITER'],
      ['4;a\nWiki', 'BARE_LF'],
      ['4;\rb\r\nWiki', 'BAD_HEADER'],
      ['4\r\nWikiXX', 'BAD_TRAILER'],
      ['0\r\n\n', 'BARE_LF'],
      ['0\r\nA: b\n\r\n\r\n', 'BARE_LF'],
      ['0\r\nA : b\r\n\r\n', 'BAD_HEADER'],
      ['0\r\nA: b\r\n folded\r\n\r\n', 'BAD_HEADER'],
      ['0\r\nA: b\rc\r\n\r\n', 'BAD_HEADER'],
      ['FFFFFFFFFFFFFFFF\r\n', 'FRAME_TOO_LONG'],
      ['00000000000000000', 'BAD_LENGTH'],
      [`1;${'a'.repeat(9000)}`, 'FRAME_TOO_LONG'],
      [`0\r\n${'a: b\r\n'.repeat(2000)}`, 'FRAME_TOO_LONG'],
    ];
    for (const [stream, code] of faults) expect(fault(chunked(), stream), stream.slice(0, 40)).toBe(code);
    expect(fault(chunked({ maxFrameLength: Number.POSITIVE_INFINITY }), 'FFFFFFFFFFFFFFF\r\n')).toBe('BAD_LENGTH');
  });

  it('nothing is written that would be', () => {
    expect(refusal(chunked(), { body: '', trailers: [['A', 'b\r\nC: d']] })).toBe('BAD_HEADER');
    expect(refusal(chunked(), { body: '', trailers: [['A b', 'c']] })).toBe('BAD_HEADER');
    expect(refusal(chunked(), { body: 'a', extensions: ';x\r\n' })).toBe('BAD_HEADER');
    expect(refusal(chunked(), { body: 'a', trailers: [['A', 'b']] })).toBe('BAD_VALUE');
    expect(refusal(chunked(), 5)).toBe('ERR_FRAMING_MESSAGE');
    const short = chunked({ details: true, maxHeaderLength: 8 });
    expect(refusal(short, { body: 'a', extensions: ';12345678' })).toBe('FRAME_TOO_LONG');
    expect(refusal(short, { body: '', trailers: [['A', '123456']] })).toBe('FRAME_TOO_LONG');
    const longest = [
      { body: bytes('a'), extensions: ';1234567', trailers: [] },
      { body: bytes(''), extensions: '', trailers: [['A', '12345']] as [string, string][] },
    ];
    expect(decodeAll(short, encodeAll(short, longest))).toEqual(longest);
  });
});
