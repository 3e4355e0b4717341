/** Codecs as streams of Node.js: `@fdset/framing/node`. */
import { Transform, type TransformCallback } from 'node:stream';
import { BatchFramer } from './batch-framer.js';
import type { Decoder, Encoder } from './codec.js';
import { shown, wrongType } from './errors.js';
import { checkEncoder, type FramedOptions } from './framed.js';
import { OutputQueue } from './output.js';

/** Options of {@link nodeDecoder}. */
export interface NodeDecoderOptions extends FramedOptions {
  /** `true`: arrays, each with the messages of one chunk, never empty. Default `false`: single messages. */
  batches?: boolean | undefined;
}

/**
 * A `Transform` of chunks to messages (its readable side is in object mode), for `pipe` and `pipeline`. A fatal
 * {@link FramingError} destroys it, behind the messages before it: a plain `Transform` forgets what has not been read.
 *
 * In object mode `null` ends a stream: a message that is `null` (of `resp`, of `json`) fails it with
 * `ERR_FRAMING_MESSAGE`. With `batches` it is an element like any other.
 */
export function nodeDecoder<I>(codec: Decoder<I>, options: NodeDecoderOptions = {}): Transform {
  const { batches = false, ...framing } = options;
  if (typeof batches !== 'boolean')
    throw wrongType('ERR_FRAMING_OPTION', `batches wants true or false, got ${shown(batches)}`);
  return new DecoderTransform(new BatchFramer(codec, framing), batches);
}

class DecoderTransform<I> extends Transform {
  readonly #framer: BatchFramer<I>;
  readonly #batches: boolean;
  /** Called when all that was pushed has been read. */
  #drained: (() => void) | undefined;

  constructor(framer: BatchFramer<I>, batches: boolean) {
    super({ readableObjectMode: true });
    this.#framer = framer;
    this.#batches = batches;
  }

  override _transform(chunk: Uint8Array, _encoding: string, callback: TransformCallback): void {
    this.#deliver(this.#framer.push(chunk), callback);
  }

  override _flush(callback: TransformCallback): void {
    this.#deliver(this.#framer.end(), callback);
  }

  /** Every way of reading comes here. (`_read` is not called again while it has been left without a push.) */
  override read(size?: number): unknown {
    const message: unknown = super.read(size);
    if (this.#drained !== undefined && this.readableLength === 0) {
      this.#drained();
      this.#drained = undefined;
    }
    return message;
  }

  #deliver(messages: I[], callback: TransformCallback): void {
    if (this.#batches) {
      if (messages.length > 0) this.push(messages);
    } else {
      for (const message of messages) {
        if (message === null) {
          const text = 'a message that is null cannot go through an object stream: use the option batches';
          this.#fail(wrongType('ERR_FRAMING_MESSAGE', text), callback);
          return;
        }
        this.push(message);
      }
    }
    const { failure } = this.#framer;
    if (failure === undefined) callback();
    else this.#fail(failure, callback);
  }

  #fail(error: Error, callback: TransformCallback): void {
    if (this.readableLength === 0) callback(error);
    else this.#drained = () => callback(error);
  }
}

/**
 * A `Transform` of messages to chunks (its writable side is in object mode). A message that cannot be encoded destroys it with its
 * {@link FramingError}.
 */
export function nodeEncoder<O>(codec: Encoder<O>): Transform {
  checkEncoder(codec);
  const output = new OutputQueue();
  return new Transform({
    writableObjectMode: true,
    transform(message: O, _encoding, callback) {
      try {
        output.encode(codec, message);
      } catch (error) {
        callback(error as Error);
        return;
      }
      for (const piece of output.takeAll()) this.push(piece);
      callback();
    },
  });
}
