/** A socket that is a descriptor: the BSD verbs over the native core. */
import { constants as os } from 'node:os';
import type { Address, Family } from '../../address.js';
import { checkBacklog, checkFlags, checkRange, checkTimeout } from '../../arguments.js';
import { type DatagramBatch, memoryOf } from '../../datagram-batch.js';
import { describe, misuse, outOfRange, SocketError, socketError } from '../../errors.js';
import type { HandOffHost } from '../../hand-off/host.js';
import { transfer } from '../../hand-off/transfer.js';
import type { Traffic } from '../../metrics.js';
import { BAD_ARGUMENT, type Core } from '../../native.js';
import { INTERRUPTED, MSG_MORE, MSG_OOB, MSG_PEEK, WOULD_BLOCK } from '../../readiness.js';
import type {
  GroupOptions,
  ReceivedDatagram,
  Socket,
  SocketOptions,
  SocketType,
  TransferOptions,
  TransferTarget,
} from '../../socket.js';
import { removeOwnedPath } from '../../unix-path.js';
import type { BackendHost, MovableSocket } from '../backend.js';
import { AUTOBIND, type CoreAddress, toCoreAddress, unpackPeer } from './addresses.js';
import { acceptSync, connectSync } from './blocking.js';
import type { ChunkReader } from './chunks.js';
import { receiveBatch, sendBatch } from './datagrams.js';
import { packDescriptors, type ReceivedDescriptors, receiveDescriptors } from './descriptors.js';
import { changeGroup } from './multicast.js';
import { getNamedOption, setNamedOption } from './options.js';
import type { PinnedBuffer } from './pinned.js';

const { EAGAIN, EINPROGRESS, EINTR, ENOBUFS } = os.errno;

/** `IOV_MAX` of Linux. */
const MOST_GATHERED = 1024;

/** The native core's numbers for the types of sockets. */
export const TYPE_CODE: Readonly<Record<SocketType, number>> = {
  stream: 1,
  datagram: 2,
  seqpacket: 3,
  raw: 4,
  pipe: 5,
};

/** What all sockets of a kernel backend share. */
export interface KernelContext {
  readonly core: Core;
  readonly chunks: ChunkReader;
  readonly host: BackendHost;
  readonly traffic: Traffic;
  readonly recvBuffer: PinnedBuffer;
  readonly sendBuffer: PinnedBuffer;
  /** Where `accept` and `recvFrom` leave an IPv4 peer, packed (below 0 for other families), and whether it was cut. */
  readonly packedPeer: Float64Array;
}

/** What all sockets of one kind share, so that an idle one keeps as little as possible. */
interface KernelKind {
  readonly context: KernelContext;
  readonly type: SocketType;
  readonly family: Family;
}

type Peer = Address | number | null;

export class KernelSocket implements MovableSocket {
  watch: object | null = null;
  listening = false;
  /** Whether the epoll descriptor has it: spares a call that fails when it is added. */
  watched = false;
  readonly #kind: KernelKind;
  #fd: number;
  #peer: Peer;
  /** An error that takeError() gave: the end of the stream that it leaves behind is no clean end. */
  #taken: SocketError | null = null;

  constructor(kind: KernelKind, fd: number, peer: Peer = null) {
    this.#kind = kind;
    this.#fd = fd;
    this.#peer = peer;
  }

  get type(): SocketType {
    return this.#kind.type;
  }

  get family(): Family {
    return this.#kind.family;
  }

  get host(): BackendHost {
    return this.#kind.context.host;
  }

  get closed(): boolean {
    return this.#fd < 0;
  }

  settled(): Promise<void> {
    return Promise.resolve();
  }

  get localAddress(): Address | undefined {
    const address = this.#kind.context.core.localAddress(this.#fd);
    return typeof address === 'number' ? undefined : (address as Address | undefined);
  }

  get remoteAddress(): Address | undefined {
    if (typeof this.#peer === 'number') this.#peer = unpackPeer(this.#peer);
    if (this.#peer !== null) return this.#peer;
    const address = this.#kind.context.core.remoteAddress(this.#fd);
    return typeof address === 'number' ? undefined : (address as Address | undefined);
  }

  fileno(): number {
    return this.#fd;
  }

  bind(address: Address): void {
    const { core } = this.#kind.context;
    const { kind, text, port, flow, scope } =
      this.family === 'unix' && isUnnamed(address) ? AUTOBIND : this.#address(address, 'bind');
    const result = core.bind(this.#fd, kind, text, port, flow, scope);
    if (result < 0) throw addressFailed(result, 'bind', address);
  }

  listen(backlog = 511): void {
    checkBacklog(backlog);
    const result = this.#kind.context.core.listen(this.#fd, backlog);
    if (result < 0) throw new SocketError(result, 'listen', this.localAddress);
    this.listening = true;
  }

  accept(): KernelSocket | null {
    const { core, packedPeer, traffic } = this.#kind.context;
    const fd = core.accept(this.#fd);
    if (fd >= 0) {
      traffic.accepts += 1;
      const packed = packedPeer[0] as number;
      const peer = packed >= 0 ? packed : ((core.acceptedAddress() as Address | undefined) ?? null);
      return new KernelSocket(this.#kind, fd, peer);
    }
    if (fd === -EAGAIN) return null;
    throw new SocketError(fd, 'accept', this.localAddress);
  }

  connect(address: Address): 'connected' | 'connecting' {
    const { kind, text, port, flow, scope } = this.#address(address, 'connect');
    const result = this.#kind.context.core.connect(this.#fd, kind, text, port, flow, scope);
    if (result === 0) return 'connected';
    if (result === -EINPROGRESS) {
      this.#peer = address;
      return 'connecting';
    }
    throw addressFailed(result, 'connect', address);
  }

  finishConnect(): boolean {
    const result = this.#kind.context.core.finishConnect(this.#fd);
    if (result === -EINPROGRESS && this.#peer !== null) return false;
    if (result === -EINPROGRESS) throw socketError('ENOTCONN', 'connect');
    const attempted = typeof this.#peer === 'number' ? null : this.#peer;
    // From here on getpeername tells the peer.
    this.#peer = null;
    if (result === 0) return true;
    if (this.#fd >= 0) this.#kind.context.host.closing(this);
    throw new SocketError(result, 'connect', attempted ?? undefined);
  }

  recv(into: Uint8Array, offset?: number, length?: number, flags?: number): number {
    const { core, recvBuffer, traffic } = this.#kind.context;
    const from = offset ?? 0;
    const size = length ?? rest(into, from);
    const count =
      (flags === undefined ? recvBuffer.transfer(this.#fd, into, from, size) : undefined) ??
      core.recv(this.#fd, into, from, size, flags ?? 0);
    if (count > 0) {
      if (flags === undefined || (flags & MSG_PEEK) === 0) traffic.bytesIn += count;
      return count;
    }
    if (count === -EAGAIN) return WOULD_BLOCK;
    if (count === 0) return this.#endOfStream();
    return this.#recvFailed(count, into, offset, length, flags);
  }

  receive(borrow: boolean): Buffer | 0 | -1 {
    const { chunks, traffic } = this.#kind.context;
    const count = chunks.read(this.#fd, borrow);
    if (count <= 0) return this.receivedNothing(count);
    traffic.bytesIn += count;
    return chunks.take(count, borrow);
  }

  /** What was received ahead for it. */
  received(chunk: Buffer): Buffer {
    this.#kind.context.traffic.bytesIn += chunk.length;
    return chunk;
  }

  /** The result of a receive that gave no bytes: the end of the stream, a would-block, or its error. */
  receivedNothing(count: number): 0 | -1 {
    if (count === -EAGAIN) return WOULD_BLOCK;
    if (count === 0) return this.#endOfStream();
    throw new SocketError(count, 'recv', this.remoteAddress);
  }

  send(from: Uint8Array, offset?: number, length?: number, flags?: number): number {
    const { core, sendBuffer, traffic } = this.#kind.context;
    let count: number | undefined;
    if (offset === undefined && length === undefined && flags === undefined) count = sendBuffer.send(this.#fd, from);
    else {
      const at = offset ?? 0;
      const size = length ?? rest(from, at);
      if (flags === undefined) count = sendBuffer.transfer(this.#fd, from, at, size);
      count ??= core.send(this.#fd, from, at, size, flags ?? 0);
    }
    if (count < 0) return this.#sendFailed(count, from, offset, length, flags);
    traffic.bytesOut += count;
    return count;
  }

  /** The result of a send that the outbox made: as `send` returns or throws it. */
  sent(count: number): number {
    if (count < 0) return this.#sendFailed(count);
    this.#kind.context.traffic.bytesOut += count;
    return count;
  }

  sendv(chunks: readonly Uint8Array[]): number {
    if (!Array.isArray(chunks))
      throw misuse('ERR_REACTOR_BUFFER', `sendv takes an array of Uint8Array, got ${describe(chunks)}`);
    // Cut, it would be another message: what sendmsg(2) says of more than IOV_MAX.
    if (chunks.length > MOST_GATHERED && this.type !== 'stream' && this.type !== 'pipe')
      throw socketError('EMSGSIZE', 'send', this.remoteAddress);
    // A plain array: the core reads its elements without running anybody's code between two of them.
    const count = this.#kind.context.core.sendv(this.#fd, chunks.slice(), 0);
    if (count >= 0) {
      this.#kind.context.traffic.bytesOut += count;
      return count;
    }
    for (const chunk of chunks) checkRange(chunk, 0, chunk?.length, 'sendv');
    return this.#sendFailed(count);
  }

  recvFrom(into: Uint8Array, flags = 0): ReceivedDatagram | null {
    const { core, packedPeer, traffic } = this.#kind.context;
    const bytes = core.recvFrom(this.#fd, into, flags);
    if (bytes === -EAGAIN) return null;
    if (bytes === BAD_ARGUMENT) {
      checkRange(into, 0, undefined, 'recvFrom');
      checkFlags(flags, MSG_PEEK | MSG_OOB, 'recvFrom');
    }
    if (bytes < 0) throw new SocketError(bytes, 'recvfrom', this.remoteAddress);
    const packed = packedPeer[0] as number;
    const truncated = packedPeer[1] !== 0;
    const address = packed >= 0 ? unpackPeer(packed) : this.#sender();
    if (bytes === 0) this.#endOfStream();
    if ((flags & MSG_PEEK) === 0) traffic.bytesIn += bytes;
    return { bytes, address, truncated };
  }

  /** Whom the core has just received from: a stream tells none, and a unix socket may have no name. */
  #sender(): Address {
    const sender = this.#kind.context.core.acceptedAddress() as Address | undefined;
    return sender ?? this.remoteAddress ?? { path: '' };
  }

  sendTo(from: Uint8Array, to: Address, flags = 0): number {
    const { core, traffic } = this.#kind.context;
    const { kind, text, port, flow, scope } = this.#address(to, 'sendto');
    const count = core.sendTo(this.#fd, from, flags, kind, text, port, flow, scope);
    if (count >= 0) {
      traffic.bytesOut += count;
      return count;
    }
    if (count === -EAGAIN || count === -ENOBUFS) return WOULD_BLOCK;
    if (count === BAD_ARGUMENT) {
      checkRange(from, 0, undefined, 'sendTo');
      checkFlags(flags, MSG_OOB | MSG_MORE, 'sendTo');
    }
    throw addressFailed(count, 'sendto', to);
  }

  recvBatch(batch: DatagramBatch): number {
    this.#checkBatching('recvmmsg');
    const { core, traffic } = this.#kind.context;
    const count = receiveBatch(core, this.#fd, batch);
    if (count >= 0) {
      traffic.bytesIn += memoryOf(batch, 'recvBatch').bytes(0, count);
      return count;
    }
    if (count === -EAGAIN) return WOULD_BLOCK;
    throw new SocketError(count, 'recvmmsg', this.remoteAddress);
  }

  sendBatch(batch: DatagramBatch, start?: number, end?: number): number {
    this.#checkBatching('sendmmsg');
    const { core, traffic } = this.#kind.context;
    const count = sendBatch(core, this.#fd, this.family, batch, start, end);
    if (count >= 0) {
      const from = start ?? 0;
      traffic.bytesOut += memoryOf(batch, 'sendBatch').bytes(from, from + count);
      return count;
    }
    if (count === -EAGAIN || count === -ENOBUFS) return WOULD_BLOCK;
    const to = batch.address(start ?? 0);
    throw new SocketError(count, 'sendmmsg', isUnnamed(to) ? this.remoteAddress : to);
  }

  sendDescriptors(descriptors: readonly number[], payload: Uint8Array): number {
    this.#checkPassing('sendmsg');
    const packed = packDescriptors(descriptors);
    const { core, traffic } = this.#kind.context;
    const count = core.sendDescriptors(this.#fd, packed, payload);
    if (count >= 0) {
      traffic.bytesOut += count;
      return count;
    }
    if (count === -EAGAIN || count === -ENOBUFS) return WOULD_BLOCK;
    if (count === BAD_ARGUMENT) {
      checkRange(payload, 0, undefined, 'sendDescriptors');
      throw outOfRange('ERR_REACTOR_BUFFER', 'sendDescriptors: descriptors travel with 1 byte at least, got none');
    }
    throw new SocketError(count, 'sendmsg', this.remoteAddress);
  }

  recvDescriptors(into: Uint8Array): ReceivedDescriptors | null {
    this.#checkPassing('recvmsg');
    const received = receiveDescriptors(this.#kind.context.core, this.#fd, into);
    if (typeof received === 'object') {
      if (received.bytes === 0) this.#endOfStream();
      this.#kind.context.traffic.bytesIn += received.bytes;
      return received;
    }
    if (received === -EAGAIN) return null;
    if (received === BAD_ARGUMENT) checkRange(into, 0, undefined, 'recvDescriptors');
    throw new SocketError(received, 'recvmsg', this.remoteAddress);
  }

  joinGroup(group: string, options?: GroupOptions): void {
    changeGroup(this.#kind.context.core, this.#fd, this.family, true, group, options);
  }

  leaveGroup(group: string, options?: GroupOptions): void {
    changeGroup(this.#kind.context.core, this.#fd, this.family, false, group, options);
  }

  takeError(): SocketError | null {
    const { core } = this.#kind.context;
    if (this.#carriesDatagrams && this.family !== 'unix') {
      // First: an error of the queue stands in SO_ERROR as well, and taking it there would leave it in the queue.
      const queued = core.takeQueuedError(this.#fd);
      if (queued > 0) return new SocketError(-queued, 'recv', this.#sender());
    }
    const errno = core.takeError(this.#fd);
    if (errno === 0) return null;
    if (errno < 0) throw new SocketError(errno, 'getsockopt');
    const error = new SocketError(-errno, 'recv', this.remoteAddress);
    // A datagram socket's 0 is an empty datagram, whatever error came before.
    if (!this.#carriesDatagrams) this.#taken = error;
    return error;
  }

  shutdown(how: 'read' | 'write' | 'both'): void {
    const direction = ['read', 'write', 'both'].indexOf(how);
    if (direction < 0)
      throw misuse('ERR_REACTOR_ARGUMENT', `shutdown takes 'read', 'write' or 'both', got ${describe(how)}`);
    const result = this.#kind.context.core.shutdown(this.#fd, direction);
    if (result < 0) throw new SocketError(result, 'shutdown');
  }

  close(): void {
    this.#end(this.#kind.context.core.close);
  }

  reset(): void {
    this.#end(this.#kind.context.core.reset);
  }

  detach(): number {
    const fd = this.#fd;
    if (fd < 0) throw socketError('EBADF', 'detach');
    this.#end(this.#kind.context.core.detach);
    return fd;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async transfer(to: TransferTarget, data?: unknown, options?: TransferOptions): Promise<void> {
    return transfer(this.host as BackendHost & HandOffHost, this, to, data, options);
  }

  lend(): number {
    const fd = this.#fd;
    if (fd < 0) throw socketError('EBADF', 'transfer');
    this.host.closing(this);
    this.#fd = -1;
    return fd;
  }

  restore(fd: number): void {
    this.#fd = fd;
    this.watched = false;
  }

  atMark(): boolean {
    const result = this.#kind.context.core.atMark(this.#fd);
    if (result < 0) throw new SocketError(result, 'sockatmark');
    return result === 1;
  }

  getOption<K extends keyof SocketOptions>(name: K): SocketOptions[K] {
    return getNamedOption(this.#kind.context.core, this.#fd, this.family === 'ipv6', name) as SocketOptions[K];
  }

  setOption<K extends keyof SocketOptions>(name: K, value: SocketOptions[K]): void {
    setNamedOption(this.#kind.context.core, this.#fd, this.family === 'ipv6', name, value);
  }

  getRawOption(level: number, name: number, length: number): Buffer {
    if (!Number.isInteger(length) || length < 0 || length > 65536)
      throw outOfRange('ERR_REACTOR_ARGUMENT', `length must be an integer from 0 to 65536, got ${describe(length)}`);
    const bytes = Buffer.alloc(length);
    const count = this.#kind.context.core.getRawOption(this.#fd, level, name, bytes);
    if (count >= 0) return bytes.subarray(0, count);
    throw this.#optionFailed(count, 'getsockopt', level, name, bytes);
  }

  setRawOption(level: number, name: number, value: Uint8Array): void {
    const result = this.#kind.context.core.setRawOption(this.#fd, level, name, value);
    if (result < 0) throw this.#optionFailed(result, 'setsockopt', level, name, value);
  }

  recvSync(into: Uint8Array, options: { offset?: number; length?: number; timeoutMs?: number } = {}): number {
    const offset = options.offset ?? 0;
    const length = options.length ?? rest(into, offset);
    const timeout = checkTimeout(options.timeoutMs, 'timeoutMs');
    const count = this.#kind.context.core.recvSync(this.#fd, into, offset, length, timeout ?? -1);
    if (count > 0) {
      this.#kind.context.traffic.bytesIn += count;
      return count;
    }
    if (count === 0) return this.#endOfStream();
    if (count === -EINTR) return INTERRUPTED;
    if (count === -EAGAIN) return WOULD_BLOCK;
    return this.#recvFailed(count, into, offset, length, 0);
  }

  sendAllSync(from: Uint8Array, options: { timeoutMs?: number } = {}): number {
    const timeout = checkTimeout(options.timeoutMs, 'timeoutMs');
    const count = this.#kind.context.core.sendAllSync(this.#fd, from, timeout ?? -1);
    if (count >= 0) {
      this.#kind.context.traffic.bytesOut += count;
      return count;
    }
    return count === -EINTR ? INTERRUPTED : this.#sendFailed(count, from, 0, from?.length, 0);
  }

  acceptSync(options: { timeoutMs?: number } = {}): Socket | null {
    return acceptSync(this.#kind.context.core, this, options.timeoutMs);
  }

  connectSync(address: Address, options: { timeoutMs?: number } = {}): void {
    connectSync(this.#kind.context.core, this, address, options.timeoutMs);
  }

  #end(verb: (fd: number) => number): void {
    const fd = this.#fd;
    if (fd < 0) return;
    // While it is open: until then no other file can have the inode. A descriptor that is given away keeps its path.
    if (this.listening && verb !== this.#kind.context.core.detach) removeOwnedPath(this);
    // Always before the descriptor goes: EPOLL_CTL_DEL by a number that is reused would remove another socket.
    this.#kind.context.host.closing(this);
    this.#fd = -1;
    verb(fd);
  }

  #address(given: Address, syscall: string): CoreAddress {
    return toCoreAddress(this.#kind.context.core, given, this.family, syscall);
  }

  /** Whether it carries datagrams, of which an empty one is no end. */
  get #carriesDatagrams(): boolean {
    return this.type === 'datagram' || this.type === 'raw';
  }

  #checkBatching(syscall: string): void {
    if (this.#fd < 0) throw socketError('EBADF', syscall);
    if (!this.#carriesDatagrams) throw socketError('ENOTSUP', syscall);
  }

  #checkPassing(syscall: string): void {
    if (this.#fd < 0) throw socketError('EBADF', syscall);
    if (this.family !== 'unix') throw socketError('ENOTSUP', syscall);
  }

  /** A stream's 0, unless an error was taken before: then what looks like the end is what that error left. */
  #endOfStream(): 0 {
    const taken = this.#taken;
    if (taken === null) return 0;
    this.#taken = null;
    throw taken;
  }

  #recvFailed(count: number, into: unknown, offset: unknown, length: unknown, flags: unknown): never {
    if (count === BAD_ARGUMENT) {
      checkRange(into, offset, length, 'recv');
      checkFlags(flags ?? 0, MSG_PEEK | MSG_OOB, 'recv');
    }
    throw new SocketError(count === BAD_ARGUMENT ? -os.errno.EINVAL : count, 'recv', this.remoteAddress);
  }

  /** The result of a send that sent nothing: a would-block, or its error. */
  #sendFailed(count: number, from?: unknown, offset?: unknown, length?: unknown, flags?: unknown): number {
    // ENOBUFS too means that the system has no room at the moment.
    if (count === -EAGAIN || count === -ENOBUFS) return WOULD_BLOCK;
    if (count === BAD_ARGUMENT && from !== undefined) {
      checkRange(from, offset, length, 'send');
      checkFlags(flags ?? 0, MSG_OOB | MSG_MORE, 'send');
    }
    throw new SocketError(count === BAD_ARGUMENT ? -os.errno.EINVAL : count, 'send', this.remoteAddress);
  }

  #optionFailed(result: number, syscall: string, level: unknown, name: unknown, value: unknown): Error {
    if (result !== BAD_ARGUMENT) return new SocketError(result, syscall);
    if (!(value instanceof Uint8Array))
      return misuse('ERR_REACTOR_BUFFER', `a raw option takes a Uint8Array, got ${describe(value)}`);
    return outOfRange(
      'ERR_REACTOR_ARGUMENT',
      `level and name are integers of the system's headers, got ${describe(level)} and ${describe(name)}`,
    );
  }
}

/** What is left of a buffer behind `offset`; NaN for what is no buffer, which the core refuses. */
function rest(buffer: Uint8Array | undefined, offset: number | undefined): number {
  return (buffer?.length ?? Number.NaN) - (offset ?? 0);
}

/** A unix address without a name. */
function isUnnamed(address: Address): boolean {
  return typeof address === 'object' && address !== null && 'path' in address && address.path === '';
}

/** The error of a verb that was given an address. */
function addressFailed(result: number, syscall: string, address: Address): SocketError {
  // Of an address, everything but the length of its path is checked before it crosses.
  return result === BAD_ARGUMENT
    ? socketError('ENAMETOOLONG', syscall, address)
    : new SocketError(result, syscall, address);
}
