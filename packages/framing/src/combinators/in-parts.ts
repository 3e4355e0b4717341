import { isBytes } from '../bytes.js';
import type { Codec, Input, Output } from '../codec.js';
import { OptionReader } from '../codecs/options.js';
import { FramingError, shown, wrongType } from '../errors.js';
import { checkBothWays } from '../framed.js';

/** Options of {@link inParts}. */
export interface InPartsOptions {
  /** Bytes of every part but the last of a body, 1 or more. Default 64 KiB. */
  partLength?: number | undefined;
}

/** A stretch of a body. */
export class Part {
  /** One byte at least when it was received. */
  readonly bytes: Uint8Array;
  /** Position of its first byte in the body. */
  readonly offset: number;
  /** Bytes of the body behind it: 0 in the last part, `Infinity` in a body that the end of the stream ends. */
  readonly left: number;

  /**
   * To be sent, only `bytes` matters; parts that are sent may have any length.
   *
   * @throws `TypeError` `ERR_FRAMING_MESSAGE`
   */
  constructor(bytes: Uint8Array, offset = 0, left = 0) {
    if (!isBytes(bytes)) throw wrongType('ERR_FRAMING_MESSAGE', `a part wants a Uint8Array, got ${shown(bytes)}`);
    this.bytes = bytes;
    this.offset = offset;
    this.left = left;
  }
}

/** A body under way, in the `state` of its direction; `before` is the state of the header's codec. */
class Body {
  private readonly length: number;
  readonly before: unknown;
  at = 0;

  constructor(length: number, before: unknown) {
    this.length = length;
    this.before = before;
  }

  get left(): number {
    return this.length - this.at;
  }
}

class InPartsCodec<H> implements Codec<H | Part> {
  private readonly header: Codec<H>;
  private readonly lengthOf: (header: H) => number;
  private readonly partLength: number;

  constructor(header: Codec<H>, lengthOf: (header: H) => number, partLength: number) {
    this.header = header;
    this.lengthOf = lengthOf;
    this.partLength = partLength;
  }

  decode(input: Input): H | Part | undefined {
    const body = input.state;
    if (!(body instanceof Body)) return this.begin(input, this.header.decode(input));
    const size = Math.min(this.partLength, body.left);
    // Not whatever has arrived: the parts would depend on where the chunks are cut.
    if (!input.has(size)) return undefined;
    return nextPart(input, body, size, body.left - size);
  }

  end(input: Input): H | Part | undefined {
    const body = input.state;
    if (!(body instanceof Body)) return this.begin(input, this.header.end?.(input));
    if (body.left === Number.POSITIVE_INFINITY) {
      return input.length === 0 ? undefined : nextPart(input, body, input.length, 0);
    }
    throw new FramingError(
      'UNEXPECTED_EOF',
      `the stream ended inside a body: needed ${body.left}, got ${input.length}`,
      {
        offset: input.offset + input.length,
      },
    );
  }

  encode(message: H | Part, output: Output): void {
    const body = output.state;
    if (message instanceof Part) {
      const { bytes } = message;
      if (!(body instanceof Body)) throw new FramingError('BAD_LENGTH', 'a part without a header that announces it');
      if (bytes.length > body.left) {
        throw new FramingError('BAD_LENGTH', `a part of ${bytes.length} bytes, but the body lacks only ${body.left}`);
      }
      output.bytes(bytes);
      body.at += bytes.length;
      if (body.left === 0) output.state = body.before;
      return;
    }
    if (body instanceof Body) {
      throw new FramingError('BAD_LENGTH', `a header, but the body before it lacks ${body.left} bytes`);
    }
    const length = this.length(message);
    this.header.encode(message, output);
    if (length > 0) output.state = new Body(length, output.state);
  }

  private begin(input: Input, header: H | undefined): H | undefined {
    if (header === undefined) return undefined;
    const length = this.length(header);
    if (length > 0) input.state = new Body(length, input.state);
    return header;
  }

  private length(header: H): number {
    const { lengthOf } = this;
    const length = lengthOf(header);
    if ((Number.isSafeInteger(length) && length >= 0) || length === Number.POSITIVE_INFINITY) return length;
    throw new FramingError('BAD_LENGTH', `a body cannot have ${shown(length)} bytes`);
  }
}

function nextPart(input: Input, body: Body, size: number, left: number): Part {
  const part = new Part(input.take(size), body.at, left);
  body.at += size;
  if (left === 0) input.state = body.before;
  return part;
}

/**
 * Messages with bodies that are too large to be held: each header of `header` is a message, and so is each {@link Part} of
 * the body that follows it. `lengthOf` tells how long that is: 0 (no part comes then), or `Infinity` for up to the end of
 * the stream.
 *
 * ```ts
 * inParts(mapped(fixed({ length: 8 }), readLength, writeLength), (length) => length)
 * ```
 *
 * Parts are messages like others: `pause` stops between two of them, `for await` takes one at a time, and so a slow
 * consumer slows the peer down. No more than one part is held. All parts of a body but the last have `partLength` bytes:
 * they are the same in any chunking. The limits of `header` do not concern the body, whose length is yours to judge.
 *
 * A stream that ends inside a body is `UNEXPECTED_EOF`. The encoder wants the parts that the header announced, no byte
 * more or less: otherwise `BAD_LENGTH`.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_CODEC`, `ERR_FRAMING_OPTION`
 */
export function inParts<H>(
  header: Codec<H>,
  lengthOf: (header: H) => number,
  options: InPartsOptions = {},
): Codec<H | Part> {
  checkBothWays(header);
  if (typeof lengthOf !== 'function') {
    throw wrongType('ERR_FRAMING_OPTION', `inParts: lengthOf wants a function, got ${shown(lengthOf)}`);
  }
  const reader = new OptionReader('inParts', options, ['partLength']);
  return new InPartsCodec(header, lengthOf, reader.integer('partLength', 65_536, 1, 0x7fffffff));
}
