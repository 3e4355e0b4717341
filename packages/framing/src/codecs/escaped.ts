import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { payloadOf, tooLong } from './options.js';

/** How far an unfinished frame has been judged; kept in `input.state` between calls. */
export interface Progress {
  /** Encoded bytes that have been judged. */
  at: number;
  /** Bytes of payload that they make for certain. */
  payload: number;
}

/**
 * Frames whose end cannot occur in their encoded payload. The limit counts decoded bytes, and what is wrong first in the
 * stream is what is told: a frame that is longer than the limit before it is decoded is judged from its first byte on,
 * once, however it arrives. What the encoding is, the subclasses say.
 */
export abstract class EscapedCodec implements Codec<Uint8Array, BytesLike> {
  private readonly maxFrameLength: number;
  /** Length of the end that `find` has found. */
  protected endSize = 1;
  /** Whether nothing between two ends is no frame. */
  private readonly skipsEmpty: boolean;

  constructor(maxFrameLength: number, skipsEmpty: boolean) {
    this.maxFrameLength = maxFrameLength;
    this.skipsEmpty = skipsEmpty;
  }

  /** How many bytes stand before the end of the frame, -1 if that has not come. */
  protected abstract find(input: Input): number;
  /** Goes on judging bytes up to `size`: throws where one is wrong, or what `check` throws once `payload` has grown. */
  protected abstract judge(input: Input, size: number, progress: Progress): void;
  /** The payload of a whole frame, without a copy where that can be; `offset` is its position in the stream. */
  protected abstract decoded(frame: Uint8Array, offset: number): Uint8Array;
  /** Writes the frame with its end, or throws if the payload has none. */
  protected abstract write(payload: Uint8Array, output: Output): void;

  decode(input: Input): Uint8Array | undefined {
    for (;;) {
      const size = this.find(input);
      if (size < 0) {
        if (input.length > this.maxFrameLength) this.judgeTo(input, input.length);
        return undefined;
      }
      if (size === 0 && this.skipsEmpty) {
        input.discard(this.endSize);
        if (input.length === 0) return undefined;
        continue;
      }
      if (size > this.maxFrameLength) this.judgeTo(input, size);
      if (input.state !== undefined) input.state = undefined;
      const { offset } = input;
      const frame = input.take(size);
      input.skip(this.endSize);
      return this.decoded(frame, offset);
    }
  }

  end(input: Input): undefined {
    // The stream has ended inside a frame, unless that was wrong before.
    if (input.length > 0) this.judgeTo(input, input.length);
  }

  encode(message: BytesLike, output: Output): void {
    const payload = payloadOf(message);
    if (payload.length > this.maxFrameLength) throw tooLong(payload.length, this.maxFrameLength);
    this.write(payload, output);
  }

  /** Throws if so many bytes of payload are too many. */
  protected check(payload: number): void {
    if (payload > this.maxFrameLength) throw tooLong(payload, this.maxFrameLength);
  }

  private judgeTo(input: Input, size: number): void {
    input.state ??= { at: 0, payload: 0 } satisfies Progress;
    this.judge(input, size, input.state as Progress);
  }
}
