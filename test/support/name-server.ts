/** A name server on the loopback interface: answers A, AAAA and PTR questions from a table. */
import { createSocket } from 'node:dgram';
import type { AddressInfo } from 'node:net';
import { afterTest } from './after-test.js';
import { once } from './waiting.js';

const TYPES: Readonly<Record<number, 'A' | 'PTR' | 'AAAA'>> = { 1: 'A', 12: 'PTR', 28: 'AAAA' };

/** The records of each name: literals for A and AAAA, names for PTR. A name that is not there does not exist. */
export type Zone = Readonly<
  Record<string, { A?: readonly string[]; AAAA?: readonly string[]; PTR?: readonly string[] }>
>;

/** Serves `zone`, and gives the server's literal for the option `servers`. */
export async function nameServer(zone: Zone): Promise<string> {
  const socket = createSocket('udp4');
  socket.on('message', (question, from) => socket.send(answer(question, zone), from.port, from.address));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  afterTest(() => new Promise<void>((closed) => socket.close(closed)));
  return `127.0.0.1:${(socket.address() as AddressInfo).port}`;
}

/** RFC 1035, 4.1: the header and the question again, then the records, whose name is a pointer to the question's. */
function answer(query: Buffer, zone: Zone): Buffer {
  const labels: string[] = [];
  let at = 12;
  for (let size = query.readUInt8(at); size > 0; size = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + size));
    at += size + 1;
  }
  const type = TYPES[query.readUInt16BE(at + 1)];
  const known = zone[labels.join('.').toLowerCase()];
  const values = type === undefined ? [] : (known?.[type] ?? []);
  const header = Buffer.from(query.subarray(0, 12));
  // A response that recursion was available for; NXDOMAIN where there is no such name.
  header.writeUInt16BE(0x8180 | (known === undefined ? 3 : 0), 2);
  header.writeUInt16BE(values.length, 6);
  header.writeUInt32BE(0, 8);
  const question = query.subarray(12, at + 5);
  return Buffer.concat([header, question, ...values.map((value) => record(query.readUInt16BE(at + 1), value))]);
}

function record(type: number, value: string): Buffer {
  const data = type === 1 ? ipv4(value) : type === 28 ? ipv6(value) : name(value);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(60, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function ipv4(literal: string): Buffer {
  return Buffer.from(literal.split('.').map(Number));
}

/** With one `::` at most. */
function ipv6(literal: string): Buffer {
  const [head = [], tail = []] = literal.split('::').map((half) => half.split(':').filter((group) => group !== ''));
  const groups = [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail];
  const bytes = Buffer.alloc(16);
  for (const [i, group] of groups.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * i);
  return bytes;
}

function name(text: string): Buffer {
  return Buffer.concat([
    ...text.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.of(0),
  ]);
}
