/** One connection of a recording: what its program received and sent, call by call. */
import { describe, misuse, outOfRange } from '../errors.js';
import type { TraceEvent } from '../observe/trace-event.js';
import { WOULD_BLOCK } from '../readiness.js';

/** A receive that gave bytes. */
export interface RecordedReceive {
  /** Ms after the connection was made. */
  readonly atMs: number;
  readonly bytes: number;
  /** What was received, where the recording has payloads. */
  readonly payload: Buffer | undefined;
}

/** What a reactor with the option `record` has told of one stream socket. */
export interface RecordedConnection {
  readonly socket: number;
  /** Whether its program accepted it or connected. */
  readonly role: 'accepted' | 'connected';
  readonly receives: readonly RecordedReceive[];
  /** How the peer's side ended, and when the program was told; `null` where it did not. */
  readonly end: { readonly how: 'end' | 'reset'; readonly atMs: number } | null;
  /** The places in what the program sent behind which a send took no more: of partial sends. */
  readonly partialSends: readonly number[];
  /** The places at which a send would-blocked. */
  readonly blockedSends: readonly number[];
  /** How many bytes the program sent. */
  readonly sentBytes: number;
  /** What they were, where the recording has payloads. */
  readonly sent: Buffer | undefined;
}

const RECEIVES: ReadonlySet<string> = new Set(['recv', 'receive', 'recvFrom', 'recvSync']);
const SENDS: ReadonlySet<string> = new Set(['send', 'sendv', 'sendTo', 'sendAllSync']);

/**
 * Finds the connection of socket number `socket` in the events of a recording (see `record` of the reactor's options).
 * Throws `ERR_REACTOR_ARGUMENT` where it has no such stream connection.
 */
export function recordedConnection(events: Iterable<TraceEvent>, socket: number): RecordedConnection {
  const all = [...events];
  const made = all.find(({ call, result }) => (call === 'accept' || call === 'acceptSync') && result === socket);
  const own = all.filter((event) => event.socket === socket);
  const connect = own.find(({ call, error }) => (call === 'connect' || call === 'connectSync') && error === undefined);
  const beginning = made ?? connect;
  if (beginning === undefined)
    throw misuse(
      'ERR_REACTOR_ARGUMENT',
      `the recording has no connection that socket ${describe(socket)} accepted or connected`,
    );
  // Of a connect, from when it was decided.
  const { time } = own.find(({ call, result }) => call === 'finishConnect' && result === true) ?? beginning;
  const receives: RecordedReceive[] = [];
  const partialSends: number[] = [];
  const blockedSends: number[] = [];
  const sent: (Buffer | undefined)[] = [];
  let sentBytes = 0;
  let end: RecordedConnection['end'] = null;
  for (const event of own) {
    const atMs = Math.max(0, event.time - time);
    const { call, result, error, bytes = 0, args } = event;
    if (RECEIVES.has(call)) {
      if (bytes > 0) receives.push({ atMs, bytes, payload: payloadOf(event) });
      else if (error === 'ECONNRESET' || error === 'EPIPE') end ??= { how: 'reset', atMs };
      else if (result === 0) end ??= { how: 'end', atMs };
    } else if (SENDS.has(call)) {
      if (bytes > 0) {
        sentBytes += bytes;
        sent.push(payloadOf(event));
        if (bytes < lengthOf(args[0])) partialSends.push(sentBytes);
      } else if (result === WOULD_BLOCK) blockedSends.push(sentBytes);
      else if (error === 'ECONNRESET' || error === 'EPIPE') end ??= { how: 'reset', atMs };
    }
  }
  const isWhole = sent.every((payload) => payload !== undefined);
  return {
    socket,
    role: made === undefined ? 'connected' : 'accepted',
    receives,
    end,
    partialSends,
    blockedSends,
    sentBytes,
    sent: isWhole ? Buffer.concat(sent as Buffer[]) : undefined,
  };
}

/** The bytes that a replay sends: those recorded, or as many of `bytes`. Throws `ERR_REACTOR_ARGUMENT`. */
export function inboundOf({ receives, socket }: RecordedConnection, bytes: Uint8Array | undefined): Buffer {
  const total = receives.reduce((sum, received) => sum + received.bytes, 0);
  if (bytes !== undefined) {
    if (bytes.length < total)
      throw outOfRange(
        'ERR_REACTOR_ARGUMENT',
        `bytes must hold the ${total} that socket ${socket} received, got ${bytes.length}`,
      );
    return Buffer.from(bytes.subarray(0, total));
  }
  if (receives.some(({ payload }) => payload === undefined))
    throw misuse(
      'ERR_REACTOR_ARGUMENT',
      `the recording has no payloads: record with { payloads: true }, or give the ${total} bytes that socket ${socket} received`,
    );
  return Buffer.concat(receives.map(({ payload }) => payload as Buffer));
}

function payloadOf({ payload }: TraceEvent): Buffer | undefined {
  return payload === undefined ? undefined : Buffer.from(payload, 'base64');
}

/** What was to be sent: a length, or the lengths of gathered chunks as text. */
function lengthOf(asked: unknown): number {
  if (typeof asked === 'number') return asked;
  const lengths = typeof asked === 'string' ? asked.match(/\d+/g) : null;
  return (lengths ?? []).reduce((sum, length) => sum + Number(length), 0);
}
