/**
 * The other end of a connection, by node:net: it knows nothing of fdset. On the simulated backend, whose network node:net
 * cannot reach, its part is played by {@link SimulatedPeer}.
 */
import { type AddressInfo, connect, createServer, type NetConnectOpts, type Server, type Socket } from 'node:net';
import type { Address, InetAddress } from '@fdset/reactor';
import { afterTest } from './after-test.js';
import { SimulatedPeer, SimulatedServer } from './simulated-peer.js';
import { peersReactor } from './simulated-stage.js';
import { Log, once } from './waiting.js';

/** A bare socket of node:net, or its like on the simulated backend, that begins to connect; the caller's to end. */
export function openPeer(address: Address, options: Partial<NetConnectOpts> = {}, real = false): Socket {
  const peers = real ? null : peersReactor();
  if (peers !== null) return SimulatedPeer.connect(peers, address, options);
  const target = 'path' in address ? { path: address.path } : { host: address.host, port: address.port };
  return connect({ allowHalfOpen: true, noDelay: true, ...target, ...options } as NetConnectOpts);
}

export class NetPeer {
  readonly socket: Socket;
  /** Each chunk as node:net read it. */
  readonly chunks = new Log<Buffer>();
  #bytes = 0;
  #error: NodeJS.ErrnoException | undefined;
  #waiters: (() => void)[] = [];
  /** Resolves at the other side's FIN. */
  readonly ended: Promise<void>;
  /** Resolves when it is closed: with the error's code, or with 'clean'. */
  readonly closed: Promise<string>;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', (error) => {
      this.#error = error;
    });
    this.ended = once(socket, 'end');
    this.closed = once(socket, 'close').then(() => {
      this.#wake();
      return this.#error?.code ?? 'clean';
    });
    afterTest(async () => {
      socket.destroy();
      await this.closed;
    });
  }

  /** Connects; `paused`: reads only once `read()` is called; `real`: by node:net on every backend. */
  static async connect(
    address: Address,
    options: Partial<NetConnectOpts> & { paused?: boolean; real?: boolean } = {},
  ): Promise<NetPeer> {
    const { paused = false, real = false, ...rest } = options;
    const peer = new NetPeer(openPeer(address, rest, real));
    await Promise.race([
      once(peer.socket, 'connect'),
      peer.closed.then((how) => Promise.reject(new Error(`the peer could not connect: ${how}`))),
    ]);
    if (!paused) peer.read();
    return peer;
  }

  /** Reads what comes from now on. */
  read(): this {
    this.socket.on('data', (chunk: Buffer) => {
      this.#bytes += chunk.length;
      this.chunks.add(chunk);
      this.#wake();
    });
    return this;
  }

  /** All that has come. */
  get received(): Buffer {
    return Buffer.concat(this.chunks.entries);
  }

  /** Resolves once `bytes` have come in all; rejects when the connection is over before that. */
  async receives(bytes: number): Promise<Buffer> {
    while (this.#bytes < bytes) {
      if (this.socket.destroyed) throw new Error(`closed (${this.#error?.code ?? 'clean'}) after ${this.#bytes} bytes`);
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
    return this.received;
  }

  write(data: string | Uint8Array): void {
    this.socket.write(data);
  }

  /** FIN, after all that was written. */
  end(data?: string | Uint8Array): void {
    if (data === undefined) this.socket.end();
    else this.socket.end(data);
  }

  /** RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}

/** A listening node:net server; its connections come as peers, in order. */
export class NetServer {
  readonly address: InetAddress;
  readonly peers = new Log<NetPeer>();
  #taken = 0;

  private constructor(server: Server | SimulatedServer, paused: boolean) {
    const { address, port } = server.address() as AddressInfo;
    this.address = { host: address, port };
    server.on('connection', (socket: Socket) => {
      const peer = new NetPeer(socket);
      this.peers.add(paused ? peer : peer.read());
    });
  }

  static async listen(options: { host?: string; port?: number; paused?: boolean } = {}): Promise<NetServer> {
    const { host = '127.0.0.1', port = 0, paused = false } = options;
    const peers = peersReactor();
    if (peers !== null) return new NetServer(SimulatedServer.listen(peers, { host, port }), paused);
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: false });
    server.listen(port, host);
    await once(server, 'listening');
    afterTest(() => server.close());
    return new NetServer(server, paused);
  }

  /** The next connection that has come. */
  async next(): Promise<NetPeer> {
    this.#taken += 1;
    await this.peers.reaches(this.#taken);
    return this.peers.entries[this.#taken - 1] as NetPeer;
  }
}
