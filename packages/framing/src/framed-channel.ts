import { type ByteChannel, bufferedBytesOf, type ChannelCloseInfo, checkChannel, closeInfo } from './byte-channel.js';
import type { Codec } from './codec.js';
import { type AnyListener, checkListener, Listeners } from './emitter.js';
import { type FramingError, wrongType } from './errors.js';
import { Framed, type FramedOptions } from './framed.js';
import { MessageIterator } from './message-iterator.js';

/** Encoded bytes that gather while a chunk is being handled are handed to the channel at the latest from this size on. */
const HAND_OVER_BYTES = 16_384;

/** The events of a {@link FramedChannel} and what their listeners get. */
export interface FramedChannelEvents<I> {
  /** A message. While nobody listens, none is decoded, and the channel is read one chunk ahead at most. */
  message: [message: I];
  /** What went wrong, once: a `FramingError`, or the error of the channel. 'close' follows. Not thrown if unheard. */
  error: [error: Error];
  /** A recoverable error (`onTooLong: 'discard'`): the bad frame has been skipped. */
  skipped: [error: FramingError];
  /** The channel takes more again, after a `send` that gave `false`. */
  drain: [];
  /** The peer has ended its stream, and all its messages have been delivered. */
  end: [];
  /** The channel is closed, once. What had arrived before can still be taken. */
  close: [info: ChannelCloseInfo];
}

/** Options of {@link framed}: those of {@link Framed} but for `onError`, in whose place there is the event 'skipped'. */
export type FramedChannelOptions = Omit<FramedOptions, 'onError'>;

/**
 * A connection whose chunks are messages.
 *
 * Messages are taken either by `on('message')` or by one `for await`. Both read on demand only: no message is lost
 * because nobody was listening yet, and a consumer that is slow slows the peer down.
 *
 * What is sent while an incoming chunk is being handled leaves in one `write`; what is sent at other times is written
 * at once (a reactor `Connection` gathers it until the end of the turn). What a listener of 'message' throws goes up
 * to the channel that delivered the chunk.
 */
export class FramedChannel<I, O = I> {
  /** The channel underneath. Reading from it or writing to it beside this one mixes up the stream. */
  readonly channel: ByteChannel;
  private readonly framer: Framed<I, O>;
  private readonly intercept: ((message: unknown) => unknown) | undefined;
  private readonly events: Record<keyof FramedChannelEvents<I>, Listeners> = {
    message: new Listeners(() => this.choose()),
    error: new Listeners(),
    skipped: new Listeners(),
    drain: new Listeners(),
    end: new Listeners(),
    close: new Listeners(),
  };
  /** The listener of 'message', if it is the only one and no plugin stands before it: the case that must be fast. */
  private only: ((message: I) => void) | undefined = undefined;
  private iterator: MessageIterator<I> | undefined = undefined;

  /** Depth of the calls that decode; while it is not 0, what is sent gathers. */
  private decoding = 0;
  private writable = true;
  private reading = false;
  private channelPaused = false;
  private held = false;
  private waking = false;

  private endedBy: 'peer' | 'local' | undefined = undefined;
  private sendingEnded = false;
  private endTold = false;
  private destroyed = false;
  private gone = false;
  private error: Error | undefined = undefined;

  /** @internal use {@link framed} */
  constructor(channel: ByteChannel, codec: Codec<I, O>, options: FramedChannelOptions) {
    checkChannel(channel);
    this.channel = channel;
    this.intercept =
      typeof channel.interceptMessage === 'function' ? channel.interceptMessage.bind(channel) : undefined;
    this.framer = new Framed<I, O>(codec, this.deliver, {
      ...options,
      onError: (error) => this.events.skipped.emit(error),
    });
    this.framer.pause();
    channel.on('end', () => {
      this.endedBy ??= 'peer';
      this.decode(endFramer);
    });
    channel.on('drain', () => {
      this.writable = true;
      this.events.drain.emit();
    });
    channel.on('error', (error: Error) => this.report(error));
    channel.on('close', (given: unknown) => this.onClose(given));
  }

  /** Whether the channel has closed. */
  get closed(): boolean {
    return this.gone;
  }

  /** Bytes sent and not yet handed to the system. */
  get bufferedBytes(): number {
    return bufferedBytesOf(this.channel) + this.framer.queued;
  }

  /** The bytes received that no message has consumed. */
  get leftover(): Uint8Array {
    return this.framer.leftover;
  }

  /**
   * Sends `message`.
   *
   * @returns `false`: the channel is above its high-water mark, wait for 'drain' (while an incoming chunk is being
   * handled the answer may lag 16 KiB behind); or it takes no more, after `end` or its close: the message is dropped
   * @throws {@link FramingError} if the message cannot be encoded; the channel goes on
   * @throws `RangeError` `ERR_FRAMING_NESTED` if it is called while another one is encoded: by one of its getters
   */
  send(message: O): boolean {
    if (this.sendingEnded) return false;
    const queued = this.framer.send(message);
    if (this.decoding === 0 || queued >= HAND_OVER_BYTES) this.handOver();
    return this.writable;
  }

  /** Holds delivery, between two messages of one chunk too, and reading. */
  pause(): this {
    this.held = true;
    this.framer.pause();
    this.pauseChannel();
    return this;
  }

  /** Goes on with delivery, in a microtask. */
  resume(): this {
    this.held = false;
    this.wake();
    return this;
  }

  /**
   * Goes on with another codec in both directions: unread bytes are decoded by it, and from inside a listener of
   * 'message' the very next message is. The listeners stay.
   *
   * @returns this channel, with its new types
   */
  use<I2, O2 = I2>(codec: Codec<I2, O2>): FramedChannel<I2, O2> {
    this.decode((framer) => framer.use(codec as unknown as Codec<I, O>, this.deliver));
    return this as unknown as FramedChannel<I2, O2>;
  }

  /** Sends `message`, if given, and then the end of our stream. Messages of the peer keep coming until it ends, too. */
  end(...message: [] | [message: O]): void {
    if (this.sendingEnded) return;
    if (message.length > 0) this.framer.send(message[0] as O);
    this.handOver();
    this.sendingEnded = true;
    this.endedBy ??= 'local';
    this.channel.end();
  }

  /**
   * Closes at once. What is queued may be dropped, and no message is delivered any more, not even those left in the
   * chunk being handled. With `error`, 'error' comes before 'close'.
   */
  destroy(error?: Error): void {
    if (this.destroyed || this.gone) return;
    this.destroyed = true;
    this.framer.pause();
    if (error !== undefined) this.report(error);
    this.shut(error);
  }

  /**
   * Adds a listener. The first one of 'message' starts the flow.
   *
   * @throws `TypeError` `ERR_FRAMING_LISTENER`; `ERR_FRAMING_CONSUMER` for 'message' while a `for await` is under way
   */
  on<E extends keyof FramedChannelEvents<I>>(event: E, listener: (...values: FramedChannelEvents<I>[E]) => void): this {
    return this.listen(event, listener as AnyListener, false);
  }

  /** The same, for the next time only; the message after it waits for another listener. */
  once<E extends keyof FramedChannelEvents<I>>(
    event: E,
    listener: (...values: FramedChannelEvents<I>[E]) => void,
  ): this {
    return this.listen(event, listener as AnyListener, true);
  }

  /** Removes a listener. Without one of 'message', messages wait. */
  off<E extends keyof FramedChannelEvents<I>>(
    event: E,
    listener: (...values: FramedChannelEvents<I>[E]) => void,
  ): this {
    checkListener(event, Object.hasOwn(this.events, event), listener);
    this.events[event].remove(listener as AnyListener);
    if (event === 'message' && !this.wanted) this.framer.pause();
    return this;
  }

  /**
   * The messages, each decoded when it is asked for, so that `use` between two of them concerns the next; at most one
   * chunk is read ahead. Ends with the peer's stream or the channel. An error is thrown, after the messages before it.
   * `break` pauses and keeps the connection; another `for await` goes on.
   *
   * @throws `TypeError` `ERR_FRAMING_CONSUMER` if there is another consumer
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<I, undefined> {
    if (this.wanted || this.iterator !== undefined) {
      throw wrongType('ERR_FRAMING_CONSUMER', 'the messages of a channel go to one consumer, and there is one already');
    }
    this.iterator = new MessageIterator<I>({
      pull: () => {
        if (!this.held && !this.destroyed) this.decode(resumeFramer);
      },
      flow: () => {
        if (!this.held) this.flow();
      },
      verdict: () => {
        if (this.error !== undefined) return this.error;
        return this.gone || this.framer.finished ? 'ended' : undefined;
      },
      release: () => {
        this.iterator = undefined;
        this.framer.pause();
      },
    });
    return this.iterator;
  }

  // ---- inbound

  private readonly onData = (chunk: Uint8Array): void => {
    if (this.error !== undefined || this.destroyed) return;
    const ahead = this.framer.paused;
    this.decoding++;
    try {
      this.framer.push(chunk);
    } catch (error) {
      this.caught(error);
    } finally {
      this.decoding--;
      if (this.decoding === 0) this.handOver();
    }
    if (ahead && this.framer.paused) this.pauseChannel();
  };

  private readonly deliver = (message: I): void => {
    const { only } = this;
    if (only === undefined) {
      this.deliverUncommon(message);
      return;
    }
    only(message);
    if (this.only !== only && !this.wanted) this.framer.pause();
  };

  private deliverUncommon(given: I): void {
    let message = given;
    if (this.intercept !== undefined) {
      const answer = this.intercept(given);
      if (answer === null) return;
      if (answer !== undefined) message = answer as I;
    }
    if (this.iterator !== undefined) {
      this.framer.pause();
      this.iterator.put(message);
      return;
    }
    for (const call of this.events.message.calls) call(message);
    if (!this.wanted) this.framer.pause();
  }

  /** The listeners of 'message' have changed. */
  private choose(): void {
    const { calls } = this.events.message;
    this.only = calls.length === 1 && this.intercept === undefined ? calls[0] : undefined;
  }

  /** Runs what may decode: gathers what is sent meanwhile, and turns a failure of the framer into 'error' and close. */
  private decode(action: (framer: Framed<I, O>) => void): void {
    this.decoding++;
    try {
      action(this.framer);
    } catch (error) {
      this.caught(error);
    } finally {
      this.decoding--;
      if (this.decoding === 0) this.handOver();
    }
    if (!this.framer.finished || this.endTold) return;
    this.endTold = true;
    this.events.end.emit();
    this.iterator?.settle();
  }

  /** The stream is broken: that is told, and the channel closed. Anything else, a listener has thrown: up with it. */
  private caught(error: unknown): void {
    if (error !== this.framer.failure) throw error;
    this.handOver();
    this.report(error as Error);
    // A listener of 'error' may have said goodbye: then that goes out, and the channel closes when the peer does.
    if (!this.sendingEnded) this.shut(error as Error);
  }

  /** Whether a listener wants messages. */
  private get wanted(): boolean {
    return this.events.message.calls.length > 0;
  }

  /** Somebody may want messages: lets them flow, from a microtask if there may be some already. */
  private wake(): void {
    if (this.waking || this.held || this.destroyed) return;
    if (!this.reading && this.wanted) {
      this.framer.resume();
      this.flow();
      return;
    }
    this.waking = true;
    queueMicrotask(() => {
      this.waking = false;
      if (this.held || this.destroyed || !(this.wanted || this.iterator?.waiting)) return;
      this.decode(resumeFramer);
      if (!this.framer.paused) this.flow();
    });
  }

  private flow(): void {
    if (this.gone) return;
    if (!this.reading) {
      this.reading = true;
      this.channel.on('data', this.onData);
    }
    if (!this.channelPaused) return;
    this.channelPaused = false;
    this.channel.resume();
  }

  private pauseChannel(): void {
    if (this.channelPaused || this.gone) return;
    this.channelPaused = true;
    this.channel.pause();
  }

  private listen(event: keyof FramedChannelEvents<I>, listener: AnyListener, once: boolean): this {
    checkListener(event, Object.hasOwn(this.events, event), listener);
    if (event === 'message' && this.iterator !== undefined) {
      throw wrongType('ERR_FRAMING_CONSUMER', "a listener of 'message' was added while a for await takes the messages");
    }
    this.events[event].add(listener, once);
    if (event === 'message') this.wake();
    return this;
  }

  // ---- outbound and the end

  /** Hands what has been encoded to the channel. */
  private handOver(): void {
    const output = this.framer.outgoing;
    if (output.length === 0 || this.gone) return;
    const single = output.takeSingle();
    if (single !== undefined) {
      this.writable = this.channel.write(single) !== false;
      return;
    }
    for (const piece of output.takeAll()) this.writable = this.channel.write(piece) !== false;
  }

  /** 'error', once. A consumer that has messages to take gets it after them. */
  private report(error: Error): void {
    if (this.error !== undefined) return;
    this.error = error;
    this.events.error.emit(error);
    this.iterator?.settle();
  }

  private shut(error: Error | undefined): void {
    this.sendingEnded = true;
    this.channel.flush?.();
    if (this.channel.destroy === undefined) this.channel.end();
    else this.channel.destroy(error);
  }

  private onClose(given: unknown): void {
    if (this.gone) return;
    this.gone = true;
    this.sendingEnded = true;
    this.writable = false;
    this.events.close.emit(closeInfo(given, this.error, this.endedBy));
    this.iterator?.settle();
  }
}

function resumeFramer(framer: { resume(): void }): void {
  framer.resume();
}

function endFramer(framer: { end(): void }): void {
  framer.end();
}

/**
 * Turns `channel`, a reactor `Connection`, a `net.Socket` or any {@link ByteChannel}, into a channel of messages.
 *
 * ```ts
 * const channel = framed(connection, lines())
 * channel.on('message', (line) => channel.send(line))
 * ```
 *
 * Reading starts with the first listener of 'message' or the first step of a `for await`. A frame that breaks the
 * protocol ends the connection: 'error' with a {@link FramingError}, then 'close'.
 *
 * @throws `TypeError`, `RangeError`: `ERR_FRAMING_CHANNEL`, `ERR_FRAMING_CODEC`, `ERR_FRAMING_OPTION`
 */
export function framed<I, O = I>(
  channel: ByteChannel,
  codec: Codec<I, O>,
  options: FramedChannelOptions = {},
): FramedChannel<I, O> {
  return new FramedChannel(channel, codec, options);
}
