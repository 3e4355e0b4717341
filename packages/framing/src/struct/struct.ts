import { isBytes } from '../bytes.js';
import type { Codec, Input, Output } from '../codec.js';
import { OptionReader, tooLong } from '../codecs/options.js';
import { FramingError, shown, wrongRange, wrongType } from '../errors.js';
import { CountOf, checkField, type Field, FieldReader, FieldWriter, type Infer, type Scope } from './field.js';
import type { ReadAt } from './scalars.js';
import type { Padding } from './text-fields.js';
import { type Head, valueConstructor } from './values.js';

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
  readonly readBe: ReadAt<Record<string, unknown>> | undefined;
  readonly readLe: ReadAt<Record<string, unknown>> | undefined;
  private readonly names: string[];
  private readonly fields: Field<unknown>[];
  private readonly little: boolean | undefined;
  private readonly maxFrameLength: number;
  private readonly Value = valueConstructor();
  /** The fields up to the first of variable size, in either byte order: how many they are, padding included, and their size. */
  private readonly headBe: Head;
  private readonly headLe: Head;
  private readonly headFields: number;
  private readonly headSize: number;

  constructor(shape: Shape, options: StructOptions) {
    const reader = new OptionReader('struct', options, ['endian', 'maxFrameLength']);
    this.little = reader.has('endian') ? reader.choice('endian', 'be', ['be', 'le']) === 'le' : undefined;
    this.maxFrameLength = reader.maxFrameLength();
    this.names = Object.keys(shape);
    this.fields = Object.values(shape);
    const before: string[] = [];
    let size: number | undefined = 0;
    let least = 0;
    for (const [i, field] of this.fields.entries()) {
      const name = this.names[i]!;
      checkField(`struct: ${name}`, field);
      checkName(name);
      checkCount(name, field, before);
      size = size === undefined || field.size === undefined ? undefined : size + field.size;
      least += field.least;
      if (!isPadding(field)) before.push(name);
    }
    if (least > this.maxFrameLength) {
      throw reader.contradiction(`its fields take at least ${least} bytes, maxFrameLength is ${this.maxFrameLength}`);
    }
    this.size = size;
    this.least = least;
    const variable = this.fields.findIndex((field) => field.readBe === undefined);
    this.headFields = variable < 0 ? this.fields.length : variable;
    this.headSize = this.fields.slice(0, this.headFields).reduce((sum, field) => sum + field.size!, 0);
    this.headBe = this.headOf(false);
    this.headLe = this.headOf(true);
    if (variable >= 0) return;
    const { Value, headBe, headLe } = this;
    this.readBe = (bytes, at) => new Value(headBe, bytes, at);
    this.readLe = (bytes, at) => new Value(headLe, bytes, at);
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
    if (!reader.has(this.least)) return undefined;
    const { at } = reader;
    reader.at = at + this.headSize;
    const value = new this.Value(little ? this.headLe : this.headBe, reader.bytes, at);
    return this.readRest(reader, value, little) ? value : undefined;
  }

  write(writer: FieldWriter, value: Record<string, unknown>, outer: boolean, _scope: Scope, name: string): void {
    const little = this.little ?? outer;
    if (typeof value !== 'object' || value === null) {
      throw new FramingError('BAD_VALUE', `${name || 'struct'} wants an object, got ${shown(value)}`);
    }
    const { fields, names } = this;
    for (let i = 0; i < fields.length; i++) {
      const own = names[i]!;
      fields[i]!.write(writer, value[own], little, value, name === '' ? own : `${name}.${own}`);
    }
  }

  private headOf(outer: boolean): Head {
    const little = this.little ?? outer;
    const names: string[] = [];
    const offsets: number[] = [];
    const readers: ReadAt<unknown>[] = [];
    let at = 0;
    for (const [i, field] of this.fields.slice(0, this.headFields).entries()) {
      if (!isPadding(field)) {
        names.push(this.names[i]!);
        offsets.push(at);
        readers.push((little ? field.readLe : field.readBe)!);
      }
      at += field.size!;
    }
    return { names, offsets, readers };
  }

  /** Reads the fields behind the head; `false` if bytes are missing. */
  private readRest(reader: FieldReader, value: Record<string, unknown>, little: boolean): boolean {
    const { fields, names } = this;
    let least = this.least - this.headSize;
    for (let i = this.headFields; i < fields.length; i++) {
      const field = fields[i]!;
      // Not the field alone: a short answer tells how much all that follows needs at the least.
      if (!reader.has(least)) return false;
      least -= field.least;
      const read = field.read(reader, little, value);
      if (isPadding(field)) continue;
      if (read === undefined) return false;
      value[names[i]!] = read;
    }
    return true;
  }

  private decodeBytes(bytes: Uint8Array): Record<string, unknown> {
    const { size } = this;
    if (size !== undefined && size !== bytes.length) throw badLength(`${size}`, bytes.length);
    if (this.readBe !== undefined) return this.readBe(bytes, 0);
    const reader = new FieldReader(bytes, bytes.length);
    const value = this.read(reader, false);
    if (value === undefined) throw badLength(`at least ${reader.wanted}`, bytes.length);
    if (reader.at !== bytes.length) throw badLength(`${reader.at}`, bytes.length);
    return value;
  }

  private decodeInput(input: Input): Record<string, unknown> | undefined {
    const { size } = this;
    if (size !== undefined) {
      if (!input.has(size)) return undefined;
      return this.decodeBytes(input.take(size));
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
}

function checkName(name: string): void {
  if (/^\d+$/.test(name)) {
    throw wrongRange('ERR_FRAMING_OPTION', `struct: ${name} cannot be a name: JavaScript would put it before others`);
  }
  if (name === '__proto__') {
    throw wrongRange('ERR_FRAMING_OPTION', 'struct: __proto__ cannot be a name: it is the prototype of a value');
  }
}

/** A count must be a field before the one that it counts: a misspelt name is told at once. */
function checkCount(name: string, field: Field<unknown>, before: readonly string[]): void {
  const count = (field as { count?: unknown }).count;
  if (!(count instanceof CountOf) || count.named === undefined || before.includes(count.named)) return;
  throw wrongRange('ERR_FRAMING_OPTION', `struct: ${name} is counted by ${count.named}, which is no field before it`);
}

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
