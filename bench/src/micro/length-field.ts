/**
 * Frames behind a length of four bytes: `Framed` with `lengthField` against a loop written by hand for this one format, and frame-stream. The loop
 * hands out views as the codec does, and keeps what a chunk leaves over.
 */
import { encodeAll, Framed, lengthField } from '@fdset/framing';
import { decode } from 'frame-stream';
import { FrameStream, HandWritten, plainPayload, SIZES } from '../micro-frames.js';
import { runSuite, type SuiteCase } from '../micro-suite.js';

const LONGEST = 1 << 20;

class ByHand extends HandWritten {
  protected scan(bytes: Buffer): number {
    let at = 0;
    while (bytes.length - at >= 4) {
      const length = ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
      if (length > LONGEST) throw new RangeError('frame too long');
      if (bytes.length - at - 4 < length) break;
      this.deliver(bytes, at + 4, length);
      at += 4 + length;
    }
    return at;
  }
}

function cases(label: string, payload: number): SuiteCase[] {
  const stream = new FrameStream((i) => encodeAll(lengthField(), [plainPayload(payload, i)]));
  const hand = `${label}: loop written by hand`;
  const ours = `${label}: Framed, lengthField`;
  return [
    stream.bytes(hand, undefined, (onFrame) => {
      const written = new ByHand(onFrame);
      return (chunk) => written.push(chunk);
    }),
    stream.bytes(ours, hand, (onFrame) => {
      const framed = new Framed(lengthField(), onFrame);
      return (chunk) => framed.push(chunk);
    }),
    stream.flowing(`${label}: frame-stream`, ours, (onFrame) => {
      const decoder = decode().on('data', onFrame);
      return (chunk) => decoder.write(chunk);
    }),
  ];
}

runSuite(SIZES.flatMap(([label, payload]) => cases(label, payload)));
