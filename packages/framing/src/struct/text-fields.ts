import { isBytes, latin1Slice, utf8Bytes, utf8Text, View } from '../bytes.js';
import { FramingError, shown, wrongRange } from '../errors.js';
import {
  type Count,
  CountOf,
  type Field,
  type FieldReader,
  type FieldWriter,
  FixedField,
  type Scope,
} from './field.js';
import type { ReadAt } from './scalars.js';

/** Bytes of a counted length, and what they mean. */
abstract class CountedBytes<T> implements Field<T> {
  readonly size: number | undefined;
  readonly least: number;
  readonly count: CountOf;
  readonly readBe: ReadAt<T> | undefined;
  readonly readLe: ReadAt<T> | undefined;

  constructor(what: string, count: Count) {
    this.count = new CountOf(what, count);
    this.size = this.count.fixed;
    this.least = this.size ?? this.count.size;
    const { size } = this;
    if (size !== undefined) this.readBe = (bytes, at) => this.fromBytes(viewOf(bytes, at, size));
    this.readLe = this.readBe;
  }

  protected abstract fromBytes(bytes: Uint8Array): T;
  protected abstract toBytes(value: T, name: string): Uint8Array;
  /** Whether a value shorter than a fixed size is filled up with NUL. */
  protected abstract readonly padded: boolean;

  read(reader: FieldReader, little: boolean, scope: Scope): T | undefined {
    const length = this.size ?? this.count.read(reader, little, scope);
    if (length === undefined) return undefined;
    if (this.size === undefined && !reader.has(length)) return undefined;
    const { bytes, at } = reader;
    reader.at = at + length;
    return this.fromBytes(viewOf(bytes, at, length));
  }

  write(writer: FieldWriter, value: T, little: boolean, scope: Scope, name: string): void {
    const bytes = this.toBytes(value, name);
    const fixed = this.size;
    if (fixed === undefined || !this.padded) this.count.write(writer, bytes.length, little, scope, name);
    else if (bytes.length > fixed) {
      throw new FramingError('BAD_VALUE', `${name} holds ${fixed} bytes, got ${bytes.length}`);
    }
    const at = writer.room(fixed ?? bytes.length);
    writer.bytes.set(bytes, at);
  }
}

function viewOf(bytes: Uint8Array, at: number, length: number): Uint8Array {
  return new View(bytes.buffer, bytes.byteOffset + at, length);
}

class BytesField extends CountedBytes<Uint8Array> {
  protected readonly padded = false;

  protected fromBytes(bytes: Uint8Array): Uint8Array {
    return bytes;
  }

  protected toBytes(value: Uint8Array, name: string): Uint8Array {
    if (isBytes(value)) return value;
    throw new FramingError('BAD_VALUE', `${name} wants a Uint8Array, got ${shown(value)}`);
  }
}

type Encoding = 'ascii' | 'latin1' | 'utf8';

class TextField extends CountedBytes<string> {
  protected readonly padded = true;
  private readonly encoding: Encoding;

  constructor(encoding: Encoding, count: Count) {
    super(encoding, count);
    this.encoding = encoding;
  }

  protected fromBytes(bytes: Uint8Array): string {
    let length = bytes.length;
    // What fills a fixed size up; a counted text may end with NUL if it wants to.
    if (this.size !== undefined) while (length > 0 && bytes[length - 1] === 0) length--;
    const used = length === bytes.length ? bytes : new View(bytes.buffer, bytes.byteOffset, length);
    return this.encoding === 'utf8' ? strictText(used) : byteText(used, this.encoding === 'ascii' ? 0x7f : 0xff);
  }

  protected toBytes(value: string, name: string): Uint8Array {
    if (typeof value !== 'string') throw new FramingError('BAD_VALUE', `${name} wants a string, got ${shown(value)}`);
    if (this.size !== undefined && value.endsWith('\0')) {
      throw new FramingError('BAD_VALUE', `${name} is filled up with NUL, and cannot end with one of its own`);
    }
    if (this.encoding === 'utf8') {
      if (LONE_SURROGATE.test(value)) throw new FramingError('BAD_UTF8', `${name} contains a lone surrogate`);
      return utf8Bytes(value);
    }
    const most = this.encoding === 'ascii' ? 0x7f : 0xff;
    const bytes = new Uint8Array(value.length);
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code > most) throw new FramingError('BAD_VALUE', `${name} holds ${this.encoding}, got ${shown(value)}`);
      bytes[i] = code;
    }
    return bytes;
  }
}

const LONE_SURROGATE = /\p{Surrogate}/u;

function strictText(bytes: Uint8Array): string {
  const text = utf8Text(bytes);
  if (text === undefined) throw new FramingError('BAD_UTF8', 'a text is not valid UTF-8');
  return text;
}

function byteText(bytes: Uint8Array, most: number): string {
  if (most < 0xff) {
    for (const byte of bytes) if (byte > most) throw new FramingError('BAD_VALUE', `a text is not ASCII: byte ${byte}`);
  }
  return latin1Slice(bytes, 0, bytes.length);
}

/**
 * Bytes: `bytes(8)`, `bytes(u16)` with their length before them, or `bytes('length')` where an earlier field has it.
 * Decoded ones are views of what they were decoded from.
 */
export function bytes(count: Count): Field<Uint8Array> {
  return new BytesField('bytes', count);
}

/**
 * Text in ASCII. `ascii(8)`: 8 bytes, filled up with NUL, which are taken off again; `ascii(u8)`: its length before it;
 * `ascii('length')`: an earlier field has it. A byte above 0x7f is `BAD_VALUE`. Lengths are bytes.
 */
export function ascii(count: Count): Field<string> {
  return new TextField('ascii', count);
}

/** Text in Latin-1 (ISO 8859-1): like {@link ascii}, with all bytes. */
export function latin1(count: Count): Field<string> {
  return new TextField('latin1', count);
}

/** Text in UTF-8: like {@link ascii}; what is not UTF-8 is `BAD_UTF8`. */
export function utf8(count: Count): Field<string> {
  return new TextField('utf8', count);
}

/** Bytes without meaning: written as zeros, skipped when read, and not part of the value. */
export interface Padding extends Field<undefined> {
  readonly padding: true;
}

class PaddingField extends FixedField<undefined> implements Padding {
  readonly padding = true;

  constructor(size: number) {
    if (!(Number.isInteger(size) && size >= 0 && size <= 0x7fffffff)) {
      throw wrongRange('ERR_FRAMING_OPTION', `padding wants 0 to 2^31 - 1 bytes, got ${shown(size)}`);
    }
    super(size);
  }

  readonly readBe = () => undefined;
  readonly readLe = () => undefined;

  write(writer: FieldWriter): void {
    writer.room(this.size);
  }
}

/** `size` bytes of {@link Padding}. */
export function padding(size: number): Padding {
  return new PaddingField(size);
}
