/** What a traced or recorded reactor tells: one event for each verb, each wait and each turn. Plain data, no code. */

/** What stands in an event for an argument or a result: never the user's own object. */
export type TraceValue = string | number | boolean | null;

/**
 * One thing that has happened. Plain data that `JSON.stringify` keeps, so a recording is a file of lines. Two runs of the
 * same program over the same input give the same events, but for `time` and `elapsedMs`.
 */
export interface TraceEvent {
  /** 1, 2, 3 and so on, without gaps: the order in which it happened. */
  readonly sequence: number;
  /** When it was over, in ms of `reactor.now()`. */
  readonly time: number;
  /** Whom it concerns: the sockets of a reactor are numbered from 1, in the order in which it made or accepted them. 0 is the reactor. */
  readonly socket: number;
  /**
   * A verb of the socket (`recv`, `send`, `accept`, ...; `receive` is the recv of connections), or `socket`, `socketPair`,
   * `adopt` where it was made; `watch` where its interest was set; of the reactor `wait`, `look` and `turn`.
   */
  readonly call: string;
  /** The arguments in brief: an address as text, a buffer as its length, a length for the range of a transfer. */
  readonly args: readonly TraceValue[];
  /** What was returned, absent for nothing: a count, a text, the number of a socket (of `accept` and `socketPair`). */
  readonly result?: TraceValue;
  /** The code of what was thrown; then there is no result. */
  readonly error?: string;
  /** The bytes that the call has moved, where it has moved any. A peek moves none. */
  readonly bytes?: number;
  /** Those bytes in base64, where payloads are recorded. */
  readonly payload?: string;
  /** Of `wait` and `look`: which sockets were ready, and for what. */
  readonly ready?: readonly (readonly [socket: number, readiness: number])[];
  /** Of `turn`: how long it took. */
  readonly elapsedMs?: number;
}

/** Where recorded events go: a function, or whatever has a `push`, such as an array. What it throws is raised as an uncaughtException. */
export type RecordSink = ((event: TraceEvent) => void) | { push(event: TraceEvent): unknown };

export interface RecordOptions {
  sink: RecordSink;
  /** Keep the bytes of each call in its event (false). */
  payloads?: boolean;
}

export interface DebugOptions {
  /** A handler that runs longer than this is warned of (100 ms). */
  slowHandlerMs?: number;
}
