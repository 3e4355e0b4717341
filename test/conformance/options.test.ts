/** Socket options: what is set is what is read, before a connection and on it. */
import type { Socket, SocketOptions } from '@fdset/reactor';
import { describe, expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { NetPeer, NetServer } from '../support/net-peer.js';
import { accepted, listening, owned, pair, received } from '../support/sockets.js';
import { thrown, until } from '../support/waiting.js';

type Row = readonly [name: keyof SocketOptions, value: boolean | number | string, read?: number];

/** What every backend has. */
const COMMON: Row[] = [
  ['noDelay', true],
  ['noDelay', false],
  ['keepAlive', true],
  ['keepAliveIdle', 77],
  ['reuseAddress', true],
  ['linger', 0],
  ['linger', false],
];

/** What needs the system's own calls; Linux doubles the buffers. */
const NATIVE: Row[] = [
  ['keepAliveInterval', 7],
  ['keepAliveCount', 4],
  ['receiveBuffer', 20_000, 40_000],
  ['sendBuffer', 20_000, 40_000],
  ['oobInline', true],
  ['userTimeout', 12_345],
  ['tos', 16],
  ['ttl', 33],
  ['quickAck', false],
  ['reusePort', true],
  ['broadcast', true],
  ['congestion', 'reno'],
  ['multicastLoop', false],
];

/** Ranges: what lies just outside them. */
const OUTSIDE: [name: keyof SocketOptions, ...values: (number | string)[]][] = [
  ['keepAliveIdle', 0, 32768, 1.5, Number.NaN],
  ['keepAliveInterval', 0, 32768],
  ['keepAliveCount', 0, 128],
  ['receiveBuffer', -1, 2 ** 31],
  ['sendBuffer', -1, 2 ** 31],
  ['userTimeout', -1],
  ['tos', -1, 256],
  ['ttl', 0, 256],
  ['deferAccept', -1],
  ['fastOpen', -1],
  ['mark', -1, 2 ** 32],
  ['congestion', '', 'a-name-that-is-too-long', 'new\nline'],
];

/** What each takes, by a value of another type. */
const WRONG_TYPES: [name: keyof SocketOptions, value: unknown][] = [
  ['reuseAddress', 1],
  ['keepAlive', 'yes'],
  ['keepAliveCount', true],
  ['receiveBuffer', '1000'],
  ['broadcast', null],
  ['oobInline', undefined],
  ['quickAck', 0],
  ['ttl', '5'],
  ['congestion', 1],
  ['mark', '1'],
  ['fastOpen', true],
  ['tcpInfo', {}],
  ['peerCredentials', {}],
];

describeBackends('options', (stage) => {
  describe.each([...COMMON.map((row) => [...row, 0] as const), ...NATIVE.map((row) => [...row, 1] as const)])(
    '%s %s',
    (...row) => {
      const [name, value] = row;
      const native = row.at(-1) === 1;
      const read = row.length === 4 ? row[2] : value;
      const check = native ? stage.needs('rawOptions') : it;

      check('is read as it was set, on a fresh socket and on a connected one', async () => {
        const reactor = stage.reactor();
        const fresh = owned(reactor.socket());
        const [connected] = await pair(reactor);
        for (const socket of [fresh, connected]) {
          socket.setOption(name, value as never);
          expect(socket.getOption(name)).toBe(read);
        }
      });
    },
  );

  it('what was set before the connect holds on the connection', async () => {
    const reactor = stage.reactor();
    const server = await NetServer.listen();
    const socket = owned(reactor.socket());
    socket.setOption('noDelay', true);
    socket.setOption('keepAlive', true);
    if (socket.connect(server.address) === 'connecting') await reactor.select([], [socket], []);
    expect(socket.finishConnect()).toBe(true);
    expect([socket.getOption('noDelay'), socket.getOption('keepAlive')]).toEqual([true, true]);
  });

  it('accepted sockets have what their listening socket had', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    listener.setOption('noDelay', true);
    listener.setOption('keepAlive', true);
    await NetPeer.connect(address);
    const socket = await accepted(reactor, listener);
    expect([socket.getOption('noDelay'), socket.getOption('keepAlive')]).toEqual([true, true]);
  });

  it('serve sets noDelay unless it is refused', async () => {
    const reactor = stage.reactor();
    for (const noDelay of [true, false]) {
      const seen: boolean[] = [];
      const listener = await reactor.serve(
        { host: '127.0.0.1', port: 0 },
        {
          open(connection) {
            seen.push(connection.socket.getOption('noDelay'));
            connection.destroy();
          },
        },
        { noDelay },
      );
      const peer = await NetPeer.connect(listener.socket.localAddress as { host: string; port: number });
      await peer.ended;
      expect(seen).toEqual([noDelay]);
      await listener.close();
    }
  });

  it('ipv6Only keeps IPv4 out (91)', async () => {
    const reactor = stage.reactor();
    const { address } = await listening(reactor, { host: '::', ipv6Only: true });
    await NetPeer.connect({ host: '::1', port: address.port });
    await expect(NetPeer.connect({ host: '127.0.0.1', port: address.port })).rejects.toThrow('ECONNREFUSED');
  });

  describe.each(['ipv4', 'ipv6'] as const)('of a datagram socket over %s', (family) => {
    stage.real('buffers that it doubles')('are read as they were set, before it is bound and on the bound one', () => {
      const reactor = stage.reactor();
      const socket = owned(reactor.socket({ type: 'datagram', family }));
      const rows = [
        ['broadcast', true],
        ['ttl', 33],
        ['multicastTtl', 0],
        ['multicastLoop', false],
        ['linger', 0],
      ] as const;
      const before = rows.map(([name]) => socket.getOption(name));
      expect(before).toEqual([false, 64, 1, true, false]);
      for (const [name, value] of rows) socket.setOption(name, value as never);
      expect(rows.map(([name]) => socket.getOption(name))).toEqual(rows.map(([, value]) => value));
      socket.setOption('receiveBuffer', 20_000);
      socket.setOption('sendBuffer', 30_000);
      socket.bind({ host: '', port: 0 });
      expect(rows.map(([name]) => socket.getOption(name))).toEqual(rows.map(([, value]) => value));
      // What the system tells: Linux doubles it.
      expect([socket.getOption('receiveBuffer'), socket.getOption('sendBuffer')]).toEqual([40_000, 60_000]);
      for (const [i, [name]] of rows.entries()) socket.setOption(name, before[i] as never);
      expect(rows.map(([name]) => socket.getOption(name))).toEqual(before);
      socket.setOption('receiveBuffer', 0);
      expect(socket.getOption('receiveBuffer')).toBeLessThan(10_000);
    });

    it('that are wrong change nothing, and those of TCP are refused', () => {
      const socket = owned(stage.reactor().socket({ type: 'datagram', family }));
      for (const [name, value, kind] of [
        ['ttl', 0, RangeError],
        ['ttl', 256, RangeError],
        ['ttl', '1', TypeError],
        ['multicastTtl', -1, RangeError],
        ['broadcast', 1, TypeError],
        ['multicastLoop', 'on', TypeError],
        ['receiveBuffer', 0.5, RangeError],
        ['sendBuffer', 2 ** 31, RangeError],
        ['linger', 5, RangeError],
      ] as const) {
        const error = thrown(() => socket.setOption(name, value as never));
        expect(error).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
        expect(error).toBeInstanceOf(kind);
        expect(error.message).toContain(name);
      }
      expect([socket.getOption('ttl'), socket.getOption('broadcast')]).toEqual([64, false]);
      for (const name of ['noDelay', 'keepAliveIdle'] as const)
        expect(['EOPNOTSUPP', 'ENOPROTOOPT', 'ENOTSUP']).toContain(thrown(() => socket.getOption(name)).code);
    });
  });

  const native = stage.needs('rawOptions');

  native('tos, ttl and their like are those of IPv6 on an IPv6 socket', () => {
    const reactor = stage.reactor();
    const [six, four] = (['ipv6', 'ipv4'] as const).map((family) =>
      owned(reactor.socket({ type: 'datagram', family })),
    ) as [Socket, Socket];
    const [IPPROTO_IP, IPPROTO_IPV6] = [0, 41];
    for (const [name, value, ipv6, ipv4] of [
      ['tos', 0x48, 67, 1],
      ['ttl', 77, 16, 2],
      ['multicastTtl', 5, 18, 33],
    ] as const) {
      six.setOption(name, value);
      four.setOption(name, value);
      expect([six.getOption(name), four.getOption(name)]).toEqual([value, value]);
      expect(six.getRawOption(IPPROTO_IPV6, ipv6, 4).readInt32LE()).toBe(value);
      expect(four.getRawOption(IPPROTO_IP, ipv4, 4)[0]).toBe(value);
    }
    six.setOption('ipv6Only', true);
    expect(six.getOption('ipv6Only')).toBe(true);
    expect(thrown(() => four.setOption('ipv6Only', true))).toMatchObject({ code: 'ENOPROTOOPT' });
  });

  native('those of a listening socket: deferAccept, which the system rounds up, and fastOpen', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor, { deferAccept: 5 });
    expect(listener.getOption('deferAccept')).toBeGreaterThanOrEqual(5);
    listener.setOption('deferAccept', 0);
    expect(listener.getOption('deferAccept')).toBe(0);
    listener.setOption('fastOpen', 7);
    expect(listener.getOption('fastOpen')).toBe(7);
    const client = owned(await reactor.connect(address));
    expect(thrown(() => client.setOption('fastOpen', 7))).toMatchObject({ code: 'EINVAL' });
  });

  native('mark is an unsigned number', (context) => {
    const socket = owned(stage.reactor().socket());
    expect(socket.getOption('mark')).toBe(0);
    for (const mark of [1, 0x7fff_ffff, 0xffff_ffff]) {
      try {
        socket.setOption('mark', mark);
      } catch (error) {
        expect(error).toMatchObject({ code: 'EPERM', syscall: 'setsockopt' });
        context.skip('setting a mark takes CAP_NET_ADMIN');
      }
      expect(socket.getOption('mark')).toBe(mark);
    }
  });

  native('congestion: an algorithm that the system lacks is ENOENT', () => {
    const socket = owned(stage.reactor().socket());
    expect(socket.getOption('congestion')).toMatch(/^[a-z]+$/);
    expect(thrown(() => socket.setOption('congestion', 'nosuch'))).toMatchObject({ code: 'ENOENT' });
  });

  native('tcpInfo tells of a connection what has passed over it', async () => {
    const reactor = stage.reactor();
    const [client, server] = await pair(reactor);
    const [ESTABLISHED, CLOSE] = [1, 7];
    client.send(Buffer.alloc(1000));
    await received(reactor, server, 1000);
    const info = server.getOption('tcpInfo');
    expect(info).toMatchObject({ state: ESTABLISHED, bytesReceived: 1000, dataSegmentsIn: 1, retransmits: 0 });
    expect(Object.values(info).every((value) => Number.isInteger(value) && value >= 0)).toBe(true);
    expect([info.sendMss, info.rto, info.congestionWindow, info.pmtu].every((value) => value > 0)).toBe(true);
    await until(() => client.getOption('tcpInfo').bytesAcked >= 1000);
    expect(client.getOption('tcpInfo')).toMatchObject({ dataSegmentsOut: 1, notSentBytes: 0, unacked: 0 });
    expect(owned(reactor.socket()).getOption('tcpInfo').state).toBe(CLOSE);
    const datagram = owned(reactor.socket({ type: 'datagram' }));
    expect(thrown(() => datagram.getOption('tcpInfo'))).toMatchObject({ name: 'SocketError', syscall: 'getsockopt' });
  });

  describe.each(OUTSIDE)('%s', (name, ...values) => {
    native('outside its range is a RangeError, and nothing is set', () => {
      const socket = owned(stage.reactor().socket());
      const before = socket.getOption(name);
      for (const value of values) {
        const error = thrown(() => socket.setOption(name, value as never));
        expect(error).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT', name: 'RangeError' });
        expect(error.message).toContain(name);
      }
      expect(socket.getOption(name)).toEqual(before);
    });
  });

  describe.each(WRONG_TYPES)('%s', (name, value) => {
    native('of a wrong type is a TypeError', () => {
      const error = thrown(() => owned(stage.reactor().socket()).setOption(name, value as never));
      expect(error).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT', name: 'TypeError' });
      expect(error.message).toContain(name);
    });
  });

  native('what a unix socket has no use for is refused by the system', () => {
    const socket = owned(stage.reactor().socket({ family: 'unix' }));
    for (const name of ['noDelay', 'ttl', 'congestion', 'tcpInfo', 'multicastTtl', 'multicastInterface'] as const)
      expect(['ENOTSUP', 'ENOPROTOOPT']).toContain(thrown(() => socket.getOption(name)).code);
    socket.setOption('sendBuffer', 20_000);
    expect(socket.getOption('sendBuffer')).toBe(40_000);
  });

  native('raw options are read and set by the system’s numbers', async () => {
    const reactor = stage.reactor();
    const [socket] = await pair(reactor);
    const [IPPROTO_TCP, TCP_NODELAY, TCP_INFO] = [6, 1, 11];
    expect(socket.getRawOption(IPPROTO_TCP, TCP_NODELAY, 4).readInt32LE()).toBe(1);
    const off = Buffer.alloc(4);
    socket.setRawOption(IPPROTO_TCP, TCP_NODELAY, off);
    expect(socket.getOption('noDelay')).toBe(false);
    // TCP_ESTABLISHED is the state's first byte.
    expect(socket.getRawOption(IPPROTO_TCP, TCP_INFO, 192)[0]).toBe(1);
    expect(thrown(() => socket.getRawOption(IPPROTO_TCP, 9999, 4))).toMatchObject({ code: 'ENOPROTOOPT' });
    expect(thrown(() => socket.getRawOption(IPPROTO_TCP, TCP_INFO, -1))).toMatchObject({
      code: 'ERR_REACTOR_ARGUMENT',
    });
    expect(thrown(() => socket.setRawOption(6, 1, 'x' as never))).toMatchObject({ code: 'ERR_REACTOR_BUFFER' });
  });
});
