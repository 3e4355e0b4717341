/** What a connection reads: lazily, in chunks that are the receiver's own, and only while it flows. */
import type { Connection } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { connected, recorder } from '../support/connections.js';
import { NetServer } from '../support/net-peer.js';
import { digest, pattern } from '../support/sockets.js';
import { delay, Log, once, rounds, until } from '../support/waiting.js';

const MIB = 1024 * 1024;

/** Collects what a connection gives to a 'data' listener. */
function collect(connection: Connection): { chunks: Log<Buffer>; bytes(): Buffer } {
  const chunks = new Log<Buffer>();
  connection.on('data', (chunk) => chunks.add(chunk));
  return { chunks, bytes: () => Buffer.concat(chunks.entries) };
}

describeBackends('connection reading', (stage) => {
  it('nothing is read until somebody asks: the peer is held back, and then all arrives', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor);
    const data = pattern(16 * MIB);
    peer.end(data);
    await delay(100);
    expect(connection.flowing).toBe(false);
    expect(peer.socket.writableFinished).toBe(false);
    const turns = reactor.metrics.turns;
    await delay(50);
    expect(reactor.metrics.turns - turns).toBeLessThanOrEqual(1);
    const { bytes } = collect(connection);
    await once(connection, 'end');
    expect(digest(bytes())).toBe(digest(data));
  });

  it('a connection that was opened reads lazily too', async () => {
    const reactor = stage.reactor();
    const server = await NetServer.listen();
    const connection = await reactor.open(server.address);
    const peer = await server.next();
    peer.end('what came before anybody listened');
    await rounds(10);
    const { bytes } = collect(connection);
    await once(connection, 'close');
    expect(bytes().toString()).toBe('what came before anybody listened');
  });

  it('resume reads without a listener: what comes is thrown away', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor);
    peer.write('unheard');
    connection.resume();
    await until(() => reactor.metrics.bytesIn === 7);
    const { bytes } = collect(connection);
    peer.end('heard');
    await once(connection, 'close');
    expect(bytes().toString()).toBe('heard');
  });

  it('the handler and the listeners are both told, the handler first', async () => {
    const reactor = stage.reactor();
    const order = new Log<string>();
    const { connection, peer } = await connected(reactor, {
      data: () => order.add('handler data'),
      end: () => order.add('handler end'),
      close: () => order.add('handler close'),
    });
    connection.on('data', () => order.add('listener data'));
    connection.on('end', () => order.add('listener end'));
    connection.on('close', () => order.add('listener close'));
    peer.end('x');
    await order.reaches(6);
    expect(order.entries).toEqual([
      'handler data',
      'listener data',
      'handler end',
      'listener end',
      'handler close',
      'listener close',
    ]);
  });

  it('pause in a data handler stops the data, resume brings the rest in order (77, 80)', async () => {
    const reactor = stage.reactor();
    const data = pattern(2 * MIB);
    const chunks: Buffer[] = [];
    const paused = new Log<Connection>();
    const ended = new Log<string>();
    const { peer } = await connected(reactor, {
      data(connection, chunk) {
        chunks.push(chunk);
        if (chunks.length % 3 !== 1) return;
        connection.pause();
        paused.add(connection);
      },
      end: () => ended.add('end'),
    });
    peer.end(data);
    for (let i = 1; ended.entries.length === 0; i += 1) {
      await Promise.race([paused.reaches(i), ended.reaches(1)]);
      const seen = chunks.length;
      await rounds(4);
      if (ended.entries.length > 0) break;
      expect(chunks).toHaveLength(seen);
      paused.entries[i - 1]?.resume();
    }
    expect(paused.entries.length).toBeGreaterThan(2);
    expect(digest(Buffer.concat(chunks))).toBe(digest(data));
  });

  it('pause and resume are idempotent; a paused connection tells neither data nor end (77)', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connected(reactor, told.handler);
    connection.pause();
    connection.pause();
    expect(connection.flowing).toBe(false);
    peer.end('held back');
    await delay(30);
    expect(told.calls.entries.filter((call) => call !== 'hangup')).toEqual(['open']);
    connection.resume();
    connection.resume();
    await once(connection, 'close');
    expect(told.calls.entries.filter((call) => call !== 'hangup')).toEqual([
      'open',
      'data held back',
      'end',
      'close peer',
    ]);
  });

  it('a connection that is paused for ever does not keep others from being read', async () => {
    const reactor = stage.reactor();
    const first = await connected(reactor, recorder().handler);
    first.connection.pause();
    first.peer.write(pattern(MIB));
    const told = recorder();
    const second = await connected(reactor, told.handler);
    second.peer.write('mine');
    await told.calls.reaches(2);
    expect(told.calls.entries).toEqual(['open', 'data mine']);
  });

  it('kept chunks stay as they were, whatever is read later', async () => {
    const reactor = stage.reactor();
    const chunks = new Log<Buffer>();
    const { peer } = await connected(reactor, { data: (_connection, chunk) => chunks.add(chunk) });
    const texts = Array.from({ length: 300 }, (_, i) => `chunk ${i} ${'.'.repeat(i * 7)}`);
    for (const [i, text] of texts.entries()) {
      peer.write(text);
      await chunks.reaches(i + 1);
    }
    expect(chunks.entries.map(String)).toEqual(texts);
  });

  it('a kept small chunk retains at most 8 KiB of memory, a large one at most 64 KiB', async () => {
    const reactor = stage.reactor();
    const chunks: Buffer[] = [];
    const ended = new Log<string>();
    const { peer } = await connected(reactor, {
      data: (_connection, chunk) => void chunks.push(chunk),
      end: () => ended.add('end'),
    });
    for (let i = 0; i < 50; i += 1) {
      const before = chunks.length;
      peer.write(Buffer.alloc(1 + i * 80, i));
      while (chunks.length === before) await rounds(1);
    }
    peer.end(pattern(2 * MIB));
    await ended.reaches(1);
    const small = chunks.filter((chunk) => chunk.length < 4096);
    expect(small.length).toBeGreaterThanOrEqual(50);
    expect(Math.max(...small.map((chunk) => chunk.buffer.byteLength))).toBeLessThanOrEqual(8192);
    expect(Math.max(...chunks.map((chunk) => chunk.buffer.byteLength))).toBeLessThanOrEqual(65536);
  });

  it('chunks are Buffers of at least one byte', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor);
    const { chunks } = collect(connection);
    peer.end(pattern(300_000));
    await once(connection, 'close');
    expect(chunks.entries.length).toBeGreaterThan(1);
    expect(chunks.entries.every((chunk) => Buffer.isBuffer(chunk) && chunk.length > 0)).toBe(true);
  });

  it('a borrowed chunk holds its bytes until the handler returns', async () => {
    const reactor = stage.reactor();
    const data = pattern(MIB);
    const copies: Buffer[] = [];
    const ended = new Log<string>();
    const { peer } = await connected(
      reactor,
      { data: (_connection, chunk) => void copies.push(Buffer.from(chunk)), end: () => ended.add('end') },
      { borrowChunks: true },
    );
    peer.end(data);
    await ended.reaches(1);
    expect(digest(Buffer.concat(copies))).toBe(digest(data));
  });

  it('a first data listener that is added while paused on purpose starts the flow only then (80)', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor);
    const { chunks } = collect(connection);
    connection.pause();
    connection.on('data', () => {});
    peer.write('x');
    await delay(20);
    expect(chunks.entries).toEqual([]);
    connection.resume();
    await chunks.reaches(1);
  });

  it('once gives one chunk, and the flow goes on', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor);
    const first = once<Buffer>(connection, 'data');
    peer.write('one');
    expect((await first).toString()).toBe('one');
    expect(connection.flowing).toBe(true);
    const second = once<Buffer>(connection, 'data');
    peer.write('two');
    expect((await second).toString()).toBe('two');
  });

  it.each([
    ['its own', false],
    ['borrowed', true],
  ])('a chunk whose memory is transferred, %s, takes nothing of what comes later', async (_what, borrowChunks) => {
    const reactor = stage.reactor();
    const heard = new Log<string>();
    let taken: ArrayBuffer | undefined;
    const { peer } = await connected(
      reactor,
      {
        data(_connection, chunk) {
          heard.add(chunk.toString());
          if (taken !== undefined) return;
          try {
            taken = structuredClone(chunk.buffer as ArrayBuffer, { transfer: [chunk.buffer as ArrayBuffer] });
          } catch {
            taken = new ArrayBuffer(0);
          }
        },
      },
      { borrowChunks },
    );
    peer.write('first');
    await heard.reaches(1);
    peer.write('SECOND');
    await heard.reaches(2);
    expect(heard.entries).toEqual(['first', 'SECOND']);
    expect(Buffer.from(taken as ArrayBuffer).includes('SECOND')).toBe(false);
  });
});
