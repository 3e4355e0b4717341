import { isBytes } from '../bytes.js';
import type { Codec, Input, Output } from '../codec.js';
import { OptionReader } from '../codecs/options.js';
import { FramingError, shown, wrongType } from '../errors.js';
import { POINTER, readName } from './dns-name.js';
import { type DnsData, readData, writeData } from './dns-records.js';
import { DnsWriter } from './dns-writer.js';

/** RFC 1035 4.1.2 */
export interface DnsQuestion {
  name: string;
  type: number;
  /** 1: Internet. To be sent: the default. */
  class?: number | undefined;
}

/** RFC 1035 4.1.3 */
export interface DnsRecord {
  name: string;
  type: number;
  /** 1: Internet. To be sent: the default. Of an OPT record the size of datagrams (RFC 6891 6.1.2). */
  class?: number | undefined;
  /** Seconds. To be sent: default 0. */
  ttl?: number | undefined;
  data: DnsData;
}

/** A message. RFC 1035 4.1; `authenticData` and `checkingDisabled` RFC 4035 3.2, 3.1.6. */
export interface DnsMessage {
  id: number;
  /** Whether it is a response. The flags and lists are optional where a message is to be sent. */
  response?: boolean | undefined;
  opcode?: number | undefined;
  authoritative?: boolean | undefined;
  truncated?: boolean | undefined;
  recursionDesired?: boolean | undefined;
  recursionAvailable?: boolean | undefined;
  authenticData?: boolean | undefined;
  checkingDisabled?: boolean | undefined;
  /** Response code, the four bits of it that are in the header. */
  rcode?: number | undefined;
  questions?: DnsQuestion[] | undefined;
  answers?: DnsRecord[] | undefined;
  authorities?: DnsRecord[] | undefined;
  additionals?: DnsRecord[] | undefined;
}

/** Bits of the third and fourth byte. 4.1.1 */
const FLAGS = {
  response: 0x8000,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
  authenticData: 0x0020,
  checkingDisabled: 0x0010,
} as const;
const FLAG_NAMES = Object.keys(FLAGS) as (keyof typeof FLAGS)[];
const SECTIONS = ['answers', 'authorities', 'additionals'] as const;
const HEADER = 12;
const INTERNET = 1;

/**
 * A whole message: a datagram, or what {@link dns} delivers. Data of types that are not known here are views of `bytes`.
 *
 * @throws {@link FramingError} `BAD_LENGTH`, `BAD_VALUE`, `BAD_TYPE` if it is malformed
 */
export function decodeDns(bytes: Uint8Array): DnsMessage {
  if (!isBytes(bytes)) throw wrongType('ERR_FRAMING_MESSAGE', `a DNS message is a Uint8Array, got ${shown(bytes)}`);
  if (bytes.length < HEADER) throw new FramingError('BAD_LENGTH', `a message has a header of ${HEADER} bytes (4.1.1)`);
  const flags = u16(bytes, 2);
  const questions: DnsQuestion[] = [];
  let at = HEADER;
  for (let left = u16(bytes, 4); left > 0; left--) {
    const { name, next } = readName(bytes, at);
    at = next + 4;
    if (at > bytes.length) throw new FramingError('BAD_LENGTH', 'a question is cut off (4.1.2)');
    questions.push({ name, type: u16(bytes, next), class: u16(bytes, next + 2) });
  }
  const answers: DnsRecord[] = [];
  const authorities: DnsRecord[] = [];
  const additionals: DnsRecord[] = [];
  const questionName = questions[0]?.name;
  at = readRecords(bytes, at, u16(bytes, 6), questionName, answers);
  at = readRecords(bytes, at, u16(bytes, 8), questionName, authorities);
  at = readRecords(bytes, at, u16(bytes, 10), questionName, additionals);
  if (at !== bytes.length) throw new FramingError('BAD_LENGTH', `${bytes.length - at} bytes behind the last record`);
  return {
    id: u16(bytes, 0),
    opcode: (flags >> 11) & 15,
    rcode: flags & 15,
    response: (flags & FLAGS.response) !== 0,
    authoritative: (flags & FLAGS.authoritative) !== 0,
    truncated: (flags & FLAGS.truncated) !== 0,
    recursionDesired: (flags & FLAGS.recursionDesired) !== 0,
    recursionAvailable: (flags & FLAGS.recursionAvailable) !== 0,
    authenticData: (flags & FLAGS.authenticData) !== 0,
    checkingDisabled: (flags & FLAGS.checkingDisabled) !== 0,
    questions,
    answers,
    authorities,
    additionals,
  };
}

/**
 * Reads `count` records that begin at `at` into `records`; gives where what follows them begins. Most of them point to the
 * name of the question, right behind the header: it is not read again.
 */
function readRecords(
  bytes: Uint8Array,
  at: number,
  count: number,
  questionName: string | undefined,
  records: DnsRecord[],
): number {
  for (; count > 0; count--) {
    const pointsToQuestion =
      questionName !== undefined && at + 2 <= bytes.length && u16(bytes, at) === (POINTER << 8) + HEADER;
    const { name, next } = pointsToQuestion ? { name: questionName, next: at + 2 } : readName(bytes, at);
    at = next + 10 + (next + 10 <= bytes.length ? u16(bytes, next + 8) : 0);
    if (next + 10 > bytes.length || at > bytes.length) {
      throw new FramingError('BAD_LENGTH', 'a record is cut off (4.1.3)');
    }
    const type = u16(bytes, next);
    const ttl = u16(bytes, next + 4) * 0x10000 + u16(bytes, next + 6);
    const recordClass = u16(bytes, next + 2);
    records.push({ name, type, class: recordClass, ttl, data: readData(type, recordClass, bytes, next + 10, at) });
  }
  return at;
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/**
 * The bytes of a message, names compressed.
 *
 * @throws {@link FramingError} `BAD_VALUE` if it cannot be written, `FRAME_TOO_LONG` beyond 65,535 bytes
 */
export function encodeDns(message: DnsMessage): Uint8Array {
  if (typeof message !== 'object' || message === null) {
    throw wrongType('ERR_FRAMING_MESSAGE', `a DNS message is an object, got ${shown(message)}`);
  }
  const { id, opcode = 0, rcode = 0, questions = [] } = message;
  const writer = new DnsWriter();
  writer.u16(id, 'id');
  for (const [name, value] of Object.entries({ opcode, rcode })) {
    if (!(Number.isInteger(value) && value >= 0 && value <= 15)) {
      throw new FramingError('BAD_VALUE', `${name} is 0 to 15, got ${shown(value)}`);
    }
  }
  writer.u16(
    FLAG_NAMES.reduce((bits, name) => bits | (message[name] ? FLAGS[name] : 0), (opcode << 11) | rcode),
    'flags',
  );
  writer.u16(questions.length, 'questions');
  for (const section of SECTIONS) writer.u16(message[section]?.length ?? 0, section);
  for (const question of questions) {
    writer.name(question.name, true);
    writer.u16(question.type, 'type');
    writer.u16(question.class ?? INTERNET, 'class');
  }
  for (const record of SECTIONS.flatMap((section) => message[section] ?? [])) {
    writer.name(record.name, true);
    writer.u16(record.type, 'type');
    writer.u16(record.class ?? INTERNET, 'class');
    writer.u32(record.ttl ?? 0, 'ttl');
    writer.sized(() => writeData(record.type, record.class ?? INTERNET, record.data, writer));
  }
  return writer.finish();
}

/** Options of {@link dns}. */
export interface DnsOptions {
  /** Most bytes of one message. Default 65,535, the most that its length can say. */
  maxFrameLength?: number | undefined;
}

class DnsCodec implements Codec<DnsMessage> {
  private readonly maxFrameLength: number;

  constructor(options: DnsOptions) {
    const reader = new OptionReader('dns', options, ['maxFrameLength']);
    this.maxFrameLength = Math.min(reader.maxFrameLength(), 0xffff);
  }

  decode(input: Input): DnsMessage | undefined {
    if (!input.has(2)) return undefined;
    const length = input.u16(0);
    if (length > this.maxFrameLength) throw this.tooLong(length);
    if (!input.has(2 + length)) return undefined;
    input.skip(2);
    return decodeDns(input.take(length));
  }

  encode(message: DnsMessage, output: Output): void {
    const bytes = encodeDns(message);
    if (bytes.length > this.maxFrameLength) throw this.tooLong(bytes.length);
    output.u16(bytes.length).bytes(bytes);
  }

  private tooLong(length: number): FramingError {
    return new FramingError('FRAME_TOO_LONG', `a message of ${length} bytes; maxFrameLength is ${this.maxFrameLength}`);
  }
}

/**
 * DNS over TCP (RFC 1035 4.2.2, RFC 7766 8) and TLS (RFC 7858 3.3): messages behind their length. For datagrams there
 * are {@link decodeDns} and {@link encodeDns}.
 *
 * @throws `TypeError`, `RangeError` `ERR_FRAMING_OPTION`
 */
export function dns(options: DnsOptions = {}): Codec<DnsMessage> {
  return new DnsCodec(options);
}
