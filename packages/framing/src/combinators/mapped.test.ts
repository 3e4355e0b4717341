import fc from 'fast-check';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { type Codec, decodeAll, encodeAll, Framed, FramingError, fixed, lines, mapped, untilClose } from '../index.js';
import { comesBack, fails, sameInAnyChunking, streamsOf } from '../testing/properties.js';

const numbers = mapped(
  lines(),
  (line) => Number(String(line)),
  (value: number) => String(value),
);

describe('mapped', () => {
  it('makes messages of frames, and frames of messages', () => {
    expect(decodeAll(numbers, Buffer.from('1\n22\n3'))).toEqual([1, 22, 3]);
    expect(String(encodeAll(numbers, [1, 22]))).toBe('1\n22\n');
    expectTypeOf(numbers).toEqualTypeOf<Codec<number>>();
  });

  it('maps what the end of the stream gives, too, and does without where the codec has no end', () => {
    const length = mapped(
      untilClose(),
      (all) => all.length,
      (_: number) => '',
    );
    expect(decodeAll(length, Buffer.from('abc'))).toEqual([3]);
    expect(decodeAll(length, new Uint8Array(0))).toEqual([0]);
    expect(() => decodeAll(mapped(fixed({ length: 2 }), String, String), Buffer.from('abc'))).toThrow(
      fails('UNEXPECTED_EOF'),
    );
  });

  it('parse says what is wrong with a frame; if that is recoverable the next frame is delivered', () => {
    const judge = (recoverable: boolean) =>
      mapped(
        lines(),
        (line) => {
          if (line[0] === 33) throw new FramingError('BAD_VALUE', 'no', { recoverable });
          return String(line);
        },
        String,
      );
    const errors: string[] = [];
    const messages = decodeAll(judge(true), Buffer.from('a\n!\nb\n'), {
      onError: (error) => errors.push(`${error.code} ${error.offset}`),
    });
    expect(messages).toEqual(['a', 'b']);
    expect(errors).toEqual(['BAD_VALUE 2']);
    expect(() => decodeAll(judge(false), Buffer.from('a\n!\nb\n'))).toThrow(fails('BAD_VALUE', { offset: 2 }));
  });

  it('an exception of parse that is no FramingError is passed on as it is and fails the framer', () => {
    const failure = new Error('bug');
    const codec = mapped(
      lines(),
      (): string => {
        throw failure;
      },
      String,
    );
    const framer = new Framed(codec, () => {});
    expect(() => framer.push(Buffer.from('a\n'))).toThrow(failure);
    expect(framer.failure).toBe(failure);
  });

  it('undefined is no message, and would be taken for "more bytes are needed"', () => {
    const codec = mapped(lines(), () => undefined, String);
    expect(() => decodeAll(codec, Buffer.from('a\n'))).toThrow(
      expect.objectContaining({ name: 'TypeError', code: 'ERR_FRAMING_MESSAGE' }),
    );
  });

  it('an exception of format leaves the output as it was', () => {
    const framer = new Framed(
      mapped(lines(), String, (text: string) => {
        if (text === '') throw new FramingError('BAD_VALUE');
        return text;
      }),
      () => {},
    );
    framer.send('a');
    expect(() => framer.send('')).toThrow(fails('BAD_VALUE', { offset: 2 }));
    expect(framer.queued).toBe(2);
  });

  it('gives the same in any chunking, and what was encoded comes back', () => {
    const doubled = mapped(
      lines(),
      (line) => `${line}${line}`,
      (text: string) => text,
    );
    sameInAnyChunking(fc.constant(doubled), streamsOf('12\r\n'));
    comesBack(
      fc.constant(
        mapped(
          lines(),
          (line) => String(line),
          (text: string) => text,
        ),
      ),
      fc.array(fc.stringMatching(/^[a-z]*$/)),
    );
  });
});
