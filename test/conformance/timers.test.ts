/** Timers and posted tasks: items 28, 30, 41, 44. */
import { type Timer, WRITABLE } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { runNode } from '../support/node-process.js';
import { pair } from '../support/sockets.js';
import { delay, Log, rounds, thrown, until } from '../support/waiting.js';

describeBackends('timers', (stage) => {
  it('fire in the order of their deadlines, and of their start where these are equal (44)', async () => {
    const reactor = stage.reactor();
    const order = new Log<string>();
    for (const [name, ms] of [
      ['c', 300],
      ['a', 100],
      ['d', 300],
      ['b', 200],
      ['e', 300],
    ] as const)
      reactor.setTimer(ms, () => order.add(name));
    await order.reaches(5);
    expect(order.entries).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('repeated ones that fall due together fire in the order of their start, again and again (44)', async () => {
    const reactor = stage.reactor();
    const order = new Log<string>();
    const timers = ['a', 'b', 'c', 'd'].map((name) => reactor.setTimer(1, () => order.add(name), { repeatMs: 5 }));
    await order.reaches(4);
    for (let round = 2; round <= 4; round += 1) {
      // All four are overdue when the turn begins, so they get the same deadline anew.
      const end = performance.now() + 15;
      while (performance.now() < end);
      await order.reaches(4 * round);
    }
    for (const timer of timers) timer.cancel();
    expect(order.entries.slice(0, 16).join('')).toBe('abcdabcdabcdabcd');
  });

  it('never fire early, and once only (44)', async () => {
    const reactor = stage.reactor();
    const late: number[] = [];
    const fired = new Log<number>();
    for (const ms of [0, 0.3, 1, 2.5, 7, 20]) {
      const due = reactor.now() + ms;
      reactor.setTimer(ms, () => {
        late.push(reactor.now() - due);
        fired.add(ms);
      });
    }
    await fired.reaches(6);
    await delay(30);
    expect(fired.entries).toEqual([0, 0.3, 1, 2.5, 7, 20]);
    expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
  });

  it('a timer of 0.3 ms waits without spinning', async () => {
    const reactor = stage.reactor();
    await rounds(5);
    const { turns } = reactor.metrics;
    await new Promise<void>((resolve) => reactor.setTimer(0.3, resolve));
    expect(reactor.metrics.turns - turns).toBeLessThanOrEqual(3);
  });

  it('one of 30 days does not fire at once (28)', async () => {
    const reactor = stage.reactor();
    const fired = new Log<string>();
    const timer = reactor.setTimer(30 * 24 * 3600 * 1000, () => fired.add('30 days'));
    reactor.setTimer(Number.MAX_SAFE_INTEGER, () => fired.add('for ever'));
    reactor.setTimer(20, () => fired.add('20 ms'));
    await fired.reaches(1);
    await delay(20);
    expect(fired.entries).toEqual(['20 ms']);
    expect(timer.active).toBe(true);
  });

  it('a timer of 0 ms that starts itself anew starves neither sockets nor tasks (44)', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    let zero = 0;
    let running = true;
    const again = () => {
      zero += 1;
      if (running) reactor.setTimer(0, again);
    };
    again();
    const served = new Log<number>();
    reactor.register(socket, WRITABLE, () => {
      served.add(zero);
      reactor.post(() => {});
    });
    await served.reaches(10);
    running = false;
    expect(zero).toBeGreaterThan(1);
    socket.close();
  });

  it('a socket that is always ready does not starve timers (41)', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    let served = 0;
    reactor.register(socket, WRITABLE, () => {
      served += 1;
    });
    const ticks = new Log<number>();
    const timer = reactor.setTimer(1, () => ticks.add(served), { repeatMs: 1 });
    await ticks.reaches(10);
    // It was served all the while. Where each turn takes longer than a tick, so often as there were ticks.
    await until(() => served > 10);
    timer.cancel();
    socket.close();
  });

  it('cancel: also in another timer that is due in the same turn, also twice (44)', async () => {
    const reactor = stage.reactor();
    const fired = new Log<string>();
    const timers: Timer[] = [];
    timers.push(
      reactor.setTimer(5, () => {
        fired.add('first');
        timers[1]?.cancel();
        timers[0]?.cancel();
      }),
      reactor.setTimer(5, () => fired.add('second')),
      reactor.setTimer(5, () => fired.add('third')),
    );
    await fired.reaches(2);
    await delay(10);
    expect(fired.entries).toEqual(['first', 'third']);
    expect(timers.map(({ active }) => active)).toEqual([false, false, false]);
    timers[1]?.cancel();
  });

  it('a repeated one goes on until it cancels itself, at most once a turn (44)', async () => {
    const reactor = stage.reactor();
    const turns = new Log<number>();
    const timer = reactor.setTimer(
      0,
      () => {
        turns.add(reactor.metrics.turns);
        expect(timer.active).toBe(true);
        if (turns.entries.length === 5) timer.cancel();
      },
      { repeatMs: 0 },
    );
    await turns.reaches(5);
    await rounds(10);
    expect(turns.entries).toHaveLength(5);
    expect(new Set(turns.entries).size).toBe(5);
    expect(timer.active).toBe(false);
  });

  it('a repeated one that was blocked for long does not catch up in a burst (44)', async () => {
    const reactor = stage.reactor();
    const fired = new Log<number>();
    const timer = reactor.setTimer(5, () => fired.add(reactor.now()), { repeatMs: 5 });
    await fired.reaches(1);
    const end = performance.now() + 60;
    while (performance.now() < end);
    const free = reactor.now();
    await fired.reaches(3);
    timer.cancel();
    // Its period is counted from the turn that ran the second, which began later than this.
    const [, , third] = fired.entries as [number, number, number];
    expect(third - free).toBeGreaterThanOrEqual(4.9);
  });

  it('Symbol.dispose cancels', async () => {
    const reactor = stage.reactor();
    const fired = new Log<string>();
    reactor.setTimer(1, () => fired.add('disposed'))[Symbol.dispose]();
    await reactor.sleep(10);
    expect(fired.entries).toEqual([]);
  });

  it('what a timer throws is an uncaughtException, and the others of the turn still fire', async () => {
    const { lines, code } = await runNode(
      `
      import { Reactor } from '@fdset/reactor';
      process.on('uncaughtException', (error) => console.log('uncaught ' + error.message));
      const reactor = new Reactor();
      reactor.setTimer(5, () => { throw new Error('timer'); });
      reactor.setTimer(5, () => console.log('second timer'));
      // Both are due when the turn begins.
      for (const end = performance.now() + 20; performance.now() < end; );
      reactor.setTimer(20, () => {
        reactor.post(() => { throw new Error('task'); });
        reactor.post(() => console.log('second task'));
      });
      `,
      { backend: stage.backend },
    );
    expect(lines).toEqual(['second timer', 'uncaught timer', 'second task', 'uncaught task']);
    expect(code).toBe(0);
  });

  it.each([
    ['a negative delay', -1, RangeError],
    ['NaN', Number.NaN, RangeError],
    ['an endless delay', Number.POSITIVE_INFINITY, RangeError],
    ['no number', '5', TypeError],
    ['nothing', undefined, TypeError],
  ])('%s is refused', (_what, delayMs, kind) => {
    const reactor = stage.reactor();
    const error = thrown(() => reactor.setTimer(delayMs as number, () => {}));
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
    expect(error.message).toContain('delayMs');
    expect(thrown(() => reactor.setTimer(1, () => {}, { repeatMs: -5 })).message).toContain('repeatMs');
    expect(thrown(() => reactor.setTimer(1, 'later' as never))).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
    expect(thrown(() => reactor.post(undefined as never))).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
  });

  it('sleep resolves after its time, and now never goes back', async () => {
    const reactor = stage.reactor();
    const began = reactor.now();
    await reactor.sleep(15);
    const woke = reactor.now();
    expect(woke - began).toBeGreaterThanOrEqual(15);
    expect(reactor.now()).toBeGreaterThanOrEqual(woke);
  });

  it('posted tasks run in their order, in one turn; what they post runs in the next (30)', async () => {
    const reactor = stage.reactor();
    const ran = new Log<[string, number]>();
    const note = (name: string) => () => ran.add([name, reactor.metrics.turns]);
    reactor.post(note('a'));
    reactor.post(() => {
      note('b')();
      reactor.post(note('d'));
    });
    reactor.post(note('c'));
    expect(ran.entries).toEqual([]);
    await ran.reaches(4);
    const [turn] = ran.entries.map(([, at]) => at) as [number];
    expect(ran.entries).toEqual([
      ['a', turn],
      ['b', turn],
      ['c', turn],
      ['d', turn + 1],
    ]);
  });

  it('thousands of posts are few turns (30)', async () => {
    const reactor = stage.reactor();
    await rounds(5);
    const { turns } = reactor.metrics;
    const ran = new Log<number>();
    for (let i = 0; i < 5000; i += 1) reactor.post(() => ran.add(i));
    await ran.reaches(5000);
    expect(ran.entries).toEqual(Array.from({ length: 5000 }, (_, i) => i));
    expect(reactor.metrics.turns - turns).toBe(1);
  });

  it('a reactor that waits for a far timer runs no turns meanwhile', async () => {
    const reactor = stage.reactor();
    reactor.setTimer(60_000, () => {});
    await rounds(5);
    const { turns } = reactor.metrics;
    await delay(80);
    expect(reactor.metrics.turns).toBe(turns);
  });

  it('close of the reactor cancels all timers and drops the tasks', async () => {
    const reactor = stage.reactor();
    const fired = new Log<string>();
    const timer = reactor.setTimer(1, () => fired.add('timer'));
    reactor.post(() => fired.add('task'));
    reactor.close();
    await delay(15);
    expect(fired.entries).toEqual([]);
    expect(timer.active).toBe(false);
    timer.cancel();
  });
});
