import { CR, CRLF, LF, SEMICOLON, SPACE, TAB } from '../ascii.js';
import { isBytes } from '../bytes.js';
import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { OptionReader, payloadOf, tooLong } from '../codecs/options.js';
import { FramingError, shown, wrongType } from '../errors.js';
import { Needles } from '../needles.js';
import { fault } from './fault.js';
import { latin1Bytes } from './text.js';

/** One chunk with all that may stand around its body. RFC 9112 7.1 */
export interface Chunk {
  /** Empty: the last chunk. */
  body: Uint8Array;
  /** What stands behind the size, beginning with `;`; nearly always empty. 7.1.1 */
  extensions: string;
  /** The fields behind the last chunk, as they were sent. 7.1.2 */
  trailers: [name: string, value: string][];
}

/** A chunk to be sent: a body, or more. */
export type ChunkToSend = BytesLike | { body: BytesLike; extensions?: string; trailers?: readonly [string, string][] };

/** Options of {@link chunked}. */
export interface ChunkedOptions {
  /** `true`: messages are {@link Chunk}s, with extensions and trailers. Default `false`: the bodies alone. */
  details?: boolean | undefined;
  /** Most bytes of one chunk. Default 16 MiB. */
  maxFrameLength?: number | undefined;
  /** Most bytes of the extensions of one chunk, and of all trailers. Default 8192. */
  maxHeaderLength?: number | undefined;
}

/** Longer runs of digits are zeros that somebody hides behind. */
const MOST_DIGITS = 16;
const END_OF_TRAILERS = new Needles([Uint8Array.of(CR, LF, CR, LF)]);
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** field-value of RFC 9110 5.5: no control character but HTAB. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get in
const VALUE = /^[^\0-\x08\x0a-\x1f\x7f]*$/;
/** chunk-ext of RFC 9112 7.1.1. */
const EXTENSIONS =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get in
  /^(?:[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*=[ \t]*(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[^"\\\0-\x08\x0a-\x1f\x7f]|\\[\t -\x7e\x80-\xff])*"))?)*$/;

class ChunkedCodec implements Codec<Uint8Array | Chunk, ChunkToSend> {
  private readonly details: boolean;
  private readonly maxFrameLength: number;
  private readonly maxHeaderLength: number;

  constructor(options: ChunkedOptions) {
    const reader = new OptionReader('chunked', options, ['details', 'maxFrameLength', 'maxHeaderLength']);
    this.details = reader.flag('details', false);
    this.maxFrameLength = reader.maxFrameLength();
    this.maxHeaderLength = reader.integer('maxHeaderLength', 8192, 0, 0x7fffffff);
  }

  decode(input: Input): Uint8Array | Chunk | undefined {
    let size = 0;
    let at = 0;
    for (; ; at++) {
      if (!input.has(at + 1)) return undefined;
      const digit = hexDigit(input.u8(at));
      if (digit < 0) break;
      if (at === MOST_DIGITS) throw fault(input, at, 'BAD_LENGTH', 'a chunk size of too many digits');
      size = size * 16 + digit;
    }
    if (at === 0) throw fault(input, at, 'BAD_DIGIT', 'a chunk begins with its size in hexadecimal digits');
    if (size > this.maxFrameLength) throw tooLong(size, this.maxFrameLength);
    if (size > Number.MAX_SAFE_INTEGER) throw fault(input, 0, 'BAD_LENGTH', 'a chunk size above 2^53-1');
    const end = this.lineEnd(input, at);
    if (end < 0) return undefined;
    const read = input.state as string | undefined;
    const extensions = read ?? (end - 2 === at ? '' : this.extensions(input, at, end - 2));
    if (size === 0) return this.last(input, end, extensions);
    if (!input.has(end + size + 2)) return undefined;
    if (input.u16(end + size) !== CRLF) throw fault(input, end + size, 'BAD_TRAILER', 'no CR LF behind a chunk');
    const body = input.takeInside(end, size, 2);
    return this.details ? { body, extensions, trailers: [] } : body;
  }

  encode(message: ChunkToSend, output: Output): void {
    const plain = typeof message === 'string' || isBytes(message);
    if (!plain && (typeof message !== 'object' || message === null)) {
      throw wrongType('ERR_FRAMING_MESSAGE', `a chunk is bytes, a string or an object, got ${shown(message)}`);
    }
    const { body, extensions = '', trailers = [] } = plain ? { body: message } : message;
    const bytes = payloadOf(body);
    if (bytes.length > this.maxFrameLength) throw tooLong(bytes.length, this.maxFrameLength);
    if (!EXTENSIONS.test(extensions) || !isLatin1(extensions)) {
      throw new FramingError('BAD_HEADER', `chunk extensions cannot be ${shown(extensions)} (RFC 9112 7.1.1)`);
    }
    if (bytes.length > 0 && trailers.length > 0) {
      throw new FramingError('BAD_VALUE', 'trailers follow the last chunk, whose body is empty');
    }
    this.checkHeader(extensions.length);
    output.text(bytes.length.toString(16)).bytes(latin1Bytes(extensions)).u16(CRLF);
    if (bytes.length > 0) output.bytes(bytes);
    const from = output.length;
    for (const [name, value] of trailers) {
      if (!TOKEN.test(name) || !VALUE.test(value) || !isLatin1(value)) {
        throw new FramingError('BAD_HEADER', `a trailer cannot be ${shown(name)}: ${shown(value)} (RFC 9110 5)`);
      }
      output
        .text(`${name}: `)
        .bytes(latin1Bytes(trimmed(value)))
        .u16(CRLF);
    }
    // The line end of the last one does not count: it belongs to what ends the trailers.
    this.checkHeader(output.length - from - 2);
    output.u16(CRLF);
  }

  /**
   * Position behind the CR LF that ends the line of the size, whose digits end at `at`; -1 if it is not there yet. LF
   * alone, or anything but a semicolon behind the digits, is how requests are smuggled past one of two parsers.
   */
  private lineEnd(input: Input, at: number): number {
    const next = input.u8(at);
    if (next === CR) {
      if (!input.has(at + 2)) return -1;
      if (input.u8(at + 1) !== LF) throw fault(input, at + 1, 'BAD_DELIMITER', 'no LF behind the CR of a chunk size');
      return at + 2;
    }
    if (next === LF) throw fault(input, at, 'BARE_LF', 'the line of a chunk size ends with LF alone');
    if (next !== SEMICOLON && next !== SPACE && next !== TAB) {
      throw fault(input, at, 'BAD_DIGIT', 'a chunk size consists of hexadecimal digits');
    }
    const end = input.indexOf(LF, at);
    if ((end < 0 ? input.length : end) - 1 - at > this.maxHeaderLength) throw this.headerTooLong(input, at);
    if (end >= 0 && input.u8(end - 1) !== CR)
      throw fault(input, end, 'BARE_LF', 'a chunk extension ends with LF alone');
    return end < 0 ? -1 : end + 1;
  }

  private extensions(input: Input, from: number, to: number): string {
    const text = input.latin1(from, to);
    if (EXTENSIONS.test(text)) return text.trimStart();
    throw fault(input, from, 'BAD_HEADER', 'malformed chunk extensions');
  }

  private last(input: Input, from: number, extensions: string): Uint8Array | Chunk | undefined {
    // The line end before them belongs to what ends the trailers: without any they are this one and the next.
    if (input.length > from && input.u8(from) === LF)
      throw fault(input, from, 'BARE_LF', 'the body ends with LF alone');
    const found = input.indexOf(END_OF_TRAILERS, from - 2);
    if ((found < 0 ? input.length - 3 : found) - from > this.maxHeaderLength) throw this.headerTooLong(input, from);
    // Kept: they are not to be read again with each byte of the trailers.
    input.state = found < 0 ? extensions : undefined;
    if (found < 0) return undefined;
    const trailers = found < from ? [] : this.trailers(input, from, found + 2);
    input.skip(from);
    const body = input.take(0);
    input.skip(found + 4 - from);
    return this.details ? { body, extensions, trailers } : body;
  }

  private trailers(input: Input, from: number, to: number): [string, string][] {
    const fields: [string, string][] = [];
    for (let at = from; at < to; ) {
      const end = input.indexOf(LF, at);
      if (input.u8(end - 1) !== CR) throw fault(input, end, 'BARE_LF', 'a trailer ends with LF alone');
      const line = input.latin1(at, end - 1);
      const colon = line.indexOf(':');
      // Folded lines, and white space before the colon, are errors too: RFC 9112 5.1, 5.2.
      if (colon < 0 || !TOKEN.test(line.slice(0, colon)) || !VALUE.test(line.slice(colon + 1))) {
        throw fault(input, at, 'BAD_HEADER', `a malformed trailer: ${shown(line)}`);
      }
      fields.push([line.slice(0, colon), trimmed(line.slice(colon + 1))]);
      at = end + 1;
    }
    return fields;
  }

  private checkHeader(length: number): void {
    if (length > this.maxHeaderLength) throw new FramingError('FRAME_TOO_LONG', this.tooMuch());
  }

  private headerTooLong(input: Input, at: number): FramingError {
    return fault(input, at, 'FRAME_TOO_LONG', this.tooMuch());
  }

  private tooMuch(): string {
    return `extensions or trailers are longer than maxHeaderLength, ${this.maxHeaderLength} bytes`;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** Without the optional white space around it. A loop: the regular expression for it takes quadratic time. */
function trimmed(value: string): string {
  let from = 0;
  let to = value.length;
  while (from < to && isBlank(value.charCodeAt(from))) from++;
  while (to > from && isBlank(value.charCodeAt(to - 1))) to--;
  return value.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

function isLatin1(text: string): boolean {
  return !/[^\0-\xff]/.test(text);
}

/**
 * The chunked transfer coding of HTTP/1.1 (RFC 9112 7.1). A message is the body of one chunk; an empty one is the last,
 * behind its trailers. What follows belongs to the next message of HTTP: go on with `use`.
 *
 * Strict, as two parsers that disagree are how requests are smuggled: only hexadecimal digits, only CR LF, extensions
 * and trailers by their grammar.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function chunked(options: ChunkedOptions & { details: true }): Codec<Chunk, ChunkToSend>;
export function chunked(options?: ChunkedOptions): Codec<Uint8Array, ChunkToSend>;
export function chunked(options: ChunkedOptions = {}): Codec<never, ChunkToSend> {
  return new ChunkedCodec(options) as Codec<never, ChunkToSend>;
}
