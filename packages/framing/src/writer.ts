import { type ByteChannel, bufferedBytesOf } from './byte-channel.js';
import type { BytesLike } from './codec.js';
import { FramingError } from './errors.js';

/** Options of {@link makefile} that concern the {@link Writer}. */
export interface WriterOptions {
  /** What `writeLines` writes behind each line. Default `'\n'`. */
  newline?: '\n' | '\r\n' | undefined;
}

/** The writing side of a connection as a file. Nothing is held back: the connection itself gathers what it sends. */
export class Writer {
  private readonly channel: ByteChannel;
  private readonly newline: string;
  /** Those who wait in `flush` on a channel that has no `flushed`. */
  private waiting: { resolve(): void; reject(error: Error): void }[] = [];
  private blocked = false;
  private closed = false;
  private error: Error | undefined = undefined;

  /** @internal use {@link makefile} */
  constructor(channel: ByteChannel, newline: '\n' | '\r\n') {
    this.channel = channel;
    this.newline = newline;
    channel.on('drain', () => {
      this.blocked = false;
      for (const { resolve } of this.waiting.splice(0)) resolve();
    });
    channel.on('error', (error: Error) => {
      this.error ??= error;
    });
    channel.on('close', () => {
      this.closed = true;
      for (const { reject } of this.waiting.splice(0)) reject(this.closedError());
    });
  }

  /** Bytes written and not yet handed to the system. */
  get bufferedBytes(): number {
    return bufferedBytesOf(this.channel);
  }

  /**
   * Writes bytes, or text in UTF-8. Bytes are queued by reference: leave them alone until `flush` has resolved.
   *
   * @returns `false`: the connection is above its high-water mark; `await writer.flush()` before the next
   */
  write(data: BytesLike): boolean {
    const open = this.channel.write(data) !== false;
    this.blocked = !open;
    return open;
  }

  /** Writes each line with a newline behind it. Returns what `write` returns. */
  writeLines(lines: Iterable<BytesLike>): boolean {
    let open = !this.blocked;
    for (const line of lines) {
      if (typeof line === 'string') {
        open = this.write(line + this.newline);
      } else {
        this.write(line);
        open = this.write(this.newline);
      }
    }
    return open;
  }

  /**
   * Waits until what was written has left: on a reactor `Connection` until the system has all of it, otherwise until
   * the channel is below its high-water mark.
   *
   * @throws the error of the channel, or {@link FramingError} `CLOSED`, if it dies before
   */
  flush(): Promise<void> {
    if (this.channel.flushed !== undefined) return this.channel.flushed();
    if (this.closed) return Promise.reject(this.closedError());
    if (!this.blocked) return Promise.resolve();
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  /** Writes `data`, if given, then ends the stream: the reader on the other side comes to its end. */
  end(data?: BytesLike): void {
    if (data !== undefined) this.write(data);
    this.channel.end();
  }

  private closedError(): Error {
    return this.error ?? new FramingError('CLOSED', 'the connection was closed before all had been written');
  }
}
