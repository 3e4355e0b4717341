import { View } from '../bytes.js';
import { shown, wrongRange, wrongType } from '../errors.js';
import { HOST_LITTLE } from './byte-order.js';
import {
  BOOL,
  F16,
  F32,
  F64,
  I8,
  I16,
  I32,
  I64,
  LAST_SCALAR,
  LITTLE,
  READERS,
  type ReadAt,
  sizeOfScalar,
  U8,
  U16,
  U32,
  U64,
} from './scalars.js';

/** Kinds beyond those of the scalars. */
export const CHAR = LAST_SCALAR + 1;
export const STRING = LAST_SCALAR + 2;
export const PASCAL = LAST_SCALAR + 3;
const PADDING = LAST_SCALAR + 4;

/** What `unpack` gives: 8-byte integers as `bigint`, `?` as `boolean`, `c`, `s` and `p` as bytes. */
export type Unpacked = number | bigint | boolean | Uint8Array;

/** A format of Python's `struct`, compiled: value `i` is of `kinds[i]`, at `offsets[i]`, and `sizes[i]` bytes long. */
export interface Format {
  readonly text: string;
  readonly size: number;
  readonly kinds: readonly number[];
  readonly offsets: readonly number[];
  readonly sizes: readonly number[];
  /** How the first eight values are read. */
  readonly first: readonly ReadAt<Unpacked>[];
}

/** Sizes that Python calls standard: `=`, `<`, `>` and `!`. */
const STANDARD: Record<string, number> = {
  x: PADDING,
  c: CHAR,
  b: I8,
  B: U8,
  '?': BOOL,
  h: I16,
  H: U16,
  i: I32,
  I: U32,
  l: I32,
  L: U32,
  q: I64,
  Q: U64,
  e: F16,
  f: F32,
  d: F64,
  s: STRING,
  p: PASCAL,
};
/** Sizes of `@`: those of C on a 64-bit Unix (LP64). Each is aligned to its own size there. */
const NATIVE: Record<string, number> = { ...STANDARD, l: I64, L: U64, n: I64, N: U64, P: U64 };

const LARGEST = 0x7fffffff;
/** A format of few characters must not fill the memory with what it is compiled to. */
const MOST_VALUES = 0x1000000;

/** As many as CPython keeps. */
const CACHE_LIMIT = 100;
const cache = new Map<string, Format>();
let last: Format | undefined;

/**
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_FORMAT`
 */
export function formatOf(text: string): Format {
  if (last !== undefined && last.text === text) return last;
  let format = cache.get(text);
  if (format === undefined) {
    if (typeof text !== 'string') throw wrongType('ERR_FRAMING_FORMAT', `a format is a string, got ${shown(text)}`);
    format = compile(text);
    if (cache.size >= CACHE_LIMIT) cache.clear();
    cache.set(text, format);
  }
  last = format;
  return format;
}

function compile(text: string): Format {
  const prefix = /^[@=<>!]/.test(text) ? text[0]! : '';
  const native = prefix === '' || prefix === '@';
  const little = prefix === '<' || (prefix !== '>' && prefix !== '!' && HOST_LITTLE) ? LITTLE : 0;
  const known = native ? NATIVE : STANDARD;
  const kinds: number[] = [];
  const offsets: number[] = [];
  const sizes: number[] = [];
  const add = (kind: number, at: number, size: number): void => {
    kinds.push(kind);
    offsets.push(at);
    sizes.push(size);
  };
  let at = 0;
  for (let i = prefix.length; i < text.length; i++) {
    if (/[ \t\n\v\f\r]/.test(text[i]!)) continue;
    const digits = /^\d*/.exec(text.slice(i))![0];
    i += digits.length;
    const letter = text[i];
    if (letter === undefined) throw badFormat(text, 'a repeat count has no letter behind it');
    const count = digits === '' ? 1 : Number(digits);
    const kind = Object.hasOwn(known, letter) ? known[letter]! : undefined;
    if (kind === undefined) throw badFormat(text, `${shown(letter)} is not one of ${Object.keys(known).join(' ')}`);
    const size = kind > CHAR ? count : kind === CHAR ? 1 : sizeOfScalar(kind);
    // Also with a count of 0: this is how a format is padded at its end.
    if (native && kind <= LAST_SCALAR) at = Math.ceil(at / size) * size;
    const end = at + (kind > CHAR ? count : count * size);
    if (!(end <= LARGEST)) throw badFormat(text, `it would take ${end} bytes, more than ${LARGEST}`);
    if (kind <= CHAR && kinds.length + count > MOST_VALUES) throw badFormat(text, `more than ${MOST_VALUES} values`);
    if (kind === STRING || kind === PASCAL) add(kind, at, size);
    else if (kind !== PADDING) for (let next = at; next < end; next += size) add(withOrder(kind, little), next, size);
    at = end;
  }
  const first = kinds.slice(0, 8).map((kind, i) => readerOf(kind, sizes[i]!));
  return { text, size: at, kinds, offsets, sizes, first };
}

function readerOf(kind: number, size: number): ReadAt<Unpacked> {
  return READERS[kind] ?? ((bytes, at) => textAt(kind, bytes, at, size));
}

/** The value of any kind at `at`; all of it must lie inside `bytes`. */
export function valueAt(kind: number, bytes: Uint8Array, at: number, size: number): Unpacked {
  return kind <= LAST_SCALAR ? READERS[kind]!(bytes, at) : textAt(kind, bytes, at, size);
}

function textAt(kind: number, bytes: Uint8Array, at: number, size: number): Uint8Array {
  const from = bytes.byteOffset + at;
  if (kind !== PASCAL) return new View(bytes.buffer, from, size);
  // As CPython: a count that claims more than there is room for is cut.
  const length = size === 0 ? 0 : Math.min(bytes[at]!, size - 1);
  return new View(bytes.buffer, size === 0 ? from : from + 1, length);
}

function withOrder(kind: number, little: number): number {
  return kind <= LAST_SCALAR ? kind + little : kind;
}

function badFormat(text: string, why: string): RangeError {
  return wrongRange('ERR_FRAMING_FORMAT', `bad format ${shown(text)}: ${why}`);
}
