import { LF, SPACE, ZERO } from '../ascii.js';
import type { Codec, Input, Output } from '../codec.js';
import { writeDecimal } from '../codecs/decimal.js';
import { OptionReader, tooLong } from '../codecs/options.js';
import { FramingError } from '../errors.js';
import { fault } from './fault.js';
import { formatSyslog, parseSyslogText, type SyslogMessage } from './syslog-message.js';
import { lenientText } from './text.js';

/** Options of {@link syslog}. */
export interface SyslogOptions {
  /**
   * `'octet-counting'` (RFC 6587 3.4.1, and over TLS RFC 5425 4.3), `'lf'` (3.4.2: a message ends with a line feed), or
   * `'auto'`: each frame tells by its first byte, and counting is what is sent. Default `'auto'`.
   */
  framing?: 'octet-counting' | 'lf' | 'auto' | undefined;
  /** Most bytes of one message. Default 16 MiB. */
  maxFrameLength?: number | undefined;
}

const LESS_THAN = 0x3c;
/** 2^53 has no more. */
const MOST_DIGITS = 16;

class SyslogCodec implements Codec<SyslogMessage> {
  private readonly framing: 'octet-counting' | 'lf' | 'auto';
  private readonly maxFrameLength: number;

  constructor(options: SyslogOptions) {
    const reader = new OptionReader('syslog', options, ['framing', 'maxFrameLength']);
    this.framing = reader.choice('framing', 'auto', ['octet-counting', 'lf', 'auto']);
    this.maxFrameLength = reader.maxFrameLength();
  }

  decode(input: Input): SyslogMessage | undefined {
    // A message begins with "<", a count with a digit that is not 0.
    const lf = this.framing === 'lf' || (this.framing === 'auto' && input.u8(0) === LESS_THAN);
    return lf ? this.lineOf(input) : this.countedOf(input);
  }

  encode(message: SyslogMessage, output: Output): void {
    const bytes = formatSyslog(message);
    if (bytes.length > this.maxFrameLength) throw tooLong(bytes.length, this.maxFrameLength);
    if (this.framing !== 'lf') {
      writeDecimal(output, bytes.length);
      output.u8(SPACE).bytes(bytes);
      return;
    }
    const at = bytes.indexOf(LF);
    if (at >= 0) throw new FramingError('BAD_DELIMITER', `a message that LF ends contains LF at ${at}`);
    output.bytes(bytes).u8(LF);
  }

  private lineOf(input: Input): SyslogMessage | undefined {
    const end = input.indexOf(LF);
    const length = end < 0 ? input.length : end;
    if (length > this.maxFrameLength) throw tooLong(length, this.maxFrameLength);
    if (end < 0) return undefined;
    return messageOf(input, 0, end, 1);
  }

  private countedOf(input: Input): SyslogMessage | undefined {
    let at = 0;
    let length = 0;
    for (; ; at++) {
      if (!input.has(at + 1)) return undefined;
      const byte = input.u8(at);
      if (byte === SPACE && at > 0) break;
      if (byte < ZERO + (at === 0 ? 1 : 0) || byte > ZERO + 9 || at === MOST_DIGITS) {
        throw fault(input, at, 'BAD_DIGIT', 'a count is digits and a space, the first not 0');
      }
      length = length * 10 + byte - ZERO;
      if (length > this.maxFrameLength) throw tooLong(length, this.maxFrameLength);
    }
    if (!input.has(at + 1 + length)) return undefined;
    return messageOf(input, at + 1, length, 0);
  }
}

/** The message of `length` bytes, consumed with what stands around it. */
function messageOf(input: Input, before: number, length: number, behind: number): SyslogMessage {
  input.skip(before);
  const text = input.text(length) ?? lenientText(input.take(length));
  input.skip(behind);
  try {
    return parseSyslogText(text);
  } catch (error) {
    // A message that is malformed does not disturb those behind it: its frame has been taken.
    throw new FramingError('BAD_HEADER', (error as Error).message, { recoverable: true, cause: error });
  }
}

/**
 * Log messages of RFC 5424 and RFC 3164 over a stream, in both framings of RFC 6587. A malformed message is a recoverable
 * `BAD_HEADER`, and those behind it are delivered. For datagrams there are {@link parseSyslog} and {@link formatSyslog}.
 *
 * The texts of a message are pieces of up to 16 KiB that were decoded together: one that is kept keeps all of them, unless the
 * framer has the option `copy`.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function syslog(options: SyslogOptions = {}): Codec<SyslogMessage> {
  return new SyslogCodec(options);
}
