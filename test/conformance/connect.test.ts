/** Connecting, raw and by the reactor: items 58-65. */

import { connect as connectNet } from 'node:net';
import type { InetAddress } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { closing } from '../support/connections.js';
import { NetPeer, NetServer } from '../support/net-peer.js';
import { PythonPeer } from '../support/python-peer.js';
import { owned, received, withPeer } from '../support/sockets.js';
import { Log, once, rejection, rounds, thrown } from '../support/waiting.js';

/** A port on which nobody listens: it was the system's choice a moment ago. */
async function unusedPort(): Promise<number> {
  const { peer, address } = await PythonPeer.listen();
  await peer.do('close');
  return address.port;
}

/** An address whose queue is full: a connect to it is neither accepted nor refused. */
async function fullBacklog(): Promise<InetAddress> {
  const { address } = await PythonPeer.listen({ backlog: 0 });
  await NetPeer.connect(address);
  // Another one in the queue of half-open connections, as the system's defaults allow.
  const filler = connectNet(address);
  filler.on('error', () => {});
  const gone = once(filler, 'close');
  afterTest(async () => {
    filler.destroy();
    await gone;
  });
  return address;
}

describeBackends('connect', (stage) => {
  it('a raw connect is decided as writable, and finishConnect tells (58)', async () => {
    const reactor = stage.reactor();
    const server = await NetServer.listen();
    const socket = owned(reactor.socket());
    const began = socket.connect(server.address);
    if (began === 'connecting') {
      expect(await reactor.select([], [socket], [])).toEqual([[], [socket], []]);
      expect(socket.finishConnect()).toBe(true);
    }
    expect(socket.finishConnect()).toBe(true);
    expect(socket.remoteAddress).toEqual(server.address);
    const peer = await server.next();
    expect(socket.localAddress).toEqual({ host: '127.0.0.1', port: peer.socket.remotePort });
    peer.end('welcome');
    expect((await received(reactor, socket)).toString()).toBe('welcome');
  });

  it('a refused raw connect is in all sets, throws once, and is unregistered then (58, 59)', async () => {
    const reactor = stage.reactor();
    const port = await unusedPort();
    const socket = owned(reactor.socket());
    expect(socket.connect({ host: '127.0.0.1', port })).toBe('connecting');
    const told = new Log<string>();
    const registration = reactor.register(socket, 2 | 4, {
      writable(ready) {
        const error = thrown(() => ready.finishConnect());
        told.add(`writable ${error.code} ${error.syscall} ${(error as { port?: number }).port === port}`);
      },
      error: () => told.add('error'),
    });
    await told.reaches(1);
    await rounds(5);
    expect(told.entries).toEqual(['writable ECONNREFUSED connect true']);
    expect(registration.active).toBe(false);
    expect(socket.closed).toBe(false);
    expect(socket.takeError()).toBeNull();
  });

  it('a refused raw connect gives its error once by takeError too (59)', async () => {
    const reactor = stage.reactor();
    const socket = owned(reactor.socket());
    socket.connect({ host: '127.0.0.1', port: await unusedPort() });
    const [, writable, errored] = await reactor.select([], [socket], [socket]);
    expect([writable, errored]).toEqual([[socket], [socket]]);
    expect(socket.takeError()).toMatchObject({ code: 'ECONNREFUSED' });
    expect(socket.takeError()).toBeNull();
  });

  it('reactor.connect rejects once with ECONNREFUSED and the address (58)', async () => {
    const reactor = stage.reactor();
    const port = await unusedPort();
    const error = await rejection(reactor.connect({ host: '127.0.0.1', port }));
    expect(error).toMatchObject({
      name: 'SocketError',
      code: 'ECONNREFUSED',
      syscall: 'connect',
      address: '127.0.0.1',
      port,
    });
    expect(await rejection(reactor.open({ host: '127.0.0.1', port }))).toMatchObject({ code: 'ECONNREFUSED' });
    expect(reactor.metrics.registrations).toBe(0);
  });

  it('a connect that is never answered ends after timeoutMs with ETIMEDOUT (60)', async () => {
    const reactor = stage.reactor();
    const address = await fullBacklog();
    const began = performance.now();
    const error = await rejection(reactor.connect(address, { timeoutMs: 120 }));
    expect(error).toMatchObject({ name: 'SocketError', code: 'ETIMEDOUT', syscall: 'connect', port: address.port });
    expect(performance.now() - began).toBeGreaterThanOrEqual(119);
  });

  it('an abort ends it with the signal’s reason, before and while it connects (60, 61)', async () => {
    const reactor = stage.reactor();
    const address = await fullBacklog();
    const reason = new Error('no more need');
    expect(await rejection(reactor.connect(address, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    const abort = new AbortController();
    const connecting = rejection(reactor.open(address, { signal: abort.signal }));
    await rounds(5);
    abort.abort();
    expect(await connecting).toMatchObject({ name: 'AbortError' });
  });

  it('close while connecting ends it: no readiness is told, nothing is left (61)', async () => {
    const reactor = stage.reactor();
    const address = await fullBacklog();
    const socket = reactor.socket();
    expect(socket.connect(address)).toBe('connecting');
    const told = new Log<number>();
    reactor.register(socket, 2, (_socket, readiness) => told.add(readiness));
    await rounds(3);
    expect(socket.finishConnect()).toBe(false);
    socket.close();
    await rounds(5);
    expect(told.entries).toEqual([]);
    expect(reactor.metrics.registrations).toBe(0);
  });

  it('close of the reactor leaves no connect behind (61)', async () => {
    const reactor = stage.reactor();
    const address = await fullBacklog();
    const connecting = rejection(reactor.connect(address));
    await rounds(5);
    reactor.close();
    expect(await connecting).toMatchObject({ code: 'ERR_REACTOR_CLOSED' });
  });

  it('send while connecting would block; nothing of it is lost or sent early (62)', async () => {
    const reactor = stage.reactor();
    const address = await fullBacklog();
    const socket = owned(reactor.socket());
    socket.connect(address);
    expect(socket.send(Buffer.from('early'))).toBe(-1);
    expect(socket.sendv([Buffer.from('early')])).toBe(-1);
    expect(socket.recv(Buffer.alloc(8))).toBe(-1);
  });

  it('a connect from a given local address has it (64)', async () => {
    const reactor = stage.reactor();
    const server = await NetServer.listen();
    const port = await unusedPort();
    const localAddress = { host: '127.0.0.2', port };
    const socket = owned(await reactor.connect(server.address, { localAddress }));
    expect(socket.localAddress).toEqual(localAddress);
    expect((await server.next()).socket).toMatchObject({ remoteAddress: '127.0.0.2', remotePort: port });
  });

  it('sockets have noDelay unless it is refused', async () => {
    const reactor = stage.reactor();
    const server = await NetServer.listen();
    const quick = owned(await reactor.connect(server.address));
    const slow = owned(await reactor.connect(server.address, { noDelay: false }));
    expect([quick.getOption('noDelay'), slow.getOption('noDelay')]).toEqual([true, false]);
  });

  it.each([
    ['127.0.0.1', '127.0.0.1', 'ipv4'],
    ['::1', '::1', 'ipv6'],
    ['localhost', '127.0.0.1', 'ipv4'],
  ])('connects to %s', async (host, listensOn, family) => {
    const reactor = stage.reactor();
    const server = await NetServer.listen({ host: listensOn });
    const socket = owned(await reactor.connect({ host, port: server.address.port }));
    expect(socket.family).toBe(family);
    expect(socket.remoteAddress).toEqual({ host: listensOn, port: server.address.port });
  });

  it('a name that does not exist is the resolver’s error, told by the reactor', async () => {
    const reactor = stage.reactor();
    const error = await rejection(reactor.connect({ host: 'no-such-host.invalid', port: 80 }));
    expect(error).toMatchObject({ name: 'SocketError', syscall: 'getaddrinfo' });
    expect(error.code).toMatch(/^(ENOTFOUND|EAI_AGAIN)$/);
    expect(error.message).toContain('no-such-host.invalid');
  });

  it('the verbs look no name up', () => {
    const reactor = stage.reactor();
    const socket = owned(reactor.socket());
    for (const call of [
      () => socket.connect({ host: 'example.org', port: 80 }),
      () => socket.bind({ host: 'example.org', port: 80 }),
    ]) {
      const error = thrown(call);
      expect(error).toMatchObject({ code: 'ERR_REACTOR_NAME' });
      expect(error.message).toContain("'example.org' is a name");
    }
  });

  it('a literal of the other family is refused', () => {
    const reactor = stage.reactor();
    expect(thrown(() => owned(reactor.socket()).connect({ host: '::1', port: 80 }))).toMatchObject({
      code: 'ERR_REACTOR_ADDRESS',
    });
    expect(thrown(() => owned(reactor.socket({ family: 'ipv6' })).bind({ host: '127.0.0.1', port: 0 }))).toMatchObject({
      code: 'ERR_REACTOR_ADDRESS',
    });
  });

  it('a second connect of a connected socket is EISCONN, of a connecting one EALREADY', async () => {
    const reactor = stage.reactor();
    // An accepted one: the system lets the first connect after an asynchronous one pass (inet_stream_connect, SS_CONNECTING).
    const { socket } = await withPeer(reactor);
    expect(thrown(() => socket.connect({ host: '127.0.0.1', port: 9 }))).toMatchObject({
      code: 'EISCONN',
      syscall: 'connect',
    });
    const address = await fullBacklog();
    const waiting = owned(reactor.socket());
    waiting.connect(address);
    expect(thrown(() => waiting.connect(address))).toMatchObject({ code: 'EALREADY', syscall: 'connect' });
  });

  it('the first address of a name that answers is taken', async () => {
    const reactor = stage.reactor();
    // 'localhost' stands for 127.0.0.1 and, where /etc/hosts says so, for ::1: one of them listens.
    const server = await NetServer.listen({ host: '127.0.0.1' });
    const connection = await reactor.open({ host: 'localhost', port: server.address.port });
    expect(connection.remoteAddress).toEqual(server.address);
    const closed = closing(connection);
    (await server.next()).end();
    connection.resume();
    await closed;
  });

  it('a client and a server in one reactor talk with each other', async () => {
    const reactor = stage.reactor();
    const listener = await reactor.serve(
      { host: '127.0.0.1', port: 0 },
      { data: (connection, chunk) => void connection.write(chunk) },
    );
    const connection = await reactor.open(listener.socket.localAddress as InetAddress);
    const echo = once<Buffer>(connection, 'data');
    connection.write('to myself');
    expect((await echo).toString()).toBe('to myself');
    connection.end();
    await once(connection, 'close');
    await listener.close();
  });
});
