import { FramingError, shown, wrongRange, wrongType } from '../errors.js';
import { checkField, type Field, type FieldReader, type FieldWriter, type Scope } from './field.js';
import * as kinds from './scalars.js';
import { LITTLE, readScalar, sizeOfScalar, writeScalar } from './scalars.js';

class ScalarField<T> implements Field<T> {
  readonly size: number;
  readonly least: number;
  readonly scalar: number;

  constructor(scalar: number) {
    this.scalar = scalar;
    this.size = sizeOfScalar(scalar);
    this.least = this.size;
  }

  read(reader: FieldReader, little: boolean): T {
    const { at } = reader;
    reader.at = at + this.size;
    return readScalar(little ? this.scalar | LITTLE : this.scalar, reader.bytes, at) as T;
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
  readonly scalar = -1;
  private readonly field: Field<T>;
  private readonly little: boolean;

  constructor(field: Field<T>, little: boolean) {
    this.field = field;
    this.little = little;
    this.size = field.size;
    this.least = field.least;
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

class BitsField<S extends Record<string, number>> implements Field<{ [K in keyof S]: number }> {
  readonly size: number;
  readonly least: number;
  readonly scalar = -1;
  private readonly names: string[];
  private readonly widths: number[];
  private readonly kind: number;

  constructor(shape: S) {
    this.names = Object.keys(shape);
    this.widths = Object.values(shape);
    for (const [i, width] of this.widths.entries()) {
      if (Number.isInteger(width) && width >= 1 && width <= 32) continue;
      throw wrongRange('ERR_FRAMING_OPTION', `bits: ${this.names[i]} wants 1 to 32 bits, got ${shown(width)}`);
    }
    const total = this.widths.reduce((sum, width) => sum + width, 0);
    if (![8, 16, 24, 32].includes(total)) {
      throw wrongRange('ERR_FRAMING_OPTION', `bits wants 8, 16, 24 or 32 bits in all, got ${total}`);
    }
    this.size = total / 8;
    this.least = this.size;
    this.kind = [kinds.U8, kinds.U16, kinds.U24, kinds.U32][this.size - 1]!;
  }

  read(reader: FieldReader, little: boolean): { [K in keyof S]: number } {
    const { at } = reader;
    reader.at = at + this.size;
    const all = readScalar(little ? this.kind | LITTLE : this.kind, reader.bytes, at) as number;
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
