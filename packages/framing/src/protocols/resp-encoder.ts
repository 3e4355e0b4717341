import { isBytes, utf8Bytes } from '../bytes.js';
import type { Encoder, Output } from '../codec.js';
import { FramingError, shown, wrongType } from '../errors.js';
import { RespError, type RespMessage, RespPush, RespSet, RespVerbatim } from './resp-types.js';
import { CRLF, checkLine, writeDecimal } from './text.js';

const INT64 = 2n ** 63n;

/** Values to bytes, for {@link resp}. */
export class RespEncoder implements Encoder<RespMessage> {
  private readonly version: number | undefined;
  private readonly deepest: number;

  constructor(version: number | undefined, deepest: number) {
    this.version = version;
    this.deepest = deepest;
  }

  encode(message: RespMessage, output: Output): void {
    this.write(message, output, 1);
  }

  private write(value: RespMessage, output: Output, depth: number): void {
    switch (typeof value) {
      case 'string':
        writeLine('+', value, output);
        return;
      case 'number':
        this.writeNumber(value, output);
        return;
      case 'bigint':
        if (value >= -INT64 && value < INT64 && !isSafe(value)) writeLine(':', String(value), output);
        else if (this.version === 2) writeBulk('$', utf8Bytes(String(value)), output);
        else writeLine('(', String(value), output);
        return;
      case 'boolean':
        writeLine(this.version === 2 ? ':' : '#', this.version === 2 ? String(+value) : value ? 't' : 'f', output);
        return;
      case 'object':
        this.writeObject(value, output, depth);
        return;
      default:
        throw wrongType('ERR_FRAMING_MESSAGE', `a RESP message cannot be ${shown(value)}`);
    }
  }

  private writeObject(value: (RespMessage & object) | null, output: Output, depth: number): void {
    if (value === null) output.text(this.version === 3 ? '_\r\n' : '$-1\r\n');
    else if (isBytes(value)) writeBulk('$', value, output);
    else if (Array.isArray(value)) this.writeArray(value, output, depth);
    else if (value instanceof Map) this.writeMap(value, output, depth);
    else if (value instanceof RespError) writeError(value, this.version, output);
    else if (value instanceof RespVerbatim) this.writeVerbatim(value, output);
    else throw wrongType('ERR_FRAMING_MESSAGE', `a RESP message cannot be ${shown(value)}`);
  }

  private writeNumber(value: number, output: Output): void {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      output.u8(0x3a);
      if (value < 0) output.u8(0x2d);
      writeDecimal(output, Math.abs(value));
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
    if (this.version === 2) writeBulk('$', utf8Bytes(text), output);
    else writeLine(',', text, output);
  }

  private writeVerbatim({ format, content }: RespVerbatim, output: Output): void {
    if (!/^[\x21-\x7e]{3}$/.test(format)) {
      throw new FramingError('BAD_VALUE', `the format of a verbatim string is three characters, got ${shown(format)}`);
    }
    if (this.version === 2) {
      writeBulk('$', content, output);
      return;
    }
    output.u8(0x3d);
    writeDecimal(output, content.length + 4);
    output.u16(CRLF).text(`${format}:`).bytes(content).u16(CRLF);
  }

  private writeArray(items: readonly RespMessage[], output: Output, depth: number): void {
    const old = this.version === 2;
    const type = items instanceof RespPush && !old ? 0x3e : items instanceof RespSet && !old ? 0x7e : 0x2a;
    this.writeCount(type, items.length, output, depth);
    for (let i = 0; i < items.length; i++) this.write(items[i] as RespMessage, output, depth + 1);
  }

  private writeMap(map: ReadonlyMap<RespMessage, RespMessage>, output: Output, depth: number): void {
    if (this.version === 2) this.writeCount(0x2a, 2 * map.size, output, depth);
    else this.writeCount(0x25, map.size, output, depth);
    for (const [key, value] of map) {
      this.write(key, output, depth + 1);
      this.write(value, output, depth + 1);
    }
  }

  private writeCount(type: number, count: number, output: Output, depth: number): void {
    // Also what a list that contains itself comes to.
    if (depth > this.deepest) throw new FramingError('BAD_VALUE', `nested deeper than ${this.deepest}`);
    output.u8(type);
    writeDecimal(output, count);
    output.u16(CRLF);
  }
}

function isSafe(value: bigint): boolean {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
}

/** A line of text, which an LF in it would cut: the rest would be taken for the next message. */
function writeLine(type: string, text: string, output: Output): void {
  checkLine('a line', text);
  output.text(`${type}${text}\r\n`);
}

function writeBulk(type: string, bytes: Uint8Array, output: Output): void {
  output.u8(type.charCodeAt(0));
  writeDecimal(output, bytes.length);
  output.u16(CRLF).bytes(bytes).u16(CRLF);
}

/** Texts of several lines need a bulk error, which RESP2 does not have. */
function writeError({ message }: RespError, version: number | undefined, output: Output): void {
  if (version !== 2 && /[\r\n]/.test(message)) writeBulk('!', utf8Bytes(message), output);
  else writeLine('-', message, output);
}
