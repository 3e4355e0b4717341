/**
 * What holds where an option is left out: each default is the one that its docstring gives, and does what it says. Defaults
 * that decide how something behaves (noDelay, allowHalfOpen, ref) are shown beside that behaviour, in its own test.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { readFileSync } from 'node:fs';
import { Duplex } from 'node:stream';
import { Connection, type InetAddress, Reactor, type Socket, WRITABLE } from '@fdset/reactor';
import { SimulatedNetwork } from '@fdset/reactor/testing';
import { describe, expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends, guardEachTest } from '../support/backends.js';
import { connected, recorder, serving } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { listening, owned } from '../support/sockets.js';
import { Log, rounds, until } from '../support/waiting.js';
import { warnings } from '../support/warnings.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const ANY_PORT = { host: '127.0.0.1', port: 0 };

describeBackends('a default', (stage) => {
  it('of the budgets: 1024 events, 16 MiB and 20 ms a turn, 64 accepts a listener', () => {
    const [, budgets] = stage.reactor().inspect().split('\n');
    expect(budgets).toBe(`budgets   1024 events, ${16 * MIB} bytes and 20 ms a turn; 64 accepts a listener`);
  });

  it('of socket and socketPair: a stream, of IPv4', () => {
    const reactor = stage.reactor();
    expect(owned(reactor.socket())).toMatchObject({ type: 'stream', family: 'ipv4' });
    if (!stage.capabilities.socketPair) return;
    for (const socket of reactor.socketPair()) expect(owned(socket)).toMatchObject({ type: 'stream', family: 'unix' });
  });

  /** A connection whose peer reads nothing, and from which the system takes no more. */
  async function blocked(): Promise<{
    connection: Connection;
    peer: NetPeer;
    drained: Log<number>;
    calls: Log<string>;
  }> {
    const drained = new Log<number>();
    const told = recorder({ drain: (connection) => drained.add(connection.bufferedBytes) });
    const { connection, peer } = await connected(stage.reactor(), told.handler, { paused: true });
    const block = Buffer.alloc(64 * KIB);
    do {
      while (connection.bufferedBytes === 0) {
        connection.write(block);
        connection.flush();
      }
      // What the peer's end of the way takes on is taken here too.
      await rounds(10);
      connection.flush();
    } while (connection.bufferedBytes === 0);
    return { connection, peer, drained, calls: told.calls };
  }

  it('of highWaterMark is 64 KiB, of lowWaterMark 16 KiB', async () => {
    const { connection, peer, drained } = await blocked();
    expect(connection.bufferedBytes).toBeLessThanOrEqual(64 * KIB);
    expect(connection.write(Buffer.alloc(64 * KIB - connection.bufferedBytes))).toBe(true);
    expect(connection.bufferedBytes).toBe(64 * KIB);
    expect(connection.write('x')).toBe(false);
    expect(drained.entries).toEqual([]);
    peer.read();
    await drained.reaches(1);
    expect(drained.entries[0]).toBeLessThanOrEqual(16 * KIB);
    connection.destroy();
  });

  it.each([
    ['at 16 KiB', 96 * KIB, 16 * KIB],
    ['not at a byte more', 96 * KIB + 1, 1],
  ])('of lowWaterMark: drain comes %s', async (_what, written, left) => {
    let take = (): void => {};
    // The system's buffers take what they like; this one takes 16 KiB at a time, on every Node.
    const slow = new Duplex({
      writableHighWaterMark: 16 * KIB,
      read() {},
      write(_chunk, _encoding, done) {
        take = done;
      },
    });
    const drained = new Log<number>();
    const connection = Connection.over(slow, stage.reactor(), {
      drain: (each) => drained.add(each.bufferedBytes),
    });
    connection.write(Buffer.alloc(written));
    while (drained.entries.length === 0) {
      const { bufferedBytes } = connection;
      take();
      await until(() => connection.bufferedBytes < bufferedBytes);
      await rounds(2);
    }
    expect(drained.entries).toEqual([left]);
    connection.destroy();
  });

  it('of lowWaterMark lies no higher than highWaterMark', async () => {
    const reactor = stage.reactor();
    await (await reactor.serve(ANY_PORT, {}, { highWaterMark: 16 * KIB - 1 })).close();
    const refused = reactor.serve(ANY_PORT, {}, { lowWaterMark: 64 * KIB + 1 });
    await expect(refused).rejects.toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
    await (await reactor.serve(ANY_PORT, {}, { lowWaterMark: 64 * KIB })).close();
  });

  it('of maxBufferedBytes is 16 MiB', async () => {
    const { connection, calls } = await blocked();
    connection.write(Buffer.alloc(16 * MIB - connection.bufferedBytes));
    expect([connection.bufferedBytes, connection.closed]).toEqual([16 * MIB, false]);
    connection.write('x');
    expect(connection.closed).toBe(true);
    await calls.reaches(3);
    expect(calls.entries).toEqual(['open', 'error ERR_REACTOR_SLOW_CONSUMER', 'close error']);
  });

  it('of borrowChunks is false: a chunk that is kept keeps its bytes', async () => {
    const kept = new Log<Buffer>();
    const { peer } = await connected(stage.reactor(), { data: (_connection, chunk) => kept.add(chunk) });
    for (const text of ['one', 'two', 'three']) {
      peer.write(text);
      await kept.reaches(kept.entries.length + 1);
    }
    expect(kept.entries.map(String)).toEqual(['one', 'two', 'three']);
  });

  it('of asyncContext is false: what open enters does not hold for its connection', async () => {
    const storage = new AsyncLocalStorage<string>();
    const found = new Log<unknown>();
    let count = 0;
    const { address, next } = await serving(stage.reactor(), {
      open() {
        count += 1;
        storage.enterWith(`connection ${count}`);
      },
      data: () => found.add(storage.getStore()),
    });
    const [first] = [await NetPeer.connect(address), await next()];
    await NetPeer.connect(address);
    await next();
    first.write('x');
    await found.reaches(1);
    expect(found.entries[0]).not.toBe('connection 1');
  });

  it('of overload is pause: a connection beyond the limit waits until there is room', async () => {
    const { listener, address, connections } = await serving(stage.reactor(), {}, { maxConnections: 1 });
    const dropped = new Log<void>();
    listener.on('drop', () => dropped.add());
    await NetPeer.connect(address);
    await connections.reaches(1);
    await NetPeer.connect(address);
    await rounds(20);
    expect([listener.connections, connections.entries.length, dropped.entries.length]).toEqual([1, 1, 0]);
    connections.entries[0]?.destroy();
    await connections.reaches(2);
    expect(listener.connections).toBe(1);
  });

  stage.needs('rawOptions')('of reuseAddress is true; of reusePort and deferAccept, off', async () => {
    const { listener } = await listening(stage.reactor());
    const names = ['reuseAddress', 'reusePort', 'deferAccept'] as const;
    expect(names.map((name) => listener.getOption(name))).toEqual([true, false, 0]);
  });

  stage.needs('rawOptions')('of the backlog is 511, as far as the system goes', async () => {
    const reactor = stage.reactor();
    const bare = owned(reactor.socket());
    bare.bind(ANY_PORT);
    bare.listen();
    const { listener } = await listening(reactor);
    const most = Number(readFileSync('/proc/sys/net/core/somaxconn', 'latin1'));
    // Of a listening socket Linux tells its limit there: tcp_get_info.
    for (const socket of [bare, listener]) expect(socket.getOption('tcpInfo').sacked).toBe(Math.min(511, most));
    const serving = await reactor.serve(ANY_PORT, {});
    expect(serving.backlog).toBe(Math.min(511, most));
  });

  it('of debug: true warns of handlers beyond 100 ms', async () => {
    const told = warnings();
    const reactor = stage.reactor({ debug: true });
    const { peer } = await connected(reactor, {
      data() {
        const until = performance.now() + 101;
        while (performance.now() < until);
      },
    });
    peer.write('x');
    await told.reaches(1);
    expect(told.entries[0]?.message).toContain('(slowHandlerMs is 100)');
  });
});

interface Scene {
  readonly network: SimulatedNetwork;
  readonly reactor: Reactor;
  /** A connection of the reactor, whose peer does nothing, and what it is told. */
  connection(): Promise<{ connection: Connection; calls: Log<string> }>;
  /** Two sockets of the reactor, connected with each other. */
  sockets(): Promise<[Socket, Socket]>;
}

/** What ends by itself after so long: the event is noted in the log. `late`: how much later it may be, as documented. */
const TIMES: [what: string, ms: number, late: number, begin: (scene: Scene, ended: Log<string>) => unknown][] = [
  [
    'timeoutMs of connect',
    30_000,
    0,
    ({ reactor }, ended) => {
      const lookup = () => new Promise<never>(() => {});
      reactor.connect({ host: 'example.test', port: 1 }, { lookup }).catch(({ code }) => ended.add(code));
    },
  ],
  [
    'timeoutMs of hold',
    10_000,
    50,
    async (scene, ended) => {
      const { connection } = await scene.connection();
      connection.on('error', (error) => ended.add((error as NodeJS.ErrnoException).code as string));
      connection.hold();
    },
  ],
  [
    'lingerMs of close',
    2000,
    0,
    async (scene, ended) => {
      const { connection } = await scene.connection();
      void connection.close().then(() => ended.add('closed'));
    },
  ],
  [
    'drainMs of stop',
    0,
    0,
    async (scene, ended) => {
      const { connection } = await scene.connection();
      connection.on('close', ({ by }) => ended.add(by));
      void scene.reactor.stop();
    },
  ],
  [
    'the pause of a registration whose handler threw',
    100,
    0,
    async (scene, ended) => {
      const [socket] = await scene.sockets();
      let calls = 0;
      scene.reactor.register(socket, WRITABLE, () => {
        calls += 1;
        if (calls === 1) throw new Error('oops');
        ended.add('called again');
        socket.close();
      });
      await scene.network.advance(0);
    },
  ],
];

describe('a default time', () => {
  guardEachTest();

  async function scene(): Promise<Scene> {
    const network = new SimulatedNetwork();
    const make = (options = {}): Reactor => new Reactor({ backend: network.backend(), ...options });
    const reactor = make({ onHandlerError: () => 'pause' });
    const other = make();
    afterTest(() => {
      other.close();
      reactor.close();
      network.close();
    });
    const run = <T>(program: () => Promise<T>): Promise<T> => network.run(program);
    return {
      network,
      reactor,
      connection: () =>
        run(async () => {
          const told = recorder();
          const opened = new Log<Connection>();
          const listener = await reactor.serve(ANY_PORT, { ...told.handler, open: (each) => opened.add(each) });
          await other.connect(listener.socket.localAddress as InetAddress);
          await opened.reaches(1);
          await listener.close();
          return { connection: opened.entries[0] as Connection, calls: told.calls };
        }),
      sockets: () =>
        run(async () => {
          const listener = await reactor.listen(ANY_PORT);
          const client = await reactor.connect(listener.localAddress as InetAddress);
          const accepted = listener.accept() as Socket;
          listener.close();
          return [client, accepted];
        }),
    };
  }

  it.each(TIMES)('%s is %d ms', async (_what, ms, late, begin) => {
    const made = await scene();
    const ended = new Log<string>();
    await begin(made, ended);
    if (ms > 0) await made.network.advance(ms - 1);
    expect(ended.entries).toHaveLength(0);
    await made.network.advance(1 + late);
    expect(ended.entries).toHaveLength(1);
  });

  it('a handler that keeps throwing is paused for 100 ms, doubled up to 1 s', async () => {
    const { network, reactor, sockets } = await scene();
    const [socket] = await sockets();
    const times: number[] = [];
    reactor.register(socket, WRITABLE, () => {
      times.push(network.now());
      throw new Error('oops');
    });
    await network.advance(5000);
    const pauses = times.slice(1).map((time, i) => time - (times[i] as number));
    expect(pauses.slice(0, 6)).toEqual([100, 200, 400, 800, 1000, 1000]);
    socket.close();
  });

  it('attemptDelayMs of connect is 250: the next address is tried beside the first then', async () => {
    const network = new SimulatedNetwork({ latencyMs: [2000, 2000] });
    const tried: number[] = [];
    const reactor = new Reactor({
      backend: network.backend(),
      trace: ({ call, time }) => {
        if (call === 'connect') tried.push(time);
      },
    });
    afterTest(() => network.close());
    afterTest(() => reactor.close());
    const began = network.now();
    const addresses = [1, 2, 3].map((n) => ({ host: `127.0.0.${n}`, port: 80 }));
    reactor.connect({ host: 'example.test', port: 80 }, { lookup: async () => addresses }).catch(() => {});
    await network.advance(1000);
    expect(tried.map((time) => time - began)).toEqual([0, 250, 500]);
  });

  it('none of idleMs, readMs and writeMs, and null of select, is for ever', async () => {
    const made = await scene();
    const { connection, calls } = await made.connection();
    connection.resume();
    connection.write(Buffer.alloc(8 * MIB));
    const [socket] = await made.sockets();
    const ended = new Log<string>();
    void made.reactor.select([socket], [], []).then(
      () => ended.add('select'),
      () => {},
    );
    await made.network.advance(24 * 3_600_000);
    expect([connection.closed, calls.entries, ended.entries]).toEqual([false, [], []]);
    expect(connection.bufferedBytes).toBeGreaterThan(0);
  });
});
