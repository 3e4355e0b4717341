import { isBytes } from './bytes.js';
import type { Codec, Decoder, Encoder } from './codec.js';
import { FramingError, locate, shown, wrongRange, wrongType } from './errors.js';
import { InputWindow } from './input.js';
import { OutputQueue } from './output.js';

/** Options of {@link Framed}. */
export interface FramedOptions {
  /**
   * Called with each recoverable error, in order with the messages. Without it they pass unreported. Fatal errors are
   * thrown and do not come here.
   */
  onError?: ((error: FramingError) => void) | undefined;
  /**
   * Most bytes that one frame may take, header and delimiter included: the limit of codecs that have none of their own.
   * Beyond it: `FRAME_TOO_LONG`. Default `Infinity`.
   */
  maxBuffered?: number | undefined;
  /**
   * `true`: messages are copies. Default `false`: they are views, valid for as long as they are kept, that hold the
   * chunk in memory from which they were cut.
   */
  copy?: boolean | undefined;
}

/**
 * A stream of bytes as messages, without any input or output: bytes go in by `push`, messages come out by `onMessage`;
 * messages go in by `send`, bytes come out by `flush`. {@link framed} does the same over a connection.
 *
 * The same bytes give the same messages and the same error at the same place in whatever chunks they are pushed.
 * `push`, `send`, `pause`, `resume`, `use` and `end` may be called from inside `onMessage`; a `push` from there is
 * queued behind what is being decoded. What `onMessage` throws comes out of the `push`, `resume` or `end` that called
 * it: that message is consumed, the rest waits for the next `push` or `resume`.
 */
export class Framed<I, O = I> {
  private codec: Codec<I, O>;
  private onMessage: (message: I) => void;
  private readonly onError: ((error: FramingError) => void) | undefined;
  private readonly input: InputWindow;
  private readonly output = new OutputQueue();
  private readonly maxBuffered: number;

  private running = false;
  /** Whether `onMessage` is being called: what is thrown then is not the codec's. */
  private delivering = false;
  private held = false;
  private ending = false;
  private done = false;
  private failed: Error | undefined = undefined;

  /**
   * @param codec must have `decode`, and `encode` if `send` is to be used
   * @param onMessage called with each message, in order
   * @throws `TypeError`, `RangeError` with `ERR_FRAMING_CODEC`, `ERR_FRAMING_LISTENER`, `ERR_FRAMING_OPTION`
   */
  constructor(codec: Codec<I, O>, onMessage: (message: I) => void, options: FramedOptions = {}) {
    checkDecoder(codec);
    checkCallback('onMessage', onMessage);
    if (options.onError !== undefined) checkCallback('onError', options.onError);
    const maxBuffered = options.maxBuffered ?? Number.POSITIVE_INFINITY;
    if (typeof maxBuffered !== 'number') {
      throw wrongType('ERR_FRAMING_OPTION', `maxBuffered wants a number of bytes, got ${shown(maxBuffered)}`);
    }
    if (!(maxBuffered >= 1)) {
      throw wrongRange('ERR_FRAMING_OPTION', `maxBuffered wants 1 or more bytes, got ${maxBuffered}`);
    }
    if (options.copy !== undefined && typeof options.copy !== 'boolean') {
      throw wrongType('ERR_FRAMING_OPTION', `copy wants true or false, got ${shown(options.copy)}`);
    }
    this.codec = codec;
    this.onMessage = onMessage;
    this.onError = options.onError;
    this.maxBuffered = maxBuffered;
    this.input = new InputWindow(maxBuffered, options.copy ?? false);
  }

  /** Whether delivery is held by `pause`. */
  get paused(): boolean {
    return this.held;
  }

  /** Whether the stream has ended and its last message has been delivered. */
  get finished(): boolean {
    return this.done;
  }

  /** What `push` or `end` has failed with. */
  get failure(): Error | undefined {
    return this.failed;
  }

  /** Number of unread bytes. */
  get buffered(): number {
    return this.input.length;
  }

  /** How many unread bytes there must be, at least, for the next message: `needed - buffered` are missing. */
  get needed(): number {
    return this.input.needed;
  }

  /** The unread bytes, in order and in one piece; they stay unread. Still there after an error and after `end`. */
  get leftover(): Uint8Array {
    return this.input.peekAll();
  }

  /** Bytes that `send` has queued and `consumed` has not dropped. */
  get queued(): number {
    return this.output.length;
  }

  /**
   * Takes the next bytes of the stream and delivers the messages that they complete.
   *
   * `chunk` is kept by reference while it is undecoded or while messages lend it: do not write to it again (unless
   * `copy` is set and `buffered` is 0 on return).
   *
   * @throws a fatal {@link FramingError}, once, after the messages before it; then, and after `end`, `CLOSED`
   * @throws `TypeError` `ERR_FRAMING_CHUNK` if `chunk` is not a `Uint8Array`
   */
  push(chunk: Uint8Array): void {
    if (!isBytes(chunk)) throw wrongType('ERR_FRAMING_CHUNK', `push wants a Uint8Array, got ${shown(chunk)}`);
    if (this.failed !== undefined || this.ending) throw this.closed();
    this.input.append(chunk);
    if (this.running || this.held) return;
    this.run();
  }

  /**
   * The stream has ended: delivers what the codec makes of the rest. While paused, that waits for `resume`. Inside
   * `onMessage` it takes effect after the messages that are already there. Without effect after an end or an error.
   *
   * @throws {@link FramingError} `UNEXPECTED_EOF` if the rest is no message
   */
  end(): void {
    if (this.failed !== undefined || this.ending) return;
    this.ending = true;
    if (this.running || this.held) return;
    this.run();
  }

  /**
   * Encodes `message` behind those that wait already.
   *
   * @returns the number of bytes that wait for `flush`
   * @throws {@link FramingError} if it cannot be encoded; nothing of it is queued then
   * @throws `RangeError` `ERR_FRAMING_NESTED` if it is called while another one is encoded: by one of its getters
   */
  send(message: O): number {
    this.output.encode(this.codec, message);
    return this.output.length;
  }

  /**
   * The bytes to write, in order, for one gathered write. They stay queued until `consumed` drops them. Payloads above
   * 1 KiB are the very arrays that were sent: leave them alone until they have been written.
   *
   * @throws `RangeError` `ERR_FRAMING_NESTED` while a message is being encoded
   */
  flush(): Uint8Array[] {
    return this.output.peek();
  }

  /**
   * Drops the first `bytes` of what `flush` gives; by default all of it. After a partial write, the number written.
   *
   * @throws `RangeError` `ERR_FRAMING_COUNT` if there are not as many; `ERR_FRAMING_NESTED` while a message is being encoded
   */
  consumed(bytes: number = this.output.length): void {
    if (!Number.isSafeInteger(bytes) || bytes < 0 || bytes > this.output.length) {
      throw wrongRange('ERR_FRAMING_COUNT', `consumed wants 0 to ${this.output.length} bytes, got ${shown(bytes)}`);
    }
    this.output.consume(bytes);
  }

  /** Holds delivery, between two messages of one chunk too. Bytes may still be pushed and pile up. */
  pause(): void {
    this.held = true;
  }

  /** Goes on with delivery, and first with what has piled up. Throws what `push` and `end` throw. */
  resume(): void {
    this.held = false;
    if (this.running || this.failed !== undefined) return;
    if (this.input.length === 0 && !this.ending) return;
    this.run();
  }

  /**
   * Goes on with another codec: the next unread byte is the first that it sees, without waiting for new ones. Inside
   * `onMessage` it concerns the very next message.
   *
   * @returns this framer, with its new types
   */
  use<I2, O2 = I2>(codec: Codec<I2, O2>, onMessage: (message: I2) => void): Framed<I2, O2> {
    checkDecoder(codec);
    checkCallback('onMessage', onMessage);
    const next = this as unknown as Framed<I2, O2>;
    next.codec = codec;
    next.onMessage = onMessage;
    this.input.reset();
    this.output.state = undefined;
    if (!this.running && !this.held && this.failed === undefined && !this.done && this.input.length > 0) this.run();
    return next;
  }

  /**
   * The queue that `send` fills, for those who hand its bytes on themselves.
   * @internal
   */
  get outgoing(): OutputQueue {
    return this.output;
  }

  private run(): void {
    this.running = true;
    try {
      this.decode();
      while (this.ending && !this.held && !this.done) {
        if (this.decodeEnd()) this.decode();
      }
    } finally {
      this.running = false;
      this.delivering = false;
      this.input.settle();
    }
  }

  /** Delivers until bytes are missing or delivery is held. */
  private decode(): void {
    for (;;) {
      try {
        this.decodeMany();
        return;
      } catch (error) {
        if (this.delivering || error === this.failed) throw error;
        this.recover(error);
      }
    }
  }

  /** The loop that must be fast: V8 does not inline the making of a view into a `try`, so that stands outside. */
  private decodeMany(): void {
    const input = this.input;
    while (!this.held && input.length >= input.needed && input.begin()) {
      const message = this.codec.decode(input);
      if (message === undefined) {
        if (!input.starve()) this.fail(this.tooLong());
        continue;
      }
      if (!input.progressed()) this.fail(stalled());
      input.commit();
      this.delivering = true;
      this.onMessage(message);
      this.delivering = false;
    }
  }

  /** One question to the codec about the end. `true` if there may be more. */
  private decodeEnd(): boolean {
    const input = this.input;
    const { needed } = input;
    input.begin();
    let message: I | undefined;
    try {
      message = this.codec.end?.(input);
    } catch (error) {
      this.recover(error);
      if (input.length > 0) return true;
      this.done = true;
      return false;
    }
    if (message === undefined) {
      const rest = input.length;
      if (rest > 0) {
        input.rewind();
        input.needed = needed;
        this.fail(this.truncated());
      }
      this.done = true;
      return false;
    }
    const progressed = input.progressed();
    input.commit();
    const more = input.length > 0;
    if (more && !progressed) this.fail(stalled());
    this.done = !more;
    this.onMessage(message);
    return more;
  }

  /** After an exception of the codec: goes on, or fails for good. */
  private recover(error: unknown): void {
    const input = this.input;
    input.abandon();
    if (!(error instanceof FramingError)) {
      input.rewind();
      this.fail(error as Error);
    }
    locate(error, input.frameOffset);
    if (!error.recoverable) {
      input.rewind();
      this.fail(error);
    }
    if (!input.progressed()) this.fail(stalled());
    input.commit();
    this.onError?.(error);
  }

  private fail(error: Error): never {
    this.failed = error;
    throw error;
  }

  private tooLong(): FramingError {
    return new FramingError('FRAME_TOO_LONG', `a frame needs more than maxBuffered, ${this.maxBuffered} bytes`, {
      offset: this.input.frameOffset,
    });
  }

  private truncated(): FramingError {
    const { length, offset, needed, counted } = this.input;
    const what = counted ? `needed ${needed}, got ${length}` : `got ${length} bytes without its end`;
    return new FramingError('UNEXPECTED_EOF', `the stream ended inside a frame: ${what}`, { offset: offset + length });
  }

  private closed(): FramingError {
    const why = this.failed === undefined ? 'end() was called' : `it failed: ${this.failed.message}`;
    return new FramingError('CLOSED', `push after the end: ${why}`, {
      offset: this.input.offset + this.input.length,
      cause: this.failed,
    });
  }
}

function stalled(): RangeError {
  return wrongRange('ERR_FRAMING_STALLED', 'the decoder delivered a message, or reported an error, without consuming');
}

function checkCallback(name: string, callback: unknown): void {
  if (typeof callback === 'function') return;
  throw wrongType('ERR_FRAMING_LISTENER', `${name} wants a function, got ${shown(callback)}`);
}

/** Misuse is told at once, and not by the first byte. */
export function checkDecoder(codec: Decoder<unknown>): void {
  if (typeof codec?.decode === 'function') return;
  throw wrongType('ERR_FRAMING_CODEC', `a codec with a decode method is wanted, got ${shown(codec)}`);
}

/** The same for the other direction. */
export function checkEncoder(codec: Encoder<never>): void {
  if (typeof codec?.encode === 'function') return;
  throw wrongType('ERR_FRAMING_CODEC', `a codec with an encode method is wanted, got ${shown(codec)}`);
}

/** Both. */
export function checkBothWays(codec: Codec<unknown, never>): void {
  checkDecoder(codec);
  checkEncoder(codec);
}
