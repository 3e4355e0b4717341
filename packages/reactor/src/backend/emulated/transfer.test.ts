/** Bytes: partial, gathered, held back, and behind them the end or the error. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ERROR, HANGUP, MSG_PEEK, READ_CLOSED, READABLE, WOULD_BLOCK, WRITABLE } from '../../readiness.js';
import { accepts, codeOf, host, hostEachTest, into, receiveAll, sendAllTaken, text, until } from './test-host.js';

hostEachTest();

describe('recv and send', () => {
  test('recv gives at most what is buffered, across chunks; peek leaves it', async () => {
    const { socket, peer } = await host.accepted({ noDelay: true });
    for (const [i, part] of ['ab', 'cd', 'ef'].entries()) {
      peer.write(part);
      await until(() => socket.recv(into, 0, 100, MSG_PEEK) === 2 * (i + 1));
    }
    expect(socket.recv(into, 0, 3, MSG_PEEK)).toBe(3);
    expect(text(3)).toBe('abc');
    expect(socket.recv(into, 0, 1)).toBe(1);
    expect(socket.recv(into, 0, 100, MSG_PEEK)).toBe(5);
    expect(text(5)).toBe('bcdef');
    expect(socket.recv(into, 10, 4)).toBe(4);
    expect(into.toString('latin1', 10, 14)).toBe('bcde');
    expect(String(socket.receive(false))).toBe('f');
    expect(socket.recv(into)).toBe(WOULD_BLOCK);
    expect(socket.recv(into, 0, 1, MSG_PEEK)).toBe(WOULD_BLOCK);
    expect(socket.receive(true)).toBe(WOULD_BLOCK);
  });

  test('send copies: the bytes may change as soon as it returns, whether they have left or not', async () => {
    const { socket, peer } = await host.accepted();
    peer.pause();
    const chunk = Buffer.alloc(10_000);
    let sent = 0;
    for (let value = 1; value < 5000; value++) {
      chunk.fill(value);
      const taken = socket.send(chunk, 0, chunk.length);
      chunk.fill(0);
      if (taken === WOULD_BLOCK) break;
      sent += taken;
    }
    let received = 0;
    let expected = 1;
    peer.on('data', (data: Buffer) => {
      for (const byte of data) {
        if (byte === expected % 256) received++;
        if (received % 10_000 === 0) expected++;
      }
    });
    peer.resume();
    while (received < sent) await sleep(5);
    expect(received).toBe(sent);
  });

  test('8 MiB to a slow reader arrive whole: partial sends sum up, and WRITABLE comes when there is room', async () => {
    const { socket, peer } = await host.accepted();
    const bytes = Buffer.alloc(8 << 20);
    for (let i = 0; i < bytes.length; i += 4) bytes.writeUInt32LE(i, i);
    const parts: Buffer[] = [];
    let received = 0;
    peer.on('data', (part: Buffer) => {
      parts.push(part);
      received += part.length;
      peer.pause();
      setTimeout(() => peer.resume(), 1);
    });
    let waits = 0;
    for (let sent = 0; sent < bytes.length; ) {
      sent += sendAllTaken(socket, bytes.subarray(sent));
      if (sent === bytes.length) break;
      expect(host.readiness(socket) & WRITABLE).toBe(0);
      await host.ready(socket, WRITABLE);
      waits++;
    }
    while (received < bytes.length) await once(peer, 'data');
    expect(Buffer.concat(parts).equals(bytes)).toBe(true);
    expect(waits).toBeGreaterThan(0);
  });

  test('send takes at most the high-water mark less what is queued', async () => {
    const { socket, peer } = await host.accepted();
    peer.pause();
    const block = Buffer.alloc(1 << 20);
    expect(socket.send(block)).toBe(64 * 1024);
    const taken: number[] = [];
    while (taken.at(-1) !== WOULD_BLOCK && taken.length < 1000) taken.push(socket.send(block, 0, 40_000));
    // The first block that the system did not take whole is queued, and leaves room for a part of the next.
    expect(taken.slice(-3)).toEqual([40_000, 64 * 1024 - 40_000, WOULD_BLOCK]);
    expect(socket.sendv([block, block])).toBe(WOULD_BLOCK);
  });

  test('sendv gathers, may end within a chunk, and looks at 1024 chunks at most', async () => {
    const { socket, peer } = await host.accepted();
    const received: Buffer[] = [];
    peer.on('data', (chunk) => received.push(chunk));
    expect(socket.sendv([])).toBe(0);
    expect(socket.sendv([Buffer.from('a'), Buffer.alloc(0), Buffer.from('bc'), new Uint8Array([100])])).toBe(4);
    expect(socket.sendv(new Array(2000).fill(Buffer.from('!')))).toBe(1024);
    const big = Buffer.alloc(40_000, 'x');
    expect(socket.sendv([big, big])).toBe(64 * 1024);
    const all = 4 + 1024 + 64 * 1024;
    while (received.reduce((sum, chunk) => sum + chunk.length, 0) < all) await once(peer, 'data');
    expect(Buffer.concat(received).toString('latin1')).toBe(`abcd${'!'.repeat(1024)}${'x'.repeat(64 * 1024)}`);
  });

  test('what was buffered is delivered before the reset, which is thrown once; then comes the end', async () => {
    const { socket, peer } = await host.accepted();
    peer.write('last words');
    await host.ready(socket, READABLE);
    peer.resetAndDestroy();
    const mask = await host.ready(socket, ERROR);
    expect(mask).toBe(READABLE | WRITABLE | ERROR | HANGUP | READ_CLOSED);
    expect(socket.recv(into)).toBe(10);
    expect(codeOf(() => socket.recv(into))).toBe('ECONNRESET');
    expect(socket.recv(into)).toBe(0);
    expect(socket.receive(false)).toBe(0);
    expect(codeOf(() => socket.send(into))).toBe('EPIPE');
    expect(host.readiness(socket) & ERROR).toBe(0);
  });

  test('a reset that comes together with the last data is no clean end', async () => {
    const { socket, peer } = await host.accepted();
    peer.write('last words');
    peer.resetAndDestroy();
    expect(await receiveAll(socket)).toEqual({ bytes: 10, ending: 'ECONNRESET' });
  });

  test('takeError before the data is drained does not make the reset look like a clean end', async () => {
    const { socket, peer } = await host.accepted();
    peer.write('last words');
    await host.ready(socket, READABLE);
    peer.resetAndDestroy();
    await host.ready(socket, ERROR);
    expect(socket.takeError()?.code).toBe('ECONNRESET');
    expect(socket.takeError()).toBeNull();
    expect(socket.recv(into)).toBe(10);
    expect(codeOf(() => socket.recv(into))).toBe('ECONNRESET');
    expect(socket.recv(into)).toBe(0);
  });

  test('send to a peer that has reset throws at once, and what was unread is not lost', async () => {
    const streams = accepts();
    const { socket, peer } = await host.accepted();
    const sent = sendAllTaken(socket, Buffer.alloc(1000));
    expect(sent).toBe(1000);
    // More than fits into the socket's own buffer: Node has read some of it into its own as well.
    peer.write(Buffer.alloc(1 << 20));
    await host.ready(socket, READABLE);
    await until(() => (streams[0]?.readableLength ?? 0) > 0);
    const read = streams[0]?.bytesRead;
    peer.resetAndDestroy();
    expect(codeOf(() => socket.send(Buffer.from('x')))).toMatch(/ECONNRESET|EPIPE/);
    await sleep(5);
    expect(socket.takeError()).toBeNull();
    const { bytes, ending } = await receiveAll(socket);
    expect(bytes).toBeGreaterThan(64 * 1024);
    expect(bytes).toBeGreaterThanOrEqual(read as number);
    expect(ending).toMatch(/ECONNRESET|EPIPE/);
    expect(socket.takeError()).toBeNull();
    expect(socket.recv(into)).toBe(0);
  });

  test('the end is invisible behind a full buffer, and comes after all bytes', async () => {
    const { socket, peer } = await host.accepted();
    const total = 3 << 20;
    peer.end(Buffer.alloc(total));
    await host.ready(socket, READABLE);
    await sleep(50);
    expect(host.readiness(socket) & READ_CLOSED).toBe(0);
    expect(await receiveAll(socket)).toEqual({ bytes: total, ending: 'end' });
    expect(host.readiness(socket) & READ_CLOSED).toBe(READ_CLOSED);
  });

  test('reading stops beyond 64 KiB: a peer that is not read from is held back', async () => {
    const { socket, peer } = await host.accepted();
    peer.write(Buffer.alloc(16 << 20));
    await host.ready(socket, READABLE);
    await sleep(100);
    expect(host.readiness(socket) & READABLE).toBe(READABLE);
    let buffered = 0;
    while (socket.recv(Buffer.alloc(1 << 20), 0, 1 << 20, MSG_PEEK) > 0) {
      const chunk = socket.receive(true);
      if (typeof chunk === 'number') break;
      expect(chunk.length).toBeLessThanOrEqual(64 * 1024);
      buffered += chunk.length;
    }
    expect(buffered).toBeLessThanOrEqual(192 * 1024);
    expect(peer.writableLength).toBeGreaterThan(0);
  });
});
