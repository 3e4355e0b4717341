import type { Input } from '../codec.js';

/** Names up to this length are remembered, and so many of them. */
const LONGEST = 64;
const PLACES = 64;

/**
 * Names of topics that came before: most packets name one of few, and to compare bytes with a text that is there costs a
 * fraction of making it anew. Each name has one place, which the next with the same sum takes over.
 */
export class TopicNames {
  private readonly names: string[] = new Array(PLACES).fill('');

  /** The name that the unread bytes begin with, its length before it; `undefined` if it is not known or ends behind `limit`. */
  find(input: Input, limit: number): string | undefined {
    if (limit < 3) return undefined;
    const length = input.u16(0);
    if (length === 0 || length > LONGEST || 2 + length > limit) return undefined;
    const name = this.names[placeOf(length, input.u8(2 + (length >> 1)), input.u8(1 + length))]!;
    if (name.length !== length) return undefined;
    for (let i = 0; i < length; i++) if (name.charCodeAt(i) !== input.u8(2 + i)) return undefined;
    return name;
  }

  /** Remembers a name that is valid and took `size` bytes. */
  add(name: string, size: number): void {
    const { length } = name;
    // As many characters as bytes: it is ASCII.
    if (length === 0 || length > LONGEST || length !== size) return;
    this.names[placeOf(length, name.charCodeAt(length >> 1), name.charCodeAt(length - 1))] = name;
  }
}

function placeOf(length: number, middle: number, last: number): number {
  return (length * 7 + middle * 3 + last) & (PLACES - 1);
}
