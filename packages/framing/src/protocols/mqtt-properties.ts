import { FramingError, shown } from '../errors.js';
import { BodyReader, BodyWriter } from './mqtt-body.js';

/** The properties of MQTT 5, 2.2.2.2, those that a packet has. */
export interface MqttProperties {
  payloadFormatIndicator?: number;
  messageExpiryInterval?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Uint8Array;
  /** Several may be in a PUBLISH that matches several subscriptions. */
  subscriptionIdentifiers?: number[];
  sessionExpiryInterval?: number;
  assignedClientIdentifier?: string;
  serverKeepAlive?: number;
  authenticationMethod?: string;
  authenticationData?: Uint8Array;
  requestProblemInformation?: number;
  willDelayInterval?: number;
  requestResponseInformation?: number;
  responseInformation?: string;
  serverReference?: string;
  reasonString?: string;
  receiveMaximum?: number;
  topicAliasMaximum?: number;
  topicAlias?: number;
  maximumQoS?: number;
  retainAvailable?: number;
  /** In the order of the packet; the same name may come again. */
  userProperties?: [name: string, value: string][];
  maximumPacketSize?: number;
  wildcardSubscriptionAvailable?: number;
  subscriptionIdentifierAvailable?: number;
  sharedSubscriptionAvailable?: number;
}

type Kind = 'u8' | 'u16' | 'u32' | 'text' | 'binary' | 'varints' | 'pairs';

/** By identifier. */
const PROPERTIES = new Map<number, [name: keyof MqttProperties, kind: Kind]>([
  [1, ['payloadFormatIndicator', 'u8']],
  [2, ['messageExpiryInterval', 'u32']],
  [3, ['contentType', 'text']],
  [8, ['responseTopic', 'text']],
  [9, ['correlationData', 'binary']],
  [11, ['subscriptionIdentifiers', 'varints']],
  [17, ['sessionExpiryInterval', 'u32']],
  [18, ['assignedClientIdentifier', 'text']],
  [19, ['serverKeepAlive', 'u16']],
  [21, ['authenticationMethod', 'text']],
  [22, ['authenticationData', 'binary']],
  [23, ['requestProblemInformation', 'u8']],
  [24, ['willDelayInterval', 'u32']],
  [25, ['requestResponseInformation', 'u8']],
  [26, ['responseInformation', 'text']],
  [28, ['serverReference', 'text']],
  [31, ['reasonString', 'text']],
  [33, ['receiveMaximum', 'u16']],
  [34, ['topicAliasMaximum', 'u16']],
  [35, ['topicAlias', 'u16']],
  [36, ['maximumQoS', 'u8']],
  [37, ['retainAvailable', 'u8']],
  [38, ['userProperties', 'pairs']],
  [39, ['maximumPacketSize', 'u32']],
  [40, ['wildcardSubscriptionAvailable', 'u8']],
  [41, ['subscriptionIdentifierAvailable', 'u8']],
  [42, ['sharedSubscriptionAvailable', 'u8']],
]);
const IDENTIFIERS = new Map([...PROPERTIES].map(([id, [name, kind]]) => [name as string, [id, kind] as const]));

/** Reads the length of the properties and as many bytes of them. */
export function readProperties(body: BodyReader): MqttProperties {
  const length = body.varint();
  const reader = new BodyReader(body.bytes, body.at + length);
  if (reader.end > body.end) throw new FramingError('BAD_LENGTH', 'the properties go beyond the end of their packet');
  reader.at = body.at;
  body.at = reader.end;
  const properties: Record<string, unknown> = {};
  while (!reader.done) {
    const id = reader.varint();
    const known = PROPERTIES.get(id);
    if (known === undefined) throw new FramingError('BAD_TYPE', `there is no property ${id} (2.2.2.2)`);
    const [name, kind] = known;
    const before = properties[name];
    if (kind === 'pairs' || kind === 'varints') {
      const item = kind === 'pairs' ? [reader.text(), reader.text()] : reader.varint();
      if (before === undefined) properties[name] = [item];
      else (before as unknown[]).push(item);
      continue;
    }
    if (before !== undefined) throw new FramingError('BAD_HEADER', `the property ${name} comes twice (2.2.2.2)`);
    properties[name] = reader[kind]();
  }
  return properties;
}

export function writeProperties(properties: MqttProperties, body: BodyWriter): void {
  const writer = new BodyWriter();
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    const known = IDENTIFIERS.get(name);
    if (known === undefined) throw new FramingError('BAD_VALUE', `MQTT has no property ${shown(name)} (2.2.2.2)`);
    const [id, kind] = known;
    for (const item of kind === 'pairs' || kind === 'varints' ? listOf(name, value) : [value]) {
      writer.varint(id, name);
      if (kind === 'pairs') {
        const [key, text] = listOf(name, item);
        writer.text(key, name);
        writer.text(text, name);
      } else if (kind === 'varints') writer.varint(item as number, name);
      else writer[kind](item as never, name);
    }
  }
  body.varint(writer.length, 'the length of the properties');
  body.raw(writer.written());
}

function listOf(name: string, value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  throw new FramingError('BAD_VALUE', `${name} wants an array, got ${shown(value)}`);
}
