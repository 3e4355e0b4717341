/** The other frames whose beginning tells their length: `Framed` against a loop written by hand for each. */
import { asciiLength, fixed, netstring, octetCount, typeTable } from '@fdset/framing';
import { HandWritten, handAndFramed, type OnBytes, plainPayload, SIZES } from '../micro-frames.js';
import { runSuite } from '../micro-suite.js';

const LONGEST = 1 << 20;
const COLON = 58;
const COMMA = 44;
const SPACE = 32;

class FixedByHand extends HandWritten {
  constructor(
    onFrame: OnBytes,
    private readonly length: number,
  ) {
    super(onFrame);
  }

  protected scan(bytes: Buffer): number {
    let at = 0;
    for (; bytes.length - at >= this.length; at += this.length) this.deliver(bytes, at, this.length);
    return at;
  }
}

class AsciiByHand extends HandWritten {
  protected scan(bytes: Buffer): number {
    let at = 0;
    while (bytes.length - at >= 5) {
      let length = 0;
      for (let i = 0; i < 5; i++) {
        const digit = bytes[at + i]! - 48;
        if (digit < 0 || digit > 9) throw new RangeError('no digit');
        length = length * 10 + digit;
      }
      if (length > LONGEST) throw new RangeError('frame too long');
      if (bytes.length - at - 5 < length) break;
      this.deliver(bytes, at + 5, length);
      at += 5 + length;
    }
    return at;
  }
}

class DecimalByHand extends HandWritten {
  constructor(
    onFrame: OnBytes,
    private readonly end: number,
    private readonly trailer: boolean,
  ) {
    super(onFrame);
  }

  protected scan(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length) {
      let from = at;
      let length = 0;
      for (;;) {
        if (from === bytes.length) return at;
        const byte = bytes[from++]!;
        if (byte === this.end && from > at + 1) break;
        const digit = byte - 48;
        if (digit < 0 || digit > 9 || (from > at + 1 && length === 0)) throw new RangeError('no digit');
        length = length * 10 + digit;
        if (length > LONGEST) throw new RangeError('frame too long');
      }
      const end = from + length + (this.trailer ? 1 : 0);
      if (end > bytes.length) return at;
      if (this.trailer && bytes[end - 1] !== COMMA) throw new RangeError('no comma');
      this.deliver(bytes, from, length);
      at = end;
    }
    return at;
  }
}

class TypeByHand extends HandWritten {
  constructor(
    onFrame: OnBytes,
    private readonly lengths: ReadonlyMap<number, number>,
  ) {
    super(onFrame);
  }

  protected scan(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length) {
      const length = this.lengths.get(bytes[at]!);
      if (length === undefined) throw new RangeError('unknown type');
      if (bytes.length - at <= length) break;
      this.deliver(bytes, at, length + 1);
      at += length + 1;
    }
    return at;
  }
}

runSuite(
  SIZES.flatMap(([label, size]) => {
    const payload = (i: number) => plainPayload(size, i);
    const types = new Map(Array.from({ length: 26 }, (_, i) => [97 + i, size - 1]));
    return [
      ...handAndFramed(`fixed ${label}`, fixed({ length: size }), payload, (onFrame) => new FixedByHand(onFrame, size)),
      ...handAndFramed(
        `asciiLength ${label}`,
        asciiLength({ digits: 5 }),
        payload,
        (onFrame) => new AsciiByHand(onFrame),
      ),
      ...handAndFramed(
        `netstring ${label}`,
        netstring(),
        payload,
        (onFrame) => new DecimalByHand(onFrame, COLON, true),
      ),
      ...handAndFramed(
        `octetCount ${label}`,
        octetCount(),
        payload,
        (onFrame) => new DecimalByHand(onFrame, SPACE, false),
      ),
      ...handAndFramed(
        `typeTable ${label}`,
        typeTable({ table: types }),
        payload,
        (onFrame) => new TypeByHand(onFrame, types),
      ),
    ];
  }),
);
