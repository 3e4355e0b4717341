/** Descriptors and sockets that change hands: adopt, detach, inherited listeners, connections over sockets of one's own; unix streams. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Connection, READABLE, type Socket } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { closing, recorder } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { pipe } from '../support/socket-states.js';
import { accepted, listening, owned, pair, received, withPeer } from '../support/sockets.js';
import { once, rejection, rounds, thrown } from '../support/waiting.js';

/** A path in a folder of its own, gone after the test. */
function freePath(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'fdset-'));
  afterTest(() => rmSync(folder, { recursive: true }));
  return path.join(folder, 'socket');
}

describeBackends('hand-over', (stage) => {
  stage.needs('rawDescriptors', 'adopt')('detach gives the descriptor away, adopt takes it up again (99)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    const registration = reactor.register(socket, READABLE, () => {});
    const { localAddress, remoteAddress } = socket;
    const fd = socket.detach();
    expect([socket.closed, socket.fileno(), registration.active]).toEqual([true, -1, false]);
    const other = stage.reactor();
    const adopted = owned(other.adopt(fd));
    expect(adopted).toMatchObject({ type: 'stream', family: 'ipv4', closed: false });
    expect([adopted.fileno(), adopted.localAddress, adopted.remoteAddress]).toEqual([fd, localAddress, remoteAddress]);
    peer.end('across');
    expect((await received(other, adopted)).toString()).toBe('across');
    socket.close();
    expect(adopted.closed).toBe(false);
  });

  stage.needs('adopt')('adopt refuses what is no open descriptor', () => {
    const reactor = stage.reactor();
    for (const wrong of [-1, 1.5, Number.NaN, '3', undefined])
      expect(thrown(() => reactor.adopt(wrong as number))).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
    const fd = openSync('/dev/null', 'r');
    closeSync(fd);
    expect(thrown(() => reactor.adopt(fd))).toMatchObject({ name: 'SocketError', code: 'EBADF' });
  });

  stage.needs('adopt')('an inherited listening descriptor is listened on; another one is refused (57)', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    const fd = listener.detach();
    const inherited = await reactor.serve({ fd }, (connection) => connection.end('inherited'));
    const peer = await NetPeer.connect(address);
    await peer.ended;
    expect(peer.received.toString()).toBe('inherited');
    peer.end();
    await inherited.close();
    const [connected] = await pair(reactor);
    const number = connected.detach();
    expect(await rejection(reactor.listen({ fd: number }))).toMatchObject({ code: 'ERR_REACTOR_SOCKET' });
    closeSync(number);
  });

  it('a connection can be made of a socket that was accepted or connected by hand', async () => {
    const reactor = stage.reactor();
    const [client, server] = await pair(reactor);
    const echo = reactor.connection(server, { data: (connection, chunk) => void connection.write(chunk) });
    const connection = reactor.connection(client);
    const answer = once<Buffer>(connection, 'data');
    connection.write('by hand');
    expect((await answer).toString()).toBe('by hand');
    expect(connection.socket).toBe(client);
    const ends = Promise.all([closing(connection), closing(echo)]);
    connection.end();
    await ends;
    expect([client.closed, server.closed]).toEqual([true, true]);
  });

  it('a connection refuses a socket that is closed, listens, or is registered', async () => {
    const reactor = stage.reactor();
    const { listener } = await listening(reactor);
    const [socket, closed] = await pair(reactor);
    closed.close();
    expect(thrown(() => reactor.connection(closed))).toMatchObject({ code: 'EBADF' });
    expect(thrown(() => reactor.connection(listener))).toMatchObject({ code: 'ERR_REACTOR_SOCKET' });
    expect(thrown(() => reactor.connection({} as Socket))).toMatchObject({ code: 'ERR_REACTOR_SOCKET' });
    const registration = reactor.register(socket, READABLE, () => {});
    expect(thrown(() => reactor.connection(socket))).toMatchObject({ code: 'ERR_REACTOR_REGISTERED' });
    registration.unregister();
    reactor.connection(socket).destroy();
  });

  stage.needs('socketPair')('connections over a socket pair talk with each other', async () => {
    const reactor = stage.reactor();
    const [left, right] = reactor.socketPair().map(owned) as [Socket, Socket];
    const told = recorder();
    const near = reactor.connection(left);
    reactor.connection(right, told.handler);
    near.end('through the pair');
    near.resume();
    await told.calls.reaches(4);
    expect(told.calls.entries).toEqual(['open', 'data through the pair', 'end', 'close peer']);
  });

  stage.needs('adopt')('a connection over a pipe reads to its end (96)', async () => {
    const reactor = stage.reactor();
    const [read, write] = pipe(reactor);
    const told = recorder();
    reactor.connection(read, told.handler);
    write.send(Buffer.from('from the pipe'));
    await told.calls.reaches(2);
    write.close();
    await told.calls.reaches(4);
    expect(told.calls.entries.slice(0, 3)).toEqual(['open', 'data from the pipe', 'end']);
    expect(told.calls.entries.at(-1)).toMatch(/^close/);
    await rounds(3);
    expect(read.closed).toBe(true);
  });

  it('unix streams: a path is listened on, connected to, and carries bytes', async () => {
    const reactor = stage.reactor();
    const at = { path: freePath() };
    const connections: Connection[] = [];
    const listener = await reactor.serve(at, {
      open: (connection) => void connections.push(connection),
      data: (connection, chunk) => void connection.write(chunk),
    });
    expect(listener.socket.family).toBe('unix');
    const connection = await reactor.open(at);
    const echo = once<Buffer>(connection, 'data');
    connection.write('by path');
    expect((await echo).toString()).toBe('by path');
    const peer = await NetPeer.connect(at);
    peer.write('node too');
    expect((await peer.receives(8)).toString()).toBe('node too');
    peer.end();
    connection.end();
    await closing(connection);
    await listener.close();
    for (const each of connections) each.destroy();
  });

  it('unix streams: a path that is missing is ENOENT, one that is taken EADDRINUSE (63)', async () => {
    const reactor = stage.reactor();
    const at = { path: freePath() };
    expect(await rejection(reactor.connect(at))).toMatchObject({
      code: 'ENOENT',
      syscall: 'connect',
      address: at.path,
    });
    const listener = owned(await reactor.listen(at));
    expect(await rejection(reactor.listen(at))).toMatchObject({ code: 'EADDRINUSE', address: at.path });
    const socket = owned(await reactor.connect(at));
    expect((await accepted(reactor, listener)).family).toBe('unix');
    expect(socket.family).toBe('unix');
  });

  stage.real('list of names in /proc', 'abstractUnix')(
    'unix streams: the abstract namespace leaves no file',
    async () => {
      const reactor = stage.reactor();
      const at = { path: `\0fdset-conformance-${process.pid}` };
      const listener = owned(await reactor.listen(at));
      const socket = owned(await reactor.connect(at));
      const server = await accepted(reactor, listener);
      socket.send(Buffer.from('hidden'));
      expect((await received(reactor, server, 6)).toString()).toBe('hidden');
      expect(execFileSync('cat', ['/proc/net/unix'], { encoding: 'utf8' })).toContain(
        `@fdset-conformance-${process.pid}`,
      );
    },
  );
});
