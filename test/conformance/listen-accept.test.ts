/** Listening and accepting: items 48-56. */
import type { Connection, InetAddress, Socket } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { recorder, serving } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { NodeProcess } from '../support/node-process.js';
import { PythonPeer } from '../support/python-peer.js';
import { accepted, listening, owned, received } from '../support/sockets.js';
import { delay, Log, once, rejection, rounds, thrown, until } from '../support/waiting.js';

const LOOPBACK = { host: '127.0.0.1', port: 0 };

describeBackends('listen and accept', (stage) => {
  it('port 0 lets the system choose, and localAddress tells (48)', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    expect(address).toEqual({ host: '127.0.0.1', port: expect.any(Number) });
    expect(address.port).toBeGreaterThan(0);
    expect(listener.type).toBe('stream');
    expect(listener.family).toBe('ipv4');
    expect(listener.remoteAddress).toBeUndefined();
    await NetPeer.connect(address);
    expect((await accepted(reactor, listener)).localAddress).toEqual(address);
  });

  it.each([
    ['::1', 'ipv6', '::1'],
    ['localhost', 'ipv4', '127.0.0.1'],
    ['', 'ipv4', '127.0.0.1'],
    ['::', 'ipv6', '::1'],
  ])('listens on %j, as %s', async (host, family, through) => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor, { host });
    expect(listener.family).toBe(family);
    const peer = await NetPeer.connect({ host: through, port: address.port });
    const socket = await accepted(reactor, listener);
    expect(socket.family).toBe(family);
    expect(socket.remoteAddress).toEqual({ host: through, port: peer.socket.localPort });
  });

  it('an address in use is EADDRINUSE, with the address in the error (48)', async () => {
    const reactor = stage.reactor();
    const { address } = await listening(reactor);
    const error = await rejection(reactor.listen(address));
    expect(error).toMatchObject({ name: 'SocketError', code: 'EADDRINUSE', address: '127.0.0.1', port: address.port });
    expect(await rejection(reactor.serve(address, {}))).toMatchObject({ code: 'EADDRINUSE' });
  });

  stage.real('address of others')('an address that is not ours is EADDRNOTAVAIL (48)', async () => {
    const reactor = stage.reactor();
    expect(await rejection(reactor.listen({ host: '192.0.2.1', port: 0 }))).toMatchObject({
      code: 'EADDRNOTAVAIL',
      syscall: 'bind',
    });
  });

  stage.needs('syncBind')('bind and listen are finished on return, and throw (48)', async () => {
    const reactor = stage.reactor();
    const [first, second] = [owned(reactor.socket()), owned(reactor.socket())];
    first.bind(LOOPBACK);
    const address = first.localAddress as InetAddress;
    expect(address.port).toBeGreaterThan(0);
    first.listen();
    expect(thrown(() => second.bind(address))).toMatchObject({ code: 'EADDRINUSE', syscall: 'bind' });
    expect(thrown(() => first.bind(LOOPBACK))).toMatchObject({ code: 'EINVAL', syscall: 'bind' });
  });

  it('a listen that failed makes the socket readable and errored, and the next verb throws it once (48)', async () => {
    const reactor = stage.reactor();
    const { address } = await listening(reactor);
    const socket = owned(reactor.socket());
    let error: unknown;
    try {
      socket.bind(address);
      socket.listen();
      const [readable, , errored] = await reactor.select([socket], [], [socket]);
      expect([readable, errored]).toEqual([[socket], [socket]]);
      socket.accept();
    } catch (first) {
      error = first;
    }
    expect(error).toMatchObject({ code: 'EADDRINUSE', syscall: 'bind', port: address.port });
    // It is fresh again: another address will do.
    socket.bind(LOOPBACK);
    socket.listen();
    await until(() => (socket.localAddress as InetAddress).port > 0);
    await NetPeer.connect(socket.localAddress as InetAddress);
    await accepted(reactor, socket);
  });

  it('listen without bind takes a port of the system (48)', async () => {
    const reactor = stage.reactor();
    const socket = owned(reactor.socket());
    socket.listen();
    await until(() => (socket.localAddress as InetAddress).port > 0);
    await NetPeer.connect({ host: '127.0.0.1', port: (socket.localAddress as InetAddress).port });
    await accepted(reactor, socket);
  });

  it('accept on a socket that does not listen is EINVAL; a connected one cannot listen', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    expect(thrown(() => owned(reactor.socket()).accept())).toMatchObject({ code: 'EINVAL', syscall: 'accept' });
    await NetPeer.connect(address);
    const socket = await accepted(reactor, listener);
    expect(thrown(() => socket.accept())).toMatchObject({ code: 'EINVAL', syscall: 'accept' });
    expect(thrown(() => socket.listen())).toMatchObject({ code: 'EINVAL', syscall: 'listen' });
  });

  it('a backlog that is none is refused', () => {
    const reactor = stage.reactor();
    for (const wrong of [-1, 1.5, 2 ** 31, '5'])
      expect(thrown(() => owned(reactor.socket()).listen(wrong as number))).toMatchObject({
        code: 'ERR_REACTOR_ARGUMENT',
      });
  });

  it('two clients, accepted late, each with its own address and data (49)', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    const peers = [await NetPeer.connect(address), await NetPeer.connect(address)];
    for (const [i, peer] of peers.entries()) peer.end(`client ${i}`);
    await delay(20);
    const sockets = [await accepted(reactor, listener), await accepted(reactor, listener)];
    expect(listener.accept()).toBeNull();
    const texts = new Map<number, string>();
    for (const socket of sockets)
      texts.set((socket.remoteAddress as InetAddress).port, (await received(reactor, socket)).toString());
    expect(texts).toEqual(new Map(peers.map((peer, i) => [peer.socket.localPort as number, `client ${i}`])));
  });

  it('a client that came and went before the accept is accepted with its data and its end (49)', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    const peer = await PythonPeer.connect(address);
    await peer.send('gone already');
    await peer.do('close');
    const socket = await accepted(reactor, listener);
    expect((await received(reactor, socket)).toString()).toBe('gone already');
  });

  it('a client that reset before the accept is accepted, still has its address, and gives ECONNRESET (49)', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    const peer = await PythonPeer.connect(address);
    await peer.do('reset');
    const socket = await accepted(reactor, listener);
    expect(socket.remoteAddress).toMatchObject({ host: '127.0.0.1', port: expect.any(Number) });
    await reactor.select([socket], [], []);
    expect(thrown(() => socket.recv(Buffer.alloc(4)))).toMatchObject({ code: 'ECONNRESET' });
  });

  it('serve accepts within the budget of a turn, and the rest in the next ones (54)', async () => {
    const reactor = stage.reactor({ acceptBudget: 4 });
    const turns = new Map<number, number>();
    const { listener, address, connections } = await serving(reactor, {
      open: () => void turns.set(reactor.metrics.turns, (turns.get(reactor.metrics.turns) ?? 0) + 1),
    });
    listener.pause();
    for (let i = 0; i < 10; i += 1) await NetPeer.connect(address);
    await delay(20);
    listener.resume();
    await connections.reaches(10);
    expect([...turns.values()]).toEqual([4, 4, 2]);
  });

  it('pause leaves connections waiting, resume takes them in (52)', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { listener, address, connections } = await serving(reactor, told.handler);
    listener.pause();
    listener.pause();
    const peers = [await NetPeer.connect(address), await NetPeer.connect(address)];
    for (const peer of peers) peer.write('waiting');
    const { turns } = reactor.metrics;
    await delay(40);
    expect(connections.entries).toHaveLength(0);
    expect(reactor.metrics.turns - turns).toBeLessThanOrEqual(2);
    expect(listener.connections).toBe(0);
    listener.resume();
    await told.calls.reaches(4);
    expect([...told.calls.entries].sort()).toEqual(['data waiting', 'data waiting', 'open', 'open']);
    expect(listener.connections).toBe(2);
  });

  it('a listener that is closed in its own open handler accepts no more; its connections stay (53)', async () => {
    const reactor = stage.reactor();
    let close = (): unknown => undefined;
    const told = recorder({ open: () => void close() });
    const { listener, address, next } = await serving(reactor, told.handler);
    close = () => listener.close();
    const closes = new Log<string>();
    listener.on('close', () => closes.add('close'));
    listener.on('error', (error) => closes.add(String(error)));
    listener.pause();
    const peers = [await NetPeer.connect(address), await NetPeer.connect(address)];
    await delay(10);
    listener.resume();
    const connection = await next();
    await rounds(10);
    expect(told.calls.entries.filter((call) => call === 'open')).toHaveLength(1);
    expect(closes.entries).toEqual(['close']);
    const [kept, refused] = [0, 1]
      .map((i) => peers[i] as NetPeer)
      .sort((a) => (a.socket.localPort === (connection.remoteAddress as InetAddress).port ? -1 : 1)) as [
      NetPeer,
      NetPeer,
    ];
    kept.write('still here');
    await until(() => told.calls.entries.includes('data still here'));
    // What nobody accepted is reset by the system.
    expect(await refused.closed).toBe('ECONNRESET');
    await listener.close();
  });

  it('a listener that is paused in its own open handler stops there and then (53)', async () => {
    const reactor = stage.reactor();
    let pause = (): unknown => undefined;
    const { listener, address, connections } = await serving(reactor, { open: () => void pause() });
    listener.pause();
    for (let i = 0; i < 3; i += 1) await NetPeer.connect(address);
    await delay(10);
    pause = () => listener.pause();
    for (let i = 1; i <= 3; i += 1) {
      listener.resume();
      await connections.reaches(i);
      await rounds(5);
      expect(connections.entries).toHaveLength(i);
    }
  });

  it('close is idempotent and told once; a signal closes too; nobody can connect afterwards', async () => {
    const reactor = stage.reactor();
    const abort = new AbortController();
    const { listener, address } = await serving(reactor, {}, { signal: abort.signal });
    const closed = once(listener, 'close');
    abort.abort();
    await closed;
    await listener.close();
    expect(listener.socket.closed).toBe(true);
    expect((await rejection(NetPeer.connect(address))).message).toContain('ECONNREFUSED');
    await expect(reactor.serve(LOOPBACK, {}, { signal: abort.signal })).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('maxConnections pauses at the limit, and goes on as soon as one has ended', async () => {
    const reactor = stage.reactor();
    const { listener, address, connections } = await serving(reactor, { data() {} }, { maxConnections: 2 });
    const peers: NetPeer[] = [];
    for (let i = 0; i < 4; i += 1) peers.push(await NetPeer.connect(address));
    await connections.reaches(2);
    await delay(20);
    expect(connections.entries).toHaveLength(2);
    expect(listener.connections).toBe(2);
    peers[0]?.end();
    await connections.reaches(3);
    (connections.entries[1] as Connection).destroy();
    await connections.reaches(4);
    await rounds(5);
    expect(listener.connections).toBe(2);
  });

  it('maxConnections with overload close accepts and closes what is too much, and tells drop', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const options = { maxConnections: 1, overload: 'close' } as const;
    const { listener, address } = await serving(reactor, told.handler, options);
    const drops = new Log<string>();
    listener.on('drop', () => drops.add('drop'));
    const first = await NetPeer.connect(address);
    const second = await NetPeer.connect(address);
    await second.ended;
    expect(drops.entries).toEqual(['drop']);
    expect(told.calls.entries).toEqual(['open']);
    first.end();
    await told.calls.reaches(3);
    await NetPeer.connect(address);
    await told.calls.reaches(4);
    expect(drops.entries).toHaveLength(1);
  });

  it('an open handler that throws costs its connection only: it is closed, and the listener goes on (56, A4)', async () => {
    const errors = new Log<unknown>();
    const reactor = stage.reactor({ onHandlerError: (error) => errors.add(error) });
    let count = 0;
    const { listener, address, connections } = await serving(reactor, {
      open() {
        count += 1;
        if (count === 1) throw new Error('the first one');
      },
      data: (connection, chunk) => void connection.write(chunk),
    });
    listener.pause();
    const peers = [await NetPeer.connect(address), await NetPeer.connect(address)];
    listener.resume();
    await connections.reaches(2);
    await errors.reaches(1);
    expect((errors.entries[0] as Error).message).toBe('the first one');
    const [failed, served] = connections.entries as [Connection, Connection];
    await until(() => failed.socket.closed);
    expect([served.socket.closed, listener.connections, listener.socket.closed]).toEqual([false, 1, false]);
    const port = (served.remoteAddress as InetAddress).port;
    const peer = peers.find(({ socket }) => socket.localPort === port) as NetPeer;
    peer.write('and the other');
    expect((await peer.receives(13)).toString()).toBe('and the other');
  });

  it('a drop listener that throws does not stop the accepting, and leaves no connection (56, A4)', async () => {
    const errors = new Log<unknown>();
    const reactor = stage.reactor({ onHandlerError: (error) => errors.add(error) });
    const { listener, address, connections } = await serving(reactor, {}, { maxConnections: 1, overload: 'close' });
    listener.on('drop', () => {
      throw new Error('dropped');
    });
    await NetPeer.connect(address);
    await connections.reaches(1);
    for (let i = 1; i <= 2; i += 1) {
      await (await NetPeer.connect(address)).ended;
      await errors.reaches(i);
    }
    expect(listener.connections).toBe(1);
  });

  it('wrong options are refused before anything is opened', async () => {
    const reactor = stage.reactor();
    for (const options of [
      { maxConnections: 0 },
      { maxConnections: '5' },
      { overload: 'drop' },
      { highWaterMark: -1 },
      { lowWaterMark: 1e9 },
    ])
      expect(await rejection(reactor.serve(LOOPBACK, {}, options as never))).toMatchObject({
        code: 'ERR_REACTOR_ARGUMENT',
      });
    expect(await rejection(reactor.serve(LOOPBACK, 7 as never))).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
  });

  it('serve takes a function: it is called with each new connection', async () => {
    const reactor = stage.reactor();
    const connections = new Log<Connection>();
    const listener = await reactor.serve(LOOPBACK, (connection) => {
      connections.add(connection);
      connection.end('hello');
    });
    const peer = await NetPeer.connect(listener.socket.localAddress as InetAddress);
    await peer.ended;
    expect(peer.received.toString()).toBe('hello');
    peer.end();
    await listener.close();
    connections.entries[0]?.destroy();
  });

  stage.needs('reusePort')('two listeners share a port with reusePort (55)', async () => {
    const reactor = stage.reactor();
    const first = owned(await reactor.listen(LOOPBACK, { reusePort: true }));
    const second = owned(await reactor.listen(first.localAddress as InetAddress, { reusePort: true }));
    const counts = new Map<Socket, number>();
    for (let i = 0; i < 40; i += 1) {
      await NetPeer.connect(first.localAddress as InetAddress);
      const [[ready]] = await reactor.select([first, second], [], []);
      owned((ready as Socket).accept());
      counts.set(ready as Socket, (counts.get(ready as Socket) ?? 0) + 1);
    }
    expect(counts.size).toBe(2);
  });

  stage.needs('acceptPause')('out of descriptors: one error, no spin, and it recovers (50)', async () => {
    const server = new NodeProcess(
      `
      import { openSync, closeSync } from 'node:fs';
      import { Reactor } from '@fdset/reactor';
      const reactor = new Reactor();
      let open = 0;
      const listener = await reactor.serve({ host: '127.0.0.1', port: 0 }, {
        open() { open += 1; console.log('open ' + open); },
        data(connection, chunk) { connection.write(chunk); },
      });
      listener.on('error', (error) => console.log('error ' + error.code + ' ' + error.syscall));
      const files = [];
      process.stdin.on('data', (line) => {
        const { turns, acceptFailures, shed } = reactor.metrics;
        if (String(line).startsWith('free')) {
          for (const file of files.splice(0)) closeSync(file);
          console.log('freed');
        } else console.log(JSON.stringify({ turns, acceptFailures, shed }));
      });
      await new Promise(setImmediate);
      try { for (;;) files.push(openSync('/dev/null')); } catch { closeSync(files.pop()); closeSync(files.pop()); }
      console.log(listener.socket.localAddress.port);
      `,
      { backend: stage.backend, through: ['prlimit', '--nofile=64:64'] },
    );
    const address = { host: '127.0.0.1', port: Number(await server.line(0)) };
    // Two descriptors were left. With the last one taken and nobody waiting, that is no failure.
    const served = [await NetPeer.connect(address), await NetPeer.connect(address)];
    expect([await server.line(1), await server.line(2)]).toEqual(['open 1', 'open 2']);
    const metrics = async (line: number) => {
      server.child.stdin?.write('metrics\n');
      return JSON.parse(await server.line(line)) as { turns: number; acceptFailures: number; shed: number };
    };
    expect(await metrics(3)).toMatchObject({ acceptFailures: 0, shed: 0 });
    // The reserve lets the others be told, instead of waiting in vain.
    const first = await NetPeer.connect(address);
    await first.ended;
    expect(await server.line(4)).toBe('error EMFILE accept');
    const second = await NetPeer.connect(address);
    await second.ended;
    const before = await metrics(5);
    expect(before).toMatchObject({ acceptFailures: 2, shed: 2 });
    await delay(350);
    expect((await metrics(6)).turns - before.turns).toBeLessThanOrEqual(8);
    server.child.stdin?.write('free\n');
    expect(await server.line(7)).toBe('freed');
    const last = await NetPeer.connect(address);
    last.write('served');
    expect((await last.receives(6)).toString()).toBe('served');
    expect(server.lines.entries.filter((line) => line.startsWith('error'))).toHaveLength(1);
    served[0]?.write('still here');
    expect((await served[0]?.receives(10))?.toString()).toBe('still here');
  });
});
