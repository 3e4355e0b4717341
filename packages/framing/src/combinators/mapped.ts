import type { Codec, Input, Output } from '../codec.js';
import { shown, wrongType } from '../errors.js';
import { checkBothWays } from '../framed.js';

class MappedCodec<F, G, I, O> implements Codec<I, O> {
  private readonly codec: Codec<F, G>;
  private readonly parse: (frame: F) => I;
  private readonly format: (message: O) => G;

  constructor(codec: Codec<F, G>, parse: (frame: F) => I, format: (message: O) => G) {
    this.codec = codec;
    this.parse = parse;
    this.format = format;
  }

  decode(input: Input): I | undefined {
    const frame = this.codec.decode(input);
    return frame === undefined ? undefined : this.parsed(frame);
  }

  end(input: Input): I | undefined {
    const frame = this.codec.end?.(input);
    return frame === undefined ? undefined : this.parsed(frame);
  }

  encode(message: O, output: Output): void {
    const { format } = this;
    this.codec.encode(format(message), output);
  }

  private parsed(frame: F): I {
    const { parse } = this;
    const message = parse(frame);
    // It would be taken for "more bytes are needed", and the frame would be parsed again and again.
    if (message === undefined) throw wrongType('ERR_FRAMING_MESSAGE', 'mapped: parse returned undefined for a frame');
    return message;
  }
}

/**
 * The frames of `codec` as messages of another kind: `parse` makes them of what comes in, `format` is its opposite.
 *
 * ```ts
 * mapped(fixed({ length: 4 }), (frame) => frame[0], (kind) => Uint8Array.of(kind, 0, 0, 0))
 * ```
 *
 * What is wrong with a frame `parse` says by a {@link FramingError}; with `recoverable: true` the frame is passed over,
 * and `onError` told. Likewise `format` with a message. Other exceptions are passed on as they are, and fail the framer.
 *
 * @throws `TypeError` `ERR_FRAMING_CODEC`, `ERR_FRAMING_OPTION`
 */
export function mapped<F, G, I, O = I>(
  codec: Codec<F, G>,
  parse: (frame: F) => I,
  format: (message: O) => G,
): Codec<I, O> {
  checkBothWays(codec);
  checkFunction('parse', parse);
  checkFunction('format', format);
  return new MappedCodec(codec, parse, format);
}

function checkFunction(name: string, given: unknown): void {
  if (typeof given === 'function') return;
  throw wrongType('ERR_FRAMING_OPTION', `mapped: ${name} wants a function, got ${shown(given)}`);
}
