import { isBytes, View } from '../bytes.js';
import { FramingError, shown } from '../errors.js';
import { addressBytes, ipv4Text, ipv6Text } from './addresses.js';
import { readName } from './dns-name.js';
import type { DnsWriter } from './dns-writer.js';

/** Types of records, by name; those whose data is more than bytes here. */
export const DNS_TYPES = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  CAA: 257,
} as const;

const NONE = 254;
const ANY = 255;

/** Data of a SOA record. RFC 1035 3.3.13 */
export interface DnsSoa {
  primary: string;
  mailbox: string;
  serial: number;
  refresh: number;
  retry: number;
  expire: number;
  minimum: number;
}

/**
 * Data of a record: of A and AAAA the address, of NS, CNAME and PTR the name, of MX, SRV, SOA and CAA an object, of TXT its
 * strings as bytes. Of all other types bytes, and of any type if an update has it without data (RFC 2136 2.4, 2.5).
 */
export type DnsData =
  | string
  | Uint8Array
  | Uint8Array[]
  | { preference: number; exchange: string }
  | { priority: number; weight: number; port: number; target: string }
  | { flags: number; tag: string; value: Uint8Array }
  | DnsSoa;

/** The data at `[at, end)` of a message. Names in it may be continued anywhere before. */
export function readData(type: number, recordClass: number, bytes: Uint8Array, at: number, end: number): DnsData {
  const u16 = (from: number) => (bytes[from]! << 8) | bytes[from + 1]!;
  const view = (from: number, to: number) => new View(bytes.buffer, bytes.byteOffset + from, to - from);
  const lastName = (from: number): string => {
    const { name, next } = readName(bytes, from, end);
    if (next !== end) throw badLength(type);
    return name;
  };
  // Texts may be none anyway.
  if (at === end && mayBeEmpty(recordClass) && type !== DNS_TYPES.TXT) return view(at, end);
  switch (type) {
    case DNS_TYPES.A:
      if (end - at !== 4) throw badLength(type);
      return ipv4Text(bytes, at);
    case DNS_TYPES.AAAA:
      if (end - at !== 16) throw badLength(type);
      return ipv6Text(bytes, at);
    case DNS_TYPES.NS:
    case DNS_TYPES.CNAME:
    case DNS_TYPES.PTR:
      return lastName(at);
    case DNS_TYPES.MX:
      if (end - at < 3) throw badLength(type);
      return { preference: u16(at), exchange: lastName(at + 2) };
    case DNS_TYPES.SRV:
      if (end - at < 7) throw badLength(type);
      return { priority: u16(at), weight: u16(at + 2), port: u16(at + 4), target: lastName(at + 6) };
    case DNS_TYPES.TXT: {
      const texts: Uint8Array[] = [];
      for (let from = at; from < end; from += 1 + bytes[from]!) {
        if (from + 1 + bytes[from]! > end) throw badLength(type);
        texts.push(view(from + 1, from + 1 + bytes[from]!));
      }
      return texts;
    }
    case DNS_TYPES.CAA: {
      const tagEnd = at + 2 + (bytes[at + 1] ?? 0);
      if (end - at < 2 || tagEnd > end) throw badLength(type);
      const tag = String.fromCharCode(...view(at + 2, tagEnd));
      return { flags: bytes[at]!, tag, value: view(tagEnd, end) };
    }
    case DNS_TYPES.SOA: {
      const primary = readName(bytes, at, end);
      const mailbox = readName(bytes, primary.next, end);
      const from = mailbox.next;
      if (end - from !== 20) throw badLength(type);
      const u32 = (i: number) => u16(from + 4 * i) * 0x10000 + u16(from + 4 * i + 2);
      const [serial, refresh, retry, expire, minimum] = [u32(0), u32(1), u32(2), u32(3), u32(4)];
      return { primary: primary.name, mailbox: mailbox.name, serial, refresh, retry, expire, minimum };
    }
    default:
      return view(at, end);
  }
}

/** RFC 2136 2.4, 2.5: what an update asks about, or deletes, has a class of its own, NONE or ANY, and may have no data. */
function mayBeEmpty(recordClass: number): boolean {
  return recordClass === NONE || recordClass === ANY;
}

function badLength(type: number): FramingError {
  return new FramingError('BAD_LENGTH', `the data of a record of type ${type} has the wrong length`);
}

/** Types whose data is not bytes. */
const WITH_PARTS = new Set<number>(Object.values(DNS_TYPES).filter((type) => type !== DNS_TYPES.OPT));

/** Writes the data behind its length. Only the types of RFC 1035 may have their names compressed (RFC 3597 4). */
export function writeData(type: number, recordClass: number, data: DnsData, writer: DnsWriter): void {
  if (isBytes(data) && (!WITH_PARTS.has(type) || (data.length === 0 && mayBeEmpty(recordClass)))) {
    writer.raw(data);
    return;
  }
  const parts = data as unknown as Record<string, never>;
  switch (type) {
    case DNS_TYPES.A:
    case DNS_TYPES.AAAA:
      writer.raw(Uint8Array.from(addressBytes(data as string, type === DNS_TYPES.A ? 4 : 6)));
      return;
    case DNS_TYPES.NS:
    case DNS_TYPES.CNAME:
    case DNS_TYPES.PTR:
      writer.name(data as string, true);
      return;
    case DNS_TYPES.MX:
      writer.u16(parts.preference!, 'preference');
      writer.name(parts.exchange!, true);
      return;
    case DNS_TYPES.SRV:
      for (const name of ['priority', 'weight', 'port']) writer.u16(parts[name]!, name);
      writer.name(parts.target!, false);
      return;
    case DNS_TYPES.TXT:
      if (!Array.isArray(data)) break;
      for (const text of data) writer.counted(text, 'a text');
      return;
    case DNS_TYPES.CAA:
      writer.u8(parts.flags!, 'flags');
      writer.counted(parts.tag!, 'tag');
      writer.raw(parts.value!);
      return;
    case DNS_TYPES.SOA:
      writer.name(parts.primary!, true);
      writer.name(parts.mailbox!, true);
      for (const name of ['serial', 'refresh', 'retry', 'expire', 'minimum']) writer.u32(parts[name]!, name);
      return;
  }
  throw new FramingError('BAD_VALUE', `a record of type ${type} cannot have the data ${shown(data)}`);
}
