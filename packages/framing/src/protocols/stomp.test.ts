import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll } from '../index.js';
import { bytes, fault, one, refusal, text } from '../testing/protocol-cases.js';
import { stomp } from './index.js';

describe('stomp', () => {
  it('headers are unescaped, but not those of connect; the first of two counts', () => {
    const frame = one(stomp(), 'SEND\r\na\\c:b\\nc\\\\d\r\na\\c:2\r\n\r\nhi\0');
    expect(frame).toEqual({ command: 'SEND', headers: new Map([['a:', 'b\nc\\d']]), body: bytes('hi') });
    expect(one(stomp(), 'CONNECT\nhost:a\\b\n\n\0').headers.get('host')).toBe('a\\b');
    expect(text(stomp(), { command: 'SEND', headers: { 'a:': 'b\nc\\d' }, body: 'hi' })).toBe(
      'SEND\na\\c:b\\nc\\\\d\n\nhi\0',
    );
  });

  it('a body with NUL gets a content-length', () => {
    const sent = text(stomp(), { command: 'MESSAGE', body: bytes('a\0b') });
    expect(sent).toBe('MESSAGE\ncontent-length:3\n\na\0b\0');
    expect(one(stomp(), sent).body).toEqual(bytes('a\0b'));
    expect(refusal(stomp(), { command: 'SEND', headers: { 'content-length': '2' }, body: 'abc' })).toBe('BAD_VALUE');
  });

  it('malformed frames are refused, and nothing is injected', () => {
    const faults: [string, string][] = [
      ['HELLO\n\n\0', 'BAD_TYPE'],
      ['SEND\n:empty\n\n\0', 'BAD_HEADER'],
      ['SEND\nnocolon\n\n\0', 'BAD_HEADER'],
      ['SEND\na:\\t\n\n\0', 'BAD_ESCAPE'],
      ['SEND\na:\\\n\n\0', 'BAD_ESCAPE'],
      ['SEND\ncontent-length:x\n\n', 'BAD_DIGIT'],
      ['SEND\ncontent-length:1\n\nab', 'BAD_TRAILER'],
      ['SEND\ncontent-length:999999999\n\n', 'FRAME_TOO_LONG'],
      ['SEND\na:\xff\n\n\0', 'BAD_UTF8'],
      ['SEND\0\n\n', 'BAD_HEADER'],
      ['\rX', 'BAD_HEADER'],
      [`SEND\n${'a:b\n'.repeat(5000)}`, 'FRAME_TOO_LONG'],
    ];
    for (const [stream, code] of faults) expect(fault(stomp(), stream), stream.slice(0, 40)).toBe(code);
    expect(refusal(stomp(), { command: 'CONNECT', headers: { host: 'a\nb:c' } })).toBe('BAD_DELIMITER');
    expect(refusal(stomp(), { command: 'SEND', headers: { a: 'b\0' } })).toBe('BAD_DELIMITER');
    expect(refusal(stomp(), { command: 'SEND\nX:y' })).toBe('BAD_TYPE');
  });

  it('headers are as long as maxHeaderLength in both directions', () => {
    const frame = { command: 'SEND', headers: { a: 'b' } };
    const stream = encodeAll(stomp(), [frame]);
    const [exact, less] = [stomp({ maxHeaderLength: 8 }), stomp({ maxHeaderLength: 7 })];
    expect(decodeAll(exact, stream)).toHaveLength(1);
    expect(refusal(exact, frame)).toBeUndefined();
    expect(fault(less, stream)).toBe('FRAME_TOO_LONG');
    expect(refusal(less, frame)).toBe('FRAME_TOO_LONG');
  });
});
