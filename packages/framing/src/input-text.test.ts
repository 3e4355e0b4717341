import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Codec, Framed, type Input, utf8Lines } from './index.js';

function framerOf(decode: (input: Input) => unknown, got: unknown[] = [], copy = false): Framed<unknown, never> {
  const codec: Codec<unknown, never> = { decode, encode() {} };
  return new Framed<unknown, never>(codec, (message) => got.push(message), { copy });
}

/** The text that is kept beside the unread bytes. */
function aheadOf(framer: unknown): string {
  return (framer as { input: { ahead: string } }).input.ahead;
}

describe('input.text', () => {
  it('is the text of the next bytes, and consumes them', () => {
    const got: unknown[] = [];
    const framer = framerOf((input) => (input.has(3) ? input.text(3) : undefined), got);
    for (const chunk of ['abcdefghi', '€€', 'xy', 'z', '']) framer.push(Buffer.from(chunk));
    expect(got).toEqual(['abc', 'def', 'ghi', '€', '€', 'xyz']);
  });

  it('is undefined where the bytes are not UTF-8, and nothing is consumed then', () => {
    const seen: unknown[] = [];
    const framer = framerOf((input) => {
      seen.push(input.text(2), input.length);
      input.skip(2);
      seen.push(input.text(2), input.text(0), input.length);
      return true;
    });
    framer.push(Buffer.from('c3286162', 'hex'));
    expect(seen).toEqual([undefined, 4, 'ab', '', 0]);
  });

  it('rewind undoes it, and what was read before undefined is read again', () => {
    const seen: unknown[] = [];
    const framer = framerOf((input) => {
      seen.push(input.text(1));
      input.rewind();
      seen.push(input.text(2));
      return input.has(1) ? input.take(1) : undefined;
    });
    framer.push(Buffer.from('ab'));
    framer.push(Buffer.from('c'));
    expect(seen).toEqual(['a', 'ab', 'a', 'ab']);
  });

  it('reading beyond the unread bytes, or no number of them, is a mistake of the decoder', () => {
    for (const [n, code] of [
      [3, 'ERR_FRAMING_UNDERRUN'],
      [-1, 'ERR_FRAMING_COUNT'],
      [Number.NaN, 'ERR_FRAMING_COUNT'],
    ] as const) {
      const framer = framerOf((input) => input.text(n));
      expect(() => framer.push(Buffer.from('ab')), String(n)).toThrow(expect.objectContaining({ code }));
    }
  });

  it('lines of any lengths, ASCII and other, cut anywhere, are what the whole text has', () => {
    const line = fc.oneof(
      fc.stringMatching(/^[ -~]{0,60}$/),
      fc.nat(3).map((n) => 'x'.repeat(n * 3000)),
      fc.constantFrom('é', '€uro', '\u{1f4a9}', '\ufffd', '\ufeff'),
    );
    fc.assert(
      fc.property(
        fc.array(line, { maxLength: 400, size: 'max' }),
        fc.array(fc.integer({ min: 1, max: 30_000 }), { minLength: 1, maxLength: 9 }),
        fc.boolean(),
        (lines, sizes, copy) => {
          const got: string[] = [];
          const framer = new Framed(utf8Lines(), (text) => got.push(text), { copy });
          const bytes = Buffer.from(lines.map((each) => `${each}\n`).join(''));
          for (let at = 0, i = 0; at < bytes.length; i++) {
            const size = sizes[i % sizes.length]!;
            framer.push(Uint8Array.from(bytes.subarray(at, at + size)));
            at += size;
          }
          framer.end();
          expect(got).toEqual(lines);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('text that was decoded ahead goes with the bytes, and with copy there is none', () => {
    for (const copy of [false, true]) {
      const texts: string[] = [];
      const framer = framerOf(
        (input) => {
          if (!input.has(4)) return undefined;
          texts.push(aheadOf(framer));
          return input.text(4);
        },
        [],
        copy,
      );
      framer.push(Buffer.from('abcd'.repeat(100)));
      expect(texts.some((text) => text !== '')).toBe(!copy);
      expect(aheadOf(framer)).toBe('');
    }
  });
});
