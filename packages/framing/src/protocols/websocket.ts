import { isBytes, utf8Bytes, utf8Text, View } from '../bytes.js';
import type { BytesLike, Codec, Input, Output } from '../codec.js';
import { OptionReader, tooLong } from '../codecs/options.js';
import { FramingError, shown, wrongType } from '../errors.js';
import { maskInto, newMask, unmask } from './websocket-mask.js';

/** One frame. RFC 6455 5.2 */
export interface WebSocketFrame {
  /** Whether it ends its message. */
  fin: boolean;
  /** 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong. */
  opcode: number;
  /** Unmasked. Received: bytes. To be sent: text goes out in UTF-8. */
  payload: Uint8Array;
}

/** A frame to be sent. */
export interface WebSocketFrameToSend {
  /** Default `true`. */
  fin?: boolean | undefined;
  opcode: number;
  /** Default: empty. */
  payload?: BytesLike | undefined;
}

/** Options of {@link websocket}. */
export interface WebSocketOptions {
  /**
   * Whose codec it is. A server takes masked frames only and sends unmasked ones, a client the other way round (5.1).
   * Without it, and without `masked`, frames of both kinds are taken, as a tap between two sides needs it, and unmasked
   * ones sent.
   */
  role?: 'client' | 'server' | undefined;
  /** In the place of `role`: whether frames must be, and are, masked, in both directions. */
  masked?: boolean | undefined;
  /** Most bytes of payload of one frame. Default 16 MiB. */
  maxFrameLength?: number | undefined;
}

export const CONTINUATION = 0;
export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

const FIN = 0x80;
const RESERVED = 0x70;
const MASKED = 0x80;
const MOST_CONTROL = 125;

/** Kept in `input.state` between the first frame of a message and its last. */
const FRAGMENTED = Symbol('fragmented');

class WebSocketCodec implements Codec<WebSocketFrame, WebSocketFrameToSend> {
  /** Whether incoming frames must be masked; `undefined`: either. */
  private readonly wantsMask: boolean | undefined;
  private readonly masks: boolean;
  private readonly maxFrameLength: number;

  constructor(options: WebSocketOptions) {
    const reader = new OptionReader('websocket', options, ['role', 'masked', 'maxFrameLength']);
    if (reader.has('role') && reader.has('masked')) throw reader.contradiction('role and masked exclude each other');
    if (reader.has('role')) {
      const server = reader.choice('role', 'server', ['client', 'server']) === 'server';
      this.wantsMask = server;
      this.masks = !server;
    } else {
      this.wantsMask = reader.has('masked') ? reader.flag('masked', false) : undefined;
      this.masks = this.wantsMask ?? false;
    }
    this.maxFrameLength = reader.maxFrameLength();
  }

  decode(input: Input): WebSocketFrame | undefined {
    if (!input.has(2)) return undefined;
    const head = input.u8(0);
    const length = input.u8(1);
    // Short messages of one frame, without a mask, are kept apart: so little is put in place of the call by the compiler.
    const whole = (head === (FIN | BINARY) || head === (FIN | TEXT)) && input.state === undefined;
    if (!whole || length >= 126 || this.wantsMask === true || length > this.maxFrameLength) {
      return this.decodeAny(input, head, length);
    }
    if (!input.has(2 + length)) return undefined;
    input.skip(2);
    return { fin: true, opcode: head & 15, payload: input.take(length) };
  }

  private decodeAny(input: Input, head: number, second: number): WebSocketFrame | undefined {
    const masked = second >= MASKED;
    let length = second & 0x7f;
    // Messages of one frame, with no reserved bit, are what must be fast.
    if (input.state !== undefined || (head !== (FIN | BINARY) && head !== (FIN | TEXT))) {
      checkHead(head, length, input.state === FRAGMENTED);
    }
    if (masked !== this.wantsMask && this.wantsMask !== undefined) throw wrongMask(masked);
    let header = 2;
    if (length >= 126) {
      header = length === 126 ? 4 : 10;
      if (!input.has(header)) return undefined;
      length = header === 4 ? input.u16(2) : input.u64(2);
      // 5.2: "the minimal number of bytes MUST be used to encode the length".
      if (length < (header === 4 ? 126 : 0x10000)) throw new FramingError('BAD_LENGTH', `${length} in ${header} bytes`);
    }
    if (length > this.maxFrameLength) throw tooLong(length, this.maxFrameLength);
    if (masked) header += 4;
    if (!input.has(header + length)) return undefined;
    const mask = masked ? input.u32(header - 4) : 0;
    input.skip(header);
    const taken = input.take(length);
    const payload = masked && mask !== 0 ? unmask(taken, mask) : taken;
    const opcode = head & 15;
    if (opcode === CLOSE) checkClose(payload);
    else if (opcode < CLOSE) input.state = head < FIN ? FRAGMENTED : undefined;
    return { fin: head >= FIN, opcode, payload };
  }

  encode(frame: WebSocketFrameToSend, output: Output): void {
    const { fin = true, opcode, payload = '' } = frame;
    const bytes = typeof payload === 'string' ? utf8Bytes(payload) : payload;
    if (!isBytes(bytes)) {
      throw wrongType('ERR_FRAMING_MESSAGE', `payload must be a Uint8Array or a string, got ${shown(payload)}`);
    }
    const { length } = bytes;
    if (typeof opcode !== 'number' || opcode >>> 0 !== opcode || opcode > 15) {
      throw new FramingError('BAD_TYPE', `an opcode is 0 to 15, got ${shown(opcode)}`);
    }
    checkFrame(fin, opcode, length);
    if (opcode === CLOSE) checkClose(bytes);
    if (length > this.maxFrameLength) throw tooLong(length, this.maxFrameLength);
    const mark = this.masks ? MASKED : 0;
    output.u8((fin ? FIN : 0) | opcode);
    if (length < 126) output.u8(mark | length);
    else if (length < 0x10000) output.u8(mark | 126).u16(length);
    else output.u8(mark | 127).u64(length);
    if (!this.masks) {
      output.bytes(bytes);
      return;
    }
    const mask = newMask();
    output.u32(mask);
    const masked = new View(new ArrayBuffer(length), 0, length);
    maskInto(masked, bytes, mask);
    output.bytes(masked);
  }
}

function checkHead(head: number, length: number, fragmented: boolean): void {
  if ((head & RESERVED) !== 0) throw new FramingError('BAD_HEADER', 'a reserved bit is set, no extension has it (5.2)');
  const opcode = head & 15;
  checkFrame(head >= FIN, opcode, length);
  if (opcode >= CLOSE) return;
  // 5.4: control frames may stand between the fragments of a message, frames of another message may not.
  if (fragmented && opcode !== CONTINUATION) {
    throw new FramingError('BAD_HEADER', 'a new message begins before the last one has ended (5.4)');
  }
  if (!fragmented && opcode === CONTINUATION) {
    throw new FramingError('BAD_HEADER', 'a continuation of nothing (5.4)');
  }
}

function checkFrame(fin: boolean, opcode: number, length: number): void {
  if ((opcode > BINARY && opcode < CLOSE) || opcode > PONG) {
    throw new FramingError('BAD_TYPE', `opcode ${opcode} is reserved (5.2)`);
  }
  if (opcode < CLOSE) return;
  if (!fin) throw new FramingError('BAD_HEADER', 'a control frame must not be fragmented (5.5)');
  if (length > MOST_CONTROL) throw new FramingError('BAD_HEADER', 'a control frame has at most 125 bytes (5.5)');
}

function wrongMask(masked: boolean): FramingError {
  return new FramingError('BAD_HEADER', `the frame is ${masked ? 'masked' : 'not masked'} (5.1)`);
}

/** 5.5.1 and 7.4: nothing, or a status code that may be sent, and a reason in UTF-8. */
function checkClose(payload: Uint8Array): void {
  if (payload.length === 0) return;
  if (payload.length === 1) throw new FramingError('BAD_LENGTH', 'a close frame has a code of two bytes (5.5.1)');
  const code = (payload[0]! << 8) | payload[1]!;
  const defined = code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
  if (!defined && !(code >= 3000 && code <= 4999)) {
    throw new FramingError('BAD_VALUE', `${code} is no status code that may be sent (7.4)`);
  }
  if (payload.length > 2 && utf8Text(payload.subarray(2)) === undefined) {
    throw new FramingError('BAD_UTF8', 'the reason of a close frame is not UTF-8 (5.5.1)');
  }
}

/**
 * The frames of RFC 6455, behind the handshake: masking, lengths, and what may follow what. Messages are frames, not
 * the messages of WebSocket: of a fragmented one each fragment is delivered, with the control frames between them. That
 * text is UTF-8 can be told of a whole message only, and is left to who puts it together (8.1).
 *
 * A payload that was masked is a copy: the chunk it came in is left as it is. On an error the connection is to be closed
 * with 1002, or 1009 for `FRAME_TOO_LONG`, 1007 for `BAD_UTF8` (7.4.1).
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function websocket(options: WebSocketOptions = {}): Codec<WebSocketFrame, WebSocketFrameToSend> {
  return new WebSocketCodec(options);
}
