import { FramingError, shown, wrongRange, wrongType } from '../errors.js';
import { checkField, type Field, type FieldReader, type FieldWriter, FixedField, type Scope } from './field.js';
import * as kinds from './scalars.js';
import { LITTLE, READERS, type ReadAt, sizeOfScalar, writeScalar } from './scalars.js';

class ScalarField<T> extends FixedField<T> {
  private readonly scalar: number;
  readonly readBe: ReadAt<T>;
  readonly readLe: ReadAt<T>;

  constructor(scalar: number) {
    super(sizeOfScalar(scalar));
    this.scalar = scalar;
    this.readBe = READERS[scalar] as ReadAt<T>;
    this.readLe = READERS[scalar | LITTLE] as ReadAt<T>;
  }

  write(writer: FieldWriter, value: T, little: boolean, _scope: Scope, name: string): void {
    const at = writer.room(this.size);
    writeScalar(little ? this.scalar | LITTLE : this.scalar, writer.bytes, at, value, name);
  }
}

/** Unsigned integers, as `number`. */
export const u8: Field<number> = /* @__PURE__ */ new ScalarField<number>(kinds.U8);
export const u16: Field<number> = /* @__PURE__ */ new ScalarField<number>(kinds.U16);
export const u24: Field<number> = /* @__PURE__ */ new ScalarField<number>(kinds.U24);
export const u32: Field<number> = /* @__PURE__ */ new ScalarField<number>(kinds.U32);
/** 8 bytes, as `bigint`; a safe integer can be written as `number`, too. */
export const u64: Field<bigint> = /* @__PURE__ */ new ScalarField<bigint>(kinds.U64);
/** Signed integers, in two's complement. */
export const i8: Field<number> = /* @__PURE__ */ new ScalarField<number>(kinds.I8);
export const i16: Field<number> = /* @__PURE__ */ new ScalarField<number>(kinds.I16);
export const i24: Field<number> = /* @__PURE__ */ new ScalarField<number>(kinds.I24);
export const i32: Field<number> = /* @__PURE__ */ new ScalarField<number>(kinds.I32);
export const i64: Field<bigint> = /* @__PURE__ */ new ScalarField<bigint>(kinds.I64);
/** IEEE 754 floats of 2, 4 and 8 bytes. */
export const f16: Field<number> = /* @__PURE__ */ new ScalarField<number>(kinds.F16);
export const f32: Field<number> = /* @__PURE__ */ new ScalarField<number>(kinds.F32);
export const f64: Field<number> = /* @__PURE__ */ new ScalarField<number>(kinds.F64);
/** One byte: `false` is 0, `true` is 1, and read from any other value. */
export const bool: Field<boolean> = /* @__PURE__ */ new ScalarField<boolean>(kinds.BOOL);

/** A field in a byte order of its own, whatever that of its struct is. */
class OrderedField<T> implements Field<T> {
  readonly size: number | undefined;
  readonly least: number;
  readonly readBe: ReadAt<T> | undefined;
  readonly readLe: ReadAt<T> | undefined;
  private readonly field: Field<T>;
  private readonly little: boolean;

  constructor(field: Field<T>, little: boolean) {
    this.field = field;
    this.little = little;
    this.size = field.size;
    this.least = field.least;
    this.readBe = little ? field.readLe : field.readBe;
    this.readLe = this.readBe;
  }

  read(reader: FieldReader, _little: boolean, scope: Scope): T | undefined {
    return this.field.read(reader, this.little, scope);
  }

  write(writer: FieldWriter, value: T, _little: boolean, scope: Scope, name: string): void {
    this.field.write(writer, value, this.little, scope, name);
  }
}

/** `field` with the least significant byte first: `le(u32)`. */
export function le<T>(field: Field<T>): Field<T> {
  checkField('le', field);
  return new OrderedField(field, true);
}

/** `field` with the most significant byte first, inside a struct with `endian: 'le'`. */
export function be<T>(field: Field<T>): Field<T> {
  checkField('be', field);
  return new OrderedField(field, false);
}

/** Bytes that all of `widths` fill. */
function bytesOfBits(names: readonly string[], widths: readonly number[]): number {
  for (const [i, width] of widths.entries()) {
    if (Number.isInteger(width) && width >= 1 && width <= 32) continue;
    throw wrongRange('ERR_FRAMING_OPTION', `bits: ${names[i]} wants 1 to 32 bits, got ${shown(width)}`);
  }
  const total = widths.reduce((sum, width) => sum + width, 0);
  if ([8, 16, 24, 32].includes(total)) return total / 8;
  throw wrongRange('ERR_FRAMING_OPTION', `bits wants 8, 16, 24 or 32 bits in all, got ${total}`);
}

class BitsField<S extends Record<string, number>> extends FixedField<{ [K in keyof S]: number }> {
  private readonly names: string[];
  private readonly widths: number[];
  private readonly kind: number;

  constructor(shape: S) {
    const names = Object.keys(shape);
    const widths = Object.values(shape);
    super(bytesOfBits(names, widths));
    this.names = names;
    this.widths = widths;
    this.kind = [kinds.U8, kinds.U16, kinds.U24, kinds.U32][this.size - 1]!;
  }

  readonly readBe = (bytes: Uint8Array, at: number) => this.parts(READERS[this.kind]!(bytes, at) as number);
  readonly readLe = (bytes: Uint8Array, at: number) => this.parts(READERS[this.kind | LITTLE]!(bytes, at) as number);

  private parts(all: number): { [K in keyof S]: number } {
    const value: Record<string, number> = {};
    let below = 8 * this.size;
    for (let i = 0; i < this.widths.length; i++) {
      below -= this.widths[i]!;
      value[this.names[i]!] = Math.floor(all / 2 ** below) % 2 ** this.widths[i]!;
    }
    return value as { [K in keyof S]: number };
  }

  write(writer: FieldWriter, value: { [K in keyof S]: number }, little: boolean, _scope: Scope, name: string): void {
    if (typeof value !== 'object' || value === null) {
      throw new FramingError('BAD_VALUE', `${name} wants an object of ${this.names.join(', ')}, got ${shown(value)}`);
    }
    let all = 0;
    for (let i = 0; i < this.widths.length; i++) {
      const width = this.widths[i]!;
      const part: unknown = value[this.names[i]!];
      if (!(typeof part === 'number' && Number.isInteger(part) && part >= 0 && part < 2 ** width)) {
        const most = 2 ** width - 1;
        throw new FramingError('BAD_VALUE', `${name}.${this.names[i]} holds 0 to ${most}, got ${shown(part)}`);
      }
      all = all * 2 ** width + part;
    }
    const at = writer.room(this.size);
    writeScalar(little ? this.kind | LITTLE : this.kind, writer.bytes, at, all, name);
  }
}

/**
 * Several small unsigned integers in 8, 16, 24 or 32 bits, the first in the most significant ones:
 * `bits({ version: 4, headerLength: 4 })`. The bytes of the whole are in the byte order of the struct.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function bits<S extends Record<string, number>>(shape: S): Field<{ -readonly [K in keyof S]: number }> {
  if (typeof shape !== 'object' || shape === null) {
    throw wrongType('ERR_FRAMING_OPTION', `bits wants an object of widths, got ${shown(shape)}`);
  }
  return new BitsField(shape) as unknown as Field<{ -readonly [K in keyof S]: number }>;
}
