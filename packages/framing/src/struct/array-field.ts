import { FramingError, shown, wrongRange } from '../errors.js';
import {
  type Count,
  CountOf,
  checkField,
  type Field,
  type FieldReader,
  type FieldWriter,
  type Scope,
} from './field.js';
import type { ReadAt } from './scalars.js';

class ArrayField<T> implements Field<T[]> {
  readonly size: number | undefined;
  readonly least: number;
  readonly count: CountOf;
  readonly readBe: ReadAt<T[]> | undefined;
  readonly readLe: ReadAt<T[]> | undefined;
  private readonly item: Field<T>;

  constructor(item: Field<T>, count: Count) {
    checkField('array', item);
    this.count = new CountOf('array', count);
    this.item = item;
    const { fixed } = this.count;
    if (fixed === undefined && item.least === 0) {
      // A count of 4 bytes would claim 2^32 items that take no bytes at all.
      throw wrongRange('ERR_FRAMING_OPTION', 'array wants items of at least one byte where the count is read');
    }
    this.size = fixed === undefined || item.size === undefined ? undefined : fixed * item.size;
    this.least = this.count.size + (fixed ?? 0) * item.least;
    if (fixed === undefined) return;
    const { readBe, readLe, size } = item;
    if (readBe !== undefined) this.readBe = (bytes, at) => itemsAt(readBe, bytes, at, fixed, size!);
    if (readLe !== undefined) this.readLe = (bytes, at) => itemsAt(readLe, bytes, at, fixed, size!);
  }

  read(reader: FieldReader, little: boolean, scope: Scope): T[] | undefined {
    const { item } = this;
    const count = this.count.read(reader, little, scope);
    if (count === undefined) return undefined;
    const readAt = little ? item.readLe : item.readBe;
    if (readAt !== undefined) {
      const size = count * item.size!;
      if (this.size === undefined && !reader.has(size)) return undefined;
      const { at } = reader;
      reader.at = at + size;
      return itemsAt(readAt, reader.bytes, at, count, item.size!);
    }
    const items: T[] = [];
    for (let i = 0; i < count; i++) {
      if (!reader.has((count - i) * item.least)) return undefined;
      const value = item.read(reader, little, scope);
      if (value === undefined) return undefined;
      items.push(value);
    }
    return items;
  }

  write(writer: FieldWriter, value: T[], little: boolean, scope: Scope, name: string): void {
    if (!Array.isArray(value)) throw new FramingError('BAD_VALUE', `${name} wants an array, got ${shown(value)}`);
    // Not asked for again: a getter among the items may change it.
    const { length } = value;
    this.count.write(writer, length, little, scope, name);
    for (let i = 0; i < length; i++) this.item.write(writer, value[i] as T, little, scope, `${name}[${i}]`);
  }
}

function itemsAt<T>(readAt: ReadAt<T>, bytes: Uint8Array, from: number, count: number, size: number): T[] {
  const items: T[] = [];
  for (let i = 0, at = from; i < count; i++, at += size) items.push(readAt(bytes, at));
  return items;
}

/**
 * Items one after the other: `array(u16, 4)` has four, `array(u16, u8)` has their number before them, `array(u16,
 * 'count')` as many as the field `count` before it says. To be encoded, the number must agree (`BAD_VALUE`).
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function array<T>(item: Field<T>, count: Count): Field<T[]> {
  return new ArrayField(item, count);
}
