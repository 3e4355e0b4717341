/** Connection.over(): the same verbs with a Node stream in the place of the socket. */
import { type AddressInfo, createServer, type Socket as NodeSocket } from 'node:net';
import { Duplex, PassThrough } from 'node:stream';
import { Connection, type ConnectionHandler, type ConnectionOptions, type Reactor } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { closing, recorder } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { digest, pattern } from '../support/sockets.js';
import { delay, Log, once, rounds, thrown, until } from '../support/waiting.js';

const MIB = 1024 * 1024;

/** A connection over the accepted end of a node:net pair, and its peer. */
async function over(
  reactor: Reactor,
  handler: ConnectionHandler = {},
  options: ConnectionOptions & { paused?: boolean } = {},
): Promise<{ connection: Connection; peer: NetPeer; stream: NodeSocket }> {
  const { paused = false, ...rest } = options;
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const accepted = once<NodeSocket>(server, 'connection');
  const peer = await NetPeer.connect({ host: '127.0.0.1', port }, { paused, real: true });
  const stream = await accepted;
  server.close();
  afterTest(() => stream.destroy());
  const connection = Connection.over(stream, reactor, handler, rest);
  afterTest(() => connection.destroy());
  return { connection, peer, stream };
}

describeBackends('connection over a Duplex', (stage) => {
  it('data, end and close are told as of a socket', async () => {
    const told = recorder();
    const { connection, peer } = await over(stage.reactor(), told.handler);
    expect(connection.remoteAddress).toEqual({ host: '127.0.0.1', port: peer.socket.localPort });
    peer.end('from the peer');
    connection.write('from us');
    await peer.ended;
    expect(peer.received.toString()).toBe('from us');
    await told.calls.reaches(4);
    expect(told.calls.entries).toEqual(['open', 'data from the peer', 'end', 'close peer']);
  });

  it('echoes megabytes whole, with back-pressure from a peer that reads late', async () => {
    const bytes = pattern(16 * MIB);
    const drained = new Log<string>();
    const { connection, peer } = await over(
      stage.reactor(),
      {
        data(echo, chunk) {
          if (!echo.write(chunk)) echo.pause();
        },
        drain(echo) {
          drained.add('drain');
          echo.resume();
        },
      },
      { paused: true },
    );
    peer.end(bytes);
    await until(() => !connection.flowing && connection.bufferedBytes > 0);
    await delay(30);
    expect(connection.bufferedBytes).toBeLessThan(MIB);
    peer.read();
    await peer.ended;
    expect(digest(peer.received)).toBe(digest(bytes));
    expect(drained.entries.length).toBeGreaterThan(0);
  });

  it('nothing is read before somebody asks, and pause holds the peer back', async () => {
    const { connection, peer, stream } = await over(stage.reactor());
    const bytes = pattern(16 * MIB);
    peer.end(bytes);
    await delay(30);
    expect(stream.bytesRead).toBeLessThan(MIB);
    const chunks: Buffer[] = [];
    for await (const chunk of connection) chunks.push(chunk);
    expect(digest(Buffer.concat(chunks))).toBe(digest(bytes));
  });

  it('what a caller does with the bytes after send does not change what the stream sends', async () => {
    const { connection, peer } = await over(stage.reactor(), {}, { paused: true });
    const bytes = Buffer.alloc(512 * 1024, 'a');
    connection.write(bytes);
    const flushed = connection.flushed();
    peer.read();
    await flushed;
    bytes.fill('b');
    connection.end();
    await peer.ended;
    expect(peer.received.equals(Buffer.alloc(512 * 1024, 'a'))).toBe(true);
    peer.end();
  });

  it('an idle one costs no turn, and a silent one times out', async () => {
    const reactor = stage.reactor();
    const { connection } = await over(reactor, { data: () => {} });
    await rounds(5);
    const turns = reactor.metrics.turns;
    await delay(100);
    expect(reactor.metrics.turns - turns).toBeLessThanOrEqual(1);
    connection.setIdleTimeout(60);
    expect((await closing(connection)).error).toMatchObject({ code: 'ETIMEDOUT' });
  });

  it('close sends all, waits for the peer’s end, and resolves (83)', async () => {
    const { connection, peer, stream } = await over(stage.reactor());
    const bytes = pattern(2 * MIB);
    connection.write(bytes);
    const closed = connection.close();
    await peer.ended;
    expect(digest(peer.received)).toBe(digest(bytes));
    peer.end('unheard');
    await closed;
    await until(() => stream.destroyed);
  });

  it('a reset by the peer is one error and one close (74)', async () => {
    const told = recorder();
    const { peer } = await over(stage.reactor(), told.handler);
    peer.write('x');
    await told.calls.reaches(2);
    peer.reset();
    await told.calls.reaches(4);
    await rounds(5);
    expect(told.calls.entries).toEqual(['open', 'data x', 'error ECONNRESET', 'close error']);
  });

  it('an error of the stream is the connection’s, told once; one that is destroyed without a word is a reset', async () => {
    const reactor = stage.reactor();
    for (const [error, code] of [
      [new Error('broken'), 'broken'],
      [undefined, 'ECONNRESET'],
    ] as const) {
      const told = recorder();
      const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
      Connection.over(stream, reactor, told.handler);
      stream.destroy(error);
      await told.calls.reaches(3);
      await rounds(3);
      expect(told.calls.entries).toEqual(['open', `error ${code}`, 'close error']);
    }
  });

  it('a write that the stream refuses ends it with the stream’s error, once', async () => {
    const told = recorder();
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done(new Error('no room')) });
    const connection = Connection.over(stream, stage.reactor(), told.handler);
    connection.write('x');
    await told.calls.reaches(3);
    expect(told.calls.entries).toEqual(['open', 'error no room', 'close error']);
  });

  it('destroy closes the stream behind what it has taken, reset at once', async () => {
    const reactor = stage.reactor();
    const first = await over(reactor);
    first.connection.write('taken');
    first.connection.flush();
    first.connection.destroy();
    await first.peer.ended;
    expect(first.peer.received.toString()).toBe('taken');
    first.peer.end();
    const second = await over(reactor);
    second.connection.reset();
    expect(await second.peer.closed).toBe('ECONNRESET');
  });

  it('it stands over any Duplex, and a Duplex over it, and so on', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await over(reactor);
    let inner: Connection = connection;
    for (let i = 0; i < 4; i += 1) inner = Connection.over(inner.toDuplex(), reactor);
    inner.on('data', (chunk) => inner.write(chunk));
    const bytes = pattern(MIB);
    peer.end(bytes);
    await peer.ended;
    expect(digest(peer.received)).toBe(digest(bytes));
    await until(() => connection.closed && inner.closed);
  });

  it('thousands of small writes in a turn go in their order', async () => {
    const { connection, peer } = await over(stage.reactor());
    let expected = '';
    for (let i = 0; i < 5000; i += 1) {
      connection.write(`${i},`);
      expected += `${i},`;
    }
    connection.end();
    await peer.ended;
    expect(peer.received.toString()).toBe(expected);
    peer.end();
  });

  it('a stream with an encoding gives its bytes', async () => {
    const told = recorder();
    const stream = new PassThrough({ encoding: 'utf8' });
    Connection.over(stream, stage.reactor(), told.handler);
    stream.push('grüße');
    stream.push(null);
    await told.calls.reaches(3);
    expect(told.calls.entries[1]).toBe(`data ${Buffer.from('grüße').toString('latin1')}`);
  });

  it('detach gives the socket over the stream, which another connection goes on with', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await over(reactor, { data: (held) => held.pause() });
    peer.write('one');
    await until(() => !connection.flowing);
    const { socket, unread } = connection.detach();
    expect(unread).toHaveLength(0);
    const told = recorder();
    reactor.connection(socket, told.handler);
    peer.end('two');
    await until(() => told.calls.entries.includes('close peer'));
    expect(told.calls.entries.filter((call) => call !== 'hangup')).toEqual(['open', 'data two', 'end', 'close peer']);
  });

  it('select waits for its socket as for any other', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await over(reactor);
    const waiting = reactor.select([connection.socket], [], [], 5000);
    peer.write('x');
    expect((await waiting)[0]).toEqual([connection.socket]);
  });

  it('what is no open byte Duplex is refused, and a closed reactor too', async () => {
    const reactor = stage.reactor();
    for (const wrong of [undefined, null, 5, {}, 'text'])
      expect(thrown(() => Connection.over(wrong as never, reactor)).code).toBe('ERR_REACTOR_ARGUMENT');
    const objects = new PassThrough({ objectMode: true });
    expect(thrown(() => Connection.over(objects, reactor)).message).toMatch(/object mode/);
    const destroyed = new PassThrough();
    destroyed.destroy();
    expect(thrown(() => Connection.over(destroyed, reactor)).code).toBe('ERR_REACTOR_CLOSED');
    const other = stage.reactor();
    other.close();
    expect(thrown(() => Connection.over(new PassThrough(), other)).code).toBe('ERR_REACTOR_CLOSED');
    expect(thrown(() => Connection.over(new PassThrough(), reactor, {}, { idleMs: -1 })).code).toBe(
      'ERR_REACTOR_ARGUMENT',
    );
  });

  it('the reactor counts it among its own: stop and close destroy it', async () => {
    const reactor = stage.reactor();
    const { connection, stream } = await over(reactor);
    expect(reactor.inspect()).toContain('connection -1');
    const closed = closing(connection);
    reactor.close();
    await closed;
    await until(() => stream.destroyed);
  });
});
