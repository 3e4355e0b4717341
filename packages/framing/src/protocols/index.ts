export { type BerElement, type BerOptions, ber } from './ber.js';
export { type Chunk, type ChunkedOptions, type ChunkToSend, chunked } from './chunked.js';
export {
  type DnsMessage,
  type DnsOptions,
  type DnsQuestion,
  type DnsRecord,
  decodeDns,
  dns,
  encodeDns,
} from './dns.js';
export { DNS_TYPES, type DnsData, type DnsSoa } from './dns-records.js';
export { type MemcacheOptions, type MemcacheRequest, memcache } from './memcache.js';
export {
  type MemcacheReply,
  type MemcacheReplyOptions,
  type MemcacheValue,
  memcacheReply,
} from './memcache-reply.js';
export { type MqttOptions, mqtt } from './mqtt.js';
export type {
  MqttAcknowledgement,
  MqttConnack,
  MqttConnect,
  MqttDisconnect,
  MqttPacket,
  MqttPing,
  MqttPublish,
  MqttQoS,
  MqttSubscribe,
  MqttSubscribed,
  MqttUnsubscribe,
  MqttVersion,
  MqttWithProperties,
} from './mqtt-packets.js';
export type { MqttProperties } from './mqtt-properties.js';
export {
  POSTGRES_CANCEL_REQUEST,
  POSTGRES_GSSENC_REQUEST,
  POSTGRES_SSL_REQUEST,
  type PostgresMessage,
  type PostgresOptions,
  postgres,
} from './postgres.js';
export { type ProxyAddress, type ProxyHeader, type ProxyHeaderOptions, proxyHeader } from './proxy-header.js';
export { type RespOptions, resp, respCommand } from './resp.js';
export { RespError, type RespMessage, RespPush, RespSet, RespVerbatim } from './resp-types.js';
export { type StompFrame, type StompFrameToSend, type StompOptions, stomp } from './stomp.js';
export { type SyslogOptions, syslog } from './syslog.js';
export { formatSyslog, parseSyslog, type SyslogElement, type SyslogMessage } from './syslog-message.js';
export {
  type WebSocketFrame,
  type WebSocketFrameToSend,
  type WebSocketOptions,
  websocket,
} from './websocket.js';
