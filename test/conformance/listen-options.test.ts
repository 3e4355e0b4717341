/** What listening is told, and what it tells: the backlog, the socket's options, inherited descriptors (48, 53, 55, 57). */
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { InetAddress, ListenOptions } from '@fdset/reactor';
import { inheritedListeners } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { serving } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { NodeProcess } from '../support/node-process.js';
import { accepted, listening, owned } from '../support/sockets.js';
import { Log, rejection, rounds, thrown } from '../support/waiting.js';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const SOMAXCONN = Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'));
/** `IPPROTO_TCP`, `TCP_INFO`, and where `struct tcp_info` has `tcpi_sacked`: of a listening socket, its backlog. */
const TCP_INFO = { level: 6, name: 11, length: 32, backlogAt: 28 };

describeBackends('listen options', (stage) => {
  it('the backlog is told as the system takes it: cut to somaxconn (48)', async () => {
    const reactor = stage.reactor();
    for (const [asked, taken] of [
      [undefined, Math.min(511, SOMAXCONN)],
      [7, 7],
      [0, 0],
      [2 ** 31 - 1, SOMAXCONN],
    ] as const) {
      const { listener } = await serving(reactor, {}, asked === undefined ? {} : { backlog: asked });
      expect(listener.backlog).toBe(taken);
      if (stage.capabilities.rawOptions) {
        const info = listener.socket.getRawOption(TCP_INFO.level, TCP_INFO.name, TCP_INFO.length);
        expect(info.readUInt32LE(TCP_INFO.backlogAt)).toBe(taken);
      }
      await listener.close();
    }
  });

  stage.needs('rawOptions')('deferAccept: a connection comes to the handler with its data', async () => {
    const reactor = stage.reactor();
    const { address, connections } = await serving(reactor, { data() {} }, { deferAccept: 30 });
    const silent = await NetPeer.connect(address);
    const talking = await NetPeer.connect(address);
    talking.write('hello');
    await connections.reaches(1);
    expect(connections.entries[0]?.remoteAddress).toMatchObject({ port: talking.socket.localPort });
    await rounds(10);
    expect(connections.entries).toHaveLength(1);
    silent.write('at last');
    await connections.reaches(2);
  });

  it('reusePort on a path is refused, as the system does (55)', async () => {
    const reactor = stage.reactor();
    const at = { path: '\0fdset-reuse-port' };
    expect(await rejection(reactor.listen(at, { reusePort: true }))).toMatchObject({
      name: 'SocketError',
      code: 'ENOTSUP',
      syscall: 'setsockopt',
    });
    if (!stage.capabilities.reusePort)
      expect(await rejection(reactor.listen(LOOPBACK, { reusePort: true }))).toMatchObject({
        code: 'ENOTSUP',
        message: expect.stringContaining("'reusePort'"),
      });
  });

  stage.needs('rawOptions')(
    'an address whose last server left connections in TIME_WAIT is free with reuseAddress only',
    async () => {
      const reactor = stage.reactor();
      const { listener, address } = await listening(reactor);
      const peer = await NetPeer.connect(address);
      const socket = await accepted(reactor, listener);
      // Who ends first waits.
      socket.close();
      peer.end();
      await peer.closed;
      listener.close();
      expect(await rejection(reactor.listen(address, { reuseAddress: false }))).toMatchObject({ code: 'EADDRINUSE' });
      owned(await reactor.listen(address));
    },
  );

  it('ipv6Only leaves the port free for IPv4', async () => {
    const reactor = stage.reactor();
    const both = async (tries: number): Promise<number> => {
      const six = owned(await reactor.listen({ host: '::', port: 0 }, { ipv6Only: true }));
      const { port } = six.localAddress as InetAddress;
      try {
        owned(await reactor.listen({ host: '0.0.0.0', port }, { ipv6Only: true }));
        return port;
      } catch (error) {
        // Another program may have that port of IPv4 by chance, but not five in a row.
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || tries === 1) throw error;
        return both(tries - 1);
      }
    };
    await NetPeer.connect({ host: '127.0.0.1', port: await both(5) });
  });

  it.each<[string, object]>([
    ['backlog', { backlog: -1 }],
    ['backlog', { backlog: '5' }],
    ['reuseAddress', { reuseAddress: 1 }],
    ['reusePort', { reusePort: 'yes' }],
    ['ipv6Only', { ipv6Only: 0 }],
    ['deferAccept', { deferAccept: -1 }],
    ['deferAccept', { deferAccept: true }],
    ['signal', { signal: {} }],
  ])('a wrong %s is refused before anything is opened', async (name, options) => {
    const reactor = stage.reactor();
    const error = await rejection(reactor.serve(LOOPBACK, {}, options as ListenOptions));
    expect(error.code).toBe('ERR_REACTOR_ARGUMENT');
    expect(error.message).toContain(name);
    expect(error.message).toContain('got ');
  });

  it('an abort while it begins to listen rejects with the reason, and leaves nothing', async () => {
    const reactor = stage.reactor();
    const abort = new AbortController();
    const serve = rejection(reactor.serve({ host: 'localhost', port: 0 }, {}, { signal: abort.signal }));
    abort.abort(new Error('not any more'));
    expect((await serve).message).toBe('not any more');
    expect(reactor.metrics.registrations).toBe(0);
  });

  it('a reactor that is closed while it begins to listen leaves no listener', async () => {
    const reactor = stage.reactor();
    const listen = rejection(reactor.listen({ host: 'localhost', port: 0 }));
    const serve = rejection(reactor.serve({ host: 'localhost', port: 0 }, {}));
    reactor.close();
    expect([(await listen).code, (await serve).code]).toEqual(['ERR_REACTOR_CLOSED', 'ERR_REACTOR_CLOSED']);
  });

  it('a listener whose socket its handler closes accepts no more, and has closed (53, D15)', async () => {
    const reactor = stage.reactor();
    const { listener, address, connections } = await serving(reactor, {
      open: () => listener.socket.close(),
    });
    const told = new Log<string>();
    for (const event of ['error', 'close'] as const) listener.on(event, () => told.add(event));
    listener.pause();
    await NetPeer.connect(address);
    await NetPeer.connect(address);
    listener.resume();
    await connections.reaches(1);
    await rounds(5);
    expect([connections.entries.length, told.entries]).toEqual([1, ['close']]);
    expect(listener.connections).toBe(1);
    listener.pause();
    listener.resume();
    await listener.close();
    await rounds(1);
    expect(told.entries).toEqual(['close']);
  });

  stage.needs('adopt')('a descriptor that does not listen is refused by what it is, and stays open (57)', async () => {
    const reactor = stage.reactor();
    const file = openSync('/dev/null', 'r');
    afterTest(() => closeSync(file));
    const fresh = reactor.socket().detach();
    afterTest(() => closeSync(fresh));
    for (const [fd, what] of [
      [file, 'a pipe or a terminal'],
      [fresh, 'a ipv4 stream socket'],
    ] as const) {
      const error = await rejection(reactor.serve({ fd }, {}));
      expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_REACTOR_SOCKET' });
      expect(error.message).toContain(`descriptor ${fd} does not`);
      expect(error.message).toContain(what);
    }
    for (const fd of [-1, 1.5, '3', null])
      expect(await rejection(reactor.listen({ fd: fd as number }))).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
    expect(await rejection(reactor.listen({ fd: 9999 }))).toMatchObject({ code: 'EBADF' });
  });

  stage.needs('adopt')('a listener on an inherited descriptor does not know its backlog', async () => {
    const reactor = stage.reactor();
    const { listener } = await listening(reactor);
    const inherited = await reactor.serve({ fd: listener.detach() }, {}, { backlog: 5 });
    expect(inherited.backlog).toBeUndefined();
    await inherited.close();
  });

  stage.needs('adopt')('the service manager’s descriptors are served: LISTEN_FDS from 3 on, by name (57)', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    // As systemd does: the descriptor is 3, and LISTEN_PID the process that is started.
    const server = new NodeProcess(
      `import { inheritedListeners, Reactor } from '@fdset/reactor';
       const found = inheritedListeners();
       console.log(JSON.stringify(found));
       await new Reactor().serve(found[0], (connection) => connection.end('activated'));
       console.log('listening');`,
      {
        backend: stage.backend,
        through: ['sh', '-c', 'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web exec "$@"', 'sh'],
        descriptors: [listener.fileno()],
      },
    );
    listener.close();
    expect(JSON.parse(await server.line(0))).toEqual([{ fd: 3, name: 'web' }]);
    await server.line(1);
    const peer = await NetPeer.connect(address);
    await peer.ended;
    expect(peer.received.toString()).toBe('activated');
    peer.end();
  });

  it('descriptors that were meant for another process are ignored; nonsense is told (57)', () => {
    const mine = { LISTEN_PID: String(process.pid) };
    expect(inheritedListeners({})).toEqual([]);
    expect(inheritedListeners({ LISTEN_FDS: '2' })).toEqual([]);
    expect(inheritedListeners({ LISTEN_PID: String(process.ppid), LISTEN_FDS: '2' })).toEqual([]);
    expect(inheritedListeners(mine)).toEqual([]);
    expect(inheritedListeners({ ...mine, LISTEN_FDS: '0' })).toEqual([]);
    expect(inheritedListeners({ ...mine, LISTEN_FDS: '3', LISTEN_FDNAMES: 'web::admin' })).toEqual([
      { fd: 3, name: 'web' },
      { fd: 4, name: 'unknown' },
      { fd: 5, name: 'admin' },
    ]);
    for (const LISTEN_FDS of ['two', '-1', '1.5', '1e9', '99999999999'])
      expect(thrown(() => inheritedListeners({ ...mine, LISTEN_FDS }))).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
    expect(thrown(() => inheritedListeners({ LISTEN_PID: 'me', LISTEN_FDS: '1' })).message).toContain('LISTEN_PID');
  });
});
