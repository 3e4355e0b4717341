/**
 * The channels of `node:diagnostics_channel` that a reactor publishes to: for tools that look on without the program's
 * help. Whoever publishes looks at `hasSubscribers` first, so that nothing is built for nobody. A message is made for its
 * subscribers; what one of them throws is raised as an uncaughtException and disturbs nothing here.
 */
import { channel } from 'node:diagnostics_channel';
import type { Address } from './address.js';
import type { Connection } from './connection/connection.js';
import type { CloseInfo } from './connection/handler.js';
import type { Listener } from './listener.js';

/** What is published, by the name of the channel. */
export interface DiagnosticMessages {
  /** A connection begins, accepted or opened: before its handler's `open`. */
  'fdset:connection:open': { connection: Connection };
  /** A connection has ended: before its handler's `close`. */
  'fdset:connection:close': { connection: Connection; info: CloseInfo };
  /** `serve` listens. */
  'fdset:listener:listen': { listener: Listener; address: Address | undefined };
  /** Accepting failed for want of descriptors or memory: each time, not once for each episode. */
  'fdset:accept:error': { listener: Listener; error: Error };
  /** A turn is over: its number, the events that it took from the demultiplexer, and how long it took. */
  'fdset:turn': { turn: number; events: number; elapsedMs: number };
}

export interface DiagnosticChannel<Name extends keyof DiagnosticMessages> {
  readonly name: string | symbol;
  readonly hasSubscribers: boolean;
  publish(message: DiagnosticMessages[Name]): void;
}

function named<Name extends keyof DiagnosticMessages>(name: Name): DiagnosticChannel<Name> {
  return channel(name);
}

export const connectionOpened = named('fdset:connection:open');
export const connectionClosed = named('fdset:connection:close');
export const listenerListens = named('fdset:listener:listen');
export const acceptFailed = named('fdset:accept:error');
export const turnEnded = named('fdset:turn');
