import { isBytes } from '../bytes.js';
import type { Codec, Input, Output } from '../codec.js';
import { OptionReader, tooLong } from '../codecs/options.js';
import { FramingError, shown, wrongType } from '../errors.js';

/** A message of the PostgreSQL protocol, version 3. */
export interface PostgresMessage {
  /** Its first byte, `'Q'.charCodeAt(0)` for a query; 0: a startup packet, which has none. */
  type: number;
  /** All behind the length. */
  body: Uint8Array;
}

/** Options of {@link postgres}. */
export interface PostgresOptions {
  /** `true`: for a server. The stream begins with startup packets, which have no type byte. Default `false`. */
  startup?: boolean | undefined;
  /** Most bytes of a body. Default 16 MiB. */
  maxFrameLength?: number | undefined;
}

/** The codes in the first four bytes of a startup packet (55.7, "Message Formats"). */
export const POSTGRES_SSL_REQUEST = 80877103;
export const POSTGRES_GSSENC_REQUEST = 80877104;
export const POSTGRES_CANCEL_REQUEST = 80877102;

const LENGTH = 4;
/** MAX_STARTUP_PACKET_LENGTH of the server: who is not known yet is not given more. */
const MAX_STARTUP = 10_000;

/** Kept in `input.state` once the startup packet has been seen. */
const STARTED = Symbol('started');

class PostgresCodec implements Codec<PostgresMessage> {
  private readonly startup: boolean;
  private readonly maxFrameLength: number;

  constructor(options: PostgresOptions) {
    const reader = new OptionReader('postgres', options, ['startup', 'maxFrameLength']);
    this.startup = reader.flag('startup', false);
    this.maxFrameLength = reader.maxFrameLength();
  }

  decode(input: Input): PostgresMessage | undefined {
    if (this.startup && input.state === undefined) return this.decodeStartup(input);
    if (!input.has(5)) return undefined;
    const length = input.u32(1);
    if (length < LENGTH || length - LENGTH > this.maxFrameLength) throw this.badLength(length, this.maxFrameLength);
    if (!input.has(1 + length)) return undefined;
    const type = input.u8(0);
    input.skip(5);
    return { type, body: input.take(length - LENGTH) };
  }

  encode(message: PostgresMessage, output: Output): void {
    const { type, body } = message;
    if (!isBytes(body)) throw wrongType('ERR_FRAMING_MESSAGE', `body must be a Uint8Array, got ${shown(body)}`);
    const most = type === 0 ? Math.min(MAX_STARTUP, this.maxFrameLength) : this.maxFrameLength;
    if (body.length > most) throw tooLong(body.length, most);
    if (type !== 0) output.u8(type);
    else if (body.length < LENGTH)
      throw new FramingError('BAD_LENGTH', 'a startup packet begins with a code of four bytes');
    output.u32(body.length + LENGTH).bytes(body);
  }

  private decodeStartup(input: Input): PostgresMessage | undefined {
    if (!input.has(4)) return undefined;
    const length = input.u32(0);
    const most = Math.min(MAX_STARTUP, this.maxFrameLength);
    if (length < 2 * LENGTH || length - LENGTH > most) throw this.badLength(length, most);
    if (!input.has(length)) return undefined;
    const code = input.u32(4);
    input.skip(4);
    // Both are answered with one byte, and then the client begins anew.
    if (code !== POSTGRES_SSL_REQUEST && code !== POSTGRES_GSSENC_REQUEST) input.state = STARTED;
    return { type: 0, body: input.take(length - LENGTH) };
  }

  private badLength(length: number, most: number): FramingError {
    if (length - LENGTH > most) return tooLong(length - LENGTH, most);
    return new FramingError('BAD_LENGTH', `length ${length} is less than it must count`);
  }
}

/**
 * The messages of the PostgreSQL protocol, version 3, in both directions (PostgreSQL 17, chapter 55): a type byte, a
 * length that counts itself, a body. What the bodies mean is not looked at.
 *
 * The one byte that answers an SSLRequest is no message: a client reads it with `fixed({ length: 1 })` and goes on with
 * `use(postgres())`.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function postgres(options: PostgresOptions = {}): Codec<PostgresMessage> {
  return new PostgresCodec(options);
}
