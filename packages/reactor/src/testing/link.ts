/** One direction of a connection: what was sent, what is on its way, and what waits to be received. */
import { copyBytes } from '../backend/emulated/copy.js';
import { Inbox } from '../backend/emulated/inbox.js';
import { isKeepable } from './chunk-pool.js';
import type { NetworkCore } from './socket.js';

/** An end of a connection, as its two links see it. */
export interface LinkEnd {
  readonly closed: boolean;
  readonly receiveBuffer: number;
  /** Its links' state may have changed its readiness. */
  refresh(): void;
  /** Bytes have come for it although it is closed. */
  onStray(): void;
  /** The other end has reset the connection, or the network has. */
  onReset(): void;
  /** The network loses everything from here on. */
  onMute(): void;
}

/** What a recording says of one direction, by places in its bytes, ascending. */
export interface LinkScript {
  /** No receive goes beyond one of these. */
  readonly cuts: readonly number[];
  /** No send goes beyond one of these. */
  readonly parts: readonly number[];
  /** A send from here would-blocks once. */
  readonly stalls: readonly number[];
}

const NO_SCRIPT: LinkScript = { cuts: [], parts: [], stalls: [] };

/** What is under way: bytes and the place of the first of them, or what happens behind the last ones. */
type Coming = { readonly bytes: Buffer; readonly at: number } | (() => void);

/** Of a window that is nearly shut, nothing is sent: the silly window syndrome of RFC 1122, 4.2.3.4. */
const WINDOW_SHARE = 8;

/**
 * The bytes of a direction are numbered from 0, as TCP numbers them:
 *
 *   0 ··received·· read ··inbox·· arrived ··under way·· carried ··unsent·· sent
 *
 * `send` may run ahead of `read` by the sender's buffer and the receiver's together.
 */
export class Link {
  readonly id: number;
  /** Where its receives and sends end whatever chance says: of a replayed recording. */
  script: LinkScript = NO_SCRIPT;
  /** The byte that is received next. */
  read = 0;
  /** The byte that `send` takes next. */
  sent = 0;
  readonly inbox = new Inbox();
  /** The peer's FIN has come. */
  ended = false;
  /** The place of the latest urgent byte that has come, until it was passed. */
  urgent: number | null = null;
  /** Whether the urgent byte was received by MSG_OOB. */
  urgentTaken = false;
  readonly #network: NetworkCore;
  /** Between two sockets of one machine, without a network: what is sent is there. */
  readonly #local: boolean;
  readonly #from: LinkEnd;
  readonly #to: LinkEnd;
  readonly #unsent = new Inbox();
  #carried = 0;
  #underWay = 0;
  #ending = false;
  #finished = false;
  /** Bytes that the network has lost: they stay unacknowledged. */
  #muted = false;
  /** Where the urgent byte of the sender stands. */
  #marked: number | null = null;
  /** How many of the script's stalls were met. */
  #stalled = 0;
  /** In the order in which it arrives. */
  readonly #coming: Coming[] = [];
  /** When the wire is free for the next segment, and when the latest one arrives. */
  #free = 0;
  #arrives = 0;

  constructor(network: NetworkCore, from: LinkEnd, to: LinkEnd, local: boolean) {
    this.#network = network;
    this.#from = from;
    this.#to = to;
    this.#local = local;
    this.id = network.number('link');
  }

  /** Bytes that were taken from the sender, and that the receiver does not have. */
  get outstanding(): number {
    return this.#unsent.bytes + this.#underWay;
  }

  // --- the sender ----------------------------------------------------------------------------------------------------

  /** Takes a copy of bytes over. `urgent`: the last of them is. */
  take(bytes: Buffer, urgent: boolean): void {
    this.sent += bytes.length;
    if (urgent) this.#marked = this.sent - 1;
    this.#unsent.push(bytes);
    this.transmit();
  }

  /** How many of `most` bytes one `send` takes; 0 where it would-blocks. The parts are chance's. */
  grant(most: number): number {
    const { decisions, chances } = this.#network;
    if (this.script.stalls[this.#stalled] === this.sent) {
      this.#stalled += 1;
      return 0;
    }
    const end = firstBetween(this.script.parts, this.sent, this.sent + most);
    return decisions.end('part', this.id, this.sent, end, chances.partialSends) - this.sent;
  }

  /** FIN, after all that was sent. */
  end(): void {
    this.#ending = true;
    this.transmit();
  }

  /** RST: drops what has not left, and overtakes nothing that has. */
  reset(): void {
    this.#unsent.clear();
    this.#finished = true;
    if (!this.#muted) this.#deliver(() => this.#to.onReset());
  }

  /** Nothing more arrives, and nobody hears of it. */
  mute(): void {
    this.#muted = true;
  }

  /** Drops what has not left: the sender is gone. */
  drop(): void {
    this.#unsent.clear();
    this.#finished = true;
  }

  /** Sends as much as the receiver has room for. */
  transmit(): void {
    while (this.#unsent.bytes > 0) {
      const { receiveBuffer, closed } = this.#to;
      const window = closed ? this.#unsent.bytes : receiveBuffer - this.inbox.bytes - this.#underWay;
      if (window < Math.min(this.#unsent.bytes, receiveBuffer / WINDOW_SHARE)) return;
      this.#carry(this.#unsent.take(Math.ceil(window)));
    }
    if (!this.#ending || this.#finished) return;
    this.#finished = true;
    if (!this.#muted) this.#deliver(() => this.#finish());
  }

  #carry(segment: Buffer): void {
    const at = this.#carried;
    this.#carried += segment.length;
    this.#underWay += segment.length;
    const { decisions, chances } = this.#network;
    if (!this.#local && !this.#muted) {
      if (decisions.happens('mute', this.id, at, chances.halfOpen)) this.#from.onMute();
      else if (decisions.happens('reset', this.id, at, chances.reset)) {
        // Told to both ends, to ours when the other would have answered.
        this.#deliver(() => {
          this.#to.onReset();
          this.#from.onReset();
        });
        return;
      }
    }
    if (this.#muted) return;
    this.#free = Math.max(this.#free, this.#network.now()) + (1000 * segment.length) / this.#rate;
    this.#deliver({ bytes: segment, at }, at);
  }

  get #rate(): number {
    return this.#local ? Number.POSITIVE_INFINITY : this.#network.bytesPerSecond;
  }

  /** What leaves now arrives behind all that has left before. */
  #deliver(coming: Coming, at = this.#carried): void {
    const now = this.#network.now();
    const latency = this.#local ? 0 : this.#network.latency(this.id, at);
    this.#arrives = Math.max(this.#arrives, Math.max(this.#free, now) + latency);
    if (this.#arrives <= now && this.#coming.length === 0) this.#happen(coming);
    else {
      this.#coming.push(coming);
      this.#network.timeline.at(this.#arrives, this.#onArrival);
    }
  }

  readonly #onArrival = (): void => this.#happen(this.#coming.shift() as Coming);

  #happen(coming: Coming): void {
    if (typeof coming === 'function') coming();
    else this.#arrive(coming.bytes, coming.at);
  }

  /** Nothing that is sent arrives before `time`: behind the handshake. */
  notBefore(time: number): void {
    this.#arrives = Math.max(this.#arrives, time);
  }

  // --- the receiver --------------------------------------------------------------------------------------------------

  #arrive(segment: Buffer, at: number): void {
    this.#underWay -= segment.length;
    this.#network.note('arrive', this.id, segment.length);
    if (this.#to.closed) {
      this.#to.onStray();
      return;
    }
    this.inbox.push(segment);
    const marked = this.#marked;
    if (marked !== null && marked >= at && marked < at + segment.length) {
      this.urgent = marked;
      this.urgentTaken = false;
    }
    this.#to.refresh();
    this.#from.refresh();
  }

  #finish(): void {
    this.ended = true;
    this.#network.note('end', this.id, 0);
    this.#to.refresh();
  }

  /** Bytes that `recv` may give: not the urgent one, unless it is `inline`. */
  available(inline: boolean): number {
    const { urgent } = this;
    if (urgent === null || inline) return this.inbox.bytes;
    // Up to the mark; at the mark, what stands behind it.
    return urgent > this.read ? urgent - this.read : this.inbox.bytes - 1;
  }

  /** How many of `most` bytes one `recv` gives; the cuts are chance's. */
  portion(most: number, inline: boolean): number {
    this.#passMark(inline);
    const { decisions, chances } = this.#network;
    const count = Math.min(most, this.#untilMark(inline));
    const end = firstBetween(this.script.cuts, this.read, this.read + count);
    return decisions.end('cut', this.id, this.read, end, chances.splits) - this.read;
  }

  /** Moves `count` bytes, of what {@link portion} has allowed. */
  receive(into: Uint8Array, offset: number, count: number): void {
    this.inbox.read(into, offset, count);
    this.#received(count);
  }

  /** The same, as a chunk that is the receiver's. */
  receiveChunk(count: number): Buffer {
    let chunk = this.inbox.take(count);
    if (chunk.length < count || !isKeepable(chunk)) {
      const first = chunk;
      chunk = this.#network.pool.take(count);
      copyBytes(first, 0, chunk, 0, first.length);
      this.inbox.read(chunk, first.length, count - first.length);
    }
    this.#received(count);
    return chunk;
  }

  #received(count: number): void {
    this.read += count;
    if (this.urgent !== null && this.read > this.urgent) this.urgent = null;
    this.transmit();
    this.#from.refresh();
  }

  /** Looks at bytes and leaves them. */
  peek(into: Uint8Array, offset: number, count: number, inline: boolean): number {
    this.#passMark(inline);
    return this.inbox.peek(into, offset, Math.min(count, this.#untilMark(inline)));
  }

  /** The urgent byte; -1 where there is none, or it was taken already. */
  takeUrgent(isPeek: boolean): number {
    if (this.urgent === null || this.urgentTaken) return -1;
    const bytes = Buffer.alloc(this.urgent - this.read + 1);
    this.inbox.peek(bytes, 0, bytes.length);
    if (!isPeek) this.urgentTaken = true;
    return bytes.at(-1) as number;
  }

  #untilMark(inline: boolean): number {
    const { urgent } = this;
    // Inline, too, a receive ends before the mark, so that `atMark` can tell of it.
    if (urgent !== null && urgent > this.read) return Math.min(this.inbox.bytes, urgent - this.read);
    return urgent !== null && !inline ? this.inbox.bytes - 1 : this.inbox.bytes;
  }

  /** At the mark, the urgent byte is not in line: it is left out. */
  #passMark(inline: boolean): void {
    if (this.urgent === null || inline || this.urgent !== this.read || this.inbox.bytes < 2) return;
    this.inbox.read(Buffer.alloc(1), 0, 1);
    this.read += 1;
    this.urgent = null;
  }
}

/** The first place within a range, or its end. */
function firstBetween(places: readonly number[], from: number, to: number): number {
  let low = 0;
  let high = places.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((places[middle] as number) > from) high = middle;
    else low = middle + 1;
  }
  return Math.min(places[low] ?? to, to);
}
