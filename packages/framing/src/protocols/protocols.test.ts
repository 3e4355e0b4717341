/** What the protocols make of bytes and the other way round: values, rules by section, hostile peers, injection. */
import { describe, expect, it } from 'vitest';
import { type Codec, type Decoder, decodeAll, type Encoder, encodeAll, Framed, type FramingError } from '../index.js';
import { hex, unhex } from '../testing/rechunk.js';
import {
  ber,
  chunked,
  decodeDns,
  dns,
  encodeDns,
  formatSyslog,
  type MqttPacket,
  memcache,
  memcacheReply,
  mqtt,
  POSTGRES_SSL_REQUEST,
  parseSyslog,
  postgres,
  proxyHeader,
  RespError,
  RespPush,
  RespSet,
  RespVerbatim,
  resp,
  respCommand,
  stomp,
  syslog,
  websocket,
} from './index.js';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const text = <O>(codec: Encoder<O>, ...messages: O[]) => Buffer.from(encodeAll(codec, messages)).toString('latin1');
const one = <I>(codec: Decoder<I>, stream: string): I => decodeAll(codec, bytes(stream))[0]!;

/** Code of what decoding fails with; the end of the stream is not told. */
function fault(codec: Decoder<unknown>, stream: string | Uint8Array): string | undefined {
  const framer = new Framed(codec as Codec<unknown, never>, () => {});
  try {
    framer.push(typeof stream === 'string' ? bytes(stream) : stream);
  } catch (error) {
    return (error as FramingError).code;
  }
  return undefined;
}

function refusal<O>(codec: Encoder<O>, message: unknown): string | undefined {
  try {
    encodeAll(codec, [message as O]);
  } catch (error) {
    return (error as FramingError).code;
  }
  return undefined;
}

describe('resp', () => {
  it('each type of RESP2 and RESP3 is a type of its own, and comes back as it was', () => {
    const values = [
      ['+OK\r\n', 'OK'],
      ['+\r\n', ''],
      [':-12\r\n', -12],
      [':9223372036854775807\r\n', 2n ** 63n - 1n],
      ['$5\r\na\r\nbc\r\n', bytes('a\r\nbc')],
      ['$-1\r\n', null],
      ['*2\r\n+a\r\n*0\r\n', ['a', []]],
      ['#t\r\n', true],
      [',1.5\r\n', 1.5],
      [',-inf\r\n', Number.NEGATIVE_INFINITY],
      [',nan\r\n', Number.NaN],
      ['(3492890328409238509324850943850943825024385\r\n', 3492890328409238509324850943850943825024385n],
      ['%1\r\n+k\r\n:1\r\n', new Map([['k', 1]])],
      ['-ERR no\r\n', new RespError('ERR no')],
      ['~2\r\n:1\r\n:2\r\n', RespSet.from([1, 2])],
      ['>1\r\n+m\r\n', RespPush.from(['m'])],
      ['=6\r\ntxt:hi\r\n', new RespVerbatim('txt', bytes('hi'))],
    ] as const;
    for (const [stream, value] of values) {
      expect(one(resp(), stream), stream).toEqual(value);
      expect(text(resp(), value as never), stream).toBe(stream);
    }
    expect(one(resp(), '_\r\n')).toBeNull();
    expect(one(resp(), ':+0\r\n')).toBe(0);
    expect(one(resp(), ':-0\r\n')).toBe(0);
    expect(one(resp(), '!5\r\nE\r\nxx\r\n')).toEqual(new RespError('E\r\nxx'));
    expect(one(resp(), '>1\r\n+m\r\n')).toBeInstanceOf(RespPush);
    expect(one(resp(), '~0\r\n')).toBeInstanceOf(RespSet);
  });

  it('a command is an array of bulk strings', () => {
    expect(text(resp(), respCommand('SET', 'é', 5))).toBe('*3\r\n$3\r\nSET\r\n$2\r\n\xc3\xa9\r\n$1\r\n5\r\n');
  });

  it('version 2 writes what Redis writes for old clients, version 3 its null', () => {
    const old = resp({ version: 2 });
    expect(text(old, null, true, 1.5, new Map([['a', false]]), RespPush.from(['p']))).toBe(
      '$-1\r\n:1\r\n$3\r\n1.5\r\n*2\r\n+a\r\n:0\r\n*1\r\n+p\r\n',
    );
    expect(text(resp({ version: 3 }), null)).toBe('_\r\n');
  });

  it('inline commands are words, and only on request', () => {
    expect(fault(resp(), 'PING\r\n')).toBe('BAD_TYPE');
    expect(one(resp({ inline: true }), 'SET  k v\r\n')).toEqual([bytes('SET'), bytes('k'), bytes('v')]);
    expect(decodeAll(resp({ inline: true }), bytes('PING\n*1\r\n$1\r\na\r\n'))).toEqual([
      [bytes('PING')],
      [bytes('a')],
    ]);
    expect(fault(resp({ inline: true }), '*1\r\nPING\r\n')).toBe('BAD_TYPE');
  });

  it('every digit and every terminator is looked at, claimed lengths are bounded', () => {
    const faults: [string, string][] = [
      ['$abc\r\n', 'BAD_DIGIT'],
      [':12a4\r\n', 'BAD_DIGIT'],
      [':\r\n', 'BAD_DIGIT'],
      ['$3\r\nfooXX', 'BAD_TRAILER'],
      ['$-2\r\n', 'BAD_DIGIT'],
      ['$\r\n', 'BAD_DIGIT'],
      ['$1\n', 'BARE_LF'],
      ['$1\rx', 'BAD_DELIMITER'],
      ['+a\n', 'BARE_LF'],
      ['#x\r\n', 'BAD_VALUE'],
      [',1.2.3\r\n', 'BAD_DIGIT'],
      ['(12x\r\n', 'BAD_DIGIT'],
      ['=3\r\ntxt\r\n', 'BAD_HEADER'],
      ['$99999999999\r\n', 'FRAME_TOO_LONG'],
      ['*1000000000\r\n', 'FRAME_TOO_LONG'],
      ['%999999999\r\n', 'FRAME_TOO_LONG'],
      [`$${'0'.repeat(30)}`, 'BAD_LENGTH'],
      ['*1\r\n'.repeat(65), 'FRAME_TOO_LONG'],
      [`(${'9'.repeat(5000)}\r\n`, 'FRAME_TOO_LONG'],
    ];
    for (const [stream, code] of faults) expect(fault(resp(), stream), stream).toBe(code);
    expect(fault(resp({ maxFrameLength: 3 }), '$4\r\n')).toBe('FRAME_TOO_LONG');
    expect(fault(resp({ maxFrameLength: 6 }), '*2\r\n+a\r\n+bc\r\n')).toBe('FRAME_TOO_LONG');
  });

  it('nothing that would be read as more than one message is written', () => {
    expect(refusal(resp(), 'a\r\nb')).toBe('BAD_DELIMITER');
    expect(text(resp(), new RespError('a\r\nb'))).toBe('!4\r\na\r\nb\r\n');
    expect(refusal(resp({ version: 2 }), new RespError('a\r\nb'))).toBe('BAD_DELIMITER');
    const loop: unknown[] = [];
    loop.push(loop);
    expect(refusal(resp(), loop)).toBe('BAD_VALUE');
    expect(refusal(resp(), undefined)).toBe('ERR_FRAMING_MESSAGE');
    expect(refusal(resp(), {})).toBe('ERR_FRAMING_MESSAGE');
    expect(refusal(resp({ raw: true }), bytes('+a\r\n+b\r\n'))).toBe('BAD_VALUE');
  });

  it('an array that drips in is looked through once: a thousand strings in a hundred thousand chunks', () => {
    const stream = encodeAll(resp(), [Array.from({ length: 3000 }, () => bytes('x'.repeat(30)))]);
    let reads = 0;
    const counted: Codec<unknown, never> = {
      decode: (input) =>
        resp().decode(
          new Proxy(input, {
            get: (target, name) => {
              if (name === 'u8') reads++;
              const value = Reflect.get(target, name, target) as unknown;
              return typeof value === 'function' ? value.bind(target) : value;
            },
            set: (target, name, value) => Reflect.set(target, name, value, target),
          }),
        ),
      encode: () => {},
    };
    const framer = new Framed(counted, () => {});
    for (let at = 0; at < stream.length; at += 3) framer.push(stream.slice(at, at + 3));
    expect(reads).toBeLessThan(5 * stream.length);
  });
});

describe('websocket', () => {
  const frames = (...parts: string[]) => unhex(parts.join(''));

  it('a client masks what it sends, each frame anew, and a server takes nothing else (5.1)', () => {
    const [client, server] = [websocket({ role: 'client' }), websocket({ role: 'server' })];
    for (const size of [0, 1, 47, 48, 49, 125, 126, 1000, 3000, 65535, 65536]) {
      const payload = Uint8Array.from({ length: size }, (_, i) => i * 7);
      const sent = encodeAll(client, [
        { opcode: 2, payload },
        { opcode: 1, payload: 'é' },
      ]);
      const got = decodeAll(server, sent);
      expect(got.map((frame) => hex(frame.payload))).toEqual([hex(payload), 'c3a9']);
      const back = encodeAll(server, got);
      expect(decodeAll(client, back).map((frame) => hex(frame.payload))).toEqual([hex(payload), 'c3a9']);
      expect(fault(server, back)).toBe('BAD_HEADER');
      expect(fault(client, sent)).toBe('BAD_HEADER');
    }
    const masks = new Set(Array.from({ length: 50 }, () => hex(encodeAll(client, [{ opcode: 9 }])).slice(4)));
    expect(masks.size).toBeGreaterThan(45);
  });

  it('unmasking leaves the chunk as it is (trap 30)', () => {
    const chunk = frames('8185', '01020304', '69676f686e');
    const before = hex(chunk);
    expect(String(decodeAll(websocket({ role: 'server' }), chunk)[0]!.payload)).toBe('hello');
    expect(hex(chunk)).toBe(before);
  });

  it('what the sections forbid is refused, from the first byte that shows it', () => {
    const faults: [string, string][] = [
      ['c100', 'BAD_HEADER'], // 5.2: a reserved bit
      ['8300', 'BAD_TYPE'], // 5.2: a reserved opcode
      ['8b00', 'BAD_TYPE'],
      ['0900', 'BAD_HEADER'], // 5.5: a fragmented control frame
      ['897e', 'BAD_HEADER'], // 5.5: a long control frame
      ['8000', 'BAD_HEADER'], // 5.4: a continuation of nothing
      ['01008100', 'BAD_HEADER'], // 5.4: a message within a message
      ['827e007d', 'BAD_LENGTH'], // 5.2: not the shortest length
      ['827f000000000000ffff', 'BAD_LENGTH'],
      ['827f0020000000000000', 'BAD_LENGTH'], // above 2^53-1
      ['827fffffffffffffffff', 'BAD_LENGTH'], // 5.2: the most significant bit must be 0
      ['827f0000000001000001', 'FRAME_TOO_LONG'],
      ['880103', 'BAD_LENGTH'], // 5.5.1
      ['880203ed', 'BAD_VALUE'], // 7.4.1: 1005 is never sent
      ['880203e7', 'BAD_VALUE'],
      ['880303e8ff', 'BAD_UTF8'],
    ];
    for (const [stream, code] of faults) expect(fault(websocket({ masked: false }), unhex(stream)), stream).toBe(code);
  });

  it('control frames may stand between fragments, which are delivered one by one (5.4)', () => {
    const got = decodeAll(websocket(), frames('010161', '8900', '000162', '800163'));
    expect(got.map(({ fin, opcode, payload }) => [fin, opcode, String(payload)])).toEqual([
      [false, 1, 'a'],
      [true, 9, ''],
      [false, 0, 'b'],
      [true, 0, 'c'],
    ]);
  });

  it('the encoder keeps the same rules', () => {
    expect(refusal(websocket(), { opcode: 9, payload: Buffer.alloc(126) })).toBe('BAD_HEADER');
    expect(refusal(websocket(), { opcode: 8, fin: false })).toBe('BAD_HEADER');
    expect(refusal(websocket(), { opcode: 3 })).toBe('BAD_TYPE');
    expect(refusal(websocket(), { opcode: 8, payload: unhex('03ee') })).toBe('BAD_VALUE');
    expect(refusal(websocket({ maxFrameLength: 1 }), { opcode: 2, payload: 'ab' })).toBe('FRAME_TOO_LONG');
    expect(refusal(websocket(), { opcode: 1, payload: 5 })).toBe('ERR_FRAMING_MESSAGE');
    expect(() => websocket({ role: 'client', masked: true })).toThrow(/exclude/);
  });
});

describe('chunked', () => {
  it('extensions and trailers are told on request', () => {
    const stream = '2;a="x;y"\r\nab\r\n0\r\nX: 1\r\n\r\n';
    expect(decodeAll(chunked(), bytes(stream)).map(String)).toEqual(['ab', '']);
    expect(decodeAll(chunked({ details: true }), bytes(stream))).toEqual([
      { body: bytes('ab'), extensions: ';a="x;y"', trailers: [] },
      { body: bytes(''), extensions: '', trailers: [['X', '1']] },
    ]);
    expect(text(chunked(), { body: 'ab', extensions: ';a="x;y"' }, { body: '', trailers: [['X', '1']] })).toBe(stream);
    expect(text(chunked(), 'Wikipedia in\r\n\r\nchunks.', '')).toBe('17\r\nWikipedia in\r\n\r\nchunks.\r\n0\r\n\r\n');
  });

  it('what two parsers could understand differently is refused', () => {
    const faults: [string, string][] = [
      ['0x4\r\n', 'BAD_DIGIT'],
      ['\r\n', 'BAD_DIGIT'],
      ['-1\r\n', 'BAD_DIGIT'],
      ['+4\r\n', 'BAD_DIGIT'],
      ['4 \r\nWiki\r\n', 'BAD_HEADER'],
      [' 4\r\n', 'BAD_DIGIT'],
      ['4\nWiki\n', 'BARE_LF'],
      ['4\rX', 'BAD_DELIMITER'],
      ['4;a\nWiki', 'BARE_LF'],
      ['4;\rb\r\nWiki', 'BAD_HEADER'],
      ['4\r\nWikiXX', 'BAD_TRAILER'],
      ['0\r\n\n', 'BARE_LF'],
      ['0\r\nA: b\n\r\n\r\n', 'BARE_LF'],
      ['0\r\nA : b\r\n\r\n', 'BAD_HEADER'],
      ['0\r\nA: b\r\n folded\r\n\r\n', 'BAD_HEADER'],
      ['0\r\nA: b\rc\r\n\r\n', 'BAD_HEADER'],
      ['FFFFFFFFFFFFFFFF\r\n', 'FRAME_TOO_LONG'],
      ['00000000000000000', 'BAD_LENGTH'],
      [`1;${'a'.repeat(9000)}`, 'FRAME_TOO_LONG'],
      [`0\r\n${'a: b\r\n'.repeat(2000)}`, 'FRAME_TOO_LONG'],
    ];
    for (const [stream, code] of faults) expect(fault(chunked(), stream), stream.slice(0, 40)).toBe(code);
    expect(fault(chunked({ maxFrameLength: Number.POSITIVE_INFINITY }), 'FFFFFFFFFFFFFFF\r\n')).toBe('BAD_LENGTH');
  });

  it('nothing is written that would be', () => {
    expect(refusal(chunked(), { body: '', trailers: [['A', 'b\r\nC: d']] })).toBe('BAD_HEADER');
    expect(refusal(chunked(), { body: '', trailers: [['A b', 'c']] })).toBe('BAD_HEADER');
    expect(refusal(chunked(), { body: 'a', extensions: ';x\r\n' })).toBe('BAD_HEADER');
    expect(refusal(chunked(), { body: 'a', trailers: [['A', 'b']] })).toBe('BAD_VALUE');
    expect(refusal(chunked(), 5)).toBe('ERR_FRAMING_MESSAGE');
  });
});

describe('postgres', () => {
  it('a server reads startup packets, as many as the client begins anew, then messages', () => {
    const codec = postgres({ startup: true });
    const ssl = Buffer.alloc(4);
    ssl.writeUInt32BE(POSTGRES_SSL_REQUEST);
    const sent = [
      { type: 0, body: ssl },
      { type: 0, body: bytes('\0\x03\0\0user\0me\0\0') },
      { type: 0x51, body: bytes('select 1\0') },
    ];
    expect(decodeAll(codec, encodeAll(codec, sent))).toEqual(sent);
    expect(fault(codec, unhex('00000007000000'))).toBe('BAD_LENGTH');
    expect(fault(codec, unhex('00010000'))).toBe('FRAME_TOO_LONG');
  });

  it('a length that does not even count itself is refused (trap 10)', () => {
    for (const length of ['00000000', '00000003']) expect(fault(postgres(), unhex(`5a${length}`))).toBe('BAD_LENGTH');
    expect(fault(postgres(), unhex('5affffffff'))).toBe('FRAME_TOO_LONG');
    expect(refusal(postgres(), { type: 256, body: bytes('') })).toBe('BAD_VALUE');
    expect(refusal(postgres(), { type: 1, body: 'x' })).toBe('ERR_FRAMING_MESSAGE');
  });
});

describe('mqtt', () => {
  const packets: MqttPacket[] = [
    {
      type: 'connect',
      version: 5,
      clean: true,
      keepAlive: 60,
      clientId: 'c',
      username: 'u',
      password: bytes('p'),
      properties: {
        sessionExpiryInterval: 7,
        userProperties: [
          ['a', 'b'],
          ['a', 'c'],
        ],
      },
      will: { topic: 'w', payload: bytes('x'), qos: 1, retain: true, properties: { willDelayInterval: 5 } },
    },
    { type: 'connack', sessionPresent: false, code: 0, properties: { assignedClientIdentifier: 'id', maximumQoS: 1 } },
    {
      type: 'publish',
      topic: 't/é',
      payload: bytes('hi'),
      qos: 2,
      retain: false,
      dup: true,
      id: 65535,
      properties: { subscriptionIdentifiers: [1, 268435455], correlationData: bytes('\0\xff') },
    },
    { type: 'puback', id: 1, code: 0, properties: {} },
    { type: 'pubrec', id: 1, code: 16, properties: {} },
    { type: 'pubrel', id: 1, code: 0, properties: { reasonString: 'r' } },
    { type: 'pubcomp', id: 1, code: 0x92, properties: {} },
    {
      type: 'subscribe',
      id: 9,
      subscriptions: [{ topic: 'a/#', qos: 1, noLocal: true, retainAsPublished: false, retainHandling: 2 }],
      properties: {},
    },
    { type: 'suback', id: 9, codes: [1, 0x80], properties: {} },
    { type: 'unsubscribe', id: 10, topics: ['a/#', 'b'], properties: {} },
    { type: 'unsuback', id: 10, codes: [0, 17], properties: {} },
    { type: 'pingreq' },
    { type: 'pingresp' },
    { type: 'disconnect', code: 4, properties: { serverReference: 's' } },
    { type: 'auth', code: 24, properties: { authenticationMethod: 'm' } },
  ];

  it('every packet of MQTT 5 comes back, and every packet of 3.1.1', () => {
    const five = mqtt({ version: 5 });
    expect(decodeAll(five, encodeAll(five, packets))).toEqual(packets);
    const four: MqttPacket[] = [
      { type: 'connect', version: 4, clean: false, keepAlive: 0, clientId: '' },
      { type: 'connect', version: 3, clean: true, keepAlive: 1, clientId: 'old' },
      { type: 'connack', sessionPresent: true, code: 5 },
      {
        type: 'publish',
        topic: 't',
        payload: bytes(''),
        qos: 0,
        retain: true,
        dup: false,
        id: undefined,
        properties: undefined,
      },
      { type: 'pubrel', id: 3 },
      {
        type: 'subscribe',
        id: 1,
        subscriptions: [
          { topic: '+', qos: 0 },
          { topic: '#', qos: 2 },
        ],
      },
      { type: 'suback', id: 1, codes: [0, 128] },
      { type: 'unsuback', id: 1 },
      { type: 'disconnect' },
    ];
    expect(decodeAll(mqtt(), encodeAll(mqtt(), four))).toEqual(four);
  });

  it('a stream is read in the version that its connect names', () => {
    const stream = encodeAll(mqtt({ version: 5 }), [
      { type: 'connect', version: 5, clientId: 'c' },
      { type: 'publish', topic: 't', payload: 'x', properties: { topicAlias: 3 } },
    ]);
    expect(decodeAll(mqtt(), stream)[1]).toMatchObject({ payload: bytes('x'), properties: { topicAlias: 3 } });
  });

  it('malformed packets are refused', () => {
    const faults: [string, string][] = [
      ['0000', 'BAD_TYPE'],
      ['f000', 'BAD_TYPE'], // auth is of MQTT 5
      ['c100', 'BAD_HEADER'], // 2.1.3: flags
      ['3600', 'BAD_HEADER'], // QoS 3
      ['3800', 'BAD_HEADER'], // a duplicate with QoS 0
      ['30ffffffff01', 'BAD_VARINT'],
      ['c00100', 'BAD_LENGTH'], // too many bytes in a pingreq
      ['3003000561', 'BAD_LENGTH'], // a topic beyond the end
      ['3003000123', 'BAD_VALUE'], // a wildcard to publish to
      ['30030001ff', 'BAD_UTF8'],
      ['3003000100', 'BAD_UTF8'], // U+0000
      ['3205000161' + '0000', 'BAD_VALUE'], // identifier 0
      ['8202' + '0001', 'BAD_LENGTH'], // a subscribe to nothing
      ['82060001000161' + '03', 'BAD_HEADER'],
      ['1006' + '0004' + '4d515454', 'BAD_LENGTH'],
      ['100a' + '00044d515454' + '06000000', 'BAD_VALUE'],
      ['100c' + '00044d515454' + '040100000000', 'BAD_HEADER'], // the reserved flag
      ['30ffffff7f', 'FRAME_TOO_LONG'],
    ];
    for (const [stream, code] of faults) expect(fault(mqtt(), unhex(stream)), stream).toBe(code);
    const five = mqtt({ version: 5 });
    expect(fault(five, unhex('c08000'))).toBe('BAD_VARINT'); // 1.5.5: not the shortest
    expect(fault(five, unhex('300600017403' + '0401'))).toBe('BAD_LENGTH');
    expect(fault(five, unhex('300700017403' + '040100'))).toBe('BAD_TYPE'); // no such property
    expect(fault(five, unhex('300800017404' + '01000101'))).toBe('BAD_HEADER'); // twice
  });

  it('what cannot be said, or would be said wrong, is refused', () => {
    const wrong: [unknown, string][] = [
      [{ type: 'publish', topic: 'a/#', payload: '' }, 'BAD_VALUE'],
      [{ type: 'publish', topic: 'a', payload: '', qos: 1 }, 'BAD_VALUE'],
      [{ type: 'publish', topic: 'a', payload: '', qos: 3, id: 1 }, 'BAD_VALUE'],
      [{ type: 'publish', topic: 'a\0', payload: '' }, 'BAD_UTF8'],
      [{ type: 'publish', topic: 'a', payload: '', properties: { topicAlias: 1 } }, 'BAD_VALUE'],
      [{ type: 'publish', topic: 'x'.repeat(70000), payload: '' }, 'BAD_VALUE'],
      [{ type: 'auth' }, 'BAD_TYPE'],
      [{ type: 'subscribe', id: 1, subscriptions: [] }, 'BAD_VALUE'],
      [{ type: 'subscribe', id: 1, subscriptions: [{ topic: 'a', qos: 0, noLocal: true }] }, 'BAD_VALUE'],
      [{ type: 'connect', version: 4, clientId: 'c', password: 'p' }, 'BAD_VALUE'],
      [{ type: 'hello' }, 'ERR_FRAMING_MESSAGE'],
    ];
    for (const [packet, code] of wrong) expect(refusal(mqtt(), packet), JSON.stringify(packet).slice(0, 80)).toBe(code);
    expect(refusal(mqtt({ version: 5 }), { type: 'auth', properties: { unknown: 1 } })).toBe('BAD_VALUE');
  });
});

describe('proxyHeader', () => {
  const tcp4 = {
    version: 1,
    command: 'proxy',
    family: 'inet',
    protocol: 'stream',
    source: { address: '192.168.0.1', port: 56324 },
    destination: { address: '192.168.0.11', port: 443 },
  } as const;

  it('version 1 and 2 come back, and the rest stays in leftover', () => {
    const line = 'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n';
    expect(text(proxyHeader(), tcp4)).toBe(line);
    const got: unknown[] = [];
    const framer = new Framed(proxyHeader(), (header) => got.push(header));
    framer.push(bytes(`${line}GET /\r\n`));
    framer.push(bytes('more'));
    expect(got).toEqual([tcp4]);
    expect(String(framer.leftover)).toBe('GET /\r\nmore');
    const second = [
      { ...tcp4, version: 2, tlvs: [{ type: 1, value: bytes('h2') }] },
      {
        version: 2,
        command: 'proxy',
        family: 'inet6',
        protocol: 'dgram',
        source: { address: '2001:db8::1', port: 1 },
        destination: { address: '::ffff:1.2.3.4', port: 2 },
        tlvs: [],
      },
      {
        version: 2,
        command: 'proxy',
        family: 'unix',
        protocol: 'stream',
        source: { address: '/run/a', port: 0 },
        destination: { address: '\0abstract', port: 0 },
        tlvs: [],
      },
      { version: 2, command: 'local', family: 'unknown', protocol: 'unknown', tlvs: [] },
    ] as const;
    for (const header of second)
      expect(decodeAll(proxyHeader(), encodeAll(proxyHeader(), [header as never]))).toEqual([header]);
    expect(one(proxyHeader(), 'PROXY UNKNOWN ffff::1 whatever\r\n')).toMatchObject({ family: 'unknown' });
  });

  it('the checksum of version 2 is written and checked (2.2.3)', () => {
    const sealed = encodeAll(proxyHeader(), [{ ...tcp4, version: 2, tlvs: [{ type: 3, value: Buffer.alloc(4) }] }]);
    expect(decodeAll(proxyHeader(), sealed)).toHaveLength(1);
    sealed[20]! ^= 1;
    expect(fault(proxyHeader(), sealed)).toBe('BAD_CHECKSUM');
  });

  it('malformed headers are refused, those of the tests of netty among them', () => {
    const faults: [string, string][] = [
      ['GET / HTTP/1.1\r\n', 'BAD_HEADER'],
      ['PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\n', 'BAD_HEADER'],
      ['PROXY TCP4 192.168.0.1 192.168.0.11 56324\r\n', 'BAD_HEADER'],
      ['PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 123\r\n', 'BAD_HEADER'],
      ['PROXY TCP4 192.168.0.1 192.168.0.11 80000 443\r\n', 'BAD_HEADER'],
      ['PROXY TCP4 299.168.0.1 192.168.0.11 56324 443\r\n', 'BAD_HEADER'],
      ['PROXY TCP4 192.168.00.1 192.168.0.11 56324 443\r\n', 'BAD_HEADER'],
      ['PROXY TCP6 r001:0db8:: 1050::3 56324 443\r\n', 'BAD_HEADER'],
      ['PROXY TCP7 192.168.0.1 192.168.0.11 56324 443\r\n', 'BAD_HEADER'],
      ['PING TCP4 192.168.0.1 192.168.0.11 56324 443\r\n', 'BAD_HEADER'],
      [`PROXY TCP4 ${'1'.repeat(200)}`, 'FRAME_TOO_LONG'],
      ['\r\n\r\n\0\r\nQUIT\nX', 'BAD_HEADER'],
    ];
    for (const [stream, code] of faults.slice(0, -1)) expect(fault(proxyHeader(), stream), stream).toBe(code);
    const signature = '0d0a0d0a000d0a515549540a';
    expect(fault(proxyHeader(), unhex(`${signature}11110000`))).toBe('BAD_HEADER');
    expect(fault(proxyHeader(), unhex(`${signature}21410000`))).toBe('BAD_HEADER');
    expect(fault(proxyHeader(), unhex(`${signature}2111000400000000`))).toBe('BAD_HEADER');
    expect(fault(proxyHeader(), unhex(`${signature}2111ffff`))).toBe('FRAME_TOO_LONG');
    expect(fault(proxyHeader(), unhex(`${signature}2111000e${'00'.repeat(12)}0105`))).toBe('BAD_HEADER');
    expect(fault(proxyHeader({ version: 2 }), 'PROXY UNKNOWN\r\n')).toBe('BAD_HEADER');
  });

  it('addresses that are none are not written', () => {
    expect(refusal(proxyHeader(), { ...tcp4, source: { address: '1.2.3.4\r\nX', port: 1 } })).toBe('BAD_VALUE');
    expect(refusal(proxyHeader(), { ...tcp4, source: { address: '1.2.3.4', port: 65536 } })).toBe('BAD_VALUE');
    expect(refusal(proxyHeader(), { ...tcp4, source: undefined })).toBe('BAD_VALUE');
    expect(refusal(proxyHeader(), { ...tcp4, version: 2, family: 'inet6' })).toBe('BAD_VALUE');
  });
});

describe('stomp', () => {
  it('headers are unescaped, but not those of connect; the first of two counts', () => {
    const frame = one(stomp(), 'SEND\r\na\\c:b\\nc\\\\d\r\na\\c:2\r\n\r\nhi\0');
    expect(frame).toEqual({ command: 'SEND', headers: new Map([['a:', 'b\nc\\d']]), body: bytes('hi') });
    expect(one(stomp(), 'CONNECT\nhost:a\\b\n\n\0').headers.get('host')).toBe('a\\b');
    expect(text(stomp(), { command: 'SEND', headers: { 'a:': 'b\nc\\d' }, body: 'hi' })).toBe(
      'SEND\na\\c:b\\nc\\\\d\n\nhi\0',
    );
  });

  it('a body with NUL gets a content-length', () => {
    const sent = text(stomp(), { command: 'MESSAGE', body: bytes('a\0b') });
    expect(sent).toBe('MESSAGE\ncontent-length:3\n\na\0b\0');
    expect(one(stomp(), sent).body).toEqual(bytes('a\0b'));
    expect(refusal(stomp(), { command: 'SEND', headers: { 'content-length': '2' }, body: 'abc' })).toBe('BAD_VALUE');
  });

  it('malformed frames are refused, and nothing is injected', () => {
    const faults: [string, string][] = [
      ['HELLO\n\n\0', 'BAD_TYPE'],
      ['SEND\n:empty\n\n\0', 'BAD_HEADER'],
      ['SEND\nnocolon\n\n\0', 'BAD_HEADER'],
      ['SEND\na:\\t\n\n\0', 'BAD_ESCAPE'],
      ['SEND\na:\\\n\n\0', 'BAD_ESCAPE'],
      ['SEND\ncontent-length:x\n\n', 'BAD_DIGIT'],
      ['SEND\ncontent-length:1\n\nab', 'BAD_TRAILER'],
      ['SEND\ncontent-length:999999999\n\n', 'FRAME_TOO_LONG'],
      ['SEND\na:\xff\n\n\0', 'BAD_UTF8'],
      ['SEND\0\n\n', 'BAD_HEADER'],
      ['\rX', 'BAD_HEADER'],
      [`SEND\n${'a:b\n'.repeat(5000)}`, 'FRAME_TOO_LONG'],
    ];
    for (const [stream, code] of faults) expect(fault(stomp(), stream), stream.slice(0, 40)).toBe(code);
    expect(refusal(stomp(), { command: 'CONNECT', headers: { host: 'a\nb:c' } })).toBe('BAD_DELIMITER');
    expect(refusal(stomp(), { command: 'SEND', headers: { a: 'b\0' } })).toBe('BAD_DELIMITER');
    expect(refusal(stomp(), { command: 'SEND\nX:y' })).toBe('BAD_TYPE');
  });
});

describe('memcache and memcacheReply', () => {
  it('requests with and without data come back, their byte counts being those of the data', () => {
    const requests = [
      { command: 'set', args: ['k', '5', '0'], data: bytes('a\r\nb') },
      { command: 'cas', args: ['k', '0', '0', '77', 'noreply'], data: bytes('') },
      { command: 'ms', args: ['k', 'T0'], data: bytes('hi') },
      { command: 'get', args: ['a', 'b'] },
      { command: 'version', args: [] },
    ];
    expect(text(memcache(), requests[0]!)).toBe('set k 5 0 4\r\na\r\nb\r\n');
    expect(text(memcache(), requests[1]!)).toBe('cas k 0 0 0 77 noreply\r\n\r\n');
    expect(decodeAll(memcache(), encodeAll(memcache(), requests))).toEqual(requests);
  });

  it('requests that would become others are refused, both ways', () => {
    const wrong: [unknown, string][] = [
      [{ command: 'get', args: ['a b'] }, 'BAD_DELIMITER'],
      [{ command: 'get', args: ['a\r\nflush_all'] }, 'BAD_DELIMITER'],
      [{ command: 'get', args: ['k'.repeat(251)] }, 'BAD_HEADER'],
      [{ command: 'get', args: [] }, 'BAD_HEADER'],
      [{ command: 'get', args: ['a'], data: 'x' }, 'BAD_VALUE'],
      [{ command: 'set', args: ['a', '0', '0'] }, 'BAD_VALUE'],
      [{ command: 'set', args: ['a'], data: 'x' }, 'BAD_VALUE'],
    ];
    for (const [request, code] of wrong) expect(refusal(memcache(), request), JSON.stringify(request)).toBe(code);
    const faults: [string, string][] = [
      ['get a\n', 'BARE_LF'],
      ['set k 0 0 x\r\n', 'BAD_DIGIT'],
      ['set k 0 0 -1\r\n', 'BAD_DIGIT'],
      ['set k 0 0\r\n', 'BAD_DIGIT'],
      ['set k 0 0 1\r\nabc', 'BAD_TRAILER'],
      ['set k 0 0 99999999999\r\n', 'FRAME_TOO_LONG'],
      [`get ${'k'.repeat(251)}\r\n`, 'BAD_HEADER'],
      ['\r\n', 'BAD_TYPE'],
      ['g'.repeat(70000), 'FRAME_TOO_LONG'],
    ];
    for (const [stream, code] of faults) expect(fault(memcache(), stream), stream.slice(0, 30)).toBe(code);
  });

  it('a reply is all its lines', () => {
    const replies = [
      {
        status: 'END',
        text: '',
        values: [
          { args: ['k', '0'], data: bytes('END\r\n') },
          { args: ['l', '1', '9'], data: bytes('') },
        ],
        stats: [],
      },
      { status: 'STORED', text: '', values: [], stats: [] },
      { status: '17', text: '', values: [], stats: [] },
      { status: 'SERVER_ERROR', text: 'out of memory', values: [], stats: [] },
      { status: 'VA', text: '', values: [{ args: ['t1'], data: bytes('hi') }], stats: [] },
      { status: 'HD', text: 'f1 t2', values: [], stats: [] },
      {
        status: 'END',
        text: '',
        values: [],
        stats: [
          ['pid', '1'],
          ['a', 'b c'],
        ] as [string, string][],
      },
    ];
    expect(decodeAll(memcacheReply(), encodeAll(memcacheReply(), replies))).toEqual(replies);
    const faults: [string, string][] = [
      ['HELLO\r\n', 'BAD_REPLY'],
      ['VALUE k 0 1\r\na\r\nSTORED\r\n', 'BAD_REPLY'],
      ['VALUE k 0 x\r\n', 'BAD_DIGIT'],
      ['VALUE k 0 1\r\nabc', 'BAD_TRAILER'],
      ['STORED\n', 'BARE_LF'],
    ];
    for (const [stream, code] of faults) expect(fault(memcacheReply(), stream), stream).toBe(code);
    expect(refusal(memcacheReply(), { status: 'ERROR', text: 'a\r\nSTORED', values: [], stats: [] })).toBe(
      'BAD_DELIMITER',
    );
    expect(refusal(memcacheReply(), { status: 'HELLO', text: '', values: [], stats: [] })).toBe('BAD_REPLY');
  });
});

describe('ber', () => {
  it('elements come back, with tags and lengths of every size', () => {
    for (const tag of [0, 30, 31, 127, 128, 16384, 2 ** 28 - 1]) {
      for (const length of [0, 127, 128, 256, 65536]) {
        const element = { tagClass: tag % 4, constructed: length === 0, tag, value: Buffer.alloc(length, 7) };
        const [got] = decodeAll(ber(), encodeAll(ber(), [element]));
        expect({ ...got, value: hex(got!.value) }).toEqual({ ...element, value: hex(element.value) });
      }
    }
    expect(fault(ber(), unhex('1f80'))).toBe('BAD_VARINT');
    expect(fault(ber(), unhex('1fffffffff7f'))).toBe('BAD_VARINT');
    expect(fault(ber(), unhex('30ff'))).toBe('BAD_LENGTH');
    expect(fault(ber(), unhex('30890000000000000000'))).toBe('BAD_LENGTH');
    expect(fault(ber(), unhex('3088ffffffffffffffff'))).toBe('BAD_LENGTH');
    expect(fault(ber(), unhex('30850100000000'))).toBe('FRAME_TOO_LONG');
    expect(refusal(ber(), { tagClass: 4, constructed: false, tag: 1, value: bytes('') })).toBe('BAD_VALUE');
  });
});

describe('dns', () => {
  const message = {
    id: 0xbeef,
    response: true,
    opcode: 0,
    authoritative: true,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    authenticData: true,
    checkingDisabled: false,
    rcode: 3,
    questions: [{ name: 'www.Example.org', type: 1, class: 1 }],
    answers: [
      { name: 'www.Example.org', type: 5, class: 1, ttl: 4294967295, data: 'a\\.b.\\000\\255.Example.org' },
      { name: 'Example.org', type: 1, class: 1, ttl: 0, data: '127.0.0.1' },
      { name: 'Example.org', type: 28, class: 1, ttl: 0, data: '2001:db8::1:0:0:1' },
      { name: '.', type: 16, class: 1, ttl: 0, data: [bytes('x'), bytes('')] },
      { name: 'Example.org', type: 15, class: 1, ttl: 0, data: { preference: 10, exchange: 'mx.Example.org' } },
      {
        name: 'Example.org',
        type: 33,
        class: 1,
        ttl: 0,
        data: { priority: 1, weight: 2, port: 3, target: 'mx.Example.org' },
      },
      { name: 'Example.org', type: 257, class: 1, ttl: 0, data: { flags: 0, tag: 'issue', value: bytes('ca') } },
    ],
    authorities: [
      {
        name: 'Example.org',
        type: 6,
        class: 1,
        ttl: 5,
        data: {
          primary: 'ns.Example.org',
          mailbox: 'me.Example.org',
          serial: 1,
          refresh: 2,
          retry: 3,
          expire: 4,
          minimum: 5,
        },
      },
    ],
    additionals: [{ name: '.', type: 41, class: 1232, ttl: 0, data: bytes('\0\x0a\0\0') }],
  };

  it('messages come back, over TCP and as datagrams, names compressed', () => {
    const encoded = encodeDns(message);
    expect(decodeDns(encoded)).toEqual(message);
    expect(decodeAll(dns(), encodeAll(dns(), [message, message]))).toEqual([message, message]);
    expect(Buffer.from(encoded).toString('latin1').split('Example').length - 1).toBe(1 + 1);
  });

  it('hostile names and lengths end', () => {
    const head = '000000000001000000000000';
    expect(() => decodeDns(unhex(`${head}c00c00010001`))).toThrow(/does not go back/);
    expect(() => decodeDns(unhex(`${head}c01000010001`))).toThrow(/does not go back/);
    expect(() => decodeDns(unhex(`${head}0161c00c00010001`))).toThrow(/does not go back/);
    expect(() => decodeDns(unhex(`${head}4061`))).toThrow(/unknown type/);
    expect(() => decodeDns(unhex(`${head}05`))).toThrow(/beyond the end/);
    expect(() => decodeDns(unhex(`${head}${'3f'.concat('61'.repeat(63)).repeat(5)}0000010001`))).toThrow(/255/);
    expect(() => decodeDns(unhex('00000000ffffffffffffffff'))).toThrow(/beyond the end/);
    expect(() => decodeDns(unhex('0000000000000000000000'))).toThrow(/header/);
    const encoded = encodeDns(message);
    for (let size = 0; size < encoded.length; size++) {
      expect(() => decodeDns(encoded.subarray(0, size)), String(size)).toThrow(/.*/);
    }
  });

  it('what cannot be written is refused', () => {
    const wrong: unknown[] = [
      { id: 65536 },
      { id: 1, rcode: 16 },
      { id: 1, questions: [{ name: 'a..b', type: 1 }] },
      { id: 1, questions: [{ name: 'x'.repeat(64), type: 1 }] },
      { id: 1, questions: [{ name: 'é€', type: 1 }] },
      { id: 1, answers: [{ name: 'a', type: 1, data: '1.2.3' }] },
      { id: 1, answers: [{ name: 'a', type: 1, data: bytes('12345') }] },
      { id: 1, answers: [{ name: 'a', type: 99, data: 'text' }] },
      { id: 1, answers: [{ name: 'a', type: 16, data: [Buffer.alloc(256)] }] },
    ];
    for (const each of wrong) expect(refusal(dns(), each), JSON.stringify(each).slice(0, 60)).toBe('BAD_VALUE');
    expect(refusal(dns(), { id: 1, answers: [{ name: 'a', type: 99, data: Buffer.alloc(65536) }] })).toBe(
      'FRAME_TOO_LONG',
    );
  });
});

describe('syslog', () => {
  it('the examples of RFC 5424 6.5 and RFC 3164 5.4 are read', () => {
    expect(
      parseSyslog(
        Buffer.from("<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \ufeff'su root' failed"),
      ),
    ).toEqual({
      facility: 4,
      severity: 2,
      version: 1,
      timestamp: '2003-10-11T22:14:15.003Z',
      hostname: 'mymachine.example.com',
      appName: 'su',
      msgId: 'ID47',
      message: "'su root' failed",
    });
    const sd = '[exampleSDID@32473 iut="3" eventSource="a \\"b\\" \\] \\\\"][examplePriority@32473 class="high"]';
    expect(parseSyslog(Buffer.from(`<165>1 - - - - - ${sd}`))).toEqual({
      facility: 20,
      severity: 5,
      version: 1,
      structuredData: [
        {
          id: 'exampleSDID@32473',
          params: [
            ['iut', '3'],
            ['eventSource', 'a "b" ] \\'],
          ],
        },
        { id: 'examplePriority@32473', params: [['class', 'high']] },
      ],
      message: '',
    });
    expect(parseSyslog(Buffer.from("<34>Oct 11 22:14:15 mymachine su[77]: 'su root' failed"))).toEqual({
      facility: 4,
      severity: 2,
      timestamp: 'Oct 11 22:14:15',
      hostname: 'mymachine',
      appName: 'su',
      procId: '77',
      message: "'su root' failed",
    });
    expect(parseSyslog(Buffer.from('<0>Use the BFG!'))).toEqual({ facility: 0, severity: 0, message: 'Use the BFG!' });
  });

  it('messages come back in both framings, and a malformed one does not disturb the next', () => {
    const messages = [
      {
        facility: 23,
        severity: 7,
        version: 1,
        timestamp: 't',
        structuredData: [{ id: 'a', params: [['b', '"\\]'] as [string, string]] }],
        message: 'é',
      },
      { facility: 1, severity: 5, timestamp: 'Oct  1 22:14:15', hostname: 'h', appName: 'a', message: 'x: y' },
      { facility: 1, severity: 5, message: 'plain' },
    ];
    for (const framing of ['lf', 'octet-counting', 'auto'] as const) {
      const codec = syslog({ framing });
      expect(decodeAll(codec, encodeAll(codec, messages))).toEqual(messages);
    }
    const errors: FramingError[] = [];
    const got = decodeAll(syslog(), bytes('3 abc6 <1>two<2>three\n'), { onError: (error) => errors.push(error) });
    expect(got.map(({ message }) => message)).toEqual(['two', 'three']);
    expect(errors.map(({ code, offset }) => [code, offset])).toEqual([['BAD_HEADER', 0]]);
    expect(fault(syslog(), '0 ')).toBe('BAD_DIGIT');
    expect(fault(syslog(), '1x')).toBe('BAD_DIGIT');
    expect(fault(syslog(), '99999999999')).toBe('FRAME_TOO_LONG');
  });

  it('what would be read as something else is refused', () => {
    const base = { facility: 1, severity: 1, message: 'm' };
    const wrong: [object, string][] = [
      [{ facility: 24 }, 'BAD_VALUE'],
      [{ severity: 8 }, 'BAD_VALUE'],
      [{ version: 2 }, 'BAD_VALUE'],
      [{ version: 1, hostname: 'a b' }, 'BAD_VALUE'],
      [{ version: 1, structuredData: [{ id: 'a]', params: [] }] }, 'BAD_VALUE'],
      [{ message: '1 looks like a version' }, 'BAD_VALUE'],
      [{ message: 'Oct 11 22:14:15 host x' }, 'BAD_VALUE'],
      [{ appName: 'a' }, 'BAD_VALUE'],
    ];
    for (const [change, code] of wrong)
      expect(refusal(syslog(), { ...base, ...change }), JSON.stringify(change)).toBe(code);
    expect(refusal(syslog({ framing: 'lf' }), { ...base, message: 'a\n<0>b' })).toBe('BAD_DELIMITER');
    expect(hex(formatSyslog(base))).toBe(hex(bytes('<9>m')));
  });
});
