/** Raw sockets of a reactor, connected over TCP, with what tests do to them. */
import { createHash } from 'node:crypto';
import { type InetAddress, MSG_PEEK, type Reactor, type Socket, WOULD_BLOCK } from '@fdset/reactor';
import { afterTest } from './after-test.js';
import { NetPeer } from './net-peer.js';
import { until } from './waiting.js';

/** Closes the socket when the test is over. */
export function owned<S extends Socket | null>(socket: S): S {
  afterTest(() => socket?.close());
  return socket;
}

export async function listening(
  reactor: Reactor,
  options: Parameters<Reactor['listen']>[1] & { host?: string } = {},
): Promise<{ listener: Socket; address: InetAddress }> {
  const { host = '127.0.0.1', ...rest } = options;
  const listener = owned(await reactor.listen({ host, port: 0 }, rest));
  return { listener, address: listener.localAddress as InetAddress };
}

/** The next connection of a listening socket. */
export async function accepted(reactor: Reactor, listener: Socket): Promise<Socket> {
  for (;;) {
    const socket = listener.accept();
    if (socket !== null) return owned(socket);
    await reactor.select([listener], [], []);
  }
}

/** `count` pairs of sockets of `reactor`, each connected over the loopback interface. */
export async function pairs(reactor: Reactor, count: number): Promise<[client: Socket, server: Socket][]> {
  const { listener, address } = await listening(reactor);
  const made: [Socket, Socket][] = [];
  for (let i = 0; i < count; i += 1) {
    const client = owned(await reactor.connect(address));
    made.push([client, await accepted(reactor, listener)]);
  }
  listener.close();
  return made;
}

export async function pair(reactor: Reactor): Promise<[client: Socket, server: Socket]> {
  const [made] = await pairs(reactor, 1);
  return made as [Socket, Socket];
}

/** A socket of `reactor` whose other end is a node:net socket. */
export async function withPeer(reactor: Reactor): Promise<{ socket: Socket; peer: NetPeer }> {
  const { listener, address } = await listening(reactor);
  const [peer, socket] = await Promise.all([NetPeer.connect(address), accepted(reactor, listener)]);
  listener.close();
  return { socket, peer };
}

/** Waits until at least `bytes` of input are there to be received. They stay there. */
export async function arrived(socket: Socket, bytes: number): Promise<void> {
  const into = Buffer.alloc(bytes);
  await until(() => socket.recv(into, 0, bytes, MSG_PEEK) >= bytes);
}

/** Receives until `bytes` have come, or to the end of the stream. */
export async function received(reactor: Reactor, socket: Socket, bytes = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let left = bytes;
  while (left > 0) {
    const into = Buffer.alloc(Math.min(left, 65536));
    const count = socket.recv(into);
    if (count === WOULD_BLOCK) await reactor.select([socket], [], []);
    else if (count === 0) break;
    else {
      chunks.push(into.subarray(0, count));
      left -= count;
    }
  }
  return Buffer.concat(chunks);
}

/** Sends all of `bytes`, waiting where the system takes no more. Returns the counts that `send` gave. */
export async function sent(reactor: Reactor, socket: Socket, bytes: Uint8Array): Promise<number[]> {
  const counts: number[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const count = socket.send(bytes, offset);
    if (count === WOULD_BLOCK) await reactor.select([], [socket], []);
    else {
      counts.push(count);
      offset += count;
    }
  }
  return counts;
}

/** Sends until the system takes no more, and returns how much it took. */
export function filled(socket: Socket): number {
  const block = Buffer.alloc(65536, 'x');
  let total = 0;
  for (;;) {
    const count = socket.send(block);
    if (count === WOULD_BLOCK) return total;
    total += count;
  }
}

/**
 * The same until there is no room for a while, although nobody reads: what was sent leaves the sender's buffer later, where
 * the system delivers it later; the receiver's buffer grows while it is filled; and a peer by node:net has one of its own.
 */
export async function filledUp(reactor: Reactor, socket: Socket): Promise<number> {
  let total = filled(socket);
  while ((await reactor.select([], [socket], [], 10))[1].length > 0) total += filled(socket);
  return total;
}

/** Bytes in which every position can be told from its neighbours. */
export function pattern(bytes: number): Buffer {
  const made = Buffer.alloc(bytes);
  for (let i = 0; i < bytes; i += 1) made[i] = (i * 31 + (i >> 8) * 7 + (i >> 16)) & 255;
  return made;
}

export function digest(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('hex');
}
