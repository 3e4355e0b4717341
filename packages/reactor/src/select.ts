/**
 * select over the same slots that registrations use. A slot counts for how many pending selects each of its three sets
 * is waited for; the kernel's interest is the OR with the registration's.
 *
 * The first look happens in the next turn, never in the calling microtask. Sockets that the demultiplexer has already
 * are looked at by that turn's own wait; one poll(2) without waiting looks at all, if there is one that it has not.
 * The demultiplexer is disarmed lazily: a loop that selects the same sets again and again costs no epoll_ctl.
 */
import type { BackendHost, BackendSocket, Demultiplexer } from './backend/backend.js';
import { describe, misuse, socketError } from './errors.js';
import { ERROR, READABLE, WRITABLE } from './readiness.js';
import { Selectors, type Watch } from './registration.js';
import type { Socket } from './socket.js';
import type { Timer, TimerQueue } from './timers.js';

/** The three subsets, each in the order that was given. */
export type Selected = [readable: Socket[], writable: Socket[], errored: Socket[]];

/**
 * A socket that is ready while no select waits for it is reported again and again. Between two selects of a loop that is
 * the rule, so only as many reports one after the other take it out of the kernel.
 */
const MOST_UNWANTED_REPORTS = 4;

interface PendingSelect {
  readonly sets: readonly [BackendSocket[], BackendSocket[], BackendSocket[]];
  readonly resolve: (selected: Selected) => void;
  readonly reject: (error: unknown) => void;
  timer: Timer | null;
  timeoutMs: number | null;
  signal: AbortSignal | undefined;
  onAbort: (() => void) | undefined;
  /** Its sockets are counted in their slots. */
  armed: boolean;
  /** The turn in which it was called, or the one before: what is told in it is not meant for this select. */
  begun: number;
  done: boolean;
}

/** What select needs of the dispatcher. */
export interface SelectHost extends BackendHost {
  readonly demultiplexer: Demultiplexer;
  readonly counters: { readonly turns: number };
  readonly timers: TimerQueue;
  hold(change: 1 | -1): void;
  post(task: () => void): void;
  watchOf(socket: BackendSocket): Watch;
  rearm(watch: Watch): void;
}

const BITS = [READABLE, WRITABLE, ERROR] as const;

export class SelectTable {
  readonly #host: SelectHost;
  readonly #pending = new Set<PendingSelect>();
  #reported = false;

  constructor(host: SelectHost) {
    this.#host = host;
  }

  get size(): number {
    return this.#pending.size;
  }

  select(
    sets: readonly [BackendSocket[], BackendSocket[], BackendSocket[]],
    timeoutMs: number | null,
    signal: AbortSignal | undefined,
  ): Promise<Selected> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const select: PendingSelect = {
        sets,
        resolve,
        reject,
        timer: null,
        timeoutMs,
        signal,
        onAbort: undefined,
        armed: false,
        begun: this.#host.counters.turns,
        done: false,
      };
      if (hasClosed(sets)) {
        reject(socketError('EBADF', 'select'));
        return;
      }
      if (signal !== undefined) {
        select.onAbort = () => this.#finish(select, undefined, signal.reason);
        signal.addEventListener('abort', select.onAbort, { once: true });
      }
      this.#pending.add(select);
      this.#host.hold(1);
      if (timeoutMs !== 0 && this.#isArmed(select)) this.#arm(select);
      else this.#host.post(() => this.#begin(select));
    });
  }

  /** A socket was reported: `true` where a select waits for it, or did so a moment ago. */
  report(watch: Watch, mask: number): boolean {
    const selectors = watch.selectors as Selectors;
    if ((mask & selectors.interest) !== 0) {
      selectors.unwanted = 0;
      selectors.reported = mask;
      selectors.reportedTurn = this.#host.counters.turns;
      this.#reported = true;
      return true;
    }
    if (watch.registration !== null && (mask & watch.registration.interest) !== 0) return false;
    selectors.unwanted += 1;
    if (selectors.unwanted < MOST_UNWANTED_REPORTS) return true;
    if (selectors.interest === 0) watch.selectors = null;
    return false;
  }

  /** At the end of the batch: the selects that something was reported for. */
  settle(): void {
    if (!this.#reported) return;
    this.#reported = false;
    const turn = this.#host.counters.turns;
    for (const select of this.#pending) if (select.armed && select.begun !== turn) this.#tryFinish(select, turn);
  }

  /** A socket is being closed: the selects that wait for it end with EBADF. */
  closed(watch: Watch): void {
    // A connect leaves its select behind: ten thousand of them that end must not look through each other.
    if (watch.selectors === null || watch.selectors.interest === 0) return;
    for (const select of this.#pending)
      if (select.armed && select.sets.some((set) => set.includes(watch.socket)))
        this.#finish(select, undefined, socketError('EBADF', 'select'));
  }

  rejectAll(error: Error): void {
    for (const select of this.#pending) this.#finish(select, undefined, error);
  }

  /** The first look; then the sockets are armed. */
  #begin(select: PendingSelect): void {
    if (select.done) return;
    try {
      const found = lookNow(this.#host, select.sets, 0);
      if (found !== null) this.#finish(select, found);
      else if (select.timeoutMs === 0) this.#finish(select, [[], [], []]);
      else this.#arm(select);
    } catch (error) {
      this.#finish(select, undefined, error);
    }
  }

  /** Whether the demultiplexer has all of it already, so that the next turn's wait will tell. */
  #isArmed(select: PendingSelect): boolean {
    for (let set = 0; set < 3; set += 1)
      for (const socket of select.sets[set] as BackendSocket[]) {
        const watch = socket.watch as Watch | null;
        if (watch === null || (watch.armed & (BITS[set] as number)) === 0) return false;
      }
    return true;
  }

  #arm(select: PendingSelect): void {
    select.armed = true;
    this.#count(select);
    for (const set of select.sets)
      for (const socket of set) {
        const watch = this.#host.watchOf(socket);
        // Bits that no select wants any more stay armed until they are reported in vain.
        if ((watch.wanted & ~watch.armed) !== 0) this.#host.rearm(watch);
      }
    if (select.timeoutMs !== null)
      select.timer = this.#host.timers.add(select.timeoutMs, () => this.#expire(select), { ref: false });
  }

  /** The time is over: one more look, for a timer that was late (the thread was busy) is no proof that nothing came. */
  #expire(select: PendingSelect): void {
    try {
      this.#finish(select, lookNow(this.#host, select.sets, 0) ?? [[], [], []]);
    } catch (error) {
      this.#finish(select, undefined, error);
    }
  }

  #count(select: PendingSelect): void {
    const [readers, writers, errors] = select.sets;
    for (const socket of readers) this.#selectorsOf(socket).readers += 1;
    for (const socket of writers) this.#selectorsOf(socket).writers += 1;
    for (const socket of errors) this.#selectorsOf(socket).errors += 1;
  }

  #selectorsOf(socket: BackendSocket): Selectors {
    const watch = this.#host.watchOf(socket);
    watch.selectors ??= new Selectors();
    watch.selectors.unwanted = 0;
    return watch.selectors;
  }

  #tryFinish(select: PendingSelect, turn: number): void {
    // Every select that waits is asked, in every turn that reports something for one of them.
    let found: Selected | null = null;
    for (let set = 0; set < 3; set += 1) {
      const bit = BITS[set] as number;
      for (const socket of select.sets[set] as BackendSocket[]) {
        const selectors = (socket.watch as Watch | null)?.selectors;
        if (selectors == null || selectors.reportedTurn !== turn || (selectors.reported & bit) === 0) continue;
        found ??= [[], [], []];
        (found[set] as Socket[]).push(socket);
      }
    }
    if (found !== null) this.#finish(select, found);
  }

  #finish(select: PendingSelect, selected?: Selected, error?: unknown): void {
    if (select.done) return;
    select.done = true;
    this.#pending.delete(select);
    this.#host.hold(-1);
    select.timer?.cancel();
    if (select.onAbort !== undefined) select.signal?.removeEventListener('abort', select.onAbort);
    if (select.armed) {
      for (let set = 0; set < 3; set += 1)
        for (const socket of select.sets[set] as BackendSocket[]) {
          const selectors = (socket.watch as Watch | null)?.selectors;
          if (selectors == null) continue;
          if (set === 0) selectors.readers -= 1;
          else if (set === 1) selectors.writers -= 1;
          else selectors.errors -= 1;
        }
    }
    if (selected !== undefined) select.resolve(selected);
    else select.reject(error);
  }
}

function hasClosed(sets: PendingSelect['sets']): boolean {
  return sets.some((set) => set.some((socket) => socket.closed));
}

/** Checks what was given as a set: sockets of this reactor, each once. */
export function toSet(sockets: Iterable<Socket>, host: SelectHost, name: string): BackendSocket[] {
  if (sockets === null || sockets === undefined || typeof sockets[Symbol.iterator] !== 'function')
    throw misuse('ERR_REACTOR_ARGUMENT', `${name} must be an iterable of sockets, got ${describe(sockets)}`);
  const list = [...sockets] as BackendSocket[];
  for (const socket of list)
    if (socket?.host !== host)
      throw misuse('ERR_REACTOR_SOCKET', `${name} must hold sockets of this reactor, got ${describe(socket)}`);
  return new Set(list).size === list.length ? list : [...new Set(list)];
}

/** One look at all the sockets of three sets, `null` when none of them is ready. */
export function lookNow(
  host: SelectHost,
  sets: readonly [BackendSocket[], BackendSocket[], BackendSocket[]],
  timeoutMs: number | null,
): Selected | null {
  if (hasClosed(sets)) throw socketError('EBADF', 'select');
  const interests = new Map<BackendSocket, number>();
  for (let set = 0; set < 3; set += 1)
    for (const socket of sets[set] as BackendSocket[])
      interests.set(socket, (interests.get(socket) ?? 0) | (BITS[set] as number));
  const sockets = [...interests.keys()];
  const masks = Int32Array.from(interests.values());
  if (host.demultiplexer.look(sockets, masks, timeoutMs) === 0) return null;
  const ready = new Map<BackendSocket, number>();
  for (let i = 0; i < sockets.length; i += 1) ready.set(sockets[i] as BackendSocket, masks[i] as number);
  return sets.map((set, i) =>
    set.filter((socket) => ((ready.get(socket) as number) & (BITS[i] as number)) !== 0),
  ) as unknown as Selected;
}
