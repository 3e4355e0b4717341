import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Codec,
  decodeAll,
  delimiter,
  encodeAll,
  Framed,
  type Input,
  lengthField,
  lines,
  Needles,
} from './index.js';
import { hex, inPieces } from './testing/rechunk.js';
import { retainedBytes } from './testing/retained-bytes.js';

function header(length: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, length);
  return bytes;
}

/** Counts how often a codec is asked. */
function counting<I, O>(codec: Codec<I, O>): Codec<I, O> & { calls: number } {
  return {
    calls: 0,
    decode(input) {
      this.calls++;
      return codec.decode(input);
    },
    end: (input) => codec.end?.(input),
    encode: (message, output) => codec.encode(message, output),
  };
}

function framerOf(decode: (input: Input) => unknown, got: unknown[] = []): Framed<unknown> {
  return new Framed<unknown>({ decode, encode() {} }, (message) => got.push(message));
}

describe('frames of all sizes in chunks of all sizes', () => {
  const sizes = fc.array(fc.oneof(fc.nat(40), fc.nat(3000), fc.nat(20_000)), { maxLength: 20 });
  const cuts = fc.array(fc.oneof(fc.nat(5), fc.nat(1500), fc.integer({ min: 1000, max: 9000 })), { maxLength: 120 });

  function payloadsOf(lengths: readonly number[]): Uint8Array[] {
    let seed = 7;
    const printable = (): number => {
      seed = (seed * 1103515245 + 12345) >>> 0;
      return 32 + ((seed >>> 24) % 90);
    };
    return lengths.map((length) => Uint8Array.from({ length }, printable));
  }

  for (const [name, codec] of [
    ['lengthField', lengthField()],
    ['lines', lines({ eol: 'crlf' })],
    ['delimiter', delimiter({ delimiters: ['\n', '\0\0\0'] })],
  ] as const) {
    for (const copy of [false, true]) {
      it(`${name}, copy ${copy}: what was sent arrives, and no frame is written to afterwards`, () => {
        fc.assert(
          fc.property(sizes, cuts, fc.boolean(), (lengths, pieces, ofOneBuffer) => {
            const sent = payloadsOf(lengths);
            const stream = encodeAll(codec, sent);
            const got: Uint8Array[] = [];
            const framer = new Framed(codec, (frame) => got.push(frame), { copy });
            let at = 0;
            for (const piece of [...pieces, stream.length]) {
              framer.push(ofOneBuffer ? stream.subarray(at, at + piece) : stream.slice(at, at + piece));
              at += piece;
            }
            framer.end();
            expect(got.map(hex)).toEqual(sent.map(hex));
          }),
          { numRuns: 150 },
        );
      });
    }
  }

  it('a paused framer that gets chunk after chunk delivers all of it in order when it goes on', () => {
    const sent = payloadsOf([10, 2000, 0, 30_000, 5, 5, 700]);
    const stream = encodeAll(lengthField(), sent);
    for (const size of [1, 7, 1000, 1025, 1460, 65_536]) {
      const got: string[] = [];
      const framer = new Framed(lengthField(), (frame) => got.push(hex(frame)));
      framer.pause();
      for (const piece of inPieces(stream, size)) framer.push(piece);
      expect(framer.buffered).toBe(stream.length);
      expect(hex(framer.leftover)).toBe(hex(stream));
      framer.resume();
      expect(got).toEqual(sent.map(hex));
    }
  });
});

describe('the price of a frame does not depend on how it is cut', () => {
  it('a decoder that has asked for n bytes is not called before they are there', () => {
    const codec = counting(lengthField());
    let frames = 0;
    const framer = new Framed(codec, () => frames++);
    for (const piece of inPieces(encodeAll(codec, [new Uint8Array(10_000)]), 1)) framer.push(piece);
    expect(frames).toBe(1);
    expect(codec.calls).toBe(3);
  });

  it('of several failed has the least counts, measured from the beginning of the frame', () => {
    let calls = 0;
    const framer = framerOf((input) => {
      calls++;
      if (!input.has(2)) return undefined;
      input.skip(2);
      const [least, more] = [input.has(4), input.has(8)];
      return more ? input.take(8) : least && input.u8(3) === 0 ? input.take(4) : undefined;
    });
    framer.push(new Uint8Array(2).fill(1));
    expect(framer.needed).toBe(6);
    framer.push(new Uint8Array(3).fill(1));
    expect(calls).toBe(1);
    framer.push(new Uint8Array(1).fill(1));
    expect(calls).toBe(2);
    expect(framer.needed).toBe(10);
  });

  it('what has been searched is not searched again: a byte that appears there afterwards is not found', () => {
    for (const needle of [10, Uint8Array.of(10)]) {
      const found: number[] = [];
      const framer = framerOf((input) => {
        found.push(input.indexOf(needle));
        return undefined;
      });
      const chunk = new Uint8Array(5000);
      framer.push(chunk);
      chunk[7] = 10;
      framer.push(new Uint8Array(2000));
      framer.push(Uint8Array.of(1, 10));
      expect(found).toEqual([-1, -1, 7001]);
    }
  });

  it('a line of 16 MiB in 1-KiB chunks, or in 64-KiB chunks, is copied a bounded number of times', () => {
    for (const size of [1024, 65_536]) {
      const total = 16 * 1024 * 1024;
      const started = process.cpuUsage().user;
      let length = 0;
      const framer = new Framed(lines(), (line) => {
        length = line.length;
      });
      const chunk = new Uint8Array(size).fill(97);
      for (let sent = 0; sent < total; sent += size) framer.push(chunk.slice());
      framer.push(Uint8Array.of(10));
      expect(length).toBe(total);
      // Copying all of it each time would be 128 GiB, half a minute: a limit that noise does not reach.
      expect(process.cpuUsage().user - started).toBeLessThan(5e6);
    }
  });

  it('a frame of 16 MiB in 1-KiB chunks arrives whole', () => {
    const total = 16 * 1024 * 1024;
    let frame = new Uint8Array(0) as Uint8Array;
    const framer = new Framed(lengthField(), (message) => {
      frame = message;
    });
    framer.push(header(total));
    for (let sent = 0; sent < total; sent += 1024) framer.push(new Uint8Array(1024).fill(sent >>> 10));
    expect(frame.length).toBe(total);
    for (let at = 0; at < total; at += 511) if (frame[at] !== ((at >>> 10) & 255)) throw new Error(`wrong at ${at}`);
  });

  it('bytes that look like the end of a delimiter are not compared again with each chunk', () => {
    let reads = 0;
    const needles = new Needles([Uint8Array.of(13, 10)]);
    const match = needles.matchEndingAt.bind(needles);
    needles.matchEndingAt = (...values) => {
      reads++;
      return match(...values);
    };
    const framer = framerOf((input) => {
      const at = input.indexOf(needles);
      return at < 0 ? undefined : input.take(at + 2);
    });
    for (let i = 0; i < 2000; i++) framer.push(Uint8Array.of(10));
    expect(reads).toBe(1999);
  });
});

describe('memory', () => {
  it('nothing is allocated because a length was claimed', () => {
    const framer = new Framed(lengthField({ maxFrameLength: Number.POSITIVE_INFINITY }), () => {});
    framer.push(header(0xffffffff));
    framer.push(new Uint8Array(100));
    expect(framer.needed).toBe(4 + 0xffffffff);
    expect(retainedBytes(framer)).toBeLessThan(1024);
  });

  it('200,000 chunks of one byte hold at most 4 times the bytes and 64 KiB, whichever way they come', () => {
    const pool = new Uint8Array(65_536);
    for (const chunk of [() => new Uint8Array(1), () => pool.subarray(7, 8)]) {
      for (const first of [1, 5000]) {
        const framer = new Framed(lengthField(), () => {});
        framer.push(header(1_000_000));
        framer.push(new Uint8Array(first));
        let most = 0;
        for (let i = 0; i < 200_000; i++) {
          framer.push(chunk());
          if (i % 1000 === 0) most = Math.max(most, retainedBytes(framer) - 4 * (i + first + 5));
        }
        expect(most).toBeLessThanOrEqual(65_536);
        expect((framer as unknown as { input: { chunks: unknown[] } }).input.chunks.length).toBeLessThan(10);
      }
    }
  });

  it('chunks that are small parts of large blocks are copied, so that they do not hold the blocks', () => {
    const framer = new Framed(lengthField(), () => {});
    framer.push(header(10_000_000));
    for (let i = 0; i < 200; i++) framer.push(new Uint8Array(65_536).subarray(0, 4096));
    expect(retainedBytes(framer)).toBeLessThan(4 * 200 * 4096);
  });

  it('the beginning of a frame does not hold the chunk that it came in, and an empty framer holds nothing', () => {
    const framer = new Framed(lengthField(), () => {});
    const chunk = new Uint8Array(65_536);
    chunk.set(header(65_526));
    chunk.set(header(100), 65_530);
    framer.push(chunk);
    expect(framer.buffered).toBe(6);
    expect(retainedBytes(framer)).toBeLessThan(1024);
    framer.push(new Uint8Array(98));
    expect(framer.buffered).toBe(0);
    expect(retainedBytes(framer)).toBe(0);
  });

  it('after a large frame the block that assembled it is let go', () => {
    const framer = new Framed(lengthField(), () => {});
    const stream = encodeAll(lengthField(), [new Uint8Array(1_000_000), new Uint8Array(50)]);
    for (const piece of inPieces(stream.subarray(0, stream.length - 10), 1000)) framer.push(piece);
    expect(framer.buffered).toBe(44);
    expect(retainedBytes(framer)).toBeLessThan(1024);
  });

  it('a frame in one chunk is a view of it, and a copy with the option copy', () => {
    const chunk = encodeAll(lengthField(), [Uint8Array.of(1, 2, 3)]);
    for (const copy of [false, true]) {
      const [frame] = decodeAll(lengthField(), chunk, { copy });
      expect(frame!.buffer === chunk.buffer).toBe(!copy);
      expect(Buffer.isBuffer(frame)).toBe(true);
    }
  });

  it('small chunks that complete a frame never change a frame that was delivered', () => {
    const stream = encodeAll(lengthField(), ['first', 'second', 'third']);
    const got: Uint8Array[] = [];
    const framer = new Framed(lengthField(), (frame) => got.push(frame));
    for (const piece of inPieces(stream, 7)) framer.push(piece);
    expect(got.map(String)).toEqual(['first', 'second', 'third']);
  });
});

describe('what an Input gives', () => {
  const bytes = Uint8Array.of(0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0xfa, 0xf9, 0xf8, 1);

  function look<T>(see: (input: Input) => T, chunks: readonly Uint8Array[] = [bytes]): T {
    const got: unknown[] = [];
    const framer = framerOf((input) => {
      if (!input.has(9)) return undefined;
      const seen = see(input);
      input.skip(9);
      return { seen };
    }, got);
    for (const chunk of chunks) framer.push(chunk);
    return (got[0] as { seen: T }).seen;
  }

  it('unsigned integers of both byte orders', () => {
    const see = (i: Input) => [i.u8(0), i.u16(0), i.u16(0, true), i.u24(0), i.u24(0, true), i.u32(0), i.u32(0, true)];
    const expected = [0xff, 0xfffe, 0xfeff, 0xfffefd, 0xfdfeff, 0xfffefdfc, 0xfcfdfeff];
    expect(look(see)).toEqual(expected);
    expect(look(see, inPieces(bytes, 1))).toEqual(expected);
  });

  it('64-bit integers up to 2^53-1, and BAD_LENGTH above', () => {
    const view = new DataView(new ArrayBuffer(9));
    view.setBigUint64(0, 2n ** 53n - 1n);
    expect(look((input) => input.u64(0), [new Uint8Array(view.buffer)])).toBe(Number.MAX_SAFE_INTEGER);
    view.setBigUint64(0, 2n ** 53n - 1n, true);
    expect(look((input) => input.u64(0, true), [new Uint8Array(view.buffer)])).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => look((input) => input.u64(0))).toThrow(expect.objectContaining({ code: 'BAD_LENGTH', offset: 0 }));
  });

  it('reading beyond the unread bytes is a mistake of the decoder and no silent undefined', () => {
    const underrun = expect.objectContaining({ name: 'RangeError', code: 'ERR_FRAMING_UNDERRUN' });
    for (const see of [
      (i: Input) => i.u8(9),
      (i: Input) => i.u16(8),
      (i: Input) => i.u24(7),
      (i: Input) => i.u32(6),
      (i: Input) => i.take(10),
      (i: Input) => i.skip(10),
      (i: Input) => i.discard(10),
    ]) {
      expect(() => look<unknown>(see)).toThrow(underrun);
    }
    const count = expect.objectContaining({ name: 'RangeError', code: 'ERR_FRAMING_COUNT' });
    for (const see of [
      (i: Input) => i.u8(-1),
      (i: Input) => i.u32(-1),
      (i: Input) => i.take(-1),
      (i: Input) => i.has(-1),
      (i: Input) => i.has(Number.NaN),
      (i: Input) => i.take(Number.NaN),
    ]) {
      expect(() => look<unknown>(see)).toThrow(count);
    }
  });

  it('indexOf finds bytes, byte strings and several of them, from a position on, across chunks', () => {
    const text = Buffer.from('one,two;;');
    for (const chunks of [[text], inPieces(text, 1), inPieces(text, 4)]) {
      expect(look((i) => i.indexOf(44), chunks)).toBe(3);
      expect(look((i) => i.indexOf(44, 4), chunks)).toBe(-1);
      expect(look((i) => i.indexOf(Buffer.from('two')), chunks)).toBe(4);
      expect(look((i) => i.indexOf(Buffer.from('o'), 1), chunks)).toBe(6);
      expect(look((i) => i.indexOf(Buffer.from('zzz')), chunks)).toBe(-1);
      expect(look((i) => i.indexOf(44, 100), chunks)).toBe(-1);
      const needles = new Needles([Buffer.from(';;'), Buffer.from('o;')]);
      expect(look((i) => [i.indexOf(needles), i.matched], chunks)).toEqual([6, 2]);
    }
  });

  it('a search from an earlier position than the last failed one does not skip anything', () => {
    const seen: number[] = [];
    const framer = framerOf((input) => {
      seen.push(input.indexOf(10, 3), input.indexOf(10, 0));
      return undefined;
    });
    framer.push(Uint8Array.of(1, 10, 2, 3));
    framer.push(Uint8Array.of(4));
    expect(seen).toEqual([-1, 1, -1, 1]);
  });

  it('offset is the position in the stream, rewind undoes, and what was skipped before undefined comes back', () => {
    const offsets: number[] = [];
    const framer = framerOf((input) => {
      offsets.push(input.offset);
      input.skip(1);
      if (!input.has(2)) return undefined;
      input.rewind();
      return input.take(3);
    });
    for (const piece of inPieces(new Uint8Array(9), 1)) framer.push(piece);
    expect(offsets).toEqual([0, 0, 3, 3, 6, 6]);
  });

  it('discard is for good, over several chunks too', () => {
    const got: unknown[] = [];
    let step = 0;
    const framer = framerOf((input) => {
      if (step++ === 0 && !input.has(6000)) return undefined;
      if (input.length >= 5500) {
        input.discard(5500);
        return undefined;
      }
      return input.take(input.length);
    }, got);
    for (let i = 0; i < 6; i++) framer.push(new Uint8Array(1000).fill(i));
    framer.push(new Uint8Array(0));
    expect(framer.buffered).toBe(500);
    framer.push(Uint8Array.of(9));
    expect((got[0] as Uint8Array).length).toBe(501);
    expect((got[0] as Uint8Array)[0]).toBe(5);
  });
});

describe('a search', () => {
  const CR_LF = Uint8Array.of(13, 10);

  it('from further behind does not speak for what lies before it', () => {
    for (const cut of [1, 2, 3, 4, 5, 6]) {
      const got: unknown[] = [];
      const framer = framerOf((input) => {
        const at = input.indexOf(CR_LF);
        if (at >= 0) return String(input.take(at + 2));
        input.indexOf(CR_LF, input.length);
        return undefined;
      }, got);
      const stream = Buffer.from('abc\r\nd\r\n');
      for (const piece of [stream.subarray(0, cut), stream.subarray(cut)]) framer.push(piece);
      expect(got, `cut at ${cut}`).toEqual(['abc\r\n', 'd\r\n']);
    }
  });

  it('is forgotten where a byte is dropped before it', () => {
    for (const cut of [3, 4, 5]) {
      const got: unknown[] = [];
      const framer = framerOf((input) => {
        if (input.state === undefined) {
          if (!input.has(2)) return undefined;
          input.indexOf(89);
          input.state = 'begun';
          input.dropNext(32);
          input.discard(2);
          if (!input.has(2)) return undefined;
        }
        const at = input.indexOf(89);
        return at < 0 ? undefined : String(input.take(at + 1));
      }, got);
      const stream = Buffer.from('ab cY');
      for (const piece of [stream.subarray(0, cut), stream.subarray(cut)]) framer.push(piece);
      expect(got, `cut at ${cut}`).toEqual(['cY']);
    }
  });
});

describe('a chunk of more than 2 GiB', () => {
  it('is decoded to its end', () => {
    // None of it is touched, so that it costs no memory.
    const chunk = new Uint8Array(2 ** 31 + 10);
    const sizes: number[] = [];
    const framer = framerOf((input) => {
      const size = Math.min(input.length, 2 ** 30);
      sizes.push(size);
      return input.take(size);
    });
    framer.push(chunk);
    expect(sizes).toEqual([2 ** 30, 2 ** 30, 10]);
  });
});
