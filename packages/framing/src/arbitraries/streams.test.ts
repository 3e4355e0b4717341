import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Codec, delimiter, lengthField } from '../index.js';
import { type ArbitraryLike, payloads, roundTrips, streams } from './index.js';

/** What fast-check calls an arbitrary, which the package does not name. */
const real = <T>(arbitrary: ArbitraryLike<T>): fc.Arbitrary<T> => arbitrary as unknown as fc.Arbitrary<T>;

describe('the arbitraries', () => {
  it('let a round trip be checked in one line', () => {
    const codec = lengthField({ size: 2 });
    fc.assert(fc.property(real(streams(fc, codec, payloads(fc))), roundTrips(codec)));
  });

  it('give chunks that are the stream, in order', () => {
    const codec = lengthField({ size: 1 });
    fc.assert(
      fc.property(real(streams(fc, codec, payloads(fc))), ({ bytes, chunks }) => {
        expect(Buffer.concat(chunks)).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it('give payloads without a delimiter', () => {
    const ending = new TextEncoder().encode('ab');
    const codec = delimiter({ delimiters: [ending] });
    const parts = payloads(fc, { without: [ending], maxLength: 20 }).filter((payload) => payload.at(-1) !== 0x61);
    fc.assert(fc.property(real(streams(fc, codec, parts)), roundTrips(codec)));
  });

  it('find a codec whose messages do not come back', () => {
    const right = lengthField({ size: 1 });
    const wrong: Codec<Uint8Array> = {
      decode: (input) => right.decode(input),
      encode: (bytes, output) => right.encode(bytes.slice(1), output),
    };
    expect(() => fc.assert(fc.property(real(streams(fc, wrong, payloads(fc))), roundTrips(wrong)))).toThrow();
  });
});
