import type { Codec, Decoder } from './codec.js';
import { checkDecoder, Framed, type FramedOptions } from './framed.js';

/**
 * A framer whose messages are taken out in batches, those of a chunk together. It never throws what the stream did wrong:
 * `failure` has it, and is to be told behind the messages that came before.
 */
export class BatchFramer<I> {
  private readonly framer: Framed<I, never>;
  private batch: I[] = [];

  constructor(codec: Decoder<I>, options: FramedOptions | undefined) {
    checkDecoder(codec);
    this.framer = new Framed(codec as Codec<I, never>, (message) => this.batch.push(message), options);
  }

  /** The fatal error, once the stream has failed. */
  get failure(): Error | undefined {
    return this.framer.failure;
  }

  /** The messages that `chunk` completes. */
  push(chunk: Uint8Array): I[] {
    return this.run(() => this.framer.push(chunk));
  }

  /** What the codec makes of the rest. */
  end(): I[] {
    return this.run(() => this.framer.end());
  }

  private run(step: () => void): I[] {
    try {
      step();
    } catch (error) {
      if (error !== this.framer.failure) throw error;
    }
    const { batch } = this;
    this.batch = [];
    return batch;
  }
}
