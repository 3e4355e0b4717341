import fc from 'fast-check';
import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  array,
  ascii,
  be,
  bits,
  bool,
  bytes,
  decodeAll,
  encodeAll,
  type Field,
  Framed,
  f16,
  f32,
  f64,
  type Infer,
  i8,
  i16,
  i24,
  i32,
  i64,
  latin1,
  le,
  padding,
  struct,
  u8,
  u16,
  u24,
  u32,
  u64,
  utf8,
} from '../index.js';
import { sameMessage } from '../same-message.js';
import { cuttings, hex, unhex } from '../testing/rechunk.js';

const code = (wanted: string) => expect.objectContaining({ code: wanted });

const header = struct({ version: u8, length: u16, id: le(u32), name: ascii(8), at: u64 });
const sample = { version: 1, length: 258, id: 0x01020304, name: 'hello', at: 2n ** 63n };
const sampleHex = '01010204030201' + '68656c6c6f000000' + '8000000000000000';

const packet = struct(
  {
    flags: bits({ kind: 4, urgent: 1, spare: 3 }),
    _: padding(1),
    count: u8,
    points: array(struct({ x: i16, y: i16 }), 'count'),
    title: utf8(u16),
    names: array(latin1(u8), u8),
    rest: bytes('count'),
  },
  { endian: 'le' },
);
const packetValue: Infer<typeof packet> = {
  flags: { kind: 9, urgent: 1, spare: 5 },
  count: 2,
  points: [
    { x: -1, y: 2 },
    { x: 3, y: -4 },
  ],
  title: 'grüß €',
  names: ['a', '', '\xff'],
  rest: Buffer.of(7, 8),
};

describe('struct', () => {
  it('is big-endian, without alignment, and fills text up with NUL', () => {
    expect(hex(header.encode(sample))).toBe(sampleHex);
    expect(header.decode(unhex(sampleHex))).toEqual(sample);
    expect(header.size).toBe(23);
  });

  it('a value of any size is written whole, wherever its memory must grow', () => {
    const numbers = { a: u8, b: u16, c: le(u24), d: u32, e: u64, f: i8, g: f64, h: bool };
    const points = array(struct({ x: i16, y: i16 }), u8);
    const codec = struct({
      text: utf8(u16),
      ...numbers,
      more: bytes(u8),
      points,
      flags: bits({ low: 4, high: 4 }),
      end: utf8(u8),
    });
    const value = {
      ...{ a: 255, b: 65534, c: 0xabcdef, d: 0xfedcba98, e: 2n ** 64n - 2n, f: -1, g: Math.PI, h: true },
      ...{ more: unhex('010203'), points: [{ x: -1, y: 2 }], flags: { low: 15, high: 9 }, end: 'end' },
    };
    for (let size = 0; size < 1500; size++) {
      const sent = { text: 'x'.repeat(size), ...value };
      expect(sameMessage(codec.decode(codec.encode(sent)), sent), `size ${size}`).toBe(true);
    }
  });

  it('its values have the types that follow from the layout', () => {
    expectTypeOf<Infer<typeof header>>().toEqualTypeOf<{
      version: number;
      length: number;
      id: number;
      name: string;
      at: bigint;
    }>();
    expectTypeOf(packetValue).toEqualTypeOf<{
      flags: { kind: number; urgent: number; spare: number };
      count: number;
      points: { x: number; y: number }[];
      title: string;
      names: string[];
      rest: Uint8Array;
    }>();
    expectTypeOf(header.decode(unhex(sampleHex))).toEqualTypeOf<Infer<typeof header>>();
  });

  it('every number comes back at both ends of its range, in both byte orders, and beyond it is refused', () => {
    const signed = { 8: i8, 16: i16, 24: i24, 32: i32 };
    const unsigned = { 8: u8, 16: u16, 24: u24, 32: u32 };
    const holds = (field: Field<number>, least: number, most: number) => {
      for (const order of [le, be]) {
        const layout = struct({ value: order(field) });
        for (const value of [least, most, 0, 1]) expect(layout.decode(layout.encode({ value }))).toEqual({ value });
        for (const value of [least - 1, most + 1, 0.5, Number.NaN, '1' as never, undefined as never]) {
          expect(() => layout.encode({ value })).toThrow(code('BAD_VALUE'));
        }
      }
    };
    for (const [width, field] of Object.entries(signed)) holds(field, -(2 ** (+width - 1)), 2 ** (+width - 1) - 1);
    for (const [width, field] of Object.entries(unsigned)) holds(field, 0, 2 ** +width - 1);
    const longs = struct({ a: u64, b: i64, c: le(u64), d: le(i64) });
    const ends = { a: 2n ** 64n - 1n, b: -(2n ** 63n), c: 1n, d: -1n };
    expect(longs.decode(longs.encode(ends))).toEqual(ends);
    expect(hex(longs.encode(ends))).toBe('ffffffffffffffff80000000000000000100000000000000ffffffffffffffff');
    const floats = struct({ half: f16, single: f32, double: f64, little: le(f64), flag: bool });
    const values = { half: -1.5, single: 0.5, double: Math.PI, little: -Math.E, flag: true };
    expect(floats.decode(floats.encode(values))).toEqual(values);
  });

  it('bit fields begin with the most significant bit, all 32 of them unsigned', () => {
    const ip = struct({ first: bits({ version: 4, words: 4 }), all: bits({ all: 32 }) });
    expect(hex(ip.encode({ first: { version: 4, words: 5 }, all: { all: 0xffffffff } }))).toBe('45ffffffff');
    expect(ip.decode(unhex('45ffffffff'))).toEqual({ first: { version: 4, words: 5 }, all: { all: 0xffffffff } });
    expect(() => ip.encode({ first: { version: 16, words: 0 }, all: { all: 0 } })).toThrow(
      /first\.version holds 0 to 15/,
    );
    expect(() => bits({ a: 3 })).toThrow(code('ERR_FRAMING_OPTION'));
    expect(() => bits({ a: 0, b: 8 })).toThrow(code('ERR_FRAMING_OPTION'));
  });

  it('nested structs, counted arrays, prefixed and counted text come back; padding is no part of the value', () => {
    const encoded = packet.encode(packetValue);
    expect(packet.decode(encoded)).toEqual(packetValue);
    expect(hex(encoded)).toBe(`9d0002ffff02000300fcff0a00${hex(Buffer.from('grüß €'))}0301610001ff0708`);
    expect(packet.size).toBeUndefined();
  });

  it('its values are plain objects, each with the fields of its own layout in their order, however many there are', () => {
    const sizes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12];
    const layouts = sizes.map((size) => {
      const shape: Record<string, Field<unknown>> = { pad: padding(1) };
      for (let i = 0; i < size; i++) shape[`f${size}_${i}`] = [u8, le(u16), u32][i % 3] as Field<unknown>;
      return struct({ ...shape, padded: padding(2) });
    });
    for (let round = 0; round < 3; round++) {
      for (const [which, size] of sizes.entries()) {
        const value = Object.fromEntries(Array.from({ length: size }, (_, i) => [`f${size}_${i}`, i + round]));
        const layout = layouts[which]!;
        const got = layout.decode(layout.encode(value as never)) as Record<string, unknown>;
        expect(got).toStrictEqual(value);
        expect(Object.keys(got)).toEqual(Object.keys(value));
        expect(Object.getPrototypeOf(got)).toBe(Object.prototype);
      }
    }
    expect(() => struct({ ['__proto__']: u8 })).toThrow(code('ERR_FRAMING_OPTION'));
  });

  it('every field of fixed size is read alike before, inside and behind one of variable size, in both byte orders', () => {
    const fixed = {
      a: u24,
      b: be(i16),
      c: bits({ x: 3, y: 13 }),
      d: array(u32, 2),
      e: ascii(3),
      f: struct({ g: f32 }),
    };
    const value = { a: 0x010203, b: -2, c: { x: 5, y: 4097 }, d: [1, 2], e: 'ab', f: { g: 0.5 } };
    for (const endian of ['be', 'le'] as const) {
      const layout = struct(
        { before: struct(fixed), list: array(struct(fixed), u8), behind: struct(fixed) },
        { endian },
      );
      const all = { before: value, list: [value, { ...value, a: 7 }], behind: { ...value, e: 'x' } };
      const flat = struct({ ...fixed, title: utf8(u8), last: le(u32), pad: padding(1) }, { endian });
      const ofFlat = { ...value, title: 'é', last: 9 };
      expect(layout.decode(layout.encode(all))).toStrictEqual(all);
      expect(flat.decode(flat.encode(ofFlat))).toStrictEqual(ofFlat);
      const alone = struct(fixed, { endian });
      const bytesOfOne = hex(alone.encode(value));
      expect(hex(layout.encode(all)).startsWith(bytesOfOne)).toBe(true);
      expect(bytesOfOne.startsWith(endian === 'be' ? '010203fffeb001' : '030201fffe01b0')).toBe(true);
    }
  });

  it('counts that do not agree, text that does not fit, and values of the wrong type are refused by their name', () => {
    const wrong: [object, RegExp][] = [
      [{ count: 1 }, /points: count is 1, got a length of 2/],
      [{ points: 3 }, /points wants an array, got 3/],
      [
        {
          count: 2,
          points: [
            { x: 0, y: 0 },
            { x: 0, y: 40000 },
          ],
        },
        /points\[1\]\.y: i16 holds/,
      ],
      [{ names: ['€'] }, /names\[0\] holds latin1/],
      [{ title: '\ud800' }, /lone surrogate/],
      [{ title: 5 }, /title wants a string/],
      [{ rest: 'ab' }, /rest wants a Uint8Array/],
    ];
    for (const [change, message] of wrong) {
      expect(() => packet.encode({ ...packetValue, ...change } as never)).toThrow(message);
    }
    expect(() => header.encode({ ...sample, name: 'ninebytes' })).toThrow(/name holds 8 bytes, got 9/);
    expect(() => header.encode({ ...sample, name: 'a\0' })).toThrow(code('BAD_VALUE'));
    expect(() => header.encode({ ...sample, name: 'é' })).toThrow(code('BAD_VALUE'));
    expect(() => header.encode(undefined as never)).toThrow(code('BAD_VALUE'));
    expect(() => header.decode(Uint8Array.from([...header.encode(sample).fill(0x80)]))).toThrow(code('BAD_VALUE'));
  });

  it('bytes of the wrong length are refused, too few and too many', () => {
    expect(() => header.decode(new Uint8Array(22))).toThrow(code('BAD_LENGTH'));
    expect(() => header.decode(new Uint8Array(24))).toThrow(code('BAD_LENGTH'));
    const encoded = packet.encode(packetValue);
    for (let size = 0; size < encoded.length; size++) {
      expect(() => packet.decode(encoded.subarray(0, size))).toThrow(code('BAD_LENGTH'));
    }
    expect(() => packet.decode(Uint8Array.from([...encoded, 0]))).toThrow(code('BAD_LENGTH'));
  });

  it('a layout that cannot work is refused when it is made', () => {
    const wrong: (() => unknown)[] = [
      () => struct({ a: bytes('b'), b: u8 }),
      () => struct({ a: 5 as never }),
      () => struct({ 1: u8 }),
      () => struct(null as never),
      () => struct({ a: u8 }, { endian: 'middle' as never }),
      () => struct({ a: u8 }, { max: 1 } as never),
      () => struct({ a: u32 }, { maxFrameLength: 3 }),
      () => array(struct({}), u32),
      () => array(u8, -1),
      () => array(5 as never, 1),
      () => bytes(utf8(u8) as never),
      () => padding(-1),
      () => le(5 as never),
      () => bits(5 as never),
    ];
    for (const make of wrong) expect(make).toThrow(code('ERR_FRAMING_OPTION'));
  });

  it('a hostile count allocates nothing and is bounded by maxFrameLength', () => {
    const layout = struct({ items: array(u64, u32), tail: bytes(u32) }, { maxFrameLength: 100 });
    const messages: unknown[] = [];
    const framer = new Framed(layout, (message) => messages.push(message));
    expect(() => framer.push(unhex('ffffffff00000000'))).toThrow(code('FRAME_TOO_LONG'));
    expect(() => layout.decode(unhex('ffffffff00000000'))).toThrow(code('BAD_LENGTH'));
  });

  it('as a codec gives the same values in any chunking, fixed and variable', () => {
    const values = [packetValue, { ...packetValue, count: 0, points: [], rest: Buffer.alloc(0), title: 'x' }];
    const stream = encodeAll(packet, values);
    for (const [name, chunks] of cuttings(stream, { randomCuts: 5, cutEverywhereUpTo: 200 })) {
      const got: unknown[] = [];
      const framer = new Framed(packet, (value) => got.push(value));
      for (const chunk of chunks) framer.push(chunk);
      framer.end();
      expect(got, name).toEqual(values);
    }
    expect(decodeAll(header, encodeAll(header, [sample, sample]))).toEqual([sample, sample]);
    expect(() => decodeAll(header, encodeAll(header, [sample]).subarray(1))).toThrow(code('UNEXPECTED_EOF'));
  });

  it('the limit and a bad text are told alike in any chunking', () => {
    const layout = struct({ items: array(ascii(u8), u8) }, { maxFrameLength: 8 });
    const streams = fc.uint8Array({ maxLength: 16 }).map((all) => all.map((byte) => (byte > 250 ? byte : byte % 6)));
    const outcomeOf = (chunks: readonly Uint8Array[]) => {
      const got: unknown[] = [];
      const framer = new Framed(layout, (value) => got.push(value));
      try {
        for (const chunk of chunks) framer.push(chunk);
        framer.end();
      } catch (error) {
        got.push((error as { code: string }).code);
      }
      return got;
    };
    fc.assert(
      fc.property(streams, (stream) => {
        const whole = outcomeOf([stream]);
        for (const [name, chunks] of cuttings(stream, { randomCuts: 3, cutEverywhereUpTo: 200 }))
          expect(outcomeOf(chunks), name).toEqual(whole);
      }),
      { numRuns: 500 },
    );
  });

  it('random values of a layout with everything in it come back', () => {
    const values = fc
      .record({
        flags: fc.record({ kind: fc.nat(15), urgent: fc.nat(1), spare: fc.nat(7) }),
        points: fc.array(
          fc.record({ x: fc.integer({ min: -32768, max: 32767 }), y: fc.integer({ min: -9, max: 9 }) }),
          {
            maxLength: 20,
          },
        ),
        title: fc.string({ unit: 'grapheme' }),
        names: fc.array(fc.uint8Array({ maxLength: 9 }).map((all) => Buffer.from(all).toString('latin1'))),
      })
      .map((value) => ({ ...value, count: value.points.length, rest: Buffer.alloc(value.points.length, 3) }));
    fc.assert(
      fc.property(fc.array(values, { maxLength: 4 }), (all) => {
        expect(decodeAll(packet, encodeAll(packet, all))).toEqual(all.map((each) => ({ ...each })));
      }),
      { numRuns: 200 },
    );
  });
});
