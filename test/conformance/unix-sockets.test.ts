/** Unix sockets: streams, datagrams and sequenced packets; paths, abstract names and names that the system makes up. */
import { existsSync, statSync, unlinkSync } from 'node:fs';
import path from 'node:path';
import { ERROR, READABLE, type Socket, type UnixAddress, WOULD_BLOCK } from '@fdset/reactor';
import { describe, expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { receivedFrom } from '../support/datagrams.js';
import { accepted, digest, owned, pattern, received, sent } from '../support/sockets.js';
import { abstractName, folder, unixPair } from '../support/unix.js';
import { thrown } from '../support/waiting.js';

describeBackends('unix sockets', (stage) => {
  describe.each(['a path', 'an abstract name'] as const)('by %s', (kind) => {
    const name = () => (kind === 'a path' ? path.join(folder(), 'socket') : abstractName());
    const abstract = kind === 'a path' ? [] : (['abstractUnix'] as const);
    const check = stage.needs('syncBind', ...abstract);

    check('a stream is listened on, connected to, and tells both addresses (93)', async () => {
      const reactor = stage.reactor();
      const address = { path: name() };
      const listener = owned(reactor.socket({ family: 'unix' }));
      listener.bind(address);
      listener.listen();
      expect([listener.localAddress, listener.type, listener.family]).toEqual([address, 'stream', 'unix']);
      const client = owned(reactor.socket({ family: 'unix' }));
      expect(client.connect(address)).toBe('connected');
      const server = await accepted(reactor, listener);
      expect([client.remoteAddress, client.localAddress, server.localAddress]).toEqual([address, undefined, address]);
      expect(server.remoteAddress).toBeUndefined();
      const data = pattern(1 << 20);
      const [counts, got] = await Promise.all([sent(reactor, client, data), received(reactor, server, data.length)]);
      expect(counts.length).toBeGreaterThan(1);
      expect(digest(got)).toBe(digest(data));
      client.close();
      expect(server.recv(Buffer.alloc(1))).toBe(0);
      expect(thrown(() => server.send(Buffer.from('x')))).toMatchObject({ code: 'EPIPE' });
    });

    stage.needs('unixDatagram', ...abstract)(
      'datagrams go to names, and come from names or from nobody (93)',
      async () => {
        const reactor = stage.reactor();
        const [address, mine] = [{ path: name() }, { path: name() }];
        const server = owned(reactor.socket({ type: 'datagram', family: 'unix' }));
        server.bind(address);
        const client = owned(reactor.socket({ type: 'datagram', family: 'unix' }));
        expect(client.sendTo(Buffer.from('nameless'), address)).toBe(8);
        expect(await receivedFrom(reactor, server)).toEqual([
          'nameless',
          { bytes: 8, address: { path: '' }, truncated: false },
        ]);
        client.bind(mine);
        client.connect(address);
        client.send(Buffer.alloc(0));
        expect(await receivedFrom(reactor, server)).toEqual(['', { bytes: 0, address: mine, truncated: false }]);
        server.sendTo(Buffer.from('answer'), mine);
        expect(await receivedFrom(reactor, client, 3)).toEqual(['ans', { bytes: 3, address, truncated: true }]);
        server.close();
        expect(thrown(() => client.send(Buffer.from('x')))).toMatchObject({ code: 'ECONNREFUSED' });
      },
    );

    stage.needs('seqpacket', ...abstract)('sequenced packets are connected, and keep their ends (93)', async () => {
      const reactor = stage.reactor();
      const address = { path: name() };
      const listener = owned(reactor.socket({ type: 'seqpacket', family: 'unix' }));
      listener.bind(address);
      listener.listen();
      const client = owned(reactor.socket({ type: 'seqpacket', family: 'unix' }));
      client.connect(address);
      const server = await accepted(reactor, listener);
      expect([server.type, server.family]).toEqual(['seqpacket', 'unix']);
      client.send(Buffer.from('one'));
      client.sendv([Buffer.from('tw'), Buffer.from('o')]);
      const into = Buffer.alloc(16);
      expect([server.recv(into), server.recv(into), server.recv(into)]).toEqual([3, 3, WOULD_BLOCK]);
      client.send(Buffer.from('cut off'));
      expect(server.recvFrom(into.subarray(0, 3))).toMatchObject({ bytes: 3, truncated: true });
      client.shutdown('write');
      expect(server.recv(into)).toBe(0);
    });

    check('a name that is taken is EADDRINUSE, one that nobody has is an error of connect (93)', () => {
      const reactor = stage.reactor();
      const address = { path: name() };
      const [first, second, client] = [0, 1, 2].map(() => owned(reactor.socket({ family: 'unix' }))) as [
        Socket,
        Socket,
        Socket,
      ];
      first.bind(address);
      expect(thrown(() => second.bind(address))).toMatchObject({
        code: 'EADDRINUSE',
        syscall: 'bind',
        address: address.path,
      });
      const missing = { path: name() };
      expect(thrown(() => client.connect(missing))).toMatchObject({
        code: kind === 'a path' ? 'ENOENT' : 'ECONNREFUSED',
        syscall: 'connect',
        address: missing.path,
      });
    });
  });

  stage.real('path in the file system', 'syncBind')(
    'a path outlives its socket; an abstract name goes with it (93)',
    () => {
      const reactor = stage.reactor();
      const place = path.join(folder(), 'socket');
      const [address, hidden] = [{ path: place }, { path: abstractName() }];
      for (const each of [address, hidden]) {
        const socket = owned(reactor.socket({ family: 'unix' }));
        socket.bind(each);
        socket.close();
      }
      expect(statSync(place).isSocket()).toBe(true);
      const again = owned(reactor.socket({ family: 'unix' }));
      expect(thrown(() => again.bind(address))).toMatchObject({ code: 'EADDRINUSE' });
      unlinkSync(place);
      again.bind(address);
      expect(existsSync(place)).toBe(true);
      owned(reactor.socket({ family: 'unix' })).bind(hidden);
    },
  );

  stage.needs('unixDatagram', 'abstractUnix')(
    'an empty path has the system make up an abstract name (93)',
    async () => {
      const reactor = stage.reactor();
      const [one, two] = [0, 1].map(() => {
        const socket = owned(reactor.socket({ type: 'datagram', family: 'unix' }));
        socket.bind({ path: '' });
        return socket;
      }) as [Socket, Socket];
      const names = [one.localAddress, two.localAddress] as [UnixAddress, UnixAddress];
      for (const { path: made } of names) expect(made).toMatch(/^\0[0-9a-f]{5}$/);
      expect(names[0]).not.toEqual(names[1]);
      one.sendTo(Buffer.from('hello'), names[1]);
      expect(await receivedFrom(reactor, two)).toEqual(['hello', { bytes: 5, address: names[0], truncated: false }]);
      expect(thrown(() => one.sendTo(Buffer.from('x'), { path: '' }))).toMatchObject({ code: 'ERR_REACTOR_ADDRESS' });
      expect(thrown(() => owned(reactor.socket()).bind({ path: '' }))).toMatchObject({ code: 'ERR_REACTOR_ADDRESS' });
    },
  );

  stage.real(
    'path in the file system',
    'syncBind',
    'unixDatagram',
  )('a path of 107 bytes is bound, a longer one is ENAMETOOLONG and no shorter one is (93)', () => {
    const reactor = stage.reactor();
    const base = `${folder()}/`;
    const fits = base + 'x'.repeat(107 - base.length);
    owned(reactor.socket({ family: 'unix' })).bind({ path: fits });
    expect(existsSync(fits)).toBe(true);
    const abstract = `\0${String(process.pid).padEnd(107, 'y')}`;
    owned(reactor.socket({ family: 'unix' })).bind({ path: abstract });
    const socket = owned(reactor.socket({ type: 'datagram', family: 'unix' }));
    // Characters of several bytes lie across the limit: none of them may be cut off in silence.
    const wide = base + 'x'.repeat(105 - base.length);
    const long = [
      `${fits}x`,
      base + 'x'.repeat(300),
      `${wide}\u20ac`,
      `${wide}xx\u20ac`,
      `${wide}\u{1f600}`,
      `${abstract}y`,
    ];
    for (const each of long) {
      const error = { code: 'ENAMETOOLONG', address: each };
      expect(thrown(() => socket.bind({ path: each }))).toMatchObject(error);
      expect(thrown(() => socket.connect({ path: each }))).toMatchObject(error);
      expect(thrown(() => socket.sendTo(Buffer.from('x'), { path: each }))).toMatchObject(error);
    }
    expect(socket.localAddress).toBeUndefined();
  });

  describe.each(['stream', 'datagram', 'seqpacket'] as const)('a pair of %s sockets', (type) => {
    const pairs = type === 'seqpacket' ? (['socketPair', type] as const) : (['socketPair'] as const);
    stage.needs(...pairs)('is connected, speaks both ways, and is told to the reactor', async () => {
      const reactor = stage.reactor();
      const [one, two] = unixPair(reactor, type);
      expect([one.type, one.family, one.localAddress]).toEqual([type, 'unix', undefined]);
      const readable = reactor.select([two], [], []);
      one.send(Buffer.from('to and'));
      expect(await readable).toEqual([[two], [], []]);
      const into = Buffer.alloc(8);
      expect(two.recv(into)).toBe(6);
      two.send(Buffer.from('fro'));
      expect(one.recvFrom(into)).toMatchObject({ bytes: 3, address: { path: '' } });
      expect(one.recv(into)).toBe(WOULD_BLOCK);
    });
  });

  stage.needs('socketPair', 'seqpacket')(
    'a sender waits for room and goes on when the receiver has read: no packet is lost',
    async () => {
      const reactor = stage.reactor();
      const [near, far] = unixPair(reactor, 'seqpacket');
      near.setOption('sendBuffer', 4096);
      let taken = 0;
      while (near.send(Buffer.from(`packet ${taken}`)) !== WOULD_BLOCK) taken += 1;
      expect(await reactor.select([], [near], [], 0)).toEqual([[], [], []]);
      const into = Buffer.alloc(32);
      for (let i = 0; i < taken; i += 1) {
        const count = far.recv(into);
        expect(into.toString('latin1', 0, count)).toBe(`packet ${i}`);
      }
      expect(await reactor.select([], [near], [])).toEqual([[], [near], []]);
      expect(near.send(Buffer.from('more'))).toBe(4);
    },
  );

  if (!stage.capabilities.unixDatagram)
    it('what is not there is refused with its capability', () => {
      const reactor = stage.reactor();
      const stream = owned(reactor.socket({ family: 'unix' }));
      for (const [capability, call] of [
        ['unixDatagram', () => reactor.socket({ type: 'datagram', family: 'unix' })],
        ['seqpacket', () => reactor.socket({ type: 'seqpacket', family: 'unix' })],
        ['socketPair', () => reactor.socketPair()],
        ['descriptorPassing', () => stream.sendDescriptors([0], Buffer.from('x'))],
        ['descriptorPassing', () => stream.recvDescriptors(Buffer.alloc(1))],
        ['rawOptions', () => stream.getOption('peerCredentials')],
      ] as const) {
        const error = thrown(call);
        expect(error).toMatchObject({ code: 'ENOTSUP' });
        expect(error.message).toContain(`'${capability}'`);
      }
    });

  stage.needs('seqpacket')('the end of a seqpacket peer is a hang-up, and its rest can still be read', async () => {
    const reactor = stage.reactor();
    const [near, far] = unixPair(reactor, 'seqpacket');
    far.send(Buffer.from('rest'));
    far.close();
    expect(await reactor.select([near], [], [near])).toEqual([[near], [], []]);
    const registration = reactor.register(near, READABLE | ERROR, () => {});
    expect(near.recv(Buffer.alloc(8))).toBe(4);
    expect(near.recv(Buffer.alloc(8))).toBe(0);
    registration.unregister();
  });
});
