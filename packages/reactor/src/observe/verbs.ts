/** How the verbs of a socket are told: their arguments in brief, what they returned, and the bytes that they moved. */
import { formatAddress } from '../address.js';
import type { BackendSocket } from '../backend/backend.js';
import { describe } from '../errors.js';
import { MSG_MORE, MSG_OOB, MSG_PEEK } from '../readiness.js';
import type { TraceValue } from './trace-event.js';

/** What one call of a verb has to say. */
export interface Told {
  readonly args: readonly TraceValue[];
  readonly result?: TraceValue;
  readonly bytes?: number;
  /** Where the bytes stand: only until the verb's caller goes on. */
  readonly moved?: readonly Uint8Array[];
}

type Args = readonly unknown[];
/** Tells a call that has returned `result`; called with `undefined` for one that has thrown, for its arguments alone. */
type Telling = (args: Args, result: unknown) => Told;

/** Verbs over a range of one buffer: (buffer, offset, length, flags). */
const transfer: Telling = (args, result) => {
  const [buffer, offset = 0, length, flags] = args as [Uint8Array, number?, number?, number?];
  if (!ArrayBuffer.isView(buffer)) return plain(args, result);
  const told = [length ?? buffer.length - offset, ...(flags === undefined || flags === 0 ? [] : [flagNames(flags)])];
  const peeked = typeof flags === 'number' && (flags & MSG_PEEK) !== 0;
  if (typeof result !== 'number' || result <= 0 || peeked) return { args: told, ...brought(result) };
  return { args: told, result, bytes: result, moved: [buffer.subarray(offset, offset + result)] };
};

/** The blocking verbs: (buffer, { offset, length, timeoutMs }). */
const blockingTransfer: Telling = (args, result) => {
  const [buffer, options] = args as [Uint8Array, { offset?: number; length?: number; timeoutMs?: number }?];
  const told = transfer([buffer, options?.offset, options?.length], result);
  return options?.timeoutMs === undefined ? told : { ...told, args: [...told.args, `${options.timeoutMs} ms`] };
};

const gathered: Telling = (args, result) => {
  const [chunks] = args as [readonly Uint8Array[]];
  if (!Array.isArray(chunks) || typeof result !== 'number' || result <= 0) return plain(args, result);
  const moved: Uint8Array[] = [];
  let left = result;
  for (const chunk of chunks as readonly Uint8Array[]) {
    if (left === 0) break;
    const part = chunk.subarray(0, left);
    moved.push(part);
    left -= part.length;
  }
  return { args: args.map(brief), result, bytes: result, moved };
};

/** A connection's recv: a chunk, 0 or WOULD_BLOCK. */
const chunk: Telling = (_args, result) =>
  result instanceof Uint8Array
    ? { args: [], result: result.length, bytes: result.length, moved: [result] }
    : { args: [], ...brought(result) };

/** Verbs that give { bytes, ... } or null for what came into their first argument. */
const message: Telling = (args, result) => {
  const { bytes } = (result ?? {}) as { bytes?: number };
  if (typeof bytes !== 'number') return plain(args, result);
  return { args: args.map(brief), result: bytes, bytes, moved: [(args[0] as Uint8Array).subarray(0, bytes)] };
};

/** Verbs that send all of one buffer: `sent[at]`. */
function datagram(at: number): Telling {
  return (args, result) => {
    const buffer = args[at];
    if (typeof result !== 'number' || result <= 0 || !(buffer instanceof Uint8Array)) return plain(args, result);
    return { args: args.map(brief), result, bytes: result, moved: [buffer.subarray(0, result)] };
  };
}

const plain: Telling = (args, result) => ({ args: args.map(brief), ...brought(result) });

/** What is told of a socket. A backend that lacks one of them is told of the others. */
export const VERBS: Readonly<Record<string, Telling>> = {
  bind: plain,
  listen: plain,
  accept: plain,
  connect: plain,
  finishConnect: plain,
  recv: transfer,
  receive: chunk,
  send: transfer,
  sendv: gathered,
  recvFrom: message,
  sendTo: datagram(0),
  recvBatch: plain,
  sendBatch: plain,
  recvDescriptors: message,
  sendDescriptors: datagram(1),
  takeError: plain,
  shutdown: plain,
  close: plain,
  reset: plain,
  detach: plain,
  transfer: plain,
  atMark: plain,
  getOption: plain,
  setOption: plain,
  getRawOption: plain,
  setRawOption: plain,
  joinGroup: plain,
  leaveGroup: plain,
  recvSync: blockingTransfer,
  sendAllSync: blockingTransfer,
  acceptSync: plain,
  connectSync: plain,
};

/** Verbs that may be called on a closed socket. */
export const CLOSING: ReadonlySet<string> = new Set(['close', 'reset']);

export function isSocket(value: unknown): value is BackendSocket {
  return typeof value === 'object' && value !== null && 'fileno' in value && 'host' in value;
}

function brought(result: unknown): { result?: TraceValue } {
  return result === undefined ? {} : { result: brief(result) };
}

/** A value as an event holds it. */
function brief(value: unknown): TraceValue {
  switch (typeof value) {
    case 'number':
    case 'boolean':
      return value;
    case 'string':
      return value.length > 60 ? `${value.slice(0, 57)}...` : value;
    case 'object':
      return value === null ? null : briefObject(value);
    default:
      return describe(value);
  }
}

function briefObject(value: object): TraceValue {
  if (ArrayBuffer.isView(value)) return value.byteLength;
  if (Array.isArray(value)) return `[${value.map(brief).join(', ')}]`;
  if (value instanceof Error) return (value as NodeJS.ErrnoException).code ?? value.name;
  if ('then' in value) return 'a promise';
  const { path, host, port, timeoutMs } = value as {
    path?: unknown;
    host?: unknown;
    port?: unknown;
    timeoutMs?: unknown;
  };
  if (typeof path === 'string') return formatAddress({ path });
  if (typeof host === 'string' && typeof port === 'number') return formatAddress({ host, port });
  return typeof timeoutMs === 'number' ? `${timeoutMs} ms` : describe(value);
}

function flagNames(flags: unknown): TraceValue {
  if (typeof flags !== 'number') return describe(flags);
  const names: string[] = [];
  if (flags & MSG_PEEK) names.push('MSG_PEEK');
  if (flags & MSG_OOB) names.push('MSG_OOB');
  if (flags & MSG_MORE) names.push('MSG_MORE');
  const unknown = flags & ~(MSG_PEEK | MSG_OOB | MSG_MORE);
  return unknown === 0 ? names.join('|') : [...names, unknown].join('|');
}
