/** What two connected streams do in memory: they move bytes, and they end, with the meaning and the readiness of TCP's and of unix streams. */
import { isUint8Array } from 'node:util/types';
import type { Address } from '../address.js';
import { checkChunks, checkFlags, checkRange, isRange } from '../arguments.js';
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
import { toEndpoint } from './addresses.js';
import type { Link, LinkEnd } from './link.js';
import { checkDirection, SimulatedSocket } from './socket.js';

/*
 *  FRESH ──listen──▶ LISTENING
 *    │ ▲
 *    │ └─────────────── refused ──┐
 *    └──connect──▶ CONNECTING ────┴▶ CONNECTED ──reset──▶ BROKEN      accepted sockets begin as CONNECTED
 */
export const FRESH = 0;
export const LISTENING = 1;
export const CONNECTING = 2;
export const CONNECTED = 3;
export const BROKEN = 4;

/** The most that `receive` gives at once. */
const MOST_CHUNK_BYTES = 64 * 1024;
/** IOV_MAX of Linux. */
const MOST_GATHERED = 1024;
/** Of its send buffer, a third must be free before a socket is told writable: sk_stream_is_writeable of Linux. */
const WRITABLE_SHARE = 3;
/** When sent bytes stay unacknowledged, the connection is given up: tcp_retries2 of Linux. */
const GIVE_UP_MS = 924_600;

export abstract class StreamTransfer extends SimulatedSocket implements LinkEnd {
  readonly type = 'stream';
  protected phase = FRESH;
  protected peer: StreamTransfer | null = null;
  protected inbound: Link | null = null;
  protected outbound: Link | null = null;
  protected readShut = false;
  protected writeShut = false;
  /** The connect was refused: until the next one. */
  protected refused = false;
  /** An error that takeError gave: the end that it leaves behind is no clean one. */
  protected remembered: SocketError | null = null;

  get receiveBuffer(): number {
    return this.options.receiveBuffer;
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
    (this.inbound as Link).receive(into, offset, portion);
    this.#received(portion);
    return portion;
  }

  receive(_borrow: boolean): Buffer | 0 | -1 {
    this.enter('recv');
    const portion = this.#portion(MOST_CHUNK_BYTES);
    if (portion <= 0) return portion as 0 | -1;
    const chunk = (this.inbound as Link).receiveChunk(portion);
    this.#received(portion);
    return chunk;
  }

  /** How many bytes this receive gives, or what it returns instead. */
  #portion(most: number): number {
    const link = this.inbound;
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
    const link = this.inbound;
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
    if (this.phase === CONNECTING) return WOULD_BLOCK;
    // After a FIN, the end is the truth of this direction; an error concerns the other.
    if (this.inbound?.ended && this.remembered === null) return 0;
    const error = this.pending ?? this.remembered;
    if (error !== null) {
      if (take) {
        this.remembered = null;
        if (this.pending !== null) this.takePending();
      }
      throw socketError(error.code, 'recv', this.remote);
    }
    if (this.phase === CONNECTED) return this.readShut ? 0 : WOULD_BLOCK;
    if (this.phase === BROKEN) return 0;
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
    return this.inbound !== null && this.inbound.urgent === this.inbound.read;
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
    (this.outbound as Link).take(bytes, urgent);
    this.refresh();
    return bytes.length;
  }

  /** How many of `count` bytes are taken, or WOULD_BLOCK. Throws where nothing can be sent any more. */
  #grant(count: number): number {
    if (this.phase === CONNECTING) return count === 0 ? 0 : WOULD_BLOCK;
    if (this.pending !== null) throw this.#sendFailed();
    if (this.phase === FRESH || this.phase === LISTENING) {
      if (this.refused || this.family !== 'unix') throw socketError('EPIPE', 'send');
      throw socketError('ENOTCONN', 'send');
    }
    const link = this.outbound as Link;
    const isGone = this.family === 'unix' && (this.peer as StreamTransfer).closed;
    if (this.phase === BROKEN || this.writeShut || isGone || (this.family === 'unix' && this.#peerReadShut))
      throw socketError('EPIPE', 'send', this.remote);
    if (count === 0) return 0;
    const room = this.options.sendBuffer - link.outstanding;
    if (room <= 0 || this.refuses) return WOULD_BLOCK;
    return link.grant(Math.min(count, room)) || WOULD_BLOCK;
  }

  get #peerReadShut(): boolean {
    return (this.peer as StreamTransfer).readShut;
  }

  #sendFailed(): SocketError {
    const error = this.takePending();
    // What is unread would otherwise seem to end cleanly.
    if (this.phase === BROKEN && (this.inbound?.inbox.bytes ?? 0) > 0) this.remembered = error;
    return socketError(error.code, 'send', this.remote);
  }

  sendTo(from: Uint8Array, to: Address, flags = 0): number {
    this.enter('sendto');
    toEndpoint(to, this.family, 'sendto');
    checkRange(from, 0, undefined, 'sendTo');
    if (this.phase === CONNECTED && this.family === 'unix') throw socketError('EISCONN', 'sendto', to);
    return this.send(from, 0, from.length, flags);
  }

  shutdown(how: 'read' | 'write' | 'both'): void {
    this.enter('shutdown');
    checkDirection(how);
    if (this.phase !== CONNECTED) throw socketError('ENOTCONN', 'shutdown');
    this.network.note('shutdown', this.id, 0);
    if (how !== 'write') this.readShut = true;
    if (how !== 'read' && !this.writeShut) {
      this.writeShut = true;
      (this.outbound as Link).end();
    }
    this.refresh();
    (this.peer as StreamTransfer).refresh();
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
    const out = this.outbound;
    if (out === null || this.phase === BROKEN) return;
    const unread = (this.inbound as Link).inbox.bytes > 0;
    (this.inbound as Link).inbox.clear();
    // A reset tells the peer that some of what it has sent was never read: RFC 2525, 2.17. Unix streams have it from Linux.
    if (unread || (abortive && this.family !== 'unix')) out.reset();
    else if (!this.writeShut) out.end();
    (this.peer as StreamTransfer).refresh();
  }

  onStray(): void {
    (this.outbound as Link).reset();
  }

  onReset(): void {
    (this.outbound as Link).drop();
    if (this.closed || (this.phase !== CONNECTED && this.phase !== CONNECTING)) return;
    this.phase = BROKEN;
    // After its FIN the peer's reset says that nobody receives any more: tcp_reset of Linux.
    this.pending = socketError(this.inbound?.ended ? 'EPIPE' : 'ECONNRESET', 'recv', this.remote);
    this.network.note('reset', this.id, 0);
    this.refresh();
  }

  /** What is lost in one direction is not acknowledged in the other: both ends are on their own. */
  onMute(): void {
    for (const end of [this, this.peer as StreamTransfer]) {
      (end.outbound as Link).mute();
      const patience = end.options.userTimeout === 0 ? GIVE_UP_MS : end.options.userTimeout;
      this.network.timeline.at(this.network.now() + patience, () => end.#giveUp(), true);
    }
  }

  #giveUp(): void {
    if (this.closed || this.phase !== CONNECTED || (this.outbound as Link).outstanding === 0) return;
    this.phase = BROKEN;
    this.pending = socketError('ETIMEDOUT', 'recv', this.remote);
    this.refresh();
  }

  takeError(): SocketError | null {
    this.enter('getsockopt');
    if (this.pending === null) return null;
    const error = this.takePending();
    if (this.phase === BROKEN) this.remembered = error;
    return error;
  }

  /** The states are those that Linux reports: ../../../../test/support/socket-states.ts. */
  protected evaluate(): number {
    const error = this.pending === null ? 0 : ERROR;
    const hints = HANGUP | READ_CLOSED;
    switch (this.phase) {
      case FRESH:
      case BROKEN:
        return READABLE | WRITABLE | hints | error;
      case CONNECTING:
        return 0;
      default:
        return this.#evaluateConnected();
    }
  }

  #evaluateConnected(): number {
    const link = this.inbound as Link;
    const out = this.outbound as Link;
    const urgent = link.urgent !== null && !link.urgentTaken ? ERROR : 0;
    const atEnd = link.ended || this.readShut;
    const isGone = this.family === 'unix' && (this.peer as StreamTransfer).closed;
    // A unix socket is writable when it has room, whatever was shut: unix_poll of Linux.
    const isOver = this.family === 'unix' ? isGone : this.writeShut;
    const free = this.options.sendBuffer - out.outstanding;
    return (
      (atEnd || link.available(this.#inline) > 0 ? READABLE : 0) |
      (isOver || free * WRITABLE_SHARE >= this.options.sendBuffer ? WRITABLE : 0) |
      (atEnd ? READ_CLOSED : 0) |
      (isGone || (atEnd && this.writeShut) ? HANGUP : 0) |
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
