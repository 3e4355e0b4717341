/** The checks of arguments that the tools of this entry share. */
import { describe, misuse, outOfRange } from '../errors.js';

/** An integer of at least 1. Throws `ERR_REACTOR_ARGUMENT`. */
export function checkCount(value: unknown, name: string): asserts value is number {
  if (typeof value !== 'number')
    throw misuse('ERR_REACTOR_ARGUMENT', `${name} must be a number, got ${describe(value)}`);
  if (!Number.isSafeInteger(value) || value < 1)
    throw outOfRange('ERR_REACTOR_ARGUMENT', `${name} must be an integer of at least 1, got ${value}`);
}
