/** detach(): an upgrade or a hand-off in the middle of a stream loses no byte, and doubles none. */
import { type Connection, type Socket, WOULD_BLOCK } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { closing, connected, recorder, serving } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { digest, pattern } from '../support/sockets.js';
import { delay, Log, once, rounds, thrown, until } from '../support/waiting.js';

function detached(connection: Connection): { socket: Socket; unread: Buffer } {
  const given = connection.detach();
  afterTest(() => given.socket.close());
  return given;
}

/** Writes until the kernel takes no more of it, and its queue is above the high-water mark. */
async function blockedBy(connection: Connection): Promise<void> {
  while (connection.write(Buffer.alloc(128 * 1024)));
  await rounds(2);
}

/** Receives all that is there, now. */
function drainNow(socket: Socket): void {
  const block = Buffer.allocUnsafe(1024 * 1024);
  while (socket.recv(block) !== WOULD_BLOCK);
}

describeBackends('connection detach', (stage) => {
  it('a handler is swapped mid-stream again and again, and no byte is lost or doubled (106, D17)', async () => {
    const reactor = stage.reactor();
    const data = pattern(2 * 1024 * 1024);
    const parts: Buffer[] = [];
    const swaps = new Log<number>();
    const done = new Log<string>();
    const take = (connection: Connection, chunk: Buffer) => {
      parts.push(chunk);
      if (swaps.entries.length >= 20) return;
      swaps.add(swaps.entries.length);
      const { socket, unread } = connection.detach();
      parts.push(unread);
      reactor.connection(socket, { data: take, end: () => done.add('end') });
    };
    const { peer } = await connected(reactor, { data: take });
    peer.end(data);
    await done.reaches(1);
    expect(swaps.entries.length).toBe(20);
    expect(digest(Buffer.concat(parts))).toBe(digest(data));
  });

  it('what was received ahead for another connection of the batch is its unread', async () => {
    const reactor = stage.reactor();
    const connections: Connection[] = [];
    const taken = new Map<Connection, Buffer[]>();
    const rest = new Log<string>();
    const { address, connections: opened } = await serving(reactor, {
      open(connection) {
        connections.push(connection);
        taken.set(connection, []);
      },
      data(connection, chunk) {
        taken.get(connection)?.push(chunk);
        // The first that is told takes all others over.
        for (const other of connections) {
          if (other === connection || other.closed) continue;
          const { socket, unread } = other.detach();
          taken.get(other)?.push(unread);
          const next = reactor.connection(socket, { data: (_, more) => void taken.get(other)?.push(more) });
          next.on('end', () => rest.add('end'));
        }
      },
      end: () => rest.add('end'),
    });
    const peers: NetPeer[] = [];
    for (let i = 0; i < 20; i += 1) peers.push(await NetPeer.connect(address));
    await opened.reaches(20);
    for (const [i, peer] of peers.entries()) peer.write(`first of ${i};`);
    await rounds(3);
    for (const peer of peers) peer.end('second');
    await rest.reaches(20);
    const got = connections.map((connection) => Buffer.concat(taken.get(connection) ?? []).toString()).sort();
    expect(got).toEqual(peers.map((_, i) => `first of ${i};second`).sort());
  });

  it('the connection is over without an error, the socket is open and unregistered, and close is told once', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connected(reactor, told.handler);
    connection.setIdleTimeout(60);
    const { socket, unread } = detached(connection);
    expect(unread).toHaveLength(0);
    expect(connection.closed).toBe(true);
    expect(socket.closed).toBe(false);
    expect(reactor.registrationOf(socket)).toBeUndefined();
    await told.calls.reaches(2);
    connection.destroy();
    connection.resume();
    expect(connection.write('x')).toBe(false);
    await connection.close();
    await delay(150);
    expect(told.calls.entries).toEqual(['open', 'close local']);
    expect(socket.send(Buffer.from('raw'))).toBe(3);
    expect((await peer.receives(3)).toString()).toBe('raw');
  });

  it('the socket goes on by hand: unread first, then what recv gives, and the end', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor, { data: (held) => held.pause() });
    peer.write('first;');
    await until(() => !connection.flowing);
    peer.end('second;third');
    await rounds(10);
    const { socket, unread } = detached(connection);
    let got = unread.toString();
    const into = Buffer.alloc(64);
    for (;;) {
      await reactor.select([socket], [], []);
      const count = socket.recv(into);
      if (count === WOULD_BLOCK) continue;
      if (count === 0) break;
      got += into.toString('latin1', 0, count);
    }
    expect(got).toBe('second;third');
  });

  it('what a loop has read ahead is unread', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor);
    const iterator = connection[Symbol.asyncIterator]();
    peer.write('taken');
    await iterator.next();
    peer.write('ahead');
    await until(() => !connection.flowing);
    const next = iterator.next;
    const { unread } = detached(connection);
    expect(unread.toString()).toBe('ahead');
    await once(connection, 'close');
    expect(await next.call(iterator)).toEqual({ done: true, value: undefined });
  });

  it('what was written before leaves first; what cannot leave refuses the detach, and nothing is changed', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor, {}, { paused: true, maxBufferedBytes: 64 * 1024 * 1024 });
    const data = pattern(16 * 1024 * 1024);
    connection.write(data);
    const error = thrown(() => connection.detach());
    expect(error.code).toBe('ERR_REACTOR_DETACH');
    expect(error.message).toMatch(/\d+ bytes that were written have not left/);
    expect(connection.closed).toBe(false);
    peer.read();
    // Flushed is not enough: there must be room for the last.
    await peer.receives(data.length);
    connection.write(' and the last');
    const { socket } = detached(connection);
    socket.shutdown('write');
    const all = await peer.receives(data.length + 13);
    expect(digest(all.subarray(0, data.length))).toBe(digest(data));
    expect(all.subarray(data.length).toString()).toBe(' and the last');
  });

  it('in open, and of a held connection, it works as anywhere', async () => {
    const reactor = stage.reactor();
    const sockets = new Log<Socket>();
    const { peer } = await connected(reactor, {
      open(connection) {
        connection.hold({ timeoutMs: 50 });
        sockets.add(detached(connection).socket);
      },
      data: () => {},
    });
    peer.write('x');
    await sockets.reaches(1);
    const [socket] = sockets.entries as [Socket];
    await reactor.select([socket], [], []);
    await delay(120);
    expect(socket.recv(Buffer.alloc(4))).toBe(1);
  });

  it('a listener counts a detached connection no more', async () => {
    const reactor = stage.reactor();
    const { listener, address, next } = await serving(reactor);
    await NetPeer.connect(address);
    const connection = await next();
    expect(listener.connections).toBe(1);
    detached(connection);
    await once(connection, 'close');
    expect(listener.connections).toBe(0);
  });

  it('refuses a connection that is closed, and one that a Duplex reads', async () => {
    const reactor = stage.reactor();
    const { connection } = await connected(reactor);
    const duplex = connection.toDuplex();
    expect(thrown(() => connection.detach()).code).toBe('ERR_REACTOR_DETACH');
    duplex.destroy();
    expect(thrown(() => connection.detach()).code).toBe('ERR_REACTOR_CLOSED');
    expect(thrown(() => connection.detach()).code).toBe('ERR_REACTOR_CLOSED');
  });

  it('twice is refused, and the socket is the first one’s', async () => {
    const { connection } = await connected(stage.reactor());
    const { socket } = detached(connection);
    expect(thrown(() => connection.detach()).code).toBe('ERR_REACTOR_CLOSED');
    expect(socket.closed).toBe(false);
    await closing(connection);
  });

  it('await using closes a connection in order', async () => {
    const { connection, peer } = await connected(stage.reactor());
    const disposed = connection[Symbol.asyncDispose]();
    await peer.ended;
    expect(connection.closed).toBe(false);
    peer.end();
    await disposed;
    expect(connection.closed).toBe(true);
  });

  stage.needs('socketPair')(
    'a drain that detaches loses nothing of what came in the same batch (106, D17)',
    async () => {
      const reactor = stage.reactor();
      const [near, far] = reactor.socketPair();
      afterTest(() => far.close());
      const parts: Buffer[] = [];
      const done = new Log<string>();
      const connection = reactor.connection(near, {
        data: (_, chunk) => void parts.push(chunk),
        drain(blocked) {
          const { socket, unread } = blocked.detach();
          parts.push(unread);
          reactor.connection(socket, { data: (_, chunk) => void parts.push(chunk), end: () => done.add('end') });
        },
      });
      await blockedBy(connection);
      // Before the next wait: room to send, and bytes.
      drainNow(far);
      far.send(Buffer.from('hello'));
      await until(() => connection.closed);
      far.shutdown('write');
      await done.reaches(1);
      expect(Buffer.concat(parts).toString()).toBe('hello');
    },
  );

  stage.real('receiving ahead of the handlers', 'socketPair')(
    'a drain that throws loses nothing of what came in the same batch',
    async () => {
      const errors: unknown[] = [];
      const reactor = stage.reactor({
        onHandlerError(error) {
          errors.push((error as Error).message);
          return 'pause';
        },
      });
      const [near, far] = reactor.socketPair();
      afterTest(() => far.close());
      const told = recorder({
        drain() {
          throw new Error('thrown by drain');
        },
      });
      const connection = reactor.connection(near, told.handler);
      afterTest(() => connection.destroy());
      await blockedBy(connection);
      drainNow(far);
      far.send(Buffer.from('hello'));
      await told.calls.reaches(3);
      expect(told.calls.entries).toEqual(['open', 'data hello', 'drain']);
      expect(errors).toEqual(['thrown by drain']);
    },
  );
});
