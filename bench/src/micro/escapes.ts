/** Frames that an end mark ends, escaped inside, and replies of lines: `Framed` against a loop written by hand for each. */
import { cobs, delimiter, dotStuffed, encodeAll, Framed, slip, statusReply } from '@fdset/framing';
import { FrameStream, HandWritten, handAndFramed, type OnText, plainPayload, SIZES } from '../micro-frames.js';
import { runSuite, type SuiteCase } from '../micro-suite.js';

const LONGEST = 1 << 20;

class DelimiterByHand extends HandWritten {
  private readonly delimiter = Buffer.from('\r\n\r\n');

  protected scan(bytes: Buffer): number {
    let at = 0;
    for (;;) {
      const end = bytes.indexOf(this.delimiter, at);
      if (end < 0) break;
      if (end - at > LONGEST) throw new RangeError('frame too long');
      this.deliver(bytes, at, end - at);
      at = end + 4;
    }
    return at;
  }
}

class SlipByHand extends HandWritten {
  protected scan(bytes: Buffer): number {
    let at = 0;
    for (;;) {
      const end = bytes.indexOf(0xc0, at);
      if (end < 0) return at;
      if (end - at > LONGEST) throw new RangeError('frame too long');
      if (end > at) this.unescape(bytes, at, end);
      at = end + 1;
    }
  }

  private unescape(bytes: Buffer, from: number, end: number): void {
    let at = from;
    while (at < end && bytes[at] !== 0xdb) at++;
    if (at === end) {
      this.deliver(bytes, from, end - from);
      return;
    }
    const payload = Buffer.allocUnsafe(end - from - 1);
    bytes.copy(payload, 0, from, at);
    let size = at - from;
    for (; at < end; at++) {
      if (bytes[at] !== 0xdb) {
        payload[size++] = bytes[at]!;
        continue;
      }
      const code = bytes[++at];
      if (code !== 0xdc && code !== 0xdd) throw new RangeError('bad escape');
      payload[size++] = code === 0xdc ? 0xc0 : 0xdb;
    }
    this.deliver(payload, 0, size);
  }
}

class CobsByHand extends HandWritten {
  protected scan(bytes: Buffer): number {
    let at = 0;
    for (;;) {
      const end = bytes.indexOf(0, at);
      if (end < 0) return at;
      if (end - at > LONGEST) throw new RangeError('frame too long');
      if (end > at) this.unstuff(bytes, at, end);
      at = end + 1;
    }
  }

  private unstuff(bytes: Buffer, from: number, end: number): void {
    if (bytes[from] === end - from) {
      this.deliver(bytes, from + 1, end - from - 1);
      return;
    }
    const payload = Buffer.allocUnsafe(end - from - 1);
    let size = 0;
    for (let at = from; at < end; ) {
      const code = bytes[at]!;
      const next = at + code;
      if (next > end) throw new RangeError('bad block');
      while (++at < next) payload[size++] = bytes[at]!;
      if (code !== 0xff && next < end) payload[size++] = 0;
    }
    this.deliver(payload, 0, size);
  }
}

class DotsByHand extends HandWritten {
  private readonly end = Buffer.from('\r\n.\r\n');
  private readonly line = Buffer.from('\r\n.');

  protected scan(bytes: Buffer): number {
    let at = 0;
    for (;;) {
      const end = bytes.indexOf(this.end, at);
      if (end < 0) return at;
      if (end - at > LONGEST) throw new RangeError('message too long');
      this.unstuff(bytes, at, end + 2);
      at = end + 5;
    }
  }

  private unstuff(bytes: Buffer, from: number, end: number): void {
    const message = bytes.subarray(from, end);
    if (message[0] !== 46 && message.indexOf(this.line) < 0) {
      this.deliver(bytes, from, end - from);
      return;
    }
    const pieces: Buffer[] = [];
    let at = message[0] === 46 ? 1 : 0;
    for (let dot = message.indexOf(this.line, at); dot >= 0; dot = message.indexOf(this.line, at)) {
      pieces.push(message.subarray(at, dot + 2));
      at = dot + 3;
    }
    const joined = Buffer.concat([...pieces, message.subarray(at)]);
    this.deliver(joined, 0, joined.length);
  }
}

/** One-line replies: what a client of SMTP sees most of the time. */
class ReplyByHand extends HandWritten {
  constructor(private readonly onText: OnText) {
    super(() => {});
  }

  protected scan(bytes: Buffer): number {
    let at = 0;
    for (;;) {
      const end = bytes.indexOf(10, at);
      if (end < 0) return at;
      if (bytes[end - 1] !== 13 || bytes[at + 3] !== 32) throw new RangeError('no reply');
      let code = 0;
      for (let i = 0; i < 3; i++) {
        const digit = bytes[at + i]! - 48;
        if (digit < 0 || digit > 9) throw new RangeError('no reply');
        code = code * 10 + digit;
      }
      const reply = { code, lines: [bytes.toString('utf8', at + 4, end - 1)] };
      this.onText(reply.lines[0]!);
      at = end + 1;
    }
  }
}

function replies(label: string, size: number): SuiteCase[] {
  const codec = statusReply({ style: 'smtp' });
  const stream = new FrameStream((i) => encodeAll(codec, [{ code: 250, lines: [String(plainPayload(size, i))] }]));
  const hand = `${label}: loop written by hand`;
  return [
    stream.text(hand, undefined, (onText) => {
      const written = new ReplyByHand(onText);
      return (chunk) => written.push(chunk);
    }),
    stream.text(`${label}: Framed`, hand, (onText) => {
      const framed = new Framed(codec, (reply) => onText(reply.lines[0]!));
      return (chunk) => framed.push(chunk);
    }),
  ];
}

/** A payload with a byte to be escaped, or a few, in it. */
function payloadWith(special: string, size: number, i: number): Buffer {
  const payload = plainPayload(size, i);
  for (let at = 8; at + special.length <= size - 2; at += 100) payload.write(special, at, 'latin1');
  payload.write('\r\n', size - 2, 'latin1');
  return payload;
}

runSuite(
  SIZES.flatMap(([label, size]) => [
    ...handAndFramed(
      `delimiter ${label}`,
      delimiter({ delimiters: '\r\n\r\n' }),
      (i) => plainPayload(size, i),
      (onFrame) => new DelimiterByHand(onFrame),
    ),
    ...handAndFramed(
      `slip ${label}`,
      slip(),
      (i) => plainPayload(size, i),
      (onFrame) => new SlipByHand(onFrame),
    ),
    ...handAndFramed(
      `slip, escaped ${label}`,
      slip(),
      (i) => payloadWith('\xc0', size, i),
      (onFrame) => new SlipByHand(onFrame),
    ),
    ...handAndFramed(
      `cobs ${label}`,
      cobs(),
      (i) => payloadWith('\0', size, i),
      (onFrame) => new CobsByHand(onFrame),
    ),
    ...handAndFramed(
      `dotStuffed ${label}`,
      dotStuffed(),
      (i) => payloadWith('', size, i),
      (onFrame) => new DotsByHand(onFrame),
    ),
    ...handAndFramed(
      `dotStuffed, dots ${label}`,
      dotStuffed(),
      (i) => payloadWith('\r\n.', size, i),
      (onFrame) => new DotsByHand(onFrame),
    ),
    ...replies(`statusReply ${label}`, size),
  ]),
);
