import { CRLF } from '../ascii.js';
import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { OptionReader, payloadOf, tooLong } from '../codecs/options.js';
import { FramingError, shown } from '../errors.js';
import { fault } from './fault.js';
import { checkDataEnd, checkWord, lineEnd, sizeOf, takeWord, wordsOf } from './memcache.js';
import { writeRaw } from './raw.js';
import { latin1Bytes } from './text.js';

/** One item of a reply to `get`: a VALUE line with its data; or the data of a meta reply. */
export interface MemcacheValue {
  /** The words of the line behind VALUE or VA, without the byte count: key, flags and, of `gets`, the unique number. */
  args: string[];
  data: BytesLike;
}

/** A whole reply, whatever it has of lines. */
export interface MemcacheReply {
  /** First word of its last line: `STORED`, `END`, `HD`, `VA`, `SERVER_ERROR`, or a number. */
  status: string;
  /** All behind it. */
  text: string;
  /** Before an END: the items found, in order; of a VA the one that it is. */
  values: MemcacheValue[];
  /** Before an END: name and value of each STAT line. */
  stats: [name: string, value: string][];
}

/** Options of {@link memcacheReply}. */
export interface MemcacheReplyOptions {
  /** `true`: messages are the bytes of whole replies, checked. */
  raw?: boolean | undefined;
  /** Most bytes of a reply behind its first line: of a single item of its data. Default 16 MiB. */
  maxFrameLength?: number | undefined;
  /** Most bytes of a line. Default 64 KiB. */
  maxHeaderLength?: number | undefined;
}

/** First words of replies of one line. */
const STATUS =
  /^(?:STORED|NOT_STORED|EXISTS|NOT_FOUND|DELETED|TOUCHED|OK|RESET|BUSY|BADCLASS|NOSPARE|NOTFULL|UNSAFE|SAME|ERROR|CLIENT_ERROR|SERVER_ERROR|VERSION|END|HD|EN|NS|EX|NF|MN|ME|\d{1,20})$/;

/**
 * A reply of which something is missing, kept in `input.state`: where it goes on, so that what has been looked through is not
 * looked through again. What was read is forgotten meanwhile, and read anew when it is complete: a thousand items cost no more
 * before than their bytes.
 */
interface Partial {
  /** Where the next line begins, or the data of the last one. */
  at: number;
  /** Bytes of the data at `at`, or `NO_DATA`. */
  size: number;
  /** Whether that data ends the reply. */
  last: boolean;
  /** What was read, as long as nothing is missing. */
  read: Reading | undefined;
  /** Where what counts for `maxFrameLength` must end: known once the first line is. */
  limit: number;
}

const NO_DATA = -1;

/** A reply whose data has not been taken yet. */
interface Reading {
  reply: MemcacheReply;
  /** Where the data of each value begins, and how much it is. */
  places: number[];
}

interface Line {
  status: string;
  /** All behind the space behind it. */
  rest: string;
  /** Where the next line begins, or data. */
  next: number;
  /** Of a line that data follows: its words, without the byte count. */
  args: string[] | undefined;
  /** How many bytes of data follow, or `NO_DATA`. */
  size: number;
}

class MemcacheReplyCodec implements Codec<MemcacheReply | Uint8Array> {
  private readonly raw: boolean;
  private readonly maxFrameLength: number;
  private readonly maxHeaderLength: number;

  constructor(options: MemcacheReplyOptions) {
    const reader = new OptionReader('memcacheReply', options, ['raw', 'maxFrameLength', 'maxHeaderLength']);
    this.raw = reader.flag('raw', false);
    this.maxFrameLength = reader.maxFrameLength();
    this.maxHeaderLength = reader.integer('maxHeaderLength', 65_536, 1, 0x7fffffff);
  }

  decode(input: Input): MemcacheReply | Uint8Array | undefined {
    const part = (input.state ?? this.begin()) as Partial;
    if (!this.findEnd(input, part)) {
      part.read = undefined;
      input.state = part;
      return undefined;
    }
    input.state = undefined;
    if (this.raw) return input.take(part.at);
    return this.finish(input, part.at, part.read ?? this.readAgain(input, part.at));
  }

  private begin(): Partial {
    const read = this.raw ? undefined : newReading();
    return { at: 0, size: NO_DATA, last: false, read, limit: 0 };
  }

  encode(message: MemcacheReply | Uint8Array, output: Output): void {
    if (this.raw) {
      writeRaw(this, message, 'reply', output);
      return;
    }
    const { status, text = '', values = [], stats = [] } = message as MemcacheReply;
    for (const part of [status, text, ...stats.flat()]) checkText(part);
    for (const word of [...values.flatMap(({ args }) => args), ...stats.map(([name]) => name)]) checkWord(word);
    const meta = status === 'VA';
    if (meta ? values.length !== 1 : !STATUS.test(status)) {
      throw new FramingError('BAD_REPLY', `memcached has no reply ${shown(status)} with ${values.length} values`);
    }
    if (!meta && status !== 'END' && values.length + stats.length > 0) {
      throw new FramingError('BAD_REPLY', 'values and stats are followed by END');
    }
    // As decoders count: from behind the first line, and neither the line that ends the reply nor what ends data.
    let start = -1;
    const write = (line: string, size: number): void => {
      this.writeHead(line, output);
      if (start < 0) start = output.length;
      const length = output.length - start + size;
      if (length > this.maxFrameLength) throw tooLong(length, this.maxFrameLength);
    };
    for (const [name, value] of stats) write(`STAT ${name} ${value}`, 0);
    for (const { args, data } of values) {
      const bytes = payloadOf(data);
      const words = [...args];
      if (!meta && words.length < 2) throw new FramingError('BAD_REPLY', 'a value has a key and flags');
      words.splice(meta ? 0 : 2, 0, String(bytes.length));
      write(`${meta ? 'VA' : 'VALUE'} ${words.join(' ')}`, bytes.length);
      output.bytes(bytes).u16(CRLF);
    }
    if (!meta) this.writeHead(text === '' ? status : `${status} ${text}`, output);
  }

  private writeHead(line: string, output: Output): void {
    if (line.length > this.maxHeaderLength) throw tooLong(line.length, this.maxHeaderLength);
    writeLine(line, output);
  }

  private checkLength(part: Partial, end: number): void {
    if (end > part.limit) throw tooLong(end - part.limit + this.maxFrameLength, this.maxFrameLength);
  }

  /** Whether the end of the reply is there, at which `part.at` then stands. */
  private findEnd(input: Input, part: Partial): boolean {
    for (;;) {
      if (part.size !== NO_DATA) {
        const end = part.at + part.size;
        if (!input.has(end + 2)) return false;
        checkDataEnd(input, end);
        part.at = end + 2;
        part.size = NO_DATA;
        if (part.last) return true;
      }
      const line = this.lineAt(input, part.at);
      if (line === undefined) return false;
      const { status, next, size } = line;
      if (part.read !== undefined) note(line, part.read);
      if (part.at === 0) part.limit = next + this.maxFrameLength;
      if (size !== NO_DATA) {
        part.size = size;
        part.last = status === 'VA';
        this.checkLength(part, next + size);
      } else if (status === 'STAT') {
        this.checkLength(part, next);
      } else if (status === 'END' || (STATUS.test(status) && (part.at === 0 || status === 'SERVER_ERROR'))) {
        part.at = next;
        return true;
      } else {
        throw fault(input, part.at, 'BAD_REPLY', `memcached does not send ${shown(status)} here`);
      }
      part.at = next;
    }
  }

  /** What all lines of a reply that ends at `end` say. */
  private readAgain(input: Input, end: number): Reading {
    const read = newReading();
    for (let at = 0; at < end; ) {
      const line = this.lineAt(input, at)!;
      note(line, read);
      at = line.next + (line.size === NO_DATA ? 0 : line.size + 2);
    }
    return read;
  }

  private lineAt(input: Input, at: number): Line | undefined {
    const end = lineEnd(input, at, this.maxHeaderLength);
    if (end < 0) return undefined;
    const line = input.latin1(at, end);
    const space = line.indexOf(' ');
    const status = space < 0 ? line : line.slice(0, space);
    const rest = space < 0 ? '' : line.slice(space + 1);
    const next = end + 2;
    if (status !== 'VALUE' && (status !== 'VA' || at > 0))
      return { status, rest, next, args: undefined, size: NO_DATA };
    const args = wordsOf(rest);
    const size = sizeOf(takeWord(args, status === 'VALUE' ? 2 : 0), this.maxFrameLength);
    return { status, rest, next, args, size };
  }

  /** Consumes the reply, all of which is there: it ends at `end`. */
  private finish(input: Input, end: number, { reply, places }: Reading): MemcacheReply {
    let from = 0;
    for (let i = 0; i < reply.values.length; i++) {
      const at = places[2 * i]!;
      const size = places[2 * i + 1]!;
      reply.values[i]!.data = input.takeInside(at - from, size, 2);
      from = at + size + 2;
    }
    input.skip(end - from);
    return reply;
  }
}

function newReading(): Reading {
  return { reply: { status: '', text: '', values: [], stats: [] }, places: [] };
}

function note({ status, rest, next, args, size }: Line, { reply, places }: Reading): void {
  if (args !== undefined) {
    reply.values.push({ args, data: '' });
    places.push(next, size);
    if (status === 'VA') reply.status = status;
  } else if (status === 'STAT') {
    const [name = '', ...words] = rest.split(' ');
    reply.stats.push([name, words.join(' ')]);
  } else {
    reply.status = status;
    reply.text = rest;
  }
}

function checkText(text: unknown): void {
  if (typeof text === 'string' && !/[^\x20-\x7e\x80-\xff]/.test(text)) return;
  throw new FramingError('BAD_DELIMITER', `a line is printable Latin-1, got ${shown(text)}`);
}

function writeLine(line: string, output: Output): void {
  output.bytes(latin1Bytes(line)).u16(CRLF);
}

/**
 * What memcached answers, in its text protocol (memcached, doc/protocol.txt), the meta replies included: a message is a
 * whole reply, of `get` all its values up to END.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function memcacheReply(options: MemcacheReplyOptions & { raw: true }): Codec<Uint8Array>;
export function memcacheReply(options?: MemcacheReplyOptions): Codec<MemcacheReply>;
export function memcacheReply(options: MemcacheReplyOptions = {}): Codec<never> {
  return new MemcacheReplyCodec(options) as unknown as Codec<never>;
}
