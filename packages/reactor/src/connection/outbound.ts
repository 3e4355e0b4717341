/** What is written passes the plugins, from the last to the first. */
import { callForBytes } from './hooked.js';
import { type AnyConnection, FILTERING } from './state.js';

/** Above all plugins: where the program writes. */
export const ABOVE_ALL = Number.MAX_SAFE_INTEGER;

/** What is to be sent of a chunk that enters above plugin `above`; `null` for nothing. */
export function filter(connection: AnyConnection, given: Uint8Array, above: number): Uint8Array | null {
  const outer = connection.flags & FILTERING;
  connection.flags |= FILTERING;
  const left = pass(connection, given, above);
  if (outer === 0) connection.flags &= ~FILTERING;
  return left;
}

function pass(connection: AnyConnection, given: Uint8Array, above: number): Uint8Array | null {
  let chunk = given;
  for (const step of connection.kind.hooks?.write ?? []) {
    if (step.at >= above) continue;
    const result = callForBytes(connection, step, chunk);
    if (result === null || connection.ended !== null || result?.length === 0) return null;
    if (result !== undefined) chunk = result;
  }
  return chunk;
}
