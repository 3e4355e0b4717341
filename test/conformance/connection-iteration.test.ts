/** `for await (const chunk of connection)`: one chunk ahead, and nothing lost however the loop ends. */
import type { Connection } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { connected } from '../support/connections.js';
import { digest, pattern } from '../support/sockets.js';
import { delay, once, rejection, rounds, until } from '../support/waiting.js';

const MIB = 1024 * 1024;

async function all(connection: Connection): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of connection) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describeBackends('connection iteration', (stage) => {
  it('gives all chunks in order, and ends with the peer’s end', async () => {
    const { connection, peer } = await connected(stage.reactor());
    const data = pattern(4 * MIB);
    peer.end(data);
    expect(digest(await all(connection))).toBe(digest(data));
    await until(() => connection.closed);
  });

  it('nothing is read before the first next, and then one chunk ahead: the peer is held back', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor);
    const data = pattern(16 * MIB);
    peer.end(data);
    const iterator = connection[Symbol.asyncIterator]();
    await rounds(20);
    expect(connection.flowing).toBe(false);
    const chunks: Buffer[] = [];
    for (;;) {
      const { done, value } = await iterator.next();
      if (done) break;
      chunks.push(value);
      if (chunks.length > 3) continue;
      // The chunk ahead has come, and stops the reading.
      await until(() => !connection.flowing);
      await delay(30);
      expect(connection.flowing).toBe(false);
      expect(peer.socket.writableFinished).toBe(false);
    }
    expect(digest(Buffer.concat(chunks))).toBe(digest(data));
  });

  it('what the loop still writes before it asks again goes before our end: the end waits for the loop', async () => {
    const { connection, peer } = await connected(stage.reactor());
    peer.end('question');
    for await (const chunk of connection) {
      await delay(50);
      expect(connection.closed).toBe(false);
      expect(connection.write(`answer to ${chunk}`)).toBe(true);
    }
    await peer.ended;
    expect(peer.received.toString()).toBe('answer to question');
  });

  it('break pauses and keeps the connection, with what was read ahead', async () => {
    const { connection, peer } = await connected(stage.reactor());
    const data = pattern(2 * MIB);
    peer.end(data);
    const chunks: Buffer[] = [];
    for (let round = 0; round < 5; round += 1) {
      for await (const chunk of connection) {
        chunks.push(chunk);
        await rounds(3);
        break;
      }
      expect(connection.flowing).toBe(false);
      expect(connection.closed).toBe(false);
    }
    // The last part goes to a listener: the reader may change as well.
    connection.on('data', (chunk) => chunks.push(chunk));
    connection.resume();
    await once(connection, 'close');
    expect(digest(Buffer.concat(chunks))).toBe(digest(data));
  });

  it('an error thrown in the loop leaves as break does', async () => {
    const { connection, peer } = await connected(stage.reactor());
    peer.write('x');
    const error = await rejection(
      (async () => {
        for await (const _ of connection) throw new Error('mine');
      })(),
    );
    expect(error.message).toBe('mine');
    expect(connection.closed).toBe(false);
    expect(connection.flowing).toBe(false);
  });

  it('a reset rejects once, behind the data that came before it (74)', async () => {
    const { connection, peer } = await connected(stage.reactor());
    const iterator = connection[Symbol.asyncIterator]();
    peer.write('before');
    const first = await iterator.next();
    expect(first.value?.toString()).toBe('before');
    peer.reset();
    await delay(30);
    expect(connection.closed, 'the error waits for its turn').toBe(false);
    expect((await rejection(iterator.next())).code).toBe('ECONNRESET');
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    expect(connection.closed).toBe(true);
  });

  it('destroy ends a waiting loop, destroy with an error rejects it', async () => {
    const reactor = stage.reactor();
    for (const error of [undefined, new Error('ours')]) {
      const { connection } = await connected(reactor);
      const next = connection[Symbol.asyncIterator]().next();
      await rounds(2);
      connection.destroy(error);
      if (error === undefined) expect(await next).toEqual({ done: true, value: undefined });
      else expect(await rejection(next)).toBe(error);
    }
  });

  it('on a connection that is over it ends at once, or rejects with what it ended by', async () => {
    const { connection } = await connected(stage.reactor());
    const error = new Error('over');
    connection.destroy(error);
    await once(connection, 'close');
    const iterator = connection[Symbol.asyncIterator]();
    expect(await rejection(iterator.next())).toBe(error);
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  it('after the end of a half-open connection it ends at once', async () => {
    const { connection, peer } = await connected(stage.reactor(), {}, { allowHalfOpen: true });
    peer.end('all');
    expect((await all(connection)).toString()).toBe('all');
    expect((await all(connection)).toString()).toBe('');
    expect(connection.closed).toBe(false);
    connection.end('bye');
    await peer.receives(3);
    await peer.ended;
  });

  it('several next at once are answered in their order, and loops at the same time share the chunks', async () => {
    const { connection, peer } = await connected(stage.reactor());
    const iterator = connection[Symbol.asyncIterator]();
    expect(connection[Symbol.asyncIterator]()).toBe(iterator);
    const waiting = [iterator.next(), iterator.next(), iterator.next()];
    peer.write('a');
    await waiting[0];
    peer.end('b');
    const results = await Promise.all(waiting);
    expect(results.map(({ value }) => value?.toString())).toEqual(['a', 'b', undefined]);
  });

  it('a borrowed chunk is copied for the loop', async () => {
    const { connection, peer } = await connected(stage.reactor(), {}, { borrowChunks: true });
    const data = pattern(MIB);
    peer.end(data);
    expect(digest(await all(connection))).toBe(digest(data));
  });

  it('handler and listeners are told as well, when the loop takes the chunk', async () => {
    const order: string[] = [];
    const { connection, peer } = await connected(stage.reactor(), { data: () => void order.push('handler') });
    connection.on('data', () => order.push('listener'));
    const iterator = connection[Symbol.asyncIterator]();
    peer.write('x');
    await delay(30);
    expect(order).toEqual([]);
    await iterator.next();
    expect(order).toEqual(['handler', 'listener']);
  });

  it('close in the loop throws the rest away and ends the loop', async () => {
    const { connection, peer } = await connected(stage.reactor());
    peer.end(pattern(MIB));
    let count = 0;
    for await (const _ of connection) {
      count += 1;
      void connection.close();
    }
    expect(count).toBe(1);
    await until(() => connection.closed);
  });

  it('close while an end or a reset waits for the loop does not wait for lingerMs (83)', async () => {
    const reactor = stage.reactor();
    for (const way of ['end', 'reset'] as const) {
      const { connection, peer } = await connected(reactor);
      const iterator = connection[Symbol.asyncIterator]();
      peer.write('x');
      await iterator.next();
      peer[way]();
      await until(() => !connection.flowing);
      const began = performance.now();
      await connection.close({ lingerMs: 60_000 });
      expect(performance.now() - began).toBeLessThan(5000);
    }
  });
});
