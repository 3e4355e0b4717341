/**
 * Bulk strings of RESP out of 64 KiB chunks, as bytes: `Framed` with `resp`, redis-parser and the decoder of @redis/client
 * against a loop written by hand for bulk strings alone.
 */
import { Framed } from '@fdset/framing';
import { resp } from '@fdset/framing/protocols';
import { type Contender, frameCases, joining, peer, View } from '../micro-frames.js';
import { runSuite } from '../micro-suite.js';

const contenders: Contender[] = [
  {
    name: 'loop written by hand',
    make: (sink) =>
      joining((bytes) => {
        const { length, buffer, byteOffset } = bytes;
        let at = 0;
        while (at < length) {
          if (bytes[at] !== 0x24) throw new RangeError('not a bulk string');
          let i = at + 1;
          let size = 0;
          for (; i < length && bytes[i] !== 13; i++) {
            const digit = bytes[i]! - 48;
            if (digit < 0 || digit > 9) throw new RangeError('not a digit');
            size = size * 10 + digit;
          }
          if (size > 1 << 24) throw new RangeError('too long');
          const end = i + 2 + size;
          if (end + 2 > length) break;
          if (bytes[i + 1] !== 10 || bytes[end] !== 13 || bytes[end + 1] !== 10) throw new RangeError('no line end');
          sink(new View(buffer, byteOffset + i + 2, size));
          at = end + 2;
        }
        return at;
      }),
  },
  {
    name: 'Framed, resp',
    make: (sink) => {
      const framer = new Framed(resp(), (message) => sink(message as Uint8Array));
      return (chunk) => framer.push(chunk);
    },
  },
  {
    name: 'redis-parser',
    make: (sink) => {
      const Parser = peer('redis-parser');
      const returnError = (error: Error) => {
        throw error;
      };
      const parser = new Parser({ returnReply: sink, returnError, returnFatalError: returnError, returnBuffers: true });
      return (chunk) => parser.execute(chunk);
    },
  },
  {
    name: '@redis/client',
    make: (sink) => {
      const { Decoder } = peer('@redis/client/dist/lib/RESP/decoder.js');
      const onErrorReply = (error: Error) => {
        throw error;
      };
      const types = { 36: Buffer };
      const decoder = new Decoder({ onReply: sink, onErrorReply, onPush: sink, getTypeMapping: () => types });
      return (chunk) => decoder.write(chunk);
    },
  },
];

runSuite(
  frameCases(
    (payload) => Buffer.concat([Buffer.from(`$${payload.length}\r\n`), payload, Buffer.from('\r\n')]),
    contenders,
  ),
);
