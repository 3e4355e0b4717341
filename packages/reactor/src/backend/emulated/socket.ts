/** What is asked of a socket: the BSD verbs over node:net's stream sockets. */
import type { Socket as NetSocket } from 'node:net';
import { isUint8Array } from 'node:util/types';
import type { Address } from '../../address.js';
import { checkBacklog, checkChunks, checkFlags, checkRange, isRange } from '../../arguments.js';
import { describe, misuse, notSupported, type SocketError, socketError } from '../../errors.js';
import { MSG_MORE, MSG_OOB, MSG_PEEK, WOULD_BLOCK } from '../../readiness.js';
import type { ReceivedDatagram, Socket, SocketOptions } from '../../socket.js';
import type { BackendSocket } from '../backend.js';
import { AcceptQueue } from './accept-queue.js';
import { fromEndpoint, toEndpoint, unboundAddress } from './addresses.js';
import { CopyBlock, copyBytes } from './copy.js';
import { BROKEN, CLOSED, CONNECTED, CONNECTING, FRESH, LISTENING, SocketState, STARTING } from './socket-state.js';
import { awaitDrain, closeStream, createStream, failStream, resetStream, SEND_LIMIT } from './stream.js';

/** The most that `receive` gives at once. */
const MAX_CHUNK_BYTES = 64 * 1024;
/** The kernel's IOV_MAX. */
const MAX_CHUNKS = 1024;

const copies = new CopyBlock();

/** A stream socket of the emulated backend. What it promises stands at {@link EmulatedBackend}. */
export class EmulatedSocket extends SocketState implements BackendSocket {
  readonly type = 'stream';
  /** Node may have bytes of ours that the system has not. */
  #queued = false;
  /** Kept once known: Node forgets it when the stream is closed. */
  #local: Address | undefined = undefined;

  get listening(): boolean {
    return this.state === STARTING || this.state === LISTENING;
  }

  get localAddress(): Address | undefined {
    if (this.state === CLOSED) return undefined;
    if (this.#local !== undefined) return this.#local;
    if (this.state === LISTENING) this.#local = this.queue!.address;
    else if (this.stream !== null) this.#local = fromEndpoint(this.stream.localAddress, this.stream.localPort);
    return this.#local ?? this.bound ?? unboundAddress(this.family);
  }

  get remoteAddress(): Address | undefined {
    return this.state === CLOSED ? undefined : this.remote;
  }

  bind(address: Address): void {
    this.enter('bind');
    const endpoint = toEndpoint(address, this.family, 'bind');
    if (this.state !== FRESH || this.bound !== null) throw socketError('EINVAL', 'bind', endpoint);
    this.bound = endpoint;
  }

  listen(backlog = 511): void {
    this.enter('listen');
    checkBacklog(backlog);
    if (this.queue !== null) {
      this.queue.backlog = backlog;
      return;
    }
    const address = this.bound ?? unboundAddress(this.family);
    if (this.state !== FRESH || address === undefined) throw socketError('EINVAL', 'listen');
    const { ipv6Only, reusePort } = this.options;
    this.queue = new AcceptQueue<SocketState>(this, address, backlog, { ipv6Only, reusePort });
    this.state = STARTING;
    this.refresh();
  }

  accept(): Socket | null {
    this.enter('accept');
    const { queue } = this;
    if (queue === null) throw socketError('EINVAL', 'accept');
    const accepted = queue.take() as EmulatedSocket | null;
    if (accepted === null && this.pending !== null) throw this.takePending();
    if (queue.size === 0) this.refresh();
    if (accepted !== null) this.host.traffic.accepts += 1;
    return accepted;
  }

  /** A connection has come to this listening socket. */
  override onConnection(stream: NetSocket): EmulatedSocket {
    const accepted = new EmulatedSocket(this.family, this.host, this.sink);
    accepted.become(stream, this.options);
    return accepted;
  }

  connect(address: Address): 'connecting' {
    this.enter('connect');
    const endpoint = toEndpoint(address, this.family, 'connect');
    if (this.state === CONNECTING) throw socketError('EALREADY', 'connect', endpoint);
    if (this.everConnected || (this.state !== FRESH && this.state !== BROKEN))
      throw socketError('EISCONN', 'connect', endpoint);
    this.stream = createStream(this, endpoint, this.bound);
    this.target = endpoint;
    this.pending = this.remembered = null;
    this.state = CONNECTING;
    this.refresh();
    return 'connecting';
  }

  finishConnect(): boolean {
    this.enter('connect');
    if (this.state === CONNECTING) return false;
    if (this.state === CONNECTED) return true;
    if (this.pending === null) throw socketError('ENOTCONN', 'connect');
    const error = this.takePending();
    this.host.closing(this);
    throw error;
  }

  recv(into: Uint8Array, offset = 0, length?: number, flags = 0): number {
    if (this.state === CLOSED) throw socketError('EBADF', 'recv');
    const count = length ?? (isUint8Array(into) ? into.byteLength - offset : 0);
    if (count === 0 || !isRange(into, offset, count)) checkRange(into, offset, length, 'recv');
    if (flags !== 0) {
      checkFlags(flags, MSG_PEEK | MSG_OOB, 'recv');
      if (flags & MSG_OOB) throw notSupported('recv', 'oob', 'emulated');
      return this.inbox.bytes === 0 ? this.#receiveNothing(false) : this.inbox.peek(into, offset, count);
    }
    if (this.inbox.bytes === 0) return this.#receiveNothing(true);
    const done = this.inbox.read(into, offset, count);
    this.host.traffic.bytesIn += done;
    this.afterRead();
    return done;
  }

  /** `borrow` or not: the chunk is Node's own, which nobody else holds. */
  receive(_borrow: boolean): Buffer | 0 | -1 {
    if (this.state === CLOSED) throw socketError('EBADF', 'recv');
    if (this.inbox.bytes === 0) return this.#receiveNothing(true);
    const chunk = this.inbox.take(MAX_CHUNK_BYTES);
    this.host.traffic.bytesIn += chunk.length;
    this.afterRead();
    return chunk;
  }

  /** What `recv` does when the inbox is empty. `take`: an error that it throws is told thereby. */
  #receiveNothing(take: boolean): 0 | -1 {
    switch (this.state) {
      case CONNECTING:
        return WOULD_BLOCK;
      case CONNECTED:
        return this.ended || this.readShut ? 0 : WOULD_BLOCK;
      case BROKEN: {
        // After a FIN the end is the truth of this direction; the error concerns the other.
        if (this.ended) return 0;
        const error = this.pending ?? this.remembered;
        if (error === null) return 0;
        if (take) {
          this.remembered = null;
          if (this.pending !== null) this.takePending();
        }
        throw error;
      }
      default:
        this.enter('recv');
        throw socketError('ENOTCONN', 'recv');
    }
  }

  send(from: Uint8Array, offset = 0, length?: number, flags = 0): number {
    if (this.state === CLOSED) throw socketError('EBADF', 'send');
    const count = length ?? (isUint8Array(from) ? from.byteLength - offset : 0);
    if (!isRange(from, offset, count)) checkRange(from, offset, length, 'send');
    if (flags !== 0) {
      // MSG_MORE is leave to hold bytes back, which need not be taken.
      checkFlags(flags, MSG_OOB | MSG_MORE, 'send');
      if (flags & MSG_OOB) throw notSupported('send', 'oob', 'emulated');
    }
    const room = this.#room();
    if (count === 0) return 0;
    if (room <= 0) return WOULD_BLOCK;
    const taken = Math.min(count, room);
    const copy = copies.lend(taken);
    copyBytes(from, offset, copy, 0, taken);
    return this.#write(copy);
  }

  sendv(chunks: readonly Uint8Array[]): number {
    if (this.state === CLOSED) throw socketError('EBADF', 'send');
    checkChunks(chunks, 'sendv');
    if (chunks.length === 1) return this.send(chunks[0]!);
    const room = this.#room();
    const last = Math.min(chunks.length, MAX_CHUNKS);
    let total = 0;
    for (let i = 0; i < last && total < room; i++) total += chunks[i]!.byteLength;
    if (room <= 0) return WOULD_BLOCK;
    if (total === 0) return 0;
    const taken = Math.min(total, room);
    const copy = copies.lend(taken);
    for (let i = 0, at = 0; at < taken; i++) {
      const chunk = chunks[i]!;
      const count = Math.min(chunk.byteLength, taken - at);
      copyBytes(chunk, 0, copy, at, count);
      at += count;
    }
    return this.#write(copy);
  }

  /** How many bytes `send` may take: none while connecting. Throws where nothing can be sent any more. */
  #room(): number {
    if (this.state === CONNECTED && !this.writeShut) {
      if (!this.#queued) return SEND_LIMIT;
      const queued = this.stream!.writableLength;
      this.#queued = queued !== 0;
      return SEND_LIMIT - queued;
    }
    if (this.state === CONNECTING) return 0;
    this.enter('send');
    if (this.pending === null || this.state !== BROKEN) throw socketError('EPIPE', 'send');
    // What is unread would otherwise seem to end cleanly.
    if (this.inbox.bytes > 0) this.remembered = this.pending;
    throw this.takePending();
  }

  #write(copy: Buffer): number {
    const stream = this.stream!;
    stream.write(copy);
    const queued = stream.writableLength;
    if (queued !== 0) {
      copies.keep();
      this.#queued = true;
      if (queued >= SEND_LIMIT && !this.full) {
        this.full = true;
        awaitDrain(stream);
        this.refresh();
      }
    } else if (stream.errored !== null) {
      failStream(stream);
      // The failure is ours to throw now.
      this.#room();
    }
    this.host.traffic.bytesOut += copy.length;
    return copy.length;
  }

  takeError(): SocketError | null {
    if (this.state === CLOSED) throw socketError('EBADF', 'getsockopt');
    if (this.pending === null) return null;
    if (this.state === BROKEN) this.remembered = this.pending;
    return this.takePending();
  }

  shutdown(how: 'read' | 'write' | 'both'): void {
    this.enter('shutdown');
    if (how !== 'read' && how !== 'write' && how !== 'both')
      throw misuse('ERR_REACTOR_ARGUMENT', `shutdown takes 'read', 'write' or 'both', got ${describe(how)}`);
    if (this.state !== CONNECTED) throw socketError('ENOTCONN', 'shutdown');
    if (how !== 'write') this.readShut = true;
    if (how !== 'read' && !this.writeShut) {
      this.writeShut = true;
      this.stream!.end();
    }
    this.refresh();
  }

  close(): void {
    this.#close(this.options.linger === 0);
  }

  reset(): void {
    this.#close(true);
  }

  #close(abortive: boolean): void {
    if (this.state === CLOSED) return;
    this.host.closing(this);
    this.#drop(abortive);
  }

  #drop(abortive: boolean): void {
    const starting = this.state === STARTING;
    this.state = CLOSED;
    this.interest = 0;
    this.readiness = 0;
    this.sink.changed(this);
    this.inbox.clear();
    const { stream, queue } = this;
    this.stream = this.queue = this.pending = this.remembered = null;
    if (stream !== null) {
      if (abortive) resetStream(stream, this.family !== 'unix');
      else closeStream(stream);
    }
    // An error costs a stack trace: none is made for the many that nobody waits for.
    if (starting) this.tellWaiters(socketError('EBADF', 'listen'));
    // The reactor has never seen these. The kernel resets them, too.
    if (queue !== null) for (const waiting of queue.close()) (waiting as EmulatedSocket).#drop(true);
  }

  getOption<K extends keyof SocketOptions>(name: K): SocketOptions[K] {
    if (this.state === CLOSED) throw socketError('EBADF', 'getsockopt');
    return this.options.get(name, this.family) as SocketOptions[K];
  }

  setOption<K extends keyof SocketOptions>(name: K, value: SocketOptions[K]): void {
    if (this.state === CLOSED) throw socketError('EBADF', 'setsockopt');
    const stream = this.state === CONNECTED ? this.stream : null;
    this.options.set(name, value, this.family, stream);
  }

  /** On a stream it is `recv` with the peer's address. */
  recvFrom(into: Uint8Array, flags = 0): ReceivedDatagram | null {
    const bytes = this.recv(into, 0, undefined, flags);
    return bytes === WOULD_BLOCK ? null : { bytes, address: this.remote ?? { path: '' }, truncated: false };
  }

  sendTo(): never {
    this.#refuseDatagrams('sendto');
  }

  recvBatch(): never {
    this.#refuseDatagrams('recvmmsg');
  }

  sendBatch(): never {
    this.#refuseDatagrams('sendmmsg');
  }

  joinGroup(): never {
    this.#refuseDatagrams('setsockopt');
  }

  leaveGroup(): never {
    this.#refuseDatagrams('setsockopt');
  }

  #refuseDatagrams(verb: string): never {
    if (this.state === CLOSED) throw socketError('EBADF', verb);
    const error = socketError('ENOTSUP', verb);
    error.message = `${verb} ENOTSUP: a stream socket of the emulated backend carries no datagrams`;
    throw error;
  }
}
