import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll, Framed, type VarintOptions, varint } from '../index.js';
import { comesBack, fails, sameInAnyChunking, streamsOf } from '../testing/properties.js';
import { hex, unhex } from '../testing/rechunk.js';

const decode = (options: VarintOptions, text: string) => decodeAll(varint(options), unhex(text)).map(hex);
const encode = (options: VarintOptions, text: string) => hex(encodeAll(varint(options), [unhex(text)]));
const push = (options: VarintOptions, text: string) => () => new Framed(varint(options), () => {}).push(unhex(text));
const endless = { maxFrameLength: Number.POSITIVE_INFINITY };

describe('varint', () => {
  it('a length that is longer than it need be is read as it stands, and canonical forbids it', () => {
    expect(decode({}, '8500aabbccddee01ff')).toEqual(['aabbccddee', 'ff']);
    expect(decode({}, '80808080 00'.replace(' ', ''))).toEqual(['']);
    expect(push({ canonical: true }, '8500')).toThrow(fails('BAD_VARINT', { offset: 1 }));
    expect(decode({ canonical: true }, '00')).toEqual(['']);
  });

  it('a length has as many bytes as it may, and the one too many is told when its predecessor has come', () => {
    for (let maxBytes = 1; maxBytes <= 10; maxBytes++) {
      const long = 'ff'.repeat(maxBytes - 1);
      expect(push({ maxBytes, ...endless }, `${long}ff`)).toThrow(fails('BAD_VARINT', { offset: maxBytes - 1 }));
      if (maxBytes <= 7) expect(push({ maxBytes, ...endless }, `${long}7f`)).not.toThrow();
    }
    expect(push({ ...endless }, 'ffffffff0f')).not.toThrow();
    expect(push({ ...endless }, 'ffffffffff')).toThrow(fails('BAD_VARINT', { offset: 4 }));
  });

  it('no bit is lost above 28 and 32 bits, and above 2^53-1 it is BAD_LENGTH', () => {
    const needed = (text: string) => {
      const framer = new Framed(varint({ maxBytes: 10, ...endless }), () => {});
      framer.push(unhex(text));
      return framer.needed - text.length / 2;
    };
    expect(needed('ffffff7f')).toBe(2 ** 28 - 1);
    expect(needed('8080808001')).toBe(2 ** 28);
    expect(needed('ffffffff0f')).toBe(2 ** 32 - 1);
    expect(needed('8080808020')).toBe(2 ** 33);
    expect(needed('ffffffffffff7f')).toBe(2 ** 49 - 1);
    expect(push({ maxBytes: 10, ...endless }, 'ffffffffffffff1f')).toThrow(fails('BAD_LENGTH'));
    expect(push({ maxBytes: 10, ...endless }, 'ffffffffffffffff7f')).toThrow(fails('BAD_LENGTH'));
  });

  it('the limit strikes before the payload has come', () => {
    expect(push({ maxFrameLength: 5 }, '06')).toThrow(fails('FRAME_TOO_LONG', { offset: 0 }));
    expect(push({ offset: 1, maxFrameLength: 5 }, 'ee06')).toThrow(fails('FRAME_TOO_LONG', { offset: 0 }));
    expect(decode({ maxFrameLength: 2 }, '02aabb')).toEqual(['aabb']);
  });

  it('bytes before the length are dropped and written as zeros, or kept and brought along', () => {
    expect(decode({ offset: 2 }, 'eeee01aa')).toEqual(['aa']);
    expect(encode({ offset: 2 }, 'aa')).toBe('000001aa');
    const mqtt = { offset: 1, maxBytes: 4, keepHeader: true } as const;
    expect(decode(mqtt, '3001aac000')).toEqual(['3001aa', 'c000']);
    expect(encode(mqtt, '3001aa')).toBe('3001aa');
    for (const [message, code] of [
      ['3002aa', 'BAD_LENGTH'],
      ['3000aa', 'BAD_LENGTH'],
      ['30', 'BAD_LENGTH'],
      ['30ff', 'BAD_LENGTH'],
      ['30ffffffff01', 'BAD_VARINT'],
    ] as const) {
      expect(() => encode(mqtt, message), message).toThrow(fails(code));
    }
    expect(() => encode({ ...mqtt, canonical: true }, '308100aa')).toThrow(fails('BAD_VARINT'));
    expect(encode(mqtt, '308100aa')).toBe('308100aa');
    expect(() => encode({ ...mqtt, maxFrameLength: 0 }, '3001aa')).toThrow(fails('FRAME_TOO_LONG'));
  });

  it('the encoder refuses what the limit forbids or the length cannot hold', () => {
    expect(() => encode({ maxFrameLength: 1 }, 'aabb')).toThrow(fails('FRAME_TOO_LONG'));
    expect(() => encode({ maxBytes: 1 }, '00'.repeat(128))).toThrow(fails('FRAME_TOO_LONG'));
    expect(encode({ maxBytes: 1 }, '00'.repeat(127)).slice(0, 2)).toBe('7f');
    expect(encode({ maxBytes: 3 }, '00'.repeat(16_384)).slice(0, 6)).toBe('808001');
  });

  it('every length of one to three bytes, at every place where its prefix can be cut', () => {
    for (const length of [0, 1, 127, 128, 300, 16_383, 16_384, 2 ** 21 - 1, 2 ** 21]) {
      const payload = new Uint8Array(length).fill(7);
      const bytes = encodeAll(varint(), [payload, payload]);
      for (let at = 1; at <= 5 && at < bytes.length; at++) {
        const got: number[] = [];
        const framer = new Framed(varint(), (frame) => got.push(frame.length));
        framer.push(bytes.slice(0, at));
        framer.push(bytes.slice(at));
        framer.end();
        expect(got, `${length} cut at ${at}`).toEqual([length, length]);
      }
    }
  });

  it('gives the same in any chunking, and what was encoded comes back', () => {
    const options = {
      maxBytes: fc.integer({ min: 1, max: 10 }),
      canonical: fc.boolean(),
      offset: fc.nat(3),
      keepHeader: fc.boolean(),
      maxFrameLength: fc.constantFrom(0, 3, 12, 1000, Number.POSITIVE_INFINITY),
    };
    sameInAnyChunking(fc.record(options).map(varint), streamsOf([0, 0, 1, 2, 5, 0x7f, 0x80, 0x80, 0x81, 0xff]));
    const roomy = fc.record({ maxBytes: fc.integer({ min: 2, max: 10 }), canonical: fc.boolean(), offset: fc.nat(3) });
    comesBack(roomy.map(varint), fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }));
  });
});
