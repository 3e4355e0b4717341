/** What the counters of a reactor say, against what its peers have seen. */
import {
  DatagramBatch,
  type InetAddress,
  MSG_PEEK,
  type ReactorMetrics,
  type Socket,
  WOULD_BLOCK,
  WRITABLE,
} from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { closing, connected, serving } from '../support/connections.js';
import { NetPeer, NetServer } from '../support/net-peer.js';
import { arrived, owned, pair, pattern, received, sent, withPeer } from '../support/sockets.js';
import { Log, rounds, until } from '../support/waiting.js';

const COUNTERS = ['turns', 'events', 'bytesIn', 'bytesOut', 'accepts', 'busyMs', 'longestTurnMs', 'uptimeMs'] as const;

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

describeBackends('metrics', (stage) => {
  it('a reactor that has done nothing has counted nothing', () => {
    const { turnTimes, uptimeMs, ...counters } = stage.reactor().metrics;
    expect(uptimeMs).toBeGreaterThanOrEqual(0);
    expect(turnTimes.counts).toHaveLength(turnTimes.boundsMs.length + 1);
    expect(sum(turnTimes.counts)).toBe(0);
    expect(counters).toEqual({
      turns: 0,
      events: 0,
      stale: 0,
      parked: 0,
      accepts: 0,
      bytesIn: 0,
      bytesOut: 0,
      budgetHits: 0,
      unheardErrors: 0,
      acceptFailures: 0,
      shed: 0,
      datagramsDropped: 0,
      registrations: 0,
      longestTurnMs: 0,
      busyMs: 0,
      busyShare: 0,
    });
  });

  it('the bytes of connections are those that their peers have sent and got (101)', async () => {
    const reactor = stage.reactor();
    const { address } = await serving(reactor, {
      data: (connection, chunk) => void connection.write(chunk),
    });
    const sizes = [1, 64, 4095, 4096, 70_000, 300_000, 17];
    const peers = await Promise.all(sizes.map(() => NetPeer.connect(address)));
    await Promise.all(
      peers.map((peer, i) => {
        peer.write(pattern(sizes[i] as number));
        return peer.receives(sizes[i] as number);
      }),
    );
    const total = sum(sizes);
    expect(sum(peers.map((peer) => peer.received.length))).toBe(total);
    const { bytesIn, bytesOut, accepts } = reactor.metrics;
    expect({ bytesIn, bytesOut, accepts }).toEqual({ bytesIn: total, bytesOut: total, accepts: sizes.length });
  });

  it('many small messages on many connections are counted to the byte (101)', async () => {
    const reactor = stage.reactor();
    const { address } = await serving(reactor, {
      data(connection, chunk) {
        // In two writes, so that a turn's queue holds several chunks.
        connection.write(chunk.subarray(0, 1));
        connection.write(chunk.subarray(1));
      },
    });
    const message = pattern(61);
    const peers = await Promise.all(Array.from({ length: 20 }, () => NetPeer.connect(address)));
    for (let round = 1; round <= 10; round += 1) {
      for (const peer of peers) peer.write(message);
      await Promise.all(peers.map((peer) => peer.receives(61 * round)));
    }
    expect(reactor.metrics.bytesIn).toBe(61 * 10 * 20);
    expect(reactor.metrics.bytesOut).toBe(61 * 10 * 20);
  });

  it('borrowed chunks are counted as owned ones are (101)', async () => {
    const reactor = stage.reactor();
    const { peer } = await connected(
      reactor,
      { data: (connection, chunk) => void connection.write(chunk) },
      { borrowChunks: true },
    );
    peer.write(pattern(200_000));
    await peer.receives(200_000);
    expect(reactor.metrics.bytesIn).toBe(200_000);
    expect(reactor.metrics.bytesOut).toBe(200_000);
  });

  it('the bytes of raw sockets are the counts that their verbs gave, and a peek adds none (101)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    peer.write(pattern(100_000));
    await arrived(socket, 1000);
    expect(reactor.metrics.bytesIn).toBe(0);
    const into = Buffer.alloc(1000);
    expect(socket.recv(into, 0, 10, MSG_PEEK)).toBe(10);
    expect(socket.recv(into, 5, 7)).toBe(7);
    expect(reactor.metrics.bytesIn).toBe(7);
    await received(reactor, socket, 100_000 - 7);
    expect(reactor.metrics.bytesIn).toBe(100_000);

    expect(socket.recv(into)).toBe(WOULD_BLOCK);
    const whole = Buffer.from('a send, ');
    const gathered = [Buffer.from('a sendv'), Buffer.from(' of three'), Buffer.from(' chunks')];
    const most = sum([socket.send(whole), socket.send(whole, 2, 4), socket.sendv(gathered)]);
    const counts = await sent(reactor, socket, pattern(500_000));
    expect(reactor.metrics.bytesOut).toBe(most + sum(counts));
    await peer.receives(most + sum(counts));
    expect(peer.received.length).toBe(reactor.metrics.bytesOut);
    expect(reactor.metrics.bytesIn).toBe(100_000);
  });

  stage.needs('blocking')('the blocking verbs are counted too', async () => {
    const reactor = stage.reactor();
    const [client, server] = await pair(reactor);
    expect(client.sendAllSync(Buffer.alloc(3000))).toBe(3000);
    const into = Buffer.alloc(4096);
    let got = 0;
    while (got < 3000) got += server.recvSync(into, { timeoutMs: 2000 });
    expect(reactor.metrics.bytesOut).toBe(3000);
    expect(reactor.metrics.bytesIn).toBe(3000);
  });

  it('each accepted connection is counted once, by listeners and by raw sockets', async () => {
    const reactor = stage.reactor();
    const { address } = await serving(reactor, {}, { maxConnections: 2, overload: 'close' });
    const peers = await Promise.all([1, 2, 3].map(() => NetPeer.connect(address)));
    await Promise.race(peers.map((peer) => peer.ended));
    await until(() => reactor.metrics.accepts === 3);
    const [, server] = await pair(reactor);
    expect(server.closed).toBe(false);
    expect(reactor.metrics.accepts).toBe(4);
  });

  it('a send that the system refuses adds nothing', async () => {
    const reactor = stage.reactor();
    const { socket } = await withPeer(reactor);
    socket.shutdown('write');
    expect(() => socket.send(Buffer.from('x'))).toThrow('EPIPE');
    socket.close();
    expect(() => socket.send(Buffer.from('x'))).toThrow('EBADF');
    expect(() => socket.recv(Buffer.alloc(1))).toThrow('EBADF');
    expect(reactor.metrics).toMatchObject({ bytesIn: 0, bytesOut: 0 });
  });

  it('the counters are those of one reactor, whatever another one does', async () => {
    const [idle, busy] = [stage.reactor(), stage.reactor()];
    const server = await NetServer.listen();
    const connection = await busy.open(server.address);
    connection.write('ten bytes.');
    await (await server.next()).receives(10);
    expect(busy.metrics.bytesOut).toBe(10);
    expect(idle.metrics).toMatchObject({ turns: 0, bytesIn: 0, bytesOut: 0, accepts: 0 });
    connection.destroy();
    await closing(connection);
  });

  it('every turn stands in one bucket of the histogram, at the time that it took', async () => {
    const reactor = stage.reactor();
    const spun = new Log<number>();
    reactor.post(() => {
      const until = performance.now() + 9;
      while (performance.now() < until);
      spun.add(1);
    });
    await spun.reaches(1);
    const { turns, turnTimes, busyMs, longestTurnMs, busyShare, uptimeMs } = reactor.metrics;
    expect(sum(turnTimes.counts)).toBe(turns);
    // The turn of 9 ms or more: everything else that has happened here is shorter than the bound below it.
    const slow = turnTimes.boundsMs.indexOf(16);
    expect(sum(turnTimes.counts.slice(slow))).toBe(1);
    expect(turnTimes.boundsMs[slow - 1]).toBe(8);
    expect(longestTurnMs).toBeGreaterThanOrEqual(9);
    expect(busyMs).toBeGreaterThanOrEqual(longestTurnMs);
    expect(busyShare).toBeCloseTo(busyMs / uptimeMs, 10);
    expect(turnTimes.boundsMs.every((bound, i) => i === 0 || bound === 2 * (turnTimes.boundsMs[i - 1] as number))).toBe(
      true,
    );
  });

  it('metrics are a snapshot that JSON keeps, and counters never fall', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const seen = new Log<ReactorMetrics>();
    reactor.register(owned(socket), WRITABLE, (_socket: Socket, _readiness, registration) => {
      seen.add(reactor.metrics);
      if (seen.entries.length === 5) registration.unregister();
    });
    await seen.reaches(5);
    await rounds(3);
    seen.add(reactor.metrics);
    const [first] = seen.entries as [ReactorMetrics];
    expect(JSON.parse(JSON.stringify(first))).toEqual(first);
    for (let i = 1; i < seen.entries.length; i += 1) {
      const [before, after] = [seen.entries[i - 1], seen.entries[i]] as [ReactorMetrics, ReactorMetrics];
      for (const name of COUNTERS) expect(after[name]).toBeGreaterThanOrEqual(before[name]);
    }
  });

  it('a snapshot stays what it was', async () => {
    const reactor = stage.reactor();
    const before = reactor.metrics;
    const copy = structuredClone(before);
    await new Promise<void>((resolve) => reactor.post(resolve));
    await until(() => sum(reactor.metrics.turnTimes.counts) === 1);
    expect(before).toEqual(copy);
  });

  it('the counters can be read when the reactor is closed', () => {
    const reactor = stage.reactor();
    const { turns } = reactor.metrics;
    reactor.close();
    expect(reactor.metrics).toMatchObject({ turns, registrations: 0 });
  });

  it('the bytes of datagrams are counted, one by one and in batches (101)', async () => {
    const reactor = stage.reactor();
    const [near, far] = [reactor.socket({ type: 'datagram' }), reactor.socket({ type: 'datagram' })];
    afterTest(() => {
      near.close();
      far.close();
    });
    near.bind({ host: '127.0.0.1', port: 0 });
    far.bind({ host: '127.0.0.1', port: 0 });
    const to = far.localAddress as InetAddress;
    near.sendTo(Buffer.alloc(100), to);
    const out = new DatagramBatch(4, 64);
    for (const size of [10, 20, 30]) out.add(Buffer.alloc(size), to);
    near.sendBatch(out, 1, 3);
    expect(reactor.metrics).toMatchObject({ bytesIn: 0, bytesOut: 150 });
    await reactor.select([far], [], [], 1000);
    const block = Buffer.alloc(128);
    far.recvFrom(block, MSG_PEEK);
    expect(reactor.metrics.bytesIn).toBe(0);
    far.recvFrom(block);
    expect(reactor.metrics.bytesIn).toBe(100);
    expect(far.recvBatch(out)).toBe(2);
    expect(reactor.metrics).toMatchObject({ bytesIn: 150, bytesOut: 150 });
  });
});
