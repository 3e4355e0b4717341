/** What a connection asks of the demultiplexer: to read while it flows, to write while it is blocked. */
import type { SocketError } from '../errors.js';
import { READ_CLOSED, READABLE, WRITABLE } from '../readiness.js';
import { fail } from './ending.js';
import { type AnyConnection, BLOCKED, FLOWING, HELD, PAUSED } from './state.js';

export function interestOf(connection: AnyConnection): number {
  const { flow } = connection;
  const reading = flow === FLOWING ? READABLE : 0;
  const writing = (connection.flags & BLOCKED) !== 0 ? WRITABLE : 0;
  const hangup = flow === PAUSED && connection.kind.host.hangupWhilePaused ? READ_CLOSED : 0;
  return reading | writing | hangup;
}

/** Tells the demultiplexer, where something else is wanted than before. */
export function rearm(connection: AnyConnection): void {
  const { registration } = connection;
  if (registration === null || !registration.active) return;
  const interest = interestOf(connection);
  if (interest === registration.interest) return;
  try {
    registration.modify(interest);
  } catch (error) {
    // The kernel has no memory (epoll_ctl(2)): what is waited for would never be told.
    fail(connection, error as SocketError);
  }
}

export function setFlow(connection: AnyConnection, flow: number): void {
  connection.flow = flow;
  if (connection.timeouts !== null)
    connection.timeouts.readingSince =
      flow === FLOWING ? connection.kind.host.dispatcher.time : Number.POSITIVE_INFINITY;
  rearm(connection);
}

export function pause(connection: AnyConnection): void {
  if (waitsToOpen(connection, false)) return;
  if (connection.flow === FLOWING) setFlow(connection, PAUSED);
  else if ((connection.flags & HELD) !== 0) setResumes(connection, false);
}

/** While a plugin holds its opening it is read for that one; `resumes` is for later. */
export function waitsToOpen(connection: AnyConnection, resumes: boolean): boolean {
  const opening = connection.rarity === null ? null : connection.rarity.opening;
  if (opening === null) return false;
  opening.resumes = resumes;
  return true;
}

/** While it is held: whether it reads when it is released. */
export function setResumes(connection: AnyConnection, resumes: boolean): void {
  const holds = connection.rarity?.holds;
  if (holds) holds.resumes = resumes;
}
