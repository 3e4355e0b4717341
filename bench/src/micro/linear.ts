/**
 * One frame, or one line, of 16 MiB: in chunks of 1 KiB against the same in chunks of 64 KiB. The time of what is put together again with every chunk
 * would grow with the square of their number. An operation is the frame.
 */
import { type Codec, encodeAll, Framed, lengthField, lines, slip, untilClose, varint } from '@fdset/framing';
import { runSuite, type SuiteCase } from '../micro-suite.js';

const LENGTH = 16 * 1024 * 1024;

function inChunks(stream: Uint8Array, size: number): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < stream.length; at += size) chunks.push(stream.slice(at, at + size));
  return chunks;
}

function pair(name: string, codec: Codec<Uint8Array, Uint8Array>, payload: Uint8Array): SuiteCase[] {
  const stream = encodeAll(codec, [payload]);
  const reference = `${name}: chunks of 64 KiB`;
  const one = (chunks: readonly Uint8Array[]) => () => {
    let sum = 0;
    const framed = new Framed(codec, (frame) => {
      sum = frame.length + frame[0]! + frame[frame.length - 1]!;
    });
    for (const chunk of chunks) framed.push(chunk);
    framed.end();
    return sum;
  };
  return [
    { name: reference, bytesPerOperation: LENGTH, run: one(inChunks(stream, 65_536)) },
    { name: `${name}: chunks of 1 KiB`, reference, bytesPerOperation: LENGTH, run: one(inChunks(stream, 1024)) },
  ];
}

const plain = new Uint8Array(LENGTH).fill(97);
runSuite([
  ...pair('lengthField', lengthField(), plain),
  ...pair('varint', varint(), plain),
  ...pair('lines', lines(), plain),
  ...pair('slip', slip(), plain),
  ...pair('untilClose', untilClose(), plain),
]);
