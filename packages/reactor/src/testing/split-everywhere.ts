/** Cuts bytes at every place: what comes in one piece today comes in two tomorrow. */
import { isUint8Array } from 'node:util/types';
import { describe, misuse } from '../errors.js';

/**
 * Calls `check` with the bytes whole, then cut in two at each position, then byte by byte; each time it must come to the
 * same result, which is its own to check. `at` is the position of the cut, 0 for none, and -1 for byte by byte. Promises are
 * awaited, one after the other. What it throws is rejected with, as the cause of an error that names the cut.
 *
 * The pieces are copies: nobody sees the bytes of another call.
 */
export async function splitEverywhere(
  bytes: Uint8Array,
  check: (pieces: Buffer[], at: number) => unknown,
): Promise<void> {
  if (!isUint8Array(bytes))
    throw misuse('ERR_REACTOR_BUFFER', `splitEverywhere takes a Buffer or Uint8Array, got ${describe(bytes)}`);
  if (typeof check !== 'function')
    throw misuse('ERR_REACTOR_ARGUMENT', `splitEverywhere takes a function of the pieces, got ${describe(check)}`);
  const attempt = async (pieces: Buffer[], at: number): Promise<void> => {
    try {
      await check(pieces, at);
    } catch (error) {
      const how = at === 0 ? 'whole' : at === -1 ? 'byte by byte' : `cut at ${at}`;
      throw new Error(`${bytes.length} bytes, ${how}: ${(error as Error)?.message ?? String(error)}`, { cause: error });
    }
  };
  await attempt([Buffer.from(bytes)], 0);
  for (let at = 1; at < bytes.length; at += 1)
    await attempt([Buffer.from(bytes.subarray(0, at)), Buffer.from(bytes.subarray(at))], at);
  await attempt(
    Array.from(bytes, (byte) => Buffer.from([byte])),
    -1,
  );
}
