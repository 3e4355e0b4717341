/** Frames behind a varint length: `Framed` against a loop written by hand, length-prefixed-stream and it-length-prefixed. */
import { encodeAll, Framed, varint } from '@fdset/framing';
import { decode as itDecode } from 'it-length-prefixed';
import { decode as streamDecode } from 'length-prefixed-stream';
import { FrameStream, HandWritten, plainPayload, SIZES } from '../micro-frames.js';
import { runSuite, type SuiteCase } from '../micro-suite.js';

const LONGEST = 1 << 20;

class ByHand extends HandWritten {
  protected scan(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length) {
      let from = at;
      let length = 0;
      let byte = 0x80;
      for (let shift = 0; byte > 0x7f; shift += 7) {
        if (shift > 28) throw new RangeError('length too long');
        if (from === bytes.length) return at;
        byte = bytes[from++]!;
        length |= (byte & 0x7f) << shift;
      }
      if (length < 0 || length > LONGEST) throw new RangeError('frame too long');
      if (bytes.length - from < length) return at;
      this.deliver(bytes, from, length);
      at = from + length;
    }
    return at;
  }
}

function cases(label: string, payload: number): SuiteCase[] {
  const stream = new FrameStream((i) => encodeAll(varint(), [plainPayload(payload, i)]));
  const hand = `${label}: loop written by hand`;
  const ours = `${label}: Framed, varint`;
  return [
    stream.bytes(hand, undefined, (onFrame) => {
      const written = new ByHand(onFrame);
      return (chunk) => written.push(chunk);
    }),
    stream.bytes(ours, hand, (onFrame) => {
      const framed = new Framed(varint(), onFrame);
      return (chunk) => framed.push(chunk);
    }),
    stream.flowing(`${label}: length-prefixed-stream`, ours, (onFrame) => {
      const decoder = streamDecode().on('data', onFrame);
      return (chunk) => decoder.write(chunk);
    }),
    // Synchronous, which it is at its best; its lists of pieces become bytes, as the others deliver them.
    stream.all(`${label}: it-length-prefixed`, ours, (chunks, onFrame) => {
      for (const frame of itDecode(chunks)) onFrame(frame.subarray());
    }),
  ];
}

runSuite(SIZES.flatMap(([label, payload]) => cases(label, payload)));
