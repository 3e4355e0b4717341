/** The idle, read and write timeouts of a connection: up to a tick of 50 ms late, never early, once. */
import { type CloseInfo, type Connection, SocketError } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { closing, connected, recorder } from '../support/connections.js';
import { NetServer } from '../support/net-peer.js';
import { runNode } from '../support/node-process.js';
import { delay, Log, once, rejection, rounds, thrown } from '../support/waiting.js';

function expectTimeout(info: CloseInfo, syscall: string, what: RegExp): void {
  expect(info.by).toBe('error');
  expect(info.error).toBeInstanceOf(SocketError);
  expect(info.error).toMatchObject({ code: 'ETIMEDOUT', syscall });
  expect(info.error?.message).toMatch(what);
}

describeBackends('connection timeouts', (stage) => {
  it('an idle connection that nobody hears of is destroyed with ETIMEDOUT, told once (84)', async () => {
    const reactor = stage.reactor();
    const began = performance.now();
    const calls = new Log<string>();
    const infos = new Log<CloseInfo>();
    const { peer } = await connected(
      reactor,
      {
        error: (_, error) => calls.add(`error ${(error as SocketError).code}`),
        close(_, info) {
          calls.add(info.by);
          infos.add(info);
        },
      },
      { idleMs: 100 },
    );
    await infos.reaches(1);
    expectTimeout(infos.entries[0] as CloseInfo, 'recv', /nothing was received or sent for 100 ms/);
    expect(performance.now() - began).toBeGreaterThanOrEqual(99);
    expect(calls.entries).toEqual(['error ETIMEDOUT', 'error']);
    await peer.ended;
    peer.end();
  });

  it('a handler hears timeout once for each idle stretch, and the connection stays (84)', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connected(reactor, told.handler, { idleMs: 60 });
    await told.calls.reaches(2);
    await delay(300);
    expect(told.calls.entries).toEqual(['open', 'timeout']);
    peer.write('again');
    await told.calls.reaches(4);
    await delay(200);
    expect(told.calls.entries).toEqual(['open', 'timeout', 'data again', 'timeout']);
    connection.write('ours');
    await told.calls.reaches(5);
    expect(connection.closed).toBe(false);
    expect(told.calls.entries[4]).toBe('timeout');
  });

  it('a listener of timeout keeps it alive too, and a handler that closes in timeout is told no error', async () => {
    const reactor = stage.reactor();
    const heard = new Log<string>();
    const infos = new Log<CloseInfo>();
    await connected(
      reactor,
      {
        open(connection) {
          connection.on('error', () => heard.add('error'));
          connection.on('timeout', () => {
            heard.add('timeout');
            connection.destroy();
          });
          connection.on('close', (info) => infos.add(info));
        },
      },
      { idleMs: 60 },
    );
    await infos.reaches(1);
    expect(infos.entries).toEqual([{ by: 'local' }]);
    await delay(100);
    const { turns } = reactor.metrics;
    await delay(200);
    expect(heard.entries).toEqual(['timeout']);
    expect(reactor.metrics.turns - turns, 'nothing of it is left in the wheel').toBeLessThanOrEqual(1);
  });

  it.each(['received', 'sent'] as const)('what is %s puts it off (84)', async (way) => {
    const heard = new Log<void>();
    const idle = new Log<number>();
    let latest = performance.now();
    const { connection, peer } = await connected(
      stage.reactor(),
      { data: () => heard.add(), timeout: () => idle.add(performance.now() - latest) },
      { idleMs: 300 },
    );
    for (let i = 1; i <= 4; i += 1) {
      const began = performance.now();
      if (way === 'received') {
        peer.write('x');
        await heard.reaches(i);
      } else {
        connection.write('y');
        await connection.flushed();
      }
      latest = began;
      await delay(100);
    }
    await idle.reaches(1);
    // Also where the process was held up for longer than that between two of them.
    expect(Math.min(...idle.entries)).toBeGreaterThanOrEqual(299);
  });

  it('setIdleTimeout counts from now, sets another time, and 0 ends it', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection } = await connected(reactor, told.handler);
    connection.setIdleTimeout(60_000);
    connection.setIdleTimeout(80);
    const began = performance.now();
    await told.calls.reaches(2);
    expect(performance.now() - began).toBeGreaterThanOrEqual(79);
    connection.setIdleTimeout(80);
    await told.calls.reaches(3);
    connection.setIdleTimeout(80);
    connection.setIdleTimeout(0);
    await delay(200);
    expect(told.calls.entries).toEqual(['open', 'timeout', 'timeout']);
  });

  it('no timeout comes after close, and none is left waiting (84)', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connected(reactor, told.handler, { idleMs: 60_000 });
    connection.setIdleTimeout(60);
    connection.destroy();
    connection.setIdleTimeout(50);
    await peer.ended;
    peer.end();
    const turns = reactor.metrics.turns;
    await delay(200);
    expect(told.calls.entries).toEqual(['open', 'close local']);
    expect(reactor.metrics.turns - turns).toBeLessThanOrEqual(2);
  });

  it('a connection without a timeout costs no turn while it waits', async () => {
    const reactor = stage.reactor();
    const { connection } = await connected(reactor, recorder().handler, { idleMs: 50 });
    connection.setIdleTimeout(0);
    await delay(100);
    const turns = reactor.metrics.turns;
    await delay(200);
    expect(reactor.metrics.turns - turns).toBeLessThanOrEqual(1);
  });

  it('a blocked loop is no idle peer: what has arrived meanwhile counts', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connected(reactor, told.handler);
    connection.setIdleTimeout(200);
    peer.write('in time');
    // In memory a peer's bytes leave with the turn of its reactor.
    if (stage.backend === 'simulated') await rounds(1);
    const until = performance.now() + 400;
    while (performance.now() < until);
    await told.calls.reaches(2);
    expect(told.calls.entries).toEqual(['open', 'data in time']);
  });

  it('readMs ends a connection that reads and is sent nothing, not one that is paused', async () => {
    const reactor = stage.reactor();
    const heard = new Log<void>();
    const silent = new Log<number>();
    let latest = 0;
    const { connection, peer } = await connected(
      reactor,
      {
        open: (fresh) => fresh.pause(),
        data: () => heard.add(),
        timeout: () => {},
        close: () => silent.add(performance.now() - latest),
      },
      { readMs: 150 },
    );
    await delay(300);
    expect(connection.closed).toBe(false);
    const closed = closing(connection);
    latest = performance.now();
    connection.resume();
    for (let i = 1; i <= 4; i += 1) {
      const began = performance.now();
      peer.write('x');
      await Promise.race([heard.reaches(i), silent.reaches(1)]);
      if (silent.entries.length > 0) break;
      latest = began;
      await delay(75);
    }
    connection.write('what we send is no reading');
    expectTimeout(await closed, 'recv', /nothing was received for 150 ms/);
    // Also where the process was held up for longer than that between two of them.
    expect(silent.entries[0]).toBeGreaterThanOrEqual(149);
    // Reset, where a byte has come too late to be read.
    await Promise.race([peer.ended, peer.closed]);
    peer.end();
  });

  it('writeMs ends a connection whose peer takes nothing, and not one that is slow', async () => {
    const reactor = stage.reactor();
    const stuck = new Log<number>();
    let latest = 0;
    const { connection, peer } = await connected(
      reactor,
      { timeout: () => {}, close: () => stuck.add(performance.now() - latest) },
      { writeMs: 250, maxBufferedBytes: 64 * 1024 * 1024, paused: true },
    );
    await delay(350);
    expect(connection.closed, 'with nothing queued there is no clock').toBe(false);
    const closed = closing(connection);
    latest = performance.now();
    connection.write(Buffer.alloc(32 * 1024 * 1024));
    const flushed = rejection(connection.flushed());
    for (let i = 0; i < 4 && !connection.closed; i += 1) {
      await delay(120);
      const began = performance.now();
      const queued = connection.bufferedBytes;
      // A little at a time, far from all of it, until some of it has left.
      for (let taken = 0; taken < 2 * 1024 * 1024 || connection.bufferedBytes === queued; ) {
        if (connection.closed) break;
        const chunk = peer.socket.read() as Buffer | null;
        if (chunk === null) await Promise.race([once(peer.socket, 'readable'), stuck.reaches(1)]);
        else taken += chunk.length;
      }
      if (!connection.closed) latest = began;
    }
    expectTimeout(await closed, 'send', /no queued byte has left for 250 ms/);
    // Also where the process was held up for longer than that between two of them.
    expect(stuck.entries[0]).toBeGreaterThanOrEqual(249);
    expect((await flushed).code).toBe('ETIMEDOUT');
  });

  it('the timeouts of an opened connection are those of its options', async () => {
    const reactor = stage.reactor();
    const server = await NetServer.listen();
    const closed = closing(await reactor.open(server.address, { idleMs: 60 }));
    const peer = await server.next();
    expectTimeout(await closed, 'recv', /60 ms/);
    await peer.ended;
    peer.end();
  });

  it('a hundred that fall due together are each told once, also where one destroys the others (D14)', async () => {
    const reactor = stage.reactor();
    const server = await NetServer.listen();
    const connections: Connection[] = [];
    const told = new Log<string>();
    for (let i = 0; i < 100; i += 1) {
      const connection = await reactor.open(server.address);
      connections.push(connection);
      connection.on('timeout', () => {
        told.add('timeout');
        for (const other of connections.slice(50)) other.destroy();
      });
    }
    const first = connections.slice(0, 50);
    for (const connection of connections) connection.setIdleTimeout(connections.indexOf(connection) < 50 ? 100 : 150);
    await told.reaches(50);
    await delay(200);
    expect(told.entries).toHaveLength(50);
    expect(first.every((connection) => !connection.closed)).toBe(true);
    for (const connection of connections) connection.destroy();
    await server.peers.reaches(100);
    for (const peer of server.peers.entries) peer.end();
  });

  for (const [what, ms, kind] of [
    ['a string', '5', TypeError],
    ['nothing', undefined, TypeError],
    ['a negative time', -1, RangeError],
    ['NaN', Number.NaN, RangeError],
    ['Infinity', Number.POSITIVE_INFINITY, RangeError],
  ] as const)
    it(`setIdleTimeout refuses ${what}`, async () => {
      const { connection } = await connected(stage.reactor());
      const error = thrown(() => connection.setIdleTimeout(ms as never));
      expect(error).toBeInstanceOf(kind);
      expect(error.code).toBe('ERR_REACTOR_ARGUMENT');
      expect(error.message).toMatch(/ms/);
    });

  it('serve refuses timeouts that are none', async () => {
    const reactor = stage.reactor();
    for (const name of ['idleMs', 'readMs', 'writeMs']) {
      const error = await rejection(reactor.serve({ host: '127.0.0.1', port: 0 }, {}, { [name]: -5 }));
      expect(error.code).toBe('ERR_REACTOR_ARGUMENT');
      expect(error.message).toContain(name);
    }
  });

  it('a timeout that waits does not keep the process alive (46)', async () => {
    const { code, lines } = await runNode(
      `import { Reactor } from '@fdset/reactor';
       const reactor = new Reactor();
       const listener = await reactor.serve({ host: '127.0.0.1', port: 0 }, { data() {} }, { idleMs: 3600000 });
       const connection = await reactor.open(listener.socket.localAddress, { idleMs: 3600000 });
       connection.on('close', () => console.log('closed'));
       await listener.close();
       await connection.close();
       console.log('done');`,
      { backend: stage.backend },
    );
    expect({ code, lines }).toEqual({ code: 0, lines: ['closed', 'done'] });
  });
});
