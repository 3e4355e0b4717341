/**
 * A connection as a Node stream. The stream asks for what it reads, and has one write under way at a time, whose callback
 * comes when its bytes are in the kernel: back-pressure goes both ways.
 *
 *   'data' of the connection ──push──▶ readable ──full──▶ pause, `_read` ──▶ resume
 *   `_write` ──▶ sent at once; what did not leave is queued, and the callback waits for it
 *   'end' ──▶ push(null) ──▶ read to the end: our end, unless something that is piped into it gives that
 *   `_final` ──▶ FIN;  both ends ──▶ destroyed, without an error
 *   'error' ──▶ destroy(error);  destroy(error) ──▶ the connection is destroyed with it
 */
import { Duplex } from 'node:stream';
import { type Address, familyOf, isUnixAddress } from '../address.js';
import { SocketError } from '../errors.js';
import type { SocketOptions } from '../socket.js';
import type { Connection } from './connection.js';
import type { CloseInfo } from './handler.js';

/** What the stream asks of its connection beyond the public verbs. */
export interface DuplexPort {
  readonly allowHalfOpen: boolean;
  readonly highWaterMark: number;
  /** Chunks are borrowed: what the stream keeps is copied. */
  readonly copies: boolean;
  /** The peer has ended already, or our side has. */
  readonly ended: boolean;
  readonly finished: boolean;
  /** Sends at once, and calls back when all has left, or with the error. */
  send(chunks: readonly Uint8Array[], done: (error?: Error) => void): void;
  /** Ends our side, and calls back when the FIN is out. */
  finish(done: (error?: Error) => void): void;
  /** Whether the connection keeps the process alive. */
  setHeld(held: boolean): void;
}

/** A connection as a Duplex, with what node:tls and node:http use of a net.Socket. */
export class ConnectionDuplex extends Duplex {
  readonly #connection: Connection;
  readonly #port: DuplexPort;
  #ended = false;
  #timesOut = false;
  /** Streams that are piped into this one: our end is theirs to give. */
  #sources = 0;
  /** Bytes that were received, and bytes that were given to be sent. */
  bytesRead = 0;
  bytesWritten = 0;
  /** As of a net.Socket: in ms, 0 for none. */
  timeout = 0;
  readonly connecting = false;
  readonly pending = false;

  /** Made by {@link Connection.toDuplex}. */
  private constructor(connection: Connection, port: DuplexPort) {
    super({
      allowHalfOpen: port.allowHalfOpen,
      readableHighWaterMark: port.highWaterMark,
      writableHighWaterMark: port.highWaterMark,
      decodeStrings: true,
    });
    this.#connection = connection;
    this.#port = port;
    connection.on('data', (chunk) => this.#onData(chunk));
    connection.on('end', () => this.#onEnd());
    connection.on('error', (error) => this.destroy(error));
    connection.on('close', (info) => this.#onClose(info));
    if (!port.allowHalfOpen) this.#leaveEndToSources();
    if (port.ended) this.#onEnd();
    if (port.finished) this.end();
  }

  /** @internal */
  static make(connection: Connection, port: DuplexPort): ConnectionDuplex {
    return new ConnectionDuplex(connection, port);
  }

  /** A stream that ends by itself at the peer's end would lose what a transform of the pipeline still holds. */
  #leaveEndToSources(): void {
    this.on('pipe', () => {
      this.#sources += 1;
      this.allowHalfOpen = true;
    });
    this.on('unpipe', () => {
      this.#sources -= 1;
      if (this.#sources === 0) this.allowHalfOpen = false;
    });
  }

  // --- the stream ----------------------------------------------------------------------------------------------------

  override _read(): void {
    this.#connection.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.bytesWritten += chunk.length;
    this.#port.send([chunk], done);
  }

  /** What was corked, or written while a write was under way: one gathered send. */
  override _writev(writes: { chunk: Buffer; encoding: BufferEncoding }[], done: (error?: Error | null) => void): void {
    const chunks = writes.map(({ chunk }) => chunk);
    for (const chunk of chunks) this.bytesWritten += chunk.length;
    this.#port.send(chunks, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#port.finish(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const connection = this.#connection;
    // Ended in order: unread input must not turn the end into a reset that destroys the last bytes on their way.
    if (error === null && this.writableFinished) void connection.close();
    else connection.destroy(error ?? undefined);
    done(error);
  }

  #onData(chunk: Buffer): void {
    if (this.destroyed) return;
    this.bytesRead += chunk.length;
    if (!this.push(this.#port.copies ? Buffer.from(chunk) : chunk)) this.#connection.pause();
  }

  #onEnd(): void {
    this.#ended = true;
    if (!this.destroyed) this.push(null);
  }

  /** Where both sides have ended, the stream closes by itself once it is read to its end. */
  #onClose(info: CloseInfo): void {
    if (info.error === undefined && this.#ended && this.writableEnded) return;
    this.destroy(info.error);
  }

  // --- what a net.Socket has -----------------------------------------------------------------------------------------

  /** Ends, and destroys when all has been sent. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** Destroys with a reset (RST). */
  resetAndDestroy(): this {
    this.#connection.reset();
    return this.destroy();
  }

  /** 'timeout' after `ms` without traffic (0: none), which destroys nothing, as with a net.Socket. */
  setTimeout(ms: number, callback?: () => void): this {
    this.#connection.setIdleTimeout(ms);
    this.timeout = ms;
    if (callback !== undefined) {
      if (ms > 0) this.once('timeout', callback);
      else this.removeListener('timeout', callback);
    }
    if (!this.#timesOut) {
      this.#timesOut = true;
      this.#connection.on('timeout', () => void this.emit('timeout'));
    }
    return this;
  }

  setNoDelay(noDelay = true): this {
    this.#setOption('noDelay', noDelay);
    return this;
  }

  /** `initialDelay`: ms before the first probe; 0 leaves it as it is. */
  setKeepAlive(enable = false, initialDelay = 0): this {
    this.#setOption('keepAlive', enable);
    if (enable && initialDelay >= 1000) this.#setOption('keepAliveIdle', Math.floor(initialDelay / 1000));
    return this;
  }

  /** Has the connection keep the process alive, as at the beginning. */
  ref(): this {
    this.#port.setHeld(true);
    return this;
  }

  unref(): this {
    this.#port.setHeld(false);
    return this;
  }

  get remoteAddress(): string | undefined {
    return hostOf(this.#connection.remoteAddress);
  }

  get remotePort(): number | undefined {
    return portOf(this.#connection.remoteAddress);
  }

  get remoteFamily(): string | undefined {
    return familyNameOf(this.#connection.remoteAddress);
  }

  get localAddress(): string | undefined {
    return hostOf(this.#connection.localAddress);
  }

  get localPort(): number | undefined {
    return portOf(this.#connection.localAddress);
  }

  get localFamily(): string | undefined {
    return familyNameOf(this.#connection.localAddress);
  }

  address(): { address?: string; port?: number; family?: string } {
    const { localAddress: address, localPort: port, localFamily: family } = this;
    return address === undefined || port === undefined || family === undefined ? {} : { address, port, family };
  }

  get readyState(): 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  /** A socket that lacks the option (unix, a Duplex) goes without, as with net.Socket. */
  #setOption<K extends keyof SocketOptions>(name: K, value: SocketOptions[K]): void {
    try {
      this.#connection.socket.setOption(name, value);
    } catch (error) {
      if (!(error instanceof SocketError)) throw error;
    }
  }
}

function hostOf(address: Address | undefined): string | undefined {
  return address === undefined || isUnixAddress(address) ? undefined : address.host;
}

function portOf(address: Address | undefined): number | undefined {
  return address === undefined || isUnixAddress(address) ? undefined : address.port;
}

function familyNameOf(address: Address | undefined): string | undefined {
  if (address === undefined || isUnixAddress(address)) return undefined;
  return familyOf(address) === 'ipv6' ? 'IPv6' : 'IPv4';
}
