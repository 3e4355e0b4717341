import { describe, expect, it } from 'vitest';
import { type DripCase, drip } from '../testing/drip.js';
import { ber, chunked, dns, memcache, memcacheReply, mqtt, postgres, resp, stomp, syslog, websocket } from './index.js';

const BYTES = 100_000;
/** Limits that are no limits here. */
const LONG_HEADERS = { maxHeaderLength: 1e6 };

/** Different words of three characters, which a string each would cost ten times. */
function manyWords(count: number, piece: (word: string) => string): string {
  return Array.from({ length: count }, (_, i) => piece((i + 40_000).toString(36))).join('');
}

const cases: Record<string, DripCase> = {
  'resp, a string': [resp(), '$9999999\r\n', 'a'],
  'resp, a line': [resp(), '+', 'a'],
  'resp, many strings': [resp(), '*1000000\r\n', '$1\r\na\r\n'],
  'resp, arrays of arrays': [resp(), '*1000000\r\n', '*2\r\n*0\r\n:1\r\n'],
  'resp, attributes': [resp(), '*1000000\r\n', '|1\r\n+a\r\n+b\r\n'],
  websocket: [websocket(), '\x82\x7f\0\0\0\0\0\xff\xff\xff', 'a'],
  'websocket, masked': [websocket(), '\x82\xff\0\0\0\0\0\xff\xff\xffmask', 'a'],
  'chunked, a chunk': [chunked(), 'ffffff\r\n', 'a'],
  'chunked, extensions': [chunked(LONG_HEADERS), '1;a="', 'a'],
  'chunked, trailers': [chunked(LONG_HEADERS), `0;a="${'a'.repeat(50_000)}"\r\n`, 'a:b\r\n'],
  postgres: [postgres(), 'd\0\xff\xff\xff', 'a'],
  'postgres, startup': [postgres({ startup: true }), '\0\0\x27\x10\0\x03\0\0', 'a'],
  'mqtt 3.1.1': [mqtt(), '0\xff\xff\xff\x07', 'a'],
  'mqtt 5': [mqtt({ version: 5 }), '0\xff\xff\xff\x07', 'a'],
  'stomp, a counted body': [stomp(), 'SEND\ncontent-length:9999999\n\n', 'a'],
  'stomp, a body': [stomp(), 'SEND\na:b\n\n', 'a'],
  'stomp, a counted body behind many headers': [
    stomp(),
    `SEND\n${manyWords(3200, (word) => `${word}:\n`)}content-length:9999999\n\n`,
    'a',
  ],
  'stomp, a body behind many headers': [stomp(), `SEND\n${manyWords(3200, (word) => `${word}:\n`)}\n`, 'a'],
  'stomp, a raw body': [stomp({ raw: true }), 'SEND\na:b\n\n', 'a'],
  'stomp, headers': [stomp(LONG_HEADERS), 'SEND\n', 'a:b\n'],
  'memcache, data': [memcache(), 'set k 0 0 9999999\r\n', 'a'],
  'memcache, data behind many words': [memcache(), `ms k 9999999 ${manyWords(13_000, (word) => `${word} `)}\r\n`, 'a'],
  'memcache, a line': [memcache(LONG_HEADERS), 'get ', 'key '],
  'memcacheReply, data': [memcacheReply(), 'VALUE k 0 9999999\r\n', 'a'],
  'memcacheReply, items': [memcacheReply(), '', 'VALUE k 0 3\r\nabc\r\n'],
  'memcacheReply, items of a raw one': [memcacheReply({ raw: true }), '', 'VALUE k 0 3\r\nabc\r\n'],
  'memcacheReply, stats': [memcacheReply(), '', 'STAT a 1\r\n'],
  ber: [ber(), '\x04\x84\0\xff\xff\xff', 'a'],
  dns: [dns(), '\xff\xff', 'a'],
  'syslog, counted': [syslog(), '9999999 ', 'a'],
  'syslog, a line': [syslog(), '<', 'a'],
};

describe('a peer of a protocol that drips byte by byte', () => {
  // What looks at all of it with every byte would take minutes.
  it.each(Object.entries(cases))('%s: costs at most 4 times what it has sent, and 64 KiB', (name, each) => {
    const bytes = { dns: 65_000, 'postgres, startup': 9990 }[name] ?? BYTES;
    const { excess, messages } = drip(each, bytes);
    expect(excess).toBeLessThanOrEqual(65_536);
    expect(messages).toBe(0);
  });
});
