/**
 * Arbitraries of fast-check for codecs and protocols: `@fdset/framing/arbitraries`. The caller brings fast-check along
 * (version 3 or 4): nothing here depends on it.
 *
 * The messages of the protocols are those that come back as they were sent: `roundTrips(codec)` holds for them.
 */
export {
  berElements,
  dnsMessages,
  postgresConversations,
  postgresMessages,
  webSocketConversations,
  webSocketFrames,
} from './binary-protocols.js';
export type { ArbitraryLike, FastCheck } from './fast-check.js';
export { mqttPackets } from './mqtt.js';
export { type RespMessagesOptions, respMessages } from './resp.js';
export {
  decodeChunks,
  type FramedStream,
  type HostileStream,
  hostileStreams,
  type PayloadOptions,
  payloads,
  roundTrips,
  streams,
  streamsOf,
} from './streams.js';
export {
  httpChunks,
  memcacheReplies,
  memcacheRequests,
  proxyHeaders,
  stompFrames,
  syslogMessages,
} from './text-protocols.js';
