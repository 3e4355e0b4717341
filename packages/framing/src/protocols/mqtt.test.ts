import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll } from '../index.js';
import { bytes, fault, refusal } from '../testing/protocol-cases.js';
import { unhex } from '../testing/rechunk.js';
import { type MqttPacket, mqtt } from './index.js';

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

  it('topics that differ in one byte only, or that are no ASCII, are told apart however often they come', () => {
    const topics = ['a/b/c', 'x/b/c', 'a/b/x', 'é/bc', 'a/b', '/', 'a/b/c', 'x/b/c', 'l'.repeat(65), 'l'.repeat(64)];
    const sent: MqttPacket[] = [...topics, ...topics].map((topic, i) => {
      return { type: 'publish', topic, payload: bytes('p'), qos: 1, retain: i % 2 === 0, dup: false, id: 1 + i };
    });
    for (const version of [4, 5] as const) {
      const codec = mqtt({ version });
      const got = decodeAll(codec, encodeAll(codec, sent)) as { topic: string; id: number }[];
      expect(got.map(({ topic, id }) => [topic, id])).toEqual([...topics, ...topics].map((topic, i) => [topic, 1 + i]));
    }
    // A packet that ends inside a name that is known.
    const codec = mqtt();
    const stream = encodeAll(codec, [sent[0]!]);
    expect(decodeAll(codec, stream)).toHaveLength(1);
    expect(() => decodeAll(codec, unhex('30060005612f622f'))).toThrow(expect.objectContaining({ code: 'BAD_LENGTH' }));
  });

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

  it('a packet of any size is written whole, wherever its memory must grow', () => {
    const codec = mqtt({ version: 5 });
    const ids = [1, 2 ** 28 - 1];
    for (let size = 0; size < 600; size++) {
      const reasonString = 'x'.repeat(size);
      const topic = `t${reasonString}`;
      const properties = { userProperties: [['k', reasonString]] as [string, string][] };
      const options = { qos: 1, noLocal: true, retainAsPublished: true, retainHandling: 2 } as const;
      const sent: MqttPacket[] = [
        { type: 'connack', sessionPresent: true, code: 0x80, properties: { reasonString, maximumQoS: 1 } },
        {
          type: 'publish',
          ...{ topic, payload: bytes('p'), qos: 1, retain: true, dup: false, id: 0xabcd },
          properties: { contentType: reasonString, subscriptionIdentifiers: ids, messageExpiryInterval: 0xfedcba98 },
        },
        {
          type: 'subscribe',
          id: 1,
          subscriptions: [
            { topic, ...options },
            { topic: 'u', ...options },
          ],
          properties,
        },
        { type: 'suback', id: 2, codes: [1, 0x80, 2], properties },
        { type: 'unsubscribe', id: 3, topics: [topic, 'b'], properties },
      ];
      expect(decodeAll(codec, encodeAll(codec, sent)), `size ${size}`).toEqual(sent);
    }
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

  it('topics and filters have a character at least, unless an alias stands for one (4.7.3)', () => {
    const will = { topic: '', payload: 'x' };
    const packets = [
      { type: 'publish', topic: '', payload: 'x' },
      { type: 'subscribe', id: 1, subscriptions: [{ topic: '', qos: 0 }] },
      { type: 'unsubscribe', id: 1, topics: ['a', ''] },
      { type: 'connect', version: 4, clientId: 'c', will },
    ];
    for (const packet of packets) expect(refusal(mqtt(), packet), packet.type).toBe('BAD_VALUE');
    for (const stream of ['3003000078', '82050001000000', 'a20400010000', '101100044d5154540406000000016300000000']) {
      expect(fault(mqtt(), unhex(stream)), stream).toBe('BAD_VALUE');
    }
    const codec = mqtt({ version: 5 });
    expect(fault(codec, unhex('300400000078'))).toBe('BAD_VALUE');
    const [named] = decodeAll(codec, unhex('30070000032300' + '0578'));
    expect(named).toMatchObject({ topic: '', properties: { topicAlias: 5 } });
    expect(refusal(codec, named)).toBeUndefined();
  });
});
