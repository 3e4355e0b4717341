import { utf8Bytes } from '../bytes.js';
import { FramingError, shown, wrongType } from '../errors.js';
import { BodyWriter } from './mqtt-body.js';
import { checkFilter, checkNamed, checkTopicName } from './mqtt-decoder.js';
import type { MqttConnect, MqttPacket, MqttPublish, MqttQoS, MqttSubscribe, MqttVersion } from './mqtt-packets.js';
import { PACKET_TYPES } from './mqtt-packets.js';
import { type MqttProperties, writeProperties } from './mqtt-properties.js';

/** A packet in three parts: its first byte, its body and, of a PUBLISH, the payload behind it, which is not copied. */
export interface Written {
  first: number;
  body: Uint8Array;
  payload: Uint8Array;
}

const NOTHING = new Uint8Array(0);

export function writtenPacket(packet: MqttPacket, given: MqttVersion): Written {
  const number = PACKET_TYPES.indexOf(packet?.type);
  if (number < 1) throw wrongType('ERR_FRAMING_MESSAGE', `an MQTT packet has a type, got ${shown(packet?.type)}`);
  const version = packet.type === 'connect' ? packet.version : given;
  const writer = new BodyWriter();
  if (version !== 5) refuseProperties(packet);
  let flags = 0;
  let payload: Uint8Array = NOTHING;
  switch (packet.type) {
    case 'connect':
      writeConnect(packet, writer);
      break;
    case 'connack':
      writer.u8(packet.sessionPresent ? 1 : 0, 'sessionPresent');
      writer.u8(packet.code, 'code');
      if (version === 5) writeProperties(packet.properties ?? {}, writer);
      break;
    case 'publish':
      flags = publishFlags(packet);
      payload = writePublish(packet, writer, version);
      break;
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      flags = packet.type === 'pubrel' ? 2 : 0;
      writeId(packet.id, writer);
      writeReason(packet.code, packet.properties, writer, version);
      break;
    case 'subscribe':
      flags = 2;
      writeSubscribe(packet, writer, version);
      break;
    case 'suback':
    case 'unsuback':
      writeId(packet.id, writer);
      if (version === 5) writeProperties(packet.properties ?? {}, writer);
      if (version === 5 || packet.type === 'suback') for (const code of packet.codes ?? []) writer.u8(code, 'codes');
      break;
    case 'unsubscribe':
      flags = 2;
      writeId(packet.id, writer);
      if (version === 5) writeProperties(packet.properties ?? {}, writer);
      checkSome('topics', packet.topics);
      for (const topic of packet.topics) {
        writer.text(topic, 'topics');
        checkFilter(topic);
      }
      break;
    case 'auth':
      if (version !== 5) throw new FramingError('BAD_TYPE', 'auth is a packet of MQTT 5');
      writeReason(packet.code, packet.properties, writer, version);
      break;
    case 'disconnect':
      writeReason(packet.code, packet.properties, writer, version);
  }
  return { first: (number << 4) | flags, body: writer.written(), payload };
}

function refuseProperties(packet: MqttPacket): void {
  const { properties } = packet as { properties?: MqttProperties };
  if (properties === undefined || Object.keys(properties).length === 0) return;
  throw new FramingError('BAD_VALUE', 'properties exist in MQTT 5: give the codec version: 5');
}

function publishFlags({ qos = 0, dup = false, retain = false }: MqttPublish): number {
  checkQoS(qos);
  if (dup && qos === 0) throw new FramingError('BAD_VALUE', 'dup is for QoS 1 and 2 (3.3.1.1)');
  return (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
}

function writePublish(packet: MqttPublish, writer: BodyWriter, version: MqttVersion): Uint8Array {
  writer.text(packet.topic, 'topic');
  checkTopicName(packet.topic);
  checkNamed(packet.topic, version === 5 ? packet.properties : undefined);
  if ((packet.qos ?? 0) > 0) writeId(packet.id, writer);
  if (version === 5) writeProperties(packet.properties ?? {}, writer);
  return bytesOf(packet.payload, 'payload');
}

function writeId(id: number | undefined, writer: BodyWriter): void {
  if (id === 0 || id === undefined) throw new FramingError('BAD_VALUE', `id wants 1 to 65535, got ${id}`);
  writer.u16(id, 'id');
}

function writeReason(
  code: number | undefined,
  properties: MqttProperties | undefined,
  writer: BodyWriter,
  version: MqttVersion,
): void {
  if (version !== 5) {
    if (code) throw new FramingError('BAD_VALUE', `a code, ${shown(code)}, is for MQTT 5: give the codec version: 5`);
    return;
  }
  const some = properties !== undefined && Object.keys(properties).length > 0;
  if (!code && !some) return;
  writer.u8(code ?? 0, 'code');
  if (some) writeProperties(properties, writer);
}

function writeSubscribe(packet: MqttSubscribe, writer: BodyWriter, version: MqttVersion): void {
  writeId(packet.id, writer);
  if (version === 5) writeProperties(packet.properties ?? {}, writer);
  checkSome('subscriptions', packet.subscriptions);
  for (const each of packet.subscriptions) {
    writer.text(each.topic, 'topic');
    checkFilter(each.topic);
    checkQoS(each.qos);
    const { noLocal = false, retainAsPublished = false, retainHandling = 0 } = each;
    const options = (noLocal ? 4 : 0) | (retainAsPublished ? 8 : 0) | (retainHandling << 4);
    if (options > (version === 5 ? 0x2f : 0)) {
      throw new FramingError('BAD_VALUE', 'noLocal, retainAsPublished and retainHandling 0 to 2 are for MQTT 5');
    }
    writer.u8(each.qos | options, 'options');
  }
}

function writeConnect(packet: MqttConnect, writer: BodyWriter): void {
  const { version, will, username, password, clean = true, keepAlive = 0, clientId } = packet;
  if (version !== 3 && version !== 4 && version !== 5) {
    throw new FramingError('BAD_VALUE', `version wants 3, 4 or 5, got ${shown(version)}`);
  }
  if (password !== undefined && username === undefined && version !== 5) {
    throw new FramingError('BAD_VALUE', 'a password without a username is for MQTT 5');
  }
  const qos = will?.qos ?? 0;
  checkQoS(qos);
  writer.text(version === 3 ? 'MQIsdp' : 'MQTT', 'protocol');
  writer.u8(version, 'version');
  const willFlags = will === undefined ? 0 : 4 | (qos << 3) | (will.retain ? 0x20 : 0);
  const userFlags = (username === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40);
  writer.u8((clean ? 2 : 0) | willFlags | userFlags, 'flags');
  writer.u16(keepAlive, 'keepAlive');
  if (version === 5) writeProperties(packet.properties ?? {}, writer);
  writer.text(clientId, 'clientId');
  if (will !== undefined) {
    if (version === 5) writeProperties(will.properties ?? {}, writer);
    writer.text(will.topic, 'will.topic');
    checkTopicName(will.topic);
    checkNamed(will.topic);
    writer.binary(will.payload, 'will.payload');
  }
  if (username !== undefined) writer.text(username, 'username');
  if (password !== undefined) writer.binary(password, 'password');
}

function checkQoS(qos: MqttQoS): void {
  if (qos !== 0 && qos !== 1 && qos !== 2) throw new FramingError('BAD_VALUE', `qos wants 0 to 2, got ${shown(qos)}`);
}

function checkSome(what: string, list: unknown): void {
  if (!Array.isArray(list) || list.length === 0) {
    throw new FramingError('BAD_VALUE', `${what} wants at least one, got ${shown(list)}`);
  }
}

function bytesOf(value: unknown, what: string): Uint8Array {
  if (typeof value === 'string') return utf8Bytes(value);
  if (value instanceof Uint8Array) return value;
  throw new FramingError('BAD_VALUE', `${what} wants bytes or a string, got ${shown(value)}`);
}
