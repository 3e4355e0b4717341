import type { Chunk } from '../protocols/chunked.js';
import type { MemcacheRequest } from '../protocols/memcache.js';
import type { MemcacheReply, MemcacheValue } from '../protocols/memcache-reply.js';
import type { ProxyAddress, ProxyHeader } from '../protocols/proxy-header.js';
import type { StompFrame } from '../protocols/stomp.js';
import type { SyslogMessage } from '../protocols/syslog-message.js';
import { addresses } from './addresses.js';
import { type ArbitraryLike, type FastCheck, optional, textOf } from './fast-check.js';
import { payloads } from './streams.js';

/** Chunks of `chunked({ details: true })`; their bodies alone are the messages without `details`. */
export function httpChunks(fc: FastCheck): ArbitraryLike<Chunk> {
  const extensions = fc.constantFrom('', '', ';a', ';a=b', ';a=b;c="d \\" é"', ';a = b ; c', ';a=""');
  const value = textOf(fc, 'ab é:;,\t"').map((text) => text.replace(/^[ \t]+|[ \t]+$/g, ''));
  const trailers = fc.array(fc.tuple(textOf(fc, 'Xa-1!~', { minLength: 1 }), value), { maxLength: 3 });
  return fc
    .record({ body: payloads(fc), extensions, trailers })
    .map((chunk) => (chunk.body.length > 0 ? { ...chunk, trailers: [] } : chunk));
}

/** Frames of `stomp`. */
export function stompFrames(fc: FastCheck): ArbitraryLike<StompFrame> {
  // These two do not escape: what ends a line or a name cannot be in their headers.
  const plain = {
    command: fc.constantFrom('CONNECT', 'CONNECTED'),
    name: textOf(fc, 'ab-é\\', { minLength: 1 }),
    value: textOf(fc, 'ab: é\\'),
  };
  const escaped = {
    command: fc.constantFrom('SEND', 'MESSAGE', 'STOMP', 'ACK', 'RECEIPT', 'ERROR'),
    name: textOf(fc, 'ab:\r\n\\é', { minLength: 1 }),
    value: textOf(fc, 'ab:\r\n\\é€ '),
  };
  const frames = [plain, escaped].map(({ command, name, value }) =>
    fc
      .tuple(command, fc.array(fc.tuple(name, value), { maxLength: 3 }), fc.boolean(), payloads(fc))
      .map(([command, headers, counted, body]): StompFrame => {
        // A NUL would end a body that nobody has counted.
        const length: [string, string][] = counted || body.includes(0) ? [['content-length', String(body.length)]] : [];
        return { command, headers: new Map([...headers, ...length]), body };
      }),
  );
  return fc.oneof(...frames);
}

const WORD = 'ab0:é-';

/** Requests of `memcache`. */
export function memcacheRequests(fc: FastCheck): ArbitraryLike<MemcacheRequest> {
  const key = textOf(fc, WORD, { minLength: 1 });
  const number = fc.oneof(fc.nat(99), fc.constantFrom(0xffffffff)).map(String);
  const data = payloads(fc);
  const request = (commands: string[], args: ArbitraryLike<string[]>, body?: ArbitraryLike<Uint8Array>) =>
    fc.record<MemcacheRequest>({
      command: fc.constantFrom(...commands),
      args,
      data: body ?? fc.constantFrom(undefined),
    });
  const flags = fc.array(fc.constantFrom('v', 't', 'T0', 'c'), { maxLength: 3 });
  return fc.oneof(
    request(['set', 'add', 'replace', 'append', 'prepend'], fc.tuple(key, number, number), data),
    request(['set'], fc.tuple(key, number, number, fc.constantFrom('noreply')), data),
    request(['cas'], fc.tuple(key, number, number, number), data),
    request(
      ['ms'],
      fc.tuple(key, flags).map(([name, rest]) => [name, ...rest]),
      data,
    ),
    request(['get', 'gets'], fc.array(key, { minLength: 1, maxLength: 4 })),
    request(['gat', 'gats'], fc.tuple(number, key)),
    request(['incr', 'decr', 'touch'], fc.tuple(key, number)),
    request(
      ['mg', 'md', 'ma'],
      fc.tuple(key, flags).map(([name, rest]) => [name, ...rest]),
    ),
    request(['version', 'quit', 'flush_all', 'stats', 'mn'], fc.constantFrom<string[]>([])),
  );
}

/** Replies of `memcacheReply`. */
export function memcacheReplies(fc: FastCheck): ArbitraryLike<MemcacheReply> {
  const word = textOf(fc, WORD, { minLength: 1 });
  const data = payloads(fc);
  const value: ArbitraryLike<MemcacheValue> = fc.record({
    args: fc.oneof<string[]>(fc.tuple(word, word), fc.tuple(word, word, word)),
    data,
  });
  const reply = (each: Partial<{ [K in keyof MemcacheReply]: ArbitraryLike<MemcacheReply[K]> }>) =>
    fc.record<MemcacheReply>({
      status: fc.constantFrom('END'),
      text: fc.constantFrom(''),
      values: fc.constantFrom<MemcacheValue[]>([]),
      stats: fc.constantFrom<[string, string][]>([]),
      ...each,
    });
  return fc.oneof(
    reply({
      status: fc.constantFrom(
        'STORED',
        'NOT_STORED',
        'EXISTS',
        'NOT_FOUND',
        'OK',
        'ERROR',
        'HD',
        'EN',
        'NF',
        'MN',
        '0',
        '17',
      ),
    }),
    reply({ status: fc.constantFrom('SERVER_ERROR', 'CLIENT_ERROR', 'VERSION', 'HD'), text: textOf(fc, 'ab 1é') }),
    reply({ values: fc.array(value, { maxLength: 3 }) }),
    reply({ stats: fc.array(fc.tuple(word, textOf(fc, 'a 1.é')), { maxLength: 3 }) }),
    reply({
      status: fc.constantFrom('VA'),
      values: fc.record({ args: fc.array(word, { maxLength: 3 }), data }).map((each) => [each]),
    }),
  );
}

/** Headers of `proxyHeader`, of one version or of both. A stream has one. */
export function proxyHeaders(fc: FastCheck, { version }: { version?: 1 | 2 } = {}): ArbitraryLike<ProxyHeader> {
  const port = fc.oneof(fc.nat(0xffff), fc.constantFrom(0, 0xffff));
  const at = (address: ArbitraryLike<string>, ports = port): ArbitraryLike<ProxyAddress> =>
    fc.record({ address, port: ports });
  const path = fc.oneof(
    textOf(fc, 'tmp/é', { maxLength: 108 }),
    textOf(fc, 'abc\0', { maxLength: 100 }).map((name) => `\0${name}x`),
  );
  const ends = {
    inet: at(addresses(fc, 4)),
    inet6: at(addresses(fc, 6)),
    unix: at(path, fc.constantFrom(0)),
  };
  const headers: ArbitraryLike<ProxyHeader>[] = [];
  const nobody = { family: fc.constantFrom('unknown' as const), protocol: fc.constantFrom('unknown' as const) };
  if (version !== 2) {
    const common = { version: fc.constantFrom(1 as const), command: fc.constantFrom('proxy' as const) };
    headers.push(fc.record<ProxyHeader>({ ...common, ...nobody }));
    for (const family of ['inet', 'inet6'] as const)
      headers.push(
        fc.record<ProxyHeader>({
          ...common,
          family: fc.constantFrom(family),
          protocol: fc.constantFrom('stream' as const),
          source: ends[family],
          destination: ends[family],
        }),
      );
  }
  if (version !== 1) {
    const two = fc.constantFrom(2 as const);
    const none = fc.constantFrom<NonNullable<ProxyHeader['tlvs']>>([]);
    headers.push(
      fc.record<ProxyHeader>({ version: two, command: fc.constantFrom('proxy', 'local'), ...nobody, tlvs: none }),
    );
    for (const family of ['inet', 'inet6', 'unix'] as const)
      headers.push(
        fc.record<ProxyHeader>({
          version: two,
          command: fc.constantFrom('proxy' as const),
          family: fc.constantFrom(family),
          protocol: fc.constantFrom('stream', 'dgram'),
          source: ends[family],
          destination: ends[family],
          // 3 is the checksum, which is computed.
          tlvs: fc.array(fc.record({ type: fc.constantFrom(1, 2, 4, 5, 0x20, 0xff), value: payloads(fc) }), {
            maxLength: 3,
          }),
        }),
      );
  }
  return fc.oneof(...headers);
}

/** Messages of `syslog`, of RFC 5424 and of RFC 3164; with `framing: 'lf'` none of them contains a line feed. */
export function syslogMessages(
  fc: FastCheck,
  { framing = 'auto' }: { framing?: 'octet-counting' | 'lf' | 'auto' } = {},
): ArbitraryLike<SyslogMessage> {
  const text = textOf(fc, `a[]: "\\é\u{1f4a9}${framing === 'lf' ? '' : '\n'}`);
  const field = optional(fc, textOf(fc, 'host.1[]', { minLength: 1 }));
  const name = textOf(fc, 'id@1', { minLength: 1 });
  const param = fc.tuple(name, text);
  const element = fc.record({ id: name, params: fc.array(param, { maxLength: 3 }) });
  const common = { facility: fc.nat(23), severity: fc.nat(7) };
  return fc.oneof(
    fc.record<SyslogMessage>({
      ...common,
      version: fc.constantFrom(1),
      timestamp: optional(fc, fc.constantFrom('2003-10-11T22:14:15.003Z')),
      hostname: field,
      appName: field,
      procId: field,
      msgId: field,
      structuredData: optional(fc, fc.array(element, { minLength: 1, maxLength: 3 })),
      message: text,
    }),
    fc.record<SyslogMessage>({ ...common, message: text }),
    fc
      .record({
        ...common,
        timestamp: fc.constantFrom('Oct 11 22:14:15', 'Jan  1 00:00:00'),
        hostname: textOf(fc, 'host.1', { minLength: 1 }),
        appName: optional(fc, textOf(fc, 'su-1', { minLength: 1 })),
        procId: optional(fc, textOf(fc, '19', { minLength: 1 })),
        message: text,
      })
      // Without a tag nothing in the message may look like one.
      .map(
        ({ appName, procId, message, ...rest }): SyslogMessage =>
          appName === undefined
            ? { ...rest, message: message.replaceAll(':', '') }
            : { ...rest, appName, procId, message },
      ),
  );
}
