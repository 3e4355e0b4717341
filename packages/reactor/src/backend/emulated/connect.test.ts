/** Connecting: begun, decided, failed, abandoned. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { ERROR, HANGUP, READ_CLOSED, READABLE, WOULD_BLOCK, WRITABLE } from '../../readiness.js';
import type { BackendSocket } from '../backend.js';
import { codeOf, host, hostEachTest, into, plainServer, receiveAll, until } from './test-host.js';

hostEachTest();

describe('connect', () => {
  test('connect answers connecting, verbs would block, and finishConnect tells when it is done', async () => {
    const port = await plainServer((socket) => socket.end('hello'));
    const socket = host.socket();
    expect(socket.connect({ host: 'localhost', port })).toBe('connecting');
    expect(host.readiness(socket)).toBe(0);
    expect(socket.finishConnect()).toBe(false);
    expect(socket.recv(into)).toBe(WOULD_BLOCK);
    expect(socket.send(Buffer.from('x'))).toBe(WOULD_BLOCK);
    expect(socket.sendv([Buffer.from('x'), Buffer.from('y')])).toBe(WOULD_BLOCK);
    expect(codeOf(() => socket.connect({ host: '127.0.0.1', port }))).toBe('EALREADY');
    expect(await host.ready(socket, WRITABLE)).toBe(WRITABLE);
    expect(socket.finishConnect()).toBe(true);
    expect(socket.remoteAddress).toEqual({ host: '127.0.0.1', port });
    expect(codeOf(() => socket.connect({ host: '127.0.0.1', port }))).toBe('EISCONN');
    expect(await receiveAll(socket)).toEqual({ bytes: 5, ending: 'end' });
  });

  test('a refused connect is told as all three sets and thrown once; then another may be begun', async () => {
    const { socket: gone, port } = await host.listener();
    gone.close();
    const socket = host.socket();
    socket.connect({ host: '127.0.0.1', port });
    const mask = await host.ready(socket, WRITABLE);
    expect(mask).toBe(READABLE | WRITABLE | ERROR | HANGUP | READ_CLOSED);
    host.closed.length = 0;
    let thrown: unknown;
    try {
      socket.finishConnect();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect', address: '127.0.0.1', port });
    expect(host.closed).toEqual([socket]);
    expect(socket.takeError()).toBeNull();
    expect(codeOf(() => socket.finishConnect())).toBe('ENOTCONN');
    const open = await plainServer(() => {});
    socket.connect({ host: '127.0.0.1', port: open });
    await host.ready(socket, WRITABLE);
    expect(socket.finishConnect()).toBe(true);
  });

  test('a socket connects from the address that it was bound to', async () => {
    const { socket: gone, port: from } = await host.listener();
    gone.close();
    const port = await plainServer(() => {});
    const socket = host.socket();
    socket.bind({ host: '127.0.0.1', port: from });
    expect(socket.localAddress).toEqual({ host: '127.0.0.1', port: from });
    socket.connect({ host: '127.0.0.1', port });
    await host.ready(socket, WRITABLE);
    expect(socket.finishConnect()).toBe(true);
    expect(socket.localAddress).toEqual({ host: '127.0.0.1', port: from });
  });

  test('a socket that is closed while it connects is heard of no more', async () => {
    const port = await plainServer(() => {});
    const socket = host.socket();
    socket.connect({ host: '127.0.0.1', port });
    const report = vi.fn();
    host.watch(socket, READABLE | WRITABLE | ERROR, report);
    socket.close();
    await sleep(30);
    expect(report).not.toHaveBeenCalled();
  });

  test('a failed connect that nobody watches raises nothing', async () => {
    const { socket: gone, port } = await host.listener();
    gone.close();
    const socket = host.socket();
    socket.connect({ host: '127.0.0.1', port });
    await until(() => (host.readiness(socket) & ERROR) !== 0);
    await sleep(10);
  });

  test('verbs before a connect: recv throws ENOTCONN, send throws EPIPE', () => {
    const socket = host.socket();
    expect(host.readiness(socket)).toBe(READABLE | WRITABLE | HANGUP);
    expect(codeOf(() => socket.recv(into))).toBe('ENOTCONN');
    expect(codeOf(() => socket.send(into))).toBe('EPIPE');
    expect(codeOf(() => socket.shutdown('write'))).toBe('ENOTCONN');
    expect(codeOf(() => socket.accept())).toBe('EINVAL');
  });

  test.each(['ipv6', 'unix', 'abstract'])('an echo over %s', async (kind) => {
    if (kind === 'abstract' && !host.backend.capabilities.abstractUnix) return;
    const folder = mkdtempSync(path.join(tmpdir(), 'fdset-'));
    try {
      const family = kind === 'ipv6' ? 'ipv6' : 'unix';
      const unix = kind === 'unix' ? path.join(folder, 's') : `\0fdset-test-${process.pid}`;
      const listener = host.socket(family);
      listener.bind(family === 'ipv6' ? { host: 'localhost', port: 0 } : { path: unix });
      listener.listen();
      await listener.settled();
      const client = host.socket(family);
      client.connect(listener.localAddress!);
      await host.ready(listener, READABLE);
      const server = listener.accept() as BackendSocket;
      await host.ready(client, WRITABLE);
      expect(client.finishConnect()).toBe(true);
      expect(client.remoteAddress).toEqual(listener.localAddress);
      client.send(Buffer.from('hello'));
      await host.ready(server, READABLE);
      expect(server.recv(into)).toBe(5);
      server.send(Buffer.from('bye'));
      server.close();
      expect(await receiveAll(client)).toEqual({ bytes: 3, ending: 'end' });
      client.reset();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
