/** Socket options: what is set is what is read, before a connection and on it. */
import type { SocketOptions } from '@fdset/reactor';
import { describe, expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { NetPeer, NetServer } from '../support/net-peer.js';
import { accepted, listening, owned, pair } from '../support/sockets.js';
import { thrown } from '../support/waiting.js';

type Row = readonly [name: keyof SocketOptions, value: boolean | number, read?: number];

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

  stage.needs('rawOptions')('raw options are read and set by the system’s numbers', async () => {
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
