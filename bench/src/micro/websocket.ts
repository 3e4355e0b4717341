/**
 * Frames of WebSocket out of 64 KiB chunks, unmasked and masked: `Framed` with `websocket` and the Receiver of ws against a
 * loop written by hand for whole binary messages.
 */
import { Framed } from '@fdset/framing';
import { type WebSocketFrame, websocket } from '@fdset/framing/protocols';
import { type Contender, frameCases, joining, payloadsTo, peer, View } from '../micro-frames.js';
import { runSuite } from '../micro-suite.js';

const MASK = 0x1b2c3d4e;

function contenders(masked: boolean): Contender[] {
  const kind = masked ? 'masked' : 'unmasked';
  return [
    {
      name: `${kind}, loop written by hand`,
      make: (sink) => {
        const deliver = payloadsTo(sink, (frame: WebSocketFrame) => frame.payload);
        return joining((bytes) => {
          const { length, buffer, byteOffset } = bytes;
          let at = 0;
          while (length - at >= 2) {
            if (bytes[at] !== 0x82 || bytes[at + 1]! > 127 !== masked) throw new RangeError('not a binary message');
            let size = bytes[at + 1]! & 127;
            let head = at + 2;
            if (size === 126) {
              if (length - at < 4) break;
              size = (bytes[at + 2]! << 8) | bytes[at + 3]!;
              head += 2;
            } else if (size === 127) throw new RangeError('too long');
            if (masked) head += 4;
            if (head + size > length) break;
            const payload = masked ? unmasked(bytes, head, size) : new View(buffer, byteOffset + head, size);
            deliver({ fin: true, opcode: 2, payload });
            at = head + size;
          }
          return at;
        });
      },
    },
    {
      name: `${kind}, Framed, websocket`,
      make: (sink) => {
        const deliver = payloadsTo(sink, (frame: WebSocketFrame) => frame.payload);
        const framer = new Framed(websocket({ masked }), deliver);
        return (chunk) => framer.push(chunk);
      },
    },
    {
      name: `${kind}, ws`,
      make: (sink) => {
        const { Receiver } = peer('ws');
        const receiver = new Receiver({ isServer: masked, binaryType: 'nodebuffer' });
        receiver.on('message', sink);
        receiver.on('error', (error: Error) => {
          throw error;
        });
        return (chunk) => receiver.write(chunk);
      },
    },
  ];
}

/** A copy: the chunk is not ours to write to. */
function unmasked(bytes: Uint8Array, head: number, size: number): Uint8Array {
  const payload = Buffer.allocUnsafe(size);
  for (let i = 0; i < size; i++) payload[i] = bytes[head + i]! ^ bytes[head - 4 + (i & 3)]!;
  return payload;
}

function frame(payload: Uint8Array, masked: boolean): Uint8Array {
  const { length } = payload;
  const bit = masked ? 0x80 : 0;
  const head = length < 126 ? [0x82, bit | length] : [0x82, bit | 126, length >> 8, length & 255];
  if (!masked) return Buffer.concat([Uint8Array.from(head), payload]);
  const mask = [MASK >>> 24, (MASK >>> 16) & 255, (MASK >>> 8) & 255, MASK & 255];
  return Buffer.concat([Uint8Array.from([...head, ...mask]), payload.map((byte, i) => byte ^ mask[i & 3]!)]);
}

runSuite([
  ...frameCases((payload) => frame(payload, false), contenders(false)),
  ...frameCases((payload) => frame(payload, true), contenders(true)),
]);
