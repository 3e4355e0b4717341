/** How a connection ends, as its real peers see it: end, close, destroy, reset, half-close, errors. */
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { closing, connected, connectedToPython, recorder, serving } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { digest, pattern } from '../support/sockets.js';
import { delay, Log, rounds, thrown } from '../support/waiting.js';

const MIB = 1024 * 1024;

describeBackends('connection end', (stage) => {
  it('the peer’s end is told once, behind its data, and is answered by ours (71)', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { peer } = await connectedToPython(reactor, told.handler);
    await peer.send('last words');
    await peer.do('shutdown');
    expect(await peer.drain()).toMatchObject({ count: 0, how: 'end' });
    await told.calls.reaches(4);
    await rounds(5);
    expect(told.calls.entries).toEqual(['open', 'data last words', 'end', 'close peer']);
  });

  it('what is written in the end handler still goes, and the end is not told again (71)', async () => {
    const reactor = stage.reactor();
    const answer = pattern(4 * MIB);
    const told = recorder({ end: (connection) => void connection.write(answer) });
    const { peer } = await connectedToPython(reactor, told.handler);
    await peer.do('shutdown');
    expect(await peer.drain()).toEqual({ count: answer.length, sha1: digest(answer), how: 'end' });
    await told.calls.reaches(3);
    expect(told.calls.entries.filter((call) => call !== 'drain')).toEqual(['open', 'end', 'close peer']);
  });

  it('end sends all that is queued, then the end; what the peer still sends is received', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connectedToPython(reactor, told.handler);
    const data = pattern(3 * MIB);
    connection.write(data.subarray(0, MIB));
    connection.end(data.subarray(MIB));
    connection.end('ignored');
    expect(await peer.drain()).toEqual({ count: data.length, sha1: digest(data), how: 'end' });
    await peer.send('after your end');
    await peer.do('close');
    await told.calls.reaches(4);
    expect(told.calls.entries.filter((call) => !call.startsWith('error'))).toEqual([
      'open',
      'data after your end',
      'end',
      'close peer',
    ]);
  });

  it('with allowHalfOpen our side stays open behind the peer’s end (76)', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connectedToPython(reactor, told.handler, { allowHalfOpen: true });
    await peer.send('question');
    await peer.do('shutdown');
    await told.calls.reaches(3);
    await rounds(10);
    expect(connection.closed).toBe(false);
    connection.write('answer');
    expect(await peer.exactly(6)).toBe('answer');
    connection.end();
    expect(await peer.drain()).toMatchObject({ count: 0, how: 'end' });
    await told.calls.reaches(4);
    expect(told.calls.entries).toEqual(['open', 'data question', 'end', 'close peer']);
  });

  it('a connection that is half open costs nothing while it waits (71)', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { peer } = await connected(reactor, told.handler, { allowHalfOpen: true });
    peer.end();
    await told.calls.reaches(2);
    await rounds(20);
    const { turns } = reactor.metrics;
    await delay(50);
    expect(reactor.metrics.turns - turns).toBeLessThanOrEqual(1);
    expect(told.calls.entries).toEqual(['open', 'end']);
  });

  it('close flushes, ends, waits for the peer’s end and resolves (78, 83)', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connectedToPython(reactor, told.handler);
    const data = pattern(6 * MIB);
    connection.write(data);
    const closed = connection.close();
    expect(await peer.drain()).toEqual({ count: data.length, sha1: digest(data), how: 'end' });
    expect(connection.closed).toBe(false);
    await peer.do('close');
    await closed;
    expect(connection.closed).toBe(true);
    expect(told.calls.entries.filter((call) => call !== 'drain')).toEqual(['open', 'close local']);
    await connection.close();
  });

  it('close with unread input keeps the last bytes: no reset destroys them (83)', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor);
    const input = pattern(4 * MIB);
    const output = pattern(2 * MIB).reverse();
    peer.write(input);
    await delay(20);
    connection.write(output);
    const closed = connection.close();
    await peer.ended;
    expect(digest(peer.received)).toBe(digest(output));
    peer.end();
    await closed;
    expect(await peer.closed).toBe('clean');
  });

  it('close gives a peer that never ends lingerMs, and then closes', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor);
    const began = reactor.now();
    await connection.close({ lingerMs: 60 });
    expect(reactor.now() - began).toBeGreaterThanOrEqual(59);
    await peer.ended;
  });

  it('close of a peer that does not read gives up lingerMs after its latest progress', async () => {
    const reactor = stage.reactor();
    const { connection } = await connected(reactor, {}, { paused: true });
    connection.write(Buffer.alloc(8 * MIB));
    await connection.close({ lingerMs: 50 });
    expect(connection.closed).toBe(true);
    expect(connection.bufferedBytes).toBe(0);
  });

  it('close twice resolves both times', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor);
    const both = [connection.close(), connection.close()];
    peer.end();
    await Promise.all(both);
  });

  it('destroy drops what is queued and closes; close is told later, once (78)', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connected(reactor, told.handler, { paused: true });
    connection.write(Buffer.alloc(8 * MIB));
    connection.destroy();
    expect([connection.closed, connection.socket.closed, connection.bufferedBytes]).toEqual([true, true, 0]);
    expect(told.calls.entries).toEqual(['open']);
    connection.destroy(new Error('too late'));
    await told.calls.reaches(2);
    await rounds(5);
    expect(told.calls.entries).toEqual(['open', 'close local']);
    peer.read();
    await peer.ended;
    expect(peer.received.length).toBeLessThan(8 * MIB);
  });

  it('destroy with an error tells the error, then close with it', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection } = await connected(reactor, told.handler);
    const reason = new Error('my reason');
    const [info] = await Promise.all([closing(connection), connection.destroy(reason)]);
    expect(info.error).toBe(reason);
    expect(told.calls.entries).toEqual(['open', 'error my reason', `close ${info.by}`]);
    expect(reactor.metrics.unheardErrors).toBe(0);
  });

  it('reset is seen by the peer as a reset (75)', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connectedToPython(reactor, told.handler);
    const drained = peer.drain();
    connection.write('never sent');
    connection.reset();
    expect(await drained).toMatchObject({ count: 0, how: 'ConnectionResetError' });
    await told.calls.reaches(2);
    expect(told.calls.entries).toEqual(['open', 'close local']);
  });

  it('a reset by the peer: its data first, then one error ECONNRESET and one close (74)', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connectedToPython(reactor, told.handler);
    connection.pause();
    await peer.send('before the reset');
    await peer.do('reset');
    await delay(20);
    connection.resume();
    const info = await closing(connection);
    expect(told.calls.entries.filter((call) => call !== 'hangup')).toEqual([
      'open',
      'data before the reset',
      'error ECONNRESET',
      'close error',
    ]);
    expect(info.error).toMatchObject({ name: 'SocketError', code: 'ECONNRESET', syscall: 'recv' });
  });

  it('a network error that nobody hears is counted, never thrown', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor, { data() {} });
    peer.reset();
    const info = await closing(connection);
    expect(info.by).toBe('error');
    expect(reactor.metrics.unheardErrors).toBe(1);
    const heard = await connected(reactor, { data() {}, error() {} });
    heard.peer.reset();
    await closing(heard.connection);
    expect(reactor.metrics.unheardErrors).toBe(1);
  });

  it('destroy in a data handler stops all further events (80)', async () => {
    const reactor = stage.reactor();
    const told = recorder({ data: (connection) => connection.destroy() });
    const { connection, peer } = await connected(reactor, told.handler);
    const heard = new Log<string>();
    for (const event of ['data', 'end', 'drain'] as const) connection.on(event, () => heard.add(event));
    peer.write('first');
    await told.calls.reaches(2);
    peer.socket.write('second');
    peer.socket.end();
    await told.calls.reaches(3);
    await rounds(10);
    expect(told.calls.entries).toEqual(['open', 'data first', 'close local']);
    expect(heard.entries).toEqual([]);
  });

  for (const method of ['open', 'data', 'drain', 'end', 'hangup', 'error', 'close'] as const) {
    const check = method === 'hangup' ? stage.needs('hangupWhilePaused') : it;
    check(`destroy in the method ${method} is safe: close is told once, as the last`, async () => {
      const reactor = stage.reactor();
      const told = recorder({ [method]: (connection: { destroy(): void }) => connection.destroy() });
      const closed = new Log<string>();
      const { address, next } = await serving(
        reactor,
        {
          ...told.handler,
          close(connection, info) {
            told.handler.close(connection, info);
            closed.add(info.by);
          },
        },
        { highWaterMark: 1, lowWaterMark: 0 },
      );
      const peer = await NetPeer.connect(address);
      const connection = await next();
      if (method === 'drain') connection.write('xy');
      else if (method === 'hangup') connection.pause();
      if (method === 'error') peer.reset();
      else peer.end('data');
      await closed.reaches(1);
      await rounds(10);
      const { entries } = told.calls;
      expect(entries.filter((call) => call.startsWith('close'))).toHaveLength(1);
      expect(entries.at(-1)).toMatch(/^close/);
      expect(entries.some((call) => call.startsWith(method))).toBe(true);
    });
  }

  it.each(['open', 'data', 'drain', 'end'] as const)(
    'a method %s that throws ends this connection with the error, and no other (36, 56)',
    async (method) => {
      const failures = new Log<unknown>();
      const reactor = stage.reactor({ onHandlerError: (error) => failures.add(error) });
      const oops = new Error('oops');
      let first = true;
      const told = recorder({
        [method]: () => {
          if (!first) return;
          first = false;
          throw oops;
        },
      });
      const { address, next } = await serving(reactor, told.handler, { highWaterMark: 1, lowWaterMark: 0 });
      const peer = await NetPeer.connect(address);
      const connection = await next();
      if (method === 'drain') connection.write('xy');
      peer.end('data');
      await failures.reaches(1);
      await rounds(10);
      expect(connection.closed).toBe(true);
      expect(failures.entries).toEqual([oops]);
      expect(told.calls.entries.slice(-2)).toEqual(['error oops', 'close error']);
      const count = told.calls.entries.length;
      const other = await NetPeer.connect(address);
      other.end('other');
      await other.ended;
      await told.calls.reaches(count + 4);
      expect(told.calls.entries.slice(count)).toEqual(['open', 'data other', 'end', 'close peer']);
    },
  );

  it.each(['error', 'close'] as const)(
    'a method %s that throws reaches onHandlerError, and the end is told all the same (36)',
    async (method) => {
      const failures = new Log<unknown>();
      const reactor = stage.reactor({ onHandlerError: (error) => failures.add(error) });
      const oops = new Error('oops');
      const told = recorder({
        [method]: () => {
          throw oops;
        },
      });
      const { connection } = await connected(reactor, told.handler);
      const heard = closing(connection);
      const closed = connection.close();
      connection.destroy(new Error('why'));
      await failures.reaches(1);
      await Promise.all([heard, closed]);
      expect(failures.entries).toEqual([oops]);
      expect(told.calls.entries).toEqual(['open', 'error why', 'close local']);
    },
  );

  it('an async data handler that rejects ends its connection with the error (36)', async () => {
    const failures = new Log<unknown>();
    const reactor = stage.reactor({ onHandlerError: (error) => failures.add(error) });
    const { connection, peer } = await connected(reactor, {
      async data() {
        await null;
        throw new Error('later');
      },
    });
    peer.write('x');
    const info = await closing(connection);
    expect(info).toMatchObject({ by: 'error', error: { message: 'later' } });
    await failures.reaches(1);
  });

  it('close of the reactor destroys its connections, and the peers see the end', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connected(reactor, told.handler);
    reactor.close();
    expect(connection.closed).toBe(true);
    await peer.ended;
    await told.calls.reaches(2);
    expect(told.calls.entries).toHaveLength(2);
  });

  it('stop lets the connections end within drainMs, and destroys the rest', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { address, listener, next } = await serving(reactor, told.handler);
    const [polite, rude] = [await NetPeer.connect(address), await NetPeer.connect(address)];
    const connections = [await next(), await next()];
    void polite.ended.then(() => polite.end());
    connections[0]?.write(pattern(2 * MIB));
    const began = reactor.now();
    // Long enough for the polite one on a machine that is held up; the rude one takes all of it.
    await reactor.stop({ drainMs: 1000 });
    expect(reactor.now() - began).toBeGreaterThanOrEqual(999);
    expect(connections.map((connection) => connection.closed)).toEqual([true, true]);
    expect(listener.socket.closed).toBe(true);
    await Promise.all([polite.closed, rude.ended]);
    expect(digest(polite.received)).toBe(digest(pattern(2 * MIB)));
  });

  for (const end of ['stop', 'close'] as const)
    it(`a connection that is open at the reactor's ${end} is told so`, async () => {
      const reactor = stage.reactor();
      const told = recorder();
      const { peer } = await connected(reactor, told.handler);
      await reactor[end]();
      await told.calls.reaches(2);
      expect(told.calls.entries).toEqual(['open', 'close shutdown']);
      await peer.ended;
    });

  it('an end whose handler throws is told once and answered, also where the policy leaves the connection open', async () => {
    const failures: unknown[] = [];
    const reactor = stage.reactor({
      onHandlerError(error) {
        failures.push((error as Error).message);
        return 'pause';
      },
    });
    const told = recorder({
      end() {
        throw new Error('thrown by end');
      },
    });
    const { connection, peer } = await connected(reactor, told.handler);
    const over = closing(connection);
    peer.end('last');
    expect(await over).toEqual({ by: 'peer' });
    expect(told.calls.entries).toEqual(['open', 'data last', 'end', 'close peer']);
    expect(failures).toEqual(['thrown by end']);
  });

  it('a connection whose handler threw and was paused stays as it was left meanwhile', async () => {
    const failures = new Log<unknown>();
    const reactor = stage.reactor({
      onHandlerError(error) {
        failures.add(error);
        return 'pause';
      },
    });
    const told = recorder({
      data() {
        if (failures.entries.length === 0) throw new Error('thrown by data');
      },
    });
    const { connection, peer } = await connected(reactor, told.handler);
    peer.write('one');
    await failures.reaches(1);
    connection.pause();
    peer.write('two');
    await delay(150);
    expect(told.calls.entries).toEqual(['open', 'data one']);
    connection.resume();
    await told.calls.reaches(3);
    expect(told.calls.entries[2]).toBe('data two');
    connection.destroy();
  });

  it('a connection ends when its socket is closed beneath it, and its listener counts it no more', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { listener, address, next } = await serving(reactor, told.handler);
    const [peer, connection] = await Promise.all([NetPeer.connect(address), next()]);
    connection.write('never sent');
    connection.socket.close();
    expect(connection.closed).toBe(true);
    await told.calls.reaches(2);
    expect(told.calls.entries).toEqual(['open', 'close local']);
    expect(listener.connections).toBe(0);
    await peer.ended;
  });

  it('a linger that is no time is refused, and the connection is as it was', async () => {
    const reactor = stage.reactor();
    const { connection } = await connected(reactor);
    for (const lingerMs of [Number.NaN, -1, Number.POSITIVE_INFINITY, '5' as unknown as number])
      expect(thrown(() => connection.close({ lingerMs })).code).toBe('ERR_REACTOR_ARGUMENT');
    expect(connection.write('still open')).toBe(true);
    await connection.flushed();
    connection.destroy();
  });
});
