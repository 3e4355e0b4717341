import { CR, DOT, LF } from '../ascii.js';
import { indexOfByte, newBytes, View } from '../bytes.js';
import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { FramingError } from '../errors.js';
import { Needles } from '../needles.js';
import { DISCARDING, ESCAPED_OPTIONS, EscapedCodec, type EscapedOptions, type Progress } from './escaped.js';
import { OptionReader } from './options.js';

/** Options of {@link dotStuffed}. */
export interface DotStuffedOptions extends EscapedOptions {
  /**
   * A LF without a CR before it, which ends no line here: `'error'` makes it `BARE_LF` in both directions. A relay wants
   * that: whoever reads the message behind it may take LF `.` LF for its end (CVE-2023-51764). Default `'allow'`.
   */
  bareLF?: 'allow' | 'error' | undefined;
}

const CR_LF = new Uint8Array([CR, LF]);
const END = new Uint8Array([DOT, CR, LF]);
const END_LINE = /* @__PURE__ */ new Needles([new Uint8Array([CR, LF, DOT, CR, LF])]);
const DOT_LINE = /* @__PURE__ */ new Needles([new Uint8Array([CR, LF, DOT])]);

class DotStuffedCodec extends EscapedCodec {
  private readonly strictLF: boolean;

  constructor(reader: OptionReader) {
    super(reader, false);
    this.strictLF = reader.choice('bareLF', 'allow', ['allow', 'error']) === 'error';
    this.endSize = END.length;
  }

  protected find(input: Input): number {
    const first = input.state !== DISCARDING && input.u8(0) === DOT;
    if (first && input.length >= 3 && input.u8(1) === CR && input.u8(2) === LF) return 0;
    const at = input.indexOf(END_LINE);
    return at < 0 ? -1 : at + CR_LF.length;
  }

  protected override pendingAtEnd(input: Input): number {
    return END_LINE.pendingAtEnd(input.length, (at) => input.u8(at));
  }

  protected judge(input: Input, size: number, progress: Progress): void {
    while (progress.at < size) {
      const { at } = progress;
      const byte = input.u8(at);
      if (byte === LF && this.strictLF && (at === 0 || input.u8(at - 1) !== CR)) throw bareLF(input.offset + at);
      if (byte === DOT && (at === 0 || (at > 1 && input.u8(at - 1) === LF && input.u8(at - 2) === CR))) {
        // The beginning of a line, which may turn out to be the end of the message.
        if (at + 1 === input.length || (input.u8(at + 1) === CR && at + 2 === input.length)) return;
      } else {
        progress.payload++;
      }
      progress.at++;
      this.check(progress.payload, input, size);
    }
  }

  protected decoded(frame: Uint8Array, offset: number): Uint8Array {
    if (this.strictLF) checkLineFeeds(frame, offset);
    const { length } = frame;
    let from = length > 0 && frame[0] === DOT ? 1 : 0;
    let dot = nextDot(frame, 0);
    if (dot < 0) return from === 0 ? frame : new View(frame.buffer, frame.byteOffset + from, length - from);
    const payload = newBytes(length - from);
    let size = 0;
    for (; dot >= 0; dot = nextDot(frame, from)) {
      payload.set(new View(frame.buffer, frame.byteOffset + from, dot - from), size);
      size += dot - from;
      from = dot + 1;
    }
    payload.set(new View(frame.buffer, frame.byteOffset + from, length - from), size);
    return new View(payload.buffer, payload.byteOffset, size + length - from);
  }

  protected write(payload: Uint8Array, output: Output): void {
    if (this.strictLF) checkLineFeeds(payload, undefined);
    const { length } = payload;
    if (length > 0 && payload[0] === DOT) output.u8(DOT);
    let from = 0;
    for (let dot = nextDot(payload, 0); dot >= 0; dot = nextDot(payload, dot + 1)) {
      // The dot is written twice: at the end of this piece and at the beginning of the next.
      output.bytes(payload.subarray(from, dot + 1));
      from = dot;
    }
    if (from < length) output.bytes(from === 0 ? payload : payload.subarray(from));
    if (length > 0 && !(payload[length - 1] === LF && payload[length - 2] === CR)) output.bytes(CR_LF);
    output.bytes(END);
  }
}

/** Position of the next dot behind a CR LF that stands at or behind `from`; -1 if there is none. */
function nextDot(bytes: Uint8Array, from: number): number {
  const line = DOT_LINE.search(bytes, from, from, bytes.length);
  return line < 0 ? -1 : line + CR_LF.length;
}

function checkLineFeeds(bytes: Uint8Array, offset: number | undefined): void {
  for (let at = indexOfByte(bytes, LF, 0, bytes.length); at >= 0; at = indexOfByte(bytes, LF, at + 1, bytes.length)) {
    if (at === 0 || bytes[at - 1] !== CR) throw bareLF(offset === undefined ? undefined : offset + at);
  }
}

function bareLF(offset: number | undefined): FramingError {
  const message = 'a line feed without a carriage return before it';
  return new FramingError('BARE_LF', message, offset === undefined ? {} : { offset });
}

/**
 * Messages of lines that end with a line of a single dot, the dots at the beginning of other lines doubled: the body of a
 * mail (RFC 5321 4.5.2), of news (RFC 3977) and of POP3. Messages are bytes, each line with its CR LF.
 *
 * Only CR LF ends a line: LF `.` LF, or any other mixture, does not end a message. The encoder adds the CR LF that a last
 * line lacks. `maxFrameLength` counts the message without the dots.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function dotStuffed(options: DotStuffedOptions = {}): Codec<Uint8Array, BytesLike> {
  return new DotStuffedCodec(new OptionReader('dotStuffed', options, [...ESCAPED_OPTIONS, 'bareLF']));
}
