import { CR, CRLF, LF, ZERO } from '../ascii.js';
import { isBytes, utf8Bytes } from '../bytes.js';
import type { Codec, Input, Output } from '../codec.js';
import { OptionReader } from '../codecs/options.js';
import type { FramingError } from '../errors.js';
import { fault } from './fault.js';
import { writeRaw } from './raw.js';
import { RespEncoder } from './resp-encoder.js';
import {
  AGGREGATE,
  ARRAY,
  ATTRIBUTE,
  BIG,
  BOOLEAN,
  BULK,
  BULK_ERROR,
  COUNTED,
  DOUBLE,
  ERROR,
  INTEGER,
  LEAST_ELEMENT,
  LINE,
  MAP,
  MOST_BIG_DIGITS,
  MOST_DIGITS,
  NULL,
  PUSH,
  SET,
  SIMPLE,
  VERBATIM,
} from './resp-marks.js';
import { RespError, type RespMessage, RespPush, RespSet, RespVerbatim } from './resp-types.js';
import { latin1Bytes, latin1Text, lenientText } from './text.js';

/** Options of {@link resp}. */
export interface RespOptions {
  /** `true`: messages are the bytes of whole messages, headers included, checked but not made into values. */
  raw?: boolean | undefined;
  /**
   * What the encoder may write. `2`: values that RESP2 does not have become what Redis makes of them for old clients:
   * booleans 1 and 0, maps and sets arrays, doubles and big numbers bulk strings. `3`: `null` is written as `_`. Without
   * it every value is written in the oldest version that has its type. Decoders understand both.
   */
  version?: 2 | 3 | undefined;
  /** `true`: lines that begin with no type are commands of words, as people type them into telnet. Default `false`. */
  inline?: boolean | undefined;
  /** Most bytes of one message behind its first header. Default 16 MiB. */
  maxFrameLength?: number | undefined;
  /** How deep arrays may be nested. Default 64. */
  maxDepth?: number | undefined;
}

/** How the rest of an element is laid out, by the byte that it begins with. */
const LAYOUT = new Uint8Array(256);
for (const type of [SIMPLE, ERROR, INTEGER, NULL, BOOLEAN, DOUBLE, BIG]) LAYOUT[type] = LINE;
for (const type of [BULK, BULK_ERROR, VERBATIM]) LAYOUT[type] = COUNTED;
for (const type of [ARRAY, MAP, SET, PUSH, ATTRIBUTE]) LAYOUT[type] = AGGREGATE;

const NEEDS_MORE = Symbol('needs more');

/** How far a message that came in pieces has been looked through. Kept in `input.state`. */
interface Scan {
  at: number;
  /** Elements that are still to come, of each array that is open. */
  readonly open: number[];
  /** Where what counts for `maxFrameLength` must end. */
  limit: number;
}

/**
 * A message is built in one pass while its bytes are there. If some are missing, what is there is looked through instead,
 * from then on only what is new, and the message is built once it is complete: an array of a thousand strings that drips
 * in is not parsed a thousand times. Both passes find every error, in the same order, by `readHead`.
 */
class RespCodec extends RespEncoder implements Codec<RespMessage> {
  private readonly raw: boolean;
  private readonly inline: boolean;

  // What `readHead` has found, relative to the first unread byte.
  private type = 0;
  /** Length or count; -1: null. */
  private count = 0;
  /** Where the content begins. */
  private content = 0;
  /** Where the element ends, or, of an array, its head. */
  private next = 0;

  constructor(options: RespOptions) {
    const reader = new OptionReader('resp', options, ['raw', 'version', 'inline', 'maxFrameLength', 'maxDepth']);
    super(
      reader.has('version') ? reader.integer('version', undefined, 2, 3) : undefined,
      reader.integer('maxDepth', 64, 1, 1024),
      reader.maxFrameLength(),
    );
    this.raw = reader.flag('raw', false);
    this.inline = reader.flag('inline', false);
  }

  decode(input: Input): RespMessage | undefined {
    if (!this.raw && input.state === undefined) {
      const content = this.readShortBulk(input);
      if (content > 0) {
        const end = content + this.count;
        if (!input.has(end + 2)) return undefined;
        if (input.u16(end) === CRLF) return input.takeInside(content, this.count, 2);
      }
      const message = this.build(input, Number.POSITIVE_INFINITY, 1);
      if (message !== NEEDS_MORE) return message as RespMessage;
      input.rewind();
    }
    input.state ??= { at: 0, open: [1], limit: Number.POSITIVE_INFINITY };
    const scan = input.state as Scan;
    if (!this.scan(input, scan)) return undefined;
    input.state = undefined;
    return this.raw ? input.take(scan.at) : (this.build(input, Number.POSITIVE_INFINITY, 1) as RespMessage);
  }

  override encode(message: RespMessage, output: Output): void {
    if (!this.raw) {
      super.encode(message, output);
      return;
    }
    writeRaw(this, message, 'message', output);
  }

  /** Where the content of the most common message begins, if nothing is wrong with its head; 0: it is for `build` to judge. */
  private readShortBulk(input: Input): number {
    const { block, start, end } = input;
    // Not `has`: what is missing of the head is for `build` to say.
    if (end - start < 6 || block[start] !== BULK) return 0;
    let at = start + 1;
    let size = block[at]! - ZERO;
    if (size < 0 || size > 9) return 0;
    while (++at < start + 5) {
      const digit = block[at]! - ZERO;
      if (digit < 0 || digit > 9) break;
      size = size * 10 + digit;
    }
    if (size > this.maxFrameLength || at + 2 > end || block[at] !== CR || block[at + 1] !== LF) return 0;
    this.count = size;
    return at + 2 - start;
  }

  /** Looks for the end of the message. */
  private scan(input: Input, scan: Scan): boolean {
    const { open } = scan;
    while (open.length > 0) {
      if (!this.readHead(input, scan.at, scan.limit, open.length)) return false;
      if (scan.at === 0) scan.limit = this.content + this.maxFrameLength;
      scan.at = this.next;
      const inner = LAYOUT[this.type] === AGGREGATE ? Math.max(this.count, 0) : 0;
      // An attribute stands before an element and is none itself.
      if (this.type === ATTRIBUTE) open[open.length - 1]!++;
      if (inner > 0) {
        open.push(inner);
        continue;
      }
      while (open.length > 0 && --open[open.length - 1]! === 0) open.pop();
    }
    return true;
  }

  /** Consumes the next element and makes its value; the bytes left of it stay consumed if it `NEEDS_MORE`. */
  private build(input: Input, limit: number, depth: number): RespMessage | typeof NEEDS_MORE {
    if (!this.readHead(input, 0, limit, depth)) return NEEDS_MORE;
    const { type, count, content, next } = this;
    if (type === BULK) {
      if (count < 0) return this.nothing(input);
      input.skip(content);
      const bytes = input.take(count);
      input.skip(2);
      return bytes;
    }
    switch (LAYOUT[type]) {
      case LINE:
        return this.buildLine(input);
      case AGGREGATE:
        if (count < 0) return this.nothing(input);
        input.skip(next);
        // Of the outermost, what follows the head counts; inside, that limit goes on from where we are now.
        return this.buildAggregate(
          input,
          type,
          count,
          limit === Number.POSITIVE_INFINITY ? this.maxFrameLength : limit - next,
          depth,
        );
      case COUNTED: {
        input.skip(content);
        const bytes = input.take(count);
        input.skip(2);
        if (type === BULK_ERROR) return new RespError(lenientText(bytes));
        return new RespVerbatim(latin1Text(bytes.subarray(0, 3)), bytes.subarray(4));
      }
      default: {
        const line = latin1Text(input.take(content + count));
        input.skip(next - content - count);
        return line.split(' ').filter(Boolean).map(latin1Bytes);
      }
    }
  }

  private nothing(input: Input): null {
    input.skip(this.next);
    return null;
  }

  private buildAggregate(
    input: Input,
    type: number,
    count: number,
    limit: number,
    depth: number,
  ): RespMessage | typeof NEEDS_MORE {
    const items: RespMessage[] = type === PUSH ? new RespPush() : type === SET ? new RespSet() : [];
    const map = type === MAP ? new Map<RespMessage, RespMessage>() : undefined;
    let left = limit;
    let key: RespMessage = null;
    const start = input.offset;
    for (let i = 0; i < count; i++) {
      left = limit - (input.offset - start);
      const item = this.build(input, left, depth + 1);
      if (item === NEEDS_MORE) return item;
      if (map === undefined) items.push(item as RespMessage);
      else if (i % 2 === 0) key = item as RespMessage;
      else map.set(key, item as RespMessage);
    }
    // What an attribute says is auxiliary: "the client should continue reading the reply ignoring it" (RESP3).
    if (type === ATTRIBUTE) return this.build(input, limit - (input.offset - start), depth);
    return map ?? items;
  }

  private buildLine(input: Input): RespMessage {
    const { type, count, next } = this;
    if (type === INTEGER && count <= 15) {
      const value = this.smallInteger(input, count);
      input.skip(next);
      return value;
    }
    if (type === SIMPLE && count === 2 && input.u16(1) === 0x4f4b) {
      input.skip(next);
      return 'OK';
    }
    input.skip(1);
    const text = lenientText(input.take(count));
    input.skip(2);
    switch (type) {
      case SIMPLE:
        return text;
      case ERROR:
        return new RespError(text);
      case INTEGER: {
        const value = Number(text);
        return Number.isSafeInteger(value) ? value + 0 : BigInt(text.replace('+', ''));
      }
      case BOOLEAN:
        return text === 't';
      case DOUBLE:
        return text.endsWith('inf') ? (text[0] === '-' ? -1 : 1) * Number.POSITIVE_INFINITY : Number(text);
      case BIG:
        return text[0] === '-' ? -BigInt(text.slice(1)) : BigInt(text.replace('+', ''));
      default:
        return null;
    }
  }

  /** An integer of at most 15 digits, which `readHead` has checked. */
  private smallInteger(input: Input, length: number): number {
    const first = input.u8(1);
    const signed = first < ZERO ? 1 : 0;
    let value = 0;
    for (let i = 1 + signed; i <= length; i++) value = value * 10 + input.u8(i) - ZERO;
    return first === ERROR && value > 0 ? -value : value;
  }

  /**
   * Reads the head of the element at `at`, and makes sure that, unless it is an array, all of it is there and well
   * formed. `false`: bytes are missing.
   *
   * @param limit where what counts for `maxFrameLength` must end; of the outermost element it begins behind the head
   */
  private readHead(input: Input, at: number, limit: number, depth: number): boolean {
    if (!input.has(at + 1)) return false;
    const type = input.u8(at);
    this.type = type;
    const layout = LAYOUT[type]!;
    if (layout === COUNTED) {
      if (!this.readCount(input, at + 1, type === BULK)) return false;
      const { content, count } = this;
      if (count < 0) return true;
      const end = content + count;
      if (end > Math.min(limit, content + this.maxFrameLength)) throw this.tooLong(input, at);
      if (!input.has(end + 2)) return false;
      if (input.u16(end) !== CRLF) throw fault(input, end, 'BAD_TRAILER', 'no CR LF behind a string');
      if (type === VERBATIM && (count < 4 || input.u8(content + 3) !== 0x3a)) {
        throw fault(input, content, 'BAD_HEADER', 'a verbatim string begins with three characters and a colon');
      }
      this.next = end + 2;
      return true;
    }
    if (layout === AGGREGATE) {
      if (!this.readCount(input, at + 1, type === ARRAY)) return false;
      if (type === MAP || type === ATTRIBUTE) this.count *= 2;
      const least = this.content + this.count * LEAST_ELEMENT;
      if (least > Math.min(limit, this.content + this.maxFrameLength)) throw this.tooLong(input, at);
      if (depth > this.maxDepth) throw fault(input, at, 'FRAME_TOO_LONG', `nested deeper than ${this.maxDepth}`);
      return true;
    }
    if (layout !== LINE && !(this.inline && depth === 1)) {
      throw fault(input, at, 'BAD_TYPE', `no type of RESP begins with the byte 0x${type.toString(16)}`);
    }
    return this.readLine(input, at, layout === LINE ? at + 1 : at, limit);
  }

  private readLine(input: Input, at: number, content: number, limit: number): boolean {
    const most = Math.min(limit, content + this.maxFrameLength);
    const end = input.indexOf(LF, content);
    // The last byte may be the CR that does not count.
    if ((end < 0 ? input.length : end) - 1 > most) throw this.tooLong(input, at);
    if (end < 0) return false;
    const bare = end === content || input.u8(end - 1) !== CR;
    // Who types into telnet may send LF alone.
    if (bare && LAYOUT[this.type] === LINE) throw fault(input, end, 'BARE_LF', 'a line ends with LF alone');
    this.content = content;
    this.count = (bare ? end : end - 1) - content;
    this.next = end + 1;
    checkText(input, this.type, content, this.count);
    return true;
  }

  /** A length or count, digit by digit: the first wrong byte is told as soon as it is there. */
  private readCount(input: Input, from: number, nullable: boolean): boolean {
    let at = from;
    let value = 0;
    if (!input.has(at + 1)) return false;
    let byte = input.u8(at);
    if (byte === ERROR && nullable) {
      if (!input.has(at + 2)) return false;
      if (input.u8(at + 1) !== ZERO + 1) throw fault(input, at + 1, 'BAD_DIGIT', 'the only negative length is -1');
      at += 2;
      value = -1;
      if (!input.has(at + 1)) return false;
      byte = input.u8(at);
    } else {
      while (byte >= ZERO && byte <= 57) {
        value = value * 10 + byte - ZERO;
        if (++at - from > MOST_DIGITS) throw fault(input, at - 1, 'BAD_LENGTH', 'a length of too many digits');
        if (!input.has(at + 1)) return false;
        byte = input.u8(at);
      }
    }
    if (byte === LF) throw fault(input, at, 'BARE_LF', 'a length ends with LF alone');
    if (byte !== CR || at === from) throw fault(input, at, 'BAD_DIGIT', 'a length consists of digits');
    if (!input.has(at + 2)) return false;
    if (input.u8(at + 1) !== LF) throw fault(input, at + 1, 'BAD_DELIMITER', 'no LF behind CR');
    this.count = value;
    this.content = at + 2;
    this.next = at + 2;
    return true;
  }

  private tooLong(input: Input, at: number): FramingError {
    return fault(input, at, 'FRAME_TOO_LONG', `a message is longer than maxFrameLength, ${this.maxFrameLength} bytes`);
  }
}

/** So many are never more than 63 bits. */
const SAFE_DIGITS = 18;

function isInt64(text: string): boolean {
  const value = BigInt(text.replace('+', ''));
  return value === BigInt.asIntN(64, value);
}

const DECIMAL = /^[+-]?\d+$/;
const FLOAT = /^([+-]?(\d+(\.\d*)?([eE][+-]?\d+)?|inf)|-?nan)$/;

/** Whether the line at `from` is what its type says. */
function checkText(input: Input, type: number, from: number, length: number): void {
  switch (type) {
    case INTEGER: {
      const first = length > 0 ? input.u8(from) : 0;
      const signed = first === ERROR || first === SIMPLE ? 1 : 0;
      for (let i = signed; i < length; i++) {
        const byte = input.u8(from + i);
        if (byte < ZERO || byte > 57) throw fault(input, from + i, 'BAD_DIGIT', 'an integer consists of digits');
      }
      if (length === signed) throw fault(input, from, 'BAD_DIGIT', 'an integer has no digits');
      if (
        length - signed > MOST_DIGITS ||
        (length - signed > SAFE_DIGITS && !isInt64(input.latin1(from, from + length)))
      )
        throw fault(input, from, 'BAD_VALUE', 'an integer of more than 64 bits');
      return;
    }
    case BIG:
      if (length > MOST_BIG_DIGITS) throw fault(input, from, 'FRAME_TOO_LONG', `more than ${MOST_BIG_DIGITS} digits`);
      if (!DECIMAL.test(input.latin1(from, from + length))) throw fault(input, from, 'BAD_DIGIT', 'no big number');
      return;
    case DOUBLE:
      if (!FLOAT.test(input.latin1(from, from + length))) throw fault(input, from, 'BAD_DIGIT', 'no double');
      return;
    case BOOLEAN:
      if (length !== 1 || (input.u8(from) !== 0x74 && input.u8(from) !== 0x66)) {
        throw fault(input, from, 'BAD_VALUE', 'a boolean is t or f');
      }
      return;
    case NULL:
      if (length !== 0) throw fault(input, from, 'BAD_VALUE', 'a null has no value');
  }
}

/**
 * The Redis serialization protocol, versions 2 and 3, for both sides (https://redis.io/docs/latest/develop/reference/protocol-spec/).
 *
 * Every type of the protocol is a type of its own, so that what was decoded is encoded again as it was: send `'OK'` for
 * a status, bytes for a string. What a client sends is an array of bytes: {@link respCommand} makes one. Attributes are
 * skipped. The streamed strings and arrays of the RESP3 draft, which no server sends, are `BAD_DIGIT`.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function resp(options: RespOptions & { raw: true }): Codec<Uint8Array>;
export function resp(options?: RespOptions): Codec<RespMessage>;
export function resp(options: RespOptions = {}): Codec<never, RespMessage> {
  return new RespCodec(options) as Codec<never, RespMessage>;
}

/** A command as a server wants it: `channel.send(respCommand('SET', key, 5))`. Texts are written in UTF-8. */
export function respCommand(...words: (string | number | bigint | Uint8Array)[]): Uint8Array[] {
  return words.map((word) => (isBytes(word) ? word : utf8Bytes(String(word))));
}
