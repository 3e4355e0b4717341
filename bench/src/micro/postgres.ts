/**
 * CopyData messages of PostgreSQL out of 64 KiB chunks: `Framed` with `postgres` and pg-protocol against a loop written by
 * hand.
 */
import { Framed } from '@fdset/framing';
import { postgres } from '@fdset/framing/protocols';
import { type Contender, frameCases, joining, payloadsTo, peer, View } from '../micro-frames.js';
import { runSuite } from '../micro-suite.js';

const COPY_DATA = 0x64;

const contenders: Contender[] = [
  {
    name: 'loop written by hand',
    make: (sink) => {
      const deliver = payloadsTo(sink, (message: { type: number; body: Uint8Array }) => message.body);
      return joining((bytes) => {
        const { length, buffer, byteOffset } = bytes;
        let at = 0;
        while (length - at >= 5) {
          const size = ((bytes[at + 1]! << 24) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 8) | bytes[at + 4]!) >>> 0;
          if (size < 4 || size > 1 << 24) throw new RangeError('bad length');
          if (at + 1 + size > length) break;
          deliver({ type: bytes[at]!, body: new View(buffer, byteOffset + at + 5, size - 4) });
          at += 1 + size;
        }
        return at;
      });
    },
  },
  {
    name: 'Framed, postgres',
    make: (sink) => {
      const framer = new Framed(
        postgres(),
        payloadsTo(sink, ({ body }) => body),
      );
      return (chunk) => framer.push(chunk);
    },
  },
  {
    name: 'pg-protocol',
    make: (sink) => {
      const { Parser } = peer('pg-protocol/dist/parser');
      const parser = new Parser();
      const deliver = payloadsTo(sink, (message: { chunk: Uint8Array }) => message.chunk);
      return (chunk) => parser.parse(chunk, deliver);
    },
  },
];

runSuite(
  frameCases((payload) => {
    const head = Buffer.alloc(5, COPY_DATA);
    head.writeUInt32BE(payload.length + 4, 1);
    return Buffer.concat([head, payload]);
  }, contenders),
);
