/** A schedule: the decisions of a run that were not the harmless ones, as data and as one string. */
import { describe, misuse } from '../errors.js';

/**
 * What is decided, each about a subject and at a place of its own:
 *
 *   cut     of what a stream has for its receiver, `recv` gives only what stands before this byte of the stream
 *   part    `send` takes only what comes before this byte of the stream
 *   block   the n-th call of a socket would-blocks
 *   false   the n-th time that a socket ceases to be ready it is told ready all the same, for `value`
 *   delay   what is sent at this byte of a stream, or as the n-th datagram of a socket, takes longer by `value` / 255 of the range
 *   late    the n-th datagram of a socket is overtaken by later ones
 *   lose    the n-th datagram of a socket is lost
 *   reset   what is sent at this byte of a stream meets a reset
 *   mute    what is sent at this byte of a stream, and all after it in both directions, gets lost
 *   full    the n-th descriptor of the network is refused
 */
export const KINDS = ['cut', 'part', 'block', 'false', 'delay', 'late', 'lose', 'reset', 'mute', 'full'] as const;

export type DecisionKind = (typeof KINDS)[number];

/** One decision: never the harmless one, whose value is 0. */
export interface Decision {
  readonly kind: DecisionKind;
  /** The number of the socket or stream, from 1 in the order in which the network made them. */
  readonly subject: number;
  /** Which byte of the stream, or which call. */
  readonly at: number;
  readonly value: number;
}

/** Numbers of one decision. */
const WIDTH = 4;

/** Decisions in the order in which they were taken, as numbers: a long run takes a million of them. */
export class DecisionLog {
  #numbers = new Float64Array(256 * WIDTH);
  #end = 0;

  add(kind: DecisionKind, subject: number, at: number, value: number): void {
    if (this.#end === this.#numbers.length) {
      const wider = new Float64Array(2 * this.#end);
      wider.set(this.#numbers);
      this.#numbers = wider;
    }
    const numbers = this.#numbers;
    const end = this.#end;
    numbers[end] = KINDS.indexOf(kind);
    numbers[end + 1] = subject;
    numbers[end + 2] = at;
    numbers[end + 3] = value;
    this.#end = end + WIDTH;
  }

  decisions(): Decision[] {
    const numbers = this.#numbers;
    return Array.from({ length: this.#end / WIDTH }, (_, i) => ({
      kind: KINDS[numbers[WIDTH * i] as number] as DecisionKind,
      subject: numbers[WIDTH * i + 1] as number,
      at: numbers[WIDTH * i + 2] as number,
      value: numbers[WIDTH * i + 3] as number,
    }));
  }
}

/** `cut:3@17,delay:3@0=200`: the kind, the subject, the place, and the value where it is not 1. Empty: no faults at all. */
export function formatSchedule(decisions: readonly Decision[]): string {
  return decisions
    .map(({ kind, subject, at, value }) => `${kind}:${subject}@${at}${value === 1 ? '' : `=${value}`}`)
    .join(',');
}

/** What {@link formatSchedule} has written. Throws `ERR_REACTOR_ARGUMENT`. */
export function parseSchedule(text: unknown): Decision[] {
  if (typeof text !== 'string')
    throw misuse('ERR_REACTOR_ARGUMENT', `a schedule is a string such as 'cut:3@17', got ${describe(text)}`);
  if (text.trim() === '') return [];
  return text.split(',').map((part) => {
    const found = /^\s*([a-z]+):(\d+)@(\d+)(?:=(\d+))?\s*$/.exec(part);
    const kind = found?.[1] as DecisionKind;
    if (found === null || !KINDS.includes(kind))
      throw misuse(
        'ERR_REACTOR_ARGUMENT',
        `a schedule is made of decisions such as 'cut:3@17' or 'delay:3@0=200', got ${describe(part)}`,
      );
    return { kind, subject: Number(found[2]), at: Number(found[3]), value: Number(found[4] ?? 1) };
  });
}
