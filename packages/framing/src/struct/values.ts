import type { ReadAt } from './scalars.js';

/** The fields of fixed size that a struct begins with: field `i` is called `names[i]` and lies at `offsets[i]`. */
export interface Head {
  readonly names: readonly string[];
  readonly offsets: readonly number[];
  readonly readers: readonly ReadAt<unknown>[];
}

export type ValueConstructor = new (head: Head, bytes: Uint8Array, at: number) => Record<string, unknown>;

/**
 * What makes the values of one struct and fills their head in. They are plain objects: their prototype is the one of all.
 *
 * Each struct has its own, so that its values get their shape, and room for just their properties, from it. Each of the
 * first fields has statements of its own: an assignment is fast as long as it meets one name only, and a call as long as
 * it meets one function only, so that these fields cost little where one layout does most of the work.
 */
export function valueConstructor(): ValueConstructor {
  function Value(this: Record<string, unknown>, head: Head, bytes: Uint8Array, at: number): void {
    const { names, offsets, readers } = head;
    const count = names.length;
    if (count === 0) return;
    this[names[0]!] = readers[0]!(bytes, at + offsets[0]!);
    if (count === 1) return;
    this[names[1]!] = readers[1]!(bytes, at + offsets[1]!);
    if (count === 2) return;
    this[names[2]!] = readers[2]!(bytes, at + offsets[2]!);
    if (count === 3) return;
    this[names[3]!] = readers[3]!(bytes, at + offsets[3]!);
    if (count === 4) return;
    this[names[4]!] = readers[4]!(bytes, at + offsets[4]!);
    if (count === 5) return;
    this[names[5]!] = readers[5]!(bytes, at + offsets[5]!);
    if (count === 6) return;
    this[names[6]!] = readers[6]!(bytes, at + offsets[6]!);
    if (count === 7) return;
    this[names[7]!] = readers[7]!(bytes, at + offsets[7]!);
    for (let i = 8; i < count; i++) this[names[i]!] = readers[i]!(bytes, at + offsets[i]!);
  }
  Value.prototype = Object.prototype;
  return Value as unknown as ValueConstructor;
}
