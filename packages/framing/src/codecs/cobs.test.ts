import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cobs, decodeAll, encodeAll, Framed, type LimitOptions } from '../index.js';
import { comesBack, fails, sameInAnyChunking, streamsOf } from '../testing/properties.js';
import { hex, unhex } from '../testing/rechunk.js';

const decode = (text: string, options: LimitOptions = {}) => decodeAll(cobs(options), unhex(text)).map(hex);
const encode = (text: string) => hex(encodeAll(cobs(), [unhex(text)]));
/** 01 02 … ff, as often as needed. */
const count = (from: number, to: number) =>
  hex(Uint8Array.from({ length: to - from + 1 }, (_, i) => ((from + i - 1) % 255) + 1));

describe('cobs', () => {
  it('the examples of Wikipedia, in both directions', () => {
    for (const [payload, frame] of [
      ['', '0100'],
      ['00', '010100'],
      ['0000', '01010100'],
      ['001100', '0102110100'],
      ['11220033', '031122023300'],
      ['11223344', '051122334400'],
      ['11000000', '021101010100'],
      [count(1, 254), `ff${count(1, 254)}00`],
      [`00${count(1, 254)}`, `01ff${count(1, 254)}00`],
      [count(1, 255), `ff${count(1, 254)}02ff00`],
      [`${count(2, 255)}00`, `ff${count(2, 255)}010100`],
      [`${count(3, 255)}0001`, `fe${count(3, 255)}020100`],
    ] as const) {
      expect(encode(payload), payload).toBe(frame);
      expect(decode(frame), payload).toEqual([payload]);
    }
  });

  it('an empty block behind a full one, which others write, is read as well', () => {
    expect(decode(`ff${count(1, 254)}0100`)).toEqual([count(1, 254)]);
  });

  it('a payload without zeros is a view of the chunk', () => {
    const chunk = Buffer.from('0461626300', 'hex');
    const [frame] = decodeAll(cobs(), chunk);
    expect(frame!.buffer).toBe(chunk.buffer);
    expect(String(frame)).toBe('abc');
  });

  it('a block that reaches over the end of its frame is told where it begins', () => {
    expect(() => decode('05110000')).toThrow(fails('BAD_ESCAPE', { offset: 0 }));
    expect(() => decode('0201000211030100')).toThrow(fails('BAD_ESCAPE', { offset: 5 }));
    expect(() => decode('ff0100')).toThrow(fails('BAD_ESCAPE', { offset: 0 }));
  });

  it('zeros between frames are dropped', () => {
    expect(decode('000002610000026200')).toEqual(['61', '62']);
  });

  it('the limit counts decoded bytes, and strikes when the byte too many is certain', () => {
    expect(decode('01010100', { maxFrameLength: 2 })).toEqual(['0000']);
    const framer = new Framed(cobs({ maxFrameLength: 2 }), () => {});
    framer.push(unhex('010101'));
    expect(() => framer.push(unhex('01'))).toThrow(fails('FRAME_TOO_LONG', { offset: 0 }));
    expect(() => new Framed(cobs({ maxFrameLength: 2 }), () => {}).push(unhex('ff010203'))).toThrow(
      fails('FRAME_TOO_LONG'),
    );
    expect(() => encodeAll(cobs({ maxFrameLength: 1 }), ['ab'])).toThrow(fails('FRAME_TOO_LONG'));
    expect(() => decode('0301')).toThrow(fails('UNEXPECTED_EOF'));
  });

  it('gives the same in any chunking, and what was encoded comes back', () => {
    const codecs = fc.constantFrom(0, 1, 2, 5, 1000).map((maxFrameLength) => cobs({ maxFrameLength }));
    sameInAnyChunking(codecs, streamsOf([0, 1, 1, 2, 2, 3, 4, 0xff]), 3000);
    const payloads = fc.oneof(
      streamsOf([0, 1, 2]),
      fc.uint8Array({ maxLength: 900 }),
      fc.nat(900).map((length) => new Uint8Array(length).fill(1)),
    );
    comesBack(fc.constant(cobs()), fc.array(payloads, { maxLength: 6 }));
  });

  it('costs one byte in 254 at the most', () => {
    for (const length of [0, 1, 253, 254, 255, 508, 509, 10_000]) {
      const frame = encodeAll(cobs(), [new Uint8Array(length).fill(9)]);
      expect(frame.length, String(length)).toBe(length + Math.max(1, Math.ceil(length / 254)) + 1);
    }
  });
});
