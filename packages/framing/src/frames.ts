import { BatchFramer } from './batch-framer.js';
import type { Decoder } from './codec.js';
import { shown, wrongType } from './errors.js';
import type { FramedOptions } from './framed.js';

/** The messages of a source of chunks: one by one, or those of each chunk together. Either can be taken once. */
export interface Frames<I> extends AsyncIterable<I> {
  /**
   * The messages in arrays, each of one chunk or more, never empty. An async iterator costs a promise for each step: with
   * small messages this is several times as fast.
   */
  batches(): AsyncIterableIterator<I[]>;
}

/**
 * The messages of `source`: a readable stream of Node.js or of the Web, an async generator, a `Connection`. A chunk is asked
 * for when the messages of the one before have been taken, so a slow consumer holds the source back. Leaving the loop ends
 * the source, as `for await` does.
 *
 * The iterator throws a fatal {@link FramingError} behind the messages before it, and ends the source then; what the source
 * throws passes through. The rest at the end of the source is `UNEXPECTED_EOF`, or what the codec makes of it.
 *
 * @throws `TypeError` `ERR_FRAMING_CHANNEL` if `source` is not async iterable, and what {@link Framed} throws for its options
 */
export function frames<I>(codec: Decoder<I>, source: AsyncIterable<Uint8Array>, options?: FramedOptions): Frames<I> {
  if (typeof source?.[Symbol.asyncIterator] !== 'function')
    throw wrongType('ERR_FRAMING_CHANNEL', `frames wants an async iterable of chunks, got ${shown(source)}`);
  const framer = new BatchFramer(codec, options);
  return {
    batches: () => batches(framer, source),
    [Symbol.asyncIterator]: () => singles(framer, source),
  };
}

async function* batches<I>(framer: BatchFramer<I>, source: AsyncIterable<Uint8Array>): AsyncGenerator<I[], void> {
  for await (const chunk of source) {
    const batch = framer.push(chunk);
    if (batch.length > 0) yield batch;
    // Thrown within the loop: leaving it ends the source.
    if (framer.failure !== undefined) throw framer.failure;
  }
  const batch = framer.end();
  if (batch.length > 0) yield batch;
  if (framer.failure !== undefined) throw framer.failure;
}

async function* singles<I>(framer: BatchFramer<I>, source: AsyncIterable<Uint8Array>): AsyncGenerator<I, void> {
  for await (const batch of batches(framer, source)) yield* batch;
}
