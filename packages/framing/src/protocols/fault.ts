import type { Input } from '../codec.js';
import { FramingError } from '../errors.js';

/** What is wrong with the byte at `at` of the unread ones. */
export function fault(input: Input, at: number, code: FramingError['code'], message: string): FramingError {
  return new FramingError(code, message, { offset: input.offset + at });
}
