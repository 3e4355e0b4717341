import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { FramingError } from '../errors.js';
import { OptionReader, payloadOf } from './options.js';

/** Options of {@link typeTable}. */
export interface TypeTableOptions {
  /**
   * How many bytes follow the type byte, by type: `{ 0x01: 2, 0x7f: 0 }`. Types are numbers from 0 to 255, or all of them
   * two hexadecimal digits, `{ '01': 2, '7f': 0 }`.
   */
  table: Readonly<Record<number | string, number>> | ReadonlyMap<number, number>;
}

const UNKNOWN = -1;

class TypeTableCodec implements Codec<Uint8Array, BytesLike> {
  /** By type: the length of the whole frame. */
  private readonly lengths: Float64Array;

  constructor(lengths: Float64Array) {
    this.lengths = lengths;
  }

  decode(input: Input): Uint8Array | undefined {
    const length = this.lengths[input.u8(0)]!;
    if (length === UNKNOWN) throw badType(input.u8(0));
    return input.has(length) ? input.take(length) : undefined;
  }

  encode(message: BytesLike, output: Output): void {
    const frame = payloadOf(message);
    if (frame.length === 0) throw new FramingError('BAD_LENGTH', 'a message must begin with its type, got no bytes');
    const length = this.lengths[frame[0]!]!;
    if (length === UNKNOWN) throw badType(frame[0]!);
    if (frame.length !== length) {
      throw new FramingError('BAD_LENGTH', `a frame of type ${frame[0]} has ${length} bytes, got ${frame.length}`);
    }
    output.bytes(frame);
  }
}

function badType(type: number): FramingError {
  return new FramingError('BAD_TYPE', `the type 0x${type.toString(16).padStart(2, '0')} is not in the table`);
}

/**
 * Frames whose first byte tells their type, and thereby their length. Messages are bytes, the type first.
 *
 * A type that is not in the table is `BAD_TYPE`, in both directions. The encoder refuses a message of another length
 * than that of its type with `BAD_LENGTH`.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function typeTable(options: TypeTableOptions): Codec<Uint8Array, BytesLike> {
  const lengths = new Float64Array(256).fill(UNKNOWN);
  for (const [type, length] of new OptionReader('typeTable', options, ['table']).byteTable('table')) {
    lengths[type] = 1 + length;
  }
  return new TypeTableCodec(lengths);
}
