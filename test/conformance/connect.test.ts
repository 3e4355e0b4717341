/** Connecting, raw and by the reactor: items 58-65. */

import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectNet } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type ConnectOptions, type InetAddress, lookup } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { closing } from '../support/connections.js';
import { nameServer } from '../support/name-server.js';
import { NetPeer, NetServer } from '../support/net-peer.js';
import { runNode } from '../support/node-process.js';
import { PythonPeer } from '../support/python-peer.js';
import { owned, received, withPeer } from '../support/sockets.js';
import { Log, once, rejection, rounds, thrown, until } from '../support/waiting.js';

/** A port on which nobody listens, and that is held: a free one may be another process's listener a moment later. */
function unusedPort(host = '127.0.0.1'): Promise<number> {
  return PythonPeer.bind({ host });
}

/** A port that was free a moment ago, for those who bind to it themselves. */
async function freePort(): Promise<number> {
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

/** A unix path whose queue is full, with the listener that can accept. */
async function fullUnixQueue(): Promise<{ peer: PythonPeer; address: { path: string } }> {
  const folder = mkdtempSync(path.join(tmpdir(), 'fdset-'));
  afterTest(() => rmSync(folder, { recursive: true }));
  const address = { path: path.join(folder, 'socket') };
  const { peer } = await PythonPeer.listen();
  await peer.do('listen_at', { path: address.path, backlog: 0 });
  // A queue of 0 holds one (unix_recvq_full in net/unix/af_unix.c).
  await NetPeer.connect(address);
  return { peer, address };
}

/** A lookup that gives these literals, in this order. */
function names(...hosts: string[]): Pick<ConnectOptions, 'lookup'> {
  return { lookup: async () => hosts.map((host) => ({ host, port: 0 })) };
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

  it('an abort after it has connected, and the time that is over then, change nothing (61)', async () => {
    const reactor = stage.reactor();
    const server = await NetServer.listen();
    const abort = new AbortController();
    const socket = owned(await reactor.connect(server.address, { signal: abort.signal, timeoutMs: 300 }));
    abort.abort();
    await reactor.sleep(310);
    expect(socket.closed).toBe(false);
    socket.send(Buffer.from('still here'));
    expect((await (await server.next()).receives(10)).toString()).toBe('still here');
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
    const port = await freePort();
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

  it('the next address is tried as soon as the one before is refused', async () => {
    const reactor = stage.reactor();
    const server = await NetServer.listen();
    const { port } = server.address;
    // Nobody listens on ::1 there: without the failure it would take a minute.
    const socket = owned(
      await reactor.connect({ host: 'two.test', port }, { ...names('::1', '127.0.0.1'), attemptDelayMs: 60_000 }),
    );
    expect(socket.remoteAddress).toEqual({ host: '127.0.0.1', port });
  });

  it('the next address is tried beside one that is undecided for attemptDelayMs; the loser is closed', async () => {
    const reactor = stage.reactor();
    const { host, port } = await fullBacklog();
    owned(await stage.reactor().listen({ host: '::1', port }));
    const began = performance.now();
    const socket = owned(
      await reactor.connect({ host: 'two.test', port }, { ...names(host, '::1'), attemptDelayMs: 80 }),
    );
    expect(performance.now() - began).toBeGreaterThanOrEqual(79);
    expect(socket.remoteAddress).toEqual({ host: '::1', port });
    // The leak guard of this suite finds the loser if it was left open.
    expect(reactor.inspect()).toContain('0 selects');
  });

  it('attempts that all succeed give one connection, and the others are closed', async () => {
    const reactor = stage.reactor();
    const first = await NetServer.listen();
    const { port } = first.address;
    const second = await NetServer.listen({ host: '::1', port });
    const socket = await reactor.connect(
      { host: 'two.test', port },
      { ...names('127.0.0.1', '::1'), attemptDelayMs: 0 },
    );
    socket.close();
    await Promise.race([first.peers.reaches(1), second.peers.reaches(1)]);
    await rounds(10);
    const peers = [...first.peers.entries, ...second.peers.entries];
    expect(peers.length).toBeGreaterThanOrEqual(1);
    for (const peer of peers) {
      peer.end();
      await peer.closed;
    }
  });

  it('the families take turns, the first address’s family first; the error is the first attempt’s, with all in its cause', async () => {
    const reactor = stage.reactor();
    // Of both families, at all of their addresses.
    const port = await unusedPort('::');
    const error = await rejection(
      reactor.connect({ host: 'many.test', port }, names('127.0.0.1', '127.0.0.2', '127.0.0.3', '::1')),
    );
    expect(error).toMatchObject({ name: 'SocketError', code: 'ECONNREFUSED', address: '127.0.0.1', port });
    const { errors } = error.cause as AggregateError;
    expect(errors.map(({ code, address }: { code: string; address: string }) => `${code} ${address}`)).toEqual(
      ['127.0.0.1', '::1', '127.0.0.2', '127.0.0.3'].map((host) => `ECONNREFUSED ${host}`),
    );
  });

  it('the time over, the error is ETIMEDOUT, and its cause what has failed until then (60)', async () => {
    const reactor = stage.reactor();
    const { host, port } = await fullBacklog();
    const error = await rejection(
      reactor.connect({ host: 'two.test', port }, { ...names('::1', host), timeoutMs: 100 }),
    );
    expect(error).toMatchObject({ code: 'ETIMEDOUT', address: 'two.test', port });
    expect(error.cause).toMatchObject({ code: 'ECONNREFUSED', address: '::1', port });
  });

  it('a name that is looked up for ever ends by timeoutMs, by the signal, and with the reactor (60, 61)', async () => {
    const reactor = stage.reactor();
    const address = { host: 'slow.test', port: 80 };
    const never = { lookup: () => new Promise<never>(() => {}) };
    expect(await rejection(reactor.connect(address, { ...never, timeoutMs: 30 }))).toMatchObject({ code: 'ETIMEDOUT' });
    const abort = new AbortController();
    const aborted = rejection(reactor.connect(address, { ...never, signal: abort.signal }));
    abort.abort(new Error('enough'));
    expect((await aborted).message).toBe('enough');
    const closed = rejection(reactor.connect(address, never));
    await rounds(2);
    reactor.close();
    expect(await closed).toMatchObject({ code: 'ERR_REACTOR_CLOSED' });
  });

  it('what a lookup of one’s own gives or throws is looked at', async () => {
    const reactor = stage.reactor();
    const attempt = (look: unknown) =>
      rejection(reactor.connect({ host: 'x.test', port: 80 }, { lookup: look } as ConnectOptions));
    expect(await attempt(async () => [])).toMatchObject({ code: 'ENOTFOUND', message: 'getaddrinfo ENOTFOUND x.test' });
    expect(await attempt(async () => [{ host: 'y.test', port: 0 }])).toMatchObject({ code: 'ERR_REACTOR_NAME' });
    expect(await attempt(async () => [{ host: 7 }])).toMatchObject({ code: 'ERR_REACTOR_ADDRESS' });
    const thrownBy = new Error('no idea');
    expect(
      await attempt(() => {
        throw thrownBy;
      }),
    ).toBe(thrownBy);
  });

  it('the addresses that a name server gives are tried until one answers', async () => {
    const reactor = stage.reactor();
    const server = await NetServer.listen();
    const servers = [await nameServer({ 'both.test': { A: ['127.0.0.1'], AAAA: ['::1'] } })];
    const socket = owned(
      await reactor.connect(
        { host: 'both.test', port: server.address.port },
        { lookup: (host) => lookup(host, { servers }) },
      ),
    );
    expect(socket.remoteAddress).toEqual(server.address);
    expect(
      await rejection(
        reactor.connect({ host: 'none.test', port: 80 }, { lookup: (host) => lookup(host, { servers }) }),
      ),
    ).toMatchObject({ code: 'ENOTFOUND', message: 'getaddrinfo ENOTFOUND none.test' });
  });

  it('a literal is connected to without a lookup', async () => {
    const reactor = stage.reactor();
    const server = await NetServer.listen();
    const asked = () => Promise.reject(new Error('asked'));
    owned(await reactor.connect(server.address, { lookup: asked }));
    await server.next();
  });

  it('a socket that was connected with itself is refused, and closed', async () => {
    const reactor = stage.reactor();
    const port = await freePort();
    const address = { host: '127.0.0.1', port };
    const error = await rejection(reactor.connect(address, { localAddress: address }));
    expect(error).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect', address: '127.0.0.1', port });
    expect((error.cause as Error).message).toContain('itself');
    // The port is free again: nothing is left there.
    owned(await reactor.listen(address));
  });

  stage.real('path in the file system')(
    'a connect that is refused at once fails once, by hand and by the reactor (65)',
    async () => {
      const reactor = stage.reactor();
      const { peer, address } = await fullUnixQueue();
      await peer.do('close');
      const told = { code: 'ECONNREFUSED', syscall: 'connect', address: address.path };
      expect(await rejection(reactor.connect(address))).toMatchObject(told);
      const socket = owned(reactor.socket({ family: 'unix' }));
      const byHand = async () => {
        socket.connect(address);
        await reactor.select([], [socket], [socket]);
        socket.finishConnect();
      };
      expect(await rejection(byHand())).toMatchObject(told);
    },
  );

  stage.needs('rawDescriptors')(
    'a reset between the handshake and its event is ECONNRESET, not a refusal (C6)',
    async () => {
      const reactor = stage.reactor();
      const listener = owned(await reactor.listen({ host: '127.0.0.1', port: 0 }));
      const socket = owned(reactor.socket());
      expect(socket.connect(listener.localAddress as InetAddress)).toBe('connecting');
      reactor.selectSync([listener], [], []);
      listener.accept()?.reset();
      const TCP_CLOSE = 7;
      await until(() => socket.getOption('tcpInfo').state === TCP_CLOSE);
      const [, writable] = await reactor.select([], [socket], []);
      expect(writable).toEqual([socket]);
      expect(thrown(() => socket.finishConnect())).toMatchObject({ code: 'ECONNRESET', syscall: 'connect' });
    },
  );

  it('a unix connect to a full queue waits for room (63)', async () => {
    const reactor = stage.reactor();
    const { peer, address } = await fullUnixQueue();
    const connecting = reactor.connect(address, { timeoutMs: 5000 });
    await rounds(10);
    expect(await Promise.race([connecting, rounds(5).then(() => 'waiting')])).toBe('waiting');
    await peer.do('accept');
    expect(owned(await connecting).family).toBe('unix');
  });

  it('a unix connect to a queue that stays full ends with ETIMEDOUT, with the signal, and with the reactor (63)', async () => {
    const reactor = stage.reactor();
    const { address } = await fullUnixQueue();
    const error = await rejection(reactor.connect(address, { timeoutMs: 60 }));
    expect(error).toMatchObject({ code: 'ETIMEDOUT', address: address.path });
    expect(error.cause).toMatchObject({ code: 'EAGAIN' });
    const abort = new AbortController();
    const aborted = rejection(reactor.connect(address, { signal: abort.signal }));
    await rounds(5);
    abort.abort();
    expect(await aborted).toMatchObject({ name: 'AbortError' });
    const closed = rejection(reactor.connect(address));
    await rounds(5);
    reactor.close();
    expect(await closed).toMatchObject({ code: 'ERR_REACTOR_CLOSED' });
  });

  it('a local address chooses the family; one that is taken is told as the bind’s error (64)', async () => {
    const reactor = stage.reactor();
    const server = await NetServer.listen();
    const { port } = server.address;
    const socket = owned(
      await reactor.connect(
        { host: 'two.test', port },
        { ...names('::1', '127.0.0.1'), localAddress: { host: '127.0.0.3', port: 0 } },
      ),
    );
    expect(socket.localAddress).toMatchObject({ host: '127.0.0.3' });
    expect(await rejection(reactor.connect(server.address, { localAddress: { host: '::1', port: 0 } }))).toMatchObject({
      code: 'ERR_REACTOR_ADDRESS',
    });
    const taken = await NetServer.listen();
    expect(await rejection(reactor.connect(server.address, { localAddress: taken.address }))).toMatchObject({
      code: 'EADDRINUSE',
    });
  });

  it.each<[string, object]>([
    ['timeoutMs', { timeoutMs: -1 }],
    ['timeoutMs', { timeoutMs: '5' }],
    ['attemptDelayMs', { attemptDelayMs: Number.NaN }],
    ['signal', { signal: 'abort' }],
    ['lookup', { lookup: 'system' }],
  ])('a wrong %s is refused before anything is opened', async (name, options) => {
    const reactor = stage.reactor();
    const error = await rejection(reactor.connect({ host: '127.0.0.1', port: 9 }, options));
    expect(error.code).toBe('ERR_REACTOR_ARGUMENT');
    expect(error.message).toMatch(new RegExp(`^${name} .*, got `));
  });

  stage.needs('rawDescriptors')('without a descriptor for the socket the connect fails with EMFILE', async () => {
    const { lines } = await runNode(
      `import { openSync } from 'node:fs';
       import { Reactor } from '@fdset/reactor';
       const reactor = new Reactor();
       // Its look-up of the name takes none; the one of the error's output is there.
       console.log('ready');
       try { for (;;) openSync('/dev/null'); } catch {}
       await reactor.connect({ host: '127.0.0.1', port: 9 }).catch((error) => console.log(error.code, error.syscall));`,
      { backend: stage.backend, through: ['prlimit', '--nofile=64:64'] },
    );
    expect(lines).toEqual(['ready', 'EMFILE socket']);
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
