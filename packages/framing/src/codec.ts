import type { Needles } from './needles.js';

/**
 * What a decoder sees: a window over the bytes that have arrived and not been consumed.
 *
 * Positions (`at`, `from`) count from the first unread byte; `skip`, `take` and `discard` move it. A decoder asks
 * `has(n)`, looks with `u8` to `u64` and `indexOf`, and consumes with `skip` and `take`. If it returns `undefined`, the
 * framer undoes its `skip`, `take` and `text`, and calls again when there is more.
 */
export interface Input {
  /** Number of unread bytes. */
  readonly length: number;
  /** Position of the first unread byte in the stream, for `FramingError.offset`. */
  readonly offset: number;
  /** Length of what the last successful `indexOf` found: of use when it searched for several needles. */
  readonly matched: number;
  /**
   * What the decoder must remember of this stream between calls: `undefined` at first and after `use`. Keep it here and
   * not in the codec, and one codec object can serve any number of streams. It is not undone.
   */
  state: unknown;

  /**
   * The bytes that lie in one piece: the unread ones begin at `block[start]`, those before `end` may be looked at, and more
   * may be there than these. For the hottest codecs, whose common case is then a loop over an array; `has`, `skip` and `take`
   * say the rest. To be read anew after each call of another method.
   * @internal
   */
  readonly block: Uint8Array;
  /** @internal */
  readonly start: number;
  /** @internal */
  readonly end: number;

  /**
   * Whether `n` unread bytes are there. `false` also tells the framer not to call again before there are: a decoder that
   * asks is never called for nothing, however small the chunks are. Throws `FRAME_TOO_LONG` if `n` can never be had
   * because of `maxBuffered`.
   */
  has(n: number): boolean;
  /** The unsigned integer at `at`. Throws `ERR_FRAMING_UNDERRUN` beyond the unread bytes: ask `has` before. */
  u8(at: number): number;
  /** 2 bytes; big-endian unless `le`. */
  u16(at: number, le?: boolean): number;
  /** 3 bytes. */
  u24(at: number, le?: boolean): number;
  /** 4 bytes; never negative. */
  u32(at: number, le?: boolean): number;
  /** 8 bytes. Throws `BAD_LENGTH` above `Number.MAX_SAFE_INTEGER`, which no length can be. */
  u64(at: number, le?: boolean): number;
  /**
   * Position of `needle`, a byte, a byte string or several of them, at or behind `from` (default 0); -1 if it is not
   * there yet. A search for the same needle object goes on where the last one stopped, so that a frame that arrives in
   * a thousand chunks is searched once.
   */
  indexOf(needle: number | Uint8Array | Needles, from?: number): number;

  /** Consumes `n` bytes unseen. */
  skip(n: number): void;
  /**
   * Consumes `n` bytes and returns them: a view, without a copy, that stays valid for as long as it is kept (a block
   * that was lent is never written again), and keeps its whole chunk in memory; with the option `copy`, a copy. A
   * `Buffer` where the platform has one.
   */
  take(n: number): Uint8Array;
  /**
   * Consumes `before` bytes, `n` that it returns as `take` does, and `behind`: a frame without what stands around it.
   * @internal
   */
  takeInside(before: number, n: number, behind: number): Uint8Array;
  /**
   * Consumes `n` bytes and returns them as text; `undefined` if they are not UTF-8, and nothing is consumed. A byte-order
   * mark is kept as the character that it is. Faster than the text of `take(n)`: neighbours are decoded together, so that a
   * short text that is kept may keep some KiB of text around it in memory; with the option `copy` it does not.
   */
  text(n: number): string | undefined;
  /**
   * The bytes at `[from, to)` as Latin-1, each the character with its number. Consumes nothing.
   * @internal
   */
  latin1(from: number, to: number): string;
  /** Undoes every `skip`, `take` and `text` of this call. */
  rewind(): void;
  /** Consumes `n` bytes for good, even if the decoder then returns `undefined`: for what must not pile up. */
  discard(n: number): void;
  /**
   * Drops the byte behind what this call consumes, if it is `byte`, whenever it comes and before anything else sees it:
   * the LF that may follow a CR.
   */
  dropNext(byte: number): void;
}

/**
 * What an encoder writes to. It grows as needed. What was written by an encoder that then throws is taken back.
 *
 * Integers out of range throw `BAD_VALUE`: nothing is truncated.
 */
export interface Output {
  /** Bytes written so far and not yet flushed, those of earlier messages included: take differences. */
  readonly length: number;
  /**
   * What the encoder must remember of this stream between messages: `undefined` at first and after `use`. Set it when the
   * message can no longer fail: it is not undone.
   */
  state: unknown;
  u8(value: number): this;
  /** 2 bytes; big-endian unless `le`. */
  u16(value: number, le?: boolean): this;
  /** 3 bytes. */
  u24(value: number, le?: boolean): this;
  /** 4 bytes. */
  u32(value: number, le?: boolean): this;
  /** 8 bytes; `value` up to `Number.MAX_SAFE_INTEGER`. */
  u64(value: number, le?: boolean): this;
  /** Up to 1 KiB is copied; more is queued by reference and must be left alone until it has been sent. */
  bytes(bytes: Uint8Array): this;
  /** `text` in UTF-8. */
  text(text: string): this;
  /**
   * Leaves room for `n` bytes (at most 1024) whose values are known only after what follows was written. The function
   * returned fills them, once, before the encoder returns: `patch((output) => output.u32(size))`. It must write exactly
   * `n` bytes, otherwise `ERR_FRAMING_RESERVE`.
   */
  reserve(n: number): (fill: (output: Output) => void) => void;
}

/** Bytes to messages. */
export interface Decoder<I> {
  /**
   * The next message, or `undefined` if more bytes are needed. Called only when there are unread bytes, and at least as
   * many as the last `has` asked for. A message must consume something (`ERR_FRAMING_STALLED`).
   *
   * Throws `FramingError` on bad bytes; with `recoverable: true` after having consumed them. A decoder must not depend on
   * where the chunks are cut: `checkCodec` tells.
   */
  decode(input: Input): I | undefined;
  /**
   * Called when the stream has ended and `decode` gives nothing more, at least once, even with no bytes left. Returns a
   * last message, or `undefined`; bytes that it leaves are reported as `UNEXPECTED_EOF`.
   */
  end?(input: Input): I | undefined;
}

/** Messages to bytes. */
export interface Encoder<O> {
  /** Writes `message`, or throws a `FramingError` if it cannot be written: then nothing of it is. */
  encode(message: O, output: Output): void;
}

/** Both directions of a protocol. `I` comes in, `O` goes out. */
export interface Codec<I, O = I> extends Decoder<I>, Encoder<O> {}

/** What codecs of bytes accept: bytes, or text that goes out in UTF-8. */
export type BytesLike = Uint8Array | string;
