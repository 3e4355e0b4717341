import { CR, LF } from '../ascii.js';
import { View } from '../bytes.js';
import type { Codec, Input, Output } from '../codec.js';
import { OptionReader } from '../codecs/options.js';
import { decodeAll } from '../decode-all.js';
import { FramingError, shown, wrongType } from '../errors.js';
import { addressBytes, ipv4Bytes, ipv4Text, ipv6Bytes, ipv6Text } from './addresses.js';
import { fault } from './fault.js';
import { checkLine, latin1Bytes, latin1Text } from './text.js';

/** Who is connected with whom, as the proxy saw it. */
export interface ProxyHeader {
  version: 1 | 2;
  /** `'local'`: the proxy itself speaks, a health check for instance; the addresses are those of the connection. */
  command: 'proxy' | 'local';
  /** `'unknown'`: the proxy could or would not tell; there are no addresses. */
  family: 'inet' | 'inet6' | 'unix' | 'unknown';
  protocol: 'stream' | 'dgram' | 'unknown';
  /** IP address, or path of a unix socket. */
  source?: ProxyAddress | undefined;
  destination?: ProxyAddress | undefined;
  /** What version 2 adds, in order (2.2.1 and following). The checksum, 0x03, has been checked. */
  tlvs?: { type: number; value: Uint8Array }[] | undefined;
}

export interface ProxyAddress {
  address: string;
  /** 0 for a unix socket. */
  port: number;
}

/** Options of {@link proxyHeader}. */
export interface ProxyHeaderOptions {
  /** `true`: the message is the bytes of the header. */
  raw?: boolean | undefined;
  /** Which versions are taken. Default both. */
  version?: 1 | 2 | undefined;
  /** Most bytes behind the first 16 of a header of version 2. Default 4096. */
  maxFrameLength?: number | undefined;
}

const SIGNATURE_1 = latin1Bytes('PROXY ');
const SIGNATURE_2 = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
/** 2.1: "a 108-byte buffer is always enough to store all the line and a trailing zero". */
const LONGEST_LINE = 107;
const CRC32C = 0x03;
const FAMILIES = ['unknown', 'inet', 'inet6', 'unix'] as const;
const PROTOCOLS = ['unknown', 'stream', 'dgram'] as const;
/** Bytes of both addresses and ports, by family. */
const ADDRESS_BYTES = { unknown: 0, inet: 12, inet6: 36, unix: 216 };

/** Kept in `input.state` once the header has been delivered. */
const DONE = Symbol('done');

class ProxyHeaderCodec implements Codec<ProxyHeader | Uint8Array> {
  private readonly raw: boolean;
  private readonly version: number | undefined;
  private readonly maxFrameLength: number;

  constructor(options: ProxyHeaderOptions) {
    const reader = new OptionReader('proxyHeader', options, ['raw', 'version', 'maxFrameLength']);
    this.raw = reader.flag('raw', false);
    this.version = reader.has('version') ? reader.integer('version', undefined, 1, 2) : undefined;
    this.maxFrameLength = reader.integer('maxFrameLength', 4096, 0, 0xffff);
  }

  decode(input: Input): ProxyHeader | Uint8Array | undefined {
    // The bytes behind it are not ours: they wait for `use`.
    if (input.state === DONE) return undefined;
    const second = input.u8(0) === SIGNATURE_2[0];
    if (this.version !== undefined && (this.version === 2) !== second) {
      throw new FramingError('BAD_HEADER', `no PROXY header of version ${this.version}`);
    }
    const size = second ? this.sizeOfSecond(input) : sizeOfFirst(input);
    if (size === undefined) return undefined;
    const bytes = input.take(size);
    const header = second ? parseSecond(bytes) : parseFirst(bytes);
    input.state = DONE;
    return this.raw ? bytes : header;
  }

  encode(message: ProxyHeader | Uint8Array, output: Output): void {
    if (message instanceof Uint8Array) {
      if (!this.raw) throw wrongType('ERR_FRAMING_MESSAGE', 'bytes are sent by a codec with raw: true');
      // Alone it must be one header, and nothing behind it.
      if (decodeAll(this, message).length !== 1) throw new FramingError('BAD_VALUE', 'these bytes are no PROXY header');
      output.bytes(message);
    } else if (message?.version === 1) writeFirst(message, output);
    else if (message?.version === 2) writeSecond(message, this.maxFrameLength, output);
    else throw wrongType('ERR_FRAMING_MESSAGE', `a PROXY header has a version, 1 or 2, got ${shown(message)}`);
  }

  private sizeOfSecond(input: Input): number | undefined {
    if (!hasSignature(input, SIGNATURE_2) || !input.has(16)) return undefined;
    const length = input.u16(14);
    if (length > this.maxFrameLength) throw headerTooLong(length, this.maxFrameLength);
    return input.has(16 + length) ? 16 + length : undefined;
  }
}

/** `false`: not all of it is there; the first byte that differs is an error at once. */
function hasSignature(input: Input, signature: Uint8Array): boolean {
  for (let at = 0; at < signature.length; at++) {
    if (!input.has(at + 1)) return false;
    if (input.u8(at) !== signature[at]) {
      throw fault(input, at, 'BAD_HEADER', 'the stream does not begin with a PROXY header');
    }
  }
  return true;
}

function sizeOfFirst(input: Input): number | undefined {
  if (!hasSignature(input, SIGNATURE_1)) return undefined;
  const end = input.indexOf(LF, SIGNATURE_1.length);
  if ((end < 0 ? input.length : end + 1) > LONGEST_LINE) {
    throw lineTooLong();
  }
  if (end < 0) return undefined;
  if (input.u8(end - 1) !== CR) throw badHeader('the PROXY line does not end with CR LF (2.1)');
  return end + 1;
}

function parseFirst(bytes: Uint8Array): ProxyHeader {
  const line = latin1Text(bytes.subarray(0, -2));
  const words = line.split(' ');
  const [, kind, source = '', destination = '', sourcePort = '', destinationPort = ''] = words;
  // "The receiver must ignore anything presented before the CRLF" behind UNKNOWN.
  if (kind === 'UNKNOWN' && !line.includes('\r')) {
    return { version: 1, command: 'proxy', family: 'unknown', protocol: 'unknown' };
  }
  const family = kind === 'TCP4' ? 'inet' : kind === 'TCP6' ? 'inet6' : undefined;
  const bytesOf = family === 'inet' ? ipv4Bytes : ipv6Bytes;
  const [from, to] = [portOf(sourcePort), portOf(destinationPort)];
  if (
    family === undefined ||
    words.length !== 6 ||
    bytesOf(source) === undefined ||
    bytesOf(destination) === undefined ||
    from === undefined ||
    to === undefined
  ) {
    throw badHeader(`a malformed PROXY line: ${shown(line)} (2.1)`);
  }
  return {
    version: 1,
    command: 'proxy',
    family,
    protocol: 'stream',
    source: { address: source, port: from },
    destination: { address: destination, port: to },
  };
}

function portOf(text: string): number | undefined {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 0xffff ? Number(text) : undefined;
}

/** 2.2 */
function parseSecond(bytes: Uint8Array): ProxyHeader {
  const [version, command] = [bytes[12]! >> 4, bytes[12]! & 15];
  if (version !== 2 || command > 1) throw badHeader(`version ${version}, command ${command} are not of PROXY 2 (2.2)`);
  const family = FAMILIES[bytes[13]! >> 4];
  const protocol = PROTOCOLS[bytes[13]! & 15];
  if (family === undefined || protocol === undefined) throw badHeader('unknown address family or protocol (2.2)');
  const header: ProxyHeader = { version: 2, command: command === 1 ? 'proxy' : 'local', family, protocol };
  const size = ADDRESS_BYTES[family];
  // What a LOCAL or unspecified header carries has no meaning, addresses or not: "the receiver must ignore it".
  if (header.command === 'local' || family === 'unknown' || protocol === 'unknown') {
    return { ...header, family: 'unknown', protocol: 'unknown', tlvs: [] };
  }
  if (bytes.length - 16 < size) throw badHeader('the addresses are cut off (2.2)');
  if (family === 'unix') {
    header.source = { address: pathOf(bytes, 16), port: 0 };
    header.destination = { address: pathOf(bytes, 124), port: 0 };
  } else {
    const [text, length] = family === 'inet' ? ([ipv4Text, 4] as const) : ([ipv6Text, 16] as const);
    const port = 16 + 2 * length;
    const portAt = (at: number) => (bytes[at]! << 8) | bytes[at + 1]!;
    header.source = { address: text(bytes, 16), port: portAt(port) };
    header.destination = { address: text(bytes, 16 + length), port: portAt(port + 2) };
  }
  header.tlvs = tlvsOf(bytes, 16 + size);
  return header;
}

function pathOf(bytes: Uint8Array, at: number): string {
  const path = bytes.subarray(at, at + 108);
  // An abstract name begins with NUL, and ends with the last byte that is none.
  const text = latin1Text(path);
  return path[0] === 0 ? text.replace(/\0+$/, '') : text.split('\0', 1)[0]!;
}

function tlvsOf(bytes: Uint8Array, from: number): { type: number; value: Uint8Array }[] {
  const tlvs: { type: number; value: Uint8Array }[] = [];
  for (let at = from; at < bytes.length; ) {
    const end = at + 3 + ((bytes[at + 1]! << 8) | bytes[at + 2]!);
    if (at + 3 > bytes.length || end > bytes.length) throw badHeader('a TLV goes beyond the header (2.2.1)');
    const value = new View(bytes.buffer, bytes.byteOffset + at + 3, end - at - 3);
    if (bytes[at] === CRC32C) {
      // Each one costs a pass over the header: a peer must not ask for hundreds.
      if (tlvs.some(({ type }) => type === CRC32C)) throw badHeader('a second checksum (2.2.3)');
      checkSum(bytes, at + 3, value);
    }
    tlvs.push({ type: bytes[at]!, value });
    at = end;
  }
  return tlvs;
}

/** 2.2.3: of the whole header, with the four bytes of the checksum taken as zeros. */
function checkSum(bytes: Uint8Array, at: number, value: Uint8Array): void {
  if (value.length !== 4) throw badHeader('a checksum has four bytes (2.2.3)');
  const zeroed = Uint8Array.from(bytes).fill(0, at, at + 4);
  const told = ((value[0]! << 24) | (value[1]! << 16) | (value[2]! << 8) | value[3]!) >>> 0;
  if (crc32c(zeroed) !== told)
    throw new FramingError('BAD_CHECKSUM', 'the checksum of the PROXY header is wrong (2.2.3)');
}

/** RFC 3720 B.4, bit by bit: a header is short, and there is one for each connection. */
function crc32c(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

function writeFirst(header: ProxyHeader, output: Output): void {
  const { family, protocol, source, destination, tlvs = [] } = header;
  if (protocol === 'dgram' || tlvs.length > 0) {
    throw new FramingError('BAD_VALUE', 'datagrams and TLVs are for version 2');
  }
  if (family === 'unknown') {
    output.text('PROXY UNKNOWN\r\n');
    return;
  }
  if (family !== 'inet' && family !== 'inet6') {
    throw new FramingError('BAD_VALUE', `version 1 has the families inet, inet6 and unknown, got ${shown(family)}`);
  }
  const [from, to] = bothOf(source, destination);
  for (const { address } of [from, to]) {
    addressBytes(address, family === 'inet' ? 4 : 6);
    checkLine('an address', address);
  }
  const ports = [from.port, to.port].map(checkedPort).join(' ');
  const line = `PROXY ${family === 'inet' ? 'TCP4' : 'TCP6'} ${from.address} ${to.address} ${ports}\r\n`;
  // With the last groups of both in dots, which may be written so but never need to be.
  if (line.length > LONGEST_LINE) throw lineTooLong();
  output.text(line);
}

function writeSecond(header: ProxyHeader, most: number, output: Output): void {
  const { command, family, protocol, source, destination, tlvs = [] } = header;
  if (command !== 'proxy' && command !== 'local') {
    throw new FramingError('BAD_VALUE', `command wants 'proxy' or 'local', got ${shown(command)}`);
  }
  const [known, transport] = [FAMILIES.indexOf(family), PROTOCOLS.indexOf(protocol)];
  if (known < 0 || transport < 0) {
    throw new FramingError('BAD_VALUE', `unknown family ${shown(family)} or protocol ${shown(protocol)}`);
  }
  const body: number[] = [];
  if (family !== 'unknown') {
    const both = bothOf(source, destination);
    for (const { address } of both) {
      body.push(...(family === 'unix' ? pathBytes(address) : addressBytes(address, family === 'inet' ? 4 : 6)));
    }
    if (family !== 'unix') for (const { port } of both) body.push(checkedPort(port) >> 8, port & 255);
  }
  const length = body.length + tlvs.reduce((sum, { value }) => sum + 3 + value.length, 0);
  if (length > most) throw headerTooLong(length, most);
  if (tlvs.filter(({ type }) => type === CRC32C).length > 1)
    throw new FramingError('BAD_VALUE', 'a header has one checksum (2.2.3)');
  const head = [
    ...SIGNATURE_2,
    0x20 | (command === 'proxy' ? 1 : 0),
    (known << 4) | transport,
    length >> 8,
    length & 255,
  ];
  const bytes = Uint8Array.from([...head, ...body, ...tlvs.flatMap(tlvBytes)]);
  writeCheckSum(bytes, head.length + body.length);
  output.bytes(bytes);
}

function tlvBytes({ type, value }: { type: number; value: Uint8Array }): number[] {
  if (!(Number.isInteger(type) && type >= 0 && type <= 255)) {
    throw new FramingError('BAD_VALUE', `the type of a TLV is 0 to 255, got ${shown(type)}`);
  }
  return [type, value.length >> 8, value.length & 255, ...value];
}

/** A checksum among the TLVs is computed: what the caller has put there does not matter. */
function writeCheckSum(bytes: Uint8Array, from: number): void {
  for (let at = from; at < bytes.length; at += 3 + ((bytes[at + 1]! << 8) | bytes[at + 2]!)) {
    if (bytes[at] !== CRC32C) continue;
    if (bytes[at + 1] !== 0 || bytes[at + 2] !== 4)
      throw new FramingError('BAD_VALUE', 'a checksum has four bytes (2.2.3)');
    const sum = crc32c(bytes.fill(0, at + 3, at + 7));
    for (let i = 0; i < 4; i++) bytes[at + 3 + i] = sum >>> (24 - 8 * i);
    return;
  }
}

function pathBytes(path: string): number[] {
  const bytes = Array.from(path, (character) => character.charCodeAt(0));
  // Zeros fill it up: a path with one in it, or an abstract name with one at its end, would come back shorter.
  const ends = bytes[0] === 0 ? bytes.at(-1) !== 0 : !bytes.includes(0);
  if (ends && bytes.length <= 108 && bytes.every((byte) => byte <= 255))
    return bytes.concat(new Array(108 - bytes.length).fill(0));
  throw new FramingError('BAD_VALUE', `a path has at most 108 bytes in Latin-1 and no NUL, got ${shown(path)}`);
}

function bothOf(source?: ProxyAddress, destination?: ProxyAddress): [ProxyAddress, ProxyAddress] {
  if (source !== undefined && destination !== undefined) return [source, destination];
  throw new FramingError('BAD_VALUE', 'source and destination are wanted, unless the family is unknown');
}

function checkedPort(port: number): number {
  if (Number.isInteger(port) && port >= 0 && port <= 0xffff) return port;
  throw new FramingError('BAD_VALUE', `a port is 0 to 65535, got ${shown(port)}`);
}

function headerTooLong(length: number, most: number): FramingError {
  return new FramingError('FRAME_TOO_LONG', `a PROXY header of ${length} bytes; maxFrameLength is ${most}`);
}

function lineTooLong(): FramingError {
  return new FramingError('FRAME_TOO_LONG', `a PROXY line has at most ${LONGEST_LINE} bytes (2.1)`);
}

function badHeader(message: string): FramingError {
  return new FramingError('BAD_HEADER', message);
}

/**
 * The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): the one header that a proxy puts before a
 * connection. Nothing behind it is read: go on with `use`; until then the rest is the framer's `leftover`.
 *
 * Take it only from proxies that you know: anybody can write such a header.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function proxyHeader(options: ProxyHeaderOptions & { raw: true }): Codec<Uint8Array>;
export function proxyHeader(options?: ProxyHeaderOptions): Codec<ProxyHeader>;
export function proxyHeader(options: ProxyHeaderOptions = {}): Codec<never> {
  return new ProxyHeaderCodec(options) as unknown as Codec<never>;
}
