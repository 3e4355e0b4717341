import { CR, HYPHEN, LF, SPACE } from '../ascii.js';
import type { Codec, Input, Output } from '../codec.js';
import { FramingError, shown, wrongType } from '../errors.js';
import { type LimitOptions, OptionReader, tooLong } from './options.js';

/** Options of {@link statusReply}. */
export interface StatusReplyOptions extends LimitOptions {
  /**
   * How a reply of several lines is written. `'smtp'`: each line begins with the same code, and `-` stands behind it in all
   * but the last (RFC 5321 4.2.1). `'ftp'`: so does the first line, and the last begins with the same code and a space; the
   * lines between are free (RFC 959 4.2). Default `'smtp'`.
   */
  style?: 'ftp' | 'smtp' | undefined;
}

/** A reply as its reader sees it. */
export interface StatusReply {
  /** Three digits, 100 to 999. */
  code: number;
  /** The text of each line, one line at least, without line ends and without the code that the style puts before it. */
  lines: string[];
}

/** Digits of the code. */
const CODE_SIZE = 3;

/**
 * What of a reply has been read; kept in `input.state` between calls, so that each line is judged once. Its texts are not
 * kept: short lines would take many times their bytes. They are read again when the reply is complete.
 */
interface Progress {
  at: number;
  /** Bytes of its lines, without their ends. */
  size: number;
  code: number;
  /** How many lines. */
  count: number;
  /** Those of this call. */
  lines: string[];
}

class StatusReplyCodec implements Codec<StatusReply, Readonly<{ code: number; lines: readonly string[] }>> {
  private readonly ftp: boolean;
  private readonly maxFrameLength: number;

  constructor(reader: OptionReader) {
    this.ftp = reader.choice('style', 'smtp', ['ftp', 'smtp']) === 'ftp';
    this.maxFrameLength = reader.maxFrameLength();
  }

  decode(input: Input): StatusReply | undefined {
    const progress = (input.state as Progress | undefined) ?? begun();
    for (;;) {
      const { at } = progress;
      const lf = input.indexOf(LF, at);
      const ended = lf >= 0;
      const end = ended ? lf : input.length;
      // A CR at the end is no text, or may turn out to be none.
      const size = end > at && input.u8(end - 1) === CR ? end - 1 - at : end - at;
      if (progress.size + size > this.maxFrameLength) throw tooLong(progress.size + size, this.maxFrameLength);
      if (!ended) {
        progress.lines = [];
        input.state = progress;
        return undefined;
      }
      if (size === lf - at) {
        throw new FramingError('BARE_LF', 'a line feed without a carriage return before it', {
          offset: input.offset + lf,
        });
      }
      progress.at = lf + 1;
      progress.size += size;
      if (!this.readLine(input, at, size, progress)) continue;
      if (input.state !== undefined) input.state = undefined;
      const lines = progress.lines.length === progress.count ? progress.lines : this.linesAgain(input, progress.at);
      input.skip(progress.at);
      return { code: progress.code, lines };
    }
  }

  encode(message: Readonly<{ code: number; lines: readonly string[] }>, output: Output): void {
    const { code, lines } = checkReply(message);
    const last = lines.length - 1;
    let size = 0;
    for (const [i, line] of lines.entries()) {
      if (typeof line !== 'string') throw badMessage(`lines of text, got ${shown(line)}`);
      const inner = this.ftp && i > 0 && i < last;
      const before = output.length;
      if (!inner) output.text(`${code}${i < last ? '-' : ' '}`);
      output.text(checkLine(line, inner ? code : undefined));
      size += output.length - before;
      output.u8(CR).u8(LF);
    }
    if (size > this.maxFrameLength) throw tooLong(size, this.maxFrameLength);
  }

  private linesAgain(input: Input, end: number): string[] {
    const progress = begun();
    while (progress.at < end) {
      const { at } = progress;
      progress.at = input.indexOf(LF, at) + 1;
      this.readLine(input, at, progress.at - 2 - at, progress);
    }
    return progress.lines;
  }

  /** Reads the line of `size` bytes at `at`. Whether it is the last of its reply. */
  private readLine(input: Input, at: number, size: number, progress: Progress): boolean {
    const { lines } = progress;
    const first = progress.count++ === 0;
    const code = codeAt(input, at, size);
    const separator = size > CODE_SIZE ? input.u8(at + CODE_SIZE) : SPACE;
    if (!first && this.ftp && (code !== progress.code || separator !== SPACE)) {
      lines.push(textAt(input, at, size));
      return false;
    }
    if (code < 0 || (separator !== SPACE && separator !== HYPHEN)) {
      throw badReply(`a reply begins with three digits and ' ' or '-'`, input.offset + at);
    }
    if (!first && code !== progress.code) {
      throw badReply(`a line of code ${code} in a reply of code ${progress.code}`, input.offset + at);
    }
    progress.code = code;
    const text = Math.min(size, CODE_SIZE + 1);
    lines.push(textAt(input, at + text, size - text));
    return separator === SPACE;
  }
}

function begun(): Progress {
  return { at: 0, size: 0, code: 0, count: 0, lines: [] };
}

/** The code that begins the line of `size` bytes at `at`; -1 if none does. */
function codeAt(input: Input, at: number, size: number): number {
  if (size < CODE_SIZE) return -1;
  let code = 0;
  for (let i = 0; i < CODE_SIZE; i++) {
    const digit = input.u8(at + i) - 48;
    if (digit < 0 || digit > 9) return -1;
    code = code * 10 + digit;
  }
  return code < 100 ? -1 : code;
}

function textAt(input: Input, at: number, size: number): string {
  if (size === 0) return '';
  input.skip(at);
  const { offset } = input;
  const text = input.text(size);
  input.rewind();
  if (text === undefined) throw new FramingError('BAD_UTF8', 'the line is not valid UTF-8', { offset });
  return text;
}

function checkReply(message: unknown): { code: number; lines: readonly unknown[] } {
  if (typeof message !== 'object' || message === null) throw badMessage(`a status reply, got ${shown(message)}`);
  const { code, lines } = message as { code: unknown; lines: unknown };
  if (typeof code !== 'number') throw badMessage(`a code of type number, got ${shown(code)}`);
  if (!Array.isArray(lines)) throw badMessage(`an array of lines, got ${shown(lines)}`);
  if (!(Number.isInteger(code) && code >= 100 && code <= 999)) throw badReply(`a code has three digits, got ${code}`);
  if (lines.length === 0) throw badReply('a reply has one line at least, got none');
  return { code, lines };
}

const LINE_END = /[\r\n]/;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Throws if `line` would not be read back as one line; an inner one must not end the reply of `code`. */
function checkLine(line: string, code: number | undefined): string {
  if (LINE_END.test(line)) throw new FramingError('BAD_DELIMITER', 'a line contains a CR or a LF: it would become two');
  if (LONE_SURROGATE.test(line)) throw new FramingError('BAD_UTF8', 'a line contains a lone surrogate');
  if (code !== undefined && (line === `${code}` || line.startsWith(`${code} `))) {
    throw badReply(`a line between the first and the last must not begin with "${code} ": put a space before it`);
  }
  return line;
}

function badReply(message: string, offset?: number): FramingError {
  return new FramingError('BAD_REPLY', message, offset === undefined ? {} : { offset });
}

function badMessage(what: string): TypeError {
  return wrongType('ERR_FRAMING_MESSAGE', `statusReply wants ${what}`);
}

/**
 * Status replies of three digits and text, of one line or several, as SMTP, FTP, NNTP and many others have them. Messages
 * are `{ code, lines }`, the text in UTF-8.
 *
 * Lines end with CR LF; a LF alone is `BARE_LF`. A line without its code, with something else than a space or a hyphen
 * behind it, or with the code of another reply, is `BAD_REPLY`. `maxFrameLength` counts the bytes of all lines of a reply,
 * line ends not counted. The encoder refuses text with line ends in it (`BAD_DELIMITER`) and, for `'ftp'`, inner lines
 * that would end the reply (`BAD_REPLY`).
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function statusReply(
  options: StatusReplyOptions = {},
): Codec<StatusReply, Readonly<{ code: number; lines: readonly string[] }>> {
  return new StatusReplyCodec(new OptionReader('statusReply', options, ['style', 'maxFrameLength']));
}
