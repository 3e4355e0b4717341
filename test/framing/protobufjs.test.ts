/**
 * protobufjs as an oracle of `varint`: its delimited messages, written and read by both, and lengths of every kind. What it
 * calls an error is one here, and the other way round.
 */
import { createRequire } from 'node:module';
import { decodeAll, encodeAll, Framed, type FramingError, varint } from '@fdset/framing';
import fc from 'fast-check';
import { Field, Reader, Root, Type } from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { cut, cuts } from './support.js';

const Long: { fromString(text: string, unsigned: boolean): unknown } = createRequire(
  createRequire(import.meta.url).resolve('protobufjs'),
)('long');
const Message = new Type('Message')
  .add(new Field('id', 1, 'uint64'))
  .add(new Field('count', 2, 'uint32'))
  .add(new Field('body', 3, 'bytes'));
new Root().add(Message);

const messages = fc.array(
  fc.record({
    id: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    count: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    // Lengths of one byte, of two, and of three.
    body: fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.nat(20_000).map((length) => new Uint8Array(length).fill(0x85)),
    ),
  }),
  { maxLength: 8 },
);

const shown = (message: { toJSON(): object }) => JSON.stringify(message.toJSON());

describe('varint frames are the delimited messages of protobufjs', () => {
  it('which come out of any cuts, and are written byte for byte as it writes them', () => {
    fc.assert(
      fc.property(messages, cuts, (given, sizes) => {
        const sent = given.map(({ id, ...rest }) => Message.create({ ...rest, id: Long.fromString(String(id), true) }));
        const stream = Buffer.concat(sent.map((message) => Message.encodeDelimited(message).finish()));
        const ours: string[] = [];
        const framer = new Framed(varint({ canonical: true }), (frame) => ours.push(shown(Message.decode(frame))));
        for (const piece of cut(stream, sizes)) framer.push(piece);
        framer.end();
        const reader = Reader.create(stream);
        const theirs: string[] = [];
        while (reader.pos < reader.len) theirs.push(shown(Message.decodeDelimited(reader)));
        expect(ours).toEqual(theirs);
        expect(ours).toEqual(sent.map(shown));
        const written = encodeAll(
          varint(),
          sent.map((message) => Message.encode(message).finish()),
        );
        expect(Buffer.compare(stream, written)).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  it('whatever the bytes: as many frames, and the same kind of error behind them', () => {
    const seen: Record<string, number> = {};
    const bytes = fc.constantFrom(0, 1, 1, 2, 7, 8, 0x10, 0x80, 0x80, 0x80, 0x81, 0x82, 0xff, 0xff);
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 30 }), cuts, (list, sizes) => {
        const stream = Uint8Array.from(list);
        const theirs = readAll(stream);
        expect(frameAll(cut(stream, sizes))).toEqual(theirs);
        seen[theirs.error] = (seen[theirs.error] ?? 0) + 1;
      }),
      { numRuns: 5000 },
    );
    for (const error of ['none', 'ends too early', 'no length']) expect(seen[error], error).toBeGreaterThan(100);
  });

  it.each([
    ['in two bytes for one', '8200 0805', { frames: ['0805'], error: 'none' }],
    ['in five bytes for one', '8280808000 0805', { frames: ['0805'], error: 'none' }],
    ['in six bytes', '828080808000 0805', { frames: [], error: 'no length' }],
    ['in ten bytes', '82808080808080808000 0805', { frames: [], error: 'no length' }],
    ['in eleven bytes', '8280808080808080808000 0805', { frames: [], error: 'no length' }],
    ['of 2^31-1', 'ffffffff07 0805', { frames: [], error: 'ends too early' }],
    ['of 2^31', '8080808008 0805', { frames: [], error: 'no length' }],
    ['of 2^32+2', '8280808010 0805', { frames: [], error: 'no length' }],
    ['of 2^35-1', 'ffffffff7f 0805', { frames: [], error: 'no length' }],
    ['cut off', '8280', { frames: [], error: 'ends too early' }],
    ['of 0', '00 00 00', { frames: ['', '', ''], error: 'none' }],
  ])('a length %s', (_what, hex, expected) => {
    const stream = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    expect(readAll(stream)).toEqual(expected);
    for (let size = 1; size <= stream.length; size++)
      expect(frameAll(cut(stream, Array(stream.length).fill(size)))).toEqual(expected);
  });

  it('its uint32, with which lengths are read by hand, cuts what is longer to 32 bits; ours refuses it', () => {
    for (const [hex, bytes, theirs] of [
      ['ffffffff7f', 5, 0xffffffff],
      ['828080801000', 5, 2],
      ['82808080808001', 10, 2],
    ] as const) {
      expect(Reader.create(Buffer.from(hex, 'hex')).uint32()).toBe(theirs);
      const codec = varint({ maxBytes: bytes, maxFrameLength: 0xffffffff });
      expect(() => decodeAll(codec, Buffer.from(hex, 'hex'))).toThrow(
        expect.objectContaining({ code: 'FRAME_TOO_LONG' }),
      );
    }
  });
});

interface Outcome {
  readonly frames: string[];
  readonly error: string;
}

/** Field after field of bytes: what `decodeDelimited` reads, without a look at what is inside. */
function readAll(stream: Uint8Array): Outcome {
  const frames: string[] = [];
  const reader = Reader.create(stream);
  try {
    while (reader.pos < reader.len) frames.push(Buffer.from(reader.bytes()).toString('hex'));
  } catch (error) {
    const { message } = error as Error;
    return {
      frames,
      error: message.startsWith('index out of range') ? 'ends too early' : `no ${message.split(' ')[1]}`,
    };
  }
  return { frames, error: 'none' };
}

function frameAll(pieces: readonly Uint8Array[]): Outcome {
  const frames: string[] = [];
  const framer = new Framed(varint({ maxFrameLength: 0x7fffffff }), (frame) => {
    frames.push(Buffer.from(frame).toString('hex'));
  });
  try {
    for (const piece of pieces) framer.push(piece);
    framer.end();
  } catch (error) {
    const { code } = error as FramingError;
    return { frames, error: code === 'UNEXPECTED_EOF' ? 'ends too early' : 'no length' };
  }
  return { frames, error: 'none' };
}
