/**
 * What a connection keeps, in few words: an idle one costs little.
 *
 *   reading   PAUSED ──resume──▶ FLOWING ──end of stream──▶ ENDED      reading.ts, flow.ts
 *             (PAUSED: the kernel's buffer fills up and holds the peer back)
 *   writing   OPEN ──end()──▶ ENDING ──queue empty──▶ FINISHED (FIN)   writing.ts, departing.ts
 *   life      open ──both ended, or destroy, reset, error──▶ closed    ending.ts
 *             closed ──end of the turn──▶ TOLD ('close')
 *
 * The files beside this one are functions over a connection, each calling only those below it:
 *
 *   connection.ts   the verbs, as users meet them
 *   readiness.ts    what the dispatcher calls               lingering.ts   close()
 *   opening.ts      the first call                          handing.ts     detach() and toDuplex()
 *   reading.ts      chunks in, and what is kept of them     holding.ts     hold()
 *   departing.ts    the end of the turn
 *   writing.ts      the queue, and what sending does to it
 *   flow.ts         what is asked of the demultiplexer
 *   ending.ts       the end, and who is told of it
 *   calling.ts      the user's code                         queued.ts, timeouts.ts   bookkeeping
 *
 * Plugins, where there are any: admission.ts (may it come about, and what is kept of it), inbound.ts and outbound.ts (what
 * comes and goes passes their hooks), hooked.ts (the call of a hook, and its failure).
 */
import type { AsyncResource } from 'node:async_hooks';
import type { Duplex } from 'node:stream';
import type { AcceptCounters } from '../accept-loop.js';
import type { Address } from '../address.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import type { SocketError } from '../errors.js';
import type { HookTable } from '../plugin/compile.js';
import type { AnyPlugin } from '../plugin/plugin.js';
import type { Connection } from './connection.js';
import type { ConnectionHandler, ConnectionSettings } from './handler.js';
import type { Holds } from './holds.js';
import type { ConnectionIterator } from './iterator.js';

/** A connection, whatever its context. */
export type AnyConnection = Connection<unknown>;

/** A reactor's {@link ConnectionHost}, for connections that make themselves. */
export const HOST: unique symbol = Symbol('host');

/** What a connection needs of its reactor. */
export interface ConnectionHost {
  readonly dispatcher: Dispatcher;
  readonly metrics: AcceptCounters & { unheardErrors: number };
  /** Whether READ_CLOSED may be asked for alone. */
  readonly hangupWhilePaused: boolean;
  /** Whether the backend receives ahead of the handlers. */
  readonly receivesAhead: boolean;
  /** The hooks of its plugins, or of those that are listed: retained, and to be released. */
  readonly plugins: { table(listed: readonly AnyPlugin[] | undefined): HookTable | null };
  /** Told of each connection, where the reactor is observed. */
  readonly observer: { connection(connection: Connection): void } | null;
}

/** What the connections of one listener share, so that an idle one keeps as little as possible. */
export interface ConnectionKind<Context> {
  readonly host: ConnectionHost;
  readonly handler: ConnectionHandler<Context>;
  readonly settings: ConnectionSettings;
  /** `null` without plugins. */
  readonly hooks: HookTable | null;
  /** Of the connections that have none of their own. */
  readonly context: Context;
  /** Told when a connection has ended. */
  readonly owner: { left(): void } | null;
}

/** Of connections without plugins. */
export const NO_CONTEXT = Object.freeze({});

/** `flow`: the reading side. */
export const PAUSED = 0;
export const FLOWING = 1;
export const ENDED = 2;

/** `writing`: the writing side. */
export const OPEN = 0;
export const ENDING = 1;
export const FINISHED = 2;

/** `flags`. */

/** A 'data' listener was added: each chunk is emitted too. */
export const HEARD = 1;
/** The kernel's buffer is full: WRITABLE is asked for. */
export const BLOCKED = 2;
/** The dispatcher will call `leave`. */
export const DEPARTING = 4;
/** `write` returned false: 'drain' is owed. */
export const NEEDS_DRAIN = 8;
/** 'close' was told. */
export const TOLD = 16;
/** close(): what comes in is thrown away. */
export const DISCARDING = 32;
/** Any listener was added: until then nothing is emitted at all. */
export const LISTENED = 64;
/** It has timeouts: what comes and goes is noted. */
export const TIMED = 128;
/** hold(): nothing is delivered. */
export const HELD = 256;
/** An iterator takes the chunks, each when it is asked for. */
export const ITERATING = 512;
/** A Duplex stands over it, and answers the peer's end. */
export const BRIDGED = 1024;
/** It has an AsyncResource of its own. */
export const CONTEXTUAL = 2048;
/** Its socket is no descriptor: the outbox cannot take its bytes. */
export const UNPACKED = 4096;
/** detach(): the socket is somebody else's now. */
export const DETACHED = 8192;
/** Bytes that were written were dropped. */
export const LOST = 16384;

/** Plugins take part in what comes in: it passes stage after stage (inbound.ts). */
export const STAGED = 1 << 15;
/** Plugins take part in what is written. */
export const FILTERED = 1 << 16;
/** Its `open` has not reached the handler yet. */
export const OPENING = 1 << 17;
/** Its `finish` has not passed all plugins yet: there is no FIN before. */
export const FINISHING = 1 << 18;
/** Something that came in is on its way through the stages. */
export const PASSING = 1 << 19;
/** Something that was written is on its way through the plugins. */
export const FILTERING = 1 << 20;
/** The bits from here on count the plugins that the opening has reached, while it is OPENING. */
const REACHED = 21;

export interface FlushWaiter {
  /** As {@link Rarity.written}: what must have left. */
  readonly mark: number;
  resolve(): void;
  reject(error: Error): void;
}

/** What was received: a chunk, 0 for the end, or the error. */
export type Received = Buffer | 0 | SocketError;

/** A chunk, or the end, that has passed the plugins before `stage`. */
export class Staged {
  readonly item: Buffer | 0;
  readonly stage: number;

  constructor(item: Buffer | 0, stage: number) {
    this.item = item;
    this.stage = stage;
  }
}

/** What waits for a plugin: at which place that stands, and until when it may take. */
export interface Waiting {
  readonly at: number;
  readonly deadline: { cancel(): void };
}

/** What few connections need. */
export interface Rarity {
  /** Bytes written since it was made; so what has left is this without `bufferedBytes`, and below 0 at first. */
  written: number;
  waiters: FlushWaiter[];
  /** Told by themselves when the connection has ended: the promises of close(), and its timer. */
  onClosed: (() => void)[];
  /** The writing side broke, and what the peer had sent before is still being read. */
  brokenPipe: Error | null;
  /** Received while it could not be told; what plugins have passed on comes first. */
  kept: (Received | Staged)[];
  /** Told by themselves when all plugins have opened it. */
  onOpened: (() => void)[];
  /** Told by themselves when our side has ended, or with an error where it cannot any more. */
  onFinished: ((error?: Error) => void)[];
  /** A plugin's `open` holds it. `resumes`: whether it reads once it is open. */
  opening: (Waiting & { resumes: boolean }) | null;
  /** A plugin's `finish` holds its end. */
  finishing: Waiting | null;
  /** Whom a plugin knows the peer as. */
  remoteAddress: Address | undefined;
  holds: Holds | null;
  iterator: ConnectionIterator | null;
  duplex: Duplex | null;
  resource: AsyncResource | null;
}

/** The rarity of a connection, made where there is none. */
export function rare(connection: AnyConnection): Rarity {
  connection.rarity ??= {
    written: 0,
    waiters: [],
    onClosed: [],
    brokenPipe: null,
    kept: [],
    onOpened: [],
    onFinished: [],
    opening: null,
    finishing: null,
    remoteAddress: undefined,
    holds: null,
    iterator: null,
    duplex: null,
    resource: null,
  };
  return connection.rarity;
}

/** The first plugin that has not been told of the connection, and that nothing can reach yet. */
export function barrier({ flags }: AnyConnection): number {
  return (flags & OPENING) === 0 ? Number.POSITIVE_INFINITY : flags >>> REACHED;
}

/** The opening comes to the plugin at that place. */
export function reachPlugin(connection: AnyConnection, at: number): void {
  connection.flags = (connection.flags & ((1 << REACHED) - 1)) | ((at + 1) << REACHED);
}

/** The state, for people. */
export function describeConnection(connection: AnyConnection): string {
  const { ended } = connection;
  if (ended !== null) return `closed (by ${ended.by})`;
  const reading = ['paused', 'reading', 'read to the end'][connection.flow];
  const writing = ['', ', ending', ', ended'][connection.writing];
  const blocked = (connection.flags & BLOCKED) === 0 ? '' : ' and blocked';
  return `${reading}${writing}, ${connection.bufferedBytes} bytes queued${blocked}`;
}
