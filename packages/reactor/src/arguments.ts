/** The checks of arguments that every backend makes the same way. Pure: each returns, or throws with its code. */
import { isUint8Array } from 'node:util/types';
import { describe, misuse, outOfRange } from './errors.js';
import { MSG_MORE, MSG_OOB, MSG_PEEK } from './readiness.js';

/**
 * Whether `[offset, offset + length)` plainly lies within `buffer`: the test of the fast path. `false` means "look
 * closer": {@link checkRange} then throws, or accepts what this test does not know (offsets beyond 2 GiB).
 */
export function isRange(buffer: Uint8Array, offset: number, length: number): boolean {
  return (
    isUint8Array(buffer) &&
    (offset | 0) === offset &&
    (length | 0) === length &&
    offset >= 0 &&
    length >= 0 &&
    offset + length <= buffer.byteLength
  );
}

/**
 * Checks the range of a transfer: `buffer` must be a Uint8Array that holds `[offset, offset + length)`. To receive
 * (verbs that begin with `recv`), the length must be 1 at least, because a result of 0 means the end of the stream.
 * An undefined `offset` is 0, an undefined `length` what is left behind it. Throws `ERR_REACTOR_BUFFER`: a TypeError for a
 * wrong type, a RangeError for a number that does not fit.
 */
export function checkRange(buffer: unknown, offset: unknown = 0, given: unknown, verb: string): void {
  if (!isUint8Array(buffer))
    throw misuse('ERR_REACTOR_BUFFER', `${verb} takes a Buffer or Uint8Array, got ${describe(buffer)}`);
  const size = buffer.byteLength;
  checkPart(offset, 'offset', verb);
  if (offset > size)
    throw outOfRange('ERR_REACTOR_BUFFER', `${verb}: offset ${offset} lies beyond the buffer of ${size} bytes`);
  const length = given === undefined ? size - offset : given;
  checkPart(length, 'length', verb);
  if (offset + length > size)
    throw outOfRange(
      'ERR_REACTOR_BUFFER',
      `${verb}: offset ${offset} and length ${length} reach beyond the buffer of ${size} bytes`,
    );
  if (length === 0 && verb.startsWith('recv'))
    throw outOfRange(
      'ERR_REACTOR_BUFFER',
      `${verb}: the range must hold at least 1 byte, got length 0 at offset ${offset} of ${size} bytes; its result 0 could not be told from the end of the stream`,
    );
}

function checkPart(value: unknown, name: string, verb: string): asserts value is number {
  if (typeof value !== 'number')
    throw misuse('ERR_REACTOR_BUFFER', `${verb}: ${name} must be a number, got ${describe(value)}`);
  if (!Number.isSafeInteger(value) || value < 0)
    throw outOfRange('ERR_REACTOR_BUFFER', `${verb}: ${name} must be an integer of at least 0, got ${value}`);
}

/**
 * Checks a list of chunks to be sent: an array of Uint8Arrays. Throws `ERR_REACTOR_BUFFER`.
 */
export function checkChunks(chunks: unknown, verb: string): asserts chunks is readonly Uint8Array[] {
  if (!Array.isArray(chunks))
    throw misuse('ERR_REACTOR_BUFFER', `${verb} takes an array of Uint8Array, got ${describe(chunks)}`);
  for (let i = 0; i < chunks.length; i++)
    if (!isUint8Array(chunks[i]))
      throw misuse('ERR_REACTOR_BUFFER', `${verb}: chunk ${i} must be a Uint8Array, got ${describe(chunks[i])}`);
}

/** Checks the backlog of a listening socket: an integer from 0 to 2^31 - 1. Throws `ERR_REACTOR_ARGUMENT`. */
export function checkBacklog(value: unknown): asserts value is number {
  if (typeof value !== 'number')
    throw misuse('ERR_REACTOR_ARGUMENT', `backlog must be a number of connections, got ${describe(value)}`);
  if (!Number.isInteger(value) || value < 0 || value > 0x7fffffff)
    throw outOfRange('ERR_REACTOR_ARGUMENT', `backlog must be an integer from 0 to 2147483647, got ${value}`);
}

/**
 * Checks the flags of a transfer: a number with no other bit than those of `allowed`. Throws `ERR_REACTOR_ARGUMENT`:
 * a TypeError for a wrong type, a RangeError for a bit that is unknown or that `verb` does not take.
 */
export function checkFlags(flags: unknown, allowed: number, verb: string): asserts flags is number {
  if (typeof flags !== 'number')
    throw misuse('ERR_REACTOR_ARGUMENT', `${verb}: flags must be a number of MSG_ bits, got ${describe(flags)}`);
  if (!Number.isInteger(flags) || (flags & ~allowed) !== 0 || flags > 0xffffffff || flags < 0)
    throw outOfRange('ERR_REACTOR_ARGUMENT', `${verb} takes the flags ${describeFlags(allowed)}, got ${flags}`);
}

function describeFlags(flags: number): string {
  const names: string[] = [];
  if (flags & MSG_PEEK) names.push(`MSG_PEEK (${MSG_PEEK})`);
  if (flags & MSG_OOB) names.push(`MSG_OOB (${MSG_OOB})`);
  if (flags & MSG_MORE) names.push(`MSG_MORE (${MSG_MORE})`);
  return names.length === 0 ? '0 only' : names.join(', ');
}

/**
 * Checks a time to wait, in ms, and returns it: a finite number of at least 0; `null` and `undefined` mean for ever, and
 * give `undefined`. `name` is how the argument is called. Throws `ERR_REACTOR_ARGUMENT`.
 */
export function checkTimeout(value: unknown, name: string): number | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value !== 'number')
    throw misuse('ERR_REACTOR_ARGUMENT', `${name} must be a number of ms, or null for ever, got ${describe(value)}`);
  if (!Number.isFinite(value) || value < 0)
    throw outOfRange('ERR_REACTOR_ARGUMENT', `${name} must be a finite number of at least 0 ms, got ${value}`);
  return value;
}

/** Checks a time in ms of which 0 means none: a finite number of at least 0. Throws `ERR_REACTOR_ARGUMENT`. */
export function checkMs(value: unknown, name: string): number {
  if (typeof value !== 'number')
    throw misuse('ERR_REACTOR_ARGUMENT', `${name} must be a number of ms, 0 for none, got ${describe(value)}`);
  if (!Number.isFinite(value) || value < 0)
    throw outOfRange('ERR_REACTOR_ARGUMENT', `${name} must be a finite number of at least 0 ms, got ${value}`);
  return value;
}

/** Checks bytes that were received before. Throws `ERR_REACTOR_BUFFER`. */
export function checkUnread(unread: unknown): asserts unread is Uint8Array {
  if (!isUint8Array(unread)) throw misuse('ERR_REACTOR_BUFFER', `unread is a Uint8Array, got ${describe(unread)}`);
}

/** Checks an option that is one of a few words, and returns it. Throws `ERR_REACTOR_ARGUMENT`. */
export function oneOf<const T extends string>(name: string, value: T, allowed: readonly T[]): T {
  if (allowed.includes(value)) return value;
  throw misuse(
    'ERR_REACTOR_ARGUMENT',
    `${name} must be one of ${allowed.map((item) => `'${item}'`).join(', ')}, got ${describe(value)}`,
  );
}

/** Checks a timer's delay. 30 days and more are fine: the backends cut long waits into pieces. */
export function checkDelay(value: unknown, name: string): void {
  if (typeof value !== 'number')
    throw misuse('ERR_REACTOR_ARGUMENT', `${name} must be a number of ms, got ${describe(value)}`);
  if (!(value >= 0 && value <= Number.MAX_SAFE_INTEGER))
    throw outOfRange('ERR_REACTOR_ARGUMENT', `${name} must be from 0 to ${Number.MAX_SAFE_INTEGER} ms, got ${value}`);
}

/** `value` itself, or `fallback` where it is absent. Throws `ERR_REACTOR_ARGUMENT` for what is neither true nor false. */
export function checkFlag(value: unknown, name: string, fallback = false): boolean {
  if (value === undefined) return fallback;
  if (typeof value === 'boolean') return value;
  throw misuse('ERR_REACTOR_ARGUMENT', `${name} must be true or false, got ${describe(value)}`);
}

/** Checks the value of a socket option that is on or off. Throws `ERR_REACTOR_ARGUMENT`. */
export function checkSwitch(value: unknown, option: string): boolean {
  if (typeof value !== 'boolean')
    throw misuse('ERR_REACTOR_ARGUMENT', `option ${option} takes a boolean, got ${describe(value)}`);
  return value;
}

/** Checks the value of a socket option that is an integer within a range, and returns it. Throws `ERR_REACTOR_ARGUMENT`. */
export function checkWithin(value: unknown, option: string, [least, most]: readonly [number, number]): number {
  if (typeof value !== 'number')
    throw misuse('ERR_REACTOR_ARGUMENT', `option ${option} takes a number, got ${describe(value)}`);
  if (!(Number.isInteger(value) && value >= least && value <= most))
    throw outOfRange(
      'ERR_REACTOR_ARGUMENT',
      `option ${option} takes an integer from ${least} to ${most}, got ${value}`,
    );
  return value;
}
