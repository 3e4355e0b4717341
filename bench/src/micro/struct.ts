/**
 * Records of fixed layout, 32 bytes and 1 KiB with a payload of bytes, out of a block of 64 KiB: `struct` and binary-parser
 * against a `DataView` by hand. An operation is a record.
 */
import { bytes, f64, i8, struct, u16, u32, u64 } from '@fdset/framing';
import { peer, View } from '../micro-frames.js';
import { runSuite, type SuiteCase } from '../micro-suite.js';

const BLOCK = 64 * 1024;
const HEAD = 2 + 4 + 1 + 8 + 8;

interface Sample {
  type: number;
  id: number;
  delta: number;
  value: number;
  at: bigint;
  payload: Uint8Array;
}

/** Kept for a moment, as who receives values does: otherwise the one that the compiler sees through is never made. */
export let latest: Sample | undefined;

function cases(size: number, label: string): SuiteCase[] {
  const layout = struct({ type: u16, id: u32, delta: i8, value: f64, at: u64, payload: bytes(size - HEAD) });
  const block = Buffer.alloc(BLOCK);
  const records: Buffer[] = [];
  for (let at = 0, i = 0; at + size <= BLOCK; at += size, i++) {
    const payload = new Uint8Array(size - HEAD).fill(i);
    block.set(layout.encode({ type: i, id: i * 3, delta: -(i % 100), value: i / 8, at: BigInt(i), payload }), at);
    records.push(block.subarray(at, at + size));
  }
  const view = new DataView(block.buffer, block.byteOffset);
  const byHand = (record: Buffer): Sample => {
    const at = record.byteOffset - block.byteOffset;
    return {
      type: view.getUint16(at),
      id: view.getUint32(at + 2),
      delta: view.getInt8(at + 6),
      value: view.getFloat64(at + 7),
      at: view.getBigUint64(at + 15),
      payload: new View(block.buffer, record.byteOffset + HEAD, size - HEAD),
    };
  };
  const { Parser } = peer('binary-parser');
  const parser = new Parser()
    .endianness('big')
    .uint16('type')
    .uint32('id')
    .int8('delta')
    .doublebe('value')
    .uint64('at')
    .buffer('payload', { length: size - HEAD });
  const circle = (decode: (record: Buffer) => Sample) => {
    let next = 0;
    return () => {
      latest = decode(records[next]!);
      const { type, id, delta, value, at, payload } = latest;
      next = (next + 1) % records.length;
      return (type + id + delta + value + Number(at & 255n) + payload.length + payload[0]!) | 0;
    };
  };
  const reference = `${label}: DataView by hand`;
  const each = { bytesPerOperation: size };
  return [
    { name: reference, ...each, run: circle(byHand) },
    { name: `${label}: struct`, reference, ...each, run: circle((record) => layout.decode(record)) },
    { name: `${label}: binary-parser`, reference, ...each, run: circle((record) => parser.parse(record)) },
  ];
}

runSuite([...cases(32, '32 B'), ...cases(1024, '1 KiB')]);
