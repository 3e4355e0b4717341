import { describe, expect, it } from 'vitest';
import {
  type Codec,
  checkCodec,
  FramingError,
  fixed,
  type Input,
  lengthField,
  lines,
  slip,
  utf8Lines,
} from './index.js';

/** Correct, in ten lines: a type byte, a length of one byte that counts the rest. */
const tagged: Codec<{ type: number; body: Uint8Array }> = {
  decode(input) {
    if (!input.has(2)) return undefined;
    const length = input.u8(1);
    if (!input.has(2 + length)) return undefined;
    const type = input.u8(0);
    input.skip(2);
    return { type, body: input.take(length) };
  },
  encode({ type, body }, output) {
    output.u8(type).u8(body.length).bytes(body);
  },
};

const vectors = [
  {
    name: 'two',
    bytes: '0702616209 00'.replace(' ', ''),
    messages: [
      { type: 7, body: Buffer.from('ab') },
      { type: 9, body: new Uint8Array() },
    ],
  },
  { name: 'cut short', bytes: '0705616263', messages: [], error: 'UNEXPECTED_EOF' as const },
];

describe('checkCodec', () => {
  it('finds nothing wrong with a codec that keeps the law', () => {
    const report = checkCodec(tagged, vectors);
    expect(report.ok, String(report)).toBe(true);
    expect(report.vectors).toBe(2);
    expect(report.runs).toBeGreaterThan(50);
    expect(String(report)).toMatch(/^2 vectors hold in \d+ runs$/);
  });

  it('takes chunks and frames in hex, errors, and streams that do not end, as the vectors of this package have them', () => {
    const report = checkCodec(lines({ maxFrameLength: 3, onTooLong: 'discard' }), [
      { chunks: ['610a6c6f', '6e6765720a62'], frames: ['61', '62'], errors: 1 },
      { chunks: ['610a62'], frames: ['61'], end: false },
    ]);
    expect(report.ok, String(report)).toBe(true);
  });

  it('finds a message that is not the wanted one', () => {
    const { failures } = checkCodec(fixed({ length: 1 }), [{ bytes: '6162', frames: ['61', '63'] }]);
    expect(failures).toEqual([{ vector: '#0', cut: 'as given', wanted: '[61 63]', got: '[61 62]' }]);
  });

  it('finds an error that is not the wanted one, and one that does not come', () => {
    const bad = checkCodec(fixed({ length: 2 }), [
      { bytes: '61', error: 'BAD_LENGTH' },
      { bytes: '6162', error: 'BAD_LENGTH' },
    ]);
    expect(bad.failures.map(({ got }) => got)).toEqual(['UNEXPECTED_EOF at 1', 'no error']);
  });

  it('finds an error at another place than the wanted one', () => {
    const { failures } = checkCodec(slip(), [
      { bytes: '61db62c0', error: 'BAD_ESCAPE', offset: 2 },
      { bytes: '61db62c0', error: 'BAD_ESCAPE', offset: 1 },
    ]);
    expect(failures).toEqual([{ vector: '#1', cut: 'as given', wanted: 'BAD_ESCAPE at 1', got: 'BAD_ESCAPE at 2' }]);
  });

  it('finds a codec that takes a chunk for a message', () => {
    const chunked: Codec<Uint8Array> = {
      decode: (input) => input.take(input.length),
      encode: (bytes, output) => void output.bytes(bytes),
    };
    const { ok, failures } = checkCodec(chunked, [{ name: 'two bytes', bytes: '6162', frames: ['6162'] }]);
    expect(ok).toBe(false);
    expect(failures[0]).toMatchObject({ vector: 'two bytes', cut: 'byte by byte', got: '[61 62]' });
  });

  it('finds a codec that keeps its state in itself', () => {
    const sticky = remembersInTheCodec();
    const report = checkCodec(sticky, [{ bytes: '0261620163' }]);
    expect(report.failures.map(({ cut }) => cut)).toEqual(['two streams at once']);
  });

  it('finds an error whose place depends on the cut', () => {
    const vague: Codec<Uint8Array> = {
      decode(input) {
        for (let at = 0; at < input.length; at += 1)
          if (input.u8(at) === 0x21)
            throw new FramingError('BAD_VALUE', 'no !', { offset: input.offset + input.length });
        return undefined;
      },
      encode: () => {},
    };
    const { failures } = checkCodec(vague, [{ bytes: '616221616161', error: 'BAD_VALUE' }]);
    expect(failures[0]).toMatchObject({ cut: 'byte by byte', wanted: '[] BAD_VALUE at 6', got: '[] BAD_VALUE at 3' });
  });

  it('finds an encoder that writes something else', () => {
    const right = lengthField({ size: 1 });
    const wrong: Codec<Uint8Array> = {
      decode: (input) => right.decode(input),
      encode: (bytes, output) => void output.u8(bytes.length + 1).bytes(bytes),
    };
    expect(checkCodec(wrong, [{ bytes: '0161', frames: ['61'] }]).failures[0]?.cut).toBe('encoded again');
    const report = checkCodec(wrong, [
      { encode: ['61'], bytes: '0161' },
      { encode: ['61'], bytes: '0261' },
    ]);
    expect(report.failures).toEqual([{ vector: '#0', cut: 'encoded', wanted: '0161', got: '0261' }]);
  });

  it('checks what is refused to be encoded', () => {
    const report = checkCodec(utf8Lines(), [
      { send: ['a', 'b'], bytes: '610a620a' },
      { send: ['a\nb'], error: 'BAD_DELIMITER' },
    ]);
    expect(report.ok, String(report)).toBe(true);
  });

  it('reports an exception of the codec’s own', () => {
    const broken: Codec<Uint8Array> = {
      decode: () => {
        throw new TypeError('oh');
      },
      encode: () => {},
    };
    expect(checkCodec(broken, [{ bytes: '61', frames: [] }]).failures[0]?.got).toBe('TypeError: oh');
  });

  it('refuses misuse', () => {
    expect(() => checkCodec({} as never, [])).toThrowError(expect.objectContaining({ code: 'ERR_FRAMING_CODEC' }));
    expect(() => checkCodec(tagged, 7 as never)).toThrowError(expect.objectContaining({ code: 'ERR_FRAMING_OPTION' }));
    expect(() => checkCodec(tagged, [{ bytes: '6' }])).toThrowError(
      expect.objectContaining({ code: 'ERR_FRAMING_OPTION' }),
    );
  });
});

/** Keeps the length of the frame in the codec, where another stream finds it. */
function remembersInTheCodec(): Codec<Uint8Array> {
  let length: number | undefined;
  return {
    decode(input: Input) {
      if (length === undefined) {
        length = input.u8(0);
        input.discard(1);
      }
      if (!input.has(length)) return undefined;
      const frame = input.take(length);
      length = undefined;
      return frame;
    },
    encode: (bytes, output) => void output.u8(bytes.length).bytes(bytes),
  };
}
