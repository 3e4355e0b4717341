import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cobs, encodeAll, Framed, slip } from '../index.js';
import { cut, cuts, makerOf, sameInAnyChunking, streamsOf } from '../testing/properties.js';
import { hex, outcome, unhex } from '../testing/rechunk.js';

describe.each([
  ['slip', slip, 0xc0, [0xc0, 0xdb, 0xdc, 0xdd, 1, 2]],
  ['cobs', cobs, 0x00, [0, 1, 1, 2, 2, 3, 0xff]],
] as const)('%s that discards what is too long', (_name, codecWith, end, alphabet) => {
  it('reports such a frame once, and delivers all others, whatever the cuts', () => {
    let discarded = 0;
    fc.assert(
      fc.property(
        fc.array(streamsOf(alphabet, 12), { maxLength: 8 }),
        fc.constantFrom(0, 1, 3, 8),
        cuts,
        (payloads, maxFrameLength, sizes) => {
          const sent = payloads.filter((payload) => payload.length > 0);
          const bytes = encodeAll(codecWith(), sent);
          const { frames, skipped, error } = outcome(
            makerOf(codecWith({ maxFrameLength, onTooLong: 'discard' })),
            cut(bytes, sizes),
          );
          const [good, bad] = [true, false].map((fits) =>
            sent.filter(({ length }) => length <= maxFrameLength === fits),
          );
          discarded += bad!.length;
          expect(error).toBeUndefined();
          expect(frames).toEqual(good!.map(hex));
          expect(skipped).toHaveLength(bad!.length);
        },
      ),
      { numRuns: 1000 },
    );
    expect(discarded).toBeGreaterThan(100);
  });

  it('gives the same in any chunking, whatever comes', () => {
    const codecs = fc
      .constantFrom(0, 1, 2, 5)
      .map((maxFrameLength) => codecWith({ maxFrameLength, onTooLong: 'discard' }));
    sameInAnyChunking(codecs, streamsOf(alphabet), 3000);
  });

  it('tells where the frame begins, as soon as the limit is passed, and holds nothing of the rest', () => {
    const errors: unknown[] = [];
    const framer = new Framed(codecWith({ maxFrameLength: 2, onTooLong: 'discard' }), () => {}, {
      onError: ({ code, offset, recoverable }) => errors.push([code, offset, recoverable]),
    });
    framer.push(unhex(`${hex(Uint8Array.of(end))}04010203`));
    expect(errors).toEqual([['FRAME_TOO_LONG', 1, true]]);
    expect(framer.buffered).toBe(0);
    for (let i = 0; i < 1000; i++) framer.push(Uint8Array.of(7));
    expect(framer.buffered).toBe(0);
    framer.end();
    expect(errors).toHaveLength(1);
  });

  it('is fatal unless it is told to discard', () => {
    const framer = new Framed(codecWith({ maxFrameLength: 2 }), () => {});
    expect(() => framer.push(unhex('04010203'))).toThrow(
      expect.objectContaining({ code: 'FRAME_TOO_LONG', offset: 0, recoverable: false }),
    );
  });
});
