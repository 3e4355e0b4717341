import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Codec, decodeAll, delimiter, encodeAll, Framed, fixed, type Input, lengthField, lines } from './index.js';
import { comesBack, cut, cuts, makerOf, sameInAnyChunking } from './testing/properties.js';
import { hex, outcome } from './testing/rechunk.js';

/** Few different bytes, so that delimiters, pieces of delimiters and near misses are everywhere. */
const streams = fc
  .uint8Array({ maxLength: 60 })
  .map((bytes) => bytes.map((byte) => [13, 10, 97, 98, 0, 13, 10, 97][byte & 7]!));
function holdsInAnyChunking(codecs: fc.Arbitrary<Codec<Uint8Array, never>>): void {
  sameInAnyChunking(codecs, streams, 3000);
}

const delimitedOptions = {
  strip: fc.boolean(),
  final: fc.constantFrom('emit' as const, 'error' as const),
  maxFrameLength: fc.constantFrom(0, 1, 2, 3, 5, 1000),
  onTooLong: fc.constantFrom('error' as const, 'discard' as const),
};

describe('any bytes in any chunking give the same messages, the same skipped frames and the same error at the same place', () => {
  it('lines', () => {
    holdsInAnyChunking(
      fc
        .record({
          ...delimitedOptions,
          eol: fc.constantFrom('lf' as const, 'crlf' as const, 'any' as const),
          bareLF: fc.constantFrom('allow' as const, 'error' as const),
        })
        .map((options) => lines(options.eol === 'any' ? { ...options, bareLF: 'allow' } : options)),
    );
  });

  it('delimiter', () => {
    const delimiters = fc.uniqueArray(fc.constantFrom('\n', '\r\n', 'a', 'ab', 'aa', 'aba', '\r\r\n', '\0', 'b\n'), {
      minLength: 1,
      maxLength: 3,
    });
    holdsInAnyChunking(fc.record({ ...delimitedOptions, delimiters }).map((options) => delimiter(options)));
  });

  it('fixed', () => {
    holdsInAnyChunking(fc.integer({ min: 1, max: 9 }).map((length) => fixed({ length })));
  });

  it('lengthField', () => {
    holdsInAnyChunking(
      fc
        .record({
          size: fc.integer({ min: 1, max: 8 }),
          endian: fc.constantFrom('be' as const, 'le' as const),
          offset: fc.nat(3),
          adjust: fc.integer({ min: -12, max: 3 }),
          strip: fc.option(fc.nat(12), { nil: undefined }),
          maxFrameLength: fc.constantFrom(0, 3, 12, 1000),
          onTooLong: fc.constantFrom('error' as const, 'discard' as const),
          trailer: fc.option(fc.constantFrom('\n', 'a'), { nil: undefined }),
        })
        .map((options) => lengthField(options)),
    );
  });

  it('lengthField with read', () => {
    const read = (input: Input) => {
      if (!input.has(2)) return undefined;
      const length = input.u8(1) & 15;
      input.skip(2);
      return length;
    };
    holdsInAnyChunking(
      fc
        .record({
          maxFrameLength: fc.constantFrom(0, 3, 12),
          onTooLong: fc.constantFrom('error' as const, 'discard' as const),
          keepHeader: fc.boolean(),
        })
        .map((options) => lengthField({ ...options, read })),
    );
  });
});

/** The definition of `lines` and `delimiter` on a whole stream, the slow way. */
function splitSlowly(bytes: Uint8Array, delimiters: readonly string[]): string[] {
  const text = Buffer.from(bytes).toString('latin1');
  const frames: string[] = [];
  let start = 0;
  for (let end = 1; end <= text.length; end++) {
    const ends = delimiters.filter((each) => end - each.length >= start && text.slice(start, end).endsWith(each));
    if (ends.length === 0) continue;
    const longest = Math.max(...ends.map((each) => each.length));
    frames.push(text.slice(start, end - longest));
    start = end;
  }
  if (start < text.length) frames.push(text.slice(start));
  return frames;
}

describe('what the codecs find is what their definition says', () => {
  it('of several delimiters the one that is complete first ends the frame, and of those complete together the longest', () => {
    const delimiters = fc.uniqueArray(fc.constantFrom('\n', '\r\n', 'a', 'ab', 'aa', 'aba', '\r\r\n'), {
      minLength: 1,
    });
    fc.assert(
      fc.property(delimiters, streams, (each, bytes) => {
        const frames = decodeAll(delimiter({ delimiters: each, final: 'emit' }), bytes);
        expect(frames.map((frame) => Buffer.from(frame).toString('latin1'))).toEqual(splitSlowly(bytes, each));
      }),
      { numRuns: 2000 },
    );
  });

  it('lines with any line end are what a regular expression finds', () => {
    fc.assert(
      fc.property(streams, (bytes) => {
        const expected = Buffer.from(bytes)
          .toString('latin1')
          .split(/\r\n|\r|\n/);
        if (expected.at(-1) === '') expected.pop();
        const frames = decodeAll(lines({ eol: 'any' }), bytes);
        expect(frames.map((frame) => Buffer.from(frame).toString('latin1'))).toEqual(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it('lines that keep their ends lose no byte of the stream', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('lf' as const, 'crlf' as const, 'any' as const),
        streams,
        cuts,
        (eol, bytes, sizes) => {
          const { frames } = outcome(makerOf(lines({ eol, strip: false })), cut(bytes, sizes));
          expect(frames.join('')).toBe(hex(bytes));
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('what was encoded is decoded again, cut at random', () => {
  const payloads = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 });

  function roundTrips(codec: Codec<Uint8Array>, messages: fc.Arbitrary<Uint8Array[]>): void {
    comesBack(fc.constant(codec), messages, 300);
  }

  it('fixed', () => {
    const exact = fc.array(fc.uint8Array({ minLength: 7, maxLength: 7 }), { maxLength: 12 });
    roundTrips(fixed({ length: 7 }) as Codec<Uint8Array>, exact);
  });

  for (const size of [1, 2, 3, 4, 5, 6, 7, 8]) {
    for (const endian of ['be', 'le'] as const) {
      for (const counts of ['payload', 'rest', 'frame'] as const) {
        it(`lengthField, ${size} bytes ${endian}, counts ${counts}`, () => {
          roundTrips(lengthField({ size, endian, counts, offset: size % 3 }) as Codec<Uint8Array>, payloads);
          roundTrips(lengthField({ size, endian, counts, trailer: '\r\n' }) as Codec<Uint8Array>, payloads);
          roundTrips(lengthField({ size, endian, counts, strip: size + 2 }) as Codec<Uint8Array>, payloads);
        });
      }
    }
  }

  /** A payload that the encoder takes comes back; one that it refuses would not have. */
  function refusesExactlyWhatWouldNotComeBack(
    codec: Codec<Uint8Array>,
    unchecked: (payload: Uint8Array) => Uint8Array,
  ): void {
    let refused = 0;
    fc.assert(
      fc.property(streams, cuts, (payload, sizes) => {
        let bytes: Uint8Array;
        try {
          bytes = encodeAll(codec, [payload]);
        } catch (error) {
          expect(error).toMatchObject({ name: 'FramingError', code: 'BAD_DELIMITER' });
          refused++;
          expect(decodeAll(codec, unchecked(payload)).map(hex)).not.toEqual([hex(payload)]);
          return;
        }
        expect(outcome(makerOf(codec), cut(bytes, sizes)).frames).toEqual([hex(payload)]);
      }),
      { numRuns: 2000 },
    );
    expect(refused).toBeGreaterThan(100);
  }

  const behind = (end: string) => (payload: Uint8Array) => Buffer.concat([payload, Buffer.from(end)]);

  it('delimiter: the encoder refuses exactly the payloads that would not come back', () => {
    for (const delimiters of [['a'], ['aa'], ['aba', 'b\n'], ['\n', '\r\n'], ['\r\n', '\n'], ['ab', 'b']]) {
      const codec = delimiter({ delimiters, final: 'emit' }) as Codec<Uint8Array>;
      refusesExactlyWhatWouldNotComeBack(codec, behind(delimiters[0]!));
    }
  });

  it('lines: the encoder refuses exactly the payloads that would not come back', () => {
    refusesExactlyWhatWouldNotComeBack(lines() as Codec<Uint8Array>, behind('\n'));
    refusesExactlyWhatWouldNotComeBack(lines({ eol: 'any' }) as Codec<Uint8Array>, behind('\n'));
  });

  it('one codec object serves many interleaved streams: nothing of a stream is kept in it', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('lf' as const, 'crlf' as const, 'any' as const),
        fc.array(streams, { minLength: 2, maxLength: 4 }),
        (eol, all) => {
          const codec = lines({ eol, maxFrameLength: 3, onTooLong: 'discard' });
          const got: string[][] = all.map(() => []);
          const framers = all.map((_, i) => new Framed(codec, (line) => got[i]!.push(hex(line))));
          for (let at = 0; at < 60; at++) {
            for (const [i, bytes] of all.entries()) if (at < bytes.length) framers[i]!.push(bytes.slice(at, at + 1));
          }
          for (const framer of framers) framer.end();
          expect(got).toEqual(all.map((bytes) => outcome(makerOf(codec), [bytes]).frames));
        },
      ),
      { numRuns: 300 },
    );
  });
});
