/** select(2) as a promise, and selectSync: items 23-31. */
import { spawn } from 'node:child_process';
import { MSG_PEEK, READABLE, type Socket, WOULD_BLOCK, WRITABLE } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { connected, recorder } from '../support/connections.js';
import { runNode } from '../support/node-process.js';
import { arrived, filledUp, listening, owned, pair, pairs, withPeer } from '../support/sockets.js';
import { delay, Log, once, rejection, rounds, thrown } from '../support/waiting.js';

const DAY_MS = 24 * 60 * 60 * 1000;
/** Keeps the thread for so long. */
function busy(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

const NONE: [Socket[], Socket[], Socket[]] = [[], [], []];

describeBackends('select', (stage) => {
  it('12 pairs, written to at random, are found until all bytes have come (23)', async () => {
    const reactor = stage.reactor();
    const made = await pairs(reactor, 12);
    const servers = made.map(([, server]) => server);
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff;
      return seed % below;
    };
    const sent = new Map<Socket, string>();
    const got = new Map<Socket, string>();
    const into = Buffer.alloc(64);
    for (let round = 0; round < 60; round += 1) {
      const [client, server] = made[random(12)] as [Socket, Socket];
      const text = `ping ${round};`;
      expect(client.send(Buffer.from(text))).toBe(text.length);
      sent.set(server, (sent.get(server) ?? '') + text);
      let expected = text.length;
      while (expected > 0) {
        const [readable, writable, errored] = await reactor.select(servers, [], servers);
        expect(readable).toEqual([server]);
        expect([writable, errored]).toEqual([[], []]);
        const count = server.recv(into);
        expected -= count;
        got.set(server, (got.get(server) ?? '') + into.toString('latin1', 0, count));
      }
    }
    expect(got).toEqual(sent);
    expect(await reactor.select(servers, [], servers, 0)).toEqual(NONE);
  });

  it('empty sets: three empty arrays at the timeout (24)', async () => {
    const reactor = stage.reactor();
    const began = reactor.now();
    expect(await reactor.select([], [], [], 30)).toEqual(NONE);
    expect(reactor.now() - began).toBeGreaterThanOrEqual(29);
    expect(await reactor.select([], [], [], 0)).toEqual(NONE);
  });

  it('timeout 0 looks and does not wait: it finds what is there (25, 27)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    expect(await reactor.select([socket], [], [], 0)).toEqual(NONE);
    expect(await reactor.select([socket], [socket], [], 0)).toEqual([[], [socket], []]);
    peer.write('x');
    await arrived(socket, 1);
    expect(await reactor.select([socket], [], [], 0)).toEqual([[socket], [], []]);
  });

  it('a timeout passes when nothing comes, not before (25)', async () => {
    const reactor = stage.reactor();
    const [, server] = await pair(reactor);
    const began = performance.now();
    expect(await reactor.select([server], [], [server], 120)).toEqual(NONE);
    const took = performance.now() - began;
    expect(took).toBeGreaterThanOrEqual(119);
    expect(took).toBeLessThan(1500);
  });

  it.each([
    ['negative', -1, RangeError],
    ['NaN', Number.NaN, RangeError],
    ['infinite', Number.POSITIVE_INFINITY, RangeError],
    ['no number', '5', TypeError],
  ])('a timeout that is %s is refused (25)', async (_what, timeout, kind) => {
    const reactor = stage.reactor();
    const error = await rejection(reactor.select([], [], [], timeout as number));
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
    expect(error.message).toContain('timeoutMs');
  });

  it('a timeout of 30 days does not wrap (28)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    let over = false;
    const selected = reactor.select([socket], [], [], 30 * DAY_MS).finally(() => {
      over = true;
    });
    await delay(50);
    expect(over).toBe(false);
    peer.write('x');
    expect(await selected).toEqual([[socket], [], []]);
  });

  it.each([0.3, 60_000, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 30 * DAY_MS])(
    'a select of %d ms finds what comes before its time, and an abort ends it (25, 28)',
    async (timeoutMs) => {
      const reactor = stage.reactor();
      const { socket, peer } = await withPeer(reactor);
      const abort = new AbortController();
      const aborted = rejection(reactor.select([socket], [], [], 30 * DAY_MS + timeoutMs, abort.signal));
      const both = reactor.select([socket], [socket], [], timeoutMs);
      abort.abort(new Error('enough'));
      expect(await both).toEqual([[], [socket], []]);
      expect((await aborted).message).toBe('enough');
      if (timeoutMs < 1) return expect(await reactor.select([socket], [], [], timeoutMs)).toEqual(NONE);
      const waiting = reactor.select([socket], [], [], timeoutMs);
      await rounds(3);
      peer.write('x');
      expect(await waiting).toEqual([[socket], [], []]);
    },
  );

  it('a select whose time passed while the thread was busy still finds what is ready (25)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    let waiting: Promise<unknown>;
    let over: boolean;
    do {
      // Anew, where the machine has let the time pass before there was anything to find.
      over = false;
      waiting = reactor.select([socket], [], [], 5).finally(() => {
        over = true;
      });
      await rounds(2);
    } while (over);
    peer.write('x');
    // The emulated backend hears of it in the loop's next round, the kernel has it at once; the timer is overdue in both.
    if (stage.backend === 'kernel') {
      while (socket.recv(Buffer.alloc(1), 0, 1, MSG_PEEK) === WOULD_BLOCK);
      busy(20);
    } else reactor.post(() => busy(20));
    expect(await waiting).toEqual(stage.backend === 'kernel' ? [[socket], [], []] : expect.anything());
    expect(await reactor.select([socket], [], [], 5000)).toEqual([[socket], [], []]);
  });

  it('a select that a handler calls is told in a later turn, not from the batch under way', async () => {
    const reactor = stage.reactor();
    const sockets = (await pairs(reactor, 2)).map(([client]) => client) as [Socket, Socket];
    // Waiting for what never comes keeps both watched, so the demultiplexer has what the handlers' selects ask for.
    const idle = rejection(reactor.select(sockets, [], []));
    const turns = new Log<[called: number, told: number]>();
    for (const socket of sockets)
      reactor.register(socket, WRITABLE, (ready, _readiness, registration) => {
        const other = sockets.find((each) => each !== ready) as Socket;
        const called = reactor.metrics.turns;
        registration.modify(0);
        void reactor.select([], [other], []).then(() => turns.add([called, reactor.metrics.turns]));
      });
    await turns.reaches(2);
    for (const [called, told] of turns.entries) expect(told).toBeGreaterThan(called);
    reactor.close();
    expect(await idle).toMatchObject({ code: 'ERR_REACTOR_CLOSED' });
  });

  it('50 selects over overlapping sets are each told their own subsets; a close ends only those that hold it', async () => {
    const reactor = stage.reactor();
    const made = await pairs(reactor, 10);
    const servers = made.map(([, server]) => server);
    const asked = Array.from({ length: 50 }, (_, i) => servers.filter((_server, at) => at !== 0 && (i + at) % 3 === 0));
    const waiting = asked.map((set) => reactor.select(set, [], []));
    const doomed = rejection(reactor.select([servers[0] as Socket, servers[1] as Socket], [], []));
    await rounds(3);
    servers[0]?.close();
    expect(await doomed).toMatchObject({ code: 'EBADF' });
    for (const [client] of made.slice(1)) client.send(Buffer.from('x'));
    for (const [i, selected] of (await Promise.all(waiting)).entries()) {
      expect(selected[0].length).toBeGreaterThan(0);
      expect(selected[0]).toEqual((asked[i] as Socket[]).filter((socket) => selected[0].includes(socket)));
      expect(selected.slice(1)).toEqual([[], []]);
    }
  });

  it('signals interrupt no select: neither one whose handler returns nor one whose handler throws (26)', async () => {
    const { lines, code } = await runNode(
      `
      import { Reactor } from '@fdset/reactor';
      const told = new Promise((resolve) => process.on('uncaughtException', (error) => {
        console.log('uncaught ' + error.message);
        resolve();
      }));
      process.on('SIGUSR2', () => {
        console.log('heard');
        setTimeout(() => process.kill(process.pid, 'SIGWINCH'), 30);
      });
      process.on('SIGWINCH', () => { throw new Error('of the signal'); });
      const reactor = new Reactor();
      const listener = await reactor.listen({ host: '127.0.0.1', port: 0 });
      const began = performance.now();
      setTimeout(() => process.kill(process.pid, 'SIGUSR2'), 30);
      const selected = reactor.select([listener], [], [listener], 200)
        .then((sets) => [JSON.stringify(sets), performance.now() - began >= 199]);
      await told;
      console.log(...(await selected));`,
      { backend: stage.backend },
    );
    expect({ lines, code }).toEqual({ lines: ['heard', 'uncaught of the signal', '[[],[],[]] true'], code: 0 });
  });

  it('only the sets that were asked for are told, in the order that was given (29)', async () => {
    const reactor = stage.reactor();
    const made = await pairs(reactor, 4);
    const servers = made.map(([, server]) => server);
    for (const [client, server] of made) {
      client.send(Buffer.from('x'));
      await arrived(server, 1);
    }
    const [a, b, c, d] = servers as [Socket, Socket, Socket, Socket];
    expect(await reactor.select([c, a], [b], [])).toEqual([[c, a], [b], []]);
    expect(await reactor.select([], [d, a, c], [a, b, c, d])).toEqual([[], [d, a, c], []]);
    expect(await reactor.select([d, c, b, a], [a], [])).toEqual([[d, c, b, a], [a], []]);
  });

  it('the order is the given one also where the select had to wait (29)', async () => {
    const reactor = stage.reactor();
    const made = await pairs(reactor, 4);
    const servers = made.map(([, server]) => server);
    const waiting = reactor.select(servers, [], []);
    await rounds(3);
    for (const [client, server] of made) {
      client.send(Buffer.from('x'));
      await arrived(server, 1);
    }
    expect((await waiting)[0].length).toBeGreaterThan(0);
    const [a, b, c, d] = servers as [Socket, Socket, Socket, Socket];
    for (const order of [
      [a, b, c, d],
      [d, c, b, a],
      [b, d, a, c],
    ])
      expect(await reactor.select(order, [], [])).toEqual([order, [], []]);
  });

  it('with more ready sockets than the event budget, one select after the other tells of all (42)', async () => {
    const reactor = stage.reactor({ eventBudget: 4 });
    const sockets = (await pairs(reactor, 15)).map(([client]) => client);
    const told = new Set<Socket>();
    for (let i = 0; i < 8 && told.size < 15; i += 1) {
      const [, writable] = await reactor.select([], sockets, []);
      expect(writable.length).toBeGreaterThan(0);
      for (const socket of writable) told.add(socket);
    }
    expect(told.size).toBe(15);
  });

  it('a socket in several sets is told in each; duplicates are told once', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    peer.write('x');
    await arrived(socket, 1);
    expect(await reactor.select([socket, socket], [socket, socket, socket], [])).toEqual([[socket], [socket], []]);
  });

  it('any iterable of sockets is a set', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const sets = new Set([socket]);
    function* each() {
      yield socket;
    }
    expect(await reactor.select(new Set(), sets, [])).toEqual([[], [socket], []]);
    expect(await reactor.select([], each(), [])).toEqual([[], [socket], []]);
    for (const wrong of [null, undefined, 7, { length: 1 }])
      expect(await rejection(reactor.select(wrong as never, [], []))).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
  });

  it('what is no socket of this reactor is refused', async () => {
    const [reactor, other] = [stage.reactor(), stage.reactor()];
    const [socket] = await pair(other);
    for (const wrong of [socket, undefined, {}, 7])
      expect(await rejection(reactor.select([wrong as Socket], [], []))).toMatchObject({ code: 'ERR_REACTOR_SOCKET' });
  });

  it('it resolves in a later turn, never in the calling one', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    await rounds(5);
    const { turns } = reactor.metrics;
    const order: string[] = [];
    const selected = reactor.select([], [socket], []).then(() => order.push('selected'));
    await Promise.resolve().then(() => order.push('microtask'));
    process.nextTick(() => order.push('tick'));
    await selected;
    expect(order).toEqual(['microtask', 'tick', 'selected']);
    expect(reactor.metrics.turns).toBeGreaterThan(turns);
  });

  it('concurrent selects of the same socket are all told', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    const selects = [
      reactor.select([socket], [], []),
      reactor.select([socket], [], [socket]),
      reactor.select([socket], [], [], 5000),
    ];
    await delay(5);
    peer.write('x');
    expect(await Promise.all(selects)).toEqual([
      [[socket], [], []],
      [[socket], [], []],
      [[socket], [], []],
    ]);
  });

  it('a registration of the same socket is called first, and may have drained it', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    const order = new Log<string>();
    reactor.register(socket, READABLE, (ready) => order.add(`handler ${ready.recv(Buffer.alloc(8))}`));
    const selected = reactor.select([socket], [], []).then(([[found]]) => {
      order.add(`selected ${found?.recv(Buffer.alloc(8))}`);
    });
    peer.write('abc');
    await selected;
    expect(order.entries).toEqual(['handler 3', `selected ${WOULD_BLOCK}`]);
    expect(reactor.registrationOf(socket)?.interest).toBe(READABLE);
  });

  it('a select beside a registration adds to its interest and takes nothing of it away', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    const seen = new Log<number>();
    reactor.register(socket, READABLE, (ready, readiness) => {
      seen.add(readiness);
      ready.recv(Buffer.alloc(8));
    });
    expect(await reactor.select([], [socket], [])).toEqual([[], [socket], []]);
    expect(seen.entries).toEqual([]);
    await rounds(10);
    peer.write('x');
    await seen.reaches(1);
    expect(seen.entries).toEqual([READABLE]);
  });

  it('a closed socket is EBADF at once, and one that is closed while waiting rejects too', async () => {
    const reactor = stage.reactor();
    const [first, second, third] = (await pairs(reactor, 3)).map(([client]) => client) as [Socket, Socket, Socket];
    first.close();
    expect(await rejection(reactor.select([first], [], []))).toMatchObject({ code: 'EBADF', name: 'SocketError' });
    expect(await rejection(reactor.select([second], [], [first], 5))).toMatchObject({ code: 'EBADF' });
    const waiting = rejection(reactor.select([second], [], []));
    const other = rejection(reactor.select([], [], [second], 5000));
    await rounds(3);
    second.close();
    expect(await waiting).toMatchObject({ code: 'EBADF' });
    expect(await other).toMatchObject({ code: 'EBADF' });
    const soon = rejection(reactor.select([third], [], []));
    third.close();
    expect(await soon).toMatchObject({ code: 'EBADF' });
  });

  it('an abort rejects with its reason, before or while waiting, and leaves nothing behind', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const reason = new Error('changed my mind');
    expect(await rejection(reactor.select([], [socket], [], null, AbortSignal.abort(reason)))).toBe(reason);
    const abort = new AbortController();
    const waiting = rejection(reactor.select([socket], [], [], null, abort.signal));
    await rounds(3);
    abort.abort();
    expect(await waiting).toMatchObject({ name: 'AbortError' });
    expect(await reactor.select([socket], [socket], [], 0)).toEqual([[], [socket], []]);
  });

  it('close of the reactor rejects what waits', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const waiting = rejection(reactor.select([socket], [], []));
    const early = rejection(reactor.select([socket], [], [], 0));
    reactor.close();
    expect(await waiting).toMatchObject({ code: 'ERR_REACTOR_CLOSED' });
    expect(await early).toMatchObject({ code: 'ERR_REACTOR_CLOSED' });
    socket.close();
  });

  it('a socket that stays ready costs no turns once nobody selects it', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    // The first one has to wait, so the socket is watched from then on.
    const waiting = reactor.select([socket], [], []);
    await rounds(3);
    peer.write('never read');
    expect((await waiting)[0]).toEqual([socket]);
    for (let i = 0; i < 5; i += 1) expect((await reactor.select([socket], [], []))[0]).toEqual([socket]);
    await rounds(20);
    const { turns } = reactor.metrics;
    await delay(50);
    expect(reactor.metrics.turns - turns).toBeLessThanOrEqual(1);
    expect((await reactor.select([socket], [], []))[0]).toEqual([socket]);
  });

  it('a listening socket is readable while a connection waits', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    expect(await reactor.select([listener], [listener], [listener], 5)).toEqual(NONE);
    const client = owned(await reactor.connect(address));
    expect(await reactor.select([listener], [], [])).toEqual([[listener], [], []]);
    owned(listener.accept());
    expect(await reactor.select([listener], [], [], 0)).toEqual(NONE);
    client.close();
  });

  it('a loop that waits for room to write goes on as soon as there is room', async () => {
    const reactor = stage.reactor();
    const [client, server] = await pair(reactor);
    const taken = await filledUp(reactor, client);
    const waiting = reactor.select([], [client], []);
    const into = Buffer.alloc(65536);
    let read = 0;
    while (read < taken) {
      const count = server.recv(into);
      if (count === WOULD_BLOCK) await reactor.select([server], [], []);
      else read += count;
    }
    expect(await waiting).toEqual([[], [client], []]);
  });

  stage.needs('selectSync')('selectSync looks, waits, and gives the subsets in order (25, 27)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    expect(reactor.selectSync([socket], [], [], 0)).toEqual(NONE);
    const began = performance.now();
    expect(reactor.selectSync([socket], [], [socket], 60)).toEqual(NONE);
    expect(performance.now() - began).toBeGreaterThanOrEqual(59);
    peer.write('x');
    await arrived(socket, 1);
    expect(reactor.selectSync([socket, socket], [socket], [])).toEqual([[socket], [socket], []]);
  });

  stage.needs('selectSync')('selectSync rounds its time up, takes empty sets, and 30 days (28, D20, D21)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    for (const timeoutMs of [0.3, 1.7]) {
      const began = performance.now();
      expect(reactor.selectSync([socket], [], [], timeoutMs)).toEqual(NONE);
      expect(performance.now() - began).toBeGreaterThanOrEqual(timeoutMs);
    }
    const before = process.cpuUsage();
    expect(reactor.selectSync([], [], [], 200)).toEqual(NONE);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(100);
    peer.write('x');
    await arrived(socket, 1);
    for (const timeoutMs of [2 ** 31, 30 * DAY_MS, null])
      expect(reactor.selectSync([socket], [], [], timeoutMs)).toEqual([[socket], [], []]);
  });

  stage.needs('selectSync')('selectSync refuses a closed socket with EBADF', async () => {
    const reactor = stage.reactor();
    const [open, closed] = await pair(reactor);
    closed.close();
    for (const timeoutMs of [0, 5])
      expect(thrown(() => reactor.selectSync([open], [closed], [], timeoutMs))).toMatchObject({ code: 'EBADF' });
  });

  stage.needs('selectSync')('selectSync inside a handler dispatches nothing (37)', async () => {
    const reactor = stage.reactor();
    const sockets = (await pairs(reactor, 2)).map(([client]) => client);
    const called = new Log<Socket>();
    let nested = 0;
    let found: unknown;
    for (const socket of sockets)
      reactor.register(socket, WRITABLE, (ready, _readiness, registration) => {
        registration.unregister();
        nested += 1;
        called.add(ready);
        expect(nested).toBe(1);
        found = reactor.selectSync([], sockets, [], 5);
        nested -= 1;
      });
    await called.reaches(2);
    expect(found).toEqual([[], sockets, []]);
  });

  stage.needs('selectSync')('a signal does not end selectSync before its time (26)', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const signals = new Log<string>();
    const onSignal = () => signals.add('SIGUSR2');
    process.on('SIGUSR2', onSignal);
    afterTest(() => process.off('SIGUSR2', onSignal));
    const killer = spawn('sh', ['-c', `sleep 0.1; kill -USR2 ${process.pid}; sleep 0.1; kill -USR2 ${process.pid}`]);
    const gone = once(killer, 'close');
    await once(killer, 'spawn');
    const began = performance.now();
    expect(reactor.selectSync([socket], [], [], 500)).toEqual(NONE);
    expect(performance.now() - began).toBeGreaterThanOrEqual(499);
    await gone;
    await signals.reaches(1);
  });

  if (!stage.capabilities.selectSync)
    it('selectSync is refused with ENOTSUP, which names the capability', () => {
      const error = thrown(() => stage.reactor().selectSync([], [], [], 0));
      expect(error).toMatchObject({ code: 'ENOTSUP' });
      expect(error.message).toContain("'selectSync'");
    });

  it('a select is told of the socket of a connection that reads at the same time', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connected(reactor, told.handler);
    const selected = reactor.select([connection.socket], [], []);
    await rounds(2);
    peer.write('one');
    expect(await selected).toEqual([[connection.socket], [], []]);
    expect(told.calls.entries).toEqual(['open', 'data one']);
    // And the connection reads on as before.
    peer.write('two');
    await told.calls.reaches(3);
    expect(told.calls.entries[2]).toBe('data two');
  });

  it('a signal that is none is refused', async () => {
    const error = await rejection(stage.reactor().select([], [], [], null, {} as AbortSignal));
    expect(error.code).toBe('ERR_REACTOR_ARGUMENT');
  });
});
