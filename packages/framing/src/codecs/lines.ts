import { CR, LF } from '../ascii.js';
import { indexOfByte } from '../bytes.js';
import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { FramingError } from '../errors.js';
import { Needles } from '../needles.js';
import {
  containsDelimiter,
  DELIMITED_OPTIONS,
  DelimitedCodec,
  type DelimitedOptions,
  delimitedSettings,
} from './delimited.js';
import { OptionReader } from './options.js';

/** Options of {@link lines}. `final` defaults to `'emit'`. */
export interface LinesOptions extends DelimitedOptions {
  /**
   * What ends a line. `'lf'` (the default): LF, with or without a CR before it. `'crlf'`: CR LF and nothing else.
   * `'any'`: CR, LF or CR LF. Written is CR LF for `'crlf'`, else LF.
   */
  eol?: 'lf' | 'crlf' | 'any' | undefined;
  /**
   * A LF without a CR before it: `'error'` makes it a fatal `BARE_LF`, which protocols with CR LF want, because who reads
   * it as an end of line and who does not are led apart by it (CVE-2023-51764, request smuggling). Default `'allow'`.
   */
  bareLF?: 'allow' | 'error' | undefined;
}

const CR_LF = new Uint8Array([CR, LF]);
const CR_LF_NEEDLE = /* @__PURE__ */ new Needles([CR_LF]);
const LF_ONLY = new Uint8Array([LF]);
const CR_OR_LF = /* @__PURE__ */ new Needles([new Uint8Array([CR]), LF_ONLY]);

/** The names of {@link LinesOptions}. */
export const LINES_OPTIONS = ['eol', 'bareLF', ...DELIMITED_OPTIONS] as const;

/** What lines have in common, whatever their messages are. */
export abstract class AnyLinesCodec<I> extends DelimitedCodec<I> {
  private readonly eol: 'lf' | 'crlf' | 'any';
  private readonly strictLF: boolean;

  constructor(reader: OptionReader) {
    super(delimitedSettings(reader, 'emit'));
    this.eol = reader.choice('eol', 'lf', ['lf', 'crlf', 'any']);
    this.strictLF = reader.choice('bareLF', 'allow', ['allow', 'error']) === 'error';
    if (this.strictLF && this.eol === 'any') {
      throw reader.contradiction("bareLF 'error' goes with eol 'crlf' or 'lf', got eol 'any', which allows a bare LF");
    }
  }

  protected find(input: Input): number {
    if (this.eol === 'any') return this.findAny(input);
    if (this.eol === 'crlf' && !this.strictLF) {
      this.delimiterSize = 2;
      return input.indexOf(CR_LF_NEEDLE);
    }
    const at = input.indexOf(LF);
    if (at <= 0 || input.u8(at - 1) !== CR) {
      this.delimiterSize = 1;
      return at;
    }
    this.delimiterSize = 2;
    return at - 1;
  }

  private findAny(input: Input): number {
    const at = input.indexOf(CR_OR_LF);
    this.delimiterSize = 1;
    if (at < 0 || input.u8(at) === LF) return at;
    if (this.strip) {
      // The line is delivered now: whoever ends lines with CR alone must not wait for the next one.
      input.dropNext(LF);
      return at;
    }
    // What is kept must be known: the byte after the CR decides.
    if (at + 1 === input.length) return -1;
    if (input.u8(at + 1) === LF) this.delimiterSize = 2;
    return at;
  }

  protected pendingAtEnd(input: Input): number {
    return input.u8(input.length - 1) === CR ? 1 : 0;
  }

  protected checkFrame(input: Input, payload: number): void {
    if (!this.strictLF || this.delimiterSize === 2) return;
    throw new FramingError('BARE_LF', 'a line feed without a carriage return before it', {
      offset: input.offset + payload,
    });
  }

  override end(input: Input): I | undefined {
    const length = input.length;
    if (length > 0 && input.state === undefined && input.u8(length - 1) === CR) {
      if (this.eol === 'any') return this.takeFinal(input, length - 1, length);
      if (this.eol === 'lf' && this.strip && this.emitFinal) {
        if (length > 1) return this.takeFinal(input, length - 1, length - 1);
        // A lone CR at the end is no line.
        input.discard(1);
        return undefined;
      }
    }
    return super.end(input);
  }

  protected checkPayload(payload: Uint8Array): void {
    const size = payload.length;
    const lf = indexOfByte(payload, LF, 0, size);
    if (lf >= 0) throw containsDelimiter(lf);
    if (this.eol === 'any') {
      const cr = indexOfByte(payload, CR, 0, size);
      if (cr >= 0) throw containsDelimiter(cr);
    } else if (this.eol === 'lf' && size > 0 && payload[size - 1] === CR) {
      throw new FramingError(
        'BAD_DELIMITER',
        'the payload ends with a CR, which would be read as part of the line end',
      );
    }
  }

  protected delimiterAtEnd(message: Uint8Array): number {
    const size = message.length;
    if (size === 0) return 0;
    const last = message[size - 1];
    if (last === CR) return this.eol === 'any' ? 1 : 0;
    if (last !== LF) return 0;
    if (size > 1 && message[size - 2] === CR) return 2;
    return this.eol === 'crlf' || this.strictLF ? 0 : 1;
  }

  protected writeDelimiter(output: Output): void {
    output.bytes(this.eol === 'crlf' || this.strictLF ? CR_LF : LF_ONLY);
  }
}

class LinesCodec extends AnyLinesCodec<Uint8Array> {
  protected take(input: Input, n: number): Uint8Array {
    return input.take(n);
  }
}

/**
 * Lines. Messages are bytes without their line end; {@link utf8Lines} makes strings of them.
 *
 * Encoding a payload that contains a line end, or any LF, throws `BAD_DELIMITER`: nothing that a user typed becomes two
 * lines. An unterminated last line is a message, unless `final: 'error'`. With `eol: 'any'` and `strip: false` a message that
 * is a lone LF, sent behind one that ends with CR, becomes one line end with it: that is not noticed.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function lines(options: LinesOptions = {}): Codec<Uint8Array, BytesLike> {
  return new LinesCodec(new OptionReader('lines', options, LINES_OPTIONS));
}
