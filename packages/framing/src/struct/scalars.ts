import { FramingError, shown } from '../errors.js';

/**
 * Numbers of fixed size in bytes: what `struct` and `pack` have in common.
 *
 * A kind is a small integer. Integers are put together with shifts: as fast as a `DataView`, and none has to be made for
 * each message.
 */
export const U8 = 0;
export const I8 = 2;
export const BOOL = 4;
export const U16 = 6;
export const I16 = 8;
export const U24 = 10;
export const I24 = 12;
export const U32 = 14;
export const I32 = 16;
export const U64 = 18;
export const I64 = 20;
export const F16 = 22;
export const F32 = 24;
export const F64 = 26;
/** Added to any of them: the least significant byte comes first. */
export const LITTLE = 1;
/** No kind is above. */
export const LAST_SCALAR = F64 + LITTLE;

const NAMES = ['u8', 'i8', 'bool', 'u16', 'i16', 'u24', 'i24', 'u32', 'i32', 'u64', 'i64', 'f16', 'f32', 'f64'];
const SIZES = [1, 1, 1, 2, 2, 3, 3, 4, 4, 8, 8, 2, 4, 8];
const SIGNED = [false, true, false, false, true, false, true, false, true, false, true, true, true, true];
const LEAST = /* @__PURE__ */ SIZES.map((size, i) => (SIGNED[i] ? -(2 ** (8 * size - 1)) : 0));
const MOST = /* @__PURE__ */ SIZES.map((size, i) => 2 ** (8 * size - (SIGNED[i] ? 1 : 0)) - 1);

export function sizeOfScalar(kind: number): number {
  return SIZES[kind >> 1]!;
}

export function nameOfScalar(kind: number): string {
  return NAMES[kind >> 1]!;
}

/** Where bits become a float or a 64-bit integer: written as two words, read as what they mean. */
const scratch = /* @__PURE__ */ new DataView(new ArrayBuffer(8));

function word(b: Uint8Array, at: number): number {
  return (b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!;
}

function wordLe(b: Uint8Array, at: number): number {
  return b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24);
}

function loadLong(b: Uint8Array, at: number): void {
  scratch.setInt32(0, word(b, at));
  scratch.setInt32(4, word(b, at + 4));
}

function loadLongLe(b: Uint8Array, at: number): void {
  scratch.setInt32(0, wordLe(b, at + 4));
  scratch.setInt32(4, wordLe(b, at));
}

/** Reads a value of fixed size at `at`; all of it must lie inside `b`. */
export type ReadAt<T> = (b: Uint8Array, at: number) => T;

/**
 * How each kind is read, in the order of their numbers. Functions, and not one with a `switch`: a call that always meets
 * the same one is replaced by what it does.
 */
export const READERS: readonly ReadAt<number | bigint | boolean>[] = [
  readU8,
  readU8,
  readI8,
  readI8,
  readBool,
  readBool,
  // U16, I16
  (b, at) => (b[at]! << 8) | b[at + 1]!,
  (b, at) => b[at]! | (b[at + 1]! << 8),
  (b, at) => ((b[at]! << 24) | (b[at + 1]! << 16)) >> 16,
  (b, at) => ((b[at]! << 16) | (b[at + 1]! << 24)) >> 16,
  // U24, I24
  (b, at) => (b[at]! << 16) | (b[at + 1]! << 8) | b[at + 2]!,
  (b, at) => b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16),
  (b, at) => ((b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8)) >> 8,
  (b, at) => ((b[at]! << 8) | (b[at + 1]! << 16) | (b[at + 2]! << 24)) >> 8,
  // U32, I32
  (b, at) => word(b, at) >>> 0,
  (b, at) => wordLe(b, at) >>> 0,
  word,
  wordLe,
  readU64,
  readU64Le,
  readI64,
  readI64Le,
  // F16
  (b, at) => halfToNumber((b[at]! << 8) | b[at + 1]!),
  (b, at) => halfToNumber(b[at]! | (b[at + 1]! << 8)),
  readF32,
  readF32Le,
  readF64,
  readF64Le,
];

function readU8(b: Uint8Array, at: number): number {
  return b[at]!;
}

function readI8(b: Uint8Array, at: number): number {
  return (b[at]! << 24) >> 24;
}

function readBool(b: Uint8Array, at: number): boolean {
  return b[at] !== 0;
}

function readU64(b: Uint8Array, at: number): bigint {
  loadLong(b, at);
  return scratch.getBigUint64(0);
}

function readU64Le(b: Uint8Array, at: number): bigint {
  loadLongLe(b, at);
  return scratch.getBigUint64(0);
}

function readI64(b: Uint8Array, at: number): bigint {
  loadLong(b, at);
  return scratch.getBigInt64(0);
}

function readI64Le(b: Uint8Array, at: number): bigint {
  loadLongLe(b, at);
  return scratch.getBigInt64(0);
}

function readF32(b: Uint8Array, at: number): number {
  scratch.setInt32(0, word(b, at));
  return scratch.getFloat32(0);
}

function readF32Le(b: Uint8Array, at: number): number {
  scratch.setInt32(0, wordLe(b, at));
  return scratch.getFloat32(0);
}

function readF64(b: Uint8Array, at: number): number {
  loadLong(b, at);
  return scratch.getFloat64(0);
}

function readF64Le(b: Uint8Array, at: number): number {
  loadLongLe(b, at);
  return scratch.getFloat64(0);
}

/**
 * Writes `value` as that kind at `at`, where there must be room.
 *
 * @param what names the field in errors
 * @throws {@link FramingError} `BAD_VALUE` if the kind cannot hold it: nothing is cut off
 */
export function writeScalar(kind: number, b: Uint8Array, at: number, value: unknown, what: string): void {
  const size = SIZES[kind >> 1]!;
  const little = (kind & LITTLE) !== 0;
  switch (kind & ~LITTLE) {
    case BOOL:
      b[at] = value ? 1 : 0;
      return;
    case U64:
    case I64:
      putLong(kind, b, at, value, what);
      return;
    case F16:
      putBytes(b, at, numberToHalf(floatOf(kind, value, what), what), 2, little);
      return;
    case F32: {
      const float = floatOf(kind, value, what);
      if (Number.isFinite(float) && !Number.isFinite(Math.fround(float))) throw badValue(kind, value, what);
      scratch.setFloat32(0, float);
      putBytes(b, at, scratch.getInt32(0), 4, little);
      return;
    }
    case F64:
      scratch.setFloat64(0, floatOf(kind, value, what));
      putWords(b, at, little);
      return;
    default:
      putBytes(b, at, integerOf(kind, value, what), size, little);
  }
}

function putBytes(b: Uint8Array, at: number, value: number, size: number, little: boolean): void {
  if (size === 1) {
    b[at] = value;
  } else if (little) {
    b[at] = value;
    b[at + 1] = value >>> 8;
    if (size > 2) b[at + 2] = value >>> 16;
    if (size > 3) b[at + 3] = value >>> 24;
  } else {
    b[at + size - 1] = value;
    b[at + size - 2] = value >>> 8;
    if (size > 2) b[at + size - 3] = value >>> 16;
    if (size > 3) b[at] = value >>> 24;
  }
}

function putWords(b: Uint8Array, at: number, little: boolean): void {
  putBytes(b, little ? at + 4 : at, scratch.getInt32(0), 4, little);
  putBytes(b, little ? at : at + 4, scratch.getInt32(4), 4, little);
}

function putLong(kind: number, b: Uint8Array, at: number, value: unknown, what: string): void {
  const signed = (kind & ~LITTLE) === I64;
  let long: bigint;
  if (typeof value === 'bigint') long = value;
  else if (typeof value === 'number' && Number.isSafeInteger(value)) long = BigInt(value);
  else throw badValue(kind, value, what);
  if ((signed ? BigInt.asIntN(64, long) : BigInt.asUintN(64, long)) !== long) throw badValue(kind, value, what);
  scratch.setBigUint64(0, BigInt.asUintN(64, long));
  putWords(b, at, (kind & LITTLE) !== 0);
}

function integerOf(kind: number, value: unknown, what: string): number {
  const least = LEAST[kind >> 1]!;
  const most = MOST[kind >> 1]!;
  if (typeof value === 'number' && value >= least && value <= most && Math.floor(value) === value) return value;
  if (typeof value === 'bigint' && value >= least && value <= most) return Number(value);
  throw badValue(kind, value, what);
}

function floatOf(kind: number, value: unknown, what: string): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint' && Number.isFinite(Number(value))) return Number(value);
  throw badValue(kind, value, what);
}

function badValue(kind: number, value: unknown, what: string): FramingError {
  return new FramingError('BAD_VALUE', `${what}: ${holds(kind)}, got ${shown(value)}`);
}

function holds(kind: number): string {
  const name = nameOfScalar(kind);
  if (kind >= F16) return `${name} holds numbers${kind < F64 ? ' of its range' : ''}`;
  const bits = 8 * sizeOfScalar(kind);
  return SIGNED[kind >> 1]
    ? `${name} holds integers from -2^${bits - 1} to 2^${bits - 1} - 1`
    : `${name} holds integers from 0 to 2^${bits} - 1`;
}

// IEEE 754 binary16: a sign, 5 bits of exponent with the bias 15, 10 bits of fraction.

function halfToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** Rounds to the nearest, ties to even; what would become infinite by that is refused. */
function numberToHalf(value: number, what: string): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size === Number.POSITIVE_INFINITY) return sign | 0x7c00;
  if (size >= 65520) throw badValue(F16, value, what);
  if (size < 2 ** -25) return sign;
  const exponent = Math.max(Math.floor(Math.log2(size)), -14);
  // In units of the last place. Units of 2048 carry into the exponent, as they should; those below 1024 are subnormal.
  const units = roundHalfEven(size / 2 ** (exponent - 10));
  return sign | (((exponent + 14) << 10) + units);
}

function roundHalfEven(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}
