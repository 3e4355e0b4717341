/** What happens to a datagram socket: the events of its node:dgram socket, and the readiness that follows from them. */
import { createSocket, Socket as DgramSocket, type RemoteInfo } from 'node:dgram';
import type { Address, InetAddress, InetFamily } from '../../address.js';
import { SocketError, socketError } from '../../errors.js';
import { ERROR, READ_CLOSED, READABLE, WRITABLE } from '../../readiness.js';
import type { BackendHost } from '../backend.js';
import { BaseSocket, type ReadinessSink } from './base-socket.js';
import { DatagramOptions } from './datagram-options.js';
import { DatagramQueue } from './datagram-queue.js';
import { toSocketError } from './failures.js';

/*
 *  FRESH ──bind, connect, send──▶ BINDING ──────▶ BOUND        Node is through BINDING before the verb returns
 *    ▲                               │
 *    └────────────failed─────────────┘
 *  each ──close──▶ CLOSED
 */
export const FRESH = 0;
export const BINDING = 1;
export const BOUND = 2;
export const CLOSED = 3;

/** Whether the runtime sends at once where it can, and tells what it keeps. Deno does neither. */
const sendsAtOnce = 'getSendQueueCount' in DgramSocket.prototype;
/**
 * Sends whose outcome is not told yet: Node tells it in the next tick, also of what has left at once. Where it is not sent
 * at once, two that are under way may overtake each other.
 */
export const MOST_UNTOLD = sendsAtOnce ? 1024 : 1;

/** An error that nobody was told of yet. */
interface Pending {
  readonly errno: number;
  readonly address: Address | undefined;
  /** The call to name where the verb that tells it is no transfer. */
  readonly syscall: string;
}

export abstract class DatagramState extends BaseSocket {
  declare readonly family: InetFamily;
  protected readonly options: DatagramOptions;
  protected readonly queue = new DatagramQueue();
  protected state = FRESH;
  protected socket: DgramSocket | null = null;
  protected peer: InetAddress | null = null;
  /** Whom a connect that is not decided is about. */
  protected target: InetAddress | null = null;
  protected pending: Pending | null = null;
  /** Groups that were joined or left before there was a bound socket. */
  protected groupChanges: (() => void)[] = [];
  protected untold = 0;
  /** A send would block, until Node has told what became of those before. */
  protected full = false;
  protected readShut = false;
  protected writeShut = false;

  constructor(family: InetFamily, host: BackendHost, sink: ReadinessSink) {
    super(family, host, sink, WRITABLE);
    this.options = new DatagramOptions(family);
  }

  get closed(): boolean {
    return this.state === CLOSED;
  }

  settled(): Promise<void> {
    if (this.state === FRESH && this.pending !== null) return Promise.reject(this.takePending('bind'));
    return this.state === BINDING ? this.outcome() : Promise.resolve();
  }

  /** Node would drop what the system has not taken yet. */
  protected closeWhenSent(): void {
    if (this.socket === null || this.isQueueing(this.socket)) return;
    this.socket.close();
    this.socket = null;
  }

  /** Throws `EBADF`, or the failure of the bind before. */
  protected enter(verb: string): void {
    if (this.state === CLOSED) throw socketError('EBADF', verb);
    if (this.state === FRESH && this.pending !== null) throw this.takePending(verb);
  }

  protected begin({ host, port }: InetAddress): void {
    const socket = createSocket({
      type: this.family === 'ipv4' ? 'udp4' : 'udp6',
      ...this.options.creation,
      lookup: asItIs as never,
    });
    this.socket = socket;
    this.state = BINDING;
    socket.on('listening', () => this.#onListening(socket));
    socket.on('message', this.#onMessage);
    socket.on('error', (error) => this.#onError(socket, error, { host, port }));
    // First: Deno holds the process for a receive that was begun before, until it has received.
    socket.unref();
    // `exclusive`: in a cluster's worker, too, this process itself binds.
    socket.bind({ address: host, port, exclusive: true });
    this.refresh();
  }

  #onListening(socket: DgramSocket): void {
    if (this.state === CLOSED) {
      socket.close();
      return;
    }
    this.state = BOUND;
    for (const apply of [() => this.options.apply(socket), ...this.groupChanges]) {
      try {
        apply();
      } catch (error) {
        const { errno, syscall } = error as SocketError;
        this.pending ??= { errno, syscall, address: undefined };
      }
    }
    this.groupChanges = [];
    this.tellWaiters(null);
    this.refresh();
  }

  readonly #onMessage = (payload: Buffer, sender: RemoteInfo): void => {
    if (this.state === CLOSED) return;
    if (!this.queue.push(payload, sender)) this.host.traffic.datagramsDropped += 1;
    else if ((this.readiness & READABLE) === 0) this.refresh();
  };

  /** A bind has failed, or the system tells of a datagram that could not be delivered. */
  #onError(socket: DgramSocket, error: NodeJS.ErrnoException, bound: InetAddress): void {
    if (this.state === CLOSED) {
      closeQuietly(socket);
      return;
    }
    if (this.state !== BINDING) {
      this.fail(error, 'recv', this.peer ?? undefined);
      return;
    }
    closeQuietly(socket);
    this.socket = this.target = null;
    this.state = FRESH;
    const failure = toSocketError(error, 'bind', bound);
    if (!this.tellWaiters(failure)) this.pending = { errno: failure.errno, address: bound, syscall: 'bind' };
    this.refresh();
  }

  protected readonly onConnect = (error?: NodeJS.ErrnoException): void => {
    if (this.state === CLOSED || this.target === null) return;
    if (error === undefined || error === null) this.lookConnected();
    else {
      const target = this.target;
      this.target = null;
      this.fail(error, 'connect', target);
    }
  };

  /** Whether the connect that was begun is done already, as it is where Node needs nobody's answer. */
  protected lookConnected(): void {
    try {
      this.socket?.remoteAddress();
    } catch {
      this.refresh();
      return;
    }
    this.peer = this.target;
    this.target = null;
    this.refresh();
  }

  protected readonly onSent = (error: NodeJS.ErrnoException | null): void => {
    this.untold -= 1;
    if (this.state === CLOSED) {
      this.closeWhenSent();
      return;
    }
    if (error !== null && error !== undefined) {
      const { address: host, port } = error as { address?: string; port?: number };
      this.fail(error, 'send', host === undefined || port === undefined ? (this.peer ?? undefined) : { host, port });
    }
    if (!this.full || this.untold >= MOST_UNTOLD) return;
    if (this.socket === null || this.isQueueing(this.socket)) return;
    this.full = false;
    this.refresh();
  };

  /** Whether the runtime holds datagrams that the system has not taken yet, because its buffer is full. */
  protected isQueueing(socket: DgramSocket): boolean {
    return sendsAtOnce ? socket.getSendQueueCount() > 0 : this.untold > 0;
  }

  protected fail(error: NodeJS.ErrnoException, syscall: string, address: Address | undefined): void {
    this.pending ??= { errno: toSocketError(error, syscall).errno, address, syscall };
    this.refresh();
  }

  /** The pending error, as that of `syscall`: it is thereby told. */
  protected takePending(syscall: string): SocketError {
    const { errno, address, syscall: own } = this.pending as Pending;
    this.pending = null;
    this.refresh();
    return new SocketError(errno, own === 'bind' || own === 'setsockopt' ? own : syscall, address);
  }

  /** Works the readiness out anew, and tells the demultiplexer where it has changed. */
  protected refresh(): void {
    if (this.state === CLOSED) return;
    const busy = this.state === BINDING || this.target !== null || this.full;
    const error = this.pending === null ? 0 : ERROR;
    const unbound = this.state === FRESH && error !== 0;
    const readiness =
      (this.queue.size > 0 || error !== 0 || this.readShut ? READABLE : 0) |
      (busy || unbound ? 0 : WRITABLE) |
      (this.readShut ? READ_CLOSED : 0) |
      error;
    if (readiness === this.readiness) return;
    this.readiness = readiness;
    this.sink.changed(this);
  }
}

/** In the place of the resolver: addresses are literals here, and Node goes on at once instead of in a later tick. */
function asItIs(host: string, _options: unknown, callback: (error: null, host: string) => void): void {
  callback(null, host);
}

function closeQuietly(socket: DgramSocket): void {
  try {
    socket.close();
  } catch {
    // Some runtimes close what could not be bound themselves.
  }
}
