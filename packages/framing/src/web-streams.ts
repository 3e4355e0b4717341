import { BatchFramer } from './batch-framer.js';
import { concat } from './bytes.js';
import type { Decoder, Encoder } from './codec.js';
import { shown, wrongType } from './errors.js';
import { checkEncoder, type FramedOptions } from './framed.js';
import { OutputQueue } from './output.js';

/** Options of {@link decoderStream}. */
export interface DecoderStreamOptions extends FramedOptions {
  /**
   * `true`: the stream carries arrays, each with the messages of one chunk, never empty. A chunk of a stream costs more than
   * a microsecond, whatever is in it. Default `false`: single messages.
   */
  batches?: boolean | undefined;
}

/**
 * A Web `TransformStream` of chunks to messages, for `pipeThrough`. A chunk is decoded when the messages of the one before
 * have been read. A fatal {@link FramingError} is what the readable side fails with, behind the messages before it; the
 * writable side then fails with it too. Cancelling the readable side refuses further chunks.
 *
 * It is a pair of streams rather than a `TransformStream` object, whose readable side forgets what has not been read when an
 * error comes (Streams Standard, ReadableStreamDefaultControllerError: ResetQueue).
 */
export function decoderStream<I>(
  codec: Decoder<I>,
  options: DecoderStreamOptions & { batches: true },
): TransformStream<Uint8Array, I[]>;
export function decoderStream<I>(codec: Decoder<I>, options?: DecoderStreamOptions): TransformStream<Uint8Array, I>;
export function decoderStream<I>(
  codec: Decoder<I>,
  options: DecoderStreamOptions = {},
): TransformStream<Uint8Array, I | I[]> {
  const { batches = false, ...framing } = options;
  if (typeof batches !== 'boolean')
    throw wrongType('ERR_FRAMING_OPTION', `batches wants true or false, got ${shown(batches)}`);
  return batches
    ? new DecoderPair<I, I[]>(new BatchFramer(codec, framing), (messages) => (messages.length > 0 ? [messages] : []))
    : new DecoderPair<I, I>(new BatchFramer(codec, framing), (messages) => messages);
}

/** The writable side puts what a chunk gave, and waits until the readable side has given all of it away. */
class DecoderPair<I, T> implements TransformStream<Uint8Array, T> {
  readonly readable: ReadableStream<T>;
  readonly writable: WritableStream<Uint8Array>;
  private readonly framer: BatchFramer<I>;
  private readonly itemsOf: (messages: I[]) => T[];
  private items: T[] = [];
  private next = 0;
  private ended = false;
  /** Lets the reader that waits go on. */
  private arrive = (): void => {};
  /** Lets the writer that waits go on, or fail. */
  private leave: (error?: unknown) => void = () => {};

  constructor(framer: BatchFramer<I>, itemsOf: (messages: I[]) => T[]) {
    this.framer = framer;
    this.itemsOf = itemsOf;
    let reading!: ReadableStreamDefaultController<T>;
    let writing!: WritableStreamDefaultController;
    this.readable = new ReadableStream<T>(
      {
        start(controller) {
          reading = controller;
        },
        pull: (controller) => this.give(controller),
        cancel: (reason) => {
          writing.error(reason);
          this.leave(reason);
        },
      },
      // Nothing is decoded ahead of a read.
      { highWaterMark: 0 },
    );
    this.writable = new WritableStream<Uint8Array>({
      start: (controller) => {
        writing = controller;
        // Missing in the types of Node.js 20 only.
        const { signal } = controller as WritableStreamDefaultController & { readonly signal: AbortSignal };
        // At once: `abort` of the sink is called only when the write that waits has ended.
        signal.addEventListener('abort', () => {
          reading.error(signal.reason);
          this.arrive();
          this.leave(signal.reason);
        });
      },
      write: (chunk) => {
        try {
          return this.put(this.framer.push(chunk));
        } catch (error) {
          // What was written is no chunk: the pipe has broken, for the reader too.
          reading.error(error);
          throw error;
        }
      },
      close: () => {
        const rest = this.framer.end();
        this.ended = true;
        return this.put(rest);
      },
    });
  }

  private put(messages: I[]): Promise<void> | undefined {
    this.items = this.itemsOf(messages);
    this.next = 0;
    if (this.items.length === 0 && this.framer.failure === undefined && !this.ended) return undefined;
    this.arrive();
    return new Promise((resolve, reject) => {
      this.leave = (error) => (error === undefined ? resolve() : reject(error));
    });
  }

  private async give(controller: ReadableStreamDefaultController<T>): Promise<void> {
    const { framer } = this;
    if (this.next === this.items.length && framer.failure === undefined && !this.ended)
      await new Promise<void>((resolve) => {
        this.arrive = resolve;
      });
    if (this.next < this.items.length) {
      controller.enqueue(this.items[this.next] as T);
      this.next += 1;
      // The end and the error are told by the next pull.
      if (this.next === this.items.length && framer.failure === undefined && !this.ended) this.leave();
    } else if (framer.failure !== undefined) {
      controller.error(framer.failure);
      this.leave(framer.failure);
    } else if (this.ended) {
      controller.close();
      this.leave();
    }
  }
}

/**
 * A Web `TransformStream` of messages to chunks: what one message makes is one chunk, in memory of its own, which may be
 * transferred. A message that cannot be encoded fails the stream with its {@link FramingError}.
 */
export function encoderStream<O>(codec: Encoder<O>): TransformStream<O, Uint8Array> {
  checkEncoder(codec);
  const output = new OutputQueue();
  return new TransformStream<O, Uint8Array>({
    transform(message, controller) {
      output.encode(codec, message);
      if (output.length > 0) controller.enqueue(concat(output.takeAll()));
    },
  });
}
