import { CR, CRLF, LF } from '../ascii.js';
import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { OptionReader, payloadOf, tooLong } from '../codecs/options.js';
import { FramingError, shown } from '../errors.js';
import { fault } from './fault.js';
import { latin1Bytes } from './text.js';

/** A request in memcached's text protocol. */
export interface MemcacheRequest {
  /** `get`, `set`, `mg`, … */
  command: string;
  /** The words behind it, in order; without the byte count of `data`. */
  args: string[];
  /** What is stored, with the commands that store. */
  data?: BytesLike | undefined;
}

/** Options of {@link memcache}. */
export interface MemcacheOptions {
  /** Most bytes of data. Default 16 MiB. */
  maxFrameLength?: number | undefined;
  /** Most bytes of a line. Default 64 KiB, as a `get` of many keys needs them. */
  maxHeaderLength?: number | undefined;
}

/** What the words behind a command are. */
interface CommandWords {
  /** Which of them are keys: `[from, to)`. */
  keys: readonly [from: number, to: number];
  /** Which of them is the byte count of the data behind the line, or `NO_DATA`. */
  size: number;
}

const NO_DATA = -1;
const STORING: CommandWords = { keys: [0, 1], size: 3 };
const OF_A_KEY: CommandWords = { keys: [0, 1], size: NO_DATA };
const OF_KEYS: CommandWords = { keys: [0, Number.POSITIVE_INFINITY], size: NO_DATA };
/** Behind a time that they are kept for. */
const OF_KEYS_BEHIND: CommandWords = { keys: [1, Number.POSITIVE_INFINITY], size: NO_DATA };
const OTHERS: CommandWords = { keys: [0, 0], size: NO_DATA };
const COMMANDS = new Map([
  ['set', STORING],
  ['add', STORING],
  ['replace', STORING],
  ['append', STORING],
  ['prepend', STORING],
  ['cas', STORING],
  ['ms', { keys: [0, 1], size: 1 }],
  ['delete', OF_A_KEY],
  ['incr', OF_A_KEY],
  ['decr', OF_A_KEY],
  ['touch', OF_A_KEY],
  ['mg', OF_A_KEY],
  ['md', OF_A_KEY],
  ['ma', OF_A_KEY],
  ['me', OF_A_KEY],
  ['get', OF_KEYS],
  ['gets', OF_KEYS],
  ['gat', OF_KEYS_BEHIND],
  ['gats', OF_KEYS_BEHIND],
]);
/** "The length limit of a key is set at 250 characters". */
const LONGEST_KEY = 250;

/** What the line of a request says. */
interface Head {
  request: MemcacheRequest;
  /** Where what follows the line begins. */
  next: number;
  /** Bytes of the data, or `NO_DATA`. */
  size: number;
}

class MemcacheCodec implements Codec<MemcacheRequest> {
  private readonly maxFrameLength: number;
  private readonly maxHeaderLength: number;

  constructor(options: MemcacheOptions) {
    const reader = new OptionReader('memcache', options, ['maxFrameLength', 'maxHeaderLength']);
    this.maxFrameLength = reader.maxFrameLength();
    this.maxHeaderLength = reader.integer('maxHeaderLength', 65_536, 1, 0x7fffffff);
  }

  decode(input: Input): MemcacheRequest | undefined {
    const head = this.readHead(input);
    if (head === undefined) return undefined;
    const { request, next, size } = head;
    if (size === NO_DATA) {
      input.skip(next);
      return request;
    }
    // Its words are not kept: until the data is there nobody asks again, and then the line is read once more.
    if (!input.has(next + size + 2)) return undefined;
    checkDataEnd(input, next + size);
    request.data = input.takeInside(next, size, 2);
    return request;
  }

  private readHead(input: Input): Head | undefined {
    const end = lineEnd(input, 0, this.maxHeaderLength);
    if (end < 0) return undefined;
    const args = wordsOf(input.latin1(0, end));
    const command = args.shift() ?? '';
    const words = wordsBehind(command);
    checkKeys(command, args, words);
    const next = end + 2;
    if (words.size === NO_DATA) return { request: { command, args }, next, size: NO_DATA };
    const size = sizeOf(takeWord(args, words.size), this.maxFrameLength);
    return { request: { command, args, data: undefined }, next, size };
  }

  encode({ command, args, data }: MemcacheRequest, output: Output): void {
    const behind = wordsBehind(command);
    const at = behind.size;
    if ((at === NO_DATA) !== (data === undefined)) {
      throw new FramingError('BAD_VALUE', `${shown(command)} is ${at === NO_DATA ? 'not ' : ''}sent with data`);
    }
    const bytes = data === undefined ? undefined : payloadOf(data);
    if (bytes !== undefined && bytes.length > this.maxFrameLength) throw tooLong(bytes.length, this.maxFrameLength);
    const words = [...args];
    if (words.length < at) {
      throw new FramingError('BAD_VALUE', `${command} wants ${at} words before its data, got ${words.length}`);
    }
    for (const word of [command, ...words]) checkWord(word);
    checkKeys(command, words, behind);
    if (at !== NO_DATA) words.splice(at, 0, String(bytes!.length));
    const line = [command, ...words].join(' ');
    if (line.length > this.maxHeaderLength) throw tooLong(line.length, this.maxHeaderLength);
    output.bytes(latin1Bytes(line)).u16(CRLF);
    if (bytes !== undefined) output.bytes(bytes).u16(CRLF);
  }
}

/** Position of the CR LF that ends the line at `from`, or -1. Shared with {@link memcacheReply}. */
export function lineEnd(input: Input, from: number, most: number): number {
  const end = input.indexOf(LF, from);
  if ((end < 0 ? input.length : end) - 1 - from > most) {
    throw new FramingError('FRAME_TOO_LONG', `a line is longer than maxHeaderLength, ${most} bytes`);
  }
  if (end < 0) return -1;
  if (end > from && input.u8(end - 1) === CR) return end - 1;
  throw fault(input, end, 'BARE_LF', 'a line ends with LF alone');
}

/** A byte count of decimal digits. */
export function sizeOf(text: string | undefined, most: number): number {
  if (text === undefined || !/^\d{1,16}$/.test(text)) {
    throw new FramingError('BAD_DIGIT', `a byte count wants digits, got ${shown(text)}`);
  }
  if (Number(text) > most) throw tooLong(Number(text), most);
  return Number(text);
}

export function checkDataEnd(input: Input, at: number): void {
  if (input.u16(at) !== CRLF) throw fault(input, at, 'BAD_TRAILER', 'no CR LF behind data');
}

/** The words of a line. A loop takes half as long as `split`. Shared with {@link memcacheReply}. */
export function wordsOf(line: string): string[] {
  const words: string[] = [];
  let from = 0;
  for (let to = line.indexOf(' '); to >= 0; to = line.indexOf(' ', from)) {
    if (to > from) words.push(line.slice(from, to));
    from = to + 1;
  }
  if (from < line.length) words.push(line.slice(from));
  return words;
}

/** Takes the word at `at` out of `words`: the byte count, behind which there is seldom another. */
export function takeWord(words: string[], at: number): string | undefined {
  return at === words.length - 1 ? words.pop() : words.splice(at, 1)[0];
}

function wordsBehind(command: string): CommandWords {
  if (command === '') throw new FramingError('BAD_TYPE', 'a request without a command');
  return COMMANDS.get(command) ?? OTHERS;
}

function checkKeys(command: string, args: readonly string[], { keys: [from, to] }: CommandWords): void {
  if (to > 0 && args.length <= from) throw new FramingError('BAD_HEADER', `${command} without a key`);
  for (let i = from; i < to && i < args.length; i++) {
    const key = args[i]!;
    if (key.length <= LONGEST_KEY && !/[\0-\x20\x7f]/.test(key)) continue;
    throw new FramingError('BAD_HEADER', `a key has at most ${LONGEST_KEY} bytes, none a control, got ${shown(key)}`);
  }
}

/** A word that contained white space or a line end would be another command: injection. */
export function checkWord(word: unknown): void {
  if (typeof word === 'string' && /^[^\0-\x20\x7f\u0100-\uffff]+$/.test(word)) return;
  throw new FramingError('BAD_DELIMITER', `a word is printable Latin-1 without spaces, got ${shown(word)}`);
}

/**
 * What clients of memcached send, in its text protocol (memcached, doc/protocol.txt), the meta commands included. A
 * server answers with {@link memcacheReply}.
 *
 * A request is `{ command: 'set', args: [key, flags, exptime], data }`: the byte count is that of the data. Keys and other
 * words are Latin-1, a character for each byte.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function memcache(options: MemcacheOptions = {}): Codec<MemcacheRequest> {
  return new MemcacheCodec(options);
}
