/** Half-close, close and reset. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { HANGUP, READ_CLOSED, READABLE, WRITABLE } from '../../readiness.js';
import type { BackendSocket } from '../backend.js';
import { accepts, codeOf, fill, host, hostEachTest, into, receiveAll, until } from './test-host.js';

hostEachTest();

describe('shutdown and close', () => {
  test('after our shutdown the peer sees the end, and we still receive', async () => {
    const { socket, peer } = await host.accepted({ allowHalfOpen: true });
    peer.resume();
    socket.send(Buffer.from('bye'));
    socket.shutdown('write');
    socket.shutdown('write');
    expect(host.readiness(socket)).toBe(WRITABLE);
    expect(codeOf(() => socket.send(into))).toBe('EPIPE');
    expect(codeOf(() => socket.sendv([into, into]))).toBe('EPIPE');
    await once(peer, 'end');
    peer.write('still here');
    await host.ready(socket, READABLE);
    expect(socket.recv(into)).toBe(10);
    peer.end();
    expect(await host.ready(socket, READABLE)).toBe(READABLE | WRITABLE | READ_CLOSED | HANGUP);
    expect(socket.recv(into)).toBe(0);
  });

  test.each(['accepted', 'connected'] as const)('after the peer has ended we still send: %s', async (how) => {
    const { socket, peer } = await host[how]({ allowHalfOpen: true });
    peer.end('done');
    const received = once(peer, 'data');
    expect(await receiveAll(socket)).toEqual({ bytes: 4, ending: 'end' });
    expect(socket.recv(into)).toBe(0);
    expect(host.readiness(socket)).toBe(READABLE | WRITABLE | READ_CLOSED);
    await sleep(5);
    expect(socket.send(Buffer.from('answer'))).toBe(6);
    expect(String(await received)).toBe('answer');
    peer.resume();
    socket.shutdown('write');
    await once(peer, 'end');
  });

  test('after shutdown read, what was read is received, then the end; what comes later is thrown away', async () => {
    const { socket, peer } = await host.accepted();
    peer.write('before');
    await host.ready(socket, READABLE);
    socket.shutdown('read');
    expect(socket.recv(into)).toBe(6);
    expect(socket.recv(into)).toBe(0);
    peer.write('after');
    await sleep(20);
    expect(socket.recv(into)).toBe(0);
    const received = once(peer, 'data');
    expect(socket.send(Buffer.from('!'))).toBe(1);
    expect(String(await received)).toBe('!');
    const ended = once(peer, 'end');
    socket.shutdown('both');
    await ended;
  });

  test('close lets the queued bytes go out, and the end after them', async () => {
    const { socket, peer } = await host.accepted({ allowHalfOpen: true });
    peer.pause();
    const sent = fill(socket, Buffer.alloc(100_000, 'q'));
    socket.close();
    expect(host.closed).toEqual([socket]);
    let received = 0;
    peer.on('data', (chunk) => {
      received += chunk.length;
    });
    peer.resume();
    await once(peer, 'end');
    expect(received).toBe(sent);
  });

  test.each([
    ['reset', (socket: BackendSocket) => socket.reset()],
    [
      'close with linger 0',
      (socket: BackendSocket) => {
        socket.setOption('linger', 0);
        socket.close();
      },
    ],
  ])('the peer sees ECONNRESET after %s', async (_name, act) => {
    const { socket, peer } = await host.accepted({ allowHalfOpen: true });
    const failed = once(peer, 'error');
    peer.resume();
    act(socket);
    expect((await failed)[0].code).toBe('ECONNRESET');
    expect(socket.closed).toBe(true);
  });

  test('a reset while a shutdown is under way is a reset still: the first write of the peer fails', async () => {
    const streams = accepts();
    const { socket, peer } = await host.accepted({ allowHalfOpen: true });
    peer.resume();
    socket.shutdown('write');
    socket.reset();
    await once(peer, 'end');
    await until(() => streams[0]?.closed === true);
    const error = await new Promise<NodeJS.ErrnoException | null | undefined>((resolve) => peer.write('x', resolve));
    expect(error?.code).toMatch(/ECONNRESET|EPIPE/);
  });

  test('reset drops what is queued', async () => {
    const { socket, peer } = await host.accepted();
    peer.pause();
    const received = vi.fn();
    peer.on('data', received);
    const sent = fill(socket, Buffer.alloc(100_000));
    socket.reset();
    peer.resume();
    await new Promise((resolve) => peer.once('close', resolve));
    expect(received.mock.calls.reduce((sum, [chunk]) => sum + chunk.length, 0)).toBeLessThan(sent);
  });

  test('closing is told once, before the socket is closed, and verbs then throw EBADF', async () => {
    const { socket } = await host.accepted();
    const closedWhenTold: boolean[] = [];
    vi.spyOn(host, 'closing').mockImplementation((which) => {
      closedWhenTold.push(which.closed);
    });
    expect(socket.fileno()).toBe(-1);
    socket.close();
    socket.close();
    socket.reset();
    socket[Symbol.dispose]();
    expect(closedWhenTold).toEqual([false]);
    expect(socket.closed).toBe(true);
    expect(socket.localAddress).toBeUndefined();
    expect(socket.remoteAddress).toBeUndefined();
    const verbs: (() => unknown)[] = [
      () => socket.bind({ host: '', port: 0 }),
      () => socket.listen(),
      () => socket.accept(),
      () => socket.connect({ host: '', port: 1 }),
      () => socket.finishConnect(),
      () => socket.recv(into),
      () => socket.receive(false),
      () => socket.send(into),
      () => socket.sendv([into]),
      () => socket.takeError(),
      () => socket.shutdown('write'),
      () => socket.getOption('noDelay'),
      () => socket.setOption('noDelay', true),
      () => socket.detach(),
      () => socket.atMark(),
    ];
    expect(verbs.map(codeOf)).toEqual(verbs.map(() => 'EBADF'));
  });
});
