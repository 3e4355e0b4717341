/** Options and arguments: kept, applied, refused. */
import net from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { MSG_MORE, MSG_OOB, MSG_PEEK, READABLE, WRITABLE } from '../../readiness.js';
import type { BackendSocket } from '../backend.js';
import { features } from './capabilities.js';
import { codeOf, host, hostEachTest, into, plainPeer, plainServer } from './test-host.js';

hostEachTest();

describe('options', () => {
  test('what is set before the connect is kept and applied', async () => {
    const noDelay = vi.spyOn(net.Socket.prototype, 'setNoDelay');
    const keepAlive = vi.spyOn(net.Socket.prototype, 'setKeepAlive');
    const port = await plainServer(() => {});
    const socket = host.socket();
    socket.setOption('noDelay', true);
    socket.setOption('keepAlive', true);
    socket.setOption('keepAliveIdle', 30);
    socket.connect({ host: '127.0.0.1', port });
    await host.ready(socket, WRITABLE);
    expect(noDelay.mock.calls).toEqual([[true]]);
    // Newer Nodes pass on how often it probes, too: without, libuv would do it once a second.
    expect(keepAlive.mock.calls).toEqual([features.keepAliveProbes ? [true, 30_000, 75_000, 9] : [true, 30_000]]);
    expect(socket.getOption('keepAliveIdle')).toBe(30);
    socket.setOption('noDelay', false);
    expect(noDelay.mock.lastCall).toEqual([false]);
    vi.restoreAllMocks();
  });

  test('how keep-alive probes, and the type of service, are set where this Node can', async () => {
    const { socket } = await host.accepted();
    const rows = [
      ['keepAliveInterval', 7, features.keepAliveProbes],
      ['keepAliveCount', 4, features.keepAliveProbes],
      ['tos', 16, features.typeOfService],
    ] as const;
    for (const [name, value, here] of rows) {
      if (!here) {
        expect(() => socket.setOption(name, value)).toThrow("lacks the capability 'rawOptions'");
        continue;
      }
      const setter = name === 'tos' ? 'setTypeOfService' : 'setKeepAlive';
      const set = vi.spyOn(net.Socket.prototype as unknown as Record<string, () => unknown>, setter);
      socket.setOption('keepAlive', true);
      socket.setOption(name, value);
      expect(socket.getOption(name)).toBe(value);
      expect(set.mock.lastCall).toContain(name === 'keepAliveInterval' ? 7000 : value);
      // The type of service is the one that Node reads back from the system.
      const stream = set.mock.contexts.at(-1) as unknown as { getTypeOfService?(): number };
      if (name === 'tos') expect(stream.getTypeOfService?.()).toBe(16);
      expect(codeOf(() => socket.setOption(name, 1000_000))).toBe('ERR_REACTOR_ARGUMENT');
      expect(codeOf(() => host.socket('unix').getOption(name))).toBe('ENOTSUP');
    }
    vi.restoreAllMocks();
  });

  test('an accepted socket has the options of its listener', async () => {
    const { socket: listener, port } = await host.listener();
    listener.setOption('noDelay', true);
    plainPeer(port);
    await host.ready(listener, READABLE);
    const socket = listener.accept() as BackendSocket;
    expect(socket.getOption('noDelay')).toBe(true);
    socket.close();
  });

  test('reusePort lets two sockets listen on a port, or throws ENOTSUP', async () => {
    const [first, second] = [host.socket(), host.socket()];
    if (!host.backend.capabilities.reusePort) {
      expect(codeOf(() => first.setOption('reusePort', true))).toBe('ENOTSUP');
      expect(first.getOption('reusePort')).toBe(false);
      return;
    }
    first.setOption('reusePort', true);
    second.setOption('reusePort', true);
    first.bind({ host: '127.0.0.1', port: 0 });
    first.listen();
    await first.settled();
    second.bind(first.localAddress!);
    second.listen();
    await second.settled();
  });

  test('what node:net lacks throws ENOTSUP that names the capability', async () => {
    const { socket } = await host.accepted();
    const messages = (
      [
        [() => socket.setOption('receiveBuffer', 1000), 'rawOptions'],
        [() => socket.getOption('ttl'), 'rawOptions'],
        [() => socket.setOption('oobInline', true), 'oob'],
        [() => socket.getRawOption(1, 1, 4), 'rawOptions'],
        [() => socket.setRawOption(1, 1, into), 'rawOptions'],
        [() => socket.detach(), 'rawDescriptors'],
        [() => socket.atMark(), 'oob'],
        [() => socket.send(into, 0, 1, MSG_OOB), 'oob'],
        [() => socket.recv(into, 0, 1, MSG_OOB), 'oob'],
        [() => socket.recvSync(into), 'blocking'],
        [() => socket.sendAllSync(into), 'blocking'],
        [() => socket.acceptSync(), 'blocking'],
        [() => socket.connectSync({ host: '', port: 1 }), 'blocking'],
        [() => host.backend.adopt(0), 'adopt'],
        [() => host.backend.socketPair({ type: 'stream', family: 'unix', protocol: 0 }), 'socketPair'],
        [() => host.backend.socket({ type: 'raw', family: 'ipv4', protocol: 1 }), 'raw'],
        [() => host.backend.demultiplexer.look([socket], Int32Array.of(1), 10), 'selectSync'],
      ] as const
    ).map(([act, capability]) => {
      expect(codeOf(act)).toBe('ENOTSUP');
      expect(act).toThrow(`'${capability}'`);
      return capability;
    });
    expect(messages).toHaveLength(17);
  });
});

describe('arguments', () => {
  test('ranges, flags and options that do not fit are refused with a code, and nothing is sent or lost', async () => {
    const { socket, peer } = await host.accepted();
    peer.write('kept');
    await host.ready(socket, READABLE);
    const small = new Uint8Array(4);
    const cases: [() => unknown, new () => Error, string][] = [
      [() => socket.recv('text' as never), TypeError, 'ERR_REACTOR_BUFFER'],
      [() => socket.recv(null as never), TypeError, 'ERR_REACTOR_BUFFER'],
      [() => socket.recv(new Uint16Array(4) as never), TypeError, 'ERR_REACTOR_BUFFER'],
      [() => socket.recv(small, '1' as never), TypeError, 'ERR_REACTOR_BUFFER'],
      [() => socket.recv(small, 1.5), RangeError, 'ERR_REACTOR_BUFFER'],
      [() => socket.recv(small, -1), RangeError, 'ERR_REACTOR_BUFFER'],
      [() => socket.recv(small, 5), RangeError, 'ERR_REACTOR_BUFFER'],
      [() => socket.recv(small, 2, 3), RangeError, 'ERR_REACTOR_BUFFER'],
      [() => socket.recv(small, 0, 0), RangeError, 'ERR_REACTOR_BUFFER'],
      [() => socket.recv(small, 4), RangeError, 'ERR_REACTOR_BUFFER'],
      [() => socket.recv(small, 0, 4, MSG_MORE), RangeError, 'ERR_REACTOR_ARGUMENT'],
      [() => socket.recv(small, 0, 4, 64), RangeError, 'ERR_REACTOR_ARGUMENT'],
      [() => socket.recv(small, 0, 4, 'x' as never), TypeError, 'ERR_REACTOR_ARGUMENT'],
      [() => socket.send([1] as never), TypeError, 'ERR_REACTOR_BUFFER'],
      [() => socket.send(small, 3, 2), RangeError, 'ERR_REACTOR_BUFFER'],
      [() => socket.send(small, 0, 4, MSG_PEEK), RangeError, 'ERR_REACTOR_ARGUMENT'],
      [() => socket.sendv('x' as never), TypeError, 'ERR_REACTOR_BUFFER'],
      [() => socket.sendv([small, 'x' as never]), TypeError, 'ERR_REACTOR_BUFFER'],
      [() => socket.shutdown('up' as never), TypeError, 'ERR_REACTOR_ARGUMENT'],
      [() => host.socket().listen(-1), RangeError, 'ERR_REACTOR_ARGUMENT'],
      [() => host.socket().listen('5' as never), TypeError, 'ERR_REACTOR_ARGUMENT'],
      [() => host.socket().bind({ host: 'example.org', port: 1 }), TypeError, 'ERR_REACTOR_NAME'],
      [() => host.socket().connect({ host: '::1', port: 1 }), TypeError, 'ERR_REACTOR_ADDRESS'],
      [() => host.socket().connect({ path: '/x' }), TypeError, 'ERR_REACTOR_ADDRESS'],
      [() => host.socket('unix').connect({ host: '', port: 1 }), TypeError, 'ERR_REACTOR_ADDRESS'],
      [() => host.socket().connect({ host: '127.0.0.1', port: 70_000 }), RangeError, 'ERR_REACTOR_ARGUMENT'],
      [() => socket.setOption('noDelay', 1 as never), TypeError, 'ERR_REACTOR_ARGUMENT'],
      [() => socket.setOption('linger', 5 as never), RangeError, 'ERR_REACTOR_ARGUMENT'],
      [() => socket.setOption('toString' as never, 1 as never), TypeError, 'ERR_REACTOR_ARGUMENT'],
      [() => host.backend.attach(host), TypeError, 'ERR_REACTOR_BACKEND'],
      [() => host.backend.demultiplexer.watch({} as never, 0, 0, 1), TypeError, 'ERR_REACTOR_SOCKET'],
    ];
    for (const [act, kind, code] of cases) {
      expect(act, String(act)).toThrow(kind);
      expect(codeOf(act), String(act)).toBe(code);
    }
    expect(socket.send(small, 4)).toBe(0);
    expect(socket.send(small, 0, 0)).toBe(0);
    expect(socket.send(Buffer.from('m'), 0, 1, MSG_MORE)).toBe(1);
    expect(socket.recv(into)).toBe(4);
  });
});
