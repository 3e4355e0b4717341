import type { MqttProperties } from './mqtt-properties.js';

/** 3: MQTT 3.1, 4: MQTT 3.1.1, 5: MQTT 5; the protocol level that a CONNECT names. */
export type MqttVersion = 3 | 4 | 5;
export type MqttQoS = 0 | 1 | 2;

export interface MqttWithProperties {
  /** MQTT 5 only. Decoded: always there then, empty if there are none. */
  properties?: MqttProperties | undefined;
}

/** 3.1 */
export interface MqttConnect extends MqttWithProperties {
  type: 'connect';
  version: MqttVersion;
  clientId: string;
  /** Clean Session, in MQTT 5 Clean Start. Sent: default `true`. */
  clean?: boolean | undefined;
  /** Seconds. Sent: default 0, which is none. */
  keepAlive?: number | undefined;
  username?: string | undefined;
  password?: Uint8Array | string | undefined;
  will?:
    | ({ topic: string; payload: Uint8Array | string; qos?: MqttQoS; retain?: boolean } & MqttWithProperties)
    | undefined;
}

/** 3.2 */
export interface MqttConnack extends MqttWithProperties {
  type: 'connack';
  sessionPresent: boolean;
  code: number;
}

/** 3.3 */
export interface MqttPublish extends MqttWithProperties {
  type: 'publish';
  topic: string;
  payload: Uint8Array | string;
  qos?: MqttQoS | undefined;
  retain?: boolean | undefined;
  dup?: boolean | undefined;
  /** With QoS 1 and 2. */
  id?: number | undefined;
}

/** 3.4 to 3.7. `code` in MQTT 5 only; 0 is success. */
export interface MqttAcknowledgement extends MqttWithProperties {
  type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';
  id: number;
  code?: number | undefined;
}

/** 3.8 */
export interface MqttSubscribe extends MqttWithProperties {
  type: 'subscribe';
  id: number;
  subscriptions: {
    topic: string;
    qos: MqttQoS;
    /** These three in MQTT 5 only. */
    noLocal?: boolean | undefined;
    retainAsPublished?: boolean | undefined;
    retainHandling?: 0 | 1 | 2 | undefined;
  }[];
}

/** 3.9, 3.11. The codes of an UNSUBACK in MQTT 5 only. */
export interface MqttSubscribed extends MqttWithProperties {
  type: 'suback' | 'unsuback';
  id: number;
  codes?: number[] | undefined;
}

/** 3.10 */
export interface MqttUnsubscribe extends MqttWithProperties {
  type: 'unsubscribe';
  id: number;
  topics: string[];
}

/** 3.12, 3.13 */
export interface MqttPing {
  type: 'pingreq' | 'pingresp';
}

/** 3.14, 3.15. `code` in MQTT 5 only; AUTH exists in MQTT 5 only. */
export interface MqttDisconnect extends MqttWithProperties {
  type: 'disconnect' | 'auth';
  code?: number | undefined;
}

/** A control packet, by `type`. */
export type MqttPacket =
  | MqttConnect
  | MqttConnack
  | MqttPublish
  | MqttAcknowledgement
  | MqttSubscribe
  | MqttSubscribed
  | MqttUnsubscribe
  | MqttPing
  | MqttDisconnect;

/** By the number in the fixed header, 2.1.2. */
export const PACKET_TYPES = [
  undefined,
  'connect',
  'connack',
  'publish',
  'puback',
  'pubrec',
  'pubrel',
  'pubcomp',
  'subscribe',
  'suback',
  'unsubscribe',
  'unsuback',
  'pingreq',
  'pingresp',
  'disconnect',
  'auth',
] as const;
