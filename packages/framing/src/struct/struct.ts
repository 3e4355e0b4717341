import { isBytes } from '../bytes.js';
import type { Codec, Input, Output } from '../codec.js';
import { OptionReader, tooLong } from '../codecs/options.js';
import { FramingError, shown, wrongRange, wrongType } from '../errors.js';
import { CountOf, checkField, type Field, FieldReader, FieldWriter, type Infer, type Scope } from './field.js';
import { LITTLE, readScalar, writeScalar } from './scalars.js';
import type { Padding } from './text-fields.js';

/** The value of a struct: one property for each field that is not padding. */
export type StructValue<S> = { -readonly [K in keyof S as S[K] extends Padding ? never : K]: Infer<S[K]> };

/** Options of {@link struct}. */
export interface StructOptions {
  /** Byte order of the fields that have none of their own (`le`, `be`), nested ones included. Default `'be'`. */
  endian?: 'be' | 'le' | undefined;
  /** As a codec: most bytes of one value. Default 16 MiB. */
  maxFrameLength?: number | undefined;
}

/**
 * A layout of bytes: a field of other structs, a codec of a stream of such values, and a function of bytes, both ways.
 */
export interface Struct<T> extends Field<T>, Codec<T> {
  /**
   * The value that `bytes` hold. Fields of `bytes(n)` are views of them.
   *
   * @throws {@link FramingError} `BAD_LENGTH` if there are more or fewer bytes than the value takes; what the fields throw
   */
  decode(bytes: Uint8Array): T;
  /** As a codec: the next value of the stream. */
  decode(input: Input): T | undefined;
  /**
   * The bytes of `value`, new ones.
   *
   * @throws {@link FramingError} `BAD_VALUE` if a field cannot hold its value; the message names it
   */
  encode(value: T): Uint8Array;
  encode(value: T, output: Output): void;
}

type Shape = Record<string, Field<unknown>>;

class StructLayout implements Field<Record<string, unknown>> {
  readonly size: number | undefined;
  readonly least: number;
  readonly scalar = -1;
  private readonly names: string[];
  private readonly fields: Field<unknown>[];
  /** Of each field: its number as a scalar, or -1, or PADDING. */
  private readonly scalars: number[];
  private readonly little: boolean | undefined;
  private readonly maxFrameLength: number;
  /**
   * All values are copies of it, filled in: so they have their shape from the beginning, and writing a property by its
   * name costs a third of adding it.
   */
  private readonly template: Record<string, unknown> = {};

  constructor(shape: Shape, options: StructOptions) {
    const reader = new OptionReader('struct', options, ['endian', 'maxFrameLength']);
    this.little = reader.has('endian') ? reader.choice('endian', 'be', ['be', 'le']) === 'le' : undefined;
    this.maxFrameLength = reader.maxFrameLength();
    this.names = Object.keys(shape);
    this.fields = Object.values(shape);
    let size: number | undefined = 0;
    let least = 0;
    for (const [i, field] of this.fields.entries()) {
      const name = this.names[i]!;
      checkField(`struct: ${name}`, field);
      if (/^\d+$/.test(name)) {
        throw wrongRange(
          'ERR_FRAMING_OPTION',
          `struct: ${name} cannot be a name: JavaScript would put it before others`,
        );
      }
      this.checkCount(name, field);
      size = size === undefined || field.size === undefined ? undefined : size + field.size;
      least += field.least;
      if (!isPadding(field)) this.template[name] = undefined;
    }
    if (least > this.maxFrameLength) {
      throw reader.contradiction(`its fields take at least ${least} bytes, maxFrameLength is ${this.maxFrameLength}`);
    }
    this.size = size;
    this.least = least;
    this.scalars = this.fields.map((field) => (isPadding(field) ? PADDING : field.scalar));
  }

  decode(from: Uint8Array | Input): Record<string, unknown> | undefined {
    return isBytes(from) ? this.decodeBytes(from) : this.decodeInput(from);
  }

  encode(value: Record<string, unknown>, output?: Output): Uint8Array | undefined {
    const writer = new FieldWriter(this.size ?? Math.max(2 * this.least, 64));
    this.write(writer, value, false, NO_SCOPE, '');
    const bytes = writer.at === writer.bytes.length ? writer.bytes : writer.bytes.subarray(0, writer.at);
    if (output === undefined) return bytes;
    if (bytes.length > this.maxFrameLength) throw tooLong(bytes.length, this.maxFrameLength);
    output.bytes(bytes);
    return undefined;
  }

  read(reader: FieldReader, outer: boolean): Record<string, unknown> | undefined {
    const little = this.little ?? outer;
    return this.size === undefined ? this.readChecked(reader, little) : this.readFixed(reader, little);
  }

  write(writer: FieldWriter, value: Record<string, unknown>, outer: boolean, _scope: Scope, name: string): void {
    const little = this.little ?? outer;
    const { fields, scalars, names } = this;
    if (typeof value !== 'object' || value === null) {
      throw new FramingError('BAD_VALUE', `${name || 'struct'} wants an object, got ${shown(value)}`);
    }
    for (let i = 0; i < fields.length; i++) {
      const scalar = scalars[i]!;
      const field = fields[i]!;
      const own = names[i]!;
      const path = name === '' ? own : `${name}.${own}`;
      if (scalar >= 0) {
        const at = writer.room(field.size!);
        writeScalar(little ? scalar | LITTLE : scalar, writer.bytes, at, value[own], path);
      } else {
        field.write(writer, value[own], little, value, path);
      }
    }
  }

  /** All bytes are known to be there. */
  private readFixed(reader: FieldReader, little: boolean): Record<string, unknown> {
    const { fields, scalars, names } = this;
    const value = { ...this.template };
    for (let i = 0; i < fields.length; i++) {
      const scalar = scalars[i]!;
      const field = fields[i]!;
      if (scalar >= 0) {
        const { at } = reader;
        reader.at = at + field.size!;
        assign(value, i, names[i]!, readScalar(little ? scalar | LITTLE : scalar, reader.bytes, at));
      } else if (scalar === PADDING) {
        reader.at += field.size!;
      } else {
        assign(value, i, names[i]!, field.read(reader, little, value));
      }
    }
    return value;
  }

  private readChecked(reader: FieldReader, little: boolean): Record<string, unknown> | undefined {
    const { fields, scalars, names } = this;
    const value = { ...this.template };
    let least = this.least;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]!;
      // Not the field alone: a short answer tells how much all that follows needs at the least.
      if (!reader.has(least)) return undefined;
      least -= field.least;
      if (scalars[i] === PADDING) {
        reader.at += field.size!;
        continue;
      }
      const read = field.read(reader, little, value);
      if (read === undefined) return undefined;
      value[names[i]!] = read;
    }
    return value;
  }

  private decodeBytes(bytes: Uint8Array): Record<string, unknown> {
    const { size } = this;
    const reader = new FieldReader(bytes, bytes.length);
    if (size !== undefined && size !== bytes.length) throw badLength(`${size}`, bytes.length);
    const value = this.read(reader, false);
    if (value === undefined) throw badLength(`at least ${reader.wanted}`, bytes.length);
    if (reader.at !== bytes.length) throw badLength(`${reader.at}`, bytes.length);
    return value;
  }

  private decodeInput(input: Input): Record<string, unknown> | undefined {
    const { size } = this;
    if (size !== undefined) {
      if (!input.has(size)) return undefined;
      return this.readFixed(new FieldReader(input.take(size), size), this.little ?? false);
    }
    if (!input.has(this.least)) return undefined;
    // Its size is known only when it has been read: all that is there is looked at, and what was used is taken.
    const { length } = input;
    const reader = new FieldReader(input.take(length), Math.min(length, this.maxFrameLength));
    input.rewind();
    const value = this.read(reader, false);
    if (value !== undefined) {
      input.skip(reader.at);
      return value;
    }
    if (reader.wanted > this.maxFrameLength) throw tooLong(reader.wanted, this.maxFrameLength);
    input.has(reader.wanted);
    return undefined;
  }

  /** A count must be a field before the one that it counts: a misspelt name is told at once. */
  private checkCount(name: string, field: Field<unknown>): void {
    const count = (field as { count?: unknown }).count;
    if (!(count instanceof CountOf) || count.named === undefined || Object.hasOwn(this.template, count.named)) return;
    throw wrongRange('ERR_FRAMING_OPTION', `struct: ${name} is counted by ${count.named}, which is no field before it`);
  }
}

/**
 * `value[name] = field`. An assignment remembers the one name that it has met, and is fast as long as it meets no other:
 * so the first fields, of which each has an assignment of its own, cost little where one layout does most of the work.
 */
function assign(value: Record<string, unknown>, index: number, name: string, field: unknown): void {
  switch (index) {
    case 0:
      value[name] = field;
      return;
    case 1:
      value[name] = field;
      return;
    case 2:
      value[name] = field;
      return;
    case 3:
      value[name] = field;
      return;
    case 4:
      value[name] = field;
      return;
    case 5:
      value[name] = field;
      return;
    case 6:
      value[name] = field;
      return;
    case 7:
      value[name] = field;
      return;
    default:
      value[name] = field;
  }
}

const PADDING = -2;
const NO_SCOPE: Scope = {};

function isPadding(field: Field<unknown>): field is Padding {
  return (field as Partial<Padding>).padding === true;
}

function badLength(wanted: string, got: number): FramingError {
  return new FramingError('BAD_LENGTH', `the value takes ${wanted} bytes, got ${got}`);
}

/**
 * A layout of named fields, in the order in which they are written down, big-endian and without alignment unless told
 * otherwise. The type of its values follows from it.
 *
 * ```ts
 * const header = struct({ version: u8, length: u16, id: le(u32), name: ascii(8) });
 * type Header = Infer<typeof header>; // { version: number; length: number; id: number; name: string }
 * ```
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function struct<S extends Record<string, Field<unknown>>>(
  shape: { readonly [K in keyof S]: S[K] },
  options: StructOptions = {},
): Struct<StructValue<S>> {
  if (typeof shape !== 'object' || shape === null) {
    throw wrongType('ERR_FRAMING_OPTION', `struct wants an object of fields, got ${shown(shape)}`);
  }
  return new StructLayout(shape as unknown as Shape, options) as unknown as Struct<StructValue<S>>;
}
