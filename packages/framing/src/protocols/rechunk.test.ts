/** Every protocol in every chunking: streams as they should be, and the same with bytes changed, lost and added. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Codec, encodeAll, Framed } from '../index.js';
import { cuttings, type MakeFramer, outcome, unhex } from '../testing/rechunk.js';
import {
  ber,
  chunked,
  dns,
  memcache,
  memcacheReply,
  mqtt,
  postgres,
  proxyHeader,
  RespError,
  RespPush,
  RespSet,
  RespVerbatim,
  resp,
  stomp,
  syslog,
  websocket,
} from './index.js';

type AnyCodec = Codec<unknown, never>;

const bytes = (text: string) => Buffer.from(text, 'latin1');
const nested = (depth: number): unknown => (depth === 0 ? null : [nested(depth - 1)]);

/** By name: codecs that read the same stream, and the stream. */
const protocols: Record<string, [codecs: AnyCodec[], stream: Uint8Array]> = {};
function add(name: string, codecs: unknown[], stream: Uint8Array): void {
  protocols[name] = [codecs as AnyCodec[], stream];
}

const respOptions = [
  {},
  { raw: true },
  { maxFrameLength: 12 },
  { raw: true, maxFrameLength: 12 },
  { maxDepth: 2 },
  { inline: true },
] as const;
add(
  'resp, all types',
  respOptions.map((options) => resp(options)),
  encodeAll(resp({ version: 3 }), [
    'OK',
    Buffer.from('ab\r\n'),
    [1, -20, Buffer.alloc(0), null, ['x', [true, false]]],
    new Map<unknown, unknown>([['k', 1.5]]) as never,
    new RespError('ERR no'),
    new RespSet('a', 'b'),
    new RespPush('p', 2n ** 70n),
    new RespVerbatim('txt', Buffer.from('hi')),
    Number.POSITIVE_INFINITY,
  ]),
);
add(
  'resp, RESP2 and attributes',
  respOptions.map((options) => resp(options)),
  bytes(
    '|1\r\n+k\r\n*1\r\n:3\r\n*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n$-1\r\n*-1\r\n*0\r\n:+5\r\n!3\r\nbad\r\n,1e3\r\nPING a  b\r\n',
  ),
);
add(
  'resp, nested',
  respOptions.map((options) => resp(options)),
  encodeAll(resp(), [nested(4) as never, nested(9) as never]),
);
add(
  'websocket, unmasked',
  [websocket({ masked: false }), websocket(), websocket({ masked: false, maxFrameLength: 5 })],
  encodeAll(websocket(), [
    { opcode: 1, payload: 'hello', fin: false },
    { opcode: 9, payload: 'p' },
    { opcode: 0, payload: '' },
    { opcode: 2, payload: Buffer.alloc(130, 3) },
    { opcode: 8, payload: unhex('03e86f6b') },
  ]),
);
add(
  'websocket, masked',
  [websocket({ role: 'server' }), websocket(), websocket({ role: 'server', maxFrameLength: 5 })],
  unhex('81933483a86801b992524fa1c60959e68a5216e6cb005ba1d5018500000001414243444580800102030489811122334450'),
);
add(
  'chunked',
  [
    chunked(),
    chunked({ details: true }),
    chunked({ maxFrameLength: 5, maxHeaderLength: 9 }),
    chunked({ maxHeaderLength: 0 }),
  ],
  bytes('4\r\nWiki\r\n005;a=b;c="d\\"e" ; f\r\npedia\r\n0\r\nX-A: 1 \r\nB:\t2\r\n\r\nA\r\n0123456789\r\n0;x\r\n\r\n'),
);
add(
  'postgres',
  [postgres({ startup: true }), postgres(), postgres({ maxFrameLength: 3 })],
  encodeAll(postgres(), [
    { type: 0, body: unhex('04d2162f') },
    { type: 0, body: Buffer.from('\0\x03\0\0user\0me\0\0', 'latin1') },
    { type: 0x51, body: Buffer.from('select 1\0') },
    { type: 0x5a, body: Buffer.from('I') },
  ]),
);
for (const version of [4, 5] as const) {
  add(
    `mqtt ${version}`,
    [mqtt({ version }), mqtt(), mqtt({ version, maxFrameLength: 20 })],
    encodeAll(mqtt({ version }), [
      {
        type: 'connect',
        version,
        clientId: 'c',
        username: 'u',
        password: 'p',
        keepAlive: 9,
        will: { topic: 'w', payload: 'x' },
      },
      { type: 'subscribe', id: 1, subscriptions: [{ topic: 'a/#', qos: 1 }] },
      { type: 'publish', topic: 'a/é', payload: 'hello', qos: 1, id: 7 },
      { type: 'publish', topic: 't', payload: Buffer.alloc(150, 1) },
      { type: 'puback', id: 7 },
      { type: 'pingreq' },
      { type: 'unsubscribe', id: 2, topics: ['a/#', 'b'] },
      { type: 'disconnect' },
    ]),
  );
}
add(
  'proxyHeader 1',
  [proxyHeader(), proxyHeader({ raw: true }), proxyHeader({ version: 2 })],
  bytes('PROXY TCP6 ::1 2001:db8::2 1 65535\r\n'),
);
add(
  'proxyHeader 2',
  [proxyHeader(), proxyHeader({ raw: true }), proxyHeader({ maxFrameLength: 20 })],
  encodeAll(proxyHeader(), [
    {
      version: 2,
      command: 'proxy',
      family: 'inet',
      protocol: 'stream',
      source: { address: '1.2.3.4', port: 5 },
      destination: { address: '6.7.8.9', port: 10 },
      tlvs: [
        { type: 2, value: Buffer.from('host') },
        { type: 3, value: Buffer.alloc(4) },
      ],
    },
  ]),
);
add(
  'stomp',
  [stomp(), stomp({ raw: true }), stomp({ maxFrameLength: 3 }), stomp({ maxHeaderLength: 12 })],
  bytes(
    '\n\r\nCONNECT\r\nhost:a\\b\r\n\r\n\0SEND\nd:/q\nk\\c:v\\n\n\nhi\0\n\nSEND\ncontent-length:4\n\na\0b\0\0MESSAGE\n\n\0\n',
  ),
);
add(
  'memcache',
  [memcache(), memcache({ maxFrameLength: 3 }), memcache({ maxHeaderLength: 12 })],
  bytes(
    'get a bb  c\r\nset k 0 0 5 noreply\r\na\r\nbc\r\nms k 2 T0\r\nhi\r\nmg k v\r\ngat 10 k\r\nversion\r\ncas k 1 2 0 99\r\n\r\n',
  ),
);
add(
  'memcacheReply',
  [
    memcacheReply(),
    memcacheReply({ raw: true }),
    memcacheReply({ maxFrameLength: 3 }),
    memcacheReply({ maxHeaderLength: 12 }),
  ],
  bytes(
    'VALUE k 0 7\r\nEND\r\nxy\r\nVALUE l 1 0 5\r\n\r\nEND\r\nSTORED\r\n17\r\nVA 2 t1\r\nhi\r\nHD f1\r\nSTAT a 1\r\nSTAT b c d\r\nEND\r\nCLIENT_ERROR bad line\r\nEN\r\n',
  ),
);
add(
  'ber',
  [ber(), ber({ raw: true }), ber({ maxFrameLength: 2 })],
  unhex('0201051f8111820003aabbcc300302010704000484000000023031a381030102035f7f00'),
);
add(
  'dns',
  [dns(), dns({ maxFrameLength: 60 })],
  encodeAll(dns(), [
    { id: 1, questions: [{ name: 'www.example.org', type: 1 }] },
    {
      id: 2,
      response: true,
      questions: [{ name: 'example.org', type: 15 }],
      answers: [
        { name: 'example.org', type: 15, ttl: 60, data: { preference: 10, exchange: 'mail.example.org' } },
        { name: 'example.org', type: 16, data: [Buffer.from('a'), Buffer.from('')] },
      ],
      additionals: [{ name: 'mail.example.org', type: 28, data: '2001:db8::1' }],
    },
  ]),
);
add(
  'syslog',
  [syslog(), syslog({ framing: 'lf' }), syslog({ framing: 'octet-counting' }), syslog({ maxFrameLength: 40 })],
  bytes(
    '<34>1 2003-10-11T22:14:15.003Z host su - ID47 [a b="c\\"d"][e] text\n<13>Oct 11 22:14:15 host su[1]: x\n7 <13>abc10 <0>\nnext<1<13>bad\n',
  ),
);

const maker = (codec: AnyCodec): MakeFramer => {
  return (onMessage, onError) => new Framed(codec, onMessage, { onError });
};

/** A stream with some bytes changed, lost or added; those added are characters that mean something somewhere. */
function mutated(stream: Uint8Array): fc.Arbitrary<Uint8Array> {
  const byte = fc.oneof(fc.nat(255), fc.constantFrom(...bytes('\r\n\0 :;-+0159aA$*%<>[]"\\#\x7f\x80\xff')));
  const edit = fc.tuple(fc.nat(stream.length), fc.constantFrom('change', 'lose', 'add', 'cut'), byte);
  return fc.array(edit, { minLength: 1, maxLength: 3 }).map((edits) => {
    const list = [...stream];
    for (const [at, kind, value] of edits) {
      if (kind === 'change' && at < list.length) list[at] = value;
      else if (kind === 'lose') list.splice(at, 1);
      else if (kind === 'add') list.splice(at, 0, value);
      else if (kind === 'cut') list.length = Math.min(list.length, at);
    }
    return Uint8Array.from(list);
  });
}

describe('the same messages and the same error at the same place, in any chunking', () => {
  it.each(Object.entries(protocols))('%s', (name, [codecs, stream]) => {
    for (const codec of codecs) {
      const whole = outcome(maker(codec), [stream]);
      for (const [cut, chunks] of cuttings(stream)) expect(outcome(maker(codec), chunks), cut).toEqual(whole);
    }
    // The first codec is the one that the stream was made for.
    const { frames, error } = outcome(maker(codecs[0]!), [stream]);
    expect(frames.length).toBeGreaterThan(0);
    expect(error).toBe(name === 'resp, RESP2 and attributes' ? 'BAD_TYPE at 70' : undefined);
  });

  it.each(Object.entries(protocols))('%s, damaged', { timeout: 60_000 }, (_name, [codecs, stream]) => {
    fc.assert(
      fc.property(mutated(stream), fc.nat(1e6), (damaged, seed) => {
        for (const codec of codecs) {
          const make = maker(codec);
          const whole = outcome(make, [damaged]);
          for (const [cut, chunks] of cuttings(damaged, { randomCuts: 0, cutEverywhereUpTo: 200 })) {
            if (cut.startsWith('cut at') && Number(cut.slice(7)) % 7 !== seed % 7) continue;
            expect(outcome(make, chunks), cut).toEqual(whole);
          }
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('a limit of the framer holds in any chunking', () => {
  it.each(Object.entries(protocols))('%s', { timeout: 60_000 }, (_name, [codecs, stream]) => {
    for (const codec of codecs) {
      for (const maxBuffered of [1, 5, 12, 40]) {
        const make: MakeFramer = (onMessage, onError) => new Framed(codec, onMessage, { onError, maxBuffered });
        const whole = outcome(make, [stream]);
        for (const [cut, chunks] of cuttings(stream, { randomCuts: 3, cutEverywhereUpTo: 200 }))
          expect(outcome(make, chunks), cut).toEqual(whole);
      }
    }
  });
});
