/** Datagram sockets in memory: UDP over IPv4 and IPv6, and unix datagrams. */
import { isIPv4, isIPv6 } from 'node:net';
import { type Address, type Family, type InetAddress, isUnixAddress } from '../address.js';
import { checkChunks, checkFlags, checkRange } from '../arguments.js';
import { checkSpan, type DatagramBatch, type DatagramMemory, memoryOf } from '../datagram-batch.js';
import { receiveEach, sendEach } from '../datagram-loop.js';
import { describe, misuse, SocketError, socketError } from '../errors.js';
import { ERROR, MSG_MORE, MSG_OOB, MSG_PEEK, READABLE, WOULD_BLOCK, WRITABLE } from '../readiness.js';
import type { GroupOptions, ReceivedDatagram } from '../socket.js';
import {
  destination,
  isBroadcast,
  isMulticast,
  isWildcard,
  seenFrom,
  sourceFor,
  toEndpoint,
  unbound,
} from './addresses.js';
import { checkDirection, type Owner, SimulatedSocket } from './socket.js';

/** The most that a UDP datagram over IPv4 carries. */
const MOST_BYTES = 65_507;
/** IOV_MAX of Linux: more in one datagram would have to be cut, and that would be another one. */
const MOST_GATHERED = 1024;
/** net.unix.max_dgram_qlen of Linux. */
const MOST_UNIX_WAITING = 10;
/** What an overtaken datagram waits longer than the network's own latency, in ms at most. */
const LATE_MS = 10;

interface Datagram {
  readonly payload: Buffer;
  readonly from: Address;
}

export class DatagramSocket extends SimulatedSocket {
  readonly type = 'datagram';
  readonly listening = false;
  readonly #inbox: Datagram[] = [];
  #waiting = 0;
  /** Whom it is connected to, as its directory has it: unix sockets are found by their name. */
  #peer: DatagramSocket | null = null;
  /** The unix sockets that are connected to this one. */
  readonly #senders = new Set<DatagramSocket>();
  #readShut = false;
  #writeShut = false;
  readonly #groups: { readonly group: string; readonly source: string | undefined }[] = [];
  /** What the datagrams that it sends are numbered under. */
  readonly #line: number;
  #sent = 0;
  /** When the latest one arrives: they keep their order, but for those that are overtaken. */
  #arrives = 0;
  /** When all that it has sent has left. */
  #free = 0;
  #awaitsRoom = false;

  constructor(family: Family, owner: Owner) {
    super('datagram', family, owner);
    this.#line = owner.network.number('link');
    this.readiness = this.evaluate();
  }

  /** Two unix datagram sockets that are connected with each other. */
  static pair(owner: Owner): [DatagramSocket, DatagramSocket] {
    const pair: [DatagramSocket, DatagramSocket] = [
      new DatagramSocket('unix', owner),
      new DatagramSocket('unix', owner),
    ];
    for (const [i, socket] of pair.entries()) {
      socket.#speakTo(pair[1 - i] as DatagramSocket);
      socket.remote = { path: '' };
    }
    return pair;
  }

  #speakTo(peer: DatagramSocket): void {
    if (this.#peer !== null) this.#peer.#senders.delete(this);
    this.#peer = peer;
    peer.#senders.add(this);
    this.refresh();
  }

  listen(): never {
    this.enter('listen');
    throw socketError('EOPNOTSUPP', 'listen');
  }

  accept(): never {
    this.enter('accept');
    throw socketError('EOPNOTSUPP', 'accept');
  }

  /** Sets whom it speaks to, any number of times; nothing is sent. */
  connect(address: Address): 'connected' {
    this.enter('connect');
    const to = toEndpoint(address, this.family, 'connect');
    if (isUnixAddress(to)) this.#speakTo(this.#named(to, 'connect'));
    else {
      this.#checkReach(to, 'connect');
      this.#nameItself(destination(to.host));
    }
    this.remote = to;
    return 'connected';
  }

  finishConnect(): boolean {
    this.enter('connect');
    if (this.remote === undefined) throw socketError('ENOTCONN', 'connect');
    return true;
  }

  // --- receiving -----------------------------------------------------------------------------------------------------

  recv(into: Uint8Array, offset = 0, length?: number, flags = 0): number {
    this.enter('recv');
    checkRange(into, offset, length, 'recv');
    const end = length === undefined ? into.length : offset + length;
    return this.#next(into.subarray(offset, end), flags, 'recv')?.bytes ?? WOULD_BLOCK;
  }

  receive(_borrow: boolean): Buffer | 0 | -1 {
    const into = Buffer.allocUnsafe(MOST_BYTES + 1);
    const count = this.recv(into);
    return count <= 0 ? (count as 0 | -1) : into.subarray(0, count);
  }

  recvFrom(into: Uint8Array, flags = 0): ReceivedDatagram | null {
    this.enter('recvfrom');
    checkRange(into, 0, undefined, 'recvFrom');
    return this.#next(into, flags, 'recvfrom');
  }

  #next(into: Uint8Array, flags: number, verb: string): ReceivedDatagram | null {
    checkFlags(flags, MSG_PEEK | MSG_OOB, verb === 'recv' ? 'recv' : 'recvFrom');
    if (flags & MSG_OOB) throw socketError('EOPNOTSUPP', verb);
    if (this.pending !== null) throw socketError(this.takePending().code, verb, this.remote);
    const datagram = this.#inbox[0];
    if (datagram === undefined) return this.#readShut ? { bytes: 0, address: { path: '' }, truncated: false } : null;
    const isPeek = (flags & MSG_PEEK) !== 0;
    if (!isPeek && this.refuses) return null;
    const { payload, from } = datagram;
    const bytes = Math.min(payload.length, into.length);
    into.set(payload.subarray(0, bytes));
    if (!isPeek) {
      this.#inbox.shift();
      this.#waiting -= payload.length;
      this.host.traffic.bytesIn += bytes;
      this.network.note('recv', this.id, bytes);
      this.refresh();
      this.#tellSenders();
    }
    return { bytes, address: { ...from }, truncated: bytes < payload.length };
  }

  recvBatch(batch: DatagramBatch): number {
    this.enter('recvmmsg');
    checkMemory(memoryOf(batch, 'recvBatch'), 'recvBatch');
    return receiveEach(this, batch);
  }

  // --- sending -------------------------------------------------------------------------------------------------------

  send(from: Uint8Array, offset = 0, length?: number, flags = 0): number {
    this.enter('send');
    checkRange(from, offset, length, 'send');
    checkFlags(flags, MSG_OOB | MSG_MORE, 'send');
    return this.#sendToPeer(from.subarray(offset, length === undefined ? from.length : offset + length), flags);
  }

  sendv(chunks: readonly Uint8Array[]): number {
    this.enter('send');
    checkChunks(chunks, 'sendv');
    if (chunks.length > MOST_GATHERED) throw socketError('EMSGSIZE', 'send', this.remote);
    return this.#sendToPeer(Buffer.concat(chunks), 0);
  }

  #sendToPeer(payload: Uint8Array, flags: number): number {
    if (this.remote === undefined) throw socketError(this.family === 'unix' ? 'ENOTCONN' : 'EDESTADDRREQ', 'send');
    return this.#send(payload, this.remote, flags, 'send');
  }

  sendTo(from: Uint8Array, to: Address, flags = 0): number {
    this.enter('sendto');
    const endpoint = toEndpoint(to, this.family, 'sendto');
    checkRange(from, 0, undefined, 'sendTo');
    checkFlags(flags, MSG_OOB | MSG_MORE, 'sendTo');
    return this.#send(from, endpoint, flags, 'sendto');
  }

  #send(payload: Uint8Array, to: Address, flags: number, verb: string): number {
    if (flags & MSG_OOB) throw socketError('EOPNOTSUPP', verb);
    if (this.#writeShut) throw socketError('EPIPE', verb);
    if (this.pending !== null) throw socketError(this.takePending().code, verb, to);
    return isUnixAddress(to) ? this.#sendUnix(payload, to, verb) : this.#sendInet(payload, to, verb);
  }

  #sendUnix(payload: Uint8Array, to: Address, verb: string): number {
    const isPeer = to === this.remote;
    const target = isPeer ? (this.#peer as DatagramSocket) : this.#named(to, verb);
    if (target.closed) throw socketError('ECONNREFUSED', verb, to);
    if (payload.length > this.options.sendBuffer) throw socketError('EMSGSIZE', verb, to);
    if (!target.#hasRoom || this.refuses) return WOULD_BLOCK;
    target.#arrive({ payload: Buffer.from(payload), from: this.local ?? { path: '' } });
    target.#tellSenders();
    return this.#sentOf(payload);
  }

  /** There may be more room, or less, for the unix sockets that are connected to this one. */
  #tellSenders(): void {
    for (const sender of this.#senders) sender.refresh();
  }

  get #hasRoom(): boolean {
    return this.#inbox.length <= MOST_UNIX_WAITING && this.#waiting < this.options.receiveBuffer;
  }

  #sendInet(payload: Uint8Array, to: InetAddress, verb: string): number {
    if (payload.length > MOST_BYTES) throw socketError('EMSGSIZE', verb, to);
    if (isBroadcast(to.host) && !this.options.is('broadcast')) throw socketError('EACCES', verb, to);
    this.#checkReach(to, verb);
    const host = destination(to.host);
    this.#nameItself(host);
    if (this.#free - this.network.now() > this.#timeToSend(this.options.sendBuffer) || this.refuses) return WOULD_BLOCK;
    this.#carry(Buffer.from(payload), { host, port: to.port });
    this.#awaitRoom();
    this.refresh();
    return this.#sentOf(payload);
  }

  #timeToSend(bytes: number): number {
    return (1000 * bytes) / this.network.bytesPerSecond;
  }

  /** When what has not left is half of the send buffer: sock_writeable of Linux. */
  get #roomAt(): number {
    return this.#free - this.#timeToSend(this.options.sendBuffer / 2);
  }

  /** Nothing comes that would tell of it. */
  #awaitRoom(): void {
    if (this.#awaitsRoom || this.#roomAt <= this.network.now()) return;
    this.#awaitsRoom = true;
    this.network.timeline.at(this.#roomAt, () => {
      this.#awaitsRoom = false;
      // More may have been sent meanwhile.
      this.#awaitRoom();
      this.refresh();
    });
  }

  #sentOf(payload: Uint8Array): number {
    this.host.traffic.bytesOut += payload.length;
    this.network.note('send', this.id, payload.length);
    return payload.length;
  }

  #carry(payload: Buffer, to: InetAddress): void {
    const { network } = this;
    const { decisions, chances } = network;
    const local = this.local as InetAddress;
    const from = { host: destination(isWildcard(local.host) ? this.#wayTo(to.host) : local.host), port: local.port };
    const at = this.#sent;
    this.#sent += 1;
    if (decisions.happens('lose', this.#line, at, chances.loss)) return;
    const now = network.now();
    this.#free = Math.max(this.#free, now) + this.#timeToSend(payload.length);
    const latency = network.latency(this.#line, at);
    const late = decisions.choose('late', this.#line, at, 255, chances.reorder);
    let arrives = this.#free + latency + (late * LATE_MS) / 255;
    if (late === 0) {
      arrives = Math.max(arrives, this.#arrives);
      this.#arrives = arrives;
    }
    const arrive = () => this.#land(payload, from, to);
    if (arrives <= now) arrive();
    else network.timeline.at(arrives, arrive);
  }

  /** A datagram of this socket has come to where it was sent. */
  #land(payload: Buffer, from: InetAddress, to: InetAddress): void {
    const { registry } = this.network;
    const may = (socket: SimulatedSocket) => (socket as DatagramSocket).#hears(from);
    if (isMulticast(to.host) || isBroadcast(to.host)) {
      for (const socket of registry.all(to.port) as readonly DatagramSocket[])
        if (may(socket) && socket.#wants(to.host, from.host, this)) socket.#arriveFrom(payload, from);
      return;
    }
    const target = registry.find('datagram', to, from.port, may) as DatagramSocket | undefined;
    if (target !== undefined) target.#arriveFrom(payload, from);
    else if (this.remote !== undefined && !this.closed) {
      // ICMP's "port unreachable": only a connected socket is told.
      this.pending = socketError('ECONNREFUSED', 'recv', this.remote);
      this.refresh();
    }
  }

  #arriveFrom(payload: Buffer, from: InetAddress): void {
    // A datagram for which there is no room is lost.
    if (this.#waiting + payload.length <= this.options.receiveBuffer)
      this.#arrive({ payload, from: seenFrom(this.family, from) });
  }

  #arrive(datagram: Datagram): void {
    if (this.#readShut) return;
    this.#inbox.push(datagram);
    this.#waiting += datagram.payload.length;
    this.network.note('arrive', this.id, datagram.payload.length);
    this.refresh();
  }

  sendBatch(batch: DatagramBatch, start?: number, end?: number): number {
    this.enter('sendmmsg');
    const memory = memoryOf(batch, 'sendBatch');
    checkSpan(memory, start ?? 0, end ?? batch.length);
    checkMemory(memory, 'sendBatch');
    // All of them before the first is sent.
    for (let i = start ?? 0; i < (end ?? batch.length); i += 1) {
      const to = memory.address(i);
      if (to !== undefined) toEndpoint(to, this.family, 'sendmmsg');
    }
    try {
      return sendEach(this, batch, start, end);
    } catch (error) {
      const first = memory.address(start ?? 0) ?? this.remote;
      throw error instanceof SocketError ? socketError(error.code, 'sendmmsg', first) : error;
    }
  }

  // --- who is reached ------------------------------------------------------------------------------------------------

  /** A connected socket hears its peer alone. */
  #hears(from: InetAddress): boolean {
    const peer = this.remote as InetAddress | undefined;
    return peer === undefined || (destination(peer.host) === from.host && peer.port === from.port);
  }

  /** Whether it is a receiver of the group, or of broadcasts. */
  #wants(host: string, source: string, sender: DatagramSocket): boolean {
    const local = this.local as InetAddress;
    if (!isWildcard(local.host) && local.host !== host) return false;
    if (isBroadcast(host)) return this.family === 'ipv4' || !this.options.is('ipv6Only');
    if (!sender.options.is('multicastLoop')) return false;
    return this.#groups.some((joined) => joined.group === host && (joined.source ?? source) === source);
  }

  #named(to: Address, verb: string): DatagramSocket {
    const { path } = to as { path: string };
    const found = this.network.registry.named(path);
    if (found === undefined) throw socketError(path.startsWith('\0') ? 'ECONNREFUSED' : 'ENOENT', verb, to);
    if (!(found instanceof DatagramSocket)) throw socketError('EPROTOTYPE', verb, to);
    return found;
  }

  #checkReach(to: InetAddress, verb: string): void {
    if (this.family === 'ipv6' && !destination(to.host).includes(':') && this.options.is('ipv6Only'))
      throw socketError('ENETUNREACH', verb, to);
  }

  /** A port for who has none. Of who is connected, the address of the way to its peer is told. */
  #nameItself(host: string): void {
    if (this.local === null) this.network.registry.bind(this, unbound(this.family));
    this.#way = seenFrom(this.family, { host: this.#wayTo(host), port: 0 }) as InetAddress;
  }

  /** The address from which it sends to `host`, bound to none. */
  #wayTo(host: string): string {
    if (!isMulticast(host) && !isBroadcast(host)) return sourceFor(host);
    return host.includes(':') ? '::1' : '127.0.0.1';
  }

  #way: InetAddress | null = null;

  override get localAddress(): Address | undefined {
    const local = super.localAddress as InetAddress | undefined;
    if (local === undefined || this.remote === undefined || this.#way === null || !isWildcard(local.host)) return local;
    return { host: this.#way.host, port: local.port };
  }

  joinGroup(group: string, options: GroupOptions = {}): void {
    const source = this.#checkGroup('joinGroup', group, options);
    if (!isMulticast(group)) throw socketError('EINVAL', 'setsockopt', { host: group, port: 0 });
    if (this.#groups.some((joined) => joined.group === group && joined.source === source))
      throw socketError('EADDRINUSE', 'setsockopt', { host: group, port: 0 });
    this.#groups.push({ group, source });
  }

  leaveGroup(group: string, options: GroupOptions = {}): void {
    const source = this.#checkGroup('leaveGroup', group, options);
    const at = this.#groups.findIndex((joined) => joined.group === group && joined.source === source);
    if (at === -1) throw socketError('EADDRNOTAVAIL', 'setsockopt', { host: group, port: 0 });
    this.#groups.splice(at, 1);
  }

  /** The source. Interfaces there are none: every one that is named is the network itself. */
  #checkGroup(verb: string, group: unknown, options: unknown): string | undefined {
    this.enter('setsockopt');
    if (this.family === 'unix') throw socketError('ENOTSUP', 'setsockopt');
    const isLiteral = (value: unknown) =>
      typeof value === 'string' && !value.includes('%') && (this.family === 'ipv4' ? isIPv4(value) : isIPv6(value));
    if (!isLiteral(group))
      throw misuse('ERR_REACTOR_ADDRESS', `${verb}: group must be an ${this.family} literal, got ${describe(group)}`);
    if (typeof options !== 'object' || options === null)
      throw misuse('ERR_REACTOR_ARGUMENT', `${verb}: options are { interface, source }, got ${describe(options)}`);
    const { source } = options as GroupOptions;
    if (source !== undefined && !isLiteral(source))
      throw misuse('ERR_REACTOR_ADDRESS', `${verb}: source must be an ${this.family} literal, got ${describe(source)}`);
    return source;
  }

  // --- the end -------------------------------------------------------------------------------------------------------

  shutdown(how: 'read' | 'write' | 'both'): void {
    this.enter('shutdown');
    checkDirection(how);
    if (this.remote === undefined) throw socketError('ENOTCONN', 'shutdown');
    if (how !== 'write') this.#readShut = true;
    if (how !== 'read') this.#writeShut = true;
    this.refresh();
  }

  close(): void {
    if (!this.leave()) return;
    this.#inbox.length = 0;
    if (this.#peer !== null) this.#peer.#senders.delete(this);
    this.#tellSenders();
  }

  reset(): void {
    this.close();
  }

  atMark(): never {
    this.enter('sockatmark');
    throw socketError('ENOTTY', 'sockatmark');
  }

  takeError(): SocketError | null {
    this.enter('getsockopt');
    return this.pending === null ? null : this.takePending();
  }

  protected evaluate(): number {
    const isBroken = this.pending !== null;
    const readable = isBroken || this.#readShut || this.#inbox.length > 0;
    const peer = this.#peer;
    const hasRoom = peer === null ? this.#roomAt <= this.network.now() : peer.closed || peer.#hasRoom;
    const writable = isBroken || hasRoom;
    return (readable ? READABLE : 0) | (writable ? WRITABLE : 0) | (isBroken ? ERROR : 0);
  }
}

/** A batch whose memory was transferred has none. */
function checkMemory(memory: DatagramMemory, verb: string): void {
  if (memory.payloads.length === 0)
    throw misuse('ERR_REACTOR_BUFFER', `${verb}: the memory of the batch was transferred`);
}
