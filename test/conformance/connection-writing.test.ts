/** What a connection writes: gathered, in order, with water marks, and as promptly from a promise as from a handler. */
import type { Connection } from '@fdset/reactor';
import { describe, expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { closing, connected, connectedToPython, recorder } from '../support/connections.js';
import { digest, pattern } from '../support/sockets.js';
import { delay, Log, rejection, rounds, thrown } from '../support/waiting.js';

const MIB = 1024 * 1024;

describeBackends('connection writing', (stage) => {
  describe('several writes leave in one send', () => {
    /** Writes twice, in different surroundings; resolves when it has. */
    const surroundings: [string, (connection: Connection, write: () => void) => void][] = [
      ['of a data handler', (_connection, write) => write()],
      [
        'after an await of a data handler',
        async (_connection, write) => {
          await null;
          write();
        },
      ],
      [
        'after several awaits',
        async (_connection, write) => {
          for (let i = 0; i < 5; i += 1) await null;
          write();
        },
      ],
      ['of a timer of the reactor', (connection, write) => void reactorOf(connection).setTimer(1, write)],
      ['after a sleep of the reactor', (connection, write) => void reactorOf(connection).sleep(1).then(write)],
      ['of a posted task', (connection, write) => reactorOf(connection).post(write)],
      ['of a timer of Node', (_connection, write) => void setTimeout(write, 1)],
      ['of an immediate', (_connection, write) => void setImmediate(write)],
      ['of a next tick', (_connection, write) => process.nextTick(write)],
    ];
    const reactors = new WeakMap<Connection, ReturnType<typeof stage.reactor>>();
    const reactorOf = (connection: Connection) => reactors.get(connection) as ReturnType<typeof stage.reactor>;

    it.each(surroundings)('%s', async (_where, run) => {
      const reactor = stage.reactor();
      const { connection, peer } = await connectedToPython(reactor, {
        open: (fresh) => void reactors.set(fresh, reactor),
        data: (current) =>
          run(current, () => {
            current.write('two writes, ');
            current.write('one send');
          }),
      });
      for (let i = 1; i <= 3; i += 1) {
        await peer.send('go');
        expect(await peer.exactly(20)).toBe('two writes, one send');
        expect(await peer.segments()).toBe(i);
      }
      expect(connection.bufferedBytes).toBe(0);
    });
  });

  it('writes with awaits between them leave in one send too', async () => {
    const reactor = stage.reactor();
    const { peer } = await connectedToPython(reactor, {
      async data(connection) {
        await null;
        connection.write('one ');
        await null;
        connection.write('and ');
        for (let i = 0; i < 10; i += 1) await null;
        connection.write('one');
      },
    });
    for (let i = 1; i <= 3; i += 1) {
      await peer.send('go');
      expect(await peer.exactly(11)).toBe('one and one');
      expect(await peer.segments()).toBe(i);
    }
  });

  it('what is written after an await has left before the loop goes round, in under 1 ms', async () => {
    const reactor = stage.reactor();
    const stretches = new Log<number>();
    let rounded = 0;
    const { peer } = await connected(reactor, {
      async data(connection) {
        await null;
        const began = performance.now();
        setImmediate(() => {
          rounded += 1;
        });
        connection.write('a');
        connection.write('b');
        await connection.flushed();
        expect(rounded).toBe(stretches.entries.length);
        expect(connection.bufferedBytes).toBe(0);
        stretches.add(performance.now() - began);
      },
    });
    for (let i = 1; i <= 20; i += 1) {
      peer.write('go');
      await stretches.reaches(i);
    }
    // The quickest of them: a busy machine makes single ones slow.
    expect(Math.min(...stretches.entries)).toBeLessThan(1);
  });

  it('write queues, and flush sends at once', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor);
    expect(connection.write('abc')).toBe(true);
    expect(connection.write(new Uint8Array([0x64, 0x65]))).toBe(true);
    expect(connection.bufferedBytes).toBe(5);
    connection.flush();
    expect(connection.bufferedBytes).toBe(0);
    expect((await peer.receives(5)).toString()).toBe('abcde');
  });

  it('a string is written as UTF-8; an empty write is nothing, not an end', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor);
    expect(connection.write('')).toBe(true);
    connection.write('größe €');
    connection.write(Buffer.alloc(0));
    expect((await peer.receives(11)).toString()).toBe('größe €');
    expect(peer.socket.readableEnded).toBe(false);
  });

  it('what is no bytes is refused, and nothing of it is queued', async () => {
    const reactor = stage.reactor();
    const { connection } = await connected(reactor);
    for (const wrong of [undefined, null, 7, {}, [1, 2], new ArrayBuffer(2), new Uint16Array(2)])
      expect(thrown(() => connection.write(wrong as never))).toMatchObject({ code: 'ERR_REACTOR_BUFFER' });
    expect(connection.bufferedBytes).toBe(0);
    expect(connection.closed).toBe(false);
  });

  it('thousands of chunks arrive in their order, in pieces that no call can take at once (67)', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor, {}, { paused: true, maxBufferedBytes: 64 * MIB });
    const data = pattern(6 * MIB);
    let offset = 0;
    let chunks = 0;
    for (let size = 1; offset < data.length; size = (size * 31 + 7) % 4001) {
      connection.write(data.subarray(offset, offset + size));
      offset += size;
      chunks += 1;
    }
    expect(chunks).toBeGreaterThan(2048);
    await rounds(3);
    expect(connection.bufferedBytes).toBeGreaterThan(0);
    peer.read();
    expect(digest(await peer.receives(data.length))).toBe(digest(data));
    await connection.flushed();
    expect(connection.bufferedBytes).toBe(0);
  });

  it('buffered bytes go before new ones, however the flushes fall (67)', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor, {}, { paused: true });
    const data = pattern(4 * MIB);
    for (let offset = 0; offset < data.length; offset += MIB) {
      connection.write(data.subarray(offset, offset + 10));
      connection.flush();
      connection.write(data.subarray(offset + 10, offset + MIB - 1));
      connection.write(data.subarray(offset + MIB - 1, offset + MIB));
      await rounds(2);
    }
    peer.read();
    expect(digest(await peer.receives(data.length))).toBe(digest(data));
  });

  it('above the high-water mark write gives false; drain comes once for each crossing (81)', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connected(reactor, told.handler, {
      paused: true,
      highWaterMark: 4096,
      lowWaterMark: 1024,
    });
    const heard = new Log<number>();
    connection.on('drain', () => heard.add(connection.bufferedBytes));
    const big = Buffer.alloc(8 * MIB, 'x');
    expect(connection.write(big)).toBe(false);
    expect(connection.write('more')).toBe(false);
    expect(connection.write('and more')).toBe(false);
    await rounds(5);
    expect(heard.entries).toEqual([]);
    peer.read();
    await heard.reaches(1);
    expect(heard.entries[0]).toBeLessThanOrEqual(1024);
    await peer.receives(big.length + 12);
    expect(connection.write('below')).toBe(true);
    await peer.receives(big.length + 17);
    expect(heard.entries).toHaveLength(1);
    peer.socket.pause();
    expect(connection.write(big)).toBe(false);
    peer.socket.resume();
    await heard.reaches(2);
    await peer.receives(2 * big.length + 17);
    await rounds(5);
    expect(heard.entries).toHaveLength(2);
    expect(told.calls.entries.filter((call) => call === 'drain')).toHaveLength(2);
  });

  it('exactly the high-water mark is not above it (81)', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connected(reactor, told.handler, { highWaterMark: 10, lowWaterMark: 0 });
    expect(connection.write('0123456789')).toBe(true);
    await peer.receives(10);
    expect(connection.write('01234567890')).toBe(false);
    await told.calls.reaches(2);
    expect(told.calls.entries).toEqual(['open', 'drain']);
    expect(connection.bufferedBytes).toBe(0);
  });

  it('drain comes too where flush has emptied the queue (81)', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection } = await connected(reactor, told.handler, { highWaterMark: 1, lowWaterMark: 0 });
    expect(connection.write('ab')).toBe(false);
    connection.flush();
    await told.calls.reaches(2);
    await rounds(3);
    expect(told.calls.entries).toEqual(['open', 'drain']);
  });

  it('a stream that writes on at each drain lets the other connections and timers live', async () => {
    const reactor = stage.reactor();
    const chunk = Buffer.alloc(1024, 'x');
    const ticks = new Log<number>();
    let drains = 0;
    const { connection, peer } = await connected(
      reactor,
      {
        drain(current) {
          drains += 1;
          while (ticks.entries.length < 5 && current.write(chunk));
        },
      },
      { highWaterMark: 4096, lowWaterMark: 0 },
    );
    const timer = reactor.setTimer(1, () => ticks.add(drains), { repeatMs: 1 });
    while (connection.write(chunk));
    await ticks.reaches(5);
    timer.cancel();
    expect(drains).toBeGreaterThan(1);
    expect(peer.socket.destroyed).toBe(false);
  });

  it('flushed resolves when all that was written before it is in the kernel, not before', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor, {}, { paused: true });
    await connection.flushed();
    const order = new Log<string>();
    connection.write(Buffer.alloc(4 * MIB));
    void connection.flushed().then(() => order.add('first'));
    connection.write(Buffer.alloc(4 * MIB));
    void connection.flushed().then(() => order.add('second'));
    await delay(20);
    expect(order.entries).toEqual([]);
    peer.read();
    await order.reaches(2);
    expect(order.entries).toEqual(['first', 'second']);
    expect(connection.bufferedBytes).toBe(0);
  });

  it('flushed rejects once when the connection ends before', async () => {
    const reactor = stage.reactor();
    const { connection } = await connected(reactor, {}, { paused: true });
    connection.write(Buffer.alloc(8 * MIB));
    const both = [rejection(connection.flushed()), rejection(connection.flushed())];
    const reason = new Error('enough');
    connection.destroy(reason);
    expect(await Promise.all(both)).toEqual([reason, reason]);
    expect(connection.bufferedBytes).toBe(0);
  });

  it('flushed rejects with the code of a closed connection where there was no error', async () => {
    const reactor = stage.reactor();
    const { connection } = await connected(reactor, {}, { paused: true });
    connection.write(Buffer.alloc(8 * MIB));
    const rejected = rejection(connection.flushed());
    connection.destroy();
    expect(await rejected).toMatchObject({ code: 'ERR_REACTOR_CLOSED' });
  });

  it('beyond maxBufferedBytes the connection is destroyed with ERR_REACTOR_SLOW_CONSUMER', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connected(reactor, told.handler, { paused: true, maxBufferedBytes: 8 * MIB });
    const block = Buffer.alloc(MIB);
    let writes = 0;
    let flushed: Promise<unknown> | undefined;
    while (!connection.closed) {
      connection.write(block);
      writes += 1;
      expect(writes).toBeLessThan(64);
      if (connection.bufferedBytes > 0) flushed ??= rejection(connection.flushed());
      await null;
    }
    expect(writes).toBeGreaterThan(8);
    await told.calls.reaches(3);
    expect(told.calls.entries).toEqual(['open', 'error ERR_REACTOR_SLOW_CONSUMER', 'close error']);
    expect(await flushed).toMatchObject({ code: 'ERR_REACTOR_SLOW_CONSUMER' });
    expect(connection.write('more')).toBe(false);
    peer.read();
    await peer.ended;
  });

  it('write after end gives false and one error, and the end goes its way', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connected(reactor, told.handler, { allowHalfOpen: true });
    connection.end('last');
    expect(connection.write('too late')).toBe(false);
    await peer.ended;
    expect(peer.received.toString()).toBe('last');
    expect(connection.closed).toBe(false);
    peer.end();
    await told.calls.reaches(4);
    expect(told.calls.entries).toEqual(['open', 'error ERR_REACTOR_WRITE_AFTER_END', 'end', 'close peer']);
  });

  it('write on a closed connection gives false and no error', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection } = await connected(reactor, told.handler);
    connection.destroy();
    expect(connection.write('x')).toBe(false);
    connection.end('x');
    connection.flush();
    await closing(connection);
    expect(connection.write('x')).toBe(false);
    expect(told.calls.entries).toEqual(['open', 'close local']);
    await expect(connection.flushed()).resolves.toBeUndefined();
  });

  it('writing to a peer that was reset ends with one error and one close', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connected(reactor, told.handler);
    peer.reset();
    while (!connection.closed) {
      connection.write('x');
      await rounds(1);
    }
    await rounds(5);
    expect(told.calls.entries).toHaveLength(3);
    expect(told.calls.entries[1]).toMatch(/^error (ECONNRESET|EPIPE)$/);
    expect(told.calls.entries[2]).toBe('close error');
  });

  it('a send that fails does not destroy what the peer had sent before: it is read first', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connectedToPython(reactor, told.handler);
    connection.pause();
    await peer.send('the tail');
    await peer.do('reset');
    await delay(20);
    connection.resume();
    connection.write('into the void');
    connection.flush();
    await closing(connection);
    const calls = told.calls.entries.filter((call) => call !== 'hangup');
    expect(calls).toHaveLength(4);
    expect(calls[1]).toBe('data the tail');
    expect(calls[2]).toMatch(/^error (ECONNRESET|EPIPE)$/);
    expect(calls[3]).toBe('close error');
  });

  it('a borrowed chunk that is written back arrives unchanged, also where it cannot leave at once', async () => {
    const reactor = stage.reactor();
    const { peer } = await connected(
      reactor,
      { data: (connection, chunk) => void connection.write(chunk) },
      { borrowChunks: true, paused: true, maxBufferedBytes: 64 * MIB },
    );
    const data = pattern(8 * MIB);
    peer.write(data);
    await delay(50);
    peer.read();
    expect(digest(await peer.receives(data.length))).toBe(digest(data));
  });

  it('flushed rejects also afterwards, where what was written was dropped, and resolves where it left', async () => {
    const reactor = stage.reactor();
    const { connection: dropped } = await connected(reactor);
    dropped.write('dropped');
    dropped.destroy();
    expect((await rejection(dropped.flushed())).code).toBe('ERR_REACTOR_CLOSED');
    const { connection: failed } = await connected(reactor, { error() {} });
    failed.write('dropped');
    failed.destroy(new Error('the reason'));
    expect((await rejection(failed.flushed())).message).toBe('the reason');
    const { connection: sent } = await connected(reactor);
    sent.write('sent');
    sent.flush();
    sent.destroy();
    await sent.flushed();
  });
});
