/** Stream sockets in memory, with the meaning and the readiness of TCP's and of unix streams. */
import { isUint8Array } from 'node:util/types';
import { type Address, type Family, type InetAddress, isUnixAddress } from '../address.js';
import { checkBacklog, checkChunks, checkFlags, checkRange, isRange } from '../arguments.js';
import { copyBytes } from '../backend/emulated/copy.js';
import type { DatagramBatch } from '../datagram-batch.js';
import { misuse, type SocketError, socketError } from '../errors.js';
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
} from '../readiness.js';
import type { ReceivedDatagram } from '../socket.js';
import { destination, isWildcard, seenFrom, sourceFor, toEndpoint, unbound } from './addresses.js';
import { Link, type LinkEnd, type LinkScript } from './link.js';
import { checkDirection, type Owner, SimulatedSocket } from './socket.js';
import type { Happening } from './timeline.js';

/*
 *  FRESH ──listen──▶ LISTENING
 *    │ ▲
 *    │ └─────────────── refused ──┐
 *    └──connect──▶ CONNECTING ────┴▶ CONNECTED ──reset──▶ BROKEN      accepted sockets begin as CONNECTED
 */
const FRESH = 0;
const LISTENING = 1;
const CONNECTING = 2;
const CONNECTED = 3;
const BROKEN = 4;

/** The most that `receive` gives at once. */
const MOST_CHUNK_BYTES = 64 * 1024;
/** IOV_MAX of Linux. */
const MOST_GATHERED = 1024;
/** Of its send buffer, a third must be free before a socket is told writable: sk_stream_is_writeable of Linux. */
const WRITABLE_SHARE = 3;
/** How long a SYN without an answer waits to be sent again at first, and how often that is done (tcp_syn_retries). */
const FIRST_SYN_RETRY_MS = 1000;
const MOST_SYN_RETRIES = 6;
/** When sent bytes stay unacknowledged, the connection is given up: tcp_retries2 of Linux. */
const GIVE_UP_MS = 924_600;

const NAMES = ['FRESH', 'LISTENING', 'CONNECTING', 'CONNECTED', 'BROKEN'] as const;

export class StreamSocket extends SimulatedSocket implements LinkEnd {
  readonly type = 'stream';
  /** What the other end of its connection is to experience, of who plays a recording; of a listening socket, each one's. */
  playing: { readonly inbound: LinkScript; readonly outbound: LinkScript } | null = null;
  #state = FRESH;
  #peer: StreamSocket | null = null;
  #in: Link | null = null;
  #out: Link | null = null;
  #readShut = false;
  #writeShut = false;
  /** The connect was refused: until the next one. */
  #refused = false;
  /** An error that takeError gave: the end that it leaves behind is no clean one. */
  #remembered: SocketError | null = null;
  #queue: StreamSocket[] = [];
  #backlog = 0;
  #retry: Happening | null = null;
  /** What its handshake is numbered as, beside the directions of connections. */
  #handshake = 0;

  constructor(family: Family, owner: Owner) {
    super('stream', family, owner);
    this.readiness = this.evaluate();
  }

  get listening(): boolean {
    return this.#state === LISTENING && !this.closed;
  }

  get receiveBuffer(): number {
    return this.options.receiveBuffer;
  }

  /** For messages and tests. */
  get state(): string {
    return this.closed ? 'CLOSED' : (NAMES[this.#state] as string);
  }

  // --- connecting ----------------------------------------------------------------------------------------------------

  listen(backlog = 511): void {
    this.enter('listen');
    checkBacklog(backlog);
    if (this.#state !== FRESH && this.#state !== LISTENING) throw socketError('EINVAL', 'listen');
    if (this.#state === FRESH) {
      if (this.local === null) {
        if (this.family === 'unix') throw socketError('EINVAL', 'listen');
        this.network.registry.bind(this, unbound(this.family));
      }
      this.network.registry.checkListen(this);
      this.#state = LISTENING;
    }
    this.#backlog = backlog;
    this.refresh();
  }

  accept(): StreamSocket | null {
    this.enter('accept');
    if (this.#state !== LISTENING) throw socketError('EINVAL', 'accept');
    if (this.#queue.length === 0 || this.refuses) return null;
    this.network.takeDescriptor('accept');
    const accepted = this.#queue.shift() as StreamSocket;
    this.host.traffic.accepts += 1;
    this.network.note('accept', this.id, accepted.id);
    this.refresh();
    return accepted;
  }

  connect(address: Address): 'connected' | 'connecting' {
    this.enter('connect');
    const to = toEndpoint(address, this.family, 'connect');
    if (this.#state === CONNECTING) throw socketError('EALREADY', 'connect', to);
    if (this.#state !== FRESH) throw socketError('EISCONN', 'connect', to);
    this.pending = this.#remembered = null;
    this.#refused = false;
    this.network.note('connect', this.id, 0);
    if (isUnixAddress(to)) {
      this.#connectUnix(to.path, to);
      return 'connected';
    }
    const host = destination(to.host);
    if (this.family === 'ipv6' && !host.includes(':') && this.options.is('ipv6Only'))
      throw socketError('ENETUNREACH', 'connect', to);
    this.#nameItself(host);
    this.remote = to;
    this.#state = CONNECTING;
    this.#handshake = this.network.number('link');
    this.#attempt({ host, port: to.port }, 0);
    this.refresh();
    return 'connecting';
  }

  /** An address for who has none, and for who is bound to any interface: that of the way to `host`. */
  #nameItself(host: string): void {
    const local = this.local as InetAddress | null;
    if (local !== null && !isWildcard(local.host)) return;
    const source = seenFrom(this.family, { host: sourceFor(host), port: 0 }) as InetAddress;
    if (local !== null) {
      // Where it is registered stays; what it tells is the address in use.
      this.local = { host: source.host, port: local.port };
      return;
    }
    this.local = { host: source.host, port: this.network.registry.ephemeral(this) };
  }

  #connectUnix(path: string, to: Address): void {
    const listener = this.network.registry.named(path);
    if (listener === undefined) throw socketError(path.startsWith('\0') ? 'ECONNREFUSED' : 'ENOENT', 'connect', to);
    if (!(listener instanceof StreamSocket)) throw socketError('EPROTOTYPE', 'connect', to);
    if (!listener.listening) throw socketError('ECONNREFUSED', 'connect', to);
    // No readiness tells when there is room: connect(2), EAGAIN.
    if (listener.#isFull) throw socketError('EAGAIN', 'connect', to);
    this.remote = to;
    listener.#queueUp(this);
    this.#state = CONNECTED;
    this.refresh();
  }

  /** A SYN. Where the queue of the listener is full it is lost, and sent again later. */
  #attempt(to: InetAddress, retries: number): void {
    const { network } = this;
    this.#retry = null;
    this.#after(retries, () => {
      if (this.#state !== CONNECTING || this.closed) return;
      const from = (this.local as InetAddress).port;
      const listener = network.registry.find('stream', to, from, (socket) => socket.listening) as
        | StreamSocket
        | undefined;
      const local = this.local as InetAddress;
      if (listener === undefined && local.port === to.port && destination(local.host) === to.host) {
        // Both SYNs cross: RFC 9293, 3.5, simultaneous open.
        this.#join(this);
        this.#connected();
        return;
      }
      if (listener === undefined) {
        this.#after(retries + 1, () => this.#fail('ECONNREFUSED'));
        return;
      }
      if (listener.#isFull) {
        const again = network.now() + FIRST_SYN_RETRY_MS * 2 ** retries;
        const act = retries < MOST_SYN_RETRIES ? () => this.#attempt(to, retries + 1) : () => this.#fail('ETIMEDOUT');
        this.#retry = network.timeline.at(again, act, true);
        return;
      }
      listener.#queueUp(this);
      // What the server sends comes behind its answer to the SYN.
      const answered = this.#after(retries + 1, () => this.#connected());
      this.#in?.notBefore(answered);
    });
  }

  /** After one latency, or at once where there is none. Returns when that is. */
  #after(at: number, act: () => void): number {
    const latency = this.network.latency(this.#handshake, at);
    const time = this.network.now() + latency;
    if (latency === 0) act();
    else this.network.timeline.at(time, act);
    return time;
  }

  get #isFull(): boolean {
    // One more than the backlog: sk_acceptq_is_full of Linux.
    return this.#queue.length > this.#backlog;
  }

  /** Takes a connection of `client` into the queue. */
  #queueUp(client: StreamSocket): void {
    const accepted = new StreamSocket(this.family, this.owner);
    accepted.options.inherit(this.options);
    accepted.local = this.#addressFor(client);
    accepted.remote = client.local === null ? { path: '' } : seenFrom(this.family, client.local);
    accepted.playing = this.playing;
    accepted.#join(client);
    accepted.#state = CONNECTED;
    accepted.refresh();
    this.#queue.push(accepted);
    this.refresh();
  }

  /** Where a client has reached this listening socket. */
  #addressFor(client: StreamSocket): Address {
    const { local } = this;
    const { remote } = client;
    if (local === null || remote === undefined || isUnixAddress(local) || isUnixAddress(remote))
      return local ?? { path: '' };
    return isWildcard(local.host) ? seenFrom(this.family, { host: destination(remote.host), port: local.port }) : local;
  }

  #join(other: StreamSocket): void {
    const isLocal = this.family === 'unix';
    this.#peer = other;
    other.#peer = this;
    if (other === this) {
      this.#out = this.#in = new Link(this.network, this, this, isLocal);
      return;
    }
    this.#out = other.#in = new Link(this.network, this, other, isLocal);
    this.#in = other.#out = new Link(this.network, other, this, isLocal);
    this.#play();
    other.#play();
  }

  #play(): void {
    if (this.playing === null) return;
    (this.#out as Link).script = this.playing.inbound;
    (this.#in as Link).script = this.playing.outbound;
  }

  /** Two sockets that are connected with each other. */
  static pair(owner: Owner): [StreamSocket, StreamSocket] {
    const pair: [StreamSocket, StreamSocket] = [new StreamSocket('unix', owner), new StreamSocket('unix', owner)];
    pair[0].#join(pair[1]);
    for (const socket of pair) {
      socket.#state = CONNECTED;
      socket.remote = { path: '' };
      socket.refresh();
    }
    return pair;
  }

  #connected(): void {
    if (this.#state !== CONNECTING || this.closed) return;
    this.#state = CONNECTED;
    this.network.note('connected', this.id, 0);
    this.refresh();
  }

  #fail(code: string): void {
    if (this.#state !== CONNECTING || this.closed) return;
    this.#retry?.cancel();
    this.pending = socketError(code, 'connect', this.remote);
    this.#state = FRESH;
    this.#refused = true;
    this.network.note('refused', this.id, 0);
    this.refresh();
  }

  finishConnect(): boolean {
    this.enter('connect');
    if (this.#state === CONNECTING) return false;
    if (this.pending !== null && this.#state !== CONNECTED) {
      const error = this.takePending();
      this.host.closing(this);
      throw socketError(error.code, 'connect', this.remote);
    }
    if (this.#state === CONNECTED) return true;
    throw socketError('ENOTCONN', 'connect');
  }

  // --- receiving -----------------------------------------------------------------------------------------------------

  get #inline(): boolean {
    return this.options.oobInline;
  }

  recv(into: Uint8Array, offset = 0, length?: number, flags = 0): number {
    this.enter('recv');
    const count = length ?? (isUint8Array(into) ? into.byteLength - offset : 0);
    if (count === 0 || !isRange(into, offset, count)) checkRange(into, offset, length, 'recv');
    if (flags !== 0) return this.#receiveFlagged(into, offset, count, flags);
    const portion = this.#portion(count);
    if (portion <= 0) return portion;
    (this.#in as Link).receive(into, offset, portion);
    this.#received(portion);
    return portion;
  }

  receive(_borrow: boolean): Buffer | 0 | -1 {
    this.enter('recv');
    const portion = this.#portion(MOST_CHUNK_BYTES);
    if (portion <= 0) return portion as 0 | -1;
    const chunk = (this.#in as Link).receiveChunk(portion);
    this.#received(portion);
    return chunk;
  }

  /** How many bytes this receive gives, or what it returns instead. */
  #portion(most: number): number {
    const link = this.#in;
    if (link === null || link.available(this.#inline) === 0) return this.#receiveNothing(true);
    return this.refuses ? WOULD_BLOCK : link.portion(most, this.#inline);
  }

  #received(count: number): void {
    this.host.traffic.bytesIn += count;
    this.network.note('recv', this.id, count);
    this.refresh();
  }

  #receiveFlagged(into: Uint8Array, offset: number, count: number, flags: number): number {
    checkFlags(flags, MSG_PEEK | MSG_OOB, 'recv');
    const link = this.#in;
    if (flags & MSG_OOB) {
      const isPeek = (flags & MSG_PEEK) !== 0;
      const byte = link === null || this.#inline ? -1 : link.takeUrgent(isPeek);
      if (byte === -1) throw socketError('EINVAL', 'recv', this.remote);
      into[offset] = byte;
      if (!isPeek) this.#received(1);
      return 1;
    }
    if (link === null || link.available(this.#inline) === 0) return this.#receiveNothing(false);
    return link.peek(into, offset, count, this.#inline);
  }

  /** What a receive gives when nothing is there. `take`: an error that it throws is told thereby. */
  #receiveNothing(take: boolean): 0 | -1 {
    if (this.#state === CONNECTING) return WOULD_BLOCK;
    // After a FIN, the end is the truth of this direction; an error concerns the other.
    if (this.#in?.ended && this.#remembered === null) return 0;
    const error = this.pending ?? this.#remembered;
    if (error !== null) {
      if (take) {
        this.#remembered = null;
        if (this.pending !== null) this.takePending();
      }
      throw socketError(error.code, 'recv', this.remote);
    }
    if (this.#state === CONNECTED) return this.#readShut ? 0 : WOULD_BLOCK;
    if (this.#state === BROKEN) return 0;
    throw socketError('ENOTCONN', 'recv');
  }

  recvFrom(into: Uint8Array, flags = 0): ReceivedDatagram | null {
    this.enter('recvfrom');
    checkRange(into, 0, undefined, 'recvFrom');
    const bytes = this.recv(into, 0, into.length, flags);
    return bytes === WOULD_BLOCK ? null : { bytes, address: this.remote ?? { path: '' }, truncated: false };
  }

  atMark(): boolean {
    this.enter('sockatmark');
    if (this.family === 'unix') throw socketError('ENOTSUP', 'sockatmark');
    return this.#in !== null && this.#in.urgent === this.#in.read;
  }

  // --- sending -------------------------------------------------------------------------------------------------------

  send(from: Uint8Array, offset = 0, length?: number, flags = 0): number {
    this.enter('send');
    const count = length ?? (isUint8Array(from) ? from.byteLength - offset : 0);
    if (!isRange(from, offset, count)) checkRange(from, offset, length, 'send');
    if (flags !== 0) {
      // MSG_MORE is leave to hold bytes back, which need not be taken.
      checkFlags(flags, MSG_OOB | MSG_MORE, 'send');
      if (flags & MSG_OOB && this.family === 'unix') throw socketError('ENOTSUP', 'send');
    }
    const taken = this.#grant(count);
    if (taken <= 0) return taken;
    return this.#sendCopy(this.network.pool.copy(from, offset, taken), (flags & MSG_OOB) !== 0 && taken === count);
  }

  sendv(chunks: readonly Uint8Array[]): number {
    this.enter('send');
    checkChunks(chunks, 'sendv');
    const gathered = chunks.length > MOST_GATHERED ? chunks.slice(0, MOST_GATHERED) : chunks;
    let total = 0;
    for (const chunk of gathered) total += chunk.byteLength;
    const taken = this.#grant(total);
    return taken <= 0 ? taken : this.#sendCopy(this.#gather(gathered, taken), false);
  }

  #gather(chunks: readonly Uint8Array[], bytes: number): Buffer {
    const copy = this.network.pool.take(bytes);
    let at = 0;
    for (const chunk of chunks) {
      const count = Math.min(chunk.byteLength, bytes - at);
      copyBytes(chunk, 0, copy, at, count);
      at += count;
    }
    return copy;
  }

  #sendCopy(bytes: Buffer, urgent: boolean): number {
    this.host.traffic.bytesOut += bytes.length;
    this.network.note('send', this.id, bytes.length);
    (this.#out as Link).take(bytes, urgent);
    this.refresh();
    return bytes.length;
  }

  /** How many of `count` bytes are taken, or WOULD_BLOCK. Throws where nothing can be sent any more. */
  #grant(count: number): number {
    if (this.#state === CONNECTING) return count === 0 ? 0 : WOULD_BLOCK;
    if (this.pending !== null) throw this.#sendFailed();
    if (this.#state === FRESH || this.#state === LISTENING) {
      if (this.#refused || this.family !== 'unix') throw socketError('EPIPE', 'send');
      throw socketError('ENOTCONN', 'send');
    }
    const link = this.#out as Link;
    const isGone = this.family === 'unix' && (this.#peer as StreamSocket).closed;
    if (this.#state === BROKEN || this.#writeShut || isGone || (this.family === 'unix' && this.#peerReadShut))
      throw socketError('EPIPE', 'send', this.remote);
    if (count === 0) return 0;
    const room = this.options.sendBuffer - link.outstanding;
    if (room <= 0 || this.refuses) return WOULD_BLOCK;
    return link.grant(Math.min(count, room)) || WOULD_BLOCK;
  }

  get #peerReadShut(): boolean {
    return (this.#peer as StreamSocket).#readShut;
  }

  #sendFailed(): SocketError {
    const error = this.takePending();
    // What is unread would otherwise seem to end cleanly.
    if (this.#state === BROKEN && (this.#in?.inbox.bytes ?? 0) > 0) this.#remembered = error;
    return socketError(error.code, 'send', this.remote);
  }

  sendTo(from: Uint8Array, to: Address, flags = 0): number {
    this.enter('sendto');
    toEndpoint(to, this.family, 'sendto');
    checkRange(from, 0, undefined, 'sendTo');
    if (this.#state === CONNECTED && this.family === 'unix') throw socketError('EISCONN', 'sendto', to);
    return this.send(from, 0, from.length, flags);
  }

  shutdown(how: 'read' | 'write' | 'both'): void {
    this.enter('shutdown');
    checkDirection(how);
    if (this.#state !== CONNECTED) throw socketError('ENOTCONN', 'shutdown');
    this.network.note('shutdown', this.id, 0);
    if (how !== 'write') this.#readShut = true;
    if (how !== 'read' && !this.#writeShut) {
      this.#writeShut = true;
      (this.#out as Link).end();
    }
    this.refresh();
    (this.#peer as StreamSocket).refresh();
  }

  // --- the end -------------------------------------------------------------------------------------------------------

  close(): void {
    this.#close(this.options.linger === 0);
  }

  reset(): void {
    this.#close(true);
  }

  #close(abortive: boolean): void {
    if (!this.leave()) return;
    this.#retry?.cancel();
    for (const waiting of this.#queue.splice(0)) waiting.#close(true);
    const out = this.#out;
    if (out === null || this.#state === BROKEN) return;
    const unread = (this.#in as Link).inbox.bytes > 0;
    (this.#in as Link).inbox.clear();
    // A reset tells the peer that some of what it has sent was never read: RFC 2525, 2.17. Unix streams have it from Linux.
    if (unread || (abortive && this.family !== 'unix')) out.reset();
    else if (!this.#writeShut) out.end();
    (this.#peer as StreamSocket).refresh();
  }

  onStray(): void {
    (this.#out as Link).reset();
  }

  onReset(): void {
    (this.#out as Link).drop();
    if (this.closed || (this.#state !== CONNECTED && this.#state !== CONNECTING)) return;
    this.#state = BROKEN;
    // After its FIN the peer's reset says that nobody receives any more: tcp_reset of Linux.
    this.pending = socketError(this.#in?.ended ? 'EPIPE' : 'ECONNRESET', 'recv', this.remote);
    this.network.note('reset', this.id, 0);
    this.refresh();
  }

  /** What is lost in one direction is not acknowledged in the other: both ends are on their own. */
  onMute(): void {
    for (const end of [this, this.#peer as StreamSocket]) {
      (end.#out as Link).mute();
      const patience = end.options.userTimeout === 0 ? GIVE_UP_MS : end.options.userTimeout;
      this.network.timeline.at(this.network.now() + patience, () => end.#giveUp(), true);
    }
  }

  #giveUp(): void {
    if (this.closed || this.#state !== CONNECTED || (this.#out as Link).outstanding === 0) return;
    this.#state = BROKEN;
    this.pending = socketError('ETIMEDOUT', 'recv', this.remote);
    this.refresh();
  }

  takeError(): SocketError | null {
    this.enter('getsockopt');
    if (this.pending === null) return null;
    const error = this.takePending();
    if (this.#state === BROKEN) this.#remembered = error;
    return error;
  }

  /** The states are those that Linux reports: ../../../../test/support/socket-states.ts. */
  protected evaluate(): number {
    const error = this.pending === null ? 0 : ERROR;
    const hints = HANGUP | READ_CLOSED;
    switch (this.#state) {
      case FRESH:
        return READABLE | WRITABLE | hints | error;
      case LISTENING:
        return this.#queue.length > 0 ? READABLE : 0;
      case CONNECTING:
        return 0;
      case BROKEN:
        return READABLE | WRITABLE | hints | error;
      default:
        return this.#evaluateConnected();
    }
  }

  #evaluateConnected(): number {
    const link = this.#in as Link;
    const out = this.#out as Link;
    const urgent = link.urgent !== null && !link.urgentTaken ? ERROR : 0;
    const atEnd = link.ended || this.#readShut;
    const isGone = this.family === 'unix' && (this.#peer as StreamSocket).closed;
    // A unix socket is writable when it has room, whatever was shut: unix_poll of Linux.
    const isOver = this.family === 'unix' ? isGone : this.#writeShut;
    const free = this.options.sendBuffer - out.outstanding;
    return (
      (atEnd || link.available(this.#inline) > 0 ? READABLE : 0) |
      (isOver || free * WRITABLE_SHARE >= this.options.sendBuffer ? WRITABLE : 0) |
      (atEnd ? READ_CLOSED : 0) |
      (isGone || (atEnd && this.#writeShut) ? HANGUP : 0) |
      urgent
    );
  }

  // --- what a stream does not have -----------------------------------------------------------------------------------

  recvBatch(_batch: DatagramBatch): never {
    this.enter('recvmmsg');
    throw socketError('ENOTSUP', 'recvmmsg');
  }

  sendBatch(_batch: DatagramBatch): never {
    this.enter('sendmmsg');
    throw socketError('ENOTSUP', 'sendmmsg');
  }

  joinGroup(): never {
    this.enter('setsockopt');
    throw misuse('ERR_REACTOR_SOCKET', 'a multicast group is joined by a datagram socket, got a stream');
  }

  leaveGroup(): never {
    this.enter('setsockopt');
    throw misuse('ERR_REACTOR_SOCKET', 'a multicast group is left by a datagram socket, got a stream');
  }
}
