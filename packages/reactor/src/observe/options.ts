/** The options `trace`, `record` and `debug`, checked: who is told what, or that nobody is. */
import { describe, misuse, outOfRange } from '../errors.js';
import { Debug } from './debug.js';
import { Observer } from './observer.js';
import type { DebugOptions, RecordOptions, RecordSink, TraceEvent } from './trace-event.js';

export interface ObserveOptions {
  trace?: (event: TraceEvent) => void;
  record?: RecordSink | RecordOptions;
  debug?: boolean | DebugOptions;
}

const SLOW_HANDLER_MS = 100;

/** The observer that the options ask for; `null` where they ask for none. Throws `ERR_REACTOR_ARGUMENT`. */
export function createObserver({ trace, record, debug }: ObserveOptions): Observer | null {
  if (trace !== undefined && typeof trace !== 'function')
    throw misuse('ERR_REACTOR_ARGUMENT', `trace must be a function, got ${describe(trace)}`);
  const recording = record === undefined ? undefined : recordOptions(record);
  const slowHandlerMs = slowLimit(debug);
  if (trace === undefined && recording === undefined && slowHandlerMs === undefined) return null;
  return new Observer({
    tell: [...(recording === undefined ? [] : [recording.tell]), ...(trace === undefined ? [] : [trace])],
    payloads: recording?.payloads ?? false,
    debug: slowHandlerMs === undefined ? null : new Debug(slowHandlerMs),
  });
}

function recordOptions(record: unknown): { tell: (event: TraceEvent) => void; payloads: boolean } {
  const wanted = 'record must be a function, an object with push, or { sink, payloads }';
  if (isSink(record)) return { tell: telling(record), payloads: false };
  if (typeof record !== 'object' || record === null)
    throw misuse('ERR_REACTOR_ARGUMENT', `${wanted}, got ${describe(record)}`);
  const { sink, payloads = false } = record as Partial<RecordOptions>;
  if (!isSink(sink)) throw misuse('ERR_REACTOR_ARGUMENT', `${wanted}, got the sink ${describe(sink)}`);
  if (typeof payloads !== 'boolean')
    throw misuse('ERR_REACTOR_ARGUMENT', `record.payloads must be a boolean, got ${describe(payloads)}`);
  return { tell: telling(sink), payloads };
}

function isSink(value: unknown): value is RecordSink {
  if (typeof value === 'function') return true;
  return typeof value === 'object' && value !== null && typeof (value as { push?: unknown }).push === 'function';
}

function telling(sink: RecordSink): (event: TraceEvent) => void {
  return typeof sink === 'function' ? sink : (event) => void sink.push(event);
}

/** `undefined` where debug is off. */
function slowLimit(debug: unknown): number | undefined {
  if (debug === undefined || debug === false) return undefined;
  if (debug === true) return SLOW_HANDLER_MS;
  if (typeof debug !== 'object' || debug === null)
    throw misuse('ERR_REACTOR_ARGUMENT', `debug must be a boolean or { slowHandlerMs }, got ${describe(debug)}`);
  const { slowHandlerMs = SLOW_HANDLER_MS } = debug as DebugOptions;
  if (typeof slowHandlerMs !== 'number')
    throw misuse('ERR_REACTOR_ARGUMENT', `debug.slowHandlerMs must be a number of ms, got ${describe(slowHandlerMs)}`);
  if (!(slowHandlerMs >= 0))
    throw outOfRange('ERR_REACTOR_ARGUMENT', `debug.slowHandlerMs must be 0 or more ms, got ${slowHandlerMs}`);
  return slowHandlerMs;
}
