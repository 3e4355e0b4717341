/**
 * The bits of an interest (what is asked for) and of a readiness (what happened), and the two special results of the
 * socket verbs. The first three are the three sets of `select(2)`.
 */

/** Bytes, a connection to accept, or the end of the stream can be received without blocking. */
export const READABLE = 1;

/** Bytes can be sent without blocking, or a connect that was begun has been decided. */
export const WRITABLE = 2;

/**
 * Urgent data (`MSG_OOB`) has come, or an error is pending: the Socket HOWTO's "those that you want to check for
 * errors". Wider than Linux's `exceptfds`, which means urgent data only; on Windows a failed connect is told there.
 */
export const ERROR = 4;

/** A hint in a readiness: both directions are shut. It cannot be asked for, and the kernel cannot mask it. */
export const HANGUP = 8;

/**
 * A hint in a readiness: the peer will send no more. May also be asked for alone where the backend has the capability
 * `hangupWhilePaused`: the registration is then parked after the first report, until its next `modify`.
 */
export const READ_CLOSED = 16;

/** What an interest may hold. */
export const INTEREST_MASK: number = READABLE | WRITABLE | ERROR | READ_CLOSED;

/**
 * Between the reactor and its backend only. In an interest: receive for this socket before its handler runs. In a mask: that
 * was done.
 */
export const AHEAD = 32;

/** The result of a verb that could do nothing without blocking (`EAGAIN`). A value, never an exception. */
export const WOULD_BLOCK = -1;

/** The result of a blocking verb whose thread was woken. */
export const INTERRUPTED = -2;

/** Receive without removing what is received from the queue. The bits are fdset's own, mapped in the native core. */
export const MSG_PEEK = 1;
/** Send or receive the urgent byte. */
export const MSG_OOB = 2;
/** More will follow: the kernel may hold a partial segment back. */
export const MSG_MORE = 4;

/** `READABLE|ERROR` for messages. */
export function describeReadiness(bits: number): string {
  const names: string[] = [];
  if (bits & READABLE) names.push('READABLE');
  if (bits & WRITABLE) names.push('WRITABLE');
  if (bits & ERROR) names.push('ERROR');
  if (bits & HANGUP) names.push('HANGUP');
  if (bits & READ_CLOSED) names.push('READ_CLOSED');
  const unknown = bits & ~31;
  if (unknown !== 0) names.push(`0x${(unknown >>> 0).toString(16)}`);
  return names.length === 0 ? '0' : names.join('|');
}
