import { ZERO } from '../ascii.js';
import type { Input, Output } from '../codec.js';
import { FramingError } from '../errors.js';
import { tooLong } from './options.js';

/** The digit at `at`, which must be unread. Throws `BAD_DIGIT` at any other character. */
export function digitAt(input: Input, at: number): number {
  const digit = input.u8(at) - ZERO;
  if (digit < 0 || digit > 9) throw badDigit(input, at);
  return digit;
}

/** `BAD_DIGIT` for the character at `at`. */
export function badDigit(input: Input, at: number): FramingError {
  const byte = input.u8(at);
  const seen = byte > 32 && byte < 127 ? `'${String.fromCharCode(byte)}'` : `0x${byte.toString(16).padStart(2, '0')}`;
  return new FramingError('BAD_DIGIT', `a digit of the length is wanted, got ${seen}`, { offset: input.offset + at });
}

/**
 * Reads and skips a decimal length of any number of digits and the byte `end` behind it; -1 if more bytes are needed.
 * Each digit is judged when it comes: a peer that sends nothing but digits is stopped by the limit, and a length is
 * refused before any of its payload has come.
 */
export function readDecimal(input: Input, end: number, maxFrameLength: number): number {
  let length = digitAt(input, 0);
  for (let at = 1; ; at++) {
    if (length > maxFrameLength) throw tooLong(length, maxFrameLength);
    if (length > Number.MAX_SAFE_INTEGER) throw new FramingError('BAD_LENGTH', 'the length is above 2^53-1');
    if (!input.has(at + 1)) return -1;
    if (input.u8(at) === end) {
      input.skip(at + 1);
      return length;
    }
    const digit = digitAt(input, at);
    if (length === 0) {
      throw new FramingError('BAD_LENGTH', 'the length has a leading zero', { offset: input.offset });
    }
    length = length * 10 + digit;
  }
}

/** Writes `value` in decimal, with zeros in front up to `digits` of them. */
export function writeDecimal(output: Output, value: number, digits = 1): void {
  let place = 10 ** (digits - 1);
  while (value >= place * 10) place *= 10;
  for (let rest = value; place >= 1; place /= 10) {
    const digit = Math.floor(rest / place);
    output.u8(ZERO + digit);
    rest -= digit * place;
  }
}
