import { newBytes, View } from '../bytes.js';
import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { FramingError } from '../errors.js';
import { ESCAPED_OPTIONS, EscapedCodec, type EscapedOptions, type Progress } from './escaped.js';
import { OptionReader } from './options.js';

/** The code of a block without a zero behind it: 254 bytes and no more. */
const FULL = 0xff;

class CobsCodec extends EscapedCodec {
  protected find(input: Input): number {
    return input.indexOf(0);
  }

  /** `progress.at` stands at the code of a block. */
  protected judge(input: Input, size: number, progress: Progress): void {
    while (progress.at < size) {
      const code = input.u8(progress.at);
      const next = progress.at + code;
      this.check(progress.payload + Math.min(next, size) - progress.at - 1, input, size);
      // Where the next block begins is a zero; at the end of the frame there is none.
      if (next >= size) return;
      progress.payload += code === FULL ? code - 1 : code;
      progress.at = next;
      this.check(progress.payload, input, size);
    }
  }

  protected decoded(frame: Uint8Array, offset: number): Uint8Array {
    const { length } = frame;
    // A block alone is the payload as it stands.
    if (frame[0] === length) return new View(frame.buffer, frame.byteOffset + 1, length - 1);
    let hidden = 0;
    for (let at = 0; at < length; ) {
      const code = frame[at]!;
      const next = at + code;
      if (next > length) {
        throw new FramingError('BAD_ESCAPE', `a block of ${code - 1} bytes reaches over the end of the frame`, {
          offset: offset + at,
        });
      }
      if (code === FULL && next < length) hidden++;
      at = next;
    }
    // Behind a full block stands a code and no zero.
    const payload = newBytes(length - 1 - hidden);
    let size = 0;
    for (let at = 0; at < length; ) {
      const code = frame[at]!;
      const next = at + code;
      while (++at < next) payload[size++] = frame[at]!;
      if (code !== FULL && next < length) payload[size++] = 0;
    }
    return payload;
  }

  protected write(payload: Uint8Array, output: Output): void {
    const { length } = payload;
    const frame = newBytes(length + Math.ceil((length + 1) / (FULL - 1)) + 1);
    let code = 0;
    let size = 1;
    for (let at = 0; at < length; at++) {
      const byte = payload[at]!;
      if (byte !== 0) frame[size++] = byte;
      // A full block needs no empty one behind it.
      if (byte === 0 || (size - code === FULL && at + 1 < length)) {
        frame[code] = size - code;
        code = size++;
      }
    }
    frame[code] = size - code;
    frame[size++] = 0;
    output.bytes(new View(frame.buffer, frame.byteOffset, size));
  }
}

/**
 * COBS, consistent overhead byte stuffing (Cheshire and Baker, 1999): frames end with a zero, and those of the payload are
 * replaced by the distances between them, one byte in 254 at the most. Messages are bytes.
 *
 * Zeros between frames are dropped; an empty payload is `01 00`. A block that reaches over the end of its frame is
 * `BAD_ESCAPE`. `maxFrameLength` counts decoded bytes.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function cobs(options: EscapedOptions = {}): Codec<Uint8Array, BytesLike> {
  return new CobsCodec(new OptionReader('cobs', options, ESCAPED_OPTIONS), true);
}
