import { CRLF } from '../ascii.js';
import { isBytes, utf8Bytes } from '../bytes.js';
import type { Encoder, Output } from '../codec.js';
import { writeDecimal } from '../codecs/decimal.js';
import { FramingError, shown, wrongType } from '../errors.js';
import { ARRAY, ERROR, INTEGER, LEAST_ELEMENT, MAP, MOST_BIG_DIGITS, PUSH, SET, VERBATIM } from './resp-marks.js';
import { RespError, type RespMessage, RespPush, RespSet, RespVerbatim } from './resp-types.js';
import { checkLine } from './text.js';

const INT64 = 2n ** 63n;

/** Values to bytes, for {@link resp}. */
export class RespEncoder implements Encoder<RespMessage> {
  private readonly version: number | undefined;
  protected readonly maxDepth: number;
  protected readonly maxFrameLength: number;
  /** Where the last content of the message must end, as decoders count it; NaN: it has no head yet. */
  private limit = Number.NaN;

  constructor(version: number | undefined, maxDepth: number, maxFrameLength: number) {
    this.version = version;
    this.maxDepth = maxDepth;
    this.maxFrameLength = maxFrameLength;
  }

  encode(message: RespMessage, output: Output): void {
    // A getter of the message may encode another one.
    const { limit } = this;
    this.limit = Number.NaN;
    try {
      this.write(message, output, 1);
    } finally {
      this.limit = limit;
    }
  }

  private write(value: RespMessage, output: Output, depth: number): void {
    switch (typeof value) {
      case 'string':
        this.writeLine('+', value, output);
        return;
      case 'number':
        this.writeNumber(value, output);
        return;
      case 'bigint':
        if (value >= -INT64 && value < INT64 && !isSafe(value)) this.writeLine(':', String(value), output);
        else this.writeBig(String(value), output);
        return;
      case 'boolean':
        this.writeLine(this.version === 2 ? ':' : '#', this.version === 2 ? String(+value) : value ? 't' : 'f', output);
        return;
      case 'object':
        this.writeObject(value, output, depth);
        return;
      default:
        throw wrongType('ERR_FRAMING_MESSAGE', `a RESP message cannot be ${shown(value)}`);
    }
  }

  private writeObject(value: (RespMessage & object) | null, output: Output, depth: number): void {
    if (value === null) this.writeNull(output);
    else if (isBytes(value)) this.writeBulk('$', value, output);
    else if (Array.isArray(value)) this.writeArray(value, output, depth);
    else if (value instanceof Map) this.writeMap(value, output, depth);
    else if (value instanceof RespError) this.writeError(value, output);
    else if (value instanceof RespVerbatim) this.writeVerbatim(value, output);
    else throw wrongType('ERR_FRAMING_MESSAGE', `a RESP message cannot be ${shown(value)}`);
  }

  private writeNull(output: Output): void {
    if (this.version === 3) this.writeLine('_', '', output);
    else output.text('$-1\r\n');
  }

  private writeNumber(value: number, output: Output): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      output.u8(INTEGER);
      const content = output.length;
      if (value < 0) output.u8(ERROR);
      writeDecimal(output, Math.abs(value));
      this.checkLimit(content, output.length);
      output.u16(CRLF);
      return;
    }
    const text = Number.isNaN(value)
      ? 'nan'
      : Number.isFinite(value)
        ? Object.is(value, -0)
          ? '-0'
          : String(value)
        : value > 0
          ? 'inf'
          : '-inf';
    if (this.version === 2) this.writeBulk('$', utf8Bytes(text), output);
    else this.writeLine(',', text, output);
  }

  private writeBig(digits: string, output: Output): void {
    if (this.version === 2) {
      this.writeBulk('$', utf8Bytes(digits), output);
      return;
    }
    if (digits.length > MOST_BIG_DIGITS) {
      throw new FramingError('FRAME_TOO_LONG', `a big number of more than ${MOST_BIG_DIGITS} digits`);
    }
    this.writeLine('(', digits, output);
  }

  private writeVerbatim({ format, content }: RespVerbatim, output: Output): void {
    if (!/^[\x21-\x7e]{3}$/.test(format)) {
      throw new FramingError('BAD_VALUE', `the format of a verbatim string is three characters, got ${shown(format)}`);
    }
    if (this.version === 2) {
      this.writeBulk('$', content, output);
      return;
    }
    output.u8(VERBATIM);
    writeDecimal(output, content.length + 4);
    output.u16(CRLF);
    this.checkLimit(output.length, output.length + content.length + 4);
    output.text(`${format}:`).bytes(content).u16(CRLF);
  }

  private writeArray(items: readonly RespMessage[], output: Output, depth: number): void {
    const old = this.version === 2;
    const type = items instanceof RespPush && !old ? PUSH : items instanceof RespSet && !old ? SET : ARRAY;
    const { length } = items;
    this.writeCount(type, length, output, depth);
    for (let i = 0; i < length; i++) this.write(items[i] as RespMessage, output, depth + 1);
  }

  private writeMap(map: ReadonlyMap<RespMessage, RespMessage>, output: Output, depth: number): void {
    const entries = [...map];
    if (this.version === 2) this.writeCount(ARRAY, 2 * entries.length, output, depth);
    else this.writeCount(MAP, entries.length, output, depth);
    for (const [key, value] of entries) {
      this.write(key, output, depth + 1);
      this.write(value, output, depth + 1);
    }
  }

  private writeCount(type: number, count: number, output: Output, depth: number): void {
    // Also what a list that contains itself comes to.
    if (depth > this.maxDepth) throw new FramingError('BAD_VALUE', `nested deeper than ${this.maxDepth}`);
    output.u8(type);
    writeDecimal(output, count);
    output.u16(CRLF);
    this.checkLimit(output.length, output.length + (type === MAP ? 2 : 1) * count * LEAST_ELEMENT);
  }

  /** Texts of several lines need a bulk error, which RESP2 does not have. */
  private writeError({ message }: RespError, output: Output): void {
    if (this.version !== 2 && /[\r\n]/.test(message)) this.writeBulk('!', utf8Bytes(message), output);
    else this.writeLine('-', message, output);
  }

  /** A line of text, which an LF in it would cut: the rest would be taken for the next message. */
  private writeLine(type: string, text: string, output: Output): void {
    checkLine('a line', text);
    const content = output.length + 1;
    output.text(`${type}${text}\r\n`);
    this.checkLimit(content, output.length - 2);
  }

  private writeBulk(type: string, bytes: Uint8Array, output: Output): void {
    output.u8(type.charCodeAt(0));
    writeDecimal(output, bytes.length);
    output.u16(CRLF);
    this.checkLimit(output.length, output.length + bytes.length);
    output.bytes(bytes).u16(CRLF);
  }

  /** A decoder counts from behind the first head, and not the line end behind the last content. */
  private checkLimit(content: number, end: number): void {
    if (Number.isNaN(this.limit)) this.limit = content + this.maxFrameLength;
    if (end <= this.limit) return;
    throw new FramingError('FRAME_TOO_LONG', `a message is longer than maxFrameLength, ${this.maxFrameLength} bytes`);
  }
}

function isSafe(value: bigint): boolean {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
}
