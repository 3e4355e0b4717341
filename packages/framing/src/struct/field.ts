import { zeros } from '../bytes.js';
import { FramingError, shown, wrongRange, wrongType } from '../errors.js';
import type { ReadAt } from './scalars.js';

/**
 * Where the fields of one struct are read from. Fields of fixed size may rely on their bytes being there; the others ask
 * `has`, and give `undefined` after a `false`.
 */
export class FieldReader {
  at = 0;
  /** How many bytes there must be, from the beginning, before it is worth trying again. */
  wanted = 0;

  constructor(
    readonly bytes: Uint8Array,
    readonly end: number,
  ) {}

  has(n: number): boolean {
    if (n <= this.end - this.at) return true;
    this.wanted = this.at + n;
    return false;
  }
}

/** Where the fields of one struct are written to: it grows. */
export class FieldWriter {
  at = 0;
  bytes: Uint8Array;

  constructor(size: number) {
    this.bytes = zeros(size);
  }

  /** Makes room for `n` bytes, which are zero, moves behind them and returns where they begin. */
  room(n: number): number {
    const { at } = this;
    this.at = at + n;
    if (this.at > this.bytes.length) {
      const larger = zeros(Math.max(this.at, 2 * this.bytes.length));
      larger.set(this.bytes);
      this.bytes = larger;
    }
    return at;
  }
}

/** A field of fixed size: it is read by `readBe` and `readLe` alone. */
export abstract class FixedField<T> implements Field<T> {
  readonly least: number;
  abstract readonly readBe: ReadAt<T>;
  abstract readonly readLe: ReadAt<T>;

  constructor(readonly size: number) {
    this.least = size;
  }

  read(reader: FieldReader, little: boolean): T {
    const { at } = reader;
    reader.at = at + this.size;
    return (little ? this.readLe : this.readBe)(reader.bytes, at);
  }

  abstract write(writer: FieldWriter, value: T, little: boolean, scope: Scope, name: string): void;
}

/** The values of the fields before, by name: what counts and lengths are taken from. */
export type Scope = Readonly<Record<string, unknown>>;

/**
 * One field of a {@link struct}: how a value of type `T` lies in bytes. Made by `u8`, `ascii(8)`, `array(u16, 4)` and
 * so on; a `struct` is a field, too.
 */
export interface Field<T> {
  /** Bytes that it takes; `undefined` if that depends on the value. */
  readonly size: number | undefined;
  /** Fewest bytes that it can take. */
  readonly least: number;
  /** The type of its values, which the compiler tells from it: no field has this property. */
  readonly valueType?: T;
  /** Reads it where all of it is known to be, in a struct that is big-endian: of fields of fixed size. @internal */
  readonly readBe?: ReadAt<T> | undefined;
  /** The same, little-endian. @internal */
  readonly readLe?: ReadAt<T> | undefined;
  /** `little`: the byte order, where the field has none of its own. @internal */
  read(reader: FieldReader, little: boolean, scope: Scope): T | undefined;
  /** @internal */
  write(writer: FieldWriter, value: T, little: boolean, scope: Scope, name: string): void;
}

/** What a field, or a struct, holds: `type Header = Infer<typeof header>`. */
export type Infer<F> = F extends Field<infer T> ? T : never;

/** A count or length: a number, a field that comes before the counted, or the name of a field before. */
export type Count = number | Field<number> | string;

/** Reads, writes and checks counts. */
export class CountOf {
  readonly fixed: number | undefined;
  private readonly prefix: Field<number> | undefined;
  private readonly sibling: string | undefined;

  constructor(what: string, count: Count) {
    if (typeof count === 'number') {
      if (!Number.isInteger(count) || count < 0 || count > 0x7fffffff) {
        throw wrongRange('ERR_FRAMING_OPTION', `${what} wants a count of 0 to 2^31 - 1, got ${count}`);
      }
      this.fixed = count;
    } else if (typeof count === 'string') {
      this.sibling = count;
    } else {
      checkField(what, count);
      if (count.size === undefined) {
        throw wrongType('ERR_FRAMING_OPTION', `${what} wants a count field of fixed size, got ${shown(count)}`);
      }
      this.prefix = count;
    }
  }

  /** Name of the field before that holds it. */
  get named(): string | undefined {
    return this.sibling;
  }

  /** Bytes that it takes itself. */
  get size(): number {
    return this.prefix?.size ?? 0;
  }

  read(reader: FieldReader, little: boolean, scope: Scope): number | undefined {
    if (this.fixed !== undefined) return this.fixed;
    if (this.prefix !== undefined) {
      return reader.has(this.prefix.size!) ? asCount(this.prefix.read(reader, little, scope)) : undefined;
    }
    return asCount(scope[this.sibling!]);
  }

  /** Before `length` items are written: writes the prefix; makes sure that what is fixed or stands elsewhere agrees. */
  write(writer: FieldWriter, length: number, little: boolean, scope: Scope, name: string): void {
    if (this.prefix !== undefined) {
      this.prefix.write(writer, length, little, scope, `the length of ${name}`);
      return;
    }
    const wanted = this.fixed ?? Number(scope[this.sibling!]);
    if (length === wanted) return;
    const where = this.fixed === undefined ? `${this.sibling} is ${shown(scope[this.sibling!])}` : `it has ${wanted}`;
    throw new FramingError('BAD_VALUE', `${name}: ${where}, got a length of ${length}`);
  }
}

function asCount(value: unknown): number {
  const count = typeof value === 'bigint' ? Number(value) : value;
  if (typeof count === 'number' && Number.isSafeInteger(count) && count >= 0) return count;
  throw new FramingError('BAD_LENGTH', `a count is ${shown(value)}`);
}

export function checkField(what: string, field: Field<unknown>): void {
  if (typeof field?.read === 'function' && typeof field.write === 'function') return;
  throw wrongType('ERR_FRAMING_OPTION', `${what} wants a field such as u8, got ${shown(field)}`);
}
