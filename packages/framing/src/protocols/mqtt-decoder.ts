import type { Input } from '../codec.js';
import { FramingError } from '../errors.js';
import { BodyReader } from './mqtt-body.js';
import type { MqttConnect, MqttPacket, MqttPublish, MqttQoS, MqttSubscribe, MqttVersion } from './mqtt-packets.js';
import { PACKET_TYPES } from './mqtt-packets.js';
import { type MqttProperties, readProperties } from './mqtt-properties.js';
import type { TopicNames } from './mqtt-topics.js';

/** A whole packet other than PUBLISH from its first byte and its body. Sections are those of MQTT 5; 3.1.1 has nearly the same. */
export function packetOf(first: number, bytes: Uint8Array, version: MqttVersion): MqttPacket {
  const body = new BodyReader(bytes);
  const packet = readPacket(first >> 4, body, version);
  if (!body.done) throw new FramingError('BAD_LENGTH', `${body.end - body.at} bytes too many in a ${packet.type}`);
  return packet;
}

/** A PUBLISH, whose body of `length` bytes comes next. */
export function takePublish(
  first: number,
  input: Input,
  length: number,
  version: MqttVersion,
  topics: TopicNames,
): MqttPublish {
  const known = topics.find(input, length);
  if (known !== undefined) {
    const size = 2 + known.length;
    input.skip(size);
    return publishOf(first & 15, known, input.take(length - size), version);
  }
  const body = new BodyReader(input.take(length));
  const topic = body.text();
  checkTopicName(topic);
  topics.add(topic, body.at - 2);
  return publishOf(first & 15, topic, body.rest(), version);
}

/** `bytes`: what stands behind the topic. */
function publishOf(flags: number, topic: string, bytes: Uint8Array, version: MqttVersion): MqttPublish {
  const qos = ((flags >> 1) & 3) as MqttQoS;
  const dup = (flags & 8) !== 0;
  const retain = (flags & 1) !== 0;
  let id: number | undefined;
  let properties: MqttProperties | undefined;
  let payload = bytes;
  if (qos !== 0 || version === 5) {
    const body = new BodyReader(bytes);
    if (qos !== 0) id = readId(body);
    if (version === 5) properties = readProperties(body);
    payload = body.rest();
  }
  checkNamed(topic, properties);
  return { type: 'publish', topic, payload, qos, retain, dup, id, properties };
}

/** 4.7.1.1, 3.3.2.1: a name to publish to has no wildcards. Empty: MQTT 5 may have an alias in its place. */
export function checkTopicName(topic: string): void {
  if (topic.includes('#') || topic.includes('+')) {
    throw new FramingError('BAD_VALUE', 'a topic that is published to contains a wildcard (3.3.2.1)');
  }
}

/** 4.7.3: a name has a character at least, unless an alias, of MQTT 5, stands for it (3.3.2.1). */
export function checkNamed(topic: string, properties?: MqttProperties): void {
  if (topic !== '' || properties?.topicAlias !== undefined) return;
  throw new FramingError('BAD_VALUE', 'a topic that is published to is empty, without an alias (4.7.3)');
}

/** 4.7.3 */
export function checkFilter(topic: string): void {
  if (topic === '') throw new FramingError('BAD_VALUE', 'a topic filter is empty (4.7.3)');
}

function readFilter(body: BodyReader): string {
  const topic = body.text();
  checkFilter(topic);
  return topic;
}

function readPacket(number: number, body: BodyReader, version: MqttVersion): MqttPacket {
  const type = PACKET_TYPES[number];
  switch (type) {
    case 'connect':
      return readConnect(body);
    case 'connack': {
      const flags = body.u8();
      if (flags > 1) throw new FramingError('BAD_HEADER', 'reserved flags of a connack are set (3.2.2.1)');
      return { type, sessionPresent: flags === 1, code: body.u8(), ...propertiesOf(body, version) };
    }
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp': {
      const id = readId(body);
      return version === 5 ? { type, id, ...readReason(body) } : { type, id };
    }
    case 'subscribe':
      return readSubscribe(body, version);
    case 'suback':
    case 'unsuback': {
      const id = readId(body);
      const properties = propertiesOf(body, version);
      // Of an unsuback in MQTT 3.1.1 there is nothing more.
      return type === 'suback' || version === 5 ? { type, id, ...properties, codes: [...body.rest()] } : { type, id };
    }
    case 'unsubscribe': {
      const id = readId(body);
      const properties = propertiesOf(body, version);
      const topics = [readFilter(body)];
      while (!body.done) topics.push(readFilter(body));
      return { type, id, topics, ...properties };
    }
    case 'pingreq':
    case 'pingresp':
      return { type };
    case 'disconnect':
      return version === 5 ? { type, ...readReason(body) } : { type };
    case 'auth':
      if (version === 5) return { type, ...readReason(body) };
  }
  throw new FramingError('BAD_TYPE', `no packet of MQTT ${version} has the type ${number} (2.1.2)`);
}

function propertiesOf(body: BodyReader, version: MqttVersion): { properties?: MqttProperties } {
  return version === 5 ? { properties: readProperties(body) } : {};
}

/** Both may be left out when they are 0 and none (3.4.2.1, 3.14.2.1). */
function readReason(body: BodyReader): { code: number; properties: MqttProperties } {
  const code = body.done ? 0 : body.u8();
  return { code, properties: body.done ? {} : readProperties(body) };
}

function readId(body: BodyReader): number {
  const id = body.u16();
  if (id === 0) throw new FramingError('BAD_VALUE', 'a packet identifier is not 0 (2.2.1)');
  return id;
}

function readSubscribe(body: BodyReader, version: MqttVersion): MqttSubscribe {
  const id = readId(body);
  const properties = propertiesOf(body, version);
  const subscriptions: MqttSubscribe['subscriptions'] = [];
  do {
    const topic = readFilter(body);
    const options = body.u8();
    const qos = options & 3;
    const retainHandling = (options >> 4) & 3;
    if (qos === 3 || retainHandling === 3 || options > (version === 5 ? 0x3f : 3)) {
      throw new FramingError('BAD_HEADER', 'malformed options of a subscription (3.8.3.1)');
    }
    const subscription = { topic, qos: qos as MqttQoS };
    if (version !== 5) subscriptions.push(subscription);
    else {
      const [noLocal, retainAsPublished] = [(options & 4) !== 0, (options & 8) !== 0];
      subscriptions.push({ ...subscription, noLocal, retainAsPublished, retainHandling: retainHandling as MqttQoS });
    }
  } while (!body.done);
  return { type: 'subscribe', id, subscriptions, ...properties };
}

/** 3.1.2, 3.1.3 */
function readConnect(body: BodyReader): MqttConnect {
  const name = body.text();
  const level = body.u8();
  const known = name === 'MQTT' ? level === 4 || level === 5 : name === 'MQIsdp' && level === 3;
  if (!known) throw new FramingError('BAD_VALUE', `unknown protocol ${JSON.stringify(name)}, level ${level} (3.1.2)`);
  const version = level as MqttVersion;
  const flags = body.u8();
  const qos = (flags >> 3) & 3;
  const hasWill = (flags & 4) !== 0;
  const passwordAlone = version !== 5 && (flags & 0xc0) === 0x40;
  if ((flags & 1) !== 0 || qos === 3 || (!hasWill && (flags & 0x38) !== 0) || passwordAlone) {
    throw new FramingError('BAD_HEADER', 'malformed flags of a connect (3.1.2)');
  }
  const keepAlive = body.u16();
  const packet: MqttConnect = { type: 'connect', version, clean: (flags & 2) !== 0, keepAlive, clientId: '' };
  if (version === 5) packet.properties = readProperties(body);
  packet.clientId = body.text();
  if (hasWill) {
    const properties = propertiesOf(body, version);
    const topic = body.text();
    checkTopicName(topic);
    checkNamed(topic);
    const retain = (flags & 0x20) !== 0;
    packet.will = { topic, payload: body.binary(), qos: qos as MqttQoS, retain, ...properties };
  }
  if ((flags & 0x80) !== 0) packet.username = body.text();
  if ((flags & 0x40) !== 0) packet.password = body.binary();
  return packet;
}
