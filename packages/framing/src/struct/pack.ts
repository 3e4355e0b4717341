import { isBytes, View, zeros } from '../bytes.js';
import { FramingError, shown, wrongType } from '../errors.js';
import { CHAR, type Format, formatOf, PASCAL, STRING } from './format.js';
import { LAST_SCALAR, nameOfScalar, readScalar, writeScalar } from './scalars.js';

/** What `unpack` gives: 8-byte integers as `bigint`, `?` as `boolean`, `c`, `s` and `p` as bytes. */
export type Unpacked = number | bigint | boolean | Uint8Array;
/** What `pack` takes: integers as `number` or `bigint`; text, for `c`, `s` and `p`, in Latin-1. */
export type Packable = Unpacked | string;

/**
 * Packs values as Python's `struct.pack` does: `pack('>HIb', 1, 2, -3)`.
 *
 * The whole format language: byte order and alignment by `@` (native: x86-64, LP64), `=`, `<`, `>`, `!`; `x c b B ? h H
 * i I l L q Q n N P e f d s p`; counts; white space. `10s` pads and cuts off, as in Python; integers out of range do not.
 *
 * @returns new bytes, `calcsize(format)` of them
 * @throws {@link FramingError} `BAD_VALUE`: too many or too few values, or one that its letter cannot hold
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_FORMAT` (CPython `struct.error`)
 */
export function pack(format: string, ...values: Packable[]): Uint8Array {
  const { kinds, offsets, sizes, size } = formatOf(format);
  if (values.length !== kinds.length) {
    throw new FramingError('BAD_VALUE', `${shown(format)} packs ${kinds.length} values, got ${values.length}`);
  }
  const bytes = zeros(size);
  for (let i = 0; i < kinds.length; i++) {
    const kind = kinds[i]!;
    if (kind <= LAST_SCALAR) writeScalar(kind, bytes, offsets[i]!, values[i], nameOf(i, kind));
    else writeText(kind, bytes, offsets[i]!, sizes[i]!, values[i], i);
  }
  return bytes;
}

/**
 * The values in `bytes`, as Python's `struct.unpack` gives them. `c`, `s` and `p` are views of `bytes`.
 *
 * @throws {@link FramingError} `BAD_LENGTH` if there are not exactly `calcsize(format)` bytes
 */
export function unpack(format: string, bytes: Uint8Array): Unpacked[] {
  const compiled = formatOf(format);
  checkBytes('unpack', bytes);
  if (bytes.length !== compiled.size) throw badLength(compiled, `${compiled.size} bytes`, bytes);
  return valuesAt(compiled, bytes, 0);
}

/** How many bytes the format takes, its alignment included. */
export function calcsize(format: string): number {
  return formatOf(format).size;
}

/**
 * The values of each of the records that `bytes` consists of, as Python's `struct.iter_unpack`.
 *
 * @throws {@link FramingError} `BAD_LENGTH`, at once, if the last record is incomplete or the format has no size
 */
export function iterUnpack(format: string, bytes: Uint8Array): IterableIterator<Unpacked[]> {
  const compiled = formatOf(format);
  checkBytes('iterUnpack', bytes);
  if (compiled.size === 0 || bytes.length % compiled.size !== 0) {
    throw badLength(compiled, `a multiple of its ${compiled.size} bytes`, bytes);
  }
  return records(compiled, bytes);
}

function* records(format: Format, bytes: Uint8Array): IterableIterator<Unpacked[]> {
  for (let at = 0; at < bytes.length; at += format.size) yield valuesAt(format, bytes, at);
}

function valuesAt(format: Format, bytes: Uint8Array, base: number): Unpacked[] {
  const { kinds, offsets, sizes } = format;
  const values: Unpacked[] = new Array(kinds.length);
  for (let i = 0; i < kinds.length; i++) {
    const kind = kinds[i]!;
    const at = base + offsets[i]!;
    values[i] = kind <= LAST_SCALAR ? readScalar(kind, bytes, at) : textAt(kind, bytes, at, sizes[i]!);
  }
  return values;
}

function textAt(kind: number, bytes: Uint8Array, at: number, size: number): Uint8Array {
  const from = bytes.byteOffset + at;
  if (kind !== PASCAL) return new View(bytes.buffer, from, size);
  // As CPython: a count that claims more than there is room for is cut.
  const length = size === 0 ? 0 : Math.min(bytes[at]!, size - 1);
  return new View(bytes.buffer, size === 0 ? from : from + 1, length);
}

function writeText(kind: number, bytes: Uint8Array, at: number, size: number, value: unknown, index: number): void {
  const given = typeof value === 'string' ? latin1(value, index, kind) : value;
  if (!isBytes(given)) throw badText(index, kind, value, 'bytes, or text in Latin-1');
  if (kind === CHAR && given.length !== 1) throw badText(index, kind, value, 'one byte');
  if (kind !== PASCAL) {
    bytes.set(given.length > size ? given.subarray(0, size) : given, at);
  } else if (size > 0) {
    const kept = Math.min(given.length, size - 1);
    bytes[at] = Math.min(kept, 255);
    bytes.set(given.subarray(0, kept), at + 1);
  }
}

function latin1(text: string, index: number, kind: number): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff) throw badText(index, kind, text, 'bytes, or text in Latin-1');
    bytes[i] = code;
  }
  return bytes;
}

function badText(index: number, kind: number, value: unknown, wanted: string): FramingError {
  return new FramingError('BAD_VALUE', `${nameOf(index, kind)} wants ${wanted}, got ${shown(value)}`);
}

/** Only made for errors: the constant strings of the scalars cost nothing. */
function nameOf(index: number, kind: number): string {
  if (kind <= LAST_SCALAR) return nameOfScalar(kind);
  return `value ${index}, ${kind === CHAR ? 'c' : kind === STRING ? 's' : 'p'},`;
}

function checkBytes(verb: string, bytes: unknown): void {
  if (!isBytes(bytes)) throw wrongType('ERR_FRAMING_MESSAGE', `${verb} wants a Uint8Array, got ${shown(bytes)}`);
}

function badLength(format: Format, wanted: string, bytes: Uint8Array): FramingError {
  return new FramingError('BAD_LENGTH', `${shown(format.text)} wants ${wanted}, got ${bytes.length}`);
}
