import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { type LimitOptions, type OptionReader, overLimit, payloadOf, tooLong } from './options.js';

/** Options of {@link slip} and {@link cobs}, and some of those of {@link dotStuffed}. */
export interface EscapedOptions extends LimitOptions {
  /**
   * What happens beyond `maxFrameLength`: `'error'` is fatal; `'discard'` skips the frame up to its end, reports one
   * recoverable `FRAME_TOO_LONG` as soon as the limit is passed, and goes on with the next. Default `'error'`.
   */
  onTooLong?: 'error' | 'discard' | undefined;
}

/** The names of {@link EscapedOptions}. */
export const ESCAPED_OPTIONS = ['maxFrameLength', 'onTooLong'] as const;

/** Kept in `input.state` while the rest of a frame that was too long is being skipped. */
export const DISCARDING = Symbol('discarding');

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
  private readonly discards: boolean;
  /** Length of the end that `find` has found. */
  protected endSize = 1;
  /** Whether nothing between two ends is no frame. */
  private readonly skipsEmpty: boolean;

  constructor(options: OptionReader, skipsEmpty: boolean) {
    this.maxFrameLength = options.maxFrameLength();
    this.discards = options.choice('onTooLong', 'error', ['error', 'discard']) === 'discard';
    this.skipsEmpty = skipsEmpty;
  }

  /** How many bytes stand before the end of the frame, -1 if that has not come. While discarding, the beginning is gone. */
  protected abstract find(input: Input): number;
  /** Goes on judging bytes up to `size`: throws where one is wrong, or what `check` throws once `payload` has grown. */
  protected abstract judge(input: Input, size: number, progress: Progress): void;
  /** The payload of a whole frame, without a copy where that can be; `offset` is its position in the stream. */
  protected abstract decoded(frame: Uint8Array, offset: number): Uint8Array;
  /** Writes the frame with its end, or throws if the payload has none. */
  protected abstract write(payload: Uint8Array, output: Output): void;

  /** How many of the last unread bytes may be the beginning of the end of a frame, of those that `find` looks for. */
  protected pendingAtEnd(_input: Input): number {
    return 0;
  }

  decode(input: Input): Uint8Array | undefined {
    for (;;) {
      const size = this.find(input);
      if (input.state === DISCARDING) {
        this.discardTo(input, size);
        if (size < 0 || input.length === 0) return undefined;
        continue;
      }
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
    // The stream has ended inside a frame, unless that was wrong before; one that is being skipped has been reported.
    if (input.state === DISCARDING) input.discard(input.length);
    else if (input.length > 0) this.judgeTo(input, input.length);
  }

  encode(message: BytesLike, output: Output): void {
    const payload = payloadOf(message);
    if (payload.length > this.maxFrameLength) throw tooLong(payload.length, this.maxFrameLength);
    this.write(payload, output);
  }

  /** Throws if so many bytes of payload are too many. `size` is where the frame ends, or all that is there of it. */
  protected check(payload: number, input: Input, size: number): void {
    if (payload <= this.maxFrameLength) return;
    const info = { offset: input.offset, recoverable: this.discards };
    if (this.discards) {
      const ended = size < input.length;
      const gone = ended ? size + this.endSize : size - this.pendingAtEnd(input);
      // All of it may yet belong to the end: it is told with the next byte.
      if (gone === 0) return;
      input.discard(gone);
      input.state = ended ? undefined : DISCARDING;
    }
    throw overLimit(this.maxFrameLength, info);
  }

  /** Skips what is there of a frame whose end stands at `size`, -1: has not come. */
  private discardTo(input: Input, size: number): void {
    if (size < 0) {
      input.discard(input.length - this.pendingAtEnd(input));
      return;
    }
    input.state = undefined;
    input.discard(size + this.endSize);
  }

  private judgeTo(input: Input, size: number): void {
    input.state ??= { at: 0, payload: 0 } satisfies Progress;
    const progress = input.state as Progress;
    this.check(progress.payload, input, size);
    this.judge(input, size, progress);
  }
}
