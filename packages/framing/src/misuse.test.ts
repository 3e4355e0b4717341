import { describe, expect, it } from 'vitest';
import {
  asciiLength,
  checksummed,
  cobs,
  decodeAll,
  delimiter,
  dotStuffed,
  encodeAll,
  FRAMING_MISUSE,
  Framed,
  fixed,
  framed,
  inParts,
  lengthField,
  lines,
  makefile,
  mapped,
  Needles,
  netstring,
  once,
  slip,
  statusReply,
  text,
  typeTable,
  utf8Lines,
  varint,
} from './index.js';
import { FakeChannel } from './testing/fake-channel.js';

type Case = [
  what: string,
  name: 'TypeError' | 'RangeError',
  code: keyof typeof FRAMING_MISUSE,
  text: string,
  act: () => unknown,
];

// biome-ignore lint/suspicious/noExplicitAny: misuse is what the types forbid
const any = (value: unknown): any => value;
const nothing = (): void => {};
const OPTION = 'ERR_FRAMING_OPTION';

const cases: Case[] = [
  [
    'fixed without options',
    'TypeError',
    OPTION,
    'fixed wants an object of options, got undefined',
    () => fixed(any(undefined)),
  ],
  ['fixed without length', 'TypeError', OPTION, 'length wants an integer, got undefined', () => fixed(any({}))],
  [
    'fixed with length 0',
    'RangeError',
    OPTION,
    'length wants an integer from 1 to 2147483647, got 0',
    () => fixed({ length: 0 }),
  ],
  ['fixed with a string', 'TypeError', OPTION, 'length wants an integer, got "3"', () => fixed(any({ length: '3' }))],
  ['a misspelt option', 'TypeError', OPTION, 'lines has no option "maxLength"', () => lines(any({ maxLength: 5 }))],
  [
    'lines with an unknown eol',
    'RangeError',
    OPTION,
    `eol wants 'lf' or 'crlf' or 'any', got "cr"`,
    () => lines(any({ eol: 'cr' })),
  ],
  ['lines with eol 5', 'TypeError', OPTION, 'got 5', () => lines(any({ eol: 5 }))],
  [
    'lines with contradicting options',
    'RangeError',
    OPTION,
    "got eol 'any'",
    () => lines({ eol: 'any', bareLF: 'error' }),
  ],
  ['lines with a negative limit', 'RangeError', OPTION, 'got -1', () => lines({ maxFrameLength: -1 })],
  ['lines with limit NaN', 'RangeError', OPTION, 'got NaN', () => lines({ maxFrameLength: Number.NaN })],
  ['lines with strip 1', 'TypeError', OPTION, 'strip wants true or false, got 1', () => lines(any({ strip: 1 }))],
  ['utf8Lines with null', 'TypeError', OPTION, 'got null', () => utf8Lines(any(null))],
  [
    'delimiter without any',
    'TypeError',
    OPTION,
    'delimiters wants a Uint8Array or a string, got undefined',
    () => delimiter(any({})),
  ],
  [
    'delimiter with an empty list',
    'RangeError',
    OPTION,
    'delimiters wants at least one',
    () => delimiter({ delimiters: [] }),
  ],
  [
    'delimiter with an empty one',
    'RangeError',
    OPTION,
    'wants one byte or more, got ""',
    () => delimiter({ delimiters: [''] }),
  ],
  [
    'lengthField of 9 bytes',
    'RangeError',
    OPTION,
    'size wants an integer from 1 to 8, got 9',
    () => lengthField({ size: 9 }),
  ],
  [
    'lengthField, middle endian',
    'RangeError',
    OPTION,
    `endian wants 'be' or 'le'`,
    () => lengthField(any({ endian: 'me' })),
  ],
  [
    'lengthField, counts and adjust',
    'RangeError',
    OPTION,
    'exclude each other',
    () => lengthField({ counts: 'rest', adjust: 1 }),
  ],
  [
    'lengthField, keepHeader and strip',
    'RangeError',
    OPTION,
    'exclude each other',
    () => lengthField({ keepHeader: true, strip: 1 }),
  ],
  ['lengthField, read and size', 'RangeError', OPTION, 'read and size', () => lengthField({ read: () => 1, size: 2 })],
  ['lengthField, write alone', 'RangeError', OPTION, 'write goes with read', () => lengthField({ write: nothing })],
  ['lengthField, read 5', 'TypeError', OPTION, 'read wants a function, got 5', () => lengthField(any({ read: 5 }))],
  ['asciiLength without digits', 'TypeError', OPTION, 'digits wants an integer', () => asciiLength(any({}))],
  ['asciiLength, 16 digits', 'RangeError', OPTION, 'from 1 to 15, got 16', () => asciiLength({ digits: 16 })],
  ['varint of 11 bytes', 'RangeError', OPTION, 'from 1 to 10, got 11', () => varint({ maxBytes: 11 })],
  ['varint, offset -1', 'RangeError', OPTION, 'got -1', () => varint({ offset: -1 })],
  ['varint, canonical 1', 'TypeError', OPTION, 'canonical wants true or false', () => varint(any({ canonical: 1 }))],
  ['netstring with a number', 'TypeError', OPTION, 'wants an object of options, got 5', () => netstring(any(5))],
  ['netstring, misspelt', 'TypeError', OPTION, 'has no option "max"', () => netstring(any({ max: 5 }))],
  ['slip with a limit of text', 'TypeError', OPTION, 'maxFrameLength wants', () => slip(any({ maxFrameLength: '5' }))],
  ['cobs with a limit of 0.5', 'RangeError', OPTION, 'got 0.5', () => cobs({ maxFrameLength: 0.5 })],
  ['dotStuffed, bareLF true', 'TypeError', OPTION, `'allow' or 'error'`, () => dotStuffed(any({ bareLF: true }))],
  [
    'statusReply of HTTP',
    'RangeError',
    OPTION,
    `'ftp' or 'smtp', got "http"`,
    () => statusReply(any({ style: 'http' })),
  ],
  ['typeTable without table', 'TypeError', OPTION, 'an object or a Map, got undefined', () => typeTable(any({}))],
  ['typeTable, an empty one', 'RangeError', OPTION, 'at least one entry', () => typeTable({ table: {} })],
  ['typeTable, type 256', 'RangeError', OPTION, 'bytes from 0 to 255', () => typeTable({ table: { 256: 1 } })],
  ['typeTable, type ""', 'RangeError', OPTION, 'bytes from 0 to 255', () => typeTable({ table: { '': 1 } })],
  ['typeTable, a length of -1', 'RangeError', OPTION, 'got -1', () => typeTable({ table: { 1: -1 } })],
  ['typeTable, a length of text', 'TypeError', OPTION, 'got "1"', () => typeTable(any({ table: { 1: '1' } }))],
  [
    'mapped over nothing',
    'TypeError',
    'ERR_FRAMING_CODEC',
    'got undefined',
    () => mapped(any(undefined), String, String),
  ],
  ['mapped without parse', 'TypeError', OPTION, 'parse wants a function', () => mapped(lines(), any(5), String)],
  ['mapped without format', 'TypeError', OPTION, 'format wants a function', () => mapped(lines(), String, any(5))],
  ['checksummed by sha1', 'RangeError', OPTION, 'or a function, got "sha1"', () => checksummed(cobs(), any('sha1'))],
  ['checksummed by 5', 'TypeError', OPTION, 'or a function, got 5', () => checksummed(cobs(), any(5))],
  ['checksummed, 5 bytes', 'RangeError', OPTION, 'from 1 to 4', () => checksummed(cobs(), () => 0, { size: 5 })],
  ['text in utf16', 'RangeError', OPTION, `encoding wants 'utf8'`, () => text(lines(), any('utf16'))],
  ['text over half a codec', 'TypeError', 'ERR_FRAMING_CODEC', 'encode', () => text(any({ decode: nothing }))],
  ['once and then nothing', 'TypeError', 'ERR_FRAMING_CODEC', 'undefined', () => once(lines()).then(any(undefined))],
  ['inParts without lengthOf', 'TypeError', OPTION, 'lengthOf wants', () => inParts(lines(), any(undefined))],
  ['inParts, parts of 0', 'RangeError', OPTION, 'got 0', () => inParts(lines(), () => 0, { partLength: 0 })],
  ['Needles of nothing', 'RangeError', OPTION, 'at least one pattern', () => new Needles([])],
  ['Needles of a string', 'TypeError', OPTION, 'got "ab"', () => new Needles(any('ab'))],
  ['Needles of strings', 'TypeError', OPTION, 'got "ab"', () => new Needles(any(['ab']))],
  ['Needles with an empty one', 'RangeError', OPTION, 'empty pattern', () => new Needles([new Uint8Array(0)])],
  [
    'Framed without codec',
    'TypeError',
    'ERR_FRAMING_CODEC',
    'got undefined',
    () => new Framed(any(undefined), nothing),
  ],
  [
    'Framed with the factory',
    'TypeError',
    'ERR_FRAMING_CODEC',
    'got function lines',
    () => new Framed(any(lines), nothing),
  ],
  [
    'Framed without onMessage',
    'TypeError',
    'ERR_FRAMING_LISTENER',
    'onMessage wants a function',
    () => new Framed(lines(), any(undefined)),
  ],
  [
    'Framed, onError 5',
    'TypeError',
    'ERR_FRAMING_LISTENER',
    'got 5',
    () => new Framed(lines(), nothing, { onError: any(5) }),
  ],
  ['Framed, maxBuffered 0', 'RangeError', OPTION, 'got 0', () => new Framed(lines(), nothing, { maxBuffered: 0 })],
  [
    'Framed, maxBuffered text',
    'TypeError',
    OPTION,
    'got "1"',
    () => new Framed(lines(), nothing, { maxBuffered: any('1') }),
  ],
  [
    'Framed, copy 1',
    'TypeError',
    OPTION,
    'copy wants true or false',
    () => new Framed(lines(), nothing, { copy: any(1) }),
  ],
  ['push of text', 'TypeError', 'ERR_FRAMING_CHUNK', 'got "abc"', () => new Framed(lines(), nothing).push(any('abc'))],
  [
    'push of nothing',
    'TypeError',
    'ERR_FRAMING_CHUNK',
    'got undefined',
    () => new Framed(lines(), nothing).push(any(undefined)),
  ],
  [
    'use of no codec',
    'TypeError',
    'ERR_FRAMING_CODEC',
    'got 5',
    () => new Framed(lines(), nothing).use(any(5), nothing),
  ],
  ['send of a number', 'TypeError', 'ERR_FRAMING_MESSAGE', 'got 5', () => new Framed(lines(), nothing).send(any(5))],
  [
    'send of null',
    'TypeError',
    'ERR_FRAMING_MESSAGE',
    'got null',
    () => new Framed(lengthField(), nothing).send(any(null)),
  ],
  [
    'send with a decoder',
    'TypeError',
    'ERR_FRAMING_CODEC',
    'no encode method',
    () => new Framed(any({ decode: nothing }), nothing).send('a'),
  ],
  [
    'decodeAll without codec',
    'TypeError',
    'ERR_FRAMING_CODEC',
    'got null',
    () => decodeAll(any(null), new Uint8Array(0)),
  ],
  [
    'encodeAll with a decoder',
    'TypeError',
    'ERR_FRAMING_CODEC',
    'encode method',
    () => encodeAll(any({ decode: nothing }), []),
  ],
  [
    'framed without channel',
    'TypeError',
    'ERR_FRAMING_CHANNEL',
    'a method write is wanted, got undefined',
    () => framed(any(undefined), lines()),
  ],
  [
    'framed over half a channel',
    'TypeError',
    'ERR_FRAMING_CHANNEL',
    'a method pause',
    () => framed(any({ write: nothing }), lines()),
  ],
  [
    'an unknown event',
    'TypeError',
    'ERR_FRAMING_LISTENER',
    'there is no event "data"',
    () => framed(new FakeChannel(), lines()).on(any('data'), nothing),
  ],
  [
    'an inherited event',
    'TypeError',
    'ERR_FRAMING_LISTENER',
    'there is no event',
    () => framed(new FakeChannel(), lines()).on(any('toString'), nothing),
  ],
  [
    'no listener',
    'TypeError',
    'ERR_FRAMING_LISTENER',
    'got undefined',
    () => framed(new FakeChannel(), lines()).on('message', any(undefined)),
  ],
  ['makefile without channel', 'TypeError', 'ERR_FRAMING_CHANNEL', 'got null', () => makefile(any(null))],
  [
    'makefile with another newline',
    'RangeError',
    OPTION,
    'newline',
    () => makefile(new FakeChannel(), { newline: any('\r') }),
  ],
  ['read of -1', 'RangeError', 'ERR_FRAMING_COUNT', 'got -1', () => makefile(new FakeChannel()).reader.read(-1)],
];

describe('misuse is told at once, with a code, what was given and what is wanted', () => {
  for (const [what, name, code, text, act] of cases) {
    it(what, () => {
      let error: (Error & { code?: string }) | undefined;
      try {
        act();
      } catch (thrown) {
        error = thrown as Error;
      }
      expect(error).toMatchObject({ name, code });
      expect(error!.message).toContain(text);
      expect(Object.keys(FRAMING_MISUSE)).toContain(code);
    });
  }

  it('bytes of another realm, and a Buffer, are bytes', async () => {
    const { runInNewContext } = await import('node:vm');
    const foreign = runInNewContext('Uint8Array.of(97, 10)') as Uint8Array;
    expect(foreign instanceof Uint8Array).toBe(false);
    expect(decodeAll(lines(), foreign).map(String)).toEqual(['a']);
    expect(String(encodeAll(lengthField({ size: 1 }), [foreign]))).toBe('\x02a\n');
  });
});
