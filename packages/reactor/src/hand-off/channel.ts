/**
 * Hand-offs between processes, over a unix stream socket. A descriptor that is sent is a duplicate, so the giver keeps its
 * own until the other side has answered:
 *
 *   giver   lent ──▶ waiting ──sent──▶ offered ──'taken'──▶ its own is closed
 *                                         └──'refused', or the end of the channel──▶ restored
 *   taker   received ──▶ adopted ──callback──▶ 'taken' is in the socket ──▶ its own
 *                            └─it throws, or 'taken' cannot be sent──▶ closed (the giver has another)
 *
 * An answer counts once it is in the socket: the giver reads the channel to its end before it takes anything back. To take
 * back what nobody answers for, it first shuts the channel down: from then on the taker's answer fails (unix(7), EPIPE).
 */
import { closeSync } from 'node:fs';
import type { BackendSocket, DescriptorTable, MovableSocket } from '../backend/backend.js';
import { misuse, outOfRange, SocketError, socketError } from '../errors.js';
import { READABLE, WOULD_BLOCK, WRITABLE } from '../readiness.js';
import { type AnyHandler, GONE, type SocketRegistration } from '../registration.js';
import type { SocketReceiver } from '../socket.js';
import { encodeFrame, type Frame, FrameReader, MOST_FRAME_BYTES, OFFER, REFUSED, TAKEN } from './frames.js';
import { type HandOffHost, type Refusal, refusalOf, refusedBy, TransferError } from './host.js';

/** Offers that may be unanswered at a time: as many answers fit into any socket, so that none of them has to wait. */
const WINDOW = 64;
const BLOCK_BYTES = 64 * 1024;
/** Receives in one call of the handler. */
const MOST_RECEIVES = 16;

interface Offer {
  readonly id: number;
  readonly socket: MovableSocket;
  readonly fd: number;
  readonly unread: Uint8Array;
  readonly frame: Buffer;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  timer: NodeJS.Timeout | undefined;
}

/** Bytes on their way out; `fd` goes with the first of them. */
interface Outgoing {
  readonly bytes: Buffer;
  readonly fd: number;
  sent: number;
}

const channels = new WeakMap<BackendSocket, DescriptorChannel>();

/** The channel over a unix stream socket, which it registers, and which is the channel's from then on. */
export function channelOver(socket: BackendSocket): DescriptorChannel {
  const there = channels.get(socket);
  if (there !== undefined) return there;
  if (socket.closed) throw socketError('EBADF', 'transfer');
  const channel = new DescriptorChannel(socket.host as BackendSocket['host'] & HandOffHost, socket);
  channels.set(socket, channel);
  return channel;
}

export class DescriptorChannel {
  readonly #host: HandOffHost;
  readonly #socket: BackendSocket;
  readonly #registration: SocketRegistration;
  readonly #reader = new FrameReader();
  /** Received, and their frames are not whole yet: -1 for one that was lost, because this process may open no more. */
  readonly #descriptors: number[] = [];
  readonly #outgoing: Outgoing[] = [];
  readonly #waiting: Offer[] = [];
  readonly #offered = new Map<number, Offer>();
  /** Offers of the other side that are not taken yet: none is while our answer to the one before has not left. */
  readonly #inbox: { frame: Frame; fd: number }[] = [];
  #callback: SocketReceiver | null = null;
  /** Whether the wish to receive keeps the process alive. */
  #holds = false;
  #taking = false;
  #nextId = 1;
  /** Sending has failed: what the other side has answered before is still read. */
  #deaf = false;
  #ending = false;
  #closed = false;
  /** Called once, when it has ended. */
  onClose: (() => void) | null = null;

  constructor(host: HandOffHost, socket: BackendSocket) {
    this.#host = host;
    this.#socket = socket;
    this.#registration = host.register(socket, READABLE, DescriptorChannel.#readiness, this, false);
    host.attached.add(this);
  }

  static readonly #readiness: AnyHandler = {
    readable: (_socket, registration) => (registration.data as DescriptorChannel).#onReadable(),
    writable: (_socket, registration) => (registration.data as DescriptorChannel).#flush(),
    [GONE]: (registration) => (registration.data as DescriptorChannel).#end(new Error('its socket was closed'), false),
  };

  get closed(): boolean {
    return this.#closed;
  }

  // --- giving ------------------------------------------------------------------------------------------------------

  /** `spentMs`: how much of the time has passed already. */
  give(
    socket: MovableSocket,
    table: DescriptorTable,
    data: unknown,
    unread: Uint8Array,
    timeoutMs: number,
    spentMs = 0,
  ): Promise<void> {
    if (this.#closed) return Promise.reject(socketError('EBADF', 'transfer'));
    // Throws for what is no JSON; a function or a symbol gives undefined.
    const json = JSON.stringify(data) as string | undefined;
    if (data !== undefined && json === undefined)
      throw misuse('ERR_REACTOR_ARGUMENT', 'data goes to another process as JSON, and this is none');
    const id = this.#nextId;
    this.#nextId = (id + 1) >>> 0;
    const frame = encodeFrame(OFFER, id, json, unread);
    if (frame.length > MOST_FRAME_BYTES)
      throw outOfRange(
        'ERR_REACTOR_ARGUMENT',
        `data and unread may have ${MOST_FRAME_BYTES} bytes, got ${frame.length}`,
      );
    const fd = socket.lend();
    return new Promise<void>((resolve, reject) => {
      const taken = (): void => {
        table.close(fd);
        resolve();
      };
      const offer: Offer = { id, socket, fd, unread, frame, resolve: taken, reject, timer: undefined };
      if (timeoutMs > 0) offer.timer = setTimeout(() => this.#overdue(offer, timeoutMs), timeoutMs - spentMs);
      this.#waiting.push(offer);
      this.#settleHold();
      this.#sendOffers();
    });
  }

  #sendOffers(): void {
    while (this.#offered.size < WINDOW && !this.#deaf && !this.#closed) {
      const offer = this.#waiting.shift();
      if (offer === undefined) return;
      this.#offered.set(offer.id, offer);
      this.#send({ bytes: offer.frame, fd: offer.fd, sent: 0 });
    }
  }

  #overdue(offer: Offer, timeoutMs: number): void {
    const error = new Error(`no receiver has answered within ${timeoutMs} ms`);
    const at = this.#waiting.indexOf(offer);
    if (at >= 0) {
      this.#waiting.splice(at, 1);
      this.#takeBack(offer, error);
      this.#settleHold();
    } else this.#end(error);
  }

  #takeBack(offer: Offer, cause: Error): void {
    clearTimeout(offer.timer);
    offer.socket.restore(offer.fd);
    offer.reject(new TransferError(offer.socket, offer.unread, cause));
  }

  #answered({ what, id, json }: Frame): void {
    const offer = this.#offered.get(id);
    if (offer === undefined) throw new Error(`an answer to an offer that was not made: ${id}`);
    const refusal = what === REFUSED ? (JSON.parse(json.toString()) as Refusal) : null;
    this.#offered.delete(id);
    if (refusal !== null) this.#takeBack(offer, refusedBy(refusal));
    else {
      clearTimeout(offer.timer);
      offer.resolve();
    }
    this.#settleHold();
  }

  // --- taking ------------------------------------------------------------------------------------------------------

  /** `holds`: whether it keeps the process alive. */
  receive(callback: SocketReceiver, holds = true): Disposable {
    if (this.#closed) throw socketError('EBADF', 'receiveSockets');
    if (this.#callback !== null)
      throw misuse('ERR_REACTOR_REGISTERED', 'receiveSockets: this socket has a receiver already');
    this.#callback = callback;
    this.#holds = holds;
    this.#settleHold();
    // What has come before there was a receiver; not within this call.
    if (this.#inbox.length > 0) queueMicrotask(() => this.#takeOffers());
    return { [Symbol.dispose]: () => this.close() };
  }

  /** What has come waits until there is a receiver, and until all that we had to say has left. */
  #takeOffers(): void {
    // An answer that leaves at once comes back here.
    if (this.#taking) return;
    this.#taking = true;
    while (this.#callback !== null && this.#outgoing.length === 0 && !this.#closed) {
      const offer = this.#inbox.shift();
      if (offer === undefined) break;
      this.#take(offer.frame, offer.fd, this.#callback);
    }
    this.#taking = false;
  }

  #take({ id, json, unread }: Frame, fd: number, callback: SocketReceiver): void {
    let socket: BackendSocket | undefined;
    let refusal: Refusal | null = null;
    let given = fd;
    try {
      if (fd < 0) throw socketError('EMFILE', 'recvmsg');
      const data: unknown = json.length === 0 ? undefined : JSON.parse(json.toString());
      socket = this.#host.backend.adopt(fd);
      given = -1;
      callback(socket, data, unread);
    } catch (error) {
      refusal = refusalOf(error);
    }
    // One that cannot be adopted: it is no socket, or no pipe.
    if (given >= 0) closeSync(given);
    // Once it is closed here, the giver's is the only one.
    if (refusal !== null) socket?.close();
    this.#send({
      bytes: refusal === null ? encodeFrame(TAKEN, id) : encodeFrame(REFUSED, id, JSON.stringify(refusal)),
      fd: -1,
      sent: 0,
    });
    // The giver has gone, or has taken it back: either way this one was never ours.
    if (this.#deaf) socket?.close();
  }

  // --- the socket --------------------------------------------------------------------------------------------------

  #send(outgoing: Outgoing): void {
    if (this.#deaf || this.#closed) return;
    this.#outgoing.push(outgoing);
    if (this.#outgoing.length === 1) this.#flush();
  }

  #flush(): void {
    try {
      for (let next = this.#outgoing[0]; next !== undefined; next = this.#outgoing[0]) {
        const { bytes, fd, sent } = next;
        const count =
          fd >= 0 && sent === 0 ? this.#socket.sendDescriptors([fd], bytes) : this.#socket.send(bytes, sent);
        if (count === WOULD_BLOCK) break;
        next.sent += count;
        if (next.sent === bytes.length) this.#outgoing.shift();
      }
    } catch (error) {
      this.#deaf = true;
      this.#outgoing.length = 0;
      // The other side has gone. What it has answered before that is read first: its end follows.
      if (!['EPIPE', 'ECONNRESET'].includes((error as SocketError).code)) this.#end(error as SocketError);
    }
    this.#rearm();
    this.#takeOffers();
  }

  #rearm(): void {
    const { active } = this.#registration;
    if (active) this.#registration.modify(READABLE | (this.#outgoing.length > 0 ? WRITABLE : 0));
  }

  #onReadable(): void {
    for (let i = 0; i < MOST_RECEIVES && !this.#closed; i += 1) {
      const end = this.#receive();
      if (end === null) return;
      if (end !== undefined) {
        this.#end(end);
        return;
      }
    }
  }

  /** Receives once, and does what there is to be done: `undefined`; `null` = nothing was there; an Error = the end. */
  #receive(): Error | null | undefined {
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    try {
      const got = this.#socket.recvDescriptors(block);
      if (got === null) return null;
      if (got.truncated && got.descriptors.length === 0) this.#descriptors.push(-1);
      this.#descriptors.push(...got.descriptors);
      if (got.bytes === 0) return new Error('its receiver has ended');
      this.#reader.push(
        got.bytes < BLOCK_BYTES / 2 ? Buffer.from(block.subarray(0, got.bytes)) : block.subarray(0, got.bytes),
      );
      for (let frame = this.#reader.next(); frame !== null; frame = this.#reader.next()) this.#heard(frame);
    } catch (error) {
      return error instanceof SocketError ? new Error('its receiver has ended', { cause: error }) : (error as Error);
    }
    this.#sendOffers();
    this.#takeOffers();
    return undefined;
  }

  #heard(frame: Frame): void {
    if (frame.what !== OFFER) {
      this.#answered(frame);
      return;
    }
    const fd = this.#descriptors.shift();
    if (fd === undefined) throw new Error('an offer without a descriptor');
    if (this.#inbox.length === WINDOW) throw new Error(`more than ${WINDOW} offers at a time`);
    this.#inbox.push({ frame, fd });
  }

  /** While something is offered or wanted, the process lives. */
  #settleHold(): void {
    const held = (this.#callback !== null && this.#holds) || this.#offered.size > 0 || this.#waiting.length > 0;
    this.#host.setHeld(this.#registration, held);
  }

  /** Ends the channel, and takes back what was not answered. Idempotent. */
  close(): void {
    this.#end(new Error('the channel was closed'));
  }

  /** `closing`: whether the socket is still to be closed. */
  #end(cause: Error, closing = true): void {
    if (this.#closed || this.#ending) return;
    this.#ending = true;
    this.#hearOut();
    this.#closed = true;
    this.#host.attached.delete(this);
    if (closing) this.#socket.close();
    for (const { fd } of this.#inbox.splice(0)) if (fd >= 0) closeSync(fd);
    for (const fd of this.#descriptors.splice(0)) if (fd >= 0) closeSync(fd);
    this.#outgoing.length = 0;
    for (const offer of [...this.#offered.values(), ...this.#waiting.splice(0)]) this.#takeBack(offer, cause);
    this.#offered.clear();
    this.onClose?.();
  }

  /** From here on no answer can come; those that came before are read. */
  #hearOut(): void {
    this.#deaf = true;
    this.#callback = null;
    this.#outgoing.length = 0;
    try {
      this.#socket.shutdown('both');
    } catch {
      // ENOTCONN: the other side has gone.
    }
    while (this.#receive() === undefined);
  }
}
