import fc from 'fast-check';
import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  type Codec,
  decodeAll,
  encodeAll,
  Framed,
  fixed,
  json,
  lengthField,
  lines,
  netstring,
  once,
  text,
  untilClose,
  utf8Lines,
} from '../index.js';
import { cut, cuts, fails, sameInAnyChunking, streamsOf } from '../testing/properties.js';

describe('once(header).then(next)', () => {
  it('the first message is of the header, all others are of the next codec, in both directions', () => {
    const codec = once(utf8Lines({ eol: 'crlf' })).then(text(netstring()));
    expect(decodeAll(codec, Buffer.from('HELLO\r\n1:a,2:\r\n,'))).toEqual(['HELLO', 'a', '\r\n']);
    expect(String(encodeAll(codec, ['HELLO', 'a', '\r\n']))).toBe('HELLO\r\n1:a,2:\r\n,');
    expectTypeOf(once(utf8Lines()).then(json<number>(lines()))).toEqualTypeOf<Codec<string | number>>();
  });

  it('the header chooses the codec: the one received in one direction, the one sent in the other', () => {
    const codec = once(utf8Lines()).then((version) => text(version === 'v2' ? netstring() : lengthField({ size: 1 })));
    expect(decodeAll(codec, Buffer.from('v2\n1:a,'))).toEqual(['v2', 'a']);
    expect(decodeAll(codec, Buffer.from('v1\n\x01a'))).toEqual(['v1', 'a']);
    const framer = new Framed(codec, () => {});
    framer.push(Buffer.from('v2\n'));
    framer.send('v1');
    framer.send('a');
    expect(String(Buffer.concat(framer.flush()))).toBe('v1\n\x01a');
  });

  it('a function that gives no codec is told', () => {
    const codec = once(utf8Lines()).then(() => undefined as never);
    const misuse = expect.objectContaining({ name: 'TypeError', code: 'ERR_FRAMING_CODEC' });
    expect(() => decodeAll(codec, Buffer.from('a\nb'))).toThrow(misuse);
    expect(() => encodeAll(codec, ['a' as never])).toThrow(misuse);
    expect(() => once(utf8Lines()).then(5 as never)).toThrow(misuse);
    expect(() => once(undefined as never)).toThrow(misuse);
  });

  it('each codec has a memory of its own: what one discards does not reach the other, which may discard too', () => {
    const discarding = { maxFrameLength: 2, onTooLong: 'discard', eol: 'any' } as const;
    const codec = once(lines(discarding)).then(lines(discarding));
    const errors: string[] = [];
    const framer = new Framed(codec, (line) => got.push(String(line)), {
      onError: (error) => errors.push(`${error.code} ${error.offset}`),
    });
    const got: string[] = [];
    for (const byte of Buffer.from('long\rok\r\nlonger\na\n')) framer.push(Uint8Array.of(byte));
    framer.end();
    expect(got).toEqual(['ok', 'a']);
    expect(errors).toEqual(['FRAME_TOO_LONG 0', 'FRAME_TOO_LONG 9']);
  });

  it('a header that cannot be encoded leaves the header to be sent', () => {
    const framer = new Framed(once(fixed({ length: 2 })).then(lines()), () => {});
    expect(() => framer.send('abc')).toThrow(fails('BAD_LENGTH'));
    framer.send('ab');
    expect(() => framer.send('c\nd')).toThrow(fails('BAD_DELIMITER', { offset: 2 }));
    framer.send('cd');
    expect(String(Buffer.concat(framer.flush()))).toBe('abcd\n');
  });

  it('one object serves many streams, and use begins anew', () => {
    const codec = once(utf8Lines()).then(text(netstring()));
    const got: string[] = [];
    const one = new Framed(codec, (message) => got.push(message));
    const other = new Framed(codec, (message) => got.push(message));
    one.push(Buffer.from('a\n'));
    other.push(Buffer.from('b\n'));
    one.push(Buffer.from('1:c,'));
    one.send('x');
    one.consumed();
    one.use(codec, (message) => got.push(message)).push(Buffer.from('d\n'));
    one.send('e');
    other.end();
    expect(got).toEqual(['a', 'b', 'c', 'd']);
    expect(String(Buffer.concat(one.flush()))).toBe('e\n');
  });

  it('stands in another: two headers', () => {
    const codec = once(utf8Lines()).then(once(text(fixed({ length: 2 }))).then(text(untilClose())));
    expect(decodeAll(codec, Buffer.from('a\nbbc\n'))).toEqual(['a', 'bb', 'c\n']);
    expect(String(encodeAll(codec, ['a', 'bb', 'c', 'd']))).toBe('a\nbbcd');
  });

  it('the stream may end in place of the header, but not inside', () => {
    const codec = once(netstring()).then(lines());
    expect(decodeAll(codec, new Uint8Array(0))).toEqual([]);
    expect(() => decodeAll(codec, Buffer.from('1:a'))).toThrow(fails('UNEXPECTED_EOF'));
  });

  it('gives the same in any chunking, and what was encoded comes back', () => {
    const bodies = fc.constantFrom<Codec<Uint8Array, never>>(
      lines({ eol: 'any', maxFrameLength: 2, onTooLong: 'discard' }) as never,
      netstring() as never,
      untilClose() as never,
      fixed({ length: 3 }) as never,
    );
    const heads = fc.constantFrom(
      lines({ eol: 'any' }),
      lines({ maxFrameLength: 1, onTooLong: 'discard' }),
      fixed({ length: 2 }),
    );
    sameInAnyChunking(
      fc.tuple(heads, bodies).map(([head, body]) => once(head).then(body)),
      streamsOf('12:a,\r\n\r\n'),
      3000,
    );
    const codec = once(text(netstring())).then(utf8Lines());
    fc.assert(
      fc.property(fc.string(), fc.array(fc.stringMatching(/^[a-z]*$/)), cuts, (head, rest, sizes) => {
        const got: string[] = [];
        const framer = new Framed(codec, (message) => got.push(message));
        for (const chunk of cut(encodeAll(codec, [head, ...rest]), sizes)) framer.push(chunk);
        framer.end();
        expect(got).toEqual([head, ...rest]);
      }),
      { numRuns: 300 },
    );
  });
});
