import { CRLF } from '../ascii.js';
import { isBytes } from '../bytes.js';
import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { OptionReader, payloadOf, tooLong } from '../codecs/options.js';
import { decodeAll } from '../decode-all.js';
import { FramingError, shown, wrongType } from '../errors.js';
import { checkDataEnd, checkWord, lineEnd, sizeOf } from './memcache.js';

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
 * looked through again. What its lines say is read when it is complete: a thousand items cost no more before than their bytes.
 */
interface Partial {
  /** Where the next line begins, or the data of the last one. */
  at: number;
  /** Bytes of the data at `at`, or `NO_DATA`. */
  size: number;
  /** Whether that data ends the reply. */
  last: boolean;
  /** Whether lines came before. */
  inside: boolean;
  /** Where what counts for `maxFrameLength` must end: known once the first line is. */
  limit: number;
}

const NO_DATA = -1;

interface Line {
  status: string;
  /** All behind the space behind it. */
  rest: string;
  /** Where the next line begins, or data. */
  next: number;
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
    input.state ??= { at: 0, size: NO_DATA, last: false, inside: false, limit: 0 } satisfies Partial;
    const part = input.state as Partial;
    for (;;) {
      if (part.size !== NO_DATA) {
        const end = part.at + part.size;
        if (!input.has(end + 2)) return undefined;
        checkDataEnd(input, end);
        part.at = end + 2;
        part.size = NO_DATA;
        if (part.last) return this.finish(input, part.at);
      }
      const line = this.lineAt(input, part.at);
      if (line === undefined) return undefined;
      const { status, next } = line;
      if (part.at === 0) part.limit = next + this.maxFrameLength;
      if (status === 'VALUE' || (status === 'VA' && !part.inside)) {
        part.size = this.itemOf(line).size;
        part.last = status === 'VA';
        this.checkLength(part, next + part.size);
      } else if (status === 'STAT') {
        this.checkLength(part, next);
      } else if (STATUS.test(status) && (!part.inside || status === 'END' || status === 'SERVER_ERROR')) {
        return this.finish(input, next);
      } else {
        throw new FramingError('BAD_REPLY', `memcached does not send ${shown(status)} here`, {
          offset: input.offset + part.at,
        });
      }
      part.inside = true;
      part.at = next;
    }
  }

  encode(message: MemcacheReply | Uint8Array, output: Output): void {
    if (this.raw) {
      if (!isBytes(message)) throw wrongType('ERR_FRAMING_MESSAGE', `raw messages are bytes, got ${shown(message)}`);
      if (decodeAll(this, message).length !== 1) throw new FramingError('BAD_VALUE', 'these bytes are not one reply');
      output.bytes(message);
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
    for (const [name, value] of stats) writeLine(`STAT ${name} ${value}`, output);
    for (const { args, data } of values) {
      const bytes = payloadOf(data);
      if (bytes.length > this.maxFrameLength) throw tooLong(bytes.length, this.maxFrameLength);
      const words = [...args];
      if (!meta && words.length < 2) throw new FramingError('BAD_REPLY', 'a value has a key and flags');
      words.splice(meta ? 0 : 2, 0, String(bytes.length));
      writeLine(`${meta ? 'VA' : 'VALUE'} ${words.join(' ')}`, output);
      output.bytes(bytes).u16(CRLF);
    }
    if (!meta) writeLine(text === '' ? status : `${status} ${text}`, output);
  }

  private checkLength(part: Partial, end: number): void {
    if (end > part.limit) throw tooLong(end - part.limit + this.maxFrameLength, this.maxFrameLength);
  }

  private lineAt(input: Input, at: number): Line | undefined {
    const end = lineEnd(input, at, this.maxHeaderLength);
    if (end < 0) return undefined;
    const line = textAt(input, at, end);
    const space = line.indexOf(' ');
    const next = end + 2;
    return space < 0
      ? { status: line, rest: '', next }
      : { status: line.slice(0, space), rest: line.slice(space + 1), next };
  }

  /** Of a line that data follows: its words, and how much there is. */
  private itemOf({ status, rest }: Line): { args: string[]; size: number } {
    const args = rest.split(' ').filter(Boolean);
    const [size] = args.splice(status === 'VALUE' ? 2 : 0, 1);
    return { args, size: sizeOf(size, this.maxFrameLength) };
  }

  /** The reply, all of which is there: it ends at `end`. */
  private finish(input: Input, end: number): MemcacheReply | Uint8Array {
    input.state = undefined;
    if (this.raw) return input.take(end);
    const reply: MemcacheReply = { status: '', text: '', values: [], stats: [] };
    for (const stop = input.offset + end; input.offset < stop; ) {
      const line = this.lineAt(input, 0)!;
      const { status, rest } = line;
      input.skip(line.next);
      if (status === 'STAT') {
        const [name = '', ...words] = rest.split(' ');
        reply.stats.push([name, words.join(' ')]);
      } else if (status === 'VALUE' || status === 'VA') {
        const { args, size } = this.itemOf(line);
        reply.values.push({ args, data: input.take(size) });
        input.skip(2);
        if (status === 'VA') reply.status = status;
      } else {
        reply.status = status;
        reply.text = rest;
      }
    }
    return reply;
  }
}

function textAt(input: Input, from: number, to: number): string {
  let text = '';
  for (let at = from; at < to; at++) text += String.fromCharCode(input.u8(at));
  return text;
}

function checkText(text: unknown): void {
  if (typeof text === 'string' && !/[^\x20-\x7e\x80-\xff]/.test(text)) return;
  throw new FramingError('BAD_DELIMITER', `a line is printable Latin-1, got ${shown(text)}`);
}

function writeLine(line: string, output: Output): void {
  output.bytes(Uint8Array.from(line, (character) => character.charCodeAt(0))).u16(CRLF);
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
