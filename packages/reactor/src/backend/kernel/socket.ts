/** A socket that is a descriptor: the BSD verbs over the native core. */
import { constants as os } from 'node:os';
import { type Address, checkAddress, type Family, type InetFamily, isUnixAddress, toLiteral } from '../../address.js';
import { checkBacklog, checkFlags, checkRange, checkTimeout } from '../../arguments.js';
import { describe, misuse, outOfRange, SocketError, socketError } from '../../errors.js';
import { BAD_ARGUMENT, type Core } from '../../native.js';
import { INTERRUPTED, MSG_MORE, MSG_OOB, MSG_PEEK, READABLE, WOULD_BLOCK, WRITABLE } from '../../readiness.js';
import type { Socket, SocketOptions, SocketType } from '../../socket.js';
import { removeOwnedPath } from '../../unix-path.js';
import type { BackendHost, BackendSocket } from '../backend.js';
import type { ChunkReader } from './chunks.js';
import { getNamedOption, setNamedOption } from './options.js';
import type { PinnedBuffer } from './pinned.js';

const { EAGAIN, EINPROGRESS, EINTR, ENOBUFS } = os.errno;

/** The native core's numbers for the kinds of addresses and families. */
export const FAMILY_CODE: Readonly<Record<Family, number>> = { pipe: 0, unix: 1, ipv4: 4, ipv6: 6 };
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
  readonly recvBuffer: PinnedBuffer;
  readonly sendBuffer: PinnedBuffer;
  /** Where `accept` leaves an IPv4 peer, packed; below 0 for other families. */
  readonly packedPeer: Float64Array;
}

/** What all sockets of one kind share, so that an idle one keeps as little as possible. */
interface KernelKind {
  readonly context: KernelContext;
  readonly type: SocketType;
  readonly family: Family;
}

type Peer = Address | number | null;

/** `host * 65536 + port`, as the core packs an accepted IPv4 peer, so that an idle connection keeps 8 bytes of it. */
function unpackPeer(packed: number): Address {
  const host = Math.floor(packed / 65536);
  const octets = [host >>> 24, (host >>> 16) & 255, (host >>> 8) & 255, host & 255];
  return { host: octets.join('.'), port: packed % 65536 };
}

export class KernelSocket implements BackendSocket {
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
    const result = this.#withAddress(this.#kind.context.core.bind, address, 'bind');
    if (result < 0) throw new SocketError(result, 'bind', address);
  }

  listen(backlog = 511): void {
    checkBacklog(backlog);
    const result = this.#kind.context.core.listen(this.#fd, backlog);
    if (result < 0) throw new SocketError(result, 'listen', this.localAddress);
    this.listening = true;
  }

  accept(): KernelSocket | null {
    const { core, packedPeer } = this.#kind.context;
    const fd = core.accept(this.#fd);
    if (fd >= 0) {
      const packed = packedPeer[0] as number;
      const peer = packed >= 0 ? packed : ((core.acceptedAddress() as Address | undefined) ?? null);
      return new KernelSocket(this.#kind, fd, peer);
    }
    if (fd === -EAGAIN) return null;
    throw new SocketError(fd, 'accept', this.localAddress);
  }

  connect(address: Address): 'connected' | 'connecting' {
    const result = this.#withAddress(this.#kind.context.core.connect, address, 'connect');
    if (result === 0) return 'connected';
    if (result === -EINPROGRESS) {
      this.#peer = address;
      return 'connecting';
    }
    throw new SocketError(result, 'connect', address);
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
    const { core, recvBuffer } = this.#kind.context;
    const from = offset ?? 0;
    const size = length ?? rest(into, from);
    const count =
      (flags === undefined ? recvBuffer.transfer(this.#fd, into, from, size) : undefined) ??
      core.recv(this.#fd, into, from, size, flags ?? 0);
    if (count > 0) return count;
    if (count === -EAGAIN) return WOULD_BLOCK;
    if (count === 0) return this.#endOfStream();
    return this.#recvFailed(count, into, offset, length, flags);
  }

  receive(borrow: boolean): Buffer | 0 | -1 {
    const { chunks } = this.#kind.context;
    const count = chunks.read(this.#fd, borrow);
    return count > 0 ? chunks.take(count, borrow) : this.receivedNothing(count);
  }

  /** The result of a receive that gave no bytes: the end of the stream, a would-block, or its error. */
  receivedNothing(count: number): 0 | -1 {
    if (count === -EAGAIN) return WOULD_BLOCK;
    if (count === 0) return this.#endOfStream();
    throw new SocketError(count, 'recv', this.remoteAddress);
  }

  send(from: Uint8Array, offset?: number, length?: number, flags?: number): number {
    const { core, sendBuffer } = this.#kind.context;
    let count: number | undefined;
    if (offset === undefined && length === undefined && flags === undefined) count = sendBuffer.send(this.#fd, from);
    else {
      const at = offset ?? 0;
      const size = length ?? rest(from, at);
      if (flags === undefined) count = sendBuffer.transfer(this.#fd, from, at, size);
      count ??= core.send(this.#fd, from, at, size, flags ?? 0);
    }
    return count >= 0 ? count : this.sendFailed(count, from, offset, length, flags);
  }

  sendv(chunks: readonly Uint8Array[]): number {
    if (!Array.isArray(chunks))
      throw misuse('ERR_REACTOR_BUFFER', `sendv takes an array of Uint8Array, got ${describe(chunks)}`);
    // A plain array: the core reads its elements without running anybody's code between two of them.
    const count = this.#kind.context.core.sendv(this.#fd, chunks.slice(), 0);
    if (count >= 0) return count;
    for (const chunk of chunks) checkRange(chunk, 0, chunk?.length, 'sendv');
    return this.sendFailed(count);
  }

  takeError(): SocketError | null {
    const errno = this.#kind.context.core.takeError(this.#fd);
    if (errno === 0) return null;
    if (errno < 0) throw new SocketError(errno, 'getsockopt');
    this.#taken = new SocketError(-errno, 'recv', this.remoteAddress);
    return this.#taken;
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
    if (count > 0) return count;
    if (count === 0) return this.#endOfStream();
    if (count === -EINTR) return INTERRUPTED;
    if (count === -EAGAIN) return WOULD_BLOCK;
    return this.#recvFailed(count, into, offset, length, 0);
  }

  sendAllSync(from: Uint8Array, options: { timeoutMs?: number } = {}): number {
    const timeout = checkTimeout(options.timeoutMs, 'timeoutMs');
    const count = this.#kind.context.core.sendAllSync(this.#fd, from, timeout ?? -1);
    if (count >= 0) return count;
    return count === -EINTR ? INTERRUPTED : this.sendFailed(count, from, 0, from?.length, 0);
  }

  acceptSync(options: { timeoutMs?: number } = {}): Socket | null {
    const deadline = deadlineOf(options.timeoutMs);
    for (;;) {
      const accepted = this.accept();
      if (accepted !== null) return accepted;
      if (this.#waitSync(READABLE, deadline) !== 'ready') return null;
    }
  }

  connectSync(address: Address, options: { timeoutMs?: number } = {}): void {
    const deadline = deadlineOf(options.timeoutMs);
    if (this.connect(address) === 'connected') return;
    for (;;) {
      const outcome = this.#waitSync(WRITABLE, deadline);
      if (outcome === 'timeout') throw socketError('ETIMEDOUT', 'connect', address);
      if (outcome === 'interrupted') throw socketError('EINTR', 'connect', address);
      if (this.finishConnect()) return;
    }
  }

  #waitSync(interest: number, deadline: number | undefined): 'ready' | 'timeout' | 'interrupted' {
    const left = deadline === undefined ? -1 : Math.max(0, deadline - performance.now());
    const result = this.#kind.context.core.waitSync(this.#fd, interest, left);
    if (result < 0 && result !== -EINTR) throw new SocketError(result, 'poll');
    return result > 0 ? 'ready' : result === 0 ? 'timeout' : 'interrupted';
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

  #withAddress(
    verb: (fd: number, kind: number, host: string, port: number, flow: number, scope: number) => number,
    given: Address,
    syscall: string,
  ): number {
    const address = checkAddress(given);
    if (isUnixAddress(address)) {
      if (this.family !== 'unix')
        throw misuse('ERR_REACTOR_ADDRESS', `${syscall} on an ${this.family} socket takes { host, port }, got a path`);
      const result = verb(this.#fd, FAMILY_CODE.unix, address.path, 0, 0, 0);
      // Everything else about a path was checked.
      return result === BAD_ARGUMENT ? -os.errno.ENAMETOOLONG : result;
    }
    if (this.family !== 'ipv4' && this.family !== 'ipv6')
      throw misuse('ERR_REACTOR_ADDRESS', `${syscall} on a ${this.family} socket takes { path }, got a host and port`);
    const family: InetFamily = this.family;
    const host = toLiteral(address, family);
    const result = verb(this.#fd, FAMILY_CODE[family], host, address.port, address.flowInfo ?? 0, address.scopeId ?? 0);
    if (result === BAD_ARGUMENT)
      throw outOfRange('ERR_REACTOR_ADDRESS', `${syscall}: flowInfo and scopeId are unsigned 32-bit numbers`);
    return result;
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
  sendFailed(count: number, from?: unknown, offset?: unknown, length?: unknown, flags?: unknown): number {
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

function deadlineOf(timeoutMs: number | undefined): number | undefined {
  const timeout = checkTimeout(timeoutMs, 'timeoutMs');
  return timeout === undefined ? undefined : performance.now() + timeout;
}
