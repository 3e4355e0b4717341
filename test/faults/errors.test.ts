/** One fault at one call, and what the layers above make of it: traps A1, A3, D8, D19, items 51 and 102. */
import {
  type CloseInfo,
  type Connection,
  type FaultCalls,
  INTERRUPTED,
  type InetAddress,
  type InjectedFault,
  READABLE,
  Reactor,
  type Socket,
  WOULD_BLOCK,
  WRITABLE,
} from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends, type Stage } from '../support/backends.js';
import { closing, serving } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { accepted, arrived, listening, owned, pair, pattern, received, sent, withPeer } from '../support/sockets.js';
import { Log, once, rejection, rounds, thrown, until } from '../support/waiting.js';

/** A reactor whose calls fail, and what was injected. */
function failing(stage: Stage, calls: FaultCalls): { reactor: Reactor; injected: Log<InjectedFault> } {
  const injected = new Log<InjectedFault>();
  const reactor = stage.reactor({ faults: { calls, onFault: (fault) => injected.add(fault) } });
  return { reactor, injected };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

const ECHO = { data: (connection: Connection, chunk: Buffer) => void connection.write(chunk) };

async function echoes(address: InetAddress, text: string): Promise<void> {
  const peer = await NetPeer.connect(address);
  peer.write(text);
  expect((await peer.receives(text.length)).toString()).toBe(text);
}

describeBackends(
  'faults at accept',
  (stage) => {
    it('a storm of ECONNABORTED costs no connection, and is no error of the listener (51, A1)', async () => {
      const { reactor, injected } = failing(stage, { accept: { ECONNABORTED: upTo(200) } });
      const { listener, address } = await serving(reactor, ECHO);
      const errors = new Log<Error>();
      listener.on('error', (error) => errors.add(error));
      await Promise.all(upTo(3).map((i) => echoes(address, `client ${i}`)));
      expect(injected.entries).toHaveLength(200);
      expect(errors.entries).toEqual([]);
    });

    it.each(['ECONNRESET', 'EPROTO', 'EPERM', 'EINTR', 'EAGAIN'] as const)(
      '%s at accept costs no connection (51, A1)',
      async (fault) => {
        const { reactor, injected } = failing(stage, { accept: { [fault]: [1, 2, 4] } });
        const { address } = await serving(reactor, ECHO);
        await Promise.all(upTo(3).map((i) => echoes(address, `client ${i}`)));
        expect(injected.entries.map(({ number }) => number)).toEqual([1, 2, 4]);
        expect(reactor.metrics.unheardErrors).toBe(0);
      },
    );

    // Out of descriptors, each failure has a second one: with the descriptor kept in reserve.
    it.each([
      ['EMFILE', [1, 2, 3, 4]],
      ['ENFILE', [1, 2, 3, 4]],
      ['ENOBUFS', [1, 2]],
      ['ENOMEM', [1, 2]],
    ] as const)(
      '%s at accept: one error, a pause that grows, and the connection is served (50, A3)',
      async (fault, calls) => {
        const { reactor, injected } = failing(stage, { accept: { [fault]: calls } });
        const { listener, address } = await serving(reactor, ECHO);
        const errors = new Log<Error>();
        listener.on('error', (error) => errors.add(error));
        const began = performance.now();
        await echoes(address, 'late');
        // 100 ms after the first failure, 200 ms after the second.
        expect(performance.now() - began).toBeGreaterThan(290);
        expect(injected.entries.map(({ number }) => number)).toEqual(calls);
        expect(errors.entries).toMatchObject([{ code: fault, syscall: 'accept' }]);
      },
    );

    it('a listener that gets no memory after its pause rests again, and then serves (A3)', async () => {
      // The listener's first epoll_ctl, and the one that takes it back after the pause.
      const { reactor, injected } = failing(stage, { accept: { EMFILE: [1, 2] }, epoll_ctl: { ENOMEM: [2] } });
      const { listener, address } = await serving(reactor, ECHO);
      const errors = new Log<Error>();
      listener.on('error', (error) => errors.add(error));
      await echoes(address, 'late');
      expect(injected.entries.map(({ fault }) => fault)).toEqual(['EMFILE', 'EMFILE', 'ENOMEM']);
      expect(errors.entries).toMatchObject([{ code: 'EMFILE' }]);
    });

    it('a raw accept throws its EMFILE, and the listener is ready still (A3)', async () => {
      const { reactor } = failing(stage, { accept: { EMFILE: [1] } });
      const { listener, address } = await listening(reactor);
      const peer = await NetPeer.connect(address);
      expect((await reactor.select([listener], [], []))[0]).toEqual([listener]);
      expect(thrown(() => listener.accept())).toMatchObject({ code: 'EMFILE', syscall: 'accept' });
      const socket = await accepted(reactor, listener);
      expect(socket.remoteAddress).toEqual({ host: '127.0.0.1', port: peer.socket.localPort });
    });
  },
  { only: 'kernel' },
);

describeBackends(
  'faults at epoll_ctl and epoll_create1',
  (stage) => {
    it('ENOMEM at register leaves nothing behind, and the next register succeeds (10, D8)', async () => {
      const { reactor } = failing(stage, { epoll_ctl: { ENOMEM: [1] } });
      const [near] = reactor.socketPair().map(owned) as [Socket, Socket];
      expect(thrown(() => reactor.register(near, WRITABLE, () => {}))).toMatchObject({
        code: 'ENOMEM',
        syscall: 'epoll_ctl',
      });
      expect(reactor.registrationOf(near)).toBeUndefined();
      expect(reactor.metrics.registrations).toBe(0);
      await new Promise<void>((resolve) => {
        reactor.register(near, WRITABLE, (_socket, _readiness, registration) => {
          registration.unregister();
          resolve();
        });
      });
    });

    it('ENOMEM at modify leaves the interest as it was (10, D8)', async () => {
      const { reactor } = failing(stage, { epoll_ctl: { ENOMEM: [2] } });
      const [near, far] = reactor.socketPair().map(owned) as [Socket, Socket];
      const calls = new Log<string>();
      const registration = reactor.register(near, READABLE, {
        readable(socket) {
          socket.recv(Buffer.alloc(8));
          calls.add('readable');
        },
        writable: () => calls.add('writable'),
      });
      expect(thrown(() => registration.modify(READABLE | WRITABLE))).toMatchObject({ code: 'ENOMEM' });
      expect(registration.interest).toBe(READABLE);
      far.send(Buffer.from('x'));
      await calls.reaches(1);
      await rounds(3);
      expect(calls.entries).toEqual(['readable']);
    });

    it('an accepted connection that cannot be watched is closed with the error, and the next one is served', async () => {
      // The first epoll_ctl is the listener's.
      const { reactor } = failing(stage, { epoll_ctl: { ENOSPC: [2] } });
      const errors = new Log<Error>();
      const { address, listener } = await serving(reactor, {
        ...ECHO,
        error: (_connection, error) => errors.add(error),
      });
      const peer = await NetPeer.connect(address);
      await peer.ended;
      expect(errors.entries).toMatchObject([{ code: 'ENOSPC', syscall: 'epoll_ctl' }]);
      expect(listener.connections).toBe(0);
      await echoes(address, 'served');
    });

    it('a connection that cannot wait for room ends with the error, told once', async () => {
      // The listener's, the connection's, and the one that asks for WRITABLE.
      const { reactor } = failing(stage, { epoll_ctl: { ENOMEM: [3] } });
      const { address, next } = await serving(reactor);
      const [, connection] = await Promise.all([NetPeer.connect(address, { paused: true }), next()]);
      const errors = new Log<Error>();
      connection.on('error', (error) => errors.add(error));
      const closed = closing(connection);
      connection.write(pattern(16 * 1024 * 1024 - 1));
      expect(await closed).toMatchObject({ by: 'error', error: { code: 'ENOMEM', syscall: 'epoll_ctl' } });
      expect(errors.entries).toHaveLength(1);
    });

    it('a select that cannot wait rejects, and the next one waits', async () => {
      const { reactor } = failing(stage, { epoll_ctl: { ENOMEM: [1] } });
      const [near, far] = reactor.socketPair().map(owned) as [Socket, Socket];
      expect(await rejection(reactor.select([near], [], []))).toMatchObject({ code: 'ENOMEM', syscall: 'epoll_ctl' });
      const waiting = reactor.select([near], [], []);
      far.send(Buffer.from('x'));
      expect(await waiting).toEqual([[near], [], []]);
    });

    it('a reactor that gets no epoll descriptor throws, and leaves nothing', () => {
      const make = () => new Reactor({ backend: 'kernel', faults: { calls: { epoll_create1: { EMFILE: [1] } } } });
      expect(thrown(make)).toMatchObject({ name: 'SocketError', code: 'EMFILE', syscall: 'epoll_create1' });
    });
  },
  { only: 'kernel' },
);

describeBackends(
  'faults at recv and send',
  (stage) => {
    it.each([
      ['received ahead', {}],
      ['borrowed', { borrowChunks: true }],
    ])('ECONNRESET ends a connection as a real one does, %s (74, 102)', async (_how, options) => {
      const { reactor } = failing(stage, { recv: { ECONNRESET: [2] } });
      const chunks = new Log<string>();
      const { address, next } = await serving(
        reactor,
        { data: (_connection, chunk) => chunks.add(chunk.toString()) },
        options,
      );
      const [peer, connection] = await Promise.all([NetPeer.connect(address), next()]);
      const closed = closing(connection);
      peer.write('first');
      await chunks.reaches(1);
      peer.write('second');
      expect(await closed).toMatchObject({ by: 'error', error: { code: 'ECONNRESET', syscall: 'recv' } });
      expect(chunks.entries).toEqual(['first']);
      await Promise.race([peer.ended, peer.closed]);
    });

    it.each([1, 4])(
      'after ECONNRESET at recv number %d the stream has ended, as after a real one (74, 102)',
      async (nth) => {
        const { reactor } = failing(stage, { recv: { ECONNRESET: [nth] } });
        const { socket } = await withPeer(reactor);
        const into = Buffer.alloc(8);
        for (let i = 1; i < nth; i += 1) expect(socket.recv(into)).toBe(WOULD_BLOCK);
        expect(thrown(() => socket.recv(into))).toMatchObject({ code: 'ECONNRESET', syscall: 'recv' });
        expect(socket.recv(into)).toBe(0);
        expect(thrown(() => socket.send(into))).toMatchObject({ code: 'EPIPE' });
        expect(await reactor.select([socket], [], [])).toEqual([[socket], [], []]);
      },
    );

    it('of three connections that are received for ahead, each has its own fault (102)', async () => {
      const { reactor, injected } = failing(stage, { recv: { EAGAIN: [1], ECONNRESET: [2], short: [3] } });
      const texts = new Map<Connection, string>();
      const ends = new Map<Connection, Promise<CloseInfo>>();
      const { address, next } = await serving(reactor, {
        open: (connection) => {
          texts.set(connection, '');
          ends.set(connection, closing(connection));
        },
        data: (connection, chunk) => void texts.set(connection, texts.get(connection) + chunk.toString()),
      });
      const peers: NetPeer[] = [];
      for (let i = 0; i < 3; i += 1) {
        const [peer] = await Promise.all([NetPeer.connect(address), next()]);
        peers.push(peer);
      }
      for (const peer of peers) peer.end('hello');
      const infos = await Promise.all(ends.values());
      expect(injected.entries.map(({ call, fault }) => `${call} ${fault}`)).toEqual([
        'recv EAGAIN',
        'recv ECONNRESET',
        'recv short',
      ]);
      expect(infos.map(({ by }) => by).sort()).toEqual(['error', 'peer', 'peer']);
      expect([...texts.values()].sort()).toEqual(['', 'hello', 'hello']);
    });

    it('of three connections that write in one turn, each has its own fault (102)', async () => {
      const { reactor, injected } = failing(stage, { send: { EAGAIN: [1], ECONNRESET: [2], short: [3] } });
      const { address, next } = await serving(reactor, { data() {} });
      const members: { peer: NetPeer; connection: Connection }[] = [];
      for (let i = 0; i < 3; i += 1) {
        const [peer, connection] = await Promise.all([NetPeer.connect(address), next()]);
        members.push({ peer, connection });
      }
      const [first, second, third] = members as [(typeof members)[0], (typeof members)[0], (typeof members)[0]];
      const lost = closing(second.connection);
      reactor.post(() => {
        for (const { connection } of members) connection.write('hello');
      });
      expect((await first.peer.receives(5)).toString()).toBe('hello');
      expect((await third.peer.receives(5)).toString()).toBe('hello');
      expect(await lost).toMatchObject({ by: 'error', error: { code: 'ECONNRESET', syscall: 'send' } });
      expect(injected.entries.map(({ fault }) => fault)).toEqual(['EAGAIN', 'ECONNRESET', 'short']);
      expect(second.peer.received).toHaveLength(0);
    });

    it('every send short, every second one refused: the counts sum to the whole (66, 102)', async () => {
      const even = upTo(2000).filter((number) => number % 2 === 0);
      const { reactor } = failing(stage, { send: { ENOBUFS: even, short: 1 } });
      const [client, server] = await pair(reactor);
      const data = pattern(300_000);
      const [counts, got] = await Promise.all([sent(reactor, client, data), received(reactor, server, data.length)]);
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(data.length);
      expect(got.equals(data)).toBe(true);
    });

    it('a gathered send that is cut goes on behind the cut (67, 102)', async () => {
      const { reactor, injected } = failing(stage, { send: { short: upTo(40) } });
      const { address, next } = await serving(reactor, { data() {} });
      const [peer, connection] = await Promise.all([NetPeer.connect(address), next()]);
      const data = pattern(90_000);
      for (let at = 0; at < data.length; at += 3000) connection.write(data.subarray(at, at + 3000));
      expect((await peer.receives(data.length)).equals(data)).toBe(true);
      expect(injected.entries.length).toBeGreaterThan(1);
    });

    it('a datagram is never cut', () => {
      const { reactor } = failing(stage, { '*': { short: 1 } });
      const [near, far] = reactor.socketPair({ type: 'datagram' }).map(owned) as [Socket, Socket];
      expect(near.send(Buffer.alloc(100))).toBe(100);
      expect(far.recv(Buffer.alloc(200))).toBe(100);
    });

    it('an EAGAIN after readiness is told again (40, 102)', async () => {
      const { reactor } = failing(stage, { recv: { EAGAIN: [1, 2, 3] } });
      const [near, far] = reactor.socketPair().map(owned) as [Socket, Socket];
      const counts = new Log<number>();
      reactor.register(near, READABLE, (socket) => counts.add(socket.recv(Buffer.alloc(8))));
      far.send(Buffer.from('hello'));
      await counts.reaches(4);
      expect(counts.entries).toEqual([WOULD_BLOCK, WOULD_BLOCK, WOULD_BLOCK, 5]);
    });
  },
  { only: 'kernel' },
);

describeBackends(
  'faults at the other calls',
  (stage) => {
    it('socket, bind, listen and connect tell their error, and leave nothing (58, 102)', async () => {
      const { reactor } = failing(stage, {
        socket: { EMFILE: [1] },
        bind: { EADDRINUSE: [1] },
        listen: { ENOBUFS: [1] },
        connect: { ENETUNREACH: [1] },
        finishConnect: { ETIMEDOUT: [1] },
      });
      const loopback = { host: '127.0.0.1', port: 0 };
      expect(thrown(() => reactor.socket())).toMatchObject({ code: 'EMFILE', syscall: 'socket' });
      expect(await rejection(reactor.listen(loopback))).toMatchObject({ code: 'EADDRINUSE', syscall: 'bind' });
      expect(await rejection(reactor.listen(loopback))).toMatchObject({ code: 'ENOBUFS', syscall: 'listen' });
      const { address } = await listening(reactor);
      expect(await rejection(reactor.connect(address))).toMatchObject({ code: 'ENETUNREACH', syscall: 'connect' });
      expect(await rejection(reactor.connect(address))).toMatchObject({ code: 'ETIMEDOUT', syscall: 'connect' });
      owned(await reactor.connect(address));
    });

    it('a connect that is interrupted goes on (D19)', async () => {
      const { reactor, injected } = failing(stage, { connect: { EINTR: [1] } });
      const { listener, address } = await listening(reactor);
      const client = owned(await reactor.connect(address));
      expect(client.remoteAddress).toEqual(address);
      await accepted(reactor, listener);
      expect(injected.entries).toHaveLength(1);
    });

    it('a blocking verb that is interrupted says so, and a look goes on (26, D19)', async () => {
      const { reactor } = failing(stage, { poll: { EINTR: [1, 2, 3, 4, 5, 6] } });
      const [near, far] = await pair(reactor);
      const { listener, address } = await listening(reactor);
      const into = Buffer.alloc(8);
      expect(near.recvSync(into, { timeoutMs: 1000 })).toBe(INTERRUPTED);
      expect(near.sendAllSync(into, { timeoutMs: 1000 })).toBe(INTERRUPTED);
      expect(listener.acceptSync({ timeoutMs: 1000 })).toBeNull();
      const client = owned(reactor.socket());
      expect(thrown(() => client.connectSync(address, { timeoutMs: 1000 }))).toMatchObject({ code: 'EINTR' });
      expect(reactor.selectSync([near], [], [], 1000)).toEqual([[], [], []]);
      far.send(into);
      await arrived(near, 8);
      expect(reactor.selectSync([near], [], [], 0)).toEqual([[near], [], []]);
      expect(near.recvSync(into, { timeoutMs: 1000 })).toBe(8);
    });

    it('fewer events than are ready: the others come with the next turns (41)', async () => {
      const { reactor } = failing(stage, { epoll_wait: { short: 1 } });
      const ready = Array.from({ length: 50 }, () => reactor.socketPair().map(owned)[0] as Socket);
      const told = new Log<Socket>();
      for (const socket of ready)
        reactor.register(socket, WRITABLE, (writable, _readiness, registration) => {
          registration.unregister();
          told.add(writable);
        });
      await told.reaches(ready.length);
      expect(new Set(told.entries).size).toBe(ready.length);
    });

    it('a reactor without faults beside one with them is not concerned', async () => {
      const { reactor: faulty } = failing(stage, { '*': { short: 0.3, EAGAIN: 0.3 } });
      const sound = stage.reactor();
      const data = pattern(200_000);
      const echo = async (server: Reactor, client: Reactor) => {
        const { address } = await serving(server, ECHO);
        const connection = await client.open(address);
        afterTest(() => connection.destroy());
        const chunks: Buffer[] = [];
        connection.on('data', (chunk) => chunks.push(chunk));
        for (let at = 0; at < data.length; at += 1000) {
          connection.write(data.subarray(at, at + 1000));
          if (at % 10_000 === 0) await rounds(1);
        }
        await until(() => Buffer.concat(chunks).length === data.length);
        expect(Buffer.concat(chunks).equals(data)).toBe(true);
        connection.end();
        await once(connection, 'close');
      };
      await Promise.all([echo(faulty, sound), echo(sound, faulty), echo(sound, sound), echo(faulty, faulty)]);
    });
  },
  { only: 'kernel' },
);
