import { indexOfByte, newBytes, View } from '../bytes.js';
import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { FramingError } from '../errors.js';
import { ESCAPED_OPTIONS, EscapedCodec, type EscapedOptions, type Progress } from './escaped.js';
import { OptionReader } from './options.js';

const END = 0xc0;
const ESC = 0xdb;
const ESC_END = 0xdc;
const ESC_ESC = 0xdd;

class SlipCodec extends EscapedCodec {
  protected find(input: Input): number {
    return input.indexOf(END);
  }

  protected judge(input: Input, size: number, progress: Progress): void {
    while (progress.at < size) {
      let width = 1;
      if (input.u8(progress.at) === ESC) {
        if (progress.at + 1 === input.length) return;
        const byte = input.u8(progress.at + 1);
        if (byte !== ESC_END && byte !== ESC_ESC) throw badEscape(byte, input.offset + progress.at + 1);
        width = 2;
      }
      progress.at += width;
      this.check(++progress.payload, input, size);
    }
  }

  protected decoded(frame: Uint8Array, offset: number): Uint8Array {
    const { length } = frame;
    if (indexOfByte(frame, ESC, 0, length) < 0) return frame;
    const payload = newBytes(length - 1);
    let size = 0;
    for (let at = 0; at < length; at++) {
      let byte = frame[at]!;
      if (byte === ESC) {
        // Behind the last byte stands the end of the frame.
        byte = ++at < length ? frame[at]! : END;
        if (byte === ESC_END) byte = END;
        else if (byte === ESC_ESC) byte = ESC;
        else throw badEscape(byte, offset + at);
      }
      payload[size++] = byte;
    }
    // With one escape, the most frequent case, it is full.
    return size === payload.length ? payload : new View(payload.buffer, payload.byteOffset, size);
  }

  protected write(payload: Uint8Array, output: Output): void {
    const { length } = payload;
    if (length === 0) throw new FramingError('BAD_LENGTH', 'an empty payload cannot be told from no frame');
    let from = 0;
    for (let at = 0; at < length; at++) {
      const byte = payload[at]!;
      if (byte !== END && byte !== ESC) continue;
      if (at > from) output.bytes(payload.subarray(from, at));
      output.u8(ESC).u8(byte === END ? ESC_END : ESC_ESC);
      from = at + 1;
    }
    if (from === 0) output.bytes(payload);
    else if (from < length) output.bytes(payload.subarray(from));
    output.u8(END);
  }
}

function badEscape(byte: number, offset: number): FramingError {
  return new FramingError('BAD_ESCAPE', `0x${byte.toString(16)} behind an escape`, { offset });
}

/**
 * SLIP (RFC 1055): frames end with 0xC0, which is escaped inside. Messages are bytes, one at least.
 *
 * Empty frames are dropped, as the RFC advises: senders begin with an END to part from line noise. Hence an empty
 * payload cannot be encoded, `BAD_LENGTH`. An escape before anything but its two codes is `BAD_ESCAPE`. `maxFrameLength`
 * counts what the escapes stand for.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function slip(options: EscapedOptions = {}): Codec<Uint8Array, BytesLike> {
  return new SlipCodec(new OptionReader('slip', options, ESCAPED_OPTIONS), true);
}
