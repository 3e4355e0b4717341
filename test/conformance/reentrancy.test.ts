/** What handlers do to the reactor that is calling them: close it, register anew, end each other. */
import { ERROR, READABLE, type Reactor, WRITABLE } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { closing, connected, recorder, serving } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { arrived, owned, pair, pairs, withPeer } from '../support/sockets.js';
import { delay, Log, rejection, rounds, thrown } from '../support/waiting.js';

describeBackends('re-entrancy', (stage) => {
  it('close of the reactor in a handler ends the batch: nothing more is called', async () => {
    const reactor = stage.reactor();
    const sockets = (await pairs(reactor, 4)).map(([client]) => client);
    const called = new Log<string>();
    for (const socket of sockets)
      reactor.register(socket, WRITABLE, () => {
        called.add('handler');
        reactor.setTimer(0, () => called.add('timer'));
        reactor.post(() => called.add('task'));
        reactor.close();
      });
    const waiting = rejection(reactor.select(sockets, [], []));
    await called.reaches(1);
    await rounds(10);
    expect(called.entries).toEqual(['handler']);
    expect(await waiting).toMatchObject({ code: 'ERR_REACTOR_CLOSED' });
    expect(sockets.map(({ closed }) => closed)).toEqual([false, false, false, false]);
  });

  it.each([
    ['a timer', (reactor: Reactor, close: () => void) => void reactor.setTimer(1, close)],
    ['a posted task', (reactor: Reactor, close: () => void) => reactor.post(close)],
    ['a select', (reactor: Reactor, close: () => void) => void reactor.select([], [], [], 1).then(close)],
  ])('close of the reactor in %s', async (_what, schedule) => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const called = new Log<string>();
    reactor.register(socket, READABLE, () => called.add('handler'));
    schedule(reactor, () => {
      reactor.setTimer(0, () => called.add('timer'));
      reactor.post(() => called.add('task'));
      reactor.close();
      called.add('closed');
    });
    await called.reaches(1);
    await rounds(5);
    expect(called.entries).toEqual(['closed']);
  });

  it('close of the reactor in a posted task drops the tasks, timers and sockets of the same turn', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const called = new Log<string>();
    reactor.post(() => {
      reactor.setTimer(0, () => called.add('timer'));
      reactor.post(() => {
        called.add('first');
        reactor.register(socket, WRITABLE, () => called.add('socket'));
        reactor.close();
      });
      reactor.post(() => called.add('second'));
    });
    await called.reaches(1);
    await rounds(10);
    expect(called.entries).toEqual(['first']);
  });

  it.each(['open', 'data', 'end', 'close'] as const)(
    'close of the reactor in a connection’s method %s',
    async (method) => {
      const reactor = stage.reactor();
      const told = recorder({ [method]: () => reactor.close() });
      const { address } = await serving(reactor, told.handler);
      const peer = await NetPeer.connect(address);
      peer.end('x');
      // Input that nobody has read makes a reset of it.
      await Promise.race([peer.ended, peer.closed]);
      await rounds(5);
      expect(told.calls.entries.filter((call) => call.startsWith('close'))).toHaveLength(1);
      expect(told.calls.entries.at(-1)).toMatch(/^close/);
    },
  );

  it('a socket may be registered anew in its own handler: the old event is not told to the new one', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    peer.write('x');
    await arrived(socket, 1);
    const called = new Log<string>();
    reactor.register(socket, READABLE | WRITABLE, {
      writable(ready, registration) {
        called.add(`old writable ${reactor.metrics.turns}`);
        registration.unregister();
        reactor.register(ready, READABLE, (_socket, _readiness, own) => {
          called.add(`new readable ${reactor.metrics.turns}`);
          own.unregister();
        });
      },
      readable: () => called.add('old readable'),
    });
    await called.reaches(2);
    const turn = Number(called.entries[0]?.split(' ').at(-1));
    expect(called.entries).toEqual([`old writable ${turn}`, expect.stringMatching(/^new readable/)]);
    expect(Number(called.entries[1]?.split(' ').at(-1))).toBeGreaterThan(turn);
  });

  it('unregister while a select waits for the same socket leaves the select its own interest', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    const registration = reactor.register(socket, READABLE, () => {});
    const waiting = reactor.select([socket], [], []);
    await rounds(3);
    registration.unregister();
    await rounds(3);
    peer.write('x');
    expect(await waiting).toEqual([[socket], [], []]);
  });

  it('register while a select waits for the same socket serves both', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    const waiting = reactor.select([socket], [], []);
    await rounds(3);
    const called = new Log<number>();
    reactor.register(socket, READABLE, (_socket, readiness, registration) => {
      called.add(readiness);
      registration.unregister();
    });
    peer.write('x');
    expect(await waiting).toEqual([[socket], [], []]);
    expect(called.entries).toEqual([READABLE]);
  });

  it('a select finds what a parked registration does not want, and modify wakes a parked one', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    socket.shutdown('write');
    peer.end();
    await peer.closed;
    const called = new Log<number>();
    // The hang-up is reported, wanted by nobody, and takes the socket out.
    const registration = reactor.register(socket, ERROR, (_socket, readiness) => called.add(readiness));
    await rounds(10);
    expect(await reactor.select([socket], [], [])).toEqual([[socket], [], []]);
    expect(called.entries).toEqual([]);
    registration.modify(ERROR | READABLE);
    await called.reaches(1);
    socket.close();
  });

  it.each(['data', 'end', 'close', 'error'] as const)(
    'a listener of %s that throws ends in onHandlerError; the connection ends as ever, and close resolves',
    async (event) => {
      const failures = new Log<unknown>();
      const reactor = stage.reactor({ onHandlerError: (error) => failures.add(error) });
      const told = recorder();
      const { connection, peer } = await connected(reactor, told.handler);
      const oops = new Error('oops');
      connection.on(event, () => {
        throw oops;
      });
      if (event === 'error') {
        const closed = connection.close();
        connection.destroy(new Error('why'));
        await closed;
      } else if (event === 'close') {
        const closed = connection.close();
        peer.end();
        await closed;
      } else {
        peer.end('x');
        await closing(connection);
      }
      await failures.reaches(1);
      expect(failures.entries).toEqual([oops]);
      expect(told.calls.entries.at(-1)).toMatch(/^close/);
      await connection.close();
    },
  );

  it('a peer that resets while a write is blocked ends the connection, though nobody reads', async () => {
    const reactor = stage.reactor();
    const errors = new Log<string>();
    const { connection, peer } = await connected(
      reactor,
      { error: (_connection, error) => errors.add((error as NodeJS.ErrnoException).code as string) },
      { paused: true },
    );
    connection.write(Buffer.alloc(8 << 20));
    await rounds(5);
    expect(connection.bufferedBytes).toBeGreaterThan(0);
    peer.reset();
    const info = await closing(connection);
    expect(info.by).toBe('error');
    expect(errors.entries).toHaveLength(1);
    expect(errors.entries[0]).toMatch(/^(ECONNRESET|EPIPE)$/);
  });

  it('a connection that waits for a peer that does not read costs no turns', async () => {
    const reactor = stage.reactor();
    const { connection } = await connected(reactor, { data() {} }, { paused: true });
    connection.write(Buffer.alloc(8 << 20));
    // Until the buffers on the way are full.
    let turns: number;
    do {
      turns = reactor.metrics.turns;
      await delay(50);
    } while (reactor.metrics.turns !== turns);
    await delay(60);
    expect(reactor.metrics.turns - turns).toBeLessThanOrEqual(1);
    connection.destroy();
  });

  it('connections that end each other in their handlers are each told once', async () => {
    const reactor = stage.reactor();
    const told = recorder({
      data() {
        for (const each of connections.entries) each.destroy();
      },
    });
    const { address, connections } = await serving(reactor, told.handler);
    const peers = await Promise.all([1, 2, 3].map(() => NetPeer.connect(address)));
    await connections.reaches(3);
    for (const peer of peers) peer.write('x');
    await told.calls.reaches(7);
    await rounds(10);
    expect(told.calls.entries).toEqual(['open', 'open', 'open', 'data x', 'close local', 'close local', 'close local']);
  });

  it('verbs of a socket that was never connected fail as the system’s do', async () => {
    const reactor = stage.reactor();
    const fresh = owned(reactor.socket());
    for (const [call, code] of [
      [() => fresh.recv(Buffer.alloc(4)), 'ENOTCONN'],
      [() => fresh.send(Buffer.from('x')), 'EPIPE'],
      [() => fresh.finishConnect(), 'ENOTCONN'],
    ] as const)
      expect(thrown(call)).toMatchObject({ name: 'SocketError', code });
  });
});
