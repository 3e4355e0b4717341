/** Every protocol: what its arbitrary gives comes back, in any chunking. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkCodec, encodeAll } from '../index.js';
import {
  ber,
  chunked,
  dns,
  memcache,
  memcacheReply,
  mqtt,
  postgres,
  proxyHeader,
  resp,
  stomp,
  syslog,
  websocket,
} from '../protocols/index.js';
import type { AnyCodec } from '../testing/properties.js';
import {
  type ArbitraryLike,
  berElements,
  dnsMessages,
  httpChunks,
  memcacheReplies,
  memcacheRequests,
  mqttPackets,
  payloads,
  postgresConversations,
  postgresMessages,
  proxyHeaders,
  respMessages,
  roundTrips,
  stompFrames,
  streamsOf,
  syslogMessages,
  webSocketConversations,
  webSocketFrames,
} from './index.js';

/** What fast-check calls an arbitrary, which the package does not name. */
const real = <T>(arbitrary: ArbitraryLike<T>): fc.Arbitrary<T> => arbitrary as unknown as fc.Arbitrary<T>;
const listsOf = (arbitrary: ArbitraryLike<unknown>, maxLength = 5): fc.Arbitrary<unknown[]> =>
  fc.array(real(arbitrary), { maxLength });

/** A fault of one message in thousands wants more: 40,000 take a minute for each protocol. */
const RUNS = Number(process.env.FDSET_FUZZ_RUNS ?? 120);

/** By name: a codec, the messages of a stream, and how to tell their kinds, all of which must come. */
const protocols: Record<
  string,
  [codec: AnyCodec, lists: fc.Arbitrary<unknown[]>, kindOf: (message: never) => unknown, kinds: number]
> = {
  resp: [resp(), listsOf(respMessages(fc)), kindOfValue, 12],
  'resp, version 3': [resp({ version: 3 }), listsOf(respMessages(fc)), kindOfValue, 12],
  'resp, version 2': [resp({ version: 2 }), listsOf(respMessages(fc, { version: 2 })), kindOfValue, 7],
  'websocket of a tap': [websocket(), listsOf(webSocketFrames(fc)), ({ opcode }) => opcode, 5],
  'websocket, masked': [
    websocket({ masked: true }),
    real<unknown[]>(webSocketConversations(fc)),
    ({ opcode, fin }) => [opcode, fin],
    9,
  ],
  'chunked, bodies': [chunked(), listsOf(payloads(fc)), ({ length }) => length > 0, 2],
  'chunked, details': [
    chunked({ details: true }),
    listsOf(httpChunks(fc)),
    ({ extensions, trailers }: { extensions: string; trailers: unknown[] }) => [extensions !== '', trailers.length > 0],
    4,
  ],
  postgres: [postgres(), listsOf(postgresMessages(fc)), () => 0, 1],
  'postgres, startup': [
    postgres({ startup: true }),
    real<unknown[]>(postgresConversations(fc)),
    ({ type }) => type === 0,
    2,
  ],
  'mqtt 3.1': [mqtt({ version: 3 }), listsOf(mqttPackets(fc, { version: 3 })), ({ type }) => type, 14],
  'mqtt 3.1.1': [mqtt(), listsOf(mqttPackets(fc)), ({ type }) => type, 14],
  'mqtt 5': [mqtt({ version: 5 }), listsOf(mqttPackets(fc, { version: 5 })), ({ type }) => type, 15],
  proxyHeader: [proxyHeader(), listsOf(proxyHeaders(fc), 1), ({ version, family }) => [version, family], 7],
  'proxyHeader 1': [
    proxyHeader({ version: 1 }),
    listsOf(proxyHeaders(fc, { version: 1 }), 1),
    ({ family }) => family,
    3,
  ],
  'proxyHeader 2': [
    proxyHeader({ version: 2 }),
    listsOf(proxyHeaders(fc, { version: 2 }), 1),
    ({ family, protocol, command }) => [family, protocol, command],
    8,
  ],
  stomp: [stomp(), listsOf(stompFrames(fc)), ({ command }) => command, 8],
  memcache: [memcache(), listsOf(memcacheRequests(fc)), ({ command }) => command, 22],
  memcacheReply: [memcacheReply(), listsOf(memcacheReplies(fc)), ({ status }) => status, 17],
  ber: [ber(), listsOf(berElements(fc)), ({ tagClass }) => tagClass, 4],
  dns: [dns(), listsOf(dnsMessages(fc), 2), ({ answers }: { answers: { type: number }[] }) => answers[0]?.type, 13],
  syslog: [syslog(), listsOf(syslogMessages(fc)), ({ version, timestamp }) => [version, timestamp !== undefined], 4],
  'syslog, octets counted': [
    syslog({ framing: 'octet-counting' }),
    listsOf(syslogMessages(fc)),
    ({ version }) => version,
    2,
  ],
  'syslog, lines': [
    syslog({ framing: 'lf' }),
    listsOf(syslogMessages(fc, { framing: 'lf' })),
    ({ version }) => version,
    2,
  ],
};

function kindOfValue(value: unknown): string {
  return typeof value === 'object' && value !== null ? value.constructor.name : typeof value;
}

describe('what the arbitraries give comes back', () => {
  it.each(Object.entries(protocols))('%s', { timeout: 250 * RUNS }, (_name, [codec, lists, kindOf, kinds]) => {
    const sample = fc.sample(lists, { seed: 1, numRuns: 500 }).flat();
    const seen = new Set(sample.map((message) => JSON.stringify(kindOf(message as never)) ?? 'none'));
    expect(seen.size, [...seen].join(' ')).toBe(kinds);
    fc.assert(
      fc.property(lists, (messages) => {
        const report = checkCodec(codec, [{ bytes: encodeAll(codec, messages), messages }], {
          randomCuts: 3,
          cutEverywhereUpTo: 100,
        });
        expect(report.ok, String(report)).toBe(true);
      }),
      { numRuns: RUNS },
    );
    fc.assert(
      fc.property(real(streamsOf(fc, codec, lists as unknown as ArbitraryLike<unknown[]>)), roundTrips(codec)),
      {
        numRuns: Math.ceil(RUNS / 2),
      },
    );
  });
});
