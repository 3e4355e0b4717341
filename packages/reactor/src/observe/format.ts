/** Trace events for people: a line each, in the manner of strace(1). */
import { describeReadiness, INTERRUPTED, WOULD_BLOCK } from '../readiness.js';
import type { TraceEvent, TraceValue } from './trace-event.js';

/** Of a payload, so many bytes are shown. */
const SHOWN_BYTES = 32;
/** Whose negative results have names. */
const TRANSFERS: ReadonlySet<string> = new Set([
  'recv',
  'receive',
  'send',
  'sendv',
  'sendTo',
  'recvBatch',
  'sendBatch',
  'sendDescriptors',
  'recvSync',
  'sendAllSync',
]);
/** Whose results are numbers of sockets. */
const MAKERS: ReadonlySet<string> = new Set(['accept', 'acceptSync', 'socketPair']);

/**
 * One readable line, without a line's end: the time in ms, the socket, the call with its arguments, and what came of it.
 *
 *       12.345 #4 recv(65536) = 64 "GET / HTTP/1.1\r\n"...
 *       12.401 #4 send(128) throws EPIPE
 *       12.420 wait(1024) = 1 [#4 READABLE]
 *       12.450 turn(7) = 1 <0.105 ms>
 *
 * The bytes stand there where they were recorded.
 */
export function formatTraceEvent(event: TraceEvent): string {
  const { time, socket, call, args, bytes, payload, ready, elapsedMs } = event;
  let line = `${time.toFixed(3).padStart(8)} ${socket === 0 ? '' : `#${socket} `}${call}(${args.map(shown).join(', ')})`;
  line += outcome(event);
  if (bytes !== undefined && bytes !== event.result) line += ` (${bytes} bytes)`;
  if (payload !== undefined) line += ` ${quoted(payload)}`;
  for (const [id, readiness] of ready ?? []) line += ` [#${id} ${describeReadiness(readiness)}]`;
  if (elapsedMs !== undefined) line += ` <${elapsedMs.toFixed(3)} ms>`;
  return line;
}

function outcome({ call, result, error }: TraceEvent): string {
  if (error !== undefined) return ` throws ${error}`;
  if (result === undefined) return '';
  if (TRANSFERS.has(call) && result === WOULD_BLOCK) return ' = WOULD_BLOCK';
  if (TRANSFERS.has(call) && result === INTERRUPTED) return ' = INTERRUPTED';
  if (MAKERS.has(call) && result !== null) return ` = #${result}`;
  return ` = ${shown(result)}`;
}

/** A text that a terminal can show: what a peer or a name has put into it moves no cursor. */
function shown(value: TraceValue): string {
  return typeof value === 'string' ? escaped(value) : String(value);
}

function quoted(payload: string): string {
  const bytes = Buffer.from(payload, 'base64');
  const text = escaped(bytes.subarray(0, SHOWN_BYTES).toString('latin1').replace(/["\\]/g, '\\$&'));
  return `"${text}"${bytes.length > SHOWN_BYTES ? '...' : ''}`;
}

const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\0': '\\0' };

function escaped(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\x00-\x1f\x7f-\xff]/g, (character) => {
    const code = character.charCodeAt(0);
    return ESCAPES[character] ?? `\\x${code.toString(16).padStart(2, '0')}`;
  });
}
