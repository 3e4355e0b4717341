import type { BerElement } from '../protocols/ber.js';
import type { DnsMessage, DnsRecord } from '../protocols/dns.js';
import { DNS_TYPES, type DnsData } from '../protocols/dns-records.js';
import { POSTGRES_GSSENC_REQUEST, POSTGRES_SSL_REQUEST, type PostgresMessage } from '../protocols/postgres.js';
import type { WebSocketFrame } from '../protocols/websocket.js';
import { addresses } from './addresses.js';
import { type ArbitraryLike, type FastCheck, textOf } from './fast-check.js';
import { payloads } from './streams.js';

/** Elements of `ber`. */
export function berElements(fc: FastCheck): ArbitraryLike<BerElement> {
  return fc.record({
    tagClass: fc.nat(3),
    constructed: fc.boolean(),
    tag: fc.oneof(fc.nat(40), fc.constantFrom(127, 128, 16_383, 16_384, 2 ** 21, 2 ** 28 - 1)),
    value: fc.oneof(payloads(fc), sized(fc, [127, 128, 255, 256])),
  });
}

/** Frames of `websocket` that may stand anywhere: whole messages, and control frames. */
export function webSocketFrames(fc: FastCheck): ArbitraryLike<WebSocketFrame> {
  const payload = fc.oneof(payloads(fc), sized(fc, [125, 126]));
  const data = fc.record({ fin: fc.constantFrom(true), opcode: fc.constantFrom(1, 2), payload });
  return fc.oneof(data, controlFrames(fc));
}

/** What `websocket` takes one after the other: messages in fragments, control frames between them. RFC 6455 5.4 */
export function webSocketConversations(fc: FastCheck): ArbitraryLike<WebSocketFrame[]> {
  const fragment = fc.tuple(payloads(fc), fc.array(controlFrames(fc), { maxLength: 1 }));
  const message = fc
    .tuple(fc.constantFrom(1, 2), fc.array(fragment, { minLength: 1, maxLength: 4 }))
    .map(([opcode, fragments]) =>
      fragments.flatMap(([payload, between], i): WebSocketFrame[] => [
        ...between,
        { fin: i === fragments.length - 1, opcode: i === 0 ? opcode : 0, payload },
      ]),
    );
  return fc
    .array(
      fc.oneof(
        message,
        webSocketFrames(fc).map((frame) => [frame]),
      ),
      { maxLength: 4 },
    )
    .map((list) => list.flat());
}

function controlFrames(fc: FastCheck): ArbitraryLike<WebSocketFrame> {
  const close = fc
    .tuple(fc.constantFrom(1000, 1001, 1014, 3000, 4999), textOf(fc, 'bye é'))
    .map(([code, reason]) => Uint8Array.of(code >> 8, code & 0xff, ...new TextEncoder().encode(reason)));
  const fin = fc.constantFrom(true);
  return fc.oneof(
    fc.record({ fin, opcode: fc.constantFrom(9, 10), payload: payloads(fc) }),
    fc.record({ fin, opcode: fc.constantFrom(8), payload: fc.oneof(close, fc.constantFrom(new Uint8Array(0))) }),
  );
}

/** Messages of `postgres` behind the startup. */
export function postgresMessages(fc: FastCheck): ArbitraryLike<PostgresMessage> {
  return fc.record({ type: fc.nat(0xfe).map((type) => type + 1), body: payloads(fc) });
}

/** What `postgres({ startup: true })` takes: requests for encryption, the startup packet, and what follows. */
export function postgresConversations(fc: FastCheck): ArbitraryLike<PostgresMessage[]> {
  const request = fc.constantFrom(POSTGRES_SSL_REQUEST, POSTGRES_GSSENC_REQUEST);
  const startup = (code: number, rest: Uint8Array) => {
    const body = new Uint8Array(4 + rest.length);
    new DataView(body.buffer).setUint32(0, code);
    body.set(rest, 4);
    return { type: 0, body };
  };
  return fc
    .tuple(fc.array(request, { maxLength: 2 }), payloads(fc), fc.array(postgresMessages(fc), { maxLength: 5 }))
    .map(([requests, rest, messages]) => [
      ...requests.map((code) => startup(code, new Uint8Array(0))),
      startup(0x30000, rest),
      ...messages,
    ]);
}

/** Messages of `dns`, with records of every type whose data is more than bytes, and of one that is unknown. */
export function dnsMessages(fc: FastCheck): ArbitraryLike<DnsMessage> {
  const u16 = fc.constantFrom(0, 1, 255, 256, 0x7fff, 0x8000, 0xffff);
  const u32 = fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff);
  const name = dnsNames(fc);
  const type = fc.constantFrom(1, 2, 28, 255, 0xffff);
  const records = fc.array(dnsRecords(fc, name, u16, u32), { maxLength: 4 });
  const flag = fc.boolean();
  return fc.record({
    id: u16,
    response: flag,
    opcode: fc.nat(15),
    authoritative: flag,
    truncated: flag,
    recursionDesired: flag,
    recursionAvailable: flag,
    authenticData: flag,
    checkingDisabled: flag,
    rcode: fc.nat(15),
    questions: fc.array(fc.record({ name, type, class: u16 }), { maxLength: 2 }),
    answers: records,
    authorities: records,
    additionals: records,
  });
}

/** Few labels, so that names end alike and are compressed; bytes that are escaped among them. */
function dnsNames(fc: FastCheck): ArbitraryLike<string> {
  const labels = ['www', 'example', 'Example', 'org', 'a\\.b', '\\000\\255', '\\\\', 'x'.repeat(63)];
  return fc.array(fc.constantFrom(...labels), { maxLength: 3 }).map((list) => list.join('.') || '.');
}

function dnsRecords(
  fc: FastCheck,
  name: ArbitraryLike<string>,
  u16: ArbitraryLike<number>,
  u32: ArbitraryLike<number>,
): ArbitraryLike<DnsRecord> {
  const of = (types: readonly number[], data: ArbitraryLike<DnsData>): ArbitraryLike<DnsRecord> =>
    fc.record({ name, type: fc.constantFrom(...types), class: u16, ttl: u32, data });
  const soa = { primary: name, mailbox: name, serial: u32, refresh: u32, retry: u32, expire: u32, minimum: u32 };
  return fc.oneof(
    of([DNS_TYPES.A], addresses(fc, 4)),
    of([DNS_TYPES.AAAA], addresses(fc, 6)),
    of([DNS_TYPES.NS, DNS_TYPES.CNAME, DNS_TYPES.PTR], name),
    of([DNS_TYPES.MX], fc.record({ preference: u16, exchange: name })),
    of([DNS_TYPES.SRV], fc.record({ priority: u16, weight: u16, port: u16, target: name })),
    of([DNS_TYPES.TXT], fc.array(payloads(fc), { maxLength: 3 })),
    of([DNS_TYPES.CAA], fc.record({ flags: fc.nat(0xff), tag: textOf(fc, 'issue0'), value: payloads(fc) })),
    of([DNS_TYPES.SOA], fc.record(soa)),
    of([DNS_TYPES.OPT, 65_280], payloads(fc)),
  );
}

/** Payloads of just these lengths. */
function sized(fc: FastCheck, lengths: readonly number[]): ArbitraryLike<Uint8Array> {
  return fc.constantFrom(...lengths).map((length) => new Uint8Array(length).fill(0x5a));
}
