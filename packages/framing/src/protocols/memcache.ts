import { CR, CRLF, LF } from '../ascii.js';
import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { OptionReader, payloadOf, tooLong } from '../codecs/options.js';
import { FramingError, shown } from '../errors.js';
import { latin1Text } from './text.js';

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

/** Commands with data behind the line, and which of the words behind the command is its byte count. */
const STORAGE = new Map([
  ['set', 3],
  ['add', 3],
  ['replace', 3],
  ['append', 3],
  ['prepend', 3],
  ['cas', 3],
  ['ms', 1],
]);
/** Commands whose first word is a key, or all of whose words are. */
const ONE_KEY = new Set([...STORAGE.keys(), 'delete', 'incr', 'decr', 'touch', 'mg', 'md', 'ma', 'me']);
const ALL_KEYS = new Set(['get', 'gets']);
/** "The length limit of a key is set at 250 characters". */
const LONGEST_KEY = 250;

/** A request whose data has not come yet. Kept in `input.state`. */
interface Head {
  request: MemcacheRequest;
  /** Where the data begins. */
  data: number;
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
    let head = input.state as Head | undefined;
    if (head === undefined) {
      const end = lineEnd(input, 0, this.maxHeaderLength);
      if (end < 0) return undefined;
      const line = latin1Text(input.take(end));
      input.rewind();
      const [command = '', ...args] = line.split(' ').filter(Boolean);
      const at = STORAGE.get(command);
      checkKeys(command, args);
      if (at === undefined) {
        input.skip(end + 2);
        return { command, args };
      }
      const [size] = args.splice(at, 1);
      head = { request: { command, args }, data: end + 2, size: sizeOf(size, this.maxFrameLength) };
      input.state = head;
    }
    const { request, data, size } = head;
    if (!input.has(data + size + 2)) return undefined;
    checkDataEnd(input, data + size);
    input.state = undefined;
    input.skip(data);
    request.data = input.take(size);
    input.skip(2);
    return request;
  }

  encode({ command, args, data }: MemcacheRequest, output: Output): void {
    const at = STORAGE.get(command);
    if ((at === undefined) !== (data === undefined)) {
      throw new FramingError('BAD_VALUE', `${shown(command)} is ${at === undefined ? 'not ' : ''}sent with data`);
    }
    const bytes = data === undefined ? undefined : payloadOf(data);
    if (bytes !== undefined && bytes.length > this.maxFrameLength) throw tooLong(bytes.length, this.maxFrameLength);
    const words = [...args];
    if (at !== undefined && words.length < at) {
      throw new FramingError('BAD_VALUE', `${command} wants ${at} words before its data, got ${words.length}`);
    }
    for (const word of [command, ...words]) checkWord(word);
    checkKeys(command, words);
    if (at !== undefined) words.splice(at, 0, String(bytes!.length));
    const line = [command, ...words].join(' ');
    if (line.length > this.maxHeaderLength) throw tooLong(line.length, this.maxHeaderLength);
    output.bytes(Uint8Array.from(line, (character) => character.charCodeAt(0))).u16(CRLF);
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
  throw new FramingError('BARE_LF', 'a line ends with LF alone', { offset: input.offset + end });
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
  if (input.u16(at) !== CRLF)
    throw new FramingError('BAD_TRAILER', 'no CR LF behind data', { offset: input.offset + at });
}

function checkKeys(command: string, args: readonly string[]): void {
  const keys = ALL_KEYS.has(command)
    ? args
    : command === 'gat' || command === 'gats'
      ? args.slice(1)
      : args.slice(0, 1);
  if (command === '') throw new FramingError('BAD_TYPE', 'a request without a command');
  if (!ALL_KEYS.has(command) && !ONE_KEY.has(command) && !command.startsWith('gat')) return;
  if (keys.length === 0) throw new FramingError('BAD_HEADER', `${command} without a key`);
  for (const key of keys) {
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
