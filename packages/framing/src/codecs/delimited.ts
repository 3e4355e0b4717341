import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { FramingError } from '../errors.js';
import { type OptionReader, overLimit, payloadOf, tooLong } from './options.js';

/** Options that all delimited codecs share. */
export interface DelimitedOptions {
  /** `true`: messages come without their delimiter. Default `true`. */
  strip?: boolean | undefined;
  /** What the end of the stream makes of bytes that no delimiter ends: a message, or `UNEXPECTED_EOF`. */
  final?: 'emit' | 'error' | undefined;
  /** Most bytes of payload, delimiter not counted, nor bytes that may yet become one. Default 16 MiB. */
  maxFrameLength?: number | undefined;
  /**
   * What happens beyond it: `'error'` is fatal; `'discard'` skips the frame up to its delimiter, reports one recoverable
   * `FRAME_TOO_LONG` as soon as the limit is passed, and goes on with the next. Default `'error'`.
   */
  onTooLong?: 'error' | 'discard' | undefined;
}

/** Kept in `input.state` while the rest of a frame that was too long is being skipped. */
const DISCARDING = Symbol('discarding');

/**
 * Frames that end with a delimiter: the limit, the discarding and the end of the stream, once for all such codecs. What
 * the delimiters are, the subclasses say.
 */
export abstract class DelimitedCodec<I> implements Codec<I, BytesLike> {
  protected readonly strip: boolean;
  protected readonly emitFinal: boolean;
  protected readonly maxFrameLength: number;
  private readonly discards: boolean;
  /** Length of the delimiter that `find` has found. */
  protected delimiterSize = 0;

  constructor(settings: DelimitedSettings) {
    this.strip = settings.strip;
    this.emitFinal = settings.emitFinal;
    this.maxFrameLength = settings.maxFrameLength;
    this.discards = settings.discards;
  }

  /** Length of the payload before the first delimiter, whose length it leaves in `delimiterSize`; -1 if there is none. */
  protected abstract find(input: Input): number;
  /** How many of the last unread bytes may be the beginning of a delimiter. */
  protected abstract pendingAtEnd(input: Input): number;
  /**
   * Throws if `payload` would not be read back as one frame. Behind it stands the delimiter that `message` brings along, else
   * the one that is written.
   */
  protected abstract checkPayload(payload: Uint8Array, message: Uint8Array): void;
  /** Length of the delimiter that ends `message`, 0 if none does. */
  protected abstract delimiterAtEnd(message: Uint8Array): number;
  protected abstract writeDelimiter(output: Output): void;
  /** Throws if something is wrong with a complete frame beside its length. */
  protected abstract checkFrame(input: Input, payload: number): void;
  /** Consumes `n` bytes and makes the message of them. */
  protected abstract take(input: Input, n: number): I;

  decode(input: Input): I | undefined {
    for (;;) {
      const payload = this.find(input);
      if (payload < 0) {
        this.limitUnended(input);
        return undefined;
      }
      const size = this.delimiterSize;
      const discarding = input.state === DISCARDING;
      if (!discarding && payload > this.maxFrameLength) this.refuse(input, payload, DISCARDING);
      this.checkFrame(input, payload);
      if (discarding) {
        input.state = undefined;
        input.discard(payload + size);
        if (input.length === 0) return undefined;
        continue;
      }
      if (!this.strip) return this.take(input, payload + size);
      const frame = this.take(input, payload);
      input.skip(size);
      return frame;
    }
  }

  end(input: Input): I | undefined {
    if (input.state === DISCARDING) {
      // That frame has been reported already.
      input.discard(input.length);
      return undefined;
    }
    if (input.length === 0 || !this.emitFinal) return undefined;
    return this.takeFinal(input, input.length, input.length);
  }

  encode(message: BytesLike, output: Output): void {
    const bytes = payloadOf(message);
    const ended = this.strip ? 0 : this.delimiterAtEnd(bytes);
    const payload = ended === 0 ? bytes : bytes.subarray(0, bytes.length - ended);
    if (payload.length > this.maxFrameLength) throw tooLong(payload.length, this.maxFrameLength);
    this.checkPayload(payload, bytes);
    output.bytes(bytes);
    if (ended === 0) this.writeDelimiter(output);
  }

  /** The last frame, which the end of the stream ends: `payload` bytes count for the limit, `kept` are delivered. */
  protected takeFinal(input: Input, payload: number, kept: number): I {
    if (payload > this.maxFrameLength) this.refuse(input, input.length, undefined);
    const frame = this.take(input, kept);
    input.skip(input.length);
    return frame;
  }

  /** No delimiter yet: what is there may be too much already. */
  private limitUnended(input: Input): void {
    const discarding = input.state === DISCARDING;
    if (!discarding && input.length <= this.maxFrameLength) return;
    const payload = input.length - this.pendingAtEnd(input);
    if (discarding) input.discard(payload);
    else if (payload > this.maxFrameLength) this.refuse(input, payload, DISCARDING);
  }

  private refuse(input: Input, payload: number, state: unknown): never {
    const info = { offset: input.offset, recoverable: this.discards };
    if (this.discards) {
      input.discard(payload);
      input.state = state;
    }
    throw overLimit(this.maxFrameLength, info);
  }
}

/** `BAD_DELIMITER` of an encoder. */
export function containsDelimiter(at: number): FramingError {
  return new FramingError(
    'BAD_DELIMITER',
    `the payload contains a delimiter at byte ${at}: it would become two frames`,
  );
}

/** The names of {@link DelimitedOptions}. */
export const DELIMITED_OPTIONS = ['strip', 'final', 'maxFrameLength', 'onTooLong'] as const;

/** What the codecs make of {@link DelimitedOptions}. */
export interface DelimitedSettings {
  readonly strip: boolean;
  readonly emitFinal: boolean;
  readonly maxFrameLength: number;
  readonly discards: boolean;
}

/** Reads them; `final` is the default of the option of that name. */
export function delimitedSettings(reader: OptionReader, final: 'emit' | 'error'): DelimitedSettings {
  return {
    strip: reader.flag('strip', true),
    emitFinal: reader.choice('final', final, ['emit', 'error']) === 'emit',
    maxFrameLength: reader.maxFrameLength(),
    discards: reader.choice('onTooLong', 'error', ['error', 'discard']) === 'discard',
  };
}
