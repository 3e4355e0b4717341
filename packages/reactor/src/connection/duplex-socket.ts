/**
 * A socket over a Node stream, for {@link Connection.over}: select's sets, computed of the stream's state. Its events say
 * when to look again; nothing is read from the stream beyond what it buffers by itself.
 */
import type { Duplex } from 'node:stream';
import type { Address, Family } from '../address.js';
import { checkFlags, checkRange } from '../arguments.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import { describe, misuse, notSupported, outOfRange, type SocketError, socketError } from '../errors.js';
import { ERROR, HANGUP, MSG_MORE, READ_CLOSED, READABLE, WOULD_BLOCK, WRITABLE } from '../readiness.js';
import type { SocketOptions } from '../socket.js';
import type { SoftwareReadiness, SoftwareSocket } from '../software-readiness.js';

/** The most that one receive gives. */
const MOST_BYTES = 64 * 1024;
/** What a stream without a high-water mark is given at a time. */
const SMALLEST_ROOM = 16 * 1024;
/** How long a closed stream may take to let go of what it still has to send. */
const LINGER_MS = 2000;

/** What a net.Socket or TLSSocket has beyond a Duplex. */
interface SocketLike extends Duplex {
  readonly remoteAddress?: string;
  readonly remotePort?: number;
  readonly localAddress?: string;
  readonly localPort?: number;
  setNoDelay?(noDelay: boolean): unknown;
  setKeepAlive?(keepAlive: boolean): unknown;
  resetAndDestroy?(): unknown;
}

export class DuplexSocket implements SoftwareSocket {
  readonly type = 'stream';
  readonly listening = false;
  readonly host: Dispatcher;
  readonly watcher: SoftwareReadiness;
  watch: object | null = null;
  #interest = 0;
  readonly #duplex: SocketLike;
  #closed = false;
  #reads = false;
  #ended: boolean;
  /** What the stream failed with. */
  #error: Error | null = null;

  constructor(host: Dispatcher, duplex: Duplex) {
    checkDuplex(duplex);
    this.host = host;
    this.watcher = host.software;
    this.#duplex = duplex;
    this.#ended = duplex.readableEnded;
    // When the peer's end is answered is the connection's to say: after all that it has still to send.
    duplex.allowHalfOpen = true;
    duplex.on('end', this.#onEnd);
    duplex.on('drain', this.#onChange);
    duplex.on('error', this.#onError);
    duplex.on('close', this.#onClose);
  }

  readonly #onChange = (): void => this.watcher.changed(this);

  readonly #onReadable = (): void => {
    // With nothing to read it is the end: the stream tells that only to a read that finds nothing.
    if (this.#duplex.readableLength === 0) this.#duplex.read(0);
    this.watcher.changed(this);
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.watcher.changed(this);
  };

  readonly #onError = (error: Error): void => {
    this.#error ??= error;
    this.watcher.changed(this);
  };

  /** Gone without a word: somebody else has destroyed it. */
  readonly #onClose = (): void => {
    if (!this.#ended) this.#error ??= socketError('ECONNRESET', 'recv', this.remoteAddress);
    this.watcher.changed(this);
  };

  get interest(): number {
    return this.#interest;
  }

  set interest(interest: number) {
    this.#interest = interest;
    if ((interest & READABLE) === 0 || this.#reads) return;
    this.#reads = true;
    // From here on the stream reads ahead, as much as its own buffer takes.
    this.#duplex.on('readable', this.#onReadable);
  }

  get readiness(): number {
    if (this.#closed) return 0;
    const unread = this.#duplex.readableLength > 0;
    if (this.#error !== null) return READABLE | WRITABLE | ERROR | READ_CLOSED | (unread ? 0 : HANGUP);
    const readable = unread ? READABLE : this.#ended ? READABLE | READ_CLOSED : 0;
    return readable | (this.#room > 0 ? WRITABLE : 0);
  }

  get family(): Family {
    const { remoteAddress } = this.#duplex;
    return remoteAddress === undefined ? 'pipe' : remoteAddress.includes(':') ? 'ipv6' : 'ipv4';
  }

  get closed(): boolean {
    return this.#closed;
  }

  get localAddress(): Address | undefined {
    return addressOf(this.#duplex.localAddress, this.#duplex.localPort);
  }

  get remoteAddress(): Address | undefined {
    return addressOf(this.#duplex.remoteAddress, this.#duplex.remotePort);
  }

  fileno(): number {
    return -1;
  }

  settled(): Promise<void> {
    return Promise.resolve();
  }

  receive(_borrow: boolean): Buffer | 0 | -1 {
    const bytes = this.#read(MOST_BYTES);
    if (bytes !== null) return bytes;
    if (this.#error !== null) throw this.#error;
    return this.#ended ? 0 : WOULD_BLOCK;
  }

  recv(into: Uint8Array, offset = 0, length?: number, flags = 0): number {
    this.#checkOpen('recv');
    checkRange(into, offset, length ?? into.byteLength - offset, 'recv');
    checkFlags(flags, 0, 'recv');
    const count = length ?? into.byteLength - offset;
    if (count === 0) throw outOfRange('ERR_REACTOR_BUFFER', 'recv needs room for at least 1 byte');
    const bytes = this.#read(count);
    if (bytes === null) return this.receive(false) as 0 | -1;
    into.set(bytes, offset);
    return bytes.length;
  }

  #read(most: number): Buffer | null {
    const { readableLength } = this.#duplex;
    if (readableLength === 0) return null;
    const chunk = this.#duplex.read(Math.min(readableLength, most)) as Buffer | string | null;
    // As in #onReadable.
    if (this.#duplex.readableLength === 0) this.#duplex.read(0);
    return typeof chunk === 'string' ? Buffer.from(chunk, this.#duplex.readableEncoding ?? 'utf8') : chunk;
  }

  get #room(): number {
    const { writableLength, writableHighWaterMark, writableNeedDrain } = this.#duplex;
    if (writableNeedDrain) return 0;
    return Math.max(writableHighWaterMark, writableLength === 0 ? SMALLEST_ROOM : 0) - writableLength;
  }

  send(from: Uint8Array, offset = 0, length?: number, flags = 0): number {
    this.#checkWritable();
    const asked = length ?? from.byteLength - offset;
    checkRange(from, offset, asked, 'send');
    checkFlags(flags, MSG_MORE, 'send');
    const count = Math.min(asked, Math.max(0, this.#room));
    if (count === 0) return asked === 0 ? 0 : WOULD_BLOCK;
    // Copied: the bytes are the caller's again when send returns, and the stream may hold them for longer.
    this.#duplex.write(Buffer.from(from.subarray(offset, offset + count)));
    return count;
  }

  sendv(chunks: readonly Uint8Array[]): number {
    this.#checkWritable();
    let total = 0;
    this.#duplex.cork();
    try {
      for (const chunk of chunks) {
        const count = this.send(chunk);
        if (count !== WOULD_BLOCK) total += count;
        if (count < chunk.length) break;
      }
    } finally {
      this.#duplex.uncork();
    }
    return total > 0 || chunks.every((chunk) => chunk.length === 0) ? total : WOULD_BLOCK;
  }

  #checkWritable(): void {
    this.#checkOpen('send');
    if (this.#error !== null) throw this.#error;
    if (this.#duplex.writableEnded || this.#duplex.destroyed) throw socketError('EPIPE', 'send', this.remoteAddress);
  }

  takeError(): SocketError | null {
    this.#checkOpen('getsockopt');
    return this.#error as SocketError | null;
  }

  shutdown(how: 'read' | 'write' | 'both'): void {
    this.#checkOpen('shutdown');
    if (how !== 'write') throw notSupported('shutdown', 'shutdownRead', 'Duplex');
    if (this.#error !== null) throw this.#error;
    this.#duplex.end();
  }

  /** What was sent goes out, as with close(2); then the stream is destroyed. */
  close(): void {
    if (!this.#end()) return;
    const duplex = this.#duplex;
    if (duplex.destroyed || duplex.writableFinished) {
      duplex.destroy();
      return;
    }
    const overdue = setTimeout(() => duplex.destroy(), LINGER_MS).unref();
    duplex.once('close', () => clearTimeout(overdue));
    duplex.once('finish', () => duplex.destroy());
    // Unread input must not keep the stream from finishing.
    duplex.resume();
    duplex.end();
  }

  reset(): void {
    if (!this.#end()) return;
    if (this.#duplex.resetAndDestroy !== undefined) this.#duplex.resetAndDestroy();
    else this.#duplex.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Lets go of the stream; whether that was still to be done. */
  #end(): boolean {
    if (this.#closed) return false;
    this.host.closing(this);
    this.#closed = true;
    const duplex = this.#duplex;
    duplex.off('readable', this.#onReadable);
    duplex.off('end', this.#onEnd);
    duplex.off('drain', this.#onChange);
    duplex.off('close', this.#onClose);
    // Errors are heard to the end: nobody else listens.
    return true;
  }

  #checkOpen(verb: string): void {
    if (this.#closed) throw socketError('EBADF', verb);
  }

  setOption<K extends keyof SocketOptions>(name: K, value: SocketOptions[K]): void {
    this.#checkOpen('setsockopt');
    const duplex = this.#duplex;
    if (name === 'noDelay' && duplex.setNoDelay !== undefined) duplex.setNoDelay(value as boolean);
    else if (name === 'keepAlive' && duplex.setKeepAlive !== undefined) duplex.setKeepAlive(value as boolean);
    else throw notSupported('setsockopt', 'rawOptions', 'Duplex');
  }

  getOption(): never {
    return this.#refuse('getsockopt', 'rawOptions');
  }

  bind(): never {
    return this.#refuse('bind', 'syncBind');
  }

  listen(): never {
    return this.#refuse('listen', 'syncBind');
  }

  accept(): never {
    return this.#refuse('accept', 'syncBind');
  }

  connect(): never {
    return this.#refuse('connect', 'syncBind');
  }

  finishConnect(): never {
    return this.#refuse('connect', 'syncBind');
  }

  atMark(): never {
    return this.#refuse('sockatmark', 'oob');
  }

  recvFrom(): never {
    return this.#refuse('recvfrom', 'datagramBatch');
  }

  sendTo(): never {
    return this.#refuse('sendto', 'datagramBatch');
  }

  recvBatch(): never {
    return this.#refuse('recvmmsg', 'datagramBatch');
  }

  sendBatch(): never {
    return this.#refuse('sendmmsg', 'datagramBatch');
  }

  sendDescriptors(): never {
    return this.#refuse('sendmsg', 'descriptorPassing');
  }

  recvDescriptors(): never {
    return this.#refuse('recvmsg', 'descriptorPassing');
  }

  joinGroup(): never {
    return this.#refuse('setsockopt', 'datagramBatch');
  }

  leaveGroup(): never {
    return this.#refuse('setsockopt', 'datagramBatch');
  }

  getRawOption(): never {
    return this.#refuse('getsockopt', 'rawOptions');
  }

  setRawOption(): never {
    return this.#refuse('setsockopt', 'rawOptions');
  }

  detach(): never {
    return this.#refuse('detach', 'rawDescriptors');
  }

  async transfer(): Promise<never> {
    return this.#refuse('transfer', 'rawDescriptors');
  }

  recvSync(): never {
    return this.#refuse('recvSync', 'blocking');
  }

  sendAllSync(): never {
    return this.#refuse('sendAllSync', 'blocking');
  }

  acceptSync(): never {
    return this.#refuse('acceptSync', 'blocking');
  }

  connectSync(): never {
    return this.#refuse('connectSync', 'blocking');
  }

  #refuse(verb: string, capability: string): never {
    this.#checkOpen(verb);
    throw notSupported(verb, capability, 'Duplex');
  }
}

function addressOf(host: string | undefined, port: number | undefined): Address | undefined {
  return host === undefined || port === undefined ? undefined : { host, port };
}

function checkDuplex(duplex: unknown): asserts duplex is Duplex {
  const stream = duplex as Partial<Duplex> | null;
  if (
    typeof stream !== 'object' ||
    stream === null ||
    typeof stream.read !== 'function' ||
    typeof stream.write !== 'function'
  )
    throw misuse('ERR_REACTOR_ARGUMENT', `over takes a Duplex stream, got ${describe(duplex)}`);
  if (stream.readableObjectMode || stream.writableObjectMode)
    throw misuse('ERR_REACTOR_ARGUMENT', 'over takes a Duplex of bytes, got one in object mode');
  if (stream.destroyed) throw misuse('ERR_REACTOR_CLOSED', 'over: the Duplex is destroyed');
}
