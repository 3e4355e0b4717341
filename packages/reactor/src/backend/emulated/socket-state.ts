/** What happens to a socket: the events of its stream or its listener, and the readiness that follows from them. */
import type { Socket as NetSocket } from 'node:net';
import type { Address, Family } from '../../address.js';
import { type SocketError, socketError } from '../../errors.js';
import { ERROR, HANGUP, READ_CLOSED, READABLE, WRITABLE } from '../../readiness.js';
import type { BackendHost } from '../backend.js';
import type { AcceptOwner, AcceptQueue } from './accept-queue.js';
import { fromEndpoint } from './addresses.js';
import { BaseSocket, type ReadinessSink } from './base-socket.js';
import { toSocketError } from './failures.js';
import { Inbox } from './inbox.js';
import { OptionStore } from './options.js';
import {
  adoptStream,
  failStream,
  pauseStream,
  resumeStream,
  type Stream,
  type StreamOwner,
  wasReset,
} from './stream.js';

/** Beyond this many unread bytes the stream is paused. It flows again when half of them are gone. */
const RECEIVE_LIMIT = 64 * 1024;

/*
 *  FRESH ──listen──▶ STARTING ──────▶ LISTENING
 *    │  ◀──bind or listen failed──┘
 *    └──connect──▶ CONNECTING ──────▶ CONNECTED        accepted sockets begin here
 *                      │ ▲                │
 *               failed │ │ connect        │ the stream is lost
 *                      ▼ │ (never         ▼
 *                     BROKEN connected) BROKEN
 *  each ──close, reset──▶ CLOSED
 */
export const FRESH = 0;
export const STARTING = 1;
export const LISTENING = 2;
export const CONNECTING = 3;
export const CONNECTED = 4;
export const BROKEN = 5;
export const CLOSED = 6;

export abstract class SocketState extends BaseSocket implements StreamOwner, AcceptOwner<SocketState> {
  protected readonly options = new OptionStore();
  protected readonly inbox = new Inbox();
  protected state = FRESH;
  protected stream: Stream | null = null;
  protected queue: AcceptQueue<SocketState> | null = null;
  protected bound: Address | null = null;
  protected target: Address | undefined = undefined;
  protected remote: Address | undefined = undefined;
  protected everConnected = false;

  /** SO_ERROR: an error that nobody was told of yet. */
  protected pending: SocketError | null = null;
  /** An error that was told while input was unread: `recv` throws it where it would return 0. */
  protected remembered: SocketError | null = null;
  /** The peer's FIN was seen. */
  protected ended = false;
  protected readShut = false;
  protected writeShut = false;
  protected paused = false;
  /** The queue of what was sent has reached its limit, and is not empty again yet. */
  protected full = false;

  constructor(family: Family, host: BackendHost, sink: ReadinessSink) {
    // Like Linux, a socket that was never connected is told as hung up.
    super(family, host, sink, READABLE | WRITABLE | HANGUP);
  }

  get closed(): boolean {
    return this.state === CLOSED;
  }

  abstract onConnection(stream: NetSocket): SocketState;

  /** Makes this the socket of a connection that a listener has got. */
  protected become(socket: NetSocket, listener: OptionStore): void {
    this.stream = adoptStream(socket, this);
    this.options.inherit(listener, this.stream);
    // Now: once the peer has gone, the system knows its address no longer.
    this.remote = fromEndpoint(socket.remoteAddress, socket.remotePort);
    this.state = CONNECTED;
    this.everConnected = true;
    this.readiness = WRITABLE;
  }

  onConnect(): void {
    const stream = this.stream!;
    this.state = CONNECTED;
    this.everConnected = true;
    this.remote = fromEndpoint(stream.remoteAddress, stream.remotePort) ?? this.target;
    this.options.apply(stream);
    this.refresh();
  }

  onData(chunk: Buffer): void {
    if (this.readShut) return;
    this.inbox.push(chunk);
    if (!this.paused && this.inbox.isFull(RECEIVE_LIMIT)) {
      this.paused = true;
      pauseStream(this.stream);
    }
    if ((this.readiness & READABLE) !== 0) return;
    this.readiness |= READABLE;
    this.sink.changed(this);
  }

  /** Input was taken out of the inbox. */
  protected afterRead(): void {
    if (this.paused && this.inbox.bytes <= RECEIVE_LIMIT / 2) {
      this.paused = false;
      resumeStream(this.stream);
    }
    if (this.inbox.bytes === 0) this.refresh();
  }

  onEnd(): void {
    if (this.family !== 'unix' && wasReset(this.stream!)) {
      failStream(this.stream!);
      return;
    }
    this.ended = true;
    this.refresh();
  }

  onDrain(): void {
    this.full = false;
    this.refresh();
  }

  onFailure(error: NodeJS.ErrnoException): void {
    this.pending =
      this.state === CONNECTING
        ? toSocketError(error, 'connect', this.target)
        : toSocketError(error, 'recv', this.remote);
    this.stream = null;
    this.full = this.paused = false;
    this.state = BROKEN;
    this.refresh();
  }

  onQueue(): void {
    this.state = LISTENING;
    this.refresh();
    this.tellWaiters(null);
  }

  onListenFailure(error: NodeJS.ErrnoException): void {
    if (this.state === LISTENING) this.pending = toSocketError(error, 'accept');
    else {
      const failure = toSocketError(error, 'listen', this.bound ?? undefined);
      this.state = FRESH;
      this.queue = this.bound = null;
      if (!this.tellWaiters(failure)) this.pending = failure;
    }
    this.refresh();
  }

  /** See `BackendSocket.settled`. */
  settled(): Promise<void> {
    if (this.state === FRESH && this.pending !== null) return Promise.reject(this.takePending());
    return this.state === STARTING ? this.outcome() : Promise.resolve();
  }

  /** The pending error, which is thereby told. */
  protected takePending(): SocketError {
    const error = this.pending!;
    this.pending = null;
    this.refresh();
    return error;
  }

  /** Throws `EBADF`, or the failure of the bind or listen before. */
  protected enter(verb: string): void {
    if (this.state === CLOSED) throw socketError('EBADF', verb);
    if (this.state === FRESH && this.pending !== null) throw this.takePending();
  }

  /** Works the readiness out anew, and tells the demultiplexer where it has changed. */
  protected refresh(): void {
    const readiness = this.#evaluate();
    if (readiness === this.readiness) return;
    this.readiness = readiness;
    this.sink.changed(this);
  }

  #evaluate(): number {
    const error = this.pending === null ? 0 : ERROR;
    switch (this.state) {
      case FRESH:
        return error === 0 ? READABLE | WRITABLE | HANGUP : READABLE | ERROR;
      case LISTENING:
        return (error !== 0 || this.queue!.size > 0 ? READABLE : 0) | error;
      case CONNECTED: {
        const atEnd = this.ended || this.readShut;
        return (
          (atEnd || this.inbox.bytes > 0 ? READABLE : 0) |
          (this.full && !this.writeShut ? 0 : WRITABLE) |
          (atEnd ? READ_CLOSED : 0) |
          (atEnd && this.writeShut ? HANGUP : 0)
        );
      }
      case BROKEN:
        return READABLE | WRITABLE | HANGUP | READ_CLOSED | error;
      default:
        return 0;
    }
  }
}
