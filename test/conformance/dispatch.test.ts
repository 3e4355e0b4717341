/** The order and the safety of one batch: items 31-41 of the list of select reactors. */
import { READABLE, type Registration, type Socket, WOULD_BLOCK, WRITABLE } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { connected } from '../support/connections.js';
import { arrived, listening, owned, pair, pairs, withPeer } from '../support/sockets.js';
import { Log, rounds, thrown } from '../support/waiting.js';

describeBackends('dispatch', (stage) => {
  /** Registers sockets that are ready already, in one go: they come in one batch. */
  async function batch(reactor: ReturnType<typeof stage.reactor>, count: number): Promise<Socket[]> {
    return (await pairs(reactor, count)).map(([client]) => client);
  }

  it('close of B in a handler of A suppresses B (31, 32)', async () => {
    const reactor = stage.reactor();
    const sockets = await batch(reactor, 2);
    const called = new Log<Socket>();
    for (const socket of sockets)
      reactor.register(socket, WRITABLE, (ready) => {
        called.add(ready);
        for (const other of sockets) if (other !== ready) other.close();
        reactor.registrationOf(ready)?.modify(0);
      });
    const { stale } = reactor.metrics;
    await called.reaches(1);
    await rounds(5);
    expect(called.entries).toHaveLength(1);
    expect(reactor.metrics.stale - stale).toBe(1);
  });

  it('unregister of B in a handler of A suppresses B (31)', async () => {
    const reactor = stage.reactor();
    const sockets = await batch(reactor, 2);
    const called = new Log<Socket>();
    for (const socket of sockets)
      reactor.register(socket, WRITABLE, (ready) => {
        called.add(ready);
        for (const other of sockets) reactor.registrationOf(other)?.unregister();
      });
    await called.reaches(1);
    await rounds(5);
    expect(called.entries).toHaveLength(1);
  });

  stage.needs('rawDescriptors')(
    'a socket that takes the number of one closed in the same batch gets no event of it (33)',
    async () => {
      const reactor = stage.reactor();
      const sockets = await batch(reactor, 2);
      const called = new Log<string>();
      let heir: Socket | undefined;
      const inherit = (number: number): Socket => {
        for (;;) {
          const fresh = owned(reactor.socket());
          if (fresh.fileno() >= number) return fresh;
        }
      };
      for (const socket of sockets)
        reactor.register(socket, WRITABLE, (ready, _readiness, registration) => {
          called.add('first');
          registration.unregister();
          const other = sockets.find((candidate) => candidate !== ready) as Socket;
          const number = other.fileno();
          other.close();
          heir = inherit(number);
          expect(heir.fileno()).toBe(number);
          // A listening socket without connections is never ready: whatever it is told is not its own.
          heir.bind({ host: '127.0.0.1', port: 0 });
          heir.listen();
          reactor.register(heir, READABLE | WRITABLE, () => called.add('heir'));
        });
      await called.reaches(1);
      await rounds(10);
      expect(called.entries).toEqual(['first']);
      expect(heir?.closed).toBe(false);
    },
  );

  it('a socket that is registered in place of another of the same batch gets no event of it (33)', async () => {
    const reactor = stage.reactor();
    const { listener } = await listening(reactor);
    const sockets = await batch(reactor, 2);
    const called = new Log<string>();
    for (const socket of sockets)
      reactor.register(socket, WRITABLE, () => {
        called.add('first');
        for (const each of sockets) each.close();
        reactor.register(listener, READABLE | WRITABLE, () => called.add('heir'));
      });
    await called.reaches(1);
    await rounds(10);
    expect(called.entries).toEqual(['first']);
  });

  it('what a handler registers is served in a later turn, not from the old batch', async () => {
    const reactor = stage.reactor();
    const [first, second] = (await batch(reactor, 2)) as [Socket, Socket];
    const turns = new Log<number>();
    reactor.register(first, WRITABLE, (_first, _readiness, registration) => {
      registration.unregister();
      turns.add(reactor.metrics.turns);
      reactor.register(second, WRITABLE, (_second, _bits, own) => {
        own.unregister();
        turns.add(reactor.metrics.turns);
      });
    });
    await turns.reaches(2);
    expect(turns.entries[1]).toBeGreaterThan(turns.entries[0] as number);
  });

  it('a handler may remove itself, another one, or all (34)', async () => {
    const reactor = stage.reactor();
    const sockets = await batch(reactor, 6);
    const called = new Log<unknown>();
    const registrations: Registration<number>[] = sockets.map((socket, i) =>
      reactor.register<number>(
        socket,
        WRITABLE,
        (_socket, _readiness, registration) => {
          called.add(registration.data);
          if (called.entries.length === 1) registration.unregister();
          else if (called.entries.length === 2) {
            registration.unregister();
            for (const other of registrations.filter(({ active }) => active).slice(0, 2)) other.unregister();
          } else for (const other of reactor.registrations()) other.unregister();
        },
        { data: i },
      ),
    );
    await called.reaches(3);
    await rounds(5);
    expect(called.entries).toHaveLength(3);
    expect(new Set(called.entries).size).toBe(3);
    expect(reactor.metrics.registrations).toBe(0);
  });

  it('an interest that an earlier handler of the batch has changed counts as it is now (35)', async () => {
    const reactor = stage.reactor();
    const sockets = await batch(reactor, 2);
    const called = new Log<string>();
    for (const socket of sockets)
      reactor.register(socket, WRITABLE, {
        writable(ready) {
          called.add('writable');
          for (const other of sockets) if (other !== ready) reactor.registrationOf(other)?.modify(READABLE);
          reactor.registrationOf(ready)?.modify(0);
        },
        readable: () => called.add('readable'),
      });
    await called.reaches(1);
    await rounds(5);
    expect(called.entries).toEqual(['writable']);
  });

  it('a reader that turns to writing in its handler is called as writable, and no more as readable (35)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    const called = new Log<string>();
    reactor.register(socket, READABLE, {
      readable(_socket, registration) {
        called.add('readable');
        registration.modify(WRITABLE);
      },
      writable(_socket, registration) {
        called.add('writable');
        registration.modify(0);
      },
    });
    peer.write('never read');
    await called.reaches(2);
    await rounds(5);
    expect(called.entries).toEqual(['readable', 'writable']);
  });

  it('of one socket writable is called before readable', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    peer.write('x');
    await arrived(socket, 1);
    const called = new Log<string>();
    reactor.register(socket, READABLE | WRITABLE, {
      readable(_socket, registration) {
        called.add('readable');
        registration.unregister();
      },
      writable: () => called.add('writable'),
    });
    await called.reaches(2);
    expect(called.entries).toEqual(['writable', 'readable']);
  });

  it.each(['close', 'unregister', 'park'] as const)(
    'a writable handler that does %s suppresses the readable of the same event',
    async (how) => {
      const reactor = stage.reactor();
      const { socket, peer } = await withPeer(reactor);
      peer.write('x');
      await arrived(socket, 1);
      const called = new Log<string>();
      reactor.register(socket, READABLE | WRITABLE, {
        readable: () => called.add('readable'),
        writable(ready, registration) {
          called.add('writable');
          if (how === 'close') ready.close();
          else if (how === 'unregister') registration.unregister();
          else registration.modify(0);
        },
      });
      await called.reaches(1);
      await rounds(5);
      expect(called.entries).toEqual(['writable']);
    },
  );

  it('readiness is level-triggered: it is told in each turn until it is read (38)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    const turns = new Log<number>();
    const counts: number[] = [];
    reactor.register(socket, READABLE, (ready) => {
      turns.add(reactor.metrics.turns);
      if (turns.entries.length >= 3) counts.push(ready.recv(Buffer.alloc(2)));
    });
    peer.write('abcdef');
    await turns.reaches(5);
    await rounds(10);
    // Told twice unread, then once for each two bytes, each time in a turn of its own.
    expect(counts).toEqual([2, 2, 2]);
    expect(turns.entries).toHaveLength(5);
    expect(new Set(turns.entries).size).toBe(5);
  });

  it('readiness comes again after a recv that would have blocked (40)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    const results = new Log<number>();
    reactor.register(socket, READABLE, (ready) => {
      for (;;) {
        const count = ready.recv(Buffer.alloc(16));
        results.add(count);
        if (count === WOULD_BLOCK) return;
      }
    });
    peer.write('one');
    await results.reaches(2);
    peer.write('second');
    await results.reaches(4);
    expect(results.entries).toEqual([3, WOULD_BLOCK, 6, WOULD_BLOCK]);
  });

  it('a batch of more than 1024 ready sockets is served completely, and timers fire in between (41)', async () => {
    const reactor = stage.reactor();
    const sockets = await batch(reactor, 1100);
    const called = new Map<Socket, number>();
    const done = new Log<Socket>();
    const ticks = new Log<number>();
    const timer = reactor.setTimer(1, () => ticks.add(reactor.metrics.turns), { repeatMs: 1 });
    for (const socket of sockets)
      reactor.register(socket, WRITABLE, (ready, _readiness, registration) => {
        called.set(ready, (called.get(ready) ?? 0) + 1);
        if (called.get(ready) === 3) {
          registration.unregister();
          done.add(ready);
        }
      });
    await done.reaches(1100);
    await ticks.reaches(1);
    timer.cancel();
    expect(called.size).toBe(1100);
    expect([...called.values()].every((count) => count === 3)).toBe(true);
  });

  it('a posted task runs in the next turn, before the sockets of that turn', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const order = new Log<string>();
    reactor.register(socket, WRITABLE, (_socket, _readiness, registration) => {
      order.add(`socket ${reactor.metrics.turns}`);
      if (order.entries.length > 2) registration.unregister();
      else if (order.entries.length === 1) reactor.post(() => order.add(`task ${reactor.metrics.turns}`));
    });
    await order.reaches(3);
    const turn = Number(order.entries[0]?.split(' ')[1]);
    expect(order.entries).toEqual([`socket ${turn}`, `task ${turn + 1}`, `socket ${turn + 1}`]);
  });

  it('a turn: tasks, timers, sockets of a batch, the flush; then the promises, a select among them (45, L1)', async () => {
    // However long the machine takes for them: a turn that is over its time is cut.
    const reactor = stage.reactor({ turnBudgetMs: 5000 });
    const [socket, other] = await batch(reactor, 2);
    const { connection } = await connected(reactor, {}, { highWaterMark: 1, lowWaterMark: 0 });
    const order = new Log<string>();
    const note = (what: string) => order.add(`${what} ${reactor.metrics.turns}`);
    connection.on('drain', () => note('flush'));
    const registration = reactor.register(socket as Socket, 0, () => {
      note('socket');
      registration.modify(0);
    });
    let turn = 0;
    reactor.post(() => {
      turn = reactor.metrics.turns + 1;
      reactor.setTimer(0, () => note('timer'));
      void reactor.select([], [other as Socket], []).then(() => note('select'));
      reactor.post(() => {
        note('task');
        registration.modify(WRITABLE);
        connection.write('more than the high-water mark');
      });
    });
    await order.reaches(5);
    expect(order.entries).toEqual(['task', 'timer', 'socket', 'flush', 'select'].map((what) => `${what} ${turn}`));
  });

  it('promises and ticks of the handlers of one batch run after the last of them (L5)', async () => {
    // However long the machine takes for them: a turn that is over its time is cut.
    const reactor = stage.reactor({ turnBudgetMs: 5000 });
    const order = new Log<string>();
    for (const socket of await batch(reactor, 4))
      reactor.register(socket, WRITABLE, (_socket, _readiness, registration) => {
        registration.unregister();
        order.add('handler');
        void Promise.resolve().then(() => order.add('later'));
        process.nextTick(() => order.add('later'));
      });
    await order.reaches(12);
    expect(order.entries).toEqual([...Array(4).fill('handler'), ...Array(8).fill('later')]);
  });

  it('a full batch is followed by another wait in the same turn while budget is left (D18)', async () => {
    const reactor = stage.reactor({ eventBudget: 5000, turnBudgetMs: 5000 });
    const turns = new Log<number>();
    for (const socket of await batch(reactor, 1100))
      reactor.register(socket, WRITABLE, (_socket, _readiness, registration) => {
        registration.unregister();
        turns.add(reactor.metrics.turns);
      });
    await turns.reaches(1100);
    expect(new Set(turns.entries).size).toBe(1);
  });

  it('handlers run in the top of the loop: never within a call of the reactor', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const called = new Log<string>();
    let inside = true;
    const registration = reactor.register(socket, WRITABLE, () => {
      called.add(inside ? 'inside' : 'outside');
      registration.modify(0);
    });
    socket.send(Buffer.from('x'));
    registration.modify(0);
    registration.modify(WRITABLE);
    reactor.post(() => called.add(inside ? 'inside' : 'outside'));
    void reactor.select([], [socket], [], 0);
    inside = false;
    await called.reaches(2);
    expect(called.entries).toEqual(['outside', 'outside']);
  });

  it('run resolves by stop, also when stop is called in a handler (47)', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const run = reactor.run();
    reactor.register(socket, WRITABLE, (_socket, _readiness, registration) => {
      registration.unregister();
      void reactor.stop();
    });
    await run;
    expect(socket.closed).toBe(false);
  });

  it('stop before run ends nothing; run waits for the next stop, or for its signal (47)', async () => {
    const reactor = stage.reactor();
    await reactor.stop();
    let over = false;
    const run = reactor.run().then(() => {
      over = true;
    });
    await rounds(5);
    expect(over).toBe(false);
    await reactor.stop();
    await run;
    await reactor.run(AbortSignal.abort());
    const abort = new AbortController();
    const second = reactor.run(abort.signal);
    abort.abort();
    await second;
    expect(thrown(() => reactor.run({} as AbortSignal)).code).toBe('ERR_REACTOR_ARGUMENT');
  });
});
