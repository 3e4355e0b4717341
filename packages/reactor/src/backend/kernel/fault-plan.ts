/** Which system calls are to fail, and how: the `faults` option of a reactor on the kernel backend. */
import { constants as os } from 'node:os';
import { describe, misuse, outOfRange, raise } from '../../errors.js';

/**
 * What can be made of each system call: the errors are those of its man page (socket(2), accept(2), tcp(7), epoll_ctl(2)).
 * `short` cuts it: fewer bytes, datagrams or events.
 */
const POSSIBLE = {
  socket: ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EACCES'],
  socketpair: ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'],
  bind: ['EADDRINUSE', 'EADDRNOTAVAIL', 'EACCES', 'ENOMEM'],
  listen: ['EADDRINUSE', 'ENOBUFS'],
  accept: ['EAGAIN', 'EINTR', 'ECONNABORTED', 'ECONNRESET', 'EPROTO', 'EPERM', 'EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'],
  connect: ['EINTR', 'EAGAIN', 'ECONNREFUSED', 'ETIMEDOUT', 'ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'ENOBUFS'],
  /** The end of a connect that was in progress: what SO_ERROR tells. */
  finishConnect: ['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'ENETUNREACH', 'EHOSTUNREACH'],
  setsockopt: ['ENOBUFS', 'ENOMEM'],
  shutdown: ['ENOTCONN', 'ENOBUFS'],
  /** All that receives: recv, recvmsg, recvmmsg. */
  recv: ['short', 'EAGAIN', 'EINTR', 'ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH', 'ECONNREFUSED', 'ENOBUFS', 'ENOMEM'],
  /** All that sends: send, sendto, sendmsg, sendmmsg. The last three are of datagrams (udp(7), ip(7)). */
  send: [
    'short',
    'EAGAIN',
    'EINTR',
    'ECONNRESET',
    'EPIPE',
    'ETIMEDOUT',
    'EHOSTUNREACH',
    'ENOBUFS',
    'ENOMEM',
    'ECONNREFUSED',
    'ENETUNREACH',
    'EPERM',
  ],
  epoll_create1: ['EMFILE', 'ENFILE', 'ENOMEM'],
  epoll_ctl: ['ENOMEM', 'ENOSPC'],
  epoll_wait: ['short', 'EINTR'],
  poll: ['EINTR', 'ENOMEM'],
} as const satisfies Record<string, readonly ('short' | keyof typeof os.errno)[]>;

/** A system call that can be made to fail. */
export type FaultyCall = keyof typeof POSSIBLE;

/** What can be made of a call: `short`, or an errno's name. */
export type Fault<Call extends FaultyCall = FaultyCall> = (typeof POSSIBLE)[Call][number];

/** How often: a probability from 0 to 1, or the numbers of the calls that it happens to, the reactor's first one being 1. */
export type FaultChance = number | readonly number[];

export type FaultCalls = {
  readonly [Call in FaultyCall]?: { readonly [F in Fault<Call>]?: FaultChance };
} & {
  /** For every call that can fail in this way. What a call has of its own goes first. */
  readonly '*'?: { readonly [F in Fault]?: FaultChance };
};

/** A fault that was injected. */
export interface InjectedFault {
  readonly call: FaultyCall;
  /** How many calls of this kind the reactor had made, this one included. */
  readonly number: number;
  readonly fault: Fault;
  /** The descriptor of the call, -1 where it has none. */
  readonly fd: number;
}

/**
 * Has system calls of a reactor fail, to test what stands above them: `new Reactor({ backend: 'kernel', faults: { seed: 7,
 * calls: { send: { short: 0.1, EAGAIN: 0.05, ECONNRESET: [17] }, accept: { EMFILE: 0.01 } } } })`.
 *
 * A failing call is not made: an EAGAIN leaves the bytes where they are, and readiness tells them again. After ECONNRESET,
 * EPIPE, ETIMEDOUT or EHOSTUNREACH a stream is shut down in both directions, so that whatever follows is as after a real
 * one: the end of the stream for `recv`, EPIPE for `send`. `short` gives or takes a part of a stream's bytes, or some of a
 * batch's datagrams; one datagram is whole or not at all. EINTR of a call that the native core repeats is not seen by
 * anybody; a blocking wait ends as if its thread had been woken.
 *
 * Whether the n-th call of a kind fails follows from `seed` and n alone. See {@link replayFaults}.
 */
export interface FaultOptions {
  /** An integer (0). */
  readonly seed?: number;
  readonly calls: FaultCalls;
  /** Told of each fault when it is injected. What it throws is raised as an uncaughtException. */
  readonly onFault?: (fault: InjectedFault) => void;
}

/** The `calls` that inject the same faults into the same calls, whatever their number says of the seed. */
export function replayFaults(injected: Iterable<InjectedFault>): FaultCalls {
  const calls: Partial<Record<FaultyCall, Partial<Record<Fault, number[]>>>> = {};
  for (const { call, number, fault } of injected) {
    calls[call] ??= {};
    const faults = calls[call] as Partial<Record<Fault, number[]>>;
    faults[fault] ??= [];
    (faults[fault] as number[]).push(number);
  }
  return calls as FaultCalls;
}

/** What {@link FaultPlan.next} gives besides negative errnos. */
export const NO_FAULT = 0;
export const SHORT = 1;

interface Rule {
  readonly fault: Fault;
  /** What `next` gives: SHORT or a negative errno. */
  readonly code: number;
  readonly chance: number;
  readonly numbers: ReadonlySet<number> | null;
  /** Tells the rules of all calls apart: each draws for itself. */
  readonly salt: number;
}

interface CallPlan {
  readonly rules: readonly Rule[];
  made: number;
}

export class FaultPlan {
  readonly #seed: number;
  readonly #calls = new Map<FaultyCall, CallPlan>();
  readonly #onFault: FaultOptions['onFault'];

  constructor(options: FaultOptions) {
    checkKeys(options, 'faults', ['seed', 'calls', 'onFault']);
    const { seed = 0, calls, onFault } = options;
    if (!Number.isSafeInteger(seed))
      throw misuse('ERR_REACTOR_ARGUMENT', `faults.seed must be an integer, got ${describe(seed)}`);
    if (onFault !== undefined && typeof onFault !== 'function')
      throw misuse('ERR_REACTOR_ARGUMENT', `faults.onFault must be a function, got ${describe(onFault)}`);
    const names = Object.keys(POSSIBLE) as FaultyCall[];
    checkKeys(calls, 'faults.calls', ['*', ...names]);
    const forAll = calls['*'] ?? {};
    checkKeys(forAll, "faults.calls['*']", [...new Set(Object.values(POSSIBLE).flat())]);
    for (const [fault, chance] of Object.entries(forAll)) checkChance(chance, `faults.calls['*'].${fault}`);
    this.#seed = seed;
    this.#onFault = onFault;
    for (const [index, name] of names.entries())
      this.#calls.set(name, { rules: rulesOf(name, calls[name] ?? {}, forAll, index), made: 0 });
  }

  /** What becomes of the next call of this kind: NO_FAULT, SHORT, or a negative errno. */
  next(name: FaultyCall, fd: number): number {
    const call = this.#calls.get(name) as CallPlan;
    call.made += 1;
    for (const rule of call.rules) {
      const hit = rule.numbers === null ? this.#draw(rule.salt, call.made) < rule.chance : rule.numbers.has(call.made);
      if (!hit) continue;
      this.#tell({ call: name, number: call.made, fault: rule.fault, fd });
      return rule.code;
    }
    return NO_FAULT;
  }

  /** For the latest call of a kind that is cut: how much of `whole` is left of it, at least 1 and less than all. */
  part(name: FaultyCall, whole: number): number {
    if (!(whole > 1)) return whole;
    // All orders of magnitude alike: among 64 KiB, one byte is as likely as half of it.
    const { made } = this.#calls.get(name) as CallPlan;
    return Math.min(whole - 1, Math.floor(whole ** this.#draw(PART_SALT, made)));
  }

  #tell(fault: InjectedFault): void {
    try {
      this.#onFault?.(fault);
    } catch (error) {
      raise(error);
    }
  }

  /** A number from 0 to 1 (excluded) that follows from the seed, the salt and the number alone. */
  #draw(salt: number, number: number): number {
    let hash = this.#seed ^ Math.imul(salt, 0x9e3779b1) ^ Math.imul(number, 0x85ebca6b);
    // The finalizer of MurmurHash3, with the constants of Wellons' lowbias32.
    hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
    hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
    return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
  }
}

const MOST_FAULTS = 32;
const PART_SALT = MOST_FAULTS * Object.keys(POSSIBLE).length;

function rulesOf(
  name: FaultyCall,
  own: { readonly [F in Fault]?: FaultChance },
  forAll: { readonly [F in Fault]?: FaultChance },
  index: number,
): Rule[] {
  const possible: readonly Fault[] = POSSIBLE[name];
  checkKeys(own, `faults.calls.${name}`, possible);
  const rules: Rule[] = [];
  for (const [at, fault] of possible.entries()) {
    const chance = own[fault] ?? forAll[fault];
    if (chance === undefined) continue;
    checkChance(chance, `faults.calls.${name}.${fault}`);
    rules.push({
      fault,
      code: fault === 'short' ? SHORT : -os.errno[fault],
      chance: typeof chance === 'number' ? chance : 0,
      numbers: typeof chance === 'number' ? null : new Set(chance),
      salt: MOST_FAULTS * index + at,
    });
  }
  // The calls that were chosen are not left to chance.
  return rules.sort((a, b) => Number(a.numbers === null) - Number(b.numbers === null));
}

function checkKeys(value: unknown, what: string, allowed: readonly string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw misuse('ERR_REACTOR_ARGUMENT', `${what} must be an object, got ${describe(value)}`);
  for (const key of Object.keys(value))
    if (!allowed.includes(key))
      throw misuse('ERR_REACTOR_ARGUMENT', `${what} knows ${allowed.join(', ')}; got ${describe(key)}`);
}

function checkChance(chance: unknown, what: string): void {
  const wanted = 'a probability from 0 to 1 or an array of numbers of calls, counted from 1';
  if (Array.isArray(chance)) {
    const wrong = chance.find((number) => !Number.isSafeInteger(number) || number < 1);
    if (wrong === undefined) return;
    throw outOfRange('ERR_REACTOR_ARGUMENT', `${what} must be ${wanted}, got ${describe(wrong)} in it`);
  }
  if (typeof chance !== 'number')
    throw misuse('ERR_REACTOR_ARGUMENT', `${what} must be ${wanted}, got ${describe(chance)}`);
  if (!(chance >= 0 && chance <= 1))
    throw outOfRange('ERR_REACTOR_ARGUMENT', `${what} must be ${wanted}, got ${chance}`);
}
