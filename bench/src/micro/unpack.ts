/** `unpack('>HIbd', bytes)` and back: this package and python-struct against a `DataView` by hand. An operation is a call. */
import { pack, unpack } from '@fdset/framing';
import { peer } from '../micro-frames.js';
import { runSuite, type SuiteCase } from '../micro-suite.js';

const FORMAT = '>HIbd';
const records = Array.from({ length: 256 }, (_, i) => Buffer.from(pack(FORMAT, i, i * 1e6, -(i % 100), i / 8)));
const python = peer('python-struct');

/** Kept for a moment, as who receives values does: otherwise those that the compiler sees through are never made. */
export let latest: ArrayLike<unknown> | undefined;

function unpacking(decode: (record: Buffer) => ArrayLike<unknown>): () => number {
  let next = 0;
  return () => {
    latest = decode(records[next]!);
    const values = latest as ArrayLike<number>;
    next = (next + 1) & 255;
    return (values[0]! + values[1]! + values[2]! + values[3]!) | 0;
  };
}

function packing(encode: (i: number) => Uint8Array): () => number {
  let next = 0;
  return () => {
    const bytes = encode(next);
    next = (next + 1) & 255;
    return bytes.length + bytes[1]! + bytes[14]!;
  };
}

function unpackedByHand(record: Buffer): number[] {
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  return [view.getUint16(0), view.getUint32(2), view.getInt8(6), view.getFloat64(7)];
}

function packedByHand(i: number): Uint8Array {
  const bytes = new Uint8Array(15);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, i);
  view.setUint32(2, i * 1e6);
  view.setInt8(6, -(i % 100));
  view.setFloat64(7, i / 8);
  return bytes;
}

const reading = 'unpack: DataView by hand';
const writing = 'pack: DataView by hand';
const cases: SuiteCase[] = [
  { name: reading, run: unpacking(unpackedByHand) },
  { name: 'unpack', reference: reading, run: unpacking((record) => unpack(FORMAT, record) as number[]) },
  { name: 'unpack: python-struct', reference: reading, run: unpacking((record) => python.unpack(FORMAT, record)) },
  { name: writing, run: packing(packedByHand) },
  { name: 'pack', reference: writing, run: packing((i) => pack(FORMAT, i, i * 1e6, -(i % 100), i / 8)) },
  {
    name: 'pack: python-struct',
    reference: writing,
    run: packing((i) => python.pack(FORMAT, i, i * 1e6, -(i % 100), i / 8)),
  },
];

runSuite(cases);
