/** Listening, and accepting what has come. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { InetAddress } from '../../address.js';
import { ERROR, READABLE } from '../../readiness.js';
import type { BackendSocket } from '../backend.js';
import { accepts, codeOf, host, hostEachTest, into, plainPeer, until } from './test-host.js';

hostEachTest();

describe('bind and listen', () => {
  test('listen only starts; the chosen port is told once it listens', async () => {
    const socket = host.socket();
    socket.bind({ host: '127.0.0.1', port: 0 });
    socket.listen();
    expect(socket.listening).toBe(true);
    expect(host.readiness(socket)).toBe(0);
    await socket.settled();
    const address = socket.localAddress as InetAddress;
    expect(address.host).toBe('127.0.0.1');
    expect(address.port).toBeGreaterThan(0);
    expect(socket.accept()).toBeNull();
  });

  test('an address in use makes the socket READABLE and ERROR, and the next verb throws it once', async () => {
    const { port } = await host.listener();
    const second = host.socket();
    second.bind({ host: '127.0.0.1', port });
    second.listen();
    expect(await host.ready(second, READABLE)).toBe(READABLE | ERROR);
    let thrown: unknown;
    try {
      second.accept();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'EADDRINUSE', syscall: 'bind', address: '127.0.0.1', port });
    expect(codeOf(() => second.accept())).toBe('EINVAL');
    expect(second.takeError()).toBeNull();
    second.bind({ host: '127.0.0.1', port: 0 });
    second.listen();
    await second.settled();
  });

  test('a failure of listen is told by takeError or by settled, and then by nothing else', async () => {
    const { port } = await host.listener();
    const second = host.socket();
    second.bind({ host: '127.0.0.1', port });
    second.listen();
    await expect(second.settled()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(second.takeError()).toBeNull();
    second.bind({ host: '127.0.0.1', port });
    second.listen();
    await host.ready(second, ERROR);
    expect(second.takeError()?.code).toBe('EADDRINUSE');
    expect(second.takeError()).toBeNull();
  });

  test('connections beyond the backlog are reset', async () => {
    const { socket, port } = await host.listener(2);
    const endings = ['open', 'open', 'open', 'open'];
    for (let i = 0; i < 4; i++) {
      const peer = plainPeer(port);
      // They come in the order in which they connect; the reset may be there before that is told.
      await new Promise<void>((resolve) => {
        peer.once('connect', resolve).once('error', (error: NodeJS.ErrnoException) => {
          endings[i] = error.code as string;
          resolve();
        });
      });
    }
    await until(() => endings.filter((ending) => ending !== 'open').length === 2);
    await sleep(20);
    expect(endings).toEqual(['open', 'open', 'ECONNRESET', 'ECONNRESET']);
    for (const expected of [true, true, false]) {
      const accepted = socket.accept();
      expect(accepted !== null).toBe(expected);
      accepted?.close();
    }
    expect(host.readiness(socket)).toBe(0);
  });

  test('a listening socket that is closed resets the connections that wait, and tells only its own closing', async () => {
    const { socket, port } = await host.listener();
    const peer = plainPeer(port);
    await host.ready(socket, READABLE);
    socket.close();
    expect((await once(peer, 'error'))[0].code).toBe('ECONNRESET');
    expect(host.closed).toEqual([socket]);
  });

  test('a socket that is closed while its listen is under way does not listen', async () => {
    const socket = host.socket();
    const { socket: other, port } = await host.listener();
    other.close();
    socket.bind({ host: '127.0.0.1', port });
    socket.listen();
    const settled = socket.settled();
    socket.close();
    await expect(settled).rejects.toMatchObject({ code: 'EBADF' });
    await sleep(20);
    expect((await once(plainPeer(port), 'error'))[0].code).toBe('ECONNREFUSED');
  });

  test('data that came before the accept is there after it, and the address stays when the peer has gone', async () => {
    const { socket: listener, port } = await host.listener();
    const streams = accepts();
    const peer = plainPeer(port);
    peer.write('early');
    await host.ready(listener, READABLE);
    const local = { host: '127.0.0.1', port: peer.localPort };
    await until(() => streams[0]?.bytesRead === 5);
    peer.resetAndDestroy();
    await until(() => streams[0]?.destroyed === true);
    const socket = listener.accept() as BackendSocket;
    expect(socket.recv(into)).toBe(5);
    expect(socket.remoteAddress).toEqual(local);
    expect(codeOf(() => socket.recv(into))).toBe('ECONNRESET');
    expect(socket.remoteAddress).toEqual(local);
    socket.close();
  });
});
