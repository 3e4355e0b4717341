import type { ByteChannel } from './byte-channel.js';
import { View } from './bytes.js';
import type { BytesLike, Decoder } from './codec.js';
import { delimiter } from './codecs/delimiter.js';
import { lines } from './codecs/lines.js';
import { DEFAULT_MAX_FRAME_LENGTH, OptionReader } from './codecs/options.js';
import { FramingError, locate, shown, wrongRange } from './errors.js';
import { InputWindow } from './input.js';

/** Options of {@link makefile} that concern the {@link Reader}. */
export interface ReaderOptions {
  /** What ends a line: see {@link lines}. Default `'lf'`: LF, with or without CR. */
  eol?: 'lf' | 'crlf' | 'any' | undefined;
  /** `true`: lines come without their end. Default `true`. */
  strip?: boolean | undefined;
  /** Longest line, and longest stretch before a delimiter, in bytes; beyond it `FRAME_TOO_LONG`. Default 16 MiB. */
  maxLineLength?: number | undefined;
}

/** While nobody reads, the channel is paused from this many unread bytes on. */
const READ_AHEAD_BYTES = 65_536;

/** Stands for a read of no bytes, which is served even at the end of the stream. */
const NOTHING: Decoder<Uint8Array> = { decode: () => undefined };

/** One read that waits. */
interface Read {
  readonly decoder: Decoder<unknown>;
  resolve(value: never): void;
  reject(error: Error): void;
}

/**
 * The reading side of a connection as a file: reads wait until what they ask for has arrived, however it was cut on the
 * way. Reads may be started before earlier ones are done; they are served in the order of their calls.
 *
 * At the end of the stream reads give `null`, and give it again when called again. When the connection fails, reads
 * that what has arrived satisfies are served, and the others reject with its error: a line that a reset cut short does
 * not pass for a line. Bytes are views, valid for as long as they are kept (`Buffer`s in Node.js).
 */
export class Reader implements AsyncIterable<Uint8Array> {
  private readonly channel: ByteChannel;
  private readonly input = new InputWindow(Number.POSITIVE_INFINITY, false);
  private readonly lineDecoder: Decoder<Uint8Array>;
  private readonly maxLineLength: number;
  private reads: Read[] = [];
  private reading = false;
  private fetching = false;
  private paused = false;
  private ended = false;
  private error: Error | undefined = undefined;

  /** @internal use {@link makefile} */
  constructor(channel: ByteChannel, options: ReaderOptions) {
    const reader = new OptionReader('makefile', options, ['eol', 'strip', 'maxLineLength']);
    this.maxLineLength = reader.integer('maxLineLength', DEFAULT_MAX_FRAME_LENGTH, 1, Number.MAX_SAFE_INTEGER);
    this.lineDecoder = lines({ eol: options.eol, strip: options.strip, maxFrameLength: this.maxLineLength });
    this.channel = channel;
    channel.on('end', () => this.finish(undefined));
    channel.on('error', (error: Error) => this.finish(error));
    channel.on('close', () => this.finish(undefined));
  }

  /** Bytes that have arrived and have not been read. */
  get buffered(): number {
    return this.input.length;
  }

  /**
   * Reads `n` bytes: fewer only at the end of the stream, like a file. Without `n` everything up to the end of the
   * stream. `null`: the stream had ended already.
   */
  read(n?: number): Promise<Uint8Array | null> {
    const most = n === undefined ? Number.MAX_SAFE_INTEGER : count('read', n);
    if (most === 0) return this.start(NOTHING);
    return this.start({
      decode: (input) => (input.has(most) ? input.take(most) : undefined),
      end: (input) => (input.length > 0 ? input.take(input.length) : undefined),
    });
  }

  /** Reads what has arrived, `n` bytes at the most, and waits only if that is nothing. `null` at the end. */
  readSome(n: number = Number.MAX_SAFE_INTEGER): Promise<Uint8Array | null> {
    const most = count('readSome', n);
    if (most === 0) return this.start(NOTHING);
    return this.start({ decode: (input) => input.take(Math.min(most, input.length)) });
  }

  /**
   * Reads exactly `n` bytes.
   *
   * @throws {@link FramingError} `UNEXPECTED_EOF` if the stream ends before; what had arrived can still be read
   */
  async readExactly(n: number): Promise<Uint8Array> {
    if (count('readExactly', n) === 0) return (await this.start(NOTHING))!;
    const bytes = await this.start({
      decode: (input) => (input.has(n) ? input.take(n) : undefined),
      end: (input) => {
        throw new FramingError('UNEXPECTED_EOF', `the stream ended: needed ${n}, got ${input.length}`, {
          offset: input.offset + input.length,
        });
      },
    });
    return bytes!;
  }

  /** Reads one line. The rest that no line end ends is a line, too. `null` at the end. */
  readLine(): Promise<Uint8Array | null> {
    return this.start(this.lineDecoder);
  }

  /** Reads all lines up to the end of the stream; an empty array if it had ended already. */
  async readLines(): Promise<Uint8Array[]> {
    const all: Uint8Array[] = [];
    for await (const line of this) all.push(line);
    return all;
  }

  /**
   * Reads up to and including `delimiter`, bytes or text in UTF-8. At the end of the stream the rest, which then does
   * not end with it, or `null` if there is none.
   *
   * @throws {@link FramingError} `FRAME_TOO_LONG` beyond `maxLineLength`
   */
  readUntil(delimiters: BytesLike | readonly BytesLike[]): Promise<Uint8Array | null> {
    return this.start(delimiter({ delimiters, strip: false, final: 'emit', maxFrameLength: this.maxLineLength }));
  }

  /** The lines up to the end of the stream. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (let line = await this.readLine(); line !== null; line = await this.readLine()) yield line;
  }

  private start(decoder: Decoder<Uint8Array>): Promise<Uint8Array | null> {
    return new Promise((resolve, reject) => {
      this.reads.push({ decoder, resolve, reject });
      if (this.reads.length === 1) {
        this.input.reset();
        this.serve();
      }
      this.fetch();
    });
  }

  /** Has a channel that can block fetch what the reads wait for. What it emits meanwhile may start further reads. */
  private fetch(): void {
    const { channel } = this;
    if (channel.fetch === undefined || this.fetching) return;
    this.fetching = true;
    try {
      while (this.reads.length > 0 && !this.ended && channel.fetch());
    } finally {
      this.fetching = false;
    }
  }

  /** Serves the reads in order for as long as there is enough for the first. */
  private serve(): void {
    for (let read = this.reads[0]; read !== undefined; read = this.reads[0]) {
      let bytes: unknown;
      try {
        bytes = this.attempt(read.decoder);
      } catch (error) {
        if (error instanceof FramingError) locate(error, this.input.offset);
        this.serveNext(() => read.reject(error as Error));
        continue;
      }
      if (bytes === undefined) {
        this.flow();
        return;
      }
      this.serveNext(() => read.resolve(bytes as never));
    }
    this.input.settle();
    if (this.input.length >= READ_AHEAD_BYTES) this.pause();
  }

  private serveNext(tell: () => void): void {
    this.reads.shift();
    this.input.reset();
    tell();
  }

  /** Bytes, `null` at the end, `undefined` if more are needed. */
  private attempt(decoder: Decoder<unknown>): unknown {
    if (decoder === NOTHING) return new View(new ArrayBuffer(0), 0, 0);
    const { input } = this;
    if (input.length >= input.needed && input.begin()) {
      const bytes = decoder.decode(input);
      if (bytes !== undefined) {
        input.commit();
        return bytes;
      }
      input.starve();
    }
    if (!this.ended) return undefined;
    if (this.error !== undefined) throw this.error;
    input.begin();
    const last = decoder.end?.(input);
    input.commit();
    return last ?? null;
  }

  private readonly onData = (chunk: Uint8Array): void => {
    this.input.append(chunk);
    if (this.reads.length > 0) this.serve();
    else if (this.input.length >= READ_AHEAD_BYTES) this.pause();
    this.input.settle();
  };

  private flow(): void {
    if (this.ended) return;
    if (!this.reading) {
      this.reading = true;
      this.channel.on('data', this.onData);
    }
    if (!this.paused) return;
    this.paused = false;
    this.channel.resume();
  }

  private pause(): void {
    if (this.paused || this.ended) return;
    this.paused = true;
    this.channel.pause();
  }

  private finish(error: Error | undefined): void {
    this.error ??= error;
    if (this.ended) return;
    this.ended = true;
    this.serve();
  }
}

function count(verb: string, n: unknown): number {
  if (typeof n === 'number' && Number.isSafeInteger(n) && n >= 0) return n;
  throw wrongRange('ERR_FRAMING_COUNT', `${verb} wants a non-negative integer, got ${shown(n)}`);
}
