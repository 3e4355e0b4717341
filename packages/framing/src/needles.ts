import { indexOfByte, isBytes } from './bytes.js';
import { shown, wrongRange, wrongType } from './errors.js';

/**
 * Several byte strings, compiled to be searched for together with `input.indexOf(needles)`.
 *
 * The match is the one that **ends** first, and among those that end together the longest: this is the only choice that
 * needs no look ahead, so it is the same in whatever chunks the bytes come (CPython's `StreamReader.readuntil` since
 * 3.13). One compiled object may serve any number of streams.
 */
export class Needles {
  /** The byte strings, the longest first. */
  readonly patterns: readonly Uint8Array[];
  readonly shortest: number;
  readonly longest: number;
  /** The byte that ends every pattern, or -1 if they end differently. */
  readonly lastByte: number;
  /** Length of what `search` has found last. */
  matched = 0;
  /** By byte: 1 if a pattern ends with it. */
  private readonly lastBytes = new Uint8Array(256);

  /**
   * @param patterns one or more byte strings of one byte or more; they are copied. `ERR_FRAMING_OPTION` otherwise.
   */
  constructor(patterns: readonly Uint8Array[]) {
    if (!Array.isArray(patterns)) {
      throw wrongType('ERR_FRAMING_OPTION', `Needles wants an array of Uint8Array, got ${shown(patterns)}`);
    }
    if (patterns.length === 0) throw wrongRange('ERR_FRAMING_OPTION', 'Needles wants at least one pattern, got none');
    for (const pattern of patterns) {
      if (!isBytes(pattern)) {
        throw wrongType('ERR_FRAMING_OPTION', `Needles wants patterns of type Uint8Array, got ${shown(pattern)}`);
      }
      if (pattern.length === 0) throw wrongRange('ERR_FRAMING_OPTION', 'Needles wants no empty pattern, got one');
      this.lastBytes[pattern[pattern.length - 1]!] = 1;
    }
    this.patterns = patterns.map((pattern) => pattern.slice()).sort((a, b) => b.length - a.length);
    this.longest = this.patterns[0]!.length;
    this.shortest = this.patterns[this.patterns.length - 1]!.length;
    const first = patterns[0]!;
    const last = first[first.length - 1]!;
    this.lastByte = this.patterns.every((pattern) => pattern[pattern.length - 1] === last) ? last : -1;
  }

  /**
   * Position of the first match in `block` whose last byte lies in `[at, end)` and whose first byte lies at or behind
   * `low`; -1 if there is none. Its length is in `matched` then.
   */
  search(block: Uint8Array, at: number, low: number, end: number): number {
    let last = at;
    for (;;) {
      last =
        this.lastByte >= 0
          ? indexOfByte(block, this.lastByte, last, end)
          : indexOfFlagged(block, this.lastBytes, last, end);
      if (last < 0) return -1;
      const size = this.matchEndingAt(block, last, low);
      if (size > 0) {
        this.matched = size;
        return last - size + 1;
      }
      last++;
    }
  }

  /** Length of the longest pattern that ends at `block[last]` and begins no earlier than `low`; 0 if none does. */
  matchEndingAt(block: Uint8Array, last: number, low: number): number {
    for (const pattern of this.patterns) {
      const first = last - pattern.length + 1;
      if (first >= low && equalsAt(block, first, pattern)) return pattern.length;
    }
    return 0;
  }

  /**
   * How many of the last bytes of `bytes[0, length)` may be the beginning of a pattern whose rest is still to come:
   * the longest proper prefix that stands at the end. `byteAt(i)` gives the byte at `i`.
   */
  pendingAtEnd(length: number, byteAt: (at: number) => number): number {
    let most = 0;
    for (const pattern of this.patterns) {
      for (let size = Math.min(pattern.length - 1, length); size > most; size--) {
        let i = 0;
        while (i < size && byteAt(length - size + i) === pattern[i]) i++;
        if (i === size) most = size;
      }
    }
    return most;
  }
}

/** Whether `pattern` stands at `block[at]`. Compared from its end: with text, differences are found sooner there. */
function equalsAt(block: Uint8Array, at: number, pattern: Uint8Array): boolean {
  for (let i = pattern.length - 1; i >= 0; i--) if (block[at + i] !== pattern[i]) return false;
  return true;
}

/** Position in `block[from, end)` of the first byte that `flags` flags, or -1. */
function indexOfFlagged(block: Uint8Array, flags: Uint8Array, from: number, end: number): number {
  for (let at = from; at < end; at++) if (flags[block[at]!] === 1) return at;
  return -1;
}
