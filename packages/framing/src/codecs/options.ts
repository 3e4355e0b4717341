import { isBytes, utf8Bytes } from '../bytes.js';
import type { BytesLike } from '../codec.js';
import { FramingError, type FramingErrorInfo, shown, wrongRange, wrongType } from '../errors.js';

/** Unless told otherwise, no payload may be longer than this: 16 MiB. */
export const DEFAULT_MAX_FRAME_LENGTH = 16 * 1024 * 1024;

/** Options of the codecs that have nothing but a limit. */
export interface LimitOptions {
  /** Most bytes of payload, not counting what stands around it. Default 16 MiB. */
  maxFrameLength?: number | undefined;
}

/**
 * The options of one codec, checked when it is made: misuse must not wait for the first frame, and a misspelt option
 * must not be a limit that is not there.
 */
export class OptionReader {
  private readonly codec: string;
  private readonly options: Readonly<Record<string, unknown>>;

  constructor(codec: string, options: unknown, known: readonly string[]) {
    this.codec = codec;
    if (typeof options !== 'object' || options === null) {
      throw wrongType('ERR_FRAMING_OPTION', `${codec} wants an object of options, got ${shown(options)}`);
    }
    this.options = options as Record<string, unknown>;
    for (const name of Object.keys(options)) {
      if (known.includes(name)) continue;
      throw wrongType('ERR_FRAMING_OPTION', `${codec} has no option ${shown(name)}; it has ${known.join(', ')}`);
    }
  }

  has(name: string): boolean {
    return this.options[name] !== undefined;
  }

  integer(name: string, fallback: number | undefined, least: number, most: number): number {
    const value = this.options[name] ?? fallback;
    if (typeof value !== 'number') throw this.type(name, 'an integer', value);
    if (!Number.isInteger(value) || value < least || value > most) {
      throw this.range(name, `an integer from ${least} to ${most}`, value);
    }
    return value;
  }

  /** The longest payload; `Infinity` is allowed. */
  maxFrameLength(): number {
    const value = this.options.maxFrameLength ?? DEFAULT_MAX_FRAME_LENGTH;
    if (typeof value !== 'number') throw this.type('maxFrameLength', 'a number of bytes', value);
    if (value === Number.POSITIVE_INFINITY) return value;
    return this.integer('maxFrameLength', DEFAULT_MAX_FRAME_LENGTH, 0, Number.MAX_SAFE_INTEGER);
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.options[name] ?? fallback;
    if (typeof value !== 'boolean') throw this.type(name, 'true or false', value);
    return value;
  }

  choice<T extends string>(name: string, fallback: T, choices: readonly T[]): T {
    const value = this.options[name] ?? fallback;
    if (typeof value !== 'string') throw this.type(name, oneOf(choices), value);
    if (!choices.includes(value as T)) throw this.range(name, oneOf(choices), value);
    return value as T;
  }

  callback<T extends Function>(name: string): T | undefined {
    const value = this.options[name];
    if (value !== undefined && typeof value !== 'function') throw this.type(name, 'a function', value);
    return value as T | undefined;
  }

  /** One byte string, copied, as bytes or as text in UTF-8; at least one byte. */
  bytes(name: string): Uint8Array | undefined {
    const value = this.options[name];
    return value === undefined ? undefined : this.oneByteString(name, value);
  }

  /** One or several of them. */
  byteStrings(name: string): Uint8Array[] {
    const value = this.options[name];
    const list: unknown[] = Array.isArray(value) ? value : [value];
    if (list.length === 0) throw this.range(name, 'at least one', value);
    return list.map((item) => this.oneByteString(name, item));
  }

  /** What belongs to a byte, 0 or more of something: as a `Map`, or as an object with numbers or hex digits for keys. */
  byteTable(name: string): [byte: number, count: number][] {
    const value = this.options[name];
    if (typeof value !== 'object' || value === null) throw this.type(name, 'an object or a Map', value);
    const entries: [unknown, unknown][] = value instanceof Map ? [...value] : Object.entries(value);
    if (entries.length === 0) throw this.range(name, 'at least one entry', value);
    const hex = !(value instanceof Map) && inHex(Object.keys(value));
    return entries.map(([key, count]) => {
      const byte = typeof key === 'string' ? (hex ? Number.parseInt(key, 16) : Number(key || Number.NaN)) : key;
      if (typeof byte !== 'number' || !(Number.isInteger(byte) && byte >= 0 && byte <= 0xff)) {
        throw this.range(name, 'bytes from 0 to 255 for keys', key);
      }
      if (typeof count !== 'number') throw this.type(`${name}[${shown(key)}]`, 'an integer', count);
      if (!(Number.isInteger(count) && count >= 0 && count <= 0x7fffffff)) {
        throw this.range(`${name}[${shown(key)}]`, 'an integer from 0 to 2147483647', count);
      }
      return [byte, count];
    });
  }

  /** The error to throw for options that contradict each other. */
  contradiction(message: string): RangeError {
    return wrongRange('ERR_FRAMING_OPTION', `${this.codec}: ${message}`);
  }

  private oneByteString(name: string, value: unknown): Uint8Array {
    if (typeof value !== 'string' && !isBytes(value)) throw this.type(name, 'a Uint8Array or a string', value);
    if (value.length === 0) throw this.range(name, 'one byte or more', value);
    return typeof value === 'string' ? utf8Bytes(value) : value.slice();
  }

  private type(name: string, wanted: string, given: unknown): TypeError {
    return wrongType('ERR_FRAMING_OPTION', `${this.codec}: ${name} wants ${wanted}, got ${shown(given)}`);
  }

  private range(name: string, wanted: string, given: unknown): RangeError {
    return wrongRange('ERR_FRAMING_OPTION', `${this.codec}: ${name} wants ${wanted}, got ${shown(given)}`);
  }
}

/** Whether the keys are bytes in two hexadecimal digits: all of them look so, and not all of them like numbers. */
function inHex(keys: readonly string[]): boolean {
  return keys.every((key) => /^[\da-f]{2}$/i.test(key)) && keys.some((key) => String(Number(key)) !== key);
}

function oneOf(choices: readonly string[]): string {
  return choices.map((choice) => `'${choice}'`).join(' or ');
}

/** The bytes of a message that is to be encoded. */
export function payloadOf(message: BytesLike): Uint8Array {
  if (isBytes(message)) return message;
  if (typeof message === 'string') return utf8Bytes(message);
  throw wrongType('ERR_FRAMING_MESSAGE', `a message must be a Uint8Array or a string, got ${shown(message)}`);
}

/** `FRAME_TOO_LONG` of a decoder that does not know the length, but that it is more than `most`. */
export function overLimit(most: number, info?: FramingErrorInfo): FramingError {
  return new FramingError('FRAME_TOO_LONG', `a payload of ${most + 1} bytes or more; maxFrameLength is ${most}`, info);
}

/** `FRAME_TOO_LONG` of an encoder, and of a decoder that knows the length. */
export function tooLong(length: number, most: number, info?: FramingErrorInfo): FramingError {
  return new FramingError('FRAME_TOO_LONG', `a payload of ${length} bytes; maxFrameLength is ${most}`, info);
}
