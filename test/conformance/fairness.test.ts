/** Budgets: nobody starves, whatever the others do (item 42 and the figures of the foundation). */
import {
  type Connection,
  type InetAddress,
  MSG_PEEK,
  READABLE,
  type Reactor,
  type Socket,
  WOULD_BLOCK,
  WRITABLE,
} from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { serving } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { pairs, withPeer } from '../support/sockets.js';
import { Log, rounds, until } from '../support/waiting.js';

/** Keeps the thread busy. */
function work(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** A peer that writes for as long as the returned function is not called, and reads what comes back. */
async function flooding(address: InetAddress): Promise<() => void> {
  const { socket } = await NetPeer.connect(address);
  const block = Buffer.alloc(1 << 20);
  let on = true;
  const pump = () => {
    while (on && socket.write(block));
  };
  socket.on('drain', pump);
  pump();
  return () => {
    on = false;
    socket.destroy();
  };
}

/** What has happened in the server between the readiness of a quiet socket and the call of its handler. */
interface Wait {
  readonly bytes: number;
  readonly turns: number;
  /** How often the most favoured of the flooding connections was served meanwhile. */
  readonly floods: number;
}

/** A connection receives at most so much at once: by so much a byte budget may be overdrawn. */
const LARGEST_READ = 65536;

/**
 * The waits of `count` single bytes to a quiet connection of `reactor`, beside `floods` connections that flood. Each is written within a
 * handler of a flooding connection, in the middle of a turn, and taken as ready as soon as a look into its buffer finds it there.
 */
async function waitsBesideFloods(reactor: Reactor, floods: number, count: number): Promise<Wait[]> {
  const waits: Wait[] = [];
  const told = new Log<number>();
  const served = new Map<Connection, number>();
  let quiet: Connection | undefined;
  let peer: NetPeer | undefined;
  let bytes = 0;
  let sent = false;
  let ready: { bytes: number; turns: number; served: Map<Connection, number> } | undefined;

  const lookForByte = () => {
    if (ready || !sent || quiet?.socket.recv(Buffer.alloc(1), 0, 1, MSG_PEEK) !== 1) return;
    ready = { bytes, turns: reactor.metrics.turns, served: new Map(served) };
  };
  const { address, next } = await serving(reactor, {
    data(connection, chunk) {
      if (connection !== quiet) {
        lookForByte();
        bytes += chunk.length;
        served.set(connection, (served.get(connection) ?? 0) + 1);
        if (peer === undefined || sent || waits.length === count) return;
        sent = true;
        peer.write('q');
        lookForByte();
        return;
      }
      // Told before any flooding connection was served after it was ready: it has not waited.
      const since = ready ?? { bytes, turns: reactor.metrics.turns, served };
      waits.push({
        bytes: bytes - since.bytes,
        turns: reactor.metrics.turns - since.turns,
        floods: Math.max(...[...served].map(([flood, times]) => times - (since.served.get(flood) ?? 0))),
      });
      ready = undefined;
      sent = false;
      if (waits.length === count) told.add(count);
    },
  });
  const connecting = await NetPeer.connect(address);
  quiet = await next();
  const stops = await Promise.all(Array.from({ length: floods }, () => flooding(address)));
  for (let i = 0; i < floods; i += 1) await next();
  peer = connecting;
  await told.reaches(1);
  for (const stop of stops) stop();
  return waits;
}

describeBackends('fairness', (stage) => {
  it('500 sockets that are always ready, under a budget of 256 events a turn, are all served equally (42)', async () => {
    const reactor = stage.reactor({ eventBudget: 256, turnBudgetMs: 1000 });
    const sockets = (await pairs(reactor, 500)).map(([client]) => client);
    const served = new Map<Socket, number>(sockets.map((socket) => [socket, 0]));
    const total = new Log<number>();
    const perTurn = new Map<number, number>();
    for (const socket of sockets)
      reactor.register(socket, WRITABLE, (ready) => {
        served.set(ready, (served.get(ready) as number) + 1);
        const { turns } = reactor.metrics;
        perTurn.set(turns, (perTurn.get(turns) ?? 0) + 1);
        total.add(1);
        if (total.entries.length === 500 * 20) for (const each of sockets) each.close();
      });
    await total.reaches(500 * 20);
    const counts = [...served.values()];
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    expect(Math.max(...perTurn.values())).toBeLessThanOrEqual(256);
    expect(reactor.metrics.budgetHits).toBeGreaterThan(30);
  });

  it('a quiet socket beside always ready ones is served after one round of them (42)', async () => {
    const reactor = stage.reactor({ eventBudget: 8 });
    const { socket: quiet, peer } = await withPeer(reactor);
    const busy = (await pairs(reactor, 40)).map(([client]) => client);
    let turnOfWrite = 0;
    const delays = new Log<number>();
    for (const socket of busy) reactor.register(socket, WRITABLE, () => {});
    reactor.register(quiet, READABLE, (ready) => {
      ready.recv(Buffer.alloc(8));
      delays.add(reactor.metrics.turns - turnOfWrite);
    });
    for (let i = 1; i <= 10; i += 1) {
      turnOfWrite = reactor.metrics.turns;
      peer.write('x');
      await delays.reaches(i);
    }
    // 40 busy ones, 8 a turn: 5 turns for a round; and some for the byte to come through.
    expect(Math.min(...delays.entries)).toBeLessThanOrEqual(10);
    for (const socket of busy) socket.close();
  });

  it('the event budget holds for each turn, and what is left over is not lost', async () => {
    const reactor = stage.reactor({ eventBudget: 3, turnBudgetMs: 5000 });
    const sockets = (await pairs(reactor, 10)).map(([client]) => client);
    const turns = new Log<number>();
    for (const socket of sockets)
      reactor.register(socket, WRITABLE, (_ready, _readiness, registration) => {
        registration.unregister();
        turns.add(reactor.metrics.turns);
      });
    await turns.reaches(10);
    const counts = new Map<number, number>();
    for (const turn of turns.entries) counts.set(turn, (counts.get(turn) ?? 0) + 1);
    expect([...counts.values()]).toEqual([3, 3, 3, 1]);
  });

  it('slow handlers: the turn ends at turnBudgetMs, Node’s own callbacks run, and each socket is served once', async () => {
    const reactor = stage.reactor({ turnBudgetMs: 5 });
    const sockets = (await pairs(reactor, 20)).map(([client]) => client);
    const served = new Log<number>();
    let immediates = 0;
    const tick = () => {
      immediates += 1;
      if (served.entries.length < 20) setImmediate(tick);
    };
    for (const socket of sockets)
      reactor.register(socket, WRITABLE, (_ready, _readiness, registration) => {
        registration.unregister();
        work(2);
        served.add(reactor.metrics.turns);
      });
    setImmediate(tick);
    await served.reaches(20);
    const turns = new Set(served.entries).size;
    expect(turns).toBeGreaterThanOrEqual(5);
    // A round of the loop may hold two turns: one for what is ready, one for what was left over.
    expect(immediates).toBeGreaterThanOrEqual(Math.floor(turns / 2) - 1);
    expect(reactor.metrics.budgetHits).toBeGreaterThanOrEqual(4);
  });

  it('slow handlers of sockets that are always ready are all called equally often', async () => {
    const reactor = stage.reactor({ turnBudgetMs: 3 });
    const sockets = (await pairs(reactor, 20)).map(([client]) => client);
    const served = new Map<Socket, number>(sockets.map((socket) => [socket, 0]));
    const total = new Log<number>();
    for (const socket of sockets)
      reactor.register(socket, WRITABLE, (ready) => {
        served.set(ready, (served.get(ready) as number) + 1);
        work(0.7);
        total.add(1);
        if (total.entries.length === 200) for (const each of sockets) each.close();
      });
    await total.reaches(200);
    const counts = [...served.values()];
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    expect(reactor.metrics.budgetHits).toBeGreaterThan(10);
  });

  it('what a budget left over is dropped where it was closed meanwhile', async () => {
    const reactor = stage.reactor({ turnBudgetMs: 1 });
    const sockets = (await pairs(reactor, 6)).map(([client]) => client);
    const served = new Log<Socket>();
    const closed = new Log<Socket>();
    for (const socket of sockets)
      reactor.register(socket, WRITABLE, (ready, _readiness, registration) => {
        registration.unregister();
        served.add(ready);
        work(3);
        if (served.entries.length === 1)
          setImmediate(() => {
            for (const other of sockets)
              if (!served.entries.includes(other)) {
                other.close();
                closed.add(other);
              }
          });
      });
    await served.reaches(1);
    await rounds(10);
    expect(closed.entries.length).toBeGreaterThan(0);
    expect(served.entries.filter((socket) => closed.entries.includes(socket))).toEqual([]);
    expect(served.entries.length + closed.entries.length).toBe(6);
  });

  it('flooding connections do not keep a quiet one waiting: the byte budget ends the turn (42)', async () => {
    const reactor = stage.reactor({ byteBudget: 65536 });
    let bytes = 0;
    const answered = new Log<number>();
    const { address, next } = await serving(reactor, {
      data(connection, chunk) {
        if (chunk.length === 1) connection.write(chunk);
        else bytes += chunk.length;
      },
    });
    const stops = await Promise.all(Array.from({ length: 4 }, () => flooding(address)));
    const quiet = await NetPeer.connect(address);
    for (let i = 0; i < 5; i += 1) await next();
    for (let i = 1; i <= 5; i += 1) {
      const before = bytes;
      quiet.write('q');
      await quiet.receives(i);
      answered.add(bytes - before);
    }
    for (const stop of stops) stop();
    expect(bytes).toBeGreaterThan(0);
    expect(reactor.metrics.budgetHits).toBeGreaterThan(0);
  });

  it('no turn receives more than the byte budget and the chunk that met it (42)', async () => {
    const byteBudget = 100_000;
    const reactor = stage.reactor({ byteBudget });
    const perTurn = new Map<number, number>();
    const perConnection = new Map<unknown, number>();
    let total = 0;
    const { address } = await serving(reactor, {
      data(connection, chunk) {
        const { turns } = reactor.metrics;
        perTurn.set(turns, (perTurn.get(turns) ?? 0) + chunk.length);
        perConnection.set(connection, (perConnection.get(connection) ?? 0) + chunk.length);
        total += chunk.length;
      },
    });
    const peers = await Promise.all(Array.from({ length: 6 }, () => NetPeer.connect(address)));
    for (const peer of peers) peer.write(Buffer.alloc(1 << 20));
    await until(() => total === 6 << 20);
    expect(Math.max(...perTurn.values())).toBeLessThanOrEqual(byteBudget + 65_536);
    expect([...perConnection.values()]).toEqual(Array(6).fill(1 << 20));
  });

  // What is sent here has arrived when the call returns: where that is not so, what is ready together is left to chance.
  for (const place of [0, 1, 2])
    stage.needs('rawDescriptors')(
      `who sends little is answered before a flooding connection is served, ready before it or after it (${place})`,
      async () => {
        const reactor = stage.reactor();
        const made = await pairs(reactor, 3);
        const clients = made.map(([client]) => client);
        const quiet = [0, 1, 2].filter((index) => index !== place).map((index) => clients[index] as Socket);
        const flood = clients[place] as Socket;
        const order: string[] = [];
        const done = new Log<string>();
        const into = Buffer.alloc(16);
        for (const [index, [, server]] of made.entries())
          reactor.connection(server, {
            data(connection, chunk) {
              if (index !== place) {
                order.push('quiet');
                connection.write(chunk);
                return;
              }
              order.push(`flood, ${quiet.filter((client) => client.recv(into) === 4).length} answered`);
              if (order.length === 1) for (const client of quiet) client.send(Buffer.from('ping'));
              if (order.length === 4) done.add('done');
            },
          });
        flood.send(Buffer.alloc(2 * LARGEST_READ));
        await done.reaches(1);
        expect(order.slice(0, 4)).toEqual(['flood, 0 answered', 'quiet', 'quiet', 'flood, 2 answered']);
      },
    );

  stage.needs('rawDescriptors')(
    'who sends little while a flooding connection is received for is served before that is answered',
    async () => {
      // However long the machine takes for it: the time of the turn is not to end it.
      const reactor = stage.reactor({ turnBudgetMs: 5000 });
      const [[flooding, flooded], [client, quiet]] = (await pairs(reactor, 2)) as [[Socket, Socket], [Socket, Socket]];
      const into = Buffer.alloc(LARGEST_READ);
      const done = new Log<{ answered: number; turns: number }>();
      let floods = 0;
      let turns = 0;
      reactor.connection(flooded, {
        data(connection, chunk) {
          floods += 1;
          if (floods !== 2) return;
          turns = reactor.metrics.turns;
          client.send(Buffer.from('ping'));
          connection.write(chunk);
        },
      });
      reactor.connection(quiet, {
        data: () => done.add({ answered: flooding.recv(into), turns: reactor.metrics.turns - turns }),
      });
      flooding.send(Buffer.alloc(2 * LARGEST_READ));
      await done.reaches(1);
      expect(done.entries).toEqual([{ answered: WOULD_BLOCK, turns: 0 }]);
      await until(() => flooding.recv(into) > 0);
    },
  );

  stage.needs('rawDescriptors')(
    'of several flooding connections that a budget has left over, one is served before who sends little meanwhile',
    async () => {
      const reactor = stage.reactor({ byteBudget: 1 });
      const made = await pairs(reactor, 4);
      const [client, quiet] = made.pop() as [Socket, Socket];
      const heard = new Log<string>();
      for (const [flooding, flooded] of made) {
        reactor.connection(flooded, {
          data() {
            heard.add('flood');
            // The fourth is the first that was heavy before; the others of its batch are left over.
            if (heard.entries.length === 4) client.send(Buffer.from('ping'));
          },
        });
        flooding.send(Buffer.alloc(2 * LARGEST_READ));
      }
      reactor.connection(quiet, { data: () => heard.add('quiet') });
      await heard.reaches(7);
      expect(heard.entries).toEqual(['flood', 'flood', 'flood', 'flood', 'quiet', 'flood', 'flood']);
    },
  );

  stage.needs('rawDescriptors')(
    'those that send little, whatever budget they use up, do not keep the flooding ones from being served',
    async () => {
      const reactor = stage.reactor({ byteBudget: 1 });
      const made = await pairs(reactor, 4);
      const floods = new Log<number>();
      for (const [index, [client, server]] of made.entries()) {
        const sent = Buffer.alloc(index < 2 ? LARGEST_READ : 4);
        reactor.connection(server, {
          data() {
            if (index < 2) floods.add(index);
            // Ready again before its handler returns.
            if (floods.entries.length < 12) client.send(sent);
          },
        });
        client.send(sent);
      }
      await floods.reaches(12);
    },
  );

  stage.needs('rawDescriptors')(
    'the reactor may be closed by what is told before a flooding connection is served',
    async () => {
      const reactor = stage.reactor();
      const [[flooding, flooded], [client, quiet]] = (await pairs(reactor, 2)) as [[Socket, Socket], [Socket, Socket]];
      const heard: string[] = [];
      const done = new Log<string>();
      reactor.connection(flooded, {
        data() {
          heard.push('flood');
          if (heard.length === 1) client.send(Buffer.from('ping'));
        },
      });
      reactor.connection(quiet, {
        data: (connection) => connection.destroy(),
        close() {
          heard.push('closed');
          reactor.close();
          done.add('done');
        },
      });
      flooding.send(Buffer.alloc(2 * LARGEST_READ));
      await done.reaches(1);
      await rounds(5);
      expect(heard).toEqual(['flood', 'closed']);
    },
  );

  it('one connection that floods leaves ten others their echo (42)', async () => {
    const reactor = stage.reactor();
    const { address } = await serving(reactor, {
      data(connection, chunk) {
        if (chunk.length < 64) connection.write(chunk);
      },
    });
    const stop = await flooding(address);
    const quiet = await Promise.all(Array.from({ length: 10 }, () => NetPeer.connect(address)));
    for (let round = 1; round <= 5; round += 1) {
      for (const peer of quiet) peer.write('ping');
      await Promise.all(quiet.map((peer) => peer.receives(4 * round)));
    }
    stop();
  });

  for (const byteBudget of [LARGEST_READ / 4, 4 * LARGEST_READ]) {
    it(`beside one that floods, a ready socket waits a byte budget of ${byteBudget} and one more turn at the most (42)`, async () => {
      const reactor = stage.reactor({ byteBudget, turnBudgetMs: 5000 });
      const waits = await waitsBesideFloods(reactor, 1, 50);
      expect(Math.max(...waits.map(({ bytes }) => bytes))).toBeLessThanOrEqual(byteBudget + LARGEST_READ);
      // The turn that the budget has ended, and the one that goes on with what it left over.
      expect(Math.max(...waits.map(({ turns }) => turns))).toBeLessThanOrEqual(2);
    });
  }

  it('beside several that flood, a ready socket waits for each of them twice at the most (42)', async () => {
    const floods = 4;
    // Each turn ends after a single one of them, so that a round of all takes as many turns.
    const reactor = stage.reactor({ byteBudget: 1, turnBudgetMs: 5000 });
    const waits = await waitsBesideFloods(reactor, floods, 50);
    expect(Math.max(...waits.map((wait) => wait.floods))).toBeLessThanOrEqual(2);
    expect(Math.max(...waits.map(({ turns }) => turns))).toBeLessThanOrEqual(2 * floods + 1);
    expect(Math.max(...waits.map(({ bytes }) => bytes))).toBeLessThanOrEqual(2 * floods * LARGEST_READ);
    expect(reactor.metrics.budgetHits).toBeGreaterThan(0);
  });

  it('the counters of metrics are what has happened (101)', async () => {
    const reactor = stage.reactor();
    const [[socket]] = (await pairs(reactor, 1)) as [[Socket, Socket]];
    await rounds(10);
    const before = reactor.metrics;
    const called = new Log<number>();
    reactor.register(socket, WRITABLE, (_ready, _readiness, registration) => {
      called.add(reactor.metrics.turns);
      if (called.entries.length === 7) registration.unregister();
    });
    expect(reactor.metrics.registrations).toBe(1);
    await called.reaches(7);
    await rounds(5);
    const after = reactor.metrics;
    expect(after.events - before.events).toBe(7);
    expect(after.turns - before.turns).toBeGreaterThanOrEqual(7);
    expect(after.registrations).toBe(0);
    expect(after.unheardErrors).toBe(0);
  });
});
