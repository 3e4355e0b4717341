import { describe, expect, it } from 'vitest';
import { type Codec, decodeAll, encodeAll, Framed } from '../index.js';
import { bytes, fault, one, refusal, text } from '../testing/protocol-cases.js';
import { RespError, type RespMessage, RespPush, RespSet, RespVerbatim, resp, respCommand } from './index.js';

describe('resp', () => {
  it('each type of RESP2 and RESP3 is a type of its own, and comes back as it was', () => {
    const values = [
      ['+OK\r\n', 'OK'],
      ['+\r\n', ''],
      [':-12\r\n', -12],
      [':9223372036854775807\r\n', 2n ** 63n - 1n],
      ['$5\r\na\r\nbc\r\n', bytes('a\r\nbc')],
      ['$-1\r\n', null],
      ['*2\r\n+a\r\n*0\r\n', ['a', []]],
      ['#t\r\n', true],
      [',1.5\r\n', 1.5],
      [',-inf\r\n', Number.NEGATIVE_INFINITY],
      [',nan\r\n', Number.NaN],
      ['(3492890328409238509324850943850943825024385\r\n', 3492890328409238509324850943850943825024385n],
      ['%1\r\n+k\r\n:1\r\n', new Map([['k', 1]])],
      ['-ERR no\r\n', new RespError('ERR no')],
      ['~2\r\n:1\r\n:2\r\n', RespSet.from([1, 2])],
      ['>1\r\n+m\r\n', RespPush.from(['m'])],
      ['=6\r\ntxt:hi\r\n', new RespVerbatim('txt', bytes('hi'))],
    ] as const;
    for (const [stream, value] of values) {
      expect(one(resp(), stream), stream).toEqual(value);
      expect(text(resp(), value as never), stream).toBe(stream);
    }
    expect(one(resp(), '_\r\n')).toBeNull();
    expect(one(resp(), ':+0\r\n')).toBe(0);
    expect(one(resp(), ':-9223372036854775808\r\n')).toBe(-(2n ** 63n));
    expect(one(resp(), ':+09223372036854775807\r\n')).toBe(2n ** 63n - 1n);
    expect(one(resp(), ':-0\r\n')).toBe(0);
    expect(one(resp(), '!5\r\nE\r\nxx\r\n')).toEqual(new RespError('E\r\nxx'));
    expect(one(resp(), '>1\r\n+m\r\n')).toBeInstanceOf(RespPush);
    expect(one(resp(), '~0\r\n')).toBeInstanceOf(RespSet);
  });

  it('a command is an array of bulk strings', () => {
    expect(text(resp(), respCommand('SET', 'é', 5))).toBe('*3\r\n$3\r\nSET\r\n$2\r\n\xc3\xa9\r\n$1\r\n5\r\n');
  });

  it('version 2 writes what Redis writes for old clients, version 3 its null', () => {
    const old = resp({ version: 2 });
    expect(text(old, null, true, 1.5, new Map([['a', false]]), RespPush.from(['p']))).toBe(
      '$-1\r\n:1\r\n$3\r\n1.5\r\n*2\r\n+a\r\n:0\r\n*1\r\n+p\r\n',
    );
    expect(text(resp({ version: 3 }), null)).toBe('_\r\n');
  });

  it('inline commands are words, and only on request', () => {
    expect(fault(resp(), 'PING\r\n')).toBe('BAD_TYPE');
    expect(one(resp({ inline: true }), 'SET  k v\r\n')).toEqual([bytes('SET'), bytes('k'), bytes('v')]);
    expect(decodeAll(resp({ inline: true }), bytes('PING\n*1\r\n$1\r\na\r\n'))).toEqual([
      [bytes('PING')],
      [bytes('a')],
    ]);
    expect(fault(resp({ inline: true }), '*1\r\nPING\r\n')).toBe('BAD_TYPE');
  });

  it('every digit and every terminator is looked at, claimed lengths are bounded', () => {
    const faults: [string, string][] = [
      ['$abc\r\n', 'BAD_DIGIT'],
      [':12a4\r\n', 'BAD_DIGIT'],
      [':\r\n', 'BAD_DIGIT'],
      [':9223372036854775808\r\n', 'BAD_VALUE'],
      [':-9223372036854775809\r\n', 'BAD_VALUE'],
      [':+99999999999999999999\r\n', 'BAD_VALUE'],
      ['$3\r\nfooXX', 'BAD_TRAILER'],
      ['$-2\r\n', 'BAD_DIGIT'],
      ['$\r\n', 'BAD_DIGIT'],
      ['$1\n', 'BARE_LF'],
      ['$1\rx', 'BAD_DELIMITER'],
      ['+a\n', 'BARE_LF'],
      ['#x\r\n', 'BAD_VALUE'],
      [',1.2.3\r\n', 'BAD_DIGIT'],
      ['(12x\r\n', 'BAD_DIGIT'],
      ['=3\r\ntxt\r\n', 'BAD_HEADER'],
      ['$99999999999\r\n', 'FRAME_TOO_LONG'],
      ['*1000000000\r\n', 'FRAME_TOO_LONG'],
      ['%999999999\r\n', 'FRAME_TOO_LONG'],
      [`$${'0'.repeat(30)}`, 'BAD_LENGTH'],
      ['*1\r\n'.repeat(65), 'FRAME_TOO_LONG'],
      [`(${'9'.repeat(5000)}\r\n`, 'FRAME_TOO_LONG'],
    ];
    for (const [stream, code] of faults) expect(fault(resp(), stream), stream).toBe(code);
    expect(fault(resp({ maxFrameLength: 3 }), '$4\r\n')).toBe('FRAME_TOO_LONG');
    expect(fault(resp({ maxFrameLength: 6 }), '*2\r\n+a\r\n+bc\r\n')).toBe('FRAME_TOO_LONG');
  });

  it('nothing that would be read as more than one message is written', () => {
    expect(refusal(resp(), 'a\r\nb')).toBe('BAD_DELIMITER');
    expect(text(resp(), new RespError('a\r\nb'))).toBe('!4\r\na\r\nb\r\n');
    expect(refusal(resp({ version: 2 }), new RespError('a\r\nb'))).toBe('BAD_DELIMITER');
    const loop: unknown[] = [];
    loop.push(loop);
    expect(refusal(resp(), loop)).toBe('BAD_VALUE');
    expect(refusal(resp(), undefined)).toBe('ERR_FRAMING_MESSAGE');
    expect(refusal(resp(), {})).toBe('ERR_FRAMING_MESSAGE');
    expect(refusal(resp({ raw: true }), bytes('+a\r\n+b\r\n'))).toBe('BAD_VALUE');
  });

  it('the encoder refuses exactly what a decoder with the same limit refuses', () => {
    const messages = [
      ...['', 'abc', bytes('abcd'), bytes(''), 123456, -12, null, true, 1.25, 2n ** 70n, [], [null, null], [1, 'ab']],
      ...[
        [bytes('a'), [bytes('bc')]],
        new Map([['k', 1]]),
        new RespError('ERR x'),
        new RespVerbatim('txt', bytes('x')),
      ],
      ...[[[], []], new RespSet(1, 2, 3), [[null], 'abcdef']],
    ] as RespMessage[];
    const outcomes = new Set<string>();
    for (const version of [undefined, 2, 3] as const) {
      for (const message of messages) {
        const stream = text(resp({ version }), message);
        for (let maxFrameLength = 0; maxFrameLength < 30; maxFrameLength++) {
          const codec = resp({ version, maxFrameLength });
          const decoded = fault(codec, stream) ?? 'fine';
          const encoded = refusal(codec, message) ?? 'fine';
          expect(encoded, `${stream} ${maxFrameLength}`).toBe(decoded);
          outcomes.add(encoded);
        }
      }
    }
    expect([...outcomes].sort()).toEqual(['FRAME_TOO_LONG', 'fine']);
  });

  it('the encoder writes big numbers of as many digits as a decoder takes', () => {
    const longest = 10n ** 4096n - 1n;
    expect(decodeAll(resp(), encodeAll(resp(), [longest]))).toEqual([longest]);
    expect(refusal(resp(), longest + 1n)).toBe('FRAME_TOO_LONG');
    expect(refusal(resp(), -longest)).toBe('FRAME_TOO_LONG');
    expect(text(resp({ version: 2 }), longest + 1n)).toHaveLength(4097 + 9);
  });

  it('an array that drips in is looked through once: a thousand strings in a hundred thousand chunks', () => {
    const stream = encodeAll(resp(), [Array.from({ length: 3000 }, () => bytes('x'.repeat(30)))]);
    let reads = 0;
    const counted: Codec<unknown, never> = {
      decode: (input) =>
        resp().decode(
          new Proxy(input, {
            get: (target, name) => {
              if (name === 'u8') reads++;
              const value = Reflect.get(target, name, target) as unknown;
              return typeof value === 'function' ? value.bind(target) : value;
            },
            set: (target, name, value) => Reflect.set(target, name, value, target),
          }),
        ),
      encode: () => {},
    };
    const framer = new Framed(counted, () => {});
    for (let at = 0; at < stream.length; at += 3) framer.push(stream.slice(at, at + 3));
    expect(reads).toBeLessThan(5 * stream.length);
  });
});
