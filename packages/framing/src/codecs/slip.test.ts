import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll, Framed, type LimitOptions, slip } from '../index.js';
import { comesBack, fails, sameInAnyChunking, streamsOf } from '../testing/properties.js';
import { hex, unhex } from '../testing/rechunk.js';

const decode = (text: string, options: LimitOptions = {}) => decodeAll(slip(options), unhex(text)).map(hex);

describe('slip', () => {
  it('frames without escapes are views of the chunk', () => {
    const chunk = Buffer.from('c0616263c0', 'hex');
    const [frame] = decodeAll(slip(), chunk);
    expect(frame!.buffer).toBe(chunk.buffer);
    expect(String(frame)).toBe('abc');
  });

  it('an escape before anything but its two codes is told where that stands', () => {
    for (const [bytes, offset] of [
      ['01db02c0', 2],
      ['c0dbdbc0', 2],
      ['01dbc0', 2],
      ['02c001dbdddb00c0', 6],
    ] as const) {
      expect(() => decode(bytes), bytes).toThrow(fails('BAD_ESCAPE', { offset }));
    }
  });

  it('a bad escape in a frame that the stream ends is told, an open one is the end inside a frame', () => {
    expect(() => decode('01db02')).toThrow(fails('BAD_ESCAPE', { offset: 2 }));
    expect(() => decode('01db')).toThrow(fails('UNEXPECTED_EOF'));
    expect(() => decode('01')).toThrow(fails('UNEXPECTED_EOF'));
    expect(decode('c0c0c0')).toEqual([]);
  });

  it('the limit counts what the escapes stand for, and strikes when the byte too many comes', () => {
    expect(decode('dbdcdbdcc0', { maxFrameLength: 2 })).toEqual(['c0c0']);
    const framer = new Framed(slip({ maxFrameLength: 2 }), () => {});
    framer.push(unhex('dbdcdbdcdb'));
    expect(() => framer.push(unhex('dd'))).toThrow(fails('FRAME_TOO_LONG', { offset: 0 }));
  });

  it('how far a frame was judged does not count for the next one', () => {
    const framer = new Framed(slip({ maxFrameLength: 2 }), () => {});
    framer.push(unhex('dbdcdbdc'));
    framer.push(unhex('c0'));
    expect(() => framer.push(unhex('010203c0'))).toThrow(fails('FRAME_TOO_LONG', { offset: 5 }));
  });

  it('what is wrong first is told: a bad escape before the byte too many, or behind it', () => {
    for (const cut of [1, 2, 3, 4, 5, 6]) {
      for (const [bytes, code] of [
        ['01db020304c0', 'BAD_ESCAPE'],
        ['010203db04c0', 'FRAME_TOO_LONG'],
      ] as const) {
        const framer = new Framed(slip({ maxFrameLength: 2 }), () => {});
        const feed = () => {
          framer.push(unhex(bytes).slice(0, cut));
          framer.push(unhex(bytes).slice(cut));
        };
        expect(feed, `${bytes} cut at ${cut}`).toThrow(fails(code));
      }
    }
  });

  it('the encoder refuses an empty payload, which would be no frame, and one above the limit', () => {
    expect(() => encodeAll(slip(), [''])).toThrow(fails('BAD_LENGTH'));
    expect(() => encodeAll(slip({ maxFrameLength: 1 }), ['ab'])).toThrow(fails('FRAME_TOO_LONG'));
    expect(hex(encodeAll(slip(), [unhex('c0'), unhex('61'), unhex('dbdb61')]))).toBe('dbdcc061c0dbdddbdd61c0');
  });

  it('a frame that was delivered is its own: later chunks do not change it', () => {
    const got: Uint8Array[] = [];
    const framer = new Framed(slip(), (frame) => got.push(frame));
    for (const byte of unhex('61dbdc62c063dbdd64c0')) framer.push(Uint8Array.of(byte));
    expect(got.map(hex)).toEqual(['61c062', '63db64']);
  });

  it('gives the same in any chunking, and what was encoded comes back', () => {
    const codecs = fc.constantFrom(0, 1, 2, 5, 1000).map((maxFrameLength) => slip({ maxFrameLength }));
    sameInAnyChunking(codecs, streamsOf([0xc0, 0xdb, 0xdb, 0xdc, 0xdd, 1, 2]), 3000);
    const payloads = fc.oneof(streamsOf([0xc0, 0xdb, 0xdc, 0xdd, 1]), fc.uint8Array({ maxLength: 3000 }));
    comesBack(
      fc.constant(slip()),
      fc.array(
        payloads.filter((each) => each.length > 0),
        { maxLength: 6 },
      ),
    );
  });
});
