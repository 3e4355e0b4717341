/** The states of a socket, how each is brought about, and what Linux reports in it (measured with epoll and poll). */
import { execFileSync } from 'node:child_process';
import { constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  type Address,
  type Capabilities,
  ERROR,
  HANGUP,
  MSG_OOB,
  READ_CLOSED,
  READABLE,
  type Reactor,
  type Socket,
  WRITABLE,
} from '@fdset/reactor';
import { expect } from 'vitest';
import { afterTest } from './after-test.js';
import { NetPeer } from './net-peer.js';
import { PythonPeer } from './python-peer.js';
import { accepted, arrived, filledUp, listening, owned, received, withPeer } from './sockets.js';
import { until } from './waiting.js';

export const SETS = READABLE | WRITABLE | ERROR;
export const HINTS = HANGUP | READ_CLOSED;

export interface State {
  readonly name: string;
  /** What the kernel reports. */
  readonly mask: number;
  /** What a backend must be able to do to see it. */
  readonly needs?: readonly (keyof Capabilities)[];
  make(reactor: Reactor): Promise<Socket>;
}

async function withPython(reactor: Reactor): Promise<{ socket: Socket; peer: PythonPeer }> {
  const { listener, address } = await listening(reactor);
  const peer = await PythonPeer.connect(address);
  return { socket: await accepted(reactor, listener), peer };
}

/** Waits until the system reports the error set or the end of the peer. */
async function afterReset(reactor: Reactor, socket: Socket): Promise<Socket> {
  await reactor.select([], [], [socket]);
  return socket;
}

async function atEnd(socket: Socket): Promise<Socket> {
  await until(() => socket.recv(Buffer.alloc(64)) === 0);
  return socket;
}

/** Waits for the end of the peer, which is sent by itself, behind input that stays unread. It is a hint: not all tell it. */
async function endTold(reactor: Reactor, socket: Socket): Promise<Socket> {
  if (!reactor.capabilities.hangupWhilePaused) return socket;
  await new Promise<void>((resolve) => {
    reactor.register(socket, READ_CLOSED, {
      hangup(_socket, registration) {
        registration.unregister();
        resolve();
      },
    });
  });
  return socket;
}

/** Two UDP sockets, each connected to the other. */
function datagramPair(reactor: Reactor): [Socket, Socket] {
  const made = [0, 1].map(() => {
    const socket = owned(reactor.socket({ type: 'datagram' }));
    socket.bind({ host: '127.0.0.1', port: 0 });
    return socket;
  }) as [Socket, Socket];
  made[0].connect(made[1].localAddress as Address);
  made[1].connect(made[0].localAddress as Address);
  return made;
}

/** The two ends of a FIFO, which is a pipe with a name. */
export function pipe(reactor: Reactor): [read: Socket, write: Socket] {
  const folder = mkdtempSync(path.join(tmpdir(), 'fdset-'));
  afterTest(() => rmSync(folder, { recursive: true }));
  const name = path.join(folder, 'fifo');
  execFileSync('mkfifo', [name]);
  const read = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK);
  const write = openSync(name, constants.O_WRONLY | constants.O_NONBLOCK);
  return [owned(reactor.adopt(read)), owned(reactor.adopt(write))];
}

export const STATES: readonly State[] = [
  {
    name: 'a fresh socket',
    mask: READABLE | WRITABLE | HINTS,
    make: async (reactor) => owned(reactor.socket()),
  },
  {
    name: 'listening, nobody waits',
    mask: 0,
    make: async (reactor) => (await listening(reactor)).listener,
  },
  {
    name: 'listening, a connection waits',
    mask: READABLE,
    async make(reactor) {
      const { listener, address } = await listening(reactor);
      await NetPeer.connect(address);
      await reactor.select([listener], [], []);
      return listener;
    },
  },
  {
    name: 'connected, idle',
    mask: WRITABLE,
    make: async (reactor) => (await withPeer(reactor)).socket,
  },
  {
    name: 'connected, input waits',
    mask: READABLE | WRITABLE,
    async make(reactor) {
      const { socket, peer } = await withPeer(reactor);
      peer.write('x');
      await arrived(socket, 1);
      return socket;
    },
  },
  {
    name: 'connected, the send buffer is full',
    mask: 0,
    async make(reactor) {
      const { listener, address } = await listening(reactor);
      await NetPeer.connect(address, { paused: true });
      const socket = await accepted(reactor, listener);
      await filledUp(reactor, socket);
      return socket;
    },
  },
  {
    name: 'a connect was refused',
    mask: SETS | HINTS,
    async make(reactor) {
      const { peer, address } = await PythonPeer.listen();
      await peer.do('close');
      const socket = owned(reactor.socket());
      socket.connect(address);
      return afterReset(reactor, socket);
    },
  },
  {
    name: 'a connect was refused, and its error was taken',
    mask: READABLE | WRITABLE | HINTS,
    async make(reactor) {
      const { peer, address } = await PythonPeer.listen();
      await peer.do('close');
      const socket = owned(reactor.socket());
      socket.connect(address);
      await afterReset(reactor, socket);
      expect(socket.takeError()).toMatchObject({ code: 'ECONNREFUSED' });
      return socket;
    },
  },
  {
    name: 'the peer has ended, input unread',
    mask: READABLE | WRITABLE | READ_CLOSED,
    async make(reactor) {
      const { socket, peer } = await withPeer(reactor);
      peer.end('unread');
      await arrived(socket, 6);
      return endTold(reactor, socket);
    },
  },
  {
    name: 'the peer has ended, all was read',
    mask: READABLE | WRITABLE | READ_CLOSED,
    async make(reactor) {
      const { socket, peer } = await withPeer(reactor);
      peer.end('read');
      return atEnd(socket);
    },
  },
  {
    name: 'both directions are shut',
    mask: READABLE | WRITABLE | HINTS,
    async make(reactor) {
      const { socket, peer } = await withPeer(reactor);
      socket.shutdown('write');
      peer.end();
      return atEnd(socket);
    },
  },
  {
    name: 'our writing side is shut',
    mask: WRITABLE,
    async make(reactor) {
      const { socket } = await withPeer(reactor);
      socket.shutdown('write');
      return socket;
    },
  },
  {
    name: 'our reading side is shut',
    needs: ['shutdownRead'],
    mask: READABLE | WRITABLE | READ_CLOSED,
    async make(reactor) {
      const { socket } = await withPeer(reactor);
      socket.shutdown('read');
      return socket;
    },
  },
  {
    name: 'a reset behind unread input',
    mask: SETS | HINTS,
    async make(reactor) {
      const { socket, peer } = await withPython(reactor);
      await peer.send('unread');
      await arrived(socket, 6);
      await peer.do('reset');
      return afterReset(reactor, socket);
    },
  },
  {
    name: 'the peer has closed, and our sending met its reset',
    needs: ['hangupWhilePaused'],
    mask: SETS | HINTS,
    async make(reactor) {
      const { socket, peer } = await withPython(reactor);
      await peer.do('close');
      await atEnd(socket);
      expect(socket.send(Buffer.from('x'))).toBe(1);
      return afterReset(reactor, socket);
    },
  },
  {
    name: 'accepted after the client’s reset',
    mask: SETS | HINTS,
    async make(reactor) {
      const { listener, address } = await listening(reactor);
      const peer = await PythonPeer.connect(address);
      await peer.do('reset');
      const socket = await accepted(reactor, listener);
      return afterReset(reactor, socket);
    },
  },
  {
    name: 'input with an urgent byte',
    needs: ['oob'],
    mask: SETS,
    async make(reactor) {
      const { socket, peer } = await withPython(reactor);
      await peer.send('abc');
      await peer.urgent('!');
      return afterReset(reactor, socket);
    },
  },
  {
    name: 'an urgent byte behind input that was read',
    needs: ['oob'],
    mask: WRITABLE | ERROR,
    async make(reactor) {
      const { socket, peer } = await withPython(reactor);
      await peer.send('abc');
      await peer.urgent('!');
      await afterReset(reactor, socket);
      await received(reactor, socket, 3);
      return socket;
    },
  },
  {
    name: 'an urgent byte that was received',
    needs: ['oob'],
    mask: WRITABLE,
    async make(reactor) {
      const { socket, peer } = await withPython(reactor);
      await peer.urgent('!');
      await afterReset(reactor, socket);
      expect(socket.recv(Buffer.alloc(1), 0, 1, MSG_OOB)).toBe(1);
      return socket;
    },
  },
  {
    name: 'an urgent byte with oobInline',
    needs: ['oob'],
    mask: SETS,
    async make(reactor) {
      const { socket, peer } = await withPython(reactor);
      socket.setOption('oobInline', true);
      await peer.send('abc');
      await peer.urgent('!');
      return afterReset(reactor, socket);
    },
  },
  {
    name: 'a unix stream whose peer has closed',
    needs: ['socketPair'],
    mask: READABLE | WRITABLE | HINTS,
    async make(reactor) {
      const [socket, peer] = reactor.socketPair().map(owned) as [Socket, Socket];
      peer.close();
      return socket;
    },
  },
  {
    name: 'a unix stream whose peer has closed, input unread',
    needs: ['socketPair'],
    mask: READABLE | WRITABLE | HINTS,
    async make(reactor) {
      const [socket, peer] = reactor.socketPair().map(owned) as [Socket, Socket];
      peer.send(Buffer.from('unread'));
      peer.close();
      return socket;
    },
  },
  {
    name: 'a unix datagram socket whose peer has closed',
    needs: ['socketPair', 'unixDatagram'],
    mask: WRITABLE,
    async make(reactor) {
      const [socket, peer] = reactor.socketPair({ type: 'datagram' }).map(owned) as [Socket, Socket];
      peer.close();
      return socket;
    },
  },
  {
    name: 'a pipe to write to',
    needs: ['adopt'],
    mask: WRITABLE,
    make: async (reactor) => pipe(reactor)[1],
  },
  {
    name: 'a pipe to write to, its reader gone',
    needs: ['adopt'],
    mask: SETS,
    async make(reactor) {
      const [read, write] = pipe(reactor);
      read.close();
      return write;
    },
  },
  {
    name: 'a pipe to read from, with input',
    needs: ['adopt'],
    mask: READABLE,
    async make(reactor) {
      const [read, write] = pipe(reactor);
      expect(write.send(Buffer.from('x'))).toBe(1);
      return read;
    },
  },
  {
    name: 'a pipe to read from, drained, its writer gone',
    needs: ['adopt'],
    mask: READABLE | HINTS,
    async make(reactor) {
      const [read, write] = pipe(reactor);
      write.close();
      return read;
    },
  },
  {
    name: 'a datagram of no bytes',
    needs: ['rawDescriptors'],
    mask: READABLE | WRITABLE,
    async make(reactor) {
      const [socket, peer] = datagramPair(reactor);
      expect(peer.send(Buffer.alloc(0))).toBe(0);
      return socket;
    },
  },
  {
    name: 'connected UDP, its datagram refused',
    needs: ['rawDescriptors'],
    mask: SETS,
    async make(reactor) {
      const [socket, peer] = datagramPair(reactor);
      peer.close();
      expect(socket.send(Buffer.from('x'))).toBe(1);
      return afterReset(reactor, socket);
    },
  },
  {
    name: 'connected UDP, its datagram refused, and the error taken',
    needs: ['rawDescriptors'],
    mask: WRITABLE,
    async make(reactor) {
      const [socket, peer] = datagramPair(reactor);
      peer.close();
      expect(socket.send(Buffer.from('x'))).toBe(1);
      await afterReset(reactor, socket);
      expect(socket.takeError()).toMatchObject({ code: 'ECONNREFUSED' });
      return socket;
    },
  },
  {
    name: 'connected UDP with IP_RECVERR, its datagram refused, and SO_ERROR read: it stays in the error queue',
    needs: ['rawOptions'],
    mask: SETS,
    async make(reactor) {
      const [socket, peer] = datagramPair(reactor);
      // IPPROTO_IP, IP_RECVERR of <linux/in.h>.
      socket.setRawOption(0, 11, Buffer.from(Int32Array.of(1).buffer));
      peer.close();
      expect(socket.send(Buffer.from('x'))).toBe(1);
      await afterReset(reactor, socket);
      // SOL_SOCKET, SO_ERROR: read without the queue, which takeError reads as well.
      expect(socket.getRawOption(1, 4, 4).readInt32LE()).not.toBe(0);
      return socket;
    },
  },
];
