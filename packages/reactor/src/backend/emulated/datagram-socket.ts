/** The BSD verbs over node:dgram. */
import { createSocket, Socket as DgramSocket, type RemoteInfo } from 'node:dgram';
import type { Address, InetAddress, InetFamily } from '../../address.js';
import { checkChunks, checkFlags, checkRange } from '../../arguments.js';
import { checkSpan, type DatagramBatch, memoryOf } from '../../datagram-batch.js';
import { receiveEach } from '../../datagram-loop.js';
import { describe, misuse, notSupported, SocketError, socketError } from '../../errors.js';
import { checkGroup } from '../../groups.js';
import { ERROR, MSG_MORE, MSG_OOB, MSG_PEEK, READ_CLOSED, READABLE, WOULD_BLOCK, WRITABLE } from '../../readiness.js';
import type { GroupOptions, ReceivedDatagram, SocketOptions } from '../../socket.js';
import type { BackendHost, BackendSocket } from '../backend.js';
import { fromEndpoint, toEndpoint, unboundAddress } from './addresses.js';
import { BaseSocket, type ReadinessSink } from './base-socket.js';
import { copyBytes } from './copy.js';
import { attempt, DatagramOptions } from './datagram-options.js';
import { DatagramQueue } from './datagram-queue.js';
import { toSocketError } from './failures.js';
import { findInterface, toDgramInterface } from './interfaces.js';

/*
 *  FRESH ──bind, connect, send──▶ BINDING ──────▶ BOUND        Node is through BINDING before the verb returns
 *    ▲                               │
 *    └────────────failed─────────────┘
 *  each ──close──▶ CLOSED
 */
const FRESH = 0;
const BINDING = 1;
const BOUND = 2;
const CLOSED = 3;

/** The most that one datagram holds: 65,535 less the headers of UDP, and of IPv4, whose length counts its header. */
const LONGEST = { ipv4: 65_507, ipv6: 65_527 } as const;
/** The kernel's IOV_MAX. */
const MOST_GATHERED = 1024;
/** Whether the runtime sends at once where it can, and tells what it keeps. Deno does neither. */
const sendsAtOnce = 'getSendQueueCount' in DgramSocket.prototype;
/**
 * Sends whose outcome is not told yet: Node tells it in the next tick, also of what has left at once. Where it is not sent
 * at once, two that are under way may overtake each other.
 */
const MOST_UNTOLD = sendsAtOnce ? 1024 : 1;

/** An error that nobody was told of yet. */
interface Pending {
  readonly errno: number;
  readonly address: Address | undefined;
  /** The call to name where the verb that tells it is no transfer. */
  readonly syscall: string;
}

/** A datagram socket of the emulated backend. What it promises stands at {@link EmulatedBackend}. */
export class EmulatedDatagramSocket extends BaseSocket implements BackendSocket {
  readonly type = 'datagram';
  readonly listening = false;
  declare readonly family: InetFamily;
  readonly #options: DatagramOptions;
  readonly #queue = new DatagramQueue();
  #state = FRESH;
  #socket: DgramSocket | null = null;
  #peer: InetAddress | null = null;
  /** Whom a connect that is not decided is about. */
  #target: InetAddress | null = null;
  #pending: Pending | null = null;
  /** Groups that were joined or left before there was a bound socket. */
  #groupChanges: (() => void)[] = [];
  #untold = 0;
  /** A send would block, until Node has told what became of those before. */
  #full = false;
  #readShut = false;
  #writeShut = false;

  constructor(family: InetFamily, host: BackendHost, sink: ReadinessSink) {
    super(family, host, sink, WRITABLE);
    this.#options = new DatagramOptions(family);
  }

  get closed(): boolean {
    return this.#state === CLOSED;
  }

  get localAddress(): Address | undefined {
    if (this.#state === CLOSED) return undefined;
    if (this.#state !== BOUND) return unboundAddress(this.family);
    const { address, port } = (this.#socket as DgramSocket).address();
    return fromEndpoint(address, port);
  }

  get remoteAddress(): Address | undefined {
    return this.#state === CLOSED || this.#peer === null ? undefined : fromEndpoint(this.#peer.host, this.#peer.port);
  }

  bind(address: Address): void {
    this.#enter('bind');
    const endpoint = toEndpoint(address, this.family, 'bind') as InetAddress;
    if (this.#state !== FRESH) throw socketError('EINVAL', 'bind', endpoint);
    this.#bind(endpoint);
  }

  settled(): Promise<void> {
    if (this.#state === FRESH && this.#pending !== null) return Promise.reject(this.#take('bind'));
    return this.#state === BINDING ? this.outcome() : Promise.resolve();
  }

  connect(address: Address): 'connected' | 'connecting' {
    this.#enter('connect');
    const endpoint = toEndpoint(address, this.family, 'connect') as InetAddress;
    if (this.#target !== null) throw socketError('EALREADY', 'connect', endpoint);
    if (endpoint.port === 0) throw socketError('EINVAL', 'connect', endpoint);
    if (this.#state === FRESH) this.#bind(unboundAddress(this.family) as InetAddress);
    if (this.#state === FRESH) throw this.#take('connect');
    const socket = this.#socket as DgramSocket;
    if (this.#peer !== null) socket.disconnect();
    this.#peer = null;
    this.#target = endpoint;
    // Its types know no error, which Node gives.
    socket.connect(endpoint.port, endpoint.host, this.#onConnect as () => void);
    this.#lookConnected();
    return this.#peer === null ? 'connecting' : 'connected';
  }

  finishConnect(): boolean {
    this.#enter('connect');
    if (this.#peer !== null) return true;
    if (this.#target !== null) return false;
    if (this.#pending === null) throw socketError('ENOTCONN', 'connect');
    const error = this.#take('connect');
    this.host.closing(this);
    throw error;
  }

  recv(into: Uint8Array, offset = 0, length?: number, flags = 0): number {
    if (this.#state === CLOSED) throw socketError('EBADF', 'recv');
    checkRange(into, offset, length, 'recv');
    checkFlags(flags, MSG_PEEK | MSG_OOB, 'recv');
    const received = this.#receive(into, offset, length ?? into.byteLength - offset, flags, 'recv');
    if (received === null) return this.#readShut ? 0 : WOULD_BLOCK;
    return received.bytes;
  }

  recvFrom(into: Uint8Array, flags = 0): ReceivedDatagram | null {
    if (this.#state === CLOSED) throw socketError('EBADF', 'recvfrom');
    checkRange(into, 0, undefined, 'recvFrom');
    checkFlags(flags, MSG_PEEK | MSG_OOB, 'recvFrom');
    const received = this.#receive(into, 0, into.byteLength, flags, 'recvfrom');
    if (received === null) return null;
    const { address, port } = received.sender;
    return { bytes: received.bytes, address: fromEndpoint(address, port) as Address, truncated: received.truncated };
  }

  recvBatch(batch: DatagramBatch): number {
    if (this.#state === CLOSED) throw socketError('EBADF', 'recvmmsg');
    return receiveEach(this, batch);
  }

  receive(_borrow: boolean): Buffer | 0 | -1 {
    if (this.#state === CLOSED) throw socketError('EBADF', 'recv');
    const payload = this.#queue.first()?.payload;
    if (payload === undefined || this.#pending !== null) return this.recv(Buffer.alloc(1)) as 0 | -1;
    this.#received(payload.length);
    return payload.length === 0 ? 0 : payload;
  }

  #receive(
    into: Uint8Array,
    offset: number,
    length: number,
    flags: number,
    syscall: string,
  ): { bytes: number; truncated: boolean; sender: RemoteInfo } | null {
    if (flags & MSG_OOB) throw notSupported(syscall, 'oob', 'emulated');
    if (this.#pending !== null) throw this.#take(syscall);
    const arrived = this.#queue.first();
    if (arrived === null) return null;
    const { payload, sender } = arrived;
    const bytes = Math.min(length, payload.length);
    copyBytes(payload, 0, into, offset, bytes);
    if ((flags & MSG_PEEK) === 0) this.#received(bytes);
    return { bytes, truncated: bytes < payload.length, sender };
  }

  /** The first datagram was given away, `bytes` of it. */
  #received(bytes: number): void {
    this.#queue.shift();
    this.host.traffic.bytesIn += bytes;
    if (this.#queue.size === 0) this.#refresh();
  }

  send(from: Uint8Array, offset = 0, length?: number, flags = 0): number {
    if (this.#state === CLOSED) throw socketError('EBADF', 'send');
    checkRange(from, offset, length, 'send');
    checkFlags(flags, MSG_OOB | MSG_MORE, 'send');
    const end = offset + (length ?? from.byteLength - offset);
    return this.#send(from.subarray(offset, end), null, flags, 'send');
  }

  sendv(chunks: readonly Uint8Array[]): number {
    if (this.#state === CLOSED) throw socketError('EBADF', 'send');
    checkChunks(chunks, 'sendv');
    if (chunks.length > MOST_GATHERED) throw socketError('EMSGSIZE', 'send', this.remoteAddress);
    return this.#send(chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks), null, 0, 'send');
  }

  sendTo(from: Uint8Array, to: Address, flags = 0): number {
    if (this.#state === CLOSED) throw socketError('EBADF', 'sendto');
    const endpoint = toEndpoint(to, this.family, 'sendto') as InetAddress;
    checkRange(from, 0, undefined, 'sendTo');
    checkFlags(flags, MSG_OOB | MSG_MORE, 'sendTo');
    return this.#send(from, endpoint, flags, 'sendto');
  }

  sendBatch(batch: DatagramBatch, start = 0, end = batch?.length): number {
    if (this.#state === CLOSED) throw socketError('EBADF', 'sendmmsg');
    const memory = memoryOf(batch, 'sendBatch');
    checkSpan(memory, start, end);
    // All of them first: an address of a wrong form is misuse, and then nothing is sent.
    const targets: (InetAddress | null)[] = [];
    for (let i = start; i < end; i += 1) {
      const to = memory.address(i);
      targets.push(to === undefined ? null : (toEndpoint(to, this.family, 'sendmmsg') as InetAddress));
    }
    for (const [sent, target] of targets.entries()) {
      try {
        const count = this.#send(memory.payload(start + sent), target, 0, 'sendmmsg');
        if (count === WOULD_BLOCK) return sent === 0 ? WOULD_BLOCK : sent;
      } catch (error) {
        if (sent === 0) throw error;
        return sent;
      }
    }
    return targets.length;
  }

  #send(payload: Uint8Array, to: InetAddress | null, flags: number, syscall: string): number {
    if (flags & MSG_OOB) throw notSupported(syscall, 'oob', 'emulated');
    if (this.#writeShut) throw socketError('EPIPE', syscall);
    if (this.#pending !== null) throw this.#take(syscall);
    const peer = this.#peer;
    const target = to ?? peer ?? this.#target;
    if (target === null) throw socketError('EDESTADDRREQ', syscall);
    // As the BSDs have it: node:dgram sends to nobody but the peer.
    if (to !== null && peer !== null && (to.host !== peer.host || to.port !== peer.port))
      throw socketError('EISCONN', syscall, to);
    if (payload.length > LONGEST[this.family]) throw socketError('EMSGSIZE', syscall, target);
    if (target.port === 0) throw socketError('EINVAL', syscall, target);
    if (this.#state === FRESH) this.#bind(unboundAddress(this.family) as InetAddress);
    if (this.#state === FRESH) throw this.#take(syscall);
    if (this.#state === BINDING || this.#target !== null || this.#full) return WOULD_BLOCK;
    const socket = this.#socket as DgramSocket;
    // A copy: where the system takes it later only, the bytes are not the caller's to change.
    const copy = Buffer.from(payload);
    this.#untold += 1;
    if (peer === null) socket.send(copy, 0, copy.length, target.port, target.host, this.#onSent);
    else socket.send(copy, 0, copy.length, this.#onSent);
    this.host.traffic.bytesOut += copy.length;
    if (this.#untold >= MOST_UNTOLD || this.#isQueueing(socket)) {
      this.#full = true;
      this.#refresh();
    }
    return copy.length;
  }

  takeError(): SocketError | null {
    if (this.#state === CLOSED) throw socketError('EBADF', 'getsockopt');
    return this.#pending === null ? null : this.#take('recv');
  }

  shutdown(how: 'read' | 'write' | 'both'): void {
    this.#enter('shutdown');
    if (how !== 'read' && how !== 'write' && how !== 'both')
      throw misuse('ERR_REACTOR_ARGUMENT', `shutdown takes 'read', 'write' or 'both', got ${describe(how)}`);
    if (this.#peer === null) throw socketError('ENOTCONN', 'shutdown');
    if (how !== 'write') this.#readShut = true;
    if (how !== 'read') this.#writeShut = true;
    this.#refresh();
  }

  close(): void {
    if (this.#state === CLOSED) return;
    this.host.closing(this);
    const binding = this.#state === BINDING;
    this.#state = CLOSED;
    this.#peer = this.#target = this.#pending = null;
    this.#groupChanges = [];
    this.interest = this.readiness = 0;
    this.sink.changed(this);
    this.#queue.clear();
    // While it binds there is nothing to close yet: `#onListening` sees to it.
    if (binding) this.tellWaiters(socketError('EBADF', 'bind'));
    else this.#closeWhenSent();
  }

  /** Node would drop what the system has not taken yet. */
  #closeWhenSent(): void {
    if (this.#socket === null || this.#isQueueing(this.#socket)) return;
    this.#socket.close();
    this.#socket = null;
  }

  /** A datagram socket has no connection to reset. */
  reset(): void {
    this.close();
  }

  getOption<K extends keyof SocketOptions>(name: K): SocketOptions[K] {
    if (this.#state === CLOSED) throw socketError('EBADF', 'getsockopt');
    return this.#options.get(name, this.#state === BOUND ? this.#socket : null) as SocketOptions[K];
  }

  setOption<K extends keyof SocketOptions>(name: K, value: SocketOptions[K]): void {
    if (this.#state === CLOSED) throw socketError('EBADF', 'setsockopt');
    this.#options.set(name, value, this.#state === BOUND ? this.#socket : null);
  }

  joinGroup(group: string, options: GroupOptions = {}): void {
    this.#changeGroup('addMembership', 'addSourceSpecificMembership', group, options, 'joinGroup');
  }

  leaveGroup(group: string, options: GroupOptions = {}): void {
    this.#changeGroup('dropMembership', 'dropSourceSpecificMembership', group, options, 'leaveGroup');
  }

  #changeGroup(
    any: 'addMembership' | 'dropMembership',
    specific: 'addSourceSpecificMembership' | 'dropSourceSpecificMembership',
    group: string,
    options: GroupOptions,
    verb: string,
  ): void {
    if (this.#state === CLOSED) throw socketError('EBADF', 'setsockopt');
    checkGroup(group, options, this.family, verb);
    const { source, interface: given = '' } = options;
    const device = toDgramInterface(findInterface(given, 'setsockopt'), this.family, given, 'setsockopt');
    const change = (): void =>
      attempt(
        () => {
          const socket = this.#socket as DgramSocket;
          if (source === undefined) socket[any](group, device);
          else socket[specific](source, group, device);
        },
        'setsockopt',
        group,
      );
    if (this.#state === BOUND) change();
    // On an unbound socket Node would bind it, to a port of the system's choice.
    else this.#groupChanges.push(change);
  }

  accept(): never {
    this.#refuseStreams('accept');
  }

  listen(): never {
    this.#refuseStreams('listen');
  }

  #refuseStreams(verb: string): never {
    throw socketError(this.#state === CLOSED ? 'EBADF' : 'EOPNOTSUPP', verb);
  }

  /** Throws `EBADF`, or the failure of the bind before. */
  #enter(verb: string): void {
    if (this.#state === CLOSED) throw socketError('EBADF', verb);
    if (this.#state === FRESH && this.#pending !== null) throw this.#take(verb);
  }

  #bind({ host, port }: InetAddress): void {
    const socket = createSocket({
      type: this.family === 'ipv4' ? 'udp4' : 'udp6',
      ...this.#options.creation,
      lookup: asItIs as never,
    });
    this.#socket = socket;
    this.#state = BINDING;
    socket.on('listening', () => this.#onListening(socket));
    socket.on('message', this.#onMessage);
    socket.on('error', (error) => this.#onError(socket, error, { host, port }));
    // First: Deno holds the process for a receive that was begun before, until it has received.
    socket.unref();
    // `exclusive`: in a cluster's worker, too, this process itself binds.
    socket.bind({ address: host, port, exclusive: true });
    this.#refresh();
  }

  #onListening(socket: DgramSocket): void {
    if (this.#state === CLOSED) {
      socket.close();
      return;
    }
    this.#state = BOUND;
    for (const apply of [() => this.#options.apply(socket), ...this.#groupChanges]) {
      try {
        apply();
      } catch (error) {
        const { errno, syscall } = error as SocketError;
        this.#pending ??= { errno, syscall, address: undefined };
      }
    }
    this.#groupChanges = [];
    this.tellWaiters(null);
    this.#refresh();
  }

  readonly #onMessage = (payload: Buffer, sender: RemoteInfo): void => {
    if (this.#state === CLOSED) return;
    if (!this.#queue.push(payload, sender)) this.host.traffic.datagramsDropped += 1;
    else if ((this.readiness & READABLE) === 0) this.#refresh();
  };

  /** A bind has failed, or the system tells of a datagram that could not be delivered. */
  #onError(socket: DgramSocket, error: NodeJS.ErrnoException, bound: InetAddress): void {
    if (this.#state === CLOSED) {
      closeQuietly(socket);
      return;
    }
    if (this.#state !== BINDING) {
      this.#fail(error, 'recv', this.#peer ?? undefined);
      return;
    }
    closeQuietly(socket);
    this.#socket = this.#target = null;
    this.#state = FRESH;
    const failure = toSocketError(error, 'bind', bound);
    if (!this.tellWaiters(failure)) this.#pending = { errno: failure.errno, address: bound, syscall: 'bind' };
    this.#refresh();
  }

  readonly #onConnect = (error?: NodeJS.ErrnoException): void => {
    if (this.#state === CLOSED || this.#target === null) return;
    if (error === undefined || error === null) this.#lookConnected();
    else {
      const target = this.#target;
      this.#target = null;
      this.#fail(error, 'connect', target);
    }
  };

  /** Whether the connect that was begun is done already, as it is where Node needs nobody's answer. */
  #lookConnected(): void {
    try {
      this.#socket?.remoteAddress();
    } catch {
      this.#refresh();
      return;
    }
    this.#peer = this.#target;
    this.#target = null;
    this.#refresh();
  }

  readonly #onSent = (error: NodeJS.ErrnoException | null): void => {
    this.#untold -= 1;
    if (this.#state === CLOSED) {
      this.#closeWhenSent();
      return;
    }
    if (error !== null && error !== undefined) {
      const { address: host, port } = error as { address?: string; port?: number };
      this.#fail(error, 'send', host === undefined || port === undefined ? (this.#peer ?? undefined) : { host, port });
    }
    if (!this.#full || this.#untold >= MOST_UNTOLD) return;
    if (this.#socket === null || this.#isQueueing(this.#socket)) return;
    this.#full = false;
    this.#refresh();
  };

  /** Whether the runtime holds datagrams that the system has not taken yet, because its buffer is full. */
  #isQueueing(socket: DgramSocket): boolean {
    return sendsAtOnce ? socket.getSendQueueCount() > 0 : this.#untold > 0;
  }

  #fail(error: NodeJS.ErrnoException, syscall: string, address: Address | undefined): void {
    this.#pending ??= { errno: toSocketError(error, syscall).errno, address, syscall };
    this.#refresh();
  }

  /** The pending error, as that of `syscall`: it is thereby told. */
  #take(syscall: string): SocketError {
    const { errno, address, syscall: own } = this.#pending as Pending;
    this.#pending = null;
    this.#refresh();
    return new SocketError(errno, own === 'bind' || own === 'setsockopt' ? own : syscall, address);
  }

  /** Works the readiness out anew, and tells the demultiplexer where it has changed. */
  #refresh(): void {
    if (this.#state === CLOSED) return;
    const busy = this.#state === BINDING || this.#target !== null || this.#full;
    const error = this.#pending === null ? 0 : ERROR;
    const unbound = this.#state === FRESH && error !== 0;
    const readiness =
      (this.#queue.size > 0 || error !== 0 || this.#readShut ? READABLE : 0) |
      (busy || unbound ? 0 : WRITABLE) |
      (this.#readShut ? READ_CLOSED : 0) |
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
