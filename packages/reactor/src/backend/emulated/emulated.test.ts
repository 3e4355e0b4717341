import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { InetAddress } from '../../address.js';
import {
  ERROR,
  HANGUP,
  MSG_MORE,
  MSG_OOB,
  MSG_PEEK,
  READ_CLOSED,
  READABLE,
  WOULD_BLOCK,
  WRITABLE,
} from '../../readiness.js';
import type { BackendHost, BackendSocket } from '../backend.js';
import { features } from './capabilities.js';
import { EmulatedBackend } from './emulated.js';

/** The least that a reactor is: a table of watches, and a turn that tells them. */
class TestHost implements BackendHost {
  readonly traffic = { bytesIn: 0, bytesOut: 0, accepts: 0, datagramsDropped: 0 };
  readonly backend = new EmulatedBackend('test');
  capacity = 64;
  turns = 0;
  readonly closed: BackendSocket[] = [];
  onTurn: (() => void) | null = null;
  #watches: ({ socket: BackendSocket; report(mask: number): void } | null)[] = [];

  constructor() {
    this.backend.attach(this);
  }

  turn(): void {
    this.turns++;
    this.onTurn?.();
    const { demultiplexer } = this.backend;
    const count = demultiplexer.wait(this.capacity);
    for (let i = 0; i < 3 * count; i += 3)
      this.#watches[demultiplexer.events[i]!]?.report(demultiplexer.events[i + 2]!);
  }

  closing(socket: BackendSocket): void {
    this.closed.push(socket);
    for (const [slot, entry] of this.#watches.entries()) if (entry?.socket === socket) this.unwatch(slot);
  }

  watch(socket: BackendSocket, interest: number, report: (mask: number) => void): number {
    const slot = this.#watches.push({ socket, report }) - 1;
    this.backend.demultiplexer.watch(socket, slot, 7, interest);
    return slot;
  }

  unwatch(slot: number): void {
    const entry = this.#watches[slot];
    if (!entry) return;
    this.#watches[slot] = null;
    this.backend.demultiplexer.watch(entry.socket, slot, 7, 0);
  }

  /** Resolves with the mask when the socket is ready for `interest`. */
  ready(socket: BackendSocket, interest: number): Promise<number> {
    return new Promise((resolve) => {
      const slot = this.watch(socket, interest, (mask) => {
        this.unwatch(slot);
        resolve(mask);
      });
    });
  }

  socket(family: 'ipv4' | 'ipv6' | 'unix' = 'ipv4'): BackendSocket {
    const socket = this.backend.socket({ type: 'stream', family, protocol: 0 });
    opened.push(() => socket.reset());
    return socket;
  }

  async listener(backlog?: number): Promise<{ socket: BackendSocket; port: number }> {
    const socket = this.socket();
    socket.bind({ host: '127.0.0.1', port: 0 });
    socket.listen(backlog);
    await socket.settled();
    return { socket, port: (socket.localAddress as InetAddress).port };
  }

  /** A socket of ours that was accepted, and the plain node:net socket at its other end. */
  async accepted(options: Partial<net.NetConnectOpts> = {}): Promise<{ socket: BackendSocket; peer: net.Socket }> {
    const listener = await this.listener();
    const peer = plainPeer(listener.port, options);
    await this.ready(listener.socket, READABLE);
    const socket = listener.socket.accept() as BackendSocket;
    opened.push(() => socket.reset());
    listener.socket.close();
    this.closed.length = 0;
    return { socket, peer };
  }

  /** A socket of ours that has connected, and the plain node:net socket at its other end. */
  async connected(_options: object = {}): Promise<{ socket: BackendSocket; peer: net.Socket }> {
    const socket = this.socket();
    const came = new Promise<net.Socket>((resolve) => {
      plainServer(resolve).then((port) => socket.connect({ host: '127.0.0.1', port }));
    });
    const peer = await came;
    await this.ready(socket, WRITABLE);
    socket.finishConnect();
    return { socket, peer };
  }

  readiness(socket: BackendSocket): number {
    const masks = Int32Array.of(31);
    this.backend.demultiplexer.look([socket], masks, 0);
    return masks[0]!;
  }
}

let host: TestHost;
let opened: (() => void)[];

beforeEach(() => {
  opened = [];
  host = new TestHost();
  // As a reactor with registrations; otherwise vitest's own process decides.
  host.backend.driver.hold();
});

afterEach(() => {
  for (const close of opened) close();
  host.backend[Symbol.dispose]();
});

function plainPeer(port: number, options: Partial<net.NetConnectOpts> = {}): net.Socket {
  const peer = net.connect({ host: '127.0.0.1', port, ...options } as net.NetConnectOpts);
  opened.push(() => peer.destroy());
  peer.on('error', () => {});
  return peer;
}

async function plainServer(onConnection: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    opened.push(() => socket.destroy());
    socket.on('error', () => {});
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  opened.push(() => server.close());
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
  return 'nothing was thrown';
}

/** Sends all that is taken at the moment. */
function sendAllTaken(socket: BackendSocket, bytes: Uint8Array): number {
  let sent = 0;
  while (sent < bytes.length) {
    const taken = socket.send(bytes, sent);
    if (taken === WOULD_BLOCK) break;
    sent += taken;
  }
  return sent;
}

/** Sends blocks until none is taken, and returns the count of bytes: as much as the system and the queue hold. */
function fill(socket: BackendSocket, block: Uint8Array): number {
  for (let sent = 0; sent < 64 << 20; ) {
    const taken = socket.send(block);
    if (taken === WOULD_BLOCK) return sent;
    sent += taken;
  }
  throw new Error('send took 64 MiB that nobody reads');
}

/** Receives until the end or an error; the bytes so far, and how it ended. */
async function receiveAll(socket: BackendSocket): Promise<{ bytes: number; ending: string }> {
  const into = Buffer.alloc(50_000);
  for (let bytes = 0; ; ) {
    await host.ready(socket, READABLE);
    try {
      const count = socket.recv(into);
      if (count === 0) return { bytes, ending: 'end' };
      if (count !== WOULD_BLOCK) bytes += count;
    } catch (error) {
      return { bytes, ending: (error as NodeJS.ErrnoException).code ?? String(error) };
    }
  }
}

const into = Buffer.alloc(4096);
const text = (count: number): string => into.toString('latin1', 0, count);

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
    const endings: string[] = [];
    for (let i = 0; i < 4; i++) {
      const peer = plainPeer(port);
      const failed = once(peer, 'error').then(([error]) => error.code);
      endings.push(await Promise.race([failed, sleep(30).then(() => 'open')]));
    }
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
    const peer = plainPeer(port);
    peer.write('early');
    await host.ready(listener, READABLE);
    const local = { host: '127.0.0.1', port: peer.localPort };
    await sleep(20);
    peer.resetAndDestroy();
    await sleep(20);
    const socket = listener.accept() as BackendSocket;
    expect(socket.recv(into)).toBe(5);
    expect(socket.remoteAddress).toEqual(local);
    expect(codeOf(() => socket.recv(into))).toBe('ECONNRESET');
    expect(socket.remoteAddress).toEqual(local);
    socket.close();
  });
});

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
    await sleep(30);
    expect(host.readiness(socket) & ERROR).toBe(ERROR);
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

describe('recv and send', () => {
  test('recv gives at most what is buffered, across chunks; peek leaves it', async () => {
    const { socket, peer } = await host.accepted({ noDelay: true });
    for (const part of ['ab', 'cd', 'ef']) {
      peer.write(part);
      await sleep(10);
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
    const { socket, peer } = await host.accepted();
    const sent = sendAllTaken(socket, Buffer.alloc(1000));
    expect(sent).toBe(1000);
    // More than fits into the socket's own buffer: Node has read some of it into its own as well.
    peer.write(Buffer.alloc(1 << 20));
    await host.ready(socket, READABLE);
    await sleep(50);
    peer.resetAndDestroy();
    expect(codeOf(() => socket.send(Buffer.from('x')))).toMatch(/ECONNRESET|EPIPE/);
    await sleep(5);
    expect(socket.takeError()).toBeNull();
    const { bytes, ending } = await receiveAll(socket);
    expect(bytes).toBeGreaterThan(128 * 1024);
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
    const { socket, peer } = await host.accepted({ allowHalfOpen: true });
    peer.resume();
    socket.shutdown('write');
    socket.reset();
    await once(peer, 'end');
    await sleep(20);
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

describe('the demultiplexer', () => {
  /** `count` accepted sockets, each with a byte to read. */
  async function readySockets(count: number): Promise<BackendSocket[]> {
    const { socket: listener, port } = await host.listener();
    const sockets: BackendSocket[] = [];
    for (let i = 0; i < count; i++) {
      plainPeer(port).write('x');
      await host.ready(listener, READABLE);
      const socket = listener.accept() as BackendSocket;
      opened.push(() => socket.reset());
      await host.ready(socket, READABLE);
      sockets.push(socket);
    }
    return sockets;
  }

  function slots(count: number): number[] {
    return Array.from({ length: count }, (_, i) => host.backend.demultiplexer.events[3 * i]!);
  }

  test('a ready socket is reported by every wait until it is read', async () => {
    const [socket] = await readySockets(1);
    const { demultiplexer } = host.backend;
    demultiplexer.watch(socket!, 5, 3, READABLE);
    for (let i = 0; i < 3; i++) {
      expect(demultiplexer.wait(10)).toBe(1);
      expect([...demultiplexer.events.slice(0, 3)]).toEqual([5, 3, READABLE | WRITABLE]);
    }
    socket!.recv(into);
    expect(demultiplexer.wait(10)).toBe(0);
  });

  test('what does not fit into the capacity comes first the next time', async () => {
    const sockets = await readySockets(7);
    const { demultiplexer } = host.backend;
    for (const [slot, socket] of sockets.entries()) demultiplexer.watch(socket, slot, 0, READABLE);
    const seen: number[] = [];
    for (let i = 0; i < 7; i++) {
      expect(demultiplexer.wait(3)).toBe(3);
      seen.push(...slots(3));
    }
    // 21 triples over 7 sockets: each comes three times, and never again before all others came.
    for (let i = 0; i < 21; i += 7) expect([...seen.slice(i, i + 7)].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(demultiplexer.wait(100)).toBe(7);
  });

  test('100 ready sockets are reported, with the slots of their latest watch', async () => {
    const sockets = await readySockets(100);
    const { demultiplexer } = host.backend;
    for (const [slot, socket] of sockets.entries()) {
      demultiplexer.watch(socket, slot + 500, 0, READABLE);
      demultiplexer.watch(socket, slot + 500, 0, 0);
      demultiplexer.watch(socket, slot, 1, READABLE);
    }
    expect(demultiplexer.wait(1000)).toBe(100);
    expect(slots(100).sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  test('after watch 0, and after a close, nothing more is reported', async () => {
    const sockets = await readySockets(3);
    const { demultiplexer } = host.backend;
    for (const [slot, socket] of sockets.entries()) demultiplexer.watch(socket, slot, 0, READABLE);
    demultiplexer.watch(sockets[0]!, 0, 0, 0);
    sockets[1]!.close();
    expect(demultiplexer.wait(10)).toBe(1);
    expect(slots(1)).toEqual([2]);
    expect(codeOf(() => demultiplexer.watch(sockets[1]!, 1, 0, READABLE))).toBe('EBADF');
    expect(demultiplexer.wait(10)).toBe(1);
  });

  test('only what the interest asks for is reported', async () => {
    const { socket } = await host.accepted();
    const { demultiplexer } = host.backend;
    demultiplexer.watch(socket, 0, 0, READABLE | ERROR);
    expect(demultiplexer.wait(10)).toBe(0);
    demultiplexer.watch(socket, 0, 0, WRITABLE);
    expect(demultiplexer.wait(10)).toBe(1);
    demultiplexer.watch(socket, 0, 0, READABLE);
    expect(demultiplexer.wait(10)).toBe(0);
  });

  test('look tells the readiness of sockets that nobody watches', async () => {
    const [readable] = await readySockets(1);
    const { socket: listener } = await host.listener();
    const masks = Int32Array.of(READABLE | ERROR, READABLE | WRITABLE, READABLE);
    expect(host.backend.demultiplexer.look([readable!, readable!, listener], masks, 0)).toBe(2);
    expect([...masks]).toEqual([READABLE, READABLE | WRITABLE, 0]);
  });
});

describe('the driver', () => {
  test('a ready socket starts turns, from the top of the stack, until it is read; then there are none', async () => {
    const { socket, peer } = await host.accepted();
    let turns = 0;
    let inWatch = true;
    peer.write('x');
    await host.ready(socket, READABLE);
    await new Promise<void>((resolve) => {
      host.watch(socket, READABLE, () => {
        expect(inWatch).toBe(false);
        if (++turns < 5) return;
        socket.recv(into);
        resolve();
      });
      inWatch = false;
    });
    const before = host.turns;
    await sleep(50);
    expect(host.turns).toBe(before);
  });

  test('when nothing is ready, due or posted there is no turn', async () => {
    const { socket } = await host.accepted();
    const { socket: listener } = await host.listener();
    host.watch(socket, READABLE, () => {});
    host.watch(listener, READABLE, () => {});
    await sleep(20);
    const before = host.turns;
    const used = process.cpuUsage();
    await sleep(100);
    expect(host.turns).toBe(before);
    expect(process.cpuUsage(used).user).toBeLessThan(50_000);
  });

  test('what is no longer ready when the turn would begin starts none', async () => {
    const { socket } = await host.accepted();
    const before = host.turns;
    host.unwatch(host.watch(socket, WRITABLE, () => {}));
    host.watch(socket, WRITABLE, () => {});
    socket.close();
    await sleep(20);
    expect(host.turns).toBe(before);
  });

  test('posts before a turn are one; a post within a turn starts the next', async () => {
    const { driver } = host.backend;
    driver.post();
    driver.post();
    expect(host.turns).toBe(0);
    await sleep(20);
    expect(host.turns).toBe(1);
    host.onTurn = () => {
      if (host.turns === 2) driver.post();
    };
    driver.post();
    await sleep(20);
    expect(host.turns).toBe(3);
  });

  test('a deadline starts a turn when it is due and not before; the latest one counts', async () => {
    const { driver } = host.backend;
    let at = 0;
    const began = driver.now();
    host.onTurn = () => {
      at = driver.now();
      driver.schedule(Number.POSITIVE_INFINITY);
    };
    driver.schedule(began + 5);
    driver.schedule(began + 40.5);
    await sleep(25);
    expect(host.turns).toBe(0);
    await sleep(60);
    expect(host.turns).toBe(1);
    expect(at - began).toBeGreaterThanOrEqual(40.5);
    driver.schedule(driver.now() + 500);
    driver.schedule(driver.now() + 5);
    await sleep(40);
    expect(host.turns).toBe(2);
    driver.schedule(driver.now() + 5);
    driver.schedule(Number.POSITIVE_INFINITY);
    await sleep(40);
    expect(host.turns).toBe(2);
  });

  test('a deadline beyond the longest timer is not due at once; one that has passed starts turns until it is moved', async () => {
    const { driver } = host.backend;
    const warned = vi.fn();
    process.on('warning', warned);
    driver.schedule(driver.now() + 2 ** 40);
    await sleep(30);
    process.off('warning', warned);
    expect(warned).not.toHaveBeenCalled();
    expect(host.turns).toBe(0);
    host.onTurn = () => {
      if (host.turns === 3) driver.schedule(Number.POSITIVE_INFINITY);
    };
    driver.schedule(driver.now() - 1);
    expect(host.turns).toBe(0);
    await sleep(30);
    expect(host.turns).toBe(3);
  });

  /** What keeps this process alive, by kind. */
  function keeping(): string[] {
    return process.getActiveResourcesInfo().filter((name) => /TCP(Socket|Server)|Timeout|Immediate/.test(name));
  }

  test('sockets, watched or not, keep no process alive: only hold does', async () => {
    const { socket, peer } = await host.accepted();
    const { socket: listener } = await host.listener();
    const client = host.socket();
    client.connect(listener.localAddress!);
    await host.ready(client, WRITABLE);
    host.watch(socket, READABLE, () => {});
    host.watch(listener, READABLE, () => {});
    listener.accept()?.close();
    peer.unref();
    await sleep(20);
    const { driver } = host.backend;
    driver.release();
    driver.release();
    const released = keeping();
    expect(released.filter((name) => name.startsWith('TCP'))).toEqual([]);
    driver.schedule(driver.now() + 10_000);
    expect(keeping()).toEqual(released);
    driver.hold();
    driver.hold();
    expect(keeping()).toHaveLength(released.length + 1);
    driver.release();
    expect(keeping()).toEqual(released);
    driver.hold();
    expect(keeping()).toHaveLength(released.length + 1);
  });

  test('a socket that is ready all the time is served without hold, and does not keep the process either', async () => {
    const { socket, peer } = await host.accepted();
    peer.unref();
    host.backend.driver.release();
    let turns = 0;
    const slot = host.watch(socket, WRITABLE, () => {
      turns++;
    });
    await sleep(200);
    expect(turns).toBeGreaterThan(10);
    expect(keeping().filter((name) => name !== 'Timeout')).toEqual([]);
    host.unwatch(slot);
  });

  test('after dispose there are no turns, and nothing of it is left', async () => {
    const { socket } = await host.accepted();
    const { driver } = host.backend;
    const slot = host.watch(socket, WRITABLE, () => {});
    driver.schedule(driver.now() + 5);
    driver.post();
    host.backend[Symbol.dispose]();
    host.backend[Symbol.dispose]();
    expect(keeping().filter((name) => name === 'Immediate')).toEqual([]);
    const before = host.turns;
    await sleep(30);
    expect(host.turns).toBe(before);
    host.unwatch(slot);
    expect(socket.closed).toBe(false);
  });
});
