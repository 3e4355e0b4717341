/** What is asked of a datagram socket: the BSD verbs over node:dgram. */
import type { Socket as DgramSocket, RemoteInfo } from 'node:dgram';
import type { Address, InetAddress } from '../../address.js';
import { checkChunks, checkFlags, checkRange } from '../../arguments.js';
import { checkSpan, type DatagramBatch, memoryOf } from '../../datagram-batch.js';
import { receiveEach } from '../../datagram-loop.js';
import { describe, misuse, notSupported, type SocketError, socketError } from '../../errors.js';
import { checkGroup } from '../../groups.js';
import { MSG_MORE, MSG_OOB, MSG_PEEK, WOULD_BLOCK } from '../../readiness.js';
import type { GroupOptions, ReceivedDatagram, SocketOptions } from '../../socket.js';
import type { BackendSocket } from '../backend.js';
import { fromEndpoint, toEndpoint, unboundAddress } from './addresses.js';
import { copyBytes } from './copy.js';
import { attempt } from './datagram-options.js';
import { BINDING, BOUND, CLOSED, DatagramState, FRESH, MOST_UNTOLD } from './datagram-state.js';
import { findInterface, toDgramInterface } from './interfaces.js';

/** The most that one datagram holds: 65,535 less the headers of UDP, and of IPv4, whose length counts its header. */
const LONGEST = { ipv4: 65_507, ipv6: 65_527 } as const;
/** The kernel's IOV_MAX. */
const MOST_GATHERED = 1024;
/** A datagram socket of the emulated backend. What it promises stands at {@link EmulatedBackend}. */
export class EmulatedDatagramSocket extends DatagramState implements BackendSocket {
  readonly type = 'datagram';
  readonly listening = false;
  get localAddress(): Address | undefined {
    if (this.state === CLOSED) return undefined;
    if (this.state !== BOUND) return unboundAddress(this.family);
    const { address, port } = (this.socket as DgramSocket).address();
    return fromEndpoint(address, port);
  }

  get remoteAddress(): Address | undefined {
    return this.state === CLOSED || this.peer === null ? undefined : fromEndpoint(this.peer.host, this.peer.port);
  }

  bind(address: Address): void {
    this.enter('bind');
    const endpoint = toEndpoint(address, this.family, 'bind') as InetAddress;
    if (this.state !== FRESH) throw socketError('EINVAL', 'bind', endpoint);
    this.begin(endpoint);
  }

  connect(address: Address): 'connected' | 'connecting' {
    this.enter('connect');
    const endpoint = toEndpoint(address, this.family, 'connect') as InetAddress;
    if (this.target !== null) throw socketError('EALREADY', 'connect', endpoint);
    if (endpoint.port === 0) throw socketError('EINVAL', 'connect', endpoint);
    if (this.state === FRESH) this.begin(unboundAddress(this.family) as InetAddress);
    if (this.state === FRESH) throw this.takePending('connect');
    const socket = this.socket as DgramSocket;
    if (this.peer !== null) socket.disconnect();
    this.peer = null;
    this.target = endpoint;
    // Its types know no error, which Node gives.
    socket.connect(endpoint.port, endpoint.host, this.onConnect as () => void);
    this.lookConnected();
    return this.peer === null ? 'connecting' : 'connected';
  }

  finishConnect(): boolean {
    this.enter('connect');
    if (this.peer !== null) return true;
    if (this.target !== null) return false;
    if (this.pending === null) throw socketError('ENOTCONN', 'connect');
    const error = this.takePending('connect');
    this.host.closing(this);
    throw error;
  }

  recv(into: Uint8Array, offset = 0, length?: number, flags = 0): number {
    if (this.state === CLOSED) throw socketError('EBADF', 'recv');
    checkRange(into, offset, length, 'recv');
    checkFlags(flags, MSG_PEEK | MSG_OOB, 'recv');
    const received = this.#receive(into, offset, length ?? into.byteLength - offset, flags, 'recv');
    if (received === null) return this.readShut ? 0 : WOULD_BLOCK;
    return received.bytes;
  }

  recvFrom(into: Uint8Array, flags = 0): ReceivedDatagram | null {
    if (this.state === CLOSED) throw socketError('EBADF', 'recvfrom');
    checkRange(into, 0, undefined, 'recvFrom');
    checkFlags(flags, MSG_PEEK | MSG_OOB, 'recvFrom');
    const received = this.#receive(into, 0, into.byteLength, flags, 'recvfrom');
    if (received === null) return null;
    const { address, port } = received.sender;
    return { bytes: received.bytes, address: fromEndpoint(address, port) as Address, truncated: received.truncated };
  }

  recvBatch(batch: DatagramBatch): number {
    if (this.state === CLOSED) throw socketError('EBADF', 'recvmmsg');
    return receiveEach(this, batch);
  }

  receive(_borrow: boolean): Buffer | 0 | -1 {
    if (this.state === CLOSED) throw socketError('EBADF', 'recv');
    const payload = this.queue.first()?.payload;
    if (payload === undefined || this.pending !== null) return this.recv(Buffer.alloc(1)) as 0 | -1;
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
    if (this.pending !== null) throw this.takePending(syscall);
    const arrived = this.queue.first();
    if (arrived === null) return null;
    const { payload, sender } = arrived;
    const bytes = Math.min(length, payload.length);
    copyBytes(payload, 0, into, offset, bytes);
    if ((flags & MSG_PEEK) === 0) this.#received(bytes);
    return { bytes, truncated: bytes < payload.length, sender };
  }

  /** The first datagram was given away, `bytes` of it. */
  #received(bytes: number): void {
    this.queue.shift();
    this.host.traffic.bytesIn += bytes;
    if (this.queue.size === 0) this.refresh();
  }

  send(from: Uint8Array, offset = 0, length?: number, flags = 0): number {
    if (this.state === CLOSED) throw socketError('EBADF', 'send');
    checkRange(from, offset, length, 'send');
    checkFlags(flags, MSG_OOB | MSG_MORE, 'send');
    const end = offset + (length ?? from.byteLength - offset);
    return this.#send(from.subarray(offset, end), null, flags, 'send');
  }

  sendv(chunks: readonly Uint8Array[]): number {
    if (this.state === CLOSED) throw socketError('EBADF', 'send');
    checkChunks(chunks, 'sendv');
    if (chunks.length > MOST_GATHERED) throw socketError('EMSGSIZE', 'send', this.remoteAddress);
    return this.#send(chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks), null, 0, 'send');
  }

  sendTo(from: Uint8Array, to: Address, flags = 0): number {
    if (this.state === CLOSED) throw socketError('EBADF', 'sendto');
    const endpoint = toEndpoint(to, this.family, 'sendto') as InetAddress;
    checkRange(from, 0, undefined, 'sendTo');
    checkFlags(flags, MSG_OOB | MSG_MORE, 'sendTo');
    return this.#send(from, endpoint, flags, 'sendto');
  }

  sendBatch(batch: DatagramBatch, start = 0, end = batch?.length): number {
    if (this.state === CLOSED) throw socketError('EBADF', 'sendmmsg');
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
    if (this.writeShut) throw socketError('EPIPE', syscall);
    if (this.pending !== null) throw this.takePending(syscall);
    const peer = this.peer;
    const target = to ?? peer ?? this.target;
    if (target === null) throw socketError('EDESTADDRREQ', syscall);
    // As the BSDs have it: node:dgram sends to nobody but the peer.
    if (to !== null && peer !== null && (to.host !== peer.host || to.port !== peer.port))
      throw socketError('EISCONN', syscall, to);
    if (payload.length > LONGEST[this.family]) throw socketError('EMSGSIZE', syscall, target);
    if (target.port === 0) throw socketError('EINVAL', syscall, target);
    if (this.state === FRESH) this.begin(unboundAddress(this.family) as InetAddress);
    if (this.state === FRESH) throw this.takePending(syscall);
    if (this.state === BINDING || this.target !== null || this.full) return WOULD_BLOCK;
    const socket = this.socket as DgramSocket;
    // A copy: where the system takes it later only, the bytes are not the caller's to change.
    const copy = Buffer.from(payload);
    this.untold += 1;
    if (peer === null) socket.send(copy, 0, copy.length, target.port, target.host, this.onSent);
    else socket.send(copy, 0, copy.length, this.onSent);
    this.host.traffic.bytesOut += copy.length;
    if (this.untold >= MOST_UNTOLD || this.isQueueing(socket)) {
      this.full = true;
      this.refresh();
    }
    return copy.length;
  }

  takeError(): SocketError | null {
    if (this.state === CLOSED) throw socketError('EBADF', 'getsockopt');
    return this.pending === null ? null : this.takePending('recv');
  }

  shutdown(how: 'read' | 'write' | 'both'): void {
    this.enter('shutdown');
    if (how !== 'read' && how !== 'write' && how !== 'both')
      throw misuse('ERR_REACTOR_ARGUMENT', `shutdown takes 'read', 'write' or 'both', got ${describe(how)}`);
    if (this.peer === null) throw socketError('ENOTCONN', 'shutdown');
    if (how !== 'write') this.readShut = true;
    if (how !== 'read') this.writeShut = true;
    this.refresh();
  }

  close(): void {
    if (this.state === CLOSED) return;
    this.host.closing(this);
    const binding = this.state === BINDING;
    this.state = CLOSED;
    this.peer = this.target = this.pending = null;
    this.groupChanges = [];
    this.interest = this.readiness = 0;
    this.sink.changed(this);
    this.queue.clear();
    // While it binds there is nothing to close yet: `#onListening` sees to it.
    if (binding) this.tellWaiters(socketError('EBADF', 'bind'));
    else this.closeWhenSent();
  }

  /** A datagram socket has no connection to reset. */
  reset(): void {
    this.close();
  }

  getOption<K extends keyof SocketOptions>(name: K): SocketOptions[K] {
    if (this.state === CLOSED) throw socketError('EBADF', 'getsockopt');
    return this.options.get(name, this.state === BOUND ? this.socket : null) as SocketOptions[K];
  }

  setOption<K extends keyof SocketOptions>(name: K, value: SocketOptions[K]): void {
    if (this.state === CLOSED) throw socketError('EBADF', 'setsockopt');
    this.options.set(name, value, this.state === BOUND ? this.socket : null);
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
    if (this.state === CLOSED) throw socketError('EBADF', 'setsockopt');
    checkGroup(group, options, this.family, verb);
    const { source, interface: given = '' } = options;
    const device = toDgramInterface(findInterface(given, 'setsockopt'), this.family, given, 'setsockopt');
    const change = (): void =>
      attempt(
        () => {
          const socket = this.socket as DgramSocket;
          if (source === undefined) socket[any](group, device);
          else socket[specific](source, group, device);
        },
        'setsockopt',
        group,
      );
    if (this.state === BOUND) change();
    // On an unbound socket Node would bind it, to a port of the system's choice.
    else this.groupChanges.push(change);
  }

  accept(): never {
    this.#refuseStreams('accept');
  }

  listen(): never {
    this.#refuseStreams('listen');
  }

  #refuseStreams(verb: string): never {
    throw socketError(this.state === CLOSED ? 'EBADF' : 'EOPNOTSUPP', verb);
  }
}
