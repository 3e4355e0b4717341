import type { MqttPacket, MqttVersion } from '../protocols/mqtt-packets.js';
import type { MqttProperties } from '../protocols/mqtt-properties.js';
import { type ArbitraryLike, type FastCheck, optional, textOf } from './fast-check.js';
import { payloads } from './streams.js';

/** Packets of `mqtt({ version })`, each with all that it has when it is received. Default 4, as of the codec. */
export function mqttPackets(fc: FastCheck, { version = 4 }: { version?: MqttVersion } = {}): ArbitraryLike<MqttPacket> {
  const five = version === 5;
  const id = fc.nat(0xfffe).map((number) => number + 1);
  const text = textOf(fc, 'abc/é€\u{1f4a9} ');
  const topic = textOf(fc, 'abc/$é', { minLength: 1 });
  const filter = textOf(fc, ['a', '/', '+', '#', 'é'], { minLength: 1 });
  const qos = fc.constantFrom(0 as const, 1 as const, 2 as const);
  const code = fc.nat(0xff);
  const only = <T>(arbitrary: ArbitraryLike<T>) => (five ? arbitrary : fc.constantFrom(undefined));
  const properties = only(mqttProperties(fc));
  const type = <T extends string>(...types: T[]) => fc.constantFrom(...types);
  const packets: ArbitraryLike<MqttPacket>[] = [
    fc
      .record({
        type: type('connect'),
        version: fc.constantFrom(version),
        clean: fc.boolean(),
        keepAlive: fc.nat(0xffff),
        clientId: text,
        properties,
        will: optional(fc, fc.record({ topic, payload: payloads(fc), qos, retain: fc.boolean(), properties })),
        username: optional(fc, text),
        password: optional(fc, payloads(fc)),
      })
      // 3.1.2.9: before MQTT 5 no password without a name.
      .map((each) => (each.username === undefined && !five ? { ...each, password: undefined } : each)),
    fc.record({ type: type('connack'), sessionPresent: fc.boolean(), code, properties }),
    fc
      .record({
        type: type('publish'),
        topic,
        payload: payloads(fc),
        qos,
        retain: fc.boolean(),
        dup: fc.boolean(),
        id,
        properties,
      })
      .map((each) => (each.qos > 0 ? each : { ...each, dup: false, id: undefined })),
    fc.record({ type: type('puback', 'pubrec', 'pubrel', 'pubcomp'), id, code: only(code), properties }),
    fc.record({
      type: type('subscribe'),
      id,
      subscriptions: fc.array(
        fc.record({
          topic: filter,
          qos,
          noLocal: only(fc.boolean()),
          retainAsPublished: only(fc.boolean()),
          retainHandling: only(qos),
        }),
        { minLength: 1, maxLength: 3 },
      ),
      properties,
    }),
    fc.record({ type: type('suback'), id, codes: fc.array(code, { maxLength: 4 }), properties }),
    fc.record({ type: type('unsuback'), id, codes: only(fc.array(code, { maxLength: 4 })), properties }),
    fc.record({ type: type('unsubscribe'), id, topics: fc.array(filter, { minLength: 1, maxLength: 3 }), properties }),
    fc.record({ type: type('pingreq', 'pingresp') }),
    fc.record({ type: type('disconnect'), code: only(code), properties }),
  ];
  if (five) packets.push(fc.record({ type: type('auth'), code, properties }));
  return fc.oneof(...packets);
}

/** MQTT 5 2.2.2.2; which packet may have which is left to the session. */
function mqttProperties(fc: FastCheck): ArbitraryLike<MqttProperties> {
  const [u8, u16, u32] = [fc.nat(0xff), fc.nat(0xffff), fc.constantFrom(0, 1, 0xffff, 0x80000000, 0xffffffff)];
  const text = textOf(fc, 'aé€');
  const one = <K extends keyof MqttProperties>(name: K, value: ArbitraryLike<MqttProperties[K]>) =>
    value.map((each): MqttProperties => ({ [name]: each }));
  const property = fc.oneof<MqttProperties>(
    one('payloadFormatIndicator', u8),
    one('messageExpiryInterval', u32),
    one('contentType', text),
    one('responseTopic', text),
    one('correlationData', payloads(fc)),
    one(
      'subscriptionIdentifiers',
      fc.array(fc.constantFrom(0, 127, 128, 16384, 0xfffffff), { minLength: 1, maxLength: 3 }),
    ),
    one('sessionExpiryInterval', u32),
    one('assignedClientIdentifier', text),
    one('serverKeepAlive', u16),
    one('authenticationMethod', text),
    one('authenticationData', payloads(fc)),
    one('requestProblemInformation', u8),
    one('willDelayInterval', u32),
    one('requestResponseInformation', u8),
    one('responseInformation', text),
    one('serverReference', text),
    one('reasonString', text),
    one('receiveMaximum', u16),
    one('topicAliasMaximum', u16),
    one('topicAlias', u16),
    one('maximumQoS', u8),
    one('retainAvailable', u8),
    one('userProperties', fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 3 })),
    one('maximumPacketSize', u32),
    one('wildcardSubscriptionAvailable', u8),
    one('subscriptionIdentifierAvailable', u8),
    one('sharedSubscriptionAvailable', u8),
  );
  return fc.array(property, { maxLength: 4 }).map((each) => Object.assign({}, ...each) as MqttProperties);
}
