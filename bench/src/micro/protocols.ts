/**
 * The protocols that have no suite of their own, in the frames that they mostly consist of: `Framed` against a loop written
 * by hand for these frames alone, which checks what it reads and gives the same messages.
 */
import { type Codec, encodeAll, Framed } from '@fdset/framing';
import {
  ber,
  chunked,
  dns,
  type MemcacheReply,
  type MemcacheRequest,
  memcache,
  memcacheReply,
  type StompFrame,
  type SyslogMessage,
  stomp,
  syslog,
} from '@fdset/framing/protocols';
import {
  FrameStream,
  joining,
  type OnBytes,
  type OnText,
  payloadsTo,
  plainPayload,
  SIZES,
  View,
} from '../micro-frames.js';
import { runSuite, type SuiteCase } from '../micro-suite.js';

const CR = 13;
const LF = 10;
const SPACE = 32;
const LONGEST = 1 << 24;

/** Delivers the messages that are whole in `bytes`, and returns where the first that is not begins. */
type Loop<M> = (bytes: Buffer, deliver: (message: M) => void) => number;

interface Subject<M, S extends Uint8Array | string> {
  codec: Codec<M>;
  message(payload: Buffer): M;
  payloadOf(message: M): S;
  byHand: Loop<M>;
}

function view(bytes: Buffer, at: number, length: number): Uint8Array {
  return new View(bytes.buffer, bytes.byteOffset + at, length);
}

function lengthOf(text: string | undefined): number {
  if (text === undefined || !/^\d{1,16}$/.test(text) || Number(text) > LONGEST) throw new RangeError('bad length');
  return Number(text);
}

/** Where the line at `from` ends, at its CR; -1 if it is not there yet. */
function lineEnd(bytes: Buffer, from: number): number {
  const lf = bytes.indexOf(LF, from);
  if (lf < 0) return -1;
  if (bytes[lf - 1] !== CR) throw new RangeError('bare LF');
  return lf - 1;
}

function checkLineEnd(bytes: Buffer, at: number): void {
  if (bytes[at] !== CR || bytes[at + 1] !== LF) throw new RangeError('no CR LF behind data');
}

const chunks: Subject<Uint8Array, Uint8Array> = {
  codec: chunked() as Codec<Uint8Array>,
  message: (payload) => payload,
  payloadOf: (body) => body,
  byHand(bytes, deliver) {
    let at = 0;
    for (;;) {
      let size = 0;
      let from = at;
      for (; from < bytes.length && bytes[from] !== CR; from++) {
        const byte = bytes[from]!;
        const digit = byte <= 57 ? byte - 48 : (byte | 32) - 87;
        if (digit < 0 || digit > 15 || (byte > 57 && digit < 10)) throw new RangeError('no digit');
        size = size * 16 + digit;
        if (size > LONGEST) throw new RangeError('chunk too long');
      }
      if (from === at && from < bytes.length) throw new RangeError('no digit');
      if (from + 2 + size + 2 > bytes.length) return at;
      checkLineEnd(bytes, from);
      checkLineEnd(bytes, from + 2 + size);
      deliver(view(bytes, from + 2, size));
      at = from + 2 + size + 2;
    }
  },
};

const requests: Subject<MemcacheRequest, Uint8Array> = {
  codec: memcache(),
  message: (data) => ({ command: 'set', args: ['session:4711', '0', '3600'], data }),
  payloadOf: ({ data }) => data as Uint8Array,
  byHand(bytes, deliver) {
    let at = 0;
    for (;;) {
      const end = lineEnd(bytes, at);
      if (end < 0) return at;
      const [command, key, flags, expires, size] = bytes.toString('latin1', at, end).split(' ');
      if (command !== 'set') throw new RangeError('not a set');
      if (
        key === undefined ||
        key.length > 250 ||
        /[\0-\x20\x7f]/.test(key) ||
        flags === undefined ||
        expires === undefined
      )
        throw new RangeError('a bad request');
      const length = lengthOf(size);
      const data = end + 2;
      if (data + length + 2 > bytes.length) return at;
      checkLineEnd(bytes, data + length);
      deliver({ command, args: [key, flags, expires], data: view(bytes, data, length) });
      at = data + length + 2;
    }
  },
};

const replies: Subject<MemcacheReply, Uint8Array> = {
  codec: memcacheReply(),
  message: (data) => ({ status: 'END', text: '', values: [{ args: ['session:4711', '0'], data }], stats: [] }),
  payloadOf: ({ values }) => values[0]!.data as Uint8Array,
  byHand(bytes, deliver) {
    let at = 0;
    for (;;) {
      let from = at;
      const values: { args: string[]; data: Uint8Array }[] = [];
      for (;;) {
        const end = lineEnd(bytes, from);
        if (end < 0) return at;
        const line = bytes.toString('latin1', from, end);
        from = end + 2;
        if (line === 'END') break;
        const [kind, key, flags, size] = line.split(' ');
        if (kind !== 'VALUE' || key === undefined || flags === undefined) throw new RangeError('not a value');
        const length = lengthOf(size);
        if (from + length + 2 > bytes.length) return at;
        checkLineEnd(bytes, from + length);
        values.push({ args: [key, flags], data: view(bytes, from, length) });
        from += length + 2;
      }
      deliver({ status: 'END', text: '', values, stats: [] });
      at = from;
    }
  },
};

const frames: Subject<StompFrame, Uint8Array> = {
  codec: stomp() as Codec<StompFrame>,
  message: (body) => ({
    command: 'MESSAGE',
    headers: new Map([
      ['subscription', '0'],
      ['message-id', '007'],
      ['destination', '/queue/orders'],
      ['content-length', String(body.length)],
    ]),
    body,
  }),
  payloadOf: ({ body }) => body,
  byHand(bytes, deliver) {
    let at = 0;
    for (;;) {
      const end = bytes.indexOf('\n\n', at, 'latin1');
      if (end < 0) return at;
      const text = bytes.toString('utf8', at, end);
      if (text.includes('\0')) throw new RangeError('NUL in headers');
      const [command, ...lines] = text.split('\n');
      if (command !== 'MESSAGE') throw new RangeError('not a message');
      const headers = new Map<string, string>();
      for (const line of lines) {
        const colon = line.indexOf(':');
        if (colon < 1) throw new RangeError('a header without a name');
        const name = line.slice(0, colon);
        const value = line.slice(colon + 1);
        if (value.includes('\\')) throw new RangeError('not written for escapes');
        if (!headers.has(name)) headers.set(name, value);
      }
      const from = end + 2;
      const length = lengthOf(headers.get('content-length'));
      if (from + length + 1 > bytes.length) return at;
      if (bytes[from + length] !== 0) throw new RangeError('no NUL behind a body');
      deliver({ command, headers, body: view(bytes, from, length) });
      at = from + length + 1;
    }
  },
};

type Element = { tagClass: number; constructed: boolean; tag: number; value: Uint8Array };

const elements: Subject<Element, Uint8Array> = {
  codec: ber() as Codec<Element>,
  message: (value) => ({ tagClass: 0, constructed: false, tag: 4, value }),
  payloadOf: ({ value }) => value,
  byHand(bytes, deliver) {
    let at = 0;
    for (;;) {
      if (bytes.length - at < 2) return at;
      const first = bytes[at]!;
      const tag = first & 31;
      if (tag === 31) throw new RangeError('not written for long tags');
      let length = bytes[at + 1]!;
      let from = at + 2;
      if (length > 127) {
        const size = length & 127;
        if (size === 0 || size > 4) throw new RangeError('bad length');
        if (from + size > bytes.length) return at;
        length = 0;
        for (const end = from + size; from < end; from++) length = length * 256 + bytes[from]!;
        if (length > LONGEST) throw new RangeError('value too long');
      }
      if (from + length > bytes.length) return at;
      deliver({ tagClass: first >> 6, constructed: (first & 32) !== 0, tag, value: view(bytes, from, length) });
      at = from + length;
    }
  },
};

const logged: Subject<SyslogMessage, string> = {
  codec: syslog(),
  message: (text) => ({
    facility: 20,
    severity: 5,
    version: 1,
    timestamp: '2003-10-11T22:14:15.003Z',
    hostname: 'mymachine.example.com',
    appName: 'evntslog',
    procId: '4711',
    msgId: 'ID47',
    message: String(text),
  }),
  payloadOf: ({ message }) => message,
  byHand(bytes, deliver) {
    const header = /^<(\d{1,3})>1 ([!-~]{1,32}) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) - ([\s\S]*)$/;
    let at = 0;
    for (;;) {
      let length = 0;
      let from = at;
      for (; from < bytes.length && bytes[from] !== SPACE; from++) {
        const digit = bytes[from]! - 48;
        if (digit < 0 || digit > 9) throw new RangeError('no digit');
        length = length * 10 + digit;
        if (length > LONGEST) throw new RangeError('message too long');
      }
      if (++from + length > bytes.length) return at;
      const found = header.exec(bytes.toString('utf8', from, from + length));
      if (found === null || Number(found[1]) > 191) throw new RangeError('bad header');
      const [, priority, timestamp, hostname, appName, procId, msgId, message] = found as unknown as string[];
      deliver({
        facility: Number(priority) >> 3,
        severity: Number(priority) & 7,
        version: 1,
        timestamp,
        hostname,
        appName,
        procId,
        msgId,
        message: message!,
      });
      at = from + length;
    }
  },
};

interface Answer {
  id: number;
  opcode: number;
  rcode: number;
  response: boolean;
  authoritative: boolean;
  truncated: boolean;
  recursionDesired: boolean;
  recursionAvailable: boolean;
  authenticData: boolean;
  checkingDisabled: boolean;
  questions: { name: string; type: number; class: number }[];
  answers: { name: string; type: number; class: number; ttl: number; data: Uint8Array }[];
  authorities: never[];
  additionals: never[];
}

/** The name at `from` in the message that begins at `message`, and where what follows begins. */
function nameAt(bytes: Buffer, message: number, from: number, end: number): [name: string, next: number] {
  let name = '';
  let next = -1;
  for (let at = from; ; ) {
    const size = bytes[at]!;
    if (size >= 192) {
      if (next < 0) next = at + 2;
      const target = message + (((size & 63) << 8) | bytes[at + 1]!);
      if (target >= at) throw new RangeError('a pointer forward');
      at = target;
      continue;
    }
    if (size > 63 || at + 1 + size > end || name.length > 255) throw new RangeError('bad name');
    if (size === 0) return [name === '' ? '.' : name.slice(0, -1), next < 0 ? at + 1 : next];
    name += `${bytes.toString('latin1', at + 1, at + 1 + size)}.`;
    at += 1 + size;
  }
}

const PRIVATE_TYPE = 65_280;

const answers: Subject<Answer, Uint8Array> = {
  codec: dns() as Codec<never>,
  message: (data) =>
    ({
      id: 7,
      response: true,
      questions: [{ name: 'www.example.com', type: PRIVATE_TYPE, class: 1 }],
      answers: [{ name: 'www.example.com', type: PRIVATE_TYPE, class: 1, ttl: 300, data }],
    }) as unknown as Answer,
  payloadOf: ({ answers: [first] }) => first!.data,
  byHand(all, deliver) {
    const u16 = (bytes: Buffer, at: number) => (bytes[at]! << 8) | bytes[at + 1]!;
    let start = 0;
    for (;;) {
      if (all.length - start < 2) return start;
      const end = start + 2 + u16(all, start);
      if (end > all.length) return start;
      const head = start + 2;
      const flags = u16(all, head + 2);
      if (u16(all, head + 4) !== 1 || u16(all, head + 6) !== 1) throw new RangeError('written for one answer');
      let [name, at] = nameAt(all, head, head + 12, end);
      const question = { name, type: u16(all, at), class: u16(all, at + 2) };
      at += 4;
      [name, at] = all[at] === 0xc0 && all[at + 1] === 12 ? [name, at + 2] : nameAt(all, head, at, end);
      const size = u16(all, at + 8);
      if (at + 10 + size !== end) throw new RangeError('bad record');
      const answer = {
        name,
        type: u16(all, at),
        class: u16(all, at + 2),
        ttl: all.readUInt32BE(at + 4),
        data: view(all, at + 10, size),
      };
      deliver({
        id: u16(all, head),
        opcode: (flags >> 11) & 15,
        rcode: flags & 15,
        response: (flags & 0x8000) !== 0,
        authoritative: (flags & 0x400) !== 0,
        truncated: (flags & 0x200) !== 0,
        recursionDesired: (flags & 0x100) !== 0,
        recursionAvailable: (flags & 0x80) !== 0,
        authenticData: (flags & 0x20) !== 0,
        checkingDisabled: (flags & 0x10) !== 0,
        questions: [question],
        answers: [answer],
        authorities: [],
        additionals: [],
      });
      start = end;
    }
  },
};

function cases<M, S extends Uint8Array | string>(name: string, subject: Subject<M, S>): SuiteCase[] {
  const { codec, message, payloadOf, byHand } = subject;
  return SIZES.flatMap(([label, size]) => {
    const stream = new FrameStream((i) => encodeAll(codec, [message(plainPayload(size, i))]));
    const isText = typeof payloadOf(message(plainPayload(size, 0))) === 'string';
    const hand = `${name} ${label}: loop written by hand`;
    const contender = (
      title: string,
      reference: string | undefined,
      make: (deliver: (m: M) => void) => (chunk: Buffer) => void,
    ) =>
      isText
        ? stream.text(title, reference, (sink: OnText) => make(payloadsTo(sink, payloadOf as (m: M) => string)))
        : stream.bytes(title, reference, (sink: OnBytes) => make(payloadsTo(sink, payloadOf as (m: M) => Uint8Array)));
    return [
      contender(hand, undefined, (deliver) => joining((bytes) => byHand(bytes, deliver))),
      contender(`${name} ${label}: Framed`, hand, (deliver) => {
        const framed = new Framed(codec, deliver);
        return (chunk) => framed.push(chunk);
      }),
    ];
  });
}

runSuite([
  ...cases('chunked', chunks),
  ...cases('memcache', requests),
  ...cases('memcacheReply', replies),
  ...cases('stomp', frames),
  ...cases('ber', elements),
  ...cases('syslog', logged),
  ...cases('dns', answers),
]);
