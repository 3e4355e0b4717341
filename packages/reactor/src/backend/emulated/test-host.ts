/** What the tests of this folder stand on: a host that is less than a reactor, and plain node:net at the other end. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach } from 'vitest';
import type { InetAddress } from '../../address.js';
import { READABLE, WOULD_BLOCK, WRITABLE } from '../../readiness.js';
import type { BackendHost, BackendSocket } from '../backend.js';
import { EmulatedBackend } from './emulated.js';

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

export let host: TestHost;
/** Undone after each test. */
export let opened: (() => void)[];

/** A new host for each test of the file. */
export function hostEachTest(): void {
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
}

export function plainPeer(port: number, options: Partial<net.NetConnectOpts> = {}): net.Socket {
  const peer = net.connect({ host: '127.0.0.1', port, ...options } as net.NetConnectOpts);
  opened.push(() => peer.destroy());
  peer.on('error', () => {});
  return peer;
}

export async function plainServer(onConnection: (socket: net.Socket) => void): Promise<number> {
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

export function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
  return 'nothing was thrown';
}

/** Sends all that is taken at the moment. */
export function sendAllTaken(socket: BackendSocket, bytes: Uint8Array): number {
  let sent = 0;
  while (sent < bytes.length) {
    const taken = socket.send(bytes, sent);
    if (taken === WOULD_BLOCK) break;
    sent += taken;
  }
  return sent;
}

/** Sends blocks until none is taken, and returns the count of bytes: as much as the system and the queue hold. */
export function fill(socket: BackendSocket, block: Uint8Array): number {
  for (let sent = 0; sent < 64 << 20; ) {
    const taken = socket.send(block);
    if (taken === WOULD_BLOCK) return sent;
    sent += taken;
  }
  throw new Error('send took 64 MiB that nobody reads');
}

/** Receives until the end or an error; the bytes so far, and how it ended. */
export async function receiveAll(socket: BackendSocket): Promise<{ bytes: number; ending: string }> {
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

/** For what nobody is told of: looks every 2 ms. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(2);
}

/** The sockets of node:net beneath the connections that come to listeners of this process from now on, in their order. */
export function accepts(): net.Socket[] {
  const came: net.Socket[] = [];
  const note = (message: unknown) => void came.push((message as { socket: net.Socket }).socket);
  subscribe('net.server.socket', note);
  opened.push(() => unsubscribe('net.server.socket', note));
  return came;
}

export const into = Buffer.alloc(4096);
export const text = (count: number): string => into.toString('latin1', 0, count);
