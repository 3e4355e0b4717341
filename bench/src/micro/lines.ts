/** Lines, as bytes and as strings: `Framed` against loops written by hand, split2 and readline. */
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { Framed, lines, utf8Lines } from '@fdset/framing';
import split2 from 'split2';
import { FrameStream, HandWritten, type OnText, plainPayload, SIZES } from '../micro-frames.js';
import { runSuite, type SuiteCase } from '../micro-suite.js';

const CR = 13;
const LF = 10;
const LONGEST = 1 << 20;

class ByHand extends HandWritten {
  protected scan(bytes: Buffer): number {
    let at = 0;
    for (;;) {
      const end = bytes.indexOf(LF, at);
      if (end < 0) break;
      const length = (end > at && bytes[end - 1] === CR ? end - 1 : end) - at;
      if (length > LONGEST) throw new RangeError('line too long');
      this.deliver(bytes, at, length);
      at = end + 1;
    }
    if (bytes.length - at > LONGEST) throw new RangeError('line too long');
    return at;
  }
}

/** The same, and the text of each line. */
class TextByHand extends ByHand {
  constructor(private readonly onLine: OnText) {
    super(() => {});
  }

  protected override deliver(bytes: Buffer, at: number, length: number): void {
    this.onLine(bytes.toString('utf8', at, at + length));
  }
}

function cases(label: string, payload: number): SuiteCase[] {
  const stream = new FrameStream((i) => Buffer.concat([plainPayload(payload, i), Buffer.of(LF)]));
  const bytes = `${label}: loop written by hand, bytes`;
  const text = `${label}: loop written by hand, text`;
  const ours = `${label}: Framed, utf8Lines`;
  return [
    stream.bytes(bytes, undefined, (onFrame) => {
      const written = new ByHand(onFrame);
      return (chunk) => written.push(chunk);
    }),
    stream.bytes(`${label}: Framed, lines`, bytes, (onFrame) => {
      const framed = new Framed(lines(), onFrame);
      return (chunk) => framed.push(chunk);
    }),
    stream.text(text, undefined, (onLine) => {
      const written = new TextByHand(onLine);
      return (chunk) => written.push(chunk);
    }),
    stream.text(ours, text, (onLine) => {
      const framed = new Framed(utf8Lines(), onLine);
      return (chunk) => framed.push(chunk);
    }),
    stream.flowing(`${label}: split2`, ours, (_, onLine) => {
      const splitter = split2().on('data', onLine);
      return (chunk) => splitter.write(chunk);
    }),
    stream.flowing(`${label}: readline`, ours, (_, onLine) => {
      const input = new PassThrough();
      createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY }).on('line', onLine);
      return (chunk) => input.write(chunk);
    }),
  ];
}

runSuite(SIZES.flatMap(([label, payload]) => cases(label, payload)));
