/** Datagram sockets over IPv4 and IPv6, unconnected and connected, and the errors that their peers' hosts report. */
import { type Address, ERROR, type InetAddress, MSG_PEEK, READABLE, WOULD_BLOCK } from '@fdset/reactor';
import { describe, expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { bound, receivedFrom, refusal, textFrom } from '../support/datagrams.js';
import { owned } from '../support/sockets.js';
import { Log, thrown, until } from '../support/waiting.js';

describeBackends('datagrams', (stage) => {
  describe.each(['ipv4', 'ipv6'] as const)('over %s', (family) => {
    it('go to where each is sent, and tell where they came from (88)', async () => {
      const reactor = stage.reactor();
      const server = bound(reactor, family);
      const [one, two] = [bound(reactor, family), bound(reactor, family)];
      expect([server.socket.type, server.socket.family]).toEqual(['datagram', family]);
      expect(server.socket.recvFrom(Buffer.alloc(8))).toBeNull();
      expect(one.socket.sendTo(Buffer.from('first'), server.address)).toBe(5);
      expect(two.socket.sendTo(Buffer.from('second'), server.address)).toBe(6);
      const received = [await receivedFrom(reactor, server.socket), await receivedFrom(reactor, server.socket)];
      expect(received).toEqual([
        ['first', { bytes: 5, address: one.address, truncated: false }],
        ['second', { bytes: 6, address: two.address, truncated: false }],
      ]);
      for (const [text, { address }] of received) server.socket.sendTo(Buffer.from(`re: ${text}`), address);
      expect([await textFrom(reactor, one.socket), await textFrom(reactor, two.socket)]).toEqual([
        're: first',
        're: second',
      ]);
    });

    it('of a connected socket need no address, come from its peer alone, and it can be reconnected (88)', async () => {
      const reactor = stage.reactor();
      const [server, other] = [bound(reactor, family), bound(reactor, family)];
      const client = owned(reactor.socket({ type: 'datagram', family }));
      expect(client.remoteAddress).toBeUndefined();
      expect(thrown(() => client.send(Buffer.from('x')))).toMatchObject({ code: 'EDESTADDRREQ', syscall: 'send' });
      expect(client.connect(server.address)).toBe('connected');
      expect(client.remoteAddress).toEqual(server.address);
      client.send(Buffer.from('one'));
      expect((await receivedFrom(reactor, server.socket))[1].address).toEqual(client.localAddress);
      const [to, into] = [client.localAddress as InetAddress, Buffer.alloc(8)];
      // What a stranger sends is dropped by the system; loopback keeps the order.
      other.socket.sendTo(Buffer.from('stranger'), to);
      server.socket.sendTo(Buffer.from('peer'), to);
      await reactor.select([client], [], []);
      expect([client.recv(into), into.toString('latin1', 0, 4)]).toEqual([4, 'peer']);
      expect(client.recv(into)).toBe(WOULD_BLOCK);
      expect(client.connect(other.address)).toBe('connected');
      client.sendv([Buffer.from('tw'), Buffer.from('o')]);
      expect(await textFrom(reactor, other.socket)).toBe('two');
    });

    it('may be empty, and an empty one is no end of a stream (88)', async () => {
      const reactor = stage.reactor();
      const { socket, address } = bound(reactor, family);
      const sender = bound(reactor, family);
      expect(sender.socket.sendTo(Buffer.alloc(0), address)).toBe(0);
      expect(sender.socket.sendTo(Buffer.alloc(0), address)).toBe(0);
      sender.socket.sendTo(Buffer.from('x'), address);
      expect(await receivedFrom(reactor, socket)).toEqual([
        '',
        { bytes: 0, address: sender.address, truncated: false },
      ]);
      expect([socket.recv(Buffer.alloc(4)), socket.recv(Buffer.alloc(4))]).toEqual([0, 1]);
      for (const call of [() => socket.recvFrom(Buffer.alloc(0)), () => socket.recv(Buffer.alloc(0))])
        expect(thrown(call)).toMatchObject({ code: 'ERR_REACTOR_BUFFER' });
    });

    it('that are too long are refused with EMSGSIZE, and the socket goes on (88)', async () => {
      const reactor = stage.reactor();
      const [{ socket, address }, sender] = [bound(reactor, family), bound(reactor, family)];
      expect(thrown(() => sender.socket.sendTo(Buffer.alloc(70_000), address))).toMatchObject({
        code: 'EMSGSIZE',
        syscall: 'sendto',
        port: address.port,
      });
      sender.socket.connect(address);
      const parts = Array.from({ length: 1025 }, () => Buffer.from('x'));
      expect(thrown(() => sender.socket.sendv(parts))).toMatchObject({ code: 'EMSGSIZE', syscall: 'send' });
      expect(sender.socket.sendv(parts.slice(1))).toBe(1024);
      expect((await receivedFrom(reactor, socket))[1].bytes).toBe(1024);
      expect(sender.socket.sendTo(Buffer.alloc(60_000, 'x'), address)).toBe(60_000);
      expect((await receivedFrom(reactor, socket))[1].bytes).toBe(60_000);
    });

    it('longer than the buffer are cut, which is told, and the rest is not the next one (U2)', async () => {
      const reactor = stage.reactor();
      const [{ socket, address }, sender] = [bound(reactor, family), bound(reactor, family)];
      sender.socket.sendTo(Buffer.from('too long'), address);
      sender.socket.sendTo(Buffer.from('fits'), address);
      await reactor.select([socket], [], []);
      const into = Buffer.alloc(4);
      expect(socket.recvFrom(into, MSG_PEEK)).toMatchObject({ bytes: 4, truncated: true });
      expect(socket.recvFrom(into)).toMatchObject({ bytes: 4, truncated: true });
      expect(into.toString()).toBe('too ');
      expect(socket.recvFrom(into)).toMatchObject({ bytes: 4, truncated: false });
      expect(into.toString()).toBe('fits');
    });
  });

  it('that nobody received: ECONNREFUSED on a connected socket is told once, and it goes on (89, U1)', async () => {
    const reactor = stage.reactor();
    const gone = bound(reactor);
    gone.socket.close();
    const client = owned(reactor.socket({ type: 'datagram' }));
    client.connect(gone.address);
    const into = Buffer.alloc(8);
    const provoke = async () => {
      client.send(Buffer.from('anyone?'));
      expect(await reactor.select([], [], [client])).toEqual([[], [], [client]]);
    };
    const refused = { name: 'SocketError', code: 'ECONNREFUSED', port: gone.address.port };
    await provoke();
    expect(thrown(() => client.recvFrom(into))).toMatchObject({ ...refused, syscall: 'recvfrom' });
    await provoke();
    expect(thrown(() => client.send(Buffer.from('x')))).toMatchObject({ ...refused, syscall: 'send' });
    await provoke();
    expect(client.takeError()).toMatchObject(refused);
    expect(client.takeError()).toBeNull();
    expect(await reactor.select([], [], [client], 0)).toEqual([[], [], []]);
    const back = owned(reactor.socket({ type: 'datagram' }));
    back.bind(gone.address);
    client.send(Buffer.from('now'));
    const [text, { address }] = await receivedFrom(reactor, back);
    expect(text).toBe('now');
    // An error that was taken says nothing about an empty datagram behind it.
    back.sendTo(Buffer.alloc(0), address);
    await reactor.select([client], [], []);
    expect(client.recv(into)).toBe(0);
  });

  stage.needs('rawOptions')(
    'with IP_RECVERR the errors stand in a queue, and takeError takes them one by one (89, U1)',
    async () => {
      const reactor = stage.reactor();
      const { socket, address } = bound(reactor);
      const [one, two] = [bound(reactor), bound(reactor)];
      one.socket.close();
      two.socket.close();
      const [IPPROTO_IP, IP_RECVERR] = [0, 11];
      socket.setRawOption(IPPROTO_IP, IP_RECVERR, Buffer.from(Int32Array.of(1).buffer));
      socket.sendTo(Buffer.from('x'), one.address);
      await reactor.select([], [], [socket]);
      const calls = new Log<string>();
      // Sending is refused while an error is pending: that much the system tells of the first.
      expect(thrown(() => socket.sendTo(Buffer.from('x'), two.address))).toMatchObject({ code: 'ECONNREFUSED' });
      socket.sendTo(Buffer.from('x'), two.address);
      reactor.register(socket, ERROR, (ready, _readiness, registration) => {
        for (let error = ready.takeError(); error !== null; error = ready.takeError())
          calls.add(`${error.code} ${error.port}`);
        if (calls.entries.length >= 2) registration.unregister();
      });
      await calls.reaches(2);
      expect(calls.entries).toEqual([`ECONNREFUSED ${one.address.port}`, `ECONNREFUSED ${two.address.port}`]);
      expect(await reactor.select([], [], [socket], 0)).toEqual([[], [], []]);
      socket.sendTo(Buffer.from('itself'), address);
      expect(await textFrom(reactor, socket)).toBe('itself');
    },
  );

  it('to a broadcast address need the option broadcast (88)', async () => {
    const reactor = stage.reactor();
    const { socket, address } = bound(reactor, 'ipv4', '');
    const to = { host: '127.255.255.255', port: address.port };
    expect(await refusal(reactor, socket, () => socket.sendTo(Buffer.from('all'), to))).toMatchObject({
      code: 'EACCES',
      address: to.host,
    });
    socket.setOption('broadcast', true);
    expect(socket.getOption('broadcast')).toBe(true);
    expect(socket.sendTo(Buffer.from('all'), to)).toBe(3);
    expect(await textFrom(reactor, socket)).toBe('all');
  });

  it('of IPv4 reach an IPv6 socket, unless it is ipv6Only (91)', async () => {
    const reactor = stage.reactor();
    const sender = bound(reactor);
    const dual = owned(reactor.socket({ type: 'datagram', family: 'ipv6' }));
    dual.setOption('ipv6Only', false);
    dual.bind({ host: '', port: 0 });
    const { port } = dual.localAddress as InetAddress;
    sender.socket.sendTo(Buffer.from('mapped'), { host: '127.0.0.1', port });
    const [text, { address }] = await receivedFrom(reactor, dual);
    expect([text, address]).toEqual(['mapped', { host: '::ffff:127.0.0.1', port: sender.address.port }]);
    expect(dual.sendTo(Buffer.from('back'), address)).toBe(4);
    expect(await receivedFrom(reactor, sender.socket)).toMatchObject([
      'back',
      { address: { host: '127.0.0.1', port } },
    ]);
    const only = owned(reactor.socket({ type: 'datagram', family: 'ipv6' }));
    only.setOption('ipv6Only', true);
    only.bind({ host: '', port: 0 });
    sender.socket.connect({ host: '127.0.0.1', port: (only.localAddress as InetAddress).port });
    sender.socket.send(Buffer.from('x'));
    await reactor.select([], [], [sender.socket]);
    expect(sender.socket.takeError()).toMatchObject({ code: 'ECONNREFUSED' });
    expect(await refusal(reactor, only, () => only.sendTo(Buffer.from('x'), address))).toMatchObject({
      code: 'ENETUNREACH',
    });
  });

  stage.needs('reusePort')(
    'are shared between sockets with reusePort, each sender always by the same one (92)',
    async () => {
      const reactor = stage.reactor();
      const make = (address: Address) => {
        const socket = owned(reactor.socket({ type: 'datagram' }));
        socket.setOption('reusePort', true);
        socket.bind(address);
        return socket;
      };
      const first = make({ host: '127.0.0.1', port: 0 });
      const second = make(first.localAddress as Address);
      const [SENDERS, EACH] = [32, 3];
      for (let i = 0; i < SENDERS; i += 1) {
        const { socket } = bound(reactor);
        for (let n = 0; n < EACH; n += 1) socket.sendTo(Buffer.from('x'), first.localAddress as Address);
      }
      const seen: [number[], number[]] = [[], []];
      await until(() => {
        for (const [i, socket] of [first, second].entries())
          for (let r = socket.recvFrom(Buffer.alloc(8)); r !== null; r = socket.recvFrom(Buffer.alloc(8)))
            seen[i as 0 | 1].push((r.address as InetAddress).port);
        return seen[0].length + seen[1].length >= SENDERS * EACH;
      });
      expect(seen[0].length + seen[1].length).toBe(SENDERS * EACH);
      expect(seen[0].filter((port) => seen[1].includes(port))).toEqual([]);
      // All on one side would be a chance of 2 to the -31.
      expect(Math.min(seen[0].length, seen[1].length)).toBeGreaterThan(0);
      const alone = owned(reactor.socket({ type: 'datagram' }));
      expect(await refusal(reactor, alone, () => alone.bind(first.localAddress as Address))).toMatchObject({
        code: 'EADDRINUSE',
        syscall: 'bind',
      });
    },
  );

  it('spurious readiness is a null: another handler may have taken the datagram (R4)', async () => {
    const reactor = stage.reactor();
    const [{ socket, address }, sender] = [bound(reactor), bound(reactor)];
    const seen = new Log<number | null>();
    reactor.register(socket, READABLE, (ready) => {
      for (let n = 0; n < 2; n += 1) seen.add(ready.recvFrom(Buffer.alloc(8))?.bytes ?? null);
    });
    sender.socket.sendTo(Buffer.from('one'), address);
    await seen.reaches(2);
    expect(seen.entries).toEqual([3, null]);
  });

  stage.needs('rawOptions')(
    'the flow information of an IPv6 address crosses, and comes back of getpeername',
    async () => {
      const reactor = stage.reactor();
      const server = bound(reactor, 'ipv6');
      const client = owned(reactor.socket({ type: 'datagram', family: 'ipv6' }));
      const [IPPROTO_IPV6, IPV6_FLOWINFO_SEND] = [41, 33];
      client.setRawOption(IPPROTO_IPV6, IPV6_FLOWINFO_SEND, Buffer.from(Int32Array.of(1).buffer));
      // The traffic class 0x20; a label would have to be leased.
      client.connect({ ...server.address, flowInfo: 0x0200_0000 });
      expect(client.remoteAddress).toEqual({ ...server.address, flowInfo: 0x0200_0000 });
    },
  );

  it('addresses of a wrong form or family are refused, and nothing is sent', async () => {
    const reactor = stage.reactor();
    const [{ socket, address }, six] = [bound(reactor), bound(reactor, 'ipv6')];
    const bytes = Buffer.from('x');
    const cases: [call: () => unknown, kind: typeof TypeError | typeof RangeError, code: string, message: string][] = [
      [() => socket.sendTo(bytes, six.address), TypeError, 'ERR_REACTOR_ADDRESS', "ipv4 literal, got '::1'"],
      [() => socket.sendTo(bytes, { path: '/x' }), TypeError, 'ERR_REACTOR_ADDRESS', 'takes { host, port }'],
      [() => socket.sendTo(bytes, undefined as never), TypeError, 'ERR_REACTOR_ADDRESS', 'got undefined'],
      [() => socket.sendTo(bytes, { host: 'a.test', port: 1 }), TypeError, 'ERR_REACTOR_NAME', "'a.test' is a name"],
      [() => socket.sendTo('x' as never, address), TypeError, 'ERR_REACTOR_BUFFER', 'sendTo takes'],
      [() => socket.sendTo(bytes, address, 1), RangeError, 'ERR_REACTOR_ARGUMENT', 'sendTo takes the flags'],
      [() => socket.recvFrom({} as never), TypeError, 'ERR_REACTOR_BUFFER', 'recvFrom takes'],
      [() => socket.recvFrom(bytes, 4), RangeError, 'ERR_REACTOR_ARGUMENT', 'recvFrom takes the flags'],
      [
        () => six.socket.sendTo(bytes, { ...six.address, scopeId: 2 ** 32 }),
        RangeError,
        'ERR_REACTOR_ADDRESS',
        'scopeId must be an integer from 0 to 4294967295',
      ],
      [
        () => six.socket.connect({ ...six.address, flowInfo: '1' as never }),
        TypeError,
        'ERR_REACTOR_ADDRESS',
        "flowInfo must be a number, got '1'",
      ],
      [
        () => reactor.socket({ type: 'datagram', protocol: 'udp' as never }),
        TypeError,
        'ERR_REACTOR_ARGUMENT',
        "protocol must be an integer, got 'udp'",
      ],
    ];
    for (const [call, kind, code, message] of cases) {
      const error = thrown(call);
      expect(error).toMatchObject({ code });
      expect(error).toBeInstanceOf(kind);
      expect(error.message).toContain(message);
    }
    // In memory there are no interfaces that a zone could name.
    if (stage.backend !== 'simulated')
      expect(thrown(() => six.socket.sendTo(bytes, { host: 'fe80::1%nosuch', port: 9 }))).toMatchObject({
        code: 'ENODEV',
        message: expect.stringContaining("there is no interface 'nosuch'"),
      });
    expect(socket.recvFrom(Buffer.alloc(8))).toBeNull();
  });
});
