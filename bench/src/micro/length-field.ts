/**
 * Decoding length-prefixed frames out of 64 KiB chunks, cut where they fall: `Framed` with `lengthField` against a loop written by hand for this
 * one format. An operation is a chunk. The loop hands out views as the codec does, and keeps what a chunk leaves over.
 */
import { Framed, lengthField } from '@fdset/framing';
import { runSuite, type SuiteCase } from '../micro-suite.js';

const CHUNK = 64 * 1024;
/** Chunks of one stream: the cuts fall differently in each. */
const CHUNKS = 64;

/** Frames of the size, end to end, as chunks; the last frame is completed by the first chunk, so that the stream can be fed in a circle. */
function chunksOf(payload: number): Uint8Array[] {
  const frame = 4 + payload;
  const count = Math.floor((CHUNK * CHUNKS) / frame);
  const stream = Buffer.alloc(count * frame);
  for (let i = 0; i < count; i++) {
    stream.writeUInt32BE(payload, i * frame);
    stream.fill(i & 255, i * frame + 4, (i + 1) * frame);
  }
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < stream.length; at += CHUNK) chunks.push(stream.subarray(at, at + CHUNK));
  return chunks;
}

/** What a careful programmer writes for u32-prefixed frames and nothing else. */
class HandWritten {
  #rest: Uint8Array | undefined;

  constructor(readonly onFrame: (frame: Uint8Array) => void) {}

  push(chunk: Uint8Array): void {
    let bytes = chunk;
    if (this.#rest) {
      bytes = new Uint8Array(this.#rest.length + chunk.length);
      bytes.set(this.#rest);
      bytes.set(chunk, this.#rest.length);
      this.#rest = undefined;
    }
    let at = 0;
    while (bytes.length - at >= 4) {
      const length = ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
      if (length > 1 << 20) throw new RangeError('frame too long');
      if (bytes.length - at - 4 < length) break;
      // Not subarray: on a Buffer it costs twice as much.
      this.onFrame(new Uint8Array(bytes.buffer, bytes.byteOffset + at + 4, length));
      at += 4 + length;
    }
    if (at < bytes.length) this.#rest = bytes.subarray(at);
  }
}

function cases(payload: number, label: string): SuiteCase[] {
  const chunks = chunksOf(payload);
  let seen = 0;
  const onFrame = (frame: Uint8Array) => {
    seen = (seen + frame.length + frame[0]!) | 0;
  };
  const circle = (push: (chunk: Uint8Array) => void) => {
    let next = 0;
    return () => {
      push(chunks[next]!);
      next = (next + 1) % chunks.length;
      return seen;
    };
  };
  const written = new HandWritten(onFrame);
  const framed = new Framed(lengthField({ size: 4 }), onFrame);
  const reference = `${label}: loop written by hand`;
  return [
    { name: reference, bytesPerOperation: CHUNK, run: circle((chunk) => written.push(chunk)) },
    {
      name: `${label}: Framed, lengthField`,
      reference,
      bytesPerOperation: CHUNK,
      run: circle((chunk) => framed.push(chunk)),
    },
  ];
}

runSuite([...cases(32, '32 B'), ...cases(1024, '1 KiB')]);
