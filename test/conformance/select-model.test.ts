/**
 * Random schedules against a model of select() (item 103): register, modify, unregister, send, receive, shutdown, close
 * and select in any order, within handlers and outside of them. After each step the model, `select` and (where there is
 * one) poll(2) agree; every handler that is due is called, and no other. FDSET_FUZZ_SEED and FDSET_FUZZ_RUNS explore.
 */
import { READABLE, type Reactor, type Socket, WRITABLE } from '@fdset/reactor';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { type End, SelectModel } from '../support/select-model.js';
import { pairs } from '../support/sockets.js';

const SEED = Number(process.env.FDSET_FUZZ_SEED ?? 103);
const RUNS = Number(process.env.FDSET_FUZZ_RUNS ?? 60);
const PAIRS = 3;
const INTERESTS = [0, READABLE, WRITABLE, READABLE | WRITABLE];

/** What the model calls an action: of an end, with a number that chooses the details. */
const ACTIONS = ['register', 'modify', 'unregister', 'send', 'fill', 'receive', 'shutdown', 'close'] as const;
type Step = readonly [
  what: (typeof ACTIONS)[number] | 'throw' | 'turn' | 'select' | 'wait' | 'abort',
  end: number,
  n: number,
];

/** A select that has not been answered yet. */
interface Pending {
  readonly readers: readonly End[];
  readonly writers: readonly End[];
  readonly abort: AbortController;
  /** How it ended, once it has. */
  outcome: readonly Socket[][] | string | undefined;
}

function act(model: SelectModel, [what, at, n]: Step, failures: { thrown: End | null }): void {
  const end = model.ends[at] as End;
  const interest = INTERESTS[n % INTERESTS.length] as number;
  if (what === 'register') model.register(end, interest);
  else if (what === 'modify') model.modify(end, interest);
  else if (what === 'unregister') model.unregister(end);
  else if (what === 'send') model.send(end, 256 + (n % 1024));
  else if (what === 'fill') model.fill(end);
  else if (what === 'receive') model.receive(end, 1 + n);
  else if (what === 'shutdown') model.shutdown(end);
  else if (what === 'close') model.close(end);
  else if (what === 'throw' && failures.thrown !== null && model.drain(failures.thrown)) throw new Error('on purpose');
}

/** The ends that a number stands for, bit by bit. */
function chosen(model: SelectModel, bits: number): End[] {
  return model.ends.filter((end, i) => (bits & (1 << i)) !== 0 && !end.socket.closed);
}

/** Starts a select that may have to wait. */
function begin(reactor: Reactor, model: SelectModel, at: number, n: number): Pending {
  // Of many ends one is always ready: mostly it is a single one, that waits.
  const readers = chosen(model, n % 3 === 0 ? n : n % 3 === 1 ? 1 << at : 0);
  const writers = chosen(model, n % 3 === 0 ? n >> 6 : n % 3 === 2 ? 1 << at : 0);
  const abort = new AbortController();
  const pending: Pending = { readers, writers, abort, outcome: undefined };
  const sets = [readers, writers].map((ends) => ends.map(({ socket }) => socket)) as [Socket[], Socket[]];
  reactor.select(...sets, [], 60_000, abort.signal).then(
    (selected) => {
      pending.outcome = selected;
    },
    (error) => {
      // A DOMException has a number as its code.
      pending.outcome = typeof error.code === 'string' ? error.code : error.name;
    },
  );
  return pending;
}

/** Whether the answer is due, and right; an answered select is dropped from the list. */
function compare(model: SelectModel, pending: Pending): boolean {
  const ends = [...pending.readers, ...pending.writers];
  const { outcome } = pending;
  if (pending.abort.signal.aborted && outcome === 'AbortError') return false;
  if (outcome === 'EBADF') {
    expect(ends.some(({ socket }) => socket.closed)).toBe(true);
    return false;
  }
  if (outcome === undefined) {
    expect(
      ends.some(({ socket }) => socket.closed),
      'a close ends the select',
    ).toBe(false);
    expect([...model.ready(pending.readers, READABLE), ...model.ready(pending.writers, WRITABLE)]).toEqual([]);
    return true;
  }
  const [readable, writable, errored] = outcome as [Socket[], Socket[], Socket[]];
  expect(readable.length + writable.length).toBeGreaterThan(0);
  expect(errored).toEqual([]);
  const inOrder = (given: readonly End[], told: Socket[]) =>
    expect(told).toEqual(given.map(({ socket }) => socket).filter((socket) => told.includes(socket)));
  inOrder(pending.readers, readable);
  inOrder(pending.writers, writable);
  return false;
}

describeBackends('a random schedule', (stage) => {
  const step: fc.Arbitrary<Step> = fc.tuple(
    fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(...ACTIONS, 'fill' as const) },
      { weight: 1, arbitrary: fc.constant('throw' as const) },
      { weight: 6, arbitrary: fc.constantFrom('turn' as const, 'select' as const, 'wait' as const, 'abort' as const) },
    ),
    fc.nat(2 * PAIRS - 1),
    fc.nat(4095),
  );

  async function run(steps: readonly Step[], eventBudget: number): Promise<void> {
    const failures: { thrown: End | null } = { thrown: null };
    let model: SelectModel | undefined;
    const reactor = stage.reactor({
      eventBudget,
      onHandlerError(error, registration) {
        if ((error as Error).message !== 'on purpose') failed.push(error);
        const end = model?.ends.find(({ socket }) => socket === registration.socket);
        registration.socket.close();
        if (end !== undefined) model?.closed(end);
        return 'close';
      },
    });
    const failed: unknown[] = [];
    const immediate = stage.capabilities.socketPair;
    const made = immediate ? Array.from({ length: PAIRS }, () => reactor.socketPair()) : await pairs(reactor, PAIRS);
    if (immediate) for (const socket of made.flat()) socket.setOption('sendBuffer', 65536);
    model = new SelectModel(reactor, made, immediate);
    let pending: Pending[] = [];
    let script: Step[] = [];
    try {
      for (const each of steps) {
        const [what, at, n] = each;
        if (what === 'wait') pending.push(begin(reactor, model, at, n));
        else if (what === 'abort') pending[at]?.abort.abort();
        else if (what === 'throw') script.push(each);
        else if (what === 'turn') {
          // What was collected is done by the handlers that are called next.
          const owner = model;
          await owner.play(
            script.map((action) => (end) => {
              failures.thrown = end;
              act(owner, action, failures);
            }),
          );
          script = [];
        } else if (what === 'select') {
          const [readers, writers] = [chosen(model, n), chosen(model, n >> 6)];
          await model.settle();
          const sockets = [readers, writers].map((ends) => ends.map(({ socket }) => socket)) as [Socket[], Socket[]];
          const found = await reactor.select(...sockets, sockets[0], n % 2 === 0 ? 0 : 2);
          const ready = [model.ready(readers, READABLE), model.ready(writers, WRITABLE), []];
          // What a budget cuts off is told by a later select; but where something is ready, something is told.
          const told =
            eventBudget < 2 * PAIRS ? ready.map((set, i) => set.filter((s) => found[i]?.includes(s))) : ready;
          expect(found).toEqual(told);
          expect(found.flat().length > 0).toBe(ready.flat().length > 0);
        } else if (n % 3 === 0) script.push(each);
        else act(model, each, failures);
        await model.settle();
        // A round of all sockets, and the turn under way.
        await model.compareCalls(2 + Math.ceil((2 * PAIRS) / eventBudget));
        const looked = model;
        pending = pending.filter((select) => compare(looked, select));
        expect(failed).toEqual([]);
      }
    } finally {
      reactor.close();
      for (const socket of made.flat()) socket.close();
    }
  }

  it('of verbs, registrations and selects does what the model of select says (103)', { timeout: 60_000 }, async () => {
    const steps = fc.array(step, { minLength: 30, maxLength: 60, size: 'max' });
    const eventBudget = fc.constantFrom(1, 2, 5, 1024);
    await fc.assert(fc.asyncProperty(steps, eventBudget, run), { seed: SEED, numRuns: RUNS });
  });
});
