/** What node:net's sockets and servers are to the tests, over the bare verbs of a simulated network: no Connection is involved. */
import { EventEmitter } from 'node:events';
import type { AddressInfo, NetConnectOpts, Socket as NetSocket } from 'node:net';
import { Duplex } from 'node:stream';
import {
  type Address,
  type InetAddress,
  READABLE,
  type Reactor,
  type Registration,
  type Socket,
  WOULD_BLOCK,
  WRITABLE,
} from '@fdset/reactor';
import { afterTest } from './after-test.js';

type Done = (error?: Error | null) => void;

export class SimulatedPeer extends Duplex {
  readonly localPort: number | undefined;
  readonly remotePort: number | undefined;
  readonly remoteAddress: string | undefined;
  readonly #socket: Socket;
  readonly #registration: Registration;
  #connecting: boolean;
  #reading = false;
  #unsent: { bytes: Uint8Array; done: Done } | null = null;
  #finishing: Done | null = null;
  #abortive = false;

  private constructor(reactor: Reactor, socket: Socket, connecting: boolean, allowHalfOpen = true) {
    super({ allowHalfOpen, emitClose: true });
    this.#socket = socket;
    this.#connecting = connecting;
    this.localPort = (socket.localAddress as InetAddress | undefined)?.port;
    this.remotePort = (socket.remoteAddress as InetAddress | undefined)?.port;
    this.remoteAddress = (socket.remoteAddress as InetAddress | undefined)?.host;
    this.#registration = reactor.register(socket, connecting ? WRITABLE : 0, (_socket, readiness) =>
      this.#ready(readiness),
    );
    if (!connecting) this.#rearm();
  }

  /** As `connect` of node:net: tells by events. */
  static connect(reactor: Reactor, address: Address, options: Partial<NetConnectOpts>): NetSocket {
    const isUnix = 'path' in address;
    const family = isUnix ? 'unix' : address.host.includes(':') ? 'ipv6' : 'ipv4';
    const { localAddress, localPort, allowHalfOpen } = options as {
      localAddress?: string;
      localPort?: number;
      allowHalfOpen?: boolean;
    };
    const socket = reactor.socket({ family });
    let failure: Error | null = null;
    try {
      if (localAddress !== undefined || localPort !== undefined)
        socket.bind({ host: localAddress ?? '', port: localPort ?? 0 });
      socket.connect(address);
    } catch (error) {
      failure = error as Error;
    }
    const peer = new SimulatedPeer(reactor, socket, true, allowHalfOpen);
    if (failure !== null) peer.destroy(failure);
    return peer as unknown as NetSocket;
  }

  static of(reactor: Reactor, socket: Socket): NetSocket {
    return new SimulatedPeer(reactor, socket, false) as unknown as NetSocket;
  }

  #ready(readiness: number): void {
    try {
      if (this.#connecting) this.#finishConnect();
      else {
        if (readiness & WRITABLE) this.#sendOn();
        if (readiness & READABLE) this.#receive();
      }
      if (!this.destroyed) this.#rearm();
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  #finishConnect(): void {
    if (!this.#socket.finishConnect()) return;
    this.#connecting = false;
    this.emit('connect');
  }

  #rearm(): void {
    if (this.#connecting || !this.#registration.active) return;
    this.#registration.modify((this.#reading ? READABLE : 0) | (this.#unsent === null ? 0 : WRITABLE));
  }

  override _read(): void {
    this.#reading = true;
    this.#rearm();
  }

  #receive(): void {
    if (!this.#reading) return;
    const into = Buffer.alloc(65536);
    const count = this.#socket.recv(into);
    if (count === WOULD_BLOCK) return;
    this.#reading = false;
    this.push(count === 0 ? null : into.subarray(0, count));
  }

  override _write(bytes: Uint8Array, _encoding: string, done: Done): void {
    this.#unsent = { bytes, done };
    if (this.#connecting) return;
    try {
      this.#sendOn();
      this.#rearm();
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  #sendOn(): void {
    while (this.#unsent !== null) {
      const { bytes, done } = this.#unsent;
      const count = this.#socket.send(bytes);
      if (count === WOULD_BLOCK) return;
      if (count < bytes.length) {
        this.#unsent = { bytes: bytes.subarray(count), done };
        continue;
      }
      this.#unsent = null;
      done();
    }
    this.#finish();
  }

  override _final(done: Done): void {
    this.#finishing = done;
    if (!this.#connecting) this.#finish();
  }

  #finish(): void {
    const done = this.#finishing;
    if (done === null) return;
    this.#finishing = null;
    try {
      this.#socket.shutdown('write');
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  resetAndDestroy(): this {
    this.#abortive = true;
    return this.destroy();
  }

  override _destroy(error: Error | null, done: Done): void {
    if (this.#abortive) this.#socket.reset();
    else this.#socket.close();
    done(error);
  }
}

export class SimulatedServer extends EventEmitter {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    super();
    this.#socket = socket;
  }

  static listen(reactor: Reactor, address: InetAddress): SimulatedServer {
    const socket = reactor.socket({ family: address.host.includes(':') ? 'ipv6' : 'ipv4' });
    socket.bind(address);
    socket.listen();
    const server = new SimulatedServer(socket);
    reactor.register(socket, READABLE, () => {
      for (let accepted = socket.accept(); accepted !== null; accepted = socket.accept())
        server.emit('connection', SimulatedPeer.of(reactor, accepted));
    });
    afterTest(() => socket.close());
    return server;
  }

  address(): AddressInfo {
    const { host, port } = this.#socket.localAddress as InetAddress;
    return { address: host, port, family: 'IPv4' };
  }
}
