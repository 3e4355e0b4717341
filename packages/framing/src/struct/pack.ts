import { isBytes, zeros } from '../bytes.js';
import { FramingError, shown, wrongType } from '../errors.js';
import { CHAR, type Format, formatOf, PASCAL, STRING, type Unpacked, valueAt } from './format.js';
import { LAST_SCALAR, nameOfScalar, writeScalar } from './scalars.js';

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

/**
 * The first values have a call of their own each: where one format does most of the work, each of them always meets the
 * same function, and what that does takes the place of the call.
 */
function valuesAt(format: Format, bytes: Uint8Array, base: number): Unpacked[] {
  const { first, kinds, offsets, sizes } = format;
  const count = kinds.length;
  const values: Unpacked[] = new Array(count);
  if (count === 0) return values;
  values[0] = first[0]!(bytes, base + offsets[0]!);
  if (count === 1) return values;
  values[1] = first[1]!(bytes, base + offsets[1]!);
  if (count === 2) return values;
  values[2] = first[2]!(bytes, base + offsets[2]!);
  if (count === 3) return values;
  values[3] = first[3]!(bytes, base + offsets[3]!);
  if (count === 4) return values;
  values[4] = first[4]!(bytes, base + offsets[4]!);
  if (count === 5) return values;
  values[5] = first[5]!(bytes, base + offsets[5]!);
  if (count === 6) return values;
  values[6] = first[6]!(bytes, base + offsets[6]!);
  if (count === 7) return values;
  values[7] = first[7]!(bytes, base + offsets[7]!);
  for (let i = 8; i < count; i++) values[i] = valueAt(kinds[i]!, bytes, base + offsets[i]!, sizes[i]!);
  return values;
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
