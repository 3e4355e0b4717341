/**
 * An error reply. The first word of its text is its kind: `ERR`, `WRONGTYPE`, `MOVED`.
 */
export class RespError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RespError';
  }
}

/** A set of RESP3, in the order of the stream. An array: its members are mostly bytes, which a `Set` cannot compare. */
export class RespSet extends Array<RespMessage> {}

/** Out-of-band data of RESP3, which answers no request: its first element tells what it is. */
export class RespPush extends Array<RespMessage> {}

/** A verbatim string of RESP3: text with its format, `txt` or `mkd`. */
export class RespVerbatim {
  constructor(
    readonly format: string,
    readonly content: Uint8Array,
  ) {}
}

/**
 * A value of RESP, each kind as one type: simple strings are `string`, bulk strings bytes, integers `number` (`bigint`
 * beyond 2^53), doubles `number`, big numbers `bigint`, errors {@link RespError}.
 */
export type RespMessage =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | RespError
  | RespVerbatim
  | RespMessage[]
  | Map<RespMessage, RespMessage>;
