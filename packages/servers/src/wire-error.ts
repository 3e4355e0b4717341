/** Errors that travel from a worker to its server: what `postMessage` makes of an Error loses its code. */

import { messageOf } from './errors.js';

export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly code?: string;
  readonly cause?: WireError;
}

/** A chain of causes is cut here, should it be a circle. */
const MOST_CAUSES = 8;

export function toWire(error: unknown, depth = 0): WireError {
  if (!(error instanceof Error))
    return { name: 'Error', message: `a value that is no Error was thrown: ${messageOf(error)}` };
  const { code } = error as { code?: unknown };
  return {
    name: error.name,
    message: error.message,
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(typeof code === 'string' ? { code } : {}),
    ...(error.cause === undefined || depth >= MOST_CAUSES ? {} : { cause: toWire(error.cause, depth + 1) }),
  };
}

/** An Error with the name, message, stack, code and cause that it had where it was thrown. */
export function fromWire(wire: WireError): Error & { code?: string } {
  const error = new Error(wire.message, wire.cause === undefined ? undefined : { cause: fromWire(wire.cause) });
  const hidden = (value: unknown) => ({ value, enumerable: false, writable: true, configurable: true });
  Object.defineProperty(error, 'name', hidden(wire.name));
  if (wire.stack !== undefined) Object.defineProperty(error, 'stack', hidden(wire.stack));
  return wire.code === undefined ? error : Object.assign(error, { code: wire.code });
}
