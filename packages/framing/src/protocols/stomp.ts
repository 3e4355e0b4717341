import { CR, LF } from '../ascii.js';
import { isBytes, utf8Bytes, utf8Text } from '../bytes.js';
import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { OptionReader, payloadOf, tooLong } from '../codecs/options.js';
import { decodeAll } from '../decode-all.js';
import { FramingError, shown, wrongType } from '../errors.js';
import { Needles } from '../needles.js';
import { fault } from './fault.js';

/** A frame of STOMP 1.2. */
export interface StompFrame {
  command: string;
  /** Unescaped. Of a header that comes twice the first counts (1.2, "Repeated Header Entries"). */
  headers: Map<string, string>;
  body: Uint8Array;
}

/** A frame to be sent. `content-length` is added if the body contains NUL. */
export interface StompFrameToSend {
  command: string;
  headers?: ReadonlyMap<string, string> | Readonly<Record<string, string>> | undefined;
  body?: BytesLike | undefined;
}

/** Options of {@link stomp}. */
export interface StompOptions {
  /** `true`: messages are the bytes of whole frames, checked, without the NUL at their end. */
  raw?: boolean | undefined;
  /** Most bytes of a body. Default 16 MiB. */
  maxFrameLength?: number | undefined;
  /** Most bytes of command and headers. Default 16 KiB. */
  maxHeaderLength?: number | undefined;
}

const CLIENT = 'CONNECT STOMP SEND SUBSCRIBE UNSUBSCRIBE ACK NACK BEGIN COMMIT ABORT DISCONNECT';
const COMMANDS = new Set(`${CLIENT} CONNECTED MESSAGE RECEIPT ERROR`.split(' '));
/** For the sake of STOMP 1.0 these do not escape ("Value Encoding"). */
const UNESCAPED = new Set(['CONNECT', 'CONNECTED']);
const END_OF_HEADERS = new Needles([Uint8Array.of(LF, LF), Uint8Array.of(LF, CR, LF)]);
const ESCAPES: Record<string, string> = { '\\r': '\r', '\\n': '\n', '\\c': ':', '\\\\': '\\' };
const ESCAPED: Record<string, string> = { '\r': '\\r', '\n': '\\n', ':': '\\c', '\\': '\\\\' };

/**
 * Where the body of a frame stands. Kept in `input.state` until it has come, so that the head is not read with each chunk of
 * it: what it says is forgotten meanwhile, and read once more.
 */
interface Place {
  /** Where the body begins, from the beginning of the frame. */
  body: number;
  contentLength: number | undefined;
}

interface Head {
  command: string;
  headers: Map<string, string>;
  place: Place;
}

class StompCodec implements Codec<StompFrame | Uint8Array, StompFrameToSend | Uint8Array> {
  private readonly raw: boolean;
  private readonly maxFrameLength: number;
  private readonly maxHeaderLength: number;

  constructor(options: StompOptions) {
    const reader = new OptionReader('stomp', options, ['raw', 'maxFrameLength', 'maxHeaderLength']);
    this.raw = reader.flag('raw', false);
    this.maxFrameLength = reader.maxFrameLength();
    this.maxHeaderLength = reader.integer('maxHeaderLength', 16_384, 1, 0x7fffffff);
  }

  decode(input: Input): StompFrame | Uint8Array | undefined {
    if (input.state === undefined && !skipHeartBeats(input)) return undefined;
    const head = input.state === undefined ? this.readHead(input) : undefined;
    const place = (input.state ?? head?.place) as Place | undefined;
    if (place === undefined) return undefined;
    const end = this.bodyEnd(input, place);
    if (end === undefined) {
      input.state = place;
      return undefined;
    }
    input.state = undefined;
    if (this.raw) return input.takeInside(0, end, 1);
    const { command, headers } = head ?? this.readHead(input)!;
    return { command, headers, body: input.takeInside(place.body, end - place.body, 1) };
  }

  encode(message: StompFrameToSend | Uint8Array, output: Output): void {
    if (this.raw) {
      if (!isBytes(message)) throw wrongType('ERR_FRAMING_MESSAGE', `raw messages are bytes, got ${shown(message)}`);
      const whole = new Uint8Array(message.length + 1);
      whole.set(message);
      const frames = decodeAll(this, whole);
      if (frames.length !== 1 || (frames[0] as Uint8Array).length !== message.length) {
        throw new FramingError('BAD_VALUE', 'these bytes are not one frame');
      }
      output.bytes(message).u8(0);
      return;
    }
    this.writeFrame(message as StompFrameToSend, output);
  }

  private writeFrame({ command, headers = {}, body = '' }: StompFrameToSend, output: Output): void {
    if (!COMMANDS.has(command)) throw new FramingError('BAD_TYPE', `STOMP has no command ${shown(command)}`);
    const bytes = payloadOf(body);
    if (bytes.length > this.maxFrameLength) throw tooLong(bytes.length, this.maxFrameLength);
    const entries = headers instanceof Map ? [...headers] : Object.entries(headers as Record<string, string>);
    const told = entries.find(([name]) => name === 'content-length');
    if (told !== undefined && told[1] !== String(bytes.length)) {
      throw new FramingError('BAD_VALUE', `content-length is ${shown(told[1])}, the body has ${bytes.length} bytes`);
    }
    if (told === undefined && bytes.includes(0)) entries.push(['content-length', String(bytes.length)]);
    let text = `${command}\n`;
    for (const [name, value] of entries) {
      if (name === '') throw new FramingError('BAD_HEADER', 'a header has no name');
      text += `${escapedText(name, command)}:${escapedText(value, command, true)}\n`;
    }
    const head = utf8Bytes(`${text}\n`);
    // Without the two line ends behind them, as decoders count.
    const length = head.length - 2;
    if (length > this.maxHeaderLength) throw tooLong(length, this.maxHeaderLength);
    output.bytes(head).bytes(bytes).u8(0);
  }

  private readHead(input: Input): Head | undefined {
    const found = input.indexOf(END_OF_HEADERS);
    // Up to two bytes at the end may yet become the end of the headers.
    const length = found < 0 ? input.length - 2 : found;
    if (length > this.maxHeaderLength) {
      throw new FramingError('FRAME_TOO_LONG', `headers of more than maxHeaderLength, ${this.maxHeaderLength} bytes`);
    }
    if (found < 0) return undefined;
    const body = found + input.matched;
    const text = utf8Text(input.take(found));
    input.rewind();
    if (text === undefined) throw new FramingError('BAD_UTF8', 'the headers of a frame are not UTF-8');
    if (text.includes('\0')) throw new FramingError('BAD_HEADER', 'NUL in the headers of a frame');
    const lines = text.split('\n');
    const command = withoutCR(lines[0]!);
    if (!COMMANDS.has(command)) throw new FramingError('BAD_TYPE', `STOMP has no command ${shown(command)}`);
    const plain = text.includes('\\') && !UNESCAPED.has(command) ? unescapedText : asItStands;
    const headers = new Map<string, string>();
    for (let i = 1; i < lines.length; i++) {
      const line = withoutCR(lines[i]!);
      const colon = line.indexOf(':');
      if (colon < 1) throw new FramingError('BAD_HEADER', `a header without a name: ${shown(line)}`);
      const name = plain(line.slice(0, colon));
      if (!headers.has(name)) headers.set(name, plain(line.slice(colon + 1)));
    }
    return { command, headers, place: { body, contentLength: this.contentLength(headers.get('content-length')) } };
  }

  private contentLength(text: string | undefined): number | undefined {
    if (text === undefined) return undefined;
    if (!/^\d{1,16}$/.test(text)) throw new FramingError('BAD_DIGIT', `content-length is ${shown(text)}`);
    if (Number(text) > this.maxFrameLength) throw tooLong(Number(text), this.maxFrameLength);
    return Number(text);
  }

  /** Position of the NUL that ends the frame. */
  private bodyEnd(input: Input, { body, contentLength }: Place): number | undefined {
    if (contentLength !== undefined) {
      const end = body + contentLength;
      if (!input.has(end + 1)) return undefined;
      if (input.u8(end) !== 0) throw fault(input, end, 'BAD_TRAILER', 'no NUL behind a body');
      return end;
    }
    const end = input.indexOf(0, body);
    const length = (end < 0 ? input.length : end) - body;
    if (length > this.maxFrameLength) throw tooLong(length, this.maxFrameLength);
    return end < 0 ? undefined : end;
  }
}

/** Line ends between frames keep the connection alive ("Heart-beating"). `false`: there is nothing else. */
function skipHeartBeats(input: Input): boolean {
  while (input.length > 0) {
    const byte = input.u8(0);
    if (byte === CR) {
      if (!input.has(2)) return false;
      if (input.u8(1) !== LF) throw new FramingError('BAD_HEADER', 'CR without LF between frames');
      input.discard(2);
    } else if (byte === LF) input.discard(1);
    else return true;
  }
  return false;
}

function withoutCR(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}

function asItStands(text: string): string {
  return text;
}

function unescapedText(text: string): string {
  return text.replace(/\\[\s\S]?/g, (sequence) => {
    const plain = ESCAPES[sequence];
    if (plain === undefined) throw new FramingError('BAD_ESCAPE', `${shown(sequence)} is no escape sequence`);
    return plain;
  });
}

function escapedText(text: string, command: string, isValue = false): string {
  if (typeof text !== 'string') throw wrongType('ERR_FRAMING_MESSAGE', `a header is a string, got ${shown(text)}`);
  if (text.includes('\0')) throw new FramingError('BAD_DELIMITER', 'a header cannot contain NUL');
  if (/\p{Surrogate}/u.test(text)) throw new FramingError('BAD_UTF8', 'a header contains a lone surrogate');
  if (!UNESCAPED.has(command)) return text.replace(/[\r\n:\\]/g, (character) => ESCAPED[character]!);
  // Such a frame has no way to say it: it would be read as another header.
  if (/[\r\n]/.test(text) || (!isValue && text.includes(':'))) {
    throw new FramingError('BAD_DELIMITER', `a header of ${command} cannot contain ${shown(text)}`);
  }
  return text;
}

/**
 * The frames of STOMP 1.2 (stomp.github.io), for clients and servers. Heart-beats between them are dropped; to send one,
 * write a line feed to the connection.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function stomp(options: StompOptions & { raw: true }): Codec<Uint8Array>;
export function stomp(options?: StompOptions): Codec<StompFrame, StompFrameToSend>;
export function stomp(options: StompOptions = {}): Codec<never> {
  return new StompCodec(options) as unknown as Codec<never>;
}
