import fc from 'fast-check';
import { expect } from 'vitest';
import { type Codec, encodeAll, Framed } from '../index.js';
import { hex, type MakeFramer, outcome } from './rechunk.js';

// biome-ignore lint/suspicious/noExplicitAny: codecs of any messages
export type AnyCodec = Codec<any, any>;

/** Where a stream is cut: sizes of its pieces, of which some are empty. */
export const cuts = fc.array(fc.nat(12), { maxLength: 80 });

export function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const size of sizes) {
    pieces.push(bytes.slice(at, at + size));
    at += size;
  }
  pieces.push(bytes.slice(at));
  return pieces;
}

export function makerOf(codec: AnyCodec, maxBuffered?: number, copy?: boolean): MakeFramer {
  return (onMessage, onError) => new Framed(codec as Codec<unknown, never>, onMessage, { onError, maxBuffered, copy });
}

/** Streams of few different bytes, so that what means something to the codec, and near misses of it, are everywhere. */
export function streamsOf(alphabet: readonly number[] | string, maxLength = 60): fc.Arbitrary<Uint8Array> {
  const bytes = typeof alphabet === 'string' ? [...Buffer.from(alphabet, 'latin1')] : alphabet;
  return fc.array(fc.constantFrom(...bytes), { maxLength }).map((each) => Uint8Array.from(each));
}

/**
 * Any bytes in any chunking give the same messages, the same skipped frames and the same error at the same place, with
 * and without the end of the stream, and with a limit of the framer.
 */
export function sameInAnyChunking(
  codecs: fc.Arbitrary<AnyCodec>,
  streams: fc.Arbitrary<Uint8Array>,
  numRuns = 1500,
): void {
  const limits = fc.option(fc.integer({ min: 1, max: 12 }), { freq: 3 });
  fc.assert(
    fc.property(codecs, streams, cuts, limits, fc.boolean(), fc.boolean(), (codec, bytes, sizes, limit, end, copy) => {
      const make = makerOf(codec, limit ?? undefined, copy);
      const whole = outcome(make, [bytes], end);
      expect(outcome(make, cut(bytes, sizes), end)).toEqual(whole);
      expect(outcome(make, cut(bytes, Array(bytes.length).fill(1)), end)).toEqual(whole);
    }),
    { numRuns },
  );
}

/** Messages that are encoded and cut at random come back. */
export function comesBack<M>(codecs: fc.Arbitrary<AnyCodec>, messages: fc.Arbitrary<M[]>, numRuns = 500): void {
  fc.assert(
    fc.property(codecs, messages, cuts, (codec, sent, sizes) => {
      const { frames, error } = outcome(makerOf(codec), cut(encodeAll(codec as Codec<M>, sent), sizes));
      expect(error).toBeUndefined();
      expect(frames).toEqual(sent.map(hex));
    }),
    { numRuns },
  );
}

/** What `encodeAll`, or whatever `act` does, throws. */
export function fails(code: string, info: object = {}): unknown {
  return expect.objectContaining({ name: 'FramingError', code, ...info });
}
