/**
 * What can be wrong with a stream or with a message: the codes of `FramingError`. These are facts about bytes, not
 * about the program; the table is the source of the documentation.
 */
export const FRAMING_ERRORS = {
  FRAME_TOO_LONG: 'the frame is longer than the limit allows',
  BAD_LENGTH: 'the length is negative, too large to be represented, or does not fit the frame',
  BAD_DELIMITER: 'the payload contains a delimiter, or the delimiter is not the expected one',
  BAD_TYPE: 'the type of the frame is unknown',
  BAD_ESCAPE: 'an escape sequence is malformed',
  BAD_UTF8: 'the text is not valid UTF-8',
  BAD_DIGIT: 'a character stands where a digit must stand',
  BAD_TRAILER: 'the bytes that must end the frame are not there',
  BAD_VARINT: 'the variable-length integer is too long or not canonical',
  BAD_HEADER: 'the header is malformed',
  BAD_REPLY: 'the status reply is malformed',
  BAD_CHECKSUM: 'the checksum does not match the payload',
  BAD_VALUE: 'the value cannot be decoded, or cannot be encoded',
  BARE_LF: 'a line feed stands without the carriage return before it',
  UNEXPECTED_EOF: 'the stream ended inside a frame',
  CLOSED: 'the framer has ended or failed before',
} as const;

/** One of the codes of {@link FRAMING_ERRORS}. */
export type FramingErrorCode = keyof typeof FRAMING_ERRORS;

/** What a codec may say about an error beyond its code and text. */
export interface FramingErrorInfo {
  /**
   * Byte position of the fault in the stream. Left out by a decoder, the framer fills in where the frame begins; left
   * out by an encoder, how many bytes had been encoded before the message.
   */
  offset?: number;
  /** `true`: the decoder has put the fault behind itself and can go on; reported to `onError`. Default `false`. */
  recoverable?: boolean;
  cause?: unknown;
}

/**
 * Bytes that do not follow the protocol, or a message that cannot be written in it.
 *
 * A fatal one is thrown by `push` and `end` once and closes the framer: every later `push` throws `CLOSED`. A
 * recoverable one (`onTooLong: 'discard'`) goes to `onError` once per bad frame. Thrown by `send` it concerns that
 * message alone: nothing of it was queued, and the framer goes on.
 */
export class FramingError extends Error {
  /** One of {@link FRAMING_ERRORS}; programs decide by it, never by the text. */
  readonly code: FramingErrorCode;
  /** Byte position in the stream, counted from its first byte; the same in whatever chunks the bytes came. */
  readonly offset: number;
  /** Whether decoding goes on behind the fault. */
  readonly recoverable: boolean;

  constructor(code: FramingErrorCode, message: string = FRAMING_ERRORS[code], info: FramingErrorInfo = {}) {
    super(message, info.cause === undefined ? undefined : { cause: info.cause });
    this.name = 'FramingError';
    this.code = code;
    this.offset = info.offset ?? UNKNOWN_OFFSET;
    this.recoverable = info.recoverable ?? false;
  }
}

const UNKNOWN_OFFSET = -1;

/** Fills in where it happened, if the codec did not say. */
export function locate(error: FramingError, offset: number): void {
  if (error.offset === UNKNOWN_OFFSET) (error as { offset: number }).offset = offset;
}

/** What can be wrong with the calling program: the codes of the `TypeError`s and `RangeError`s thrown at once. */
export const FRAMING_MISUSE = {
  ERR_FRAMING_OPTION: 'An option has the wrong type, is out of range, is unknown, or contradicts another one.',
  ERR_FRAMING_CODEC:
    'Something that is not a codec was given where a codec is wanted, or it works in one direction only.',
  ERR_FRAMING_LISTENER: 'Something that is not a function was given as a callback, or the event is unknown.',
  ERR_FRAMING_CHUNK: 'A chunk of the stream is not a Uint8Array.',
  ERR_FRAMING_MESSAGE: 'A message has a type that the codec cannot encode.',
  ERR_FRAMING_CHANNEL: 'Something that is not a byte channel was given where one is wanted.',
  ERR_FRAMING_CONSUMER: 'A second consumer was started where there can be only one.',
  ERR_FRAMING_COUNT: 'A count is not a non-negative integer, or exceeds what is there.',
  ERR_FRAMING_UNDERRUN: 'A decoder read beyond the bytes that it had made sure of with has().',
  ERR_FRAMING_STALLED: 'A decoder delivered a message, or reported an error, without consuming anything.',
  ERR_FRAMING_FORMAT: 'A format of pack and unpack is malformed.',
  ERR_FRAMING_NESTED: 'A message was sent, or bytes were taken, while an encoder was writing.',
  ERR_FRAMING_RESERVE: 'An encoder filled a reservation with more or fewer bytes than it had reserved.',
} as const;

/** One of the codes of {@link FRAMING_MISUSE}. */
export type FramingMisuseCode = keyof typeof FRAMING_MISUSE;

/** A `TypeError` with a code: what was given has the wrong kind. */
export function wrongType(code: FramingMisuseCode, message: string): TypeError & { code: FramingMisuseCode } {
  return Object.assign(new TypeError(message), { code });
}

/** A `RangeError` with a code: what was given is of the right kind but cannot be. */
export function wrongRange(code: FramingMisuseCode, message: string): RangeError & { code: FramingMisuseCode } {
  return Object.assign(new RangeError(message), { code });
}

/** How a value is shown in an error message: short, and with its kind where the text alone would not tell it. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === 'function') return value.name ? `function ${value.name}` : 'a function';
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  const name: unknown = value.constructor?.name;
  return typeof name === 'string' && name !== 'Object' ? `an instance of ${name}` : 'an object';
}
