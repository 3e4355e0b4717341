import type { Codec, Input, Output } from '../codec.js';
import { checkBothWays } from '../framed.js';

/** A codec, or what gives it for a header. */
export type Next<H, I, O> = Codec<I, O> | ((header: H) => Codec<I, O>);

/** Where one direction of a stream stands: which codec has its turn, and what that one remembers. */
interface Stage {
  codec: Codec<unknown, never> | undefined;
  state: unknown;
}

class OnceCodec<H, G, I, O> implements Codec<H | I, G | O> {
  private readonly header: Codec<H, G>;
  private readonly next: Next<H, I, O>;

  constructor(header: Codec<H, G>, next: Next<H, I, O>) {
    this.header = header;
    this.next = next;
  }

  decode(input: Input): H | I | undefined {
    return this.read(input, false);
  }

  end(input: Input): H | I | undefined {
    return this.read(input, true);
  }

  encode(message: G | O, output: Output): void {
    const stage = (output.state as Stage | undefined) ?? { codec: undefined, state: undefined };
    const first = stage.codec === undefined;
    // The header as it is sent chooses what is sent behind it.
    const next = first ? this.nextFor(message as unknown as H) : stage.codec;
    output.state = stage.state;
    try {
      ((first ? this.header : next) as Codec<unknown, unknown>).encode(message, output);
      stage.codec = next;
      stage.state = first ? undefined : output.state;
    } finally {
      output.state = stage;
    }
  }

  private read(input: Input, ended: boolean): H | I | undefined {
    const stage = (input.state as Stage | undefined) ?? { codec: undefined, state: undefined };
    const codec = stage.codec ?? (this.header as Codec<unknown, never>);
    input.state = stage.state;
    let message: unknown;
    try {
      message = ended ? codec.end?.(input) : codec.decode(input);
    } finally {
      // After a recoverable error too there may be something to be remembered.
      stage.state = input.state;
      input.state = stage;
    }
    if (message !== undefined && stage.codec === undefined) {
      stage.codec = this.nextFor(message as H);
      stage.state = undefined;
    }
    return message as H | I | undefined;
  }

  private nextFor(header: H): Codec<unknown, never> {
    if (typeof this.next !== 'function') return this.next as Codec<unknown, never>;
    const codec = this.next(header) as Codec<unknown, never>;
    checkBothWays(codec);
    return codec;
  }
}

/**
 * A header at the beginning of a stream, then another codec for all that follows, in each direction: a greeting, a PROXY
 * header, a version. The first message in and the first message out are of `header`.
 *
 * ```ts
 * once(lines()).then((version) => (String(version) === 'v2' ? varint() : lengthField()))
 * ```
 *
 * `next` is a codec, or a function that is given the header, the one received or the one sent, and returns it. Where the
 * switch depends on more than the header, {@link Framed.use} does it.
 *
 * @throws `TypeError` `ERR_FRAMING_CODEC`
 */
export function once<H, G>(header: Codec<H, G>): { then<I, O>(next: Next<H | G, I, O>): Codec<H | I, G | O> } {
  checkBothWays(header);
  return {
    // biome-ignore lint/suspicious/noThenProperty: nobody awaits a header, and the sentence reads as it works
    then<I, O>(next: Next<H | G, I, O>): Codec<H | I, G | O> {
      if (typeof next !== 'function') checkBothWays(next);
      return new OnceCodec<H | G, G, I, O>(header as Codec<H | G, G>, next) as unknown as Codec<H | I, G | O>;
    },
  };
}
