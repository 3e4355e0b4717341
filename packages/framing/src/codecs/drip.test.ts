import { describe, expect, it } from 'vitest';
import {
  asciiLength,
  checksummed,
  cobs,
  delimiter,
  dotStuffed,
  Framed,
  fixed,
  inParts,
  json,
  lengthField,
  lines,
  netstring,
  octetCount,
  once,
  slip,
  statusReply,
  typeTable,
  untilClose,
  utf8Lines,
  varint,
} from '../index.js';
import { type DripCase, drip } from '../testing/drip.js';
import type { AnyCodec } from '../testing/properties.js';
import { retainedBytes } from '../testing/retained-bytes.js';

const BYTES = 100_000;

const cases: Record<string, DripCase> = {
  fixed: [fixed({ length: 1e9 }), '', 'a'],
  lines: [lines({ eol: 'any' }), '', 'a'],
  utf8Lines: [utf8Lines(), '', 'é'],
  delimiter: [delimiter({ delimiters: ['aab', 'abab'] }), '', 'a'],
  lengthField: [lengthField({ maxFrameLength: Number.POSITIVE_INFINITY }), '\xff\xff\xff\xff', 'a'],
  asciiLength: [asciiLength({ digits: 8 }), '09999999', 'a'],
  varint: [varint(), '\xff\xff\xff\x03', 'a'],
  netstring: [netstring(), '9999999:', 'a'],
  octetCount: [octetCount(), '9999999 ', 'a'],
  typeTable: [typeTable({ table: { 1: 0x7fffffff } }), '\x01', 'a'],
  untilClose: [untilClose(), '', 'a'],
  'slip, plain': [slip(), '', 'a'],
  'slip, escapes': [slip({ maxFrameLength: BYTES / 2 }), '', '\xdb\xdc'],
  'cobs, full blocks': [cobs(), '', '\xff'],
  'cobs, small blocks': [cobs({ maxFrameLength: BYTES }), '', '\x01'],
  'dotStuffed, one line': [dotStuffed(), '', 'a'],
  'dotStuffed, dots': [dotStuffed({ maxFrameLength: 0.8 * BYTES, bareLF: 'error' }), '', '..\r\n'],
  'statusReply, many lines': [statusReply({ style: 'ftp' }), '211-\r\n', '1\r\n'],
  'statusReply, one line': [statusReply(), '250-', 'a'],
  json: [json(lines()), '[', '1,'],
  checksummed: [checksummed(netstring(), 'crc32'), '9999999:', 'a'],
  once: [once(utf8Lines()).then(slip()), 'hello\n', 'a'],
  inParts: [inParts(utf8Lines(), Number), '10000000\n', 'a'],
};

describe('a peer that drips byte by byte', () => {
  for (const [name, each] of Object.entries(cases)) {
    // What looks at all of it with every byte would take minutes.
    it(`${name}: costs at most 4 times what it has sent, and 64 KiB, and is not looked at again`, () => {
      const { excess, messages } = drip(each, BYTES);
      expect(excess).toBeLessThanOrEqual(65_536);
      expect(messages).toBe(name === 'inParts' ? Math.floor(BYTES / 65_536) : 0);
    });
  }

  it('of nothing but ends of frames, or of frames that are refused, holds nothing', () => {
    for (const [codec, byte] of [
      [slip(), 0xc0],
      [cobs(), 0],
      [lines({ maxFrameLength: 9, onTooLong: 'discard' }), 97],
      [slip({ maxFrameLength: 9, onTooLong: 'discard' }), 97],
      [cobs({ maxFrameLength: 9, onTooLong: 'discard' }), 97],
      [lengthField({ maxFrameLength: 9, onTooLong: 'discard' }), 97],
    ] as const) {
      let errors = 0;
      const framer = new Framed(codec as AnyCodec, () => {}, { onError: () => errors++ });
      for (let i = 0; i < BYTES; i++) framer.push(Uint8Array.of(byte));
      expect(framer.buffered).toBeLessThan(10);
      expect(retainedBytes(framer)).toBeLessThan(1024);
      expect(errors).toBeLessThanOrEqual(1);
    }
  });
});
