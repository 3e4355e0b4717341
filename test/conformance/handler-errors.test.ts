/** Handlers that throw or reject: the rest of the batch runs, and the socket's policy is applied (item 36). */
import { type OnHandlerError, READABLE, type Registration, type Socket, WRITABLE } from '@fdset/reactor';
import { describe, expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { NetPeer } from '../support/net-peer.js';
import { runNode } from '../support/node-process.js';
import { accepted, listening, pairs } from '../support/sockets.js';
import { Log, rounds } from '../support/waiting.js';

/** Three connected sockets: the one in the middle fails. Prints what happened. */
const FAILING_BATCH = (options: string, throwing: string) => `
  import { Reactor, WRITABLE } from '@fdset/reactor';
  process.on('uncaughtException', (error) => console.log('uncaught ' + (error?.message ?? error)));
  // The first lines that a process prints are slow: no budget may come between these handlers.
  const reactor = new Reactor({ turnBudgetMs: 5000, ...${options} });
  const listener = await reactor.listen({ host: '127.0.0.1', port: 0 });
  const sockets = [];
  for (let i = 0; i < 3; i += 1) sockets.push(await reactor.connect(listener.localAddress));
  let calls = 0;
  sockets.forEach((socket, i) => reactor.register(socket, WRITABLE, (_socket, _readiness, registration) => {
    calls += 1;
    console.log('call ' + calls);
    if (calls === 3) setTimeout(finish, 50);
    registration.modify(0);
    if (i === 1) ${throwing};
  }));
  // Not by a timer from the beginning: of a process that is held up it would come first.
  function finish() {
    console.log('closed ' + sockets.map((socket) => socket.closed).join());
    for (const socket of sockets) socket.close();
    listener.close();
  }
`;

describeBackends('handler errors', (stage) => {
  /** Registers `count` writable sockets; the handler of the first called one fails. */
  async function failing(
    onHandlerError: OnHandlerError,
    fail: () => unknown,
  ): Promise<{ sockets: Socket[]; called: Log<Socket> }> {
    const reactor = stage.reactor({ onHandlerError });
    const sockets = (await pairs(reactor, 3)).map(([client]) => client);
    const called = new Log<Socket>();
    for (const socket of sockets)
      reactor.register(socket, WRITABLE, (ready, _readiness, registration) => {
        called.add(ready);
        if (called.entries.length === 1) return fail() as undefined;
        registration.modify(0);
      });
    return { sockets, called };
  }

  describe.each([
    [
      'throws',
      () => () => {
        throw new Error('oops');
      },
    ],
    [
      'returns a promise that rejects',
      () => async () => {
        throw new Error('oops');
      },
    ],
  ] as const)('a handler that %s', (_how, make) => {
    it('reaches onHandlerError with its registration, and the others of the batch still run (36)', async () => {
      const errors = new Log<[unknown, Registration]>();
      const { called } = await failing((error, registration) => errors.add([error, registration]), make());
      await Promise.all([called.reaches(3), errors.reaches(1)]);
      await rounds(5);
      const [[error, registration]] = errors.entries as [[Error, Registration]];
      expect(error.message).toBe('oops');
      expect(registration.socket).toBe(called.entries[0]);
      expect(errors.entries).toHaveLength(1);
      expect(new Set(called.entries).size).toBe(3);
    });

    it.each([['close'], [undefined]] as const)(
      'closes a connected stream where onHandlerError says %s (36)',
      async (action) => {
        const errors = new Log<Registration>();
        const { sockets, called } = await failing((_error, registration) => {
          errors.add(registration);
          return action;
        }, make());
        await Promise.all([called.reaches(3), errors.reaches(1)]);
        const [failed] = called.entries;
        expect(sockets.map(({ closed }) => closed)).toEqual(sockets.map((socket) => socket === failed));
        expect(errors.entries[0]?.active).toBe(false);
      },
    );

    it('parks the registration for 100 ms where onHandlerError says pause (36)', async () => {
      const times: number[] = [];
      const reactor = stage.reactor({
        onHandlerError: (_error, registration) => {
          times.push(reactor.now());
          expect(registration.active).toBe(true);
          return 'pause';
        },
      });
      const [[socket]] = (await pairs(reactor, 1)) as [[Socket, Socket]];
      const called = new Log<number>();
      const fail = make();
      const registration = reactor.register(socket, WRITABLE, () => {
        called.add(reactor.now());
        if (called.entries.length < 3) return fail() as never;
        registration.unregister();
      });
      await called.reaches(1);
      await rounds(3);
      expect(registration.interest).toBe(0);
      await called.reaches(3);
      const [first, second, third] = called.entries as [number, number, number];
      expect(second - first).toBeGreaterThanOrEqual(99);
      // It failed again at once: twice as long.
      expect(third - second).toBeGreaterThanOrEqual(199);
      expect(socket.closed).toBe(false);
    });
  });

  it('a listening socket whose handler throws is paused, not closed, and serves again (36)', async () => {
    const errors = new Log<unknown>();
    const reactor = stage.reactor({ onHandlerError: (error) => errors.add(error) });
    const { listener, address } = await listening(reactor);
    const acceptedOnes = new Log<Socket>();
    const registration = reactor.register(listener, READABLE, async () => {
      if (errors.entries.length === 0) throw new Error('not now');
      acceptedOnes.add(await accepted(reactor, listener));
    });
    await NetPeer.connect(address);
    await errors.reaches(1);
    expect([listener.closed, registration.active, registration.interest]).toEqual([false, true, 0]);
    await acceptedOnes.reaches(1);
    expect(registration.interest).toBe(READABLE);
  });

  it('what onHandlerError itself throws is an uncaughtException, and the socket is closed (36)', async () => {
    const options = `{ onHandlerError() { throw new Error('worse') } }`;
    const { code, lines } = await runNode(FAILING_BATCH(options, "throw new Error('oops')"), {
      backend: stage.backend,
    });
    expect(lines).toEqual(['call 1', 'call 2', 'call 3', 'uncaught worse', 'closed false,true,false']);
    expect(code).toBe(0);
  });

  it.each([
    ['throws', "throw new Error('oops')"],
    ['rejects', "return Promise.reject(new Error('oops'))"],
  ])(
    'without onHandlerError a handler that %s is an uncaughtException after the batch, and closes (36)',
    async (how, fail) => {
      const { code, lines } = await runNode(FAILING_BATCH('{}', fail), { backend: stage.backend });
      expect([...lines].sort()).toEqual(['call 1', 'call 2', 'call 3', 'closed false,true,false', 'uncaught oops']);
      if (how === 'throws') expect(lines.indexOf('uncaught oops')).toBe(3);
      expect(code).toBe(0);
    },
  );

  it('rethrow raises the error as an uncaughtException, and keeps the registration (36)', async () => {
    const options = `{ onHandlerError: () => 'rethrow' }`;
    const { code, lines } = await runNode(FAILING_BATCH(options, "throw new Error('oops')"), {
      backend: stage.backend,
    });
    expect(lines).toEqual(['call 1', 'call 2', 'call 3', 'uncaught oops', 'closed false,false,false']);
    expect(code).toBe(0);
  });

  it('nobody catches it: the process ends with the error, as Node does (36)', async () => {
    const source = FAILING_BATCH('{}', "throw new Error('oops')").replace(/process\.on\(.*\n/, '');
    const { code, lines, stderr } = await runNode(source, { backend: stage.backend });
    expect(lines).toEqual(['call 1', 'call 2', 'call 3']);
    expect(stderr).toContain('Error: oops');
    expect(code).toBe(1);
  });
});
