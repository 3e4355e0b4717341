/**
 * The tests of the protocols of Netty (4.2, 2025-11), and those of Erlang's decode_packet and of Twisted's netstrings, as far
 * as they concern what goes in and what comes out. Where only their subject is known, that is their name here.
 */
import { decodeAll, encodeAll, Framed, type FramingError, json, lengthField, lines, netstring } from '@fdset/framing';
import {
  dns,
  memcache,
  memcacheReply,
  type ProxyHeader,
  proxyHeader,
  RespError,
  resp,
  type StompFrame,
  stomp,
} from '@fdset/framing/protocols';
import { describe, expect } from 'vitest';
import { events, runTable } from './support.js';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const NOT_COUNTED = 'memory is not counted by hand here';

/** All messages of the chunks; a fatal error ends the list as its code. */
function all(codec: Parameters<typeof events>[0], ...chunks: string[]): unknown[] {
  const seen: unknown[] = [];
  const framer = new Framed<unknown>(codec, (message) => seen.push(message));
  try {
    for (const chunk of chunks) framer.push(bytes(chunk));
    framer.end();
  } catch (error) {
    seen.push((error as FramingError).code);
  }
  return seen;
}

describe('RedisDecoder', () => {
  runTable(
    `splitEOLDoesNotInfiniteLoop shouldNotDecodeInlineCommandByDefault shouldDecodeInlineCommand shouldDecodeSimpleString
    shouldDecodeTwoSimpleStrings shouldDecodeError shouldDecodeInteger shouldDecodeBulkString shouldDecodeEmptyBulkString
    shouldDecodeNullBulkString shouldDecodeSimpleArray shouldDecodeNestedArray shouldErrorOnDoubleReleaseArray
    shouldErrorOnReleaseArrayChild shouldErrorOnReleaseContentOfArrayChild testPredefinedMessagesNotEqual`,
    {
      applies: {
        splitEOLDoesNotInfiniteLoop: () => expect(all(resp(), '$6\r\nfoobar\r', '\n')).toEqual([bytes('foobar')]),
        shouldNotDecodeInlineCommandByDefault: () => expect(all(resp(), 'PING\r\n')).toEqual(['BAD_TYPE']),
        shouldDecodeInlineCommand: () => expect(all(resp({ inline: true }), 'PING\r\n')).toEqual([[bytes('PING')]]),
        shouldDecodeSimpleString: () => expect(all(resp(), '+O', 'K\r\n')).toEqual(['OK']),
        shouldDecodeTwoSimpleStrings: () => expect(all(resp(), '+', 'OK\r\n', '+SECOND\r\n')).toEqual(['OK', 'SECOND']),
        shouldDecodeError: () =>
          expect(all(resp(), '-ERROR sample message\r\n')).toEqual([new RespError('ERROR sample message')]),
        shouldDecodeInteger: () => expect(all(resp(), ':1234', '5678\r\n')).toEqual([12_345_678]),
        shouldDecodeBulkString: () => expect(all(resp(), '$4\r\nb', '\nst', '\r\n')).toEqual([bytes('b\nst')]),
        shouldDecodeEmptyBulkString: () => expect(all(resp(), '$0\r\n', '\r\n')).toEqual([bytes('')]),
        shouldDecodeNullBulkString: () => expect(all(resp(), '$-', '1\r\n')).toEqual([null]),
        shouldDecodeSimpleArray: () =>
          expect(all(resp(), '*3\r\n', ':1234\r\n', '+sim', 'ple\r\n-err', 'or\r\n')).toEqual([
            [1234, 'simple', new RespError('error')],
          ]),
        shouldDecodeNestedArray: () =>
          expect(all(resp(), '*2\r\n', '*3\r\n:1\r\n:2\r\n:3\r\n', '*2\r\n+Foo\r\n-Bar\r\n')).toEqual([
            [
              [1, 2, 3],
              ['Foo', new RespError('Bar')],
            ],
          ]),
        testPredefinedMessagesNotEqual: () =>
          expect(all(resp(), '*0\r\n*-1\r\n$0\r\n\r\n')).toEqual([[], null, bytes('')]),
      },
      doesNot: {
        shouldErrorOnDoubleReleaseArray: NOT_COUNTED,
        shouldErrorOnReleaseArrayChild: NOT_COUNTED,
        shouldErrorOnReleaseContentOfArrayChild: NOT_COUNTED,
      },
    },
  );
});

describe('StompSubframeDecoder', () => {
  const connect = 'CONNECT\nhost:stomp.github.org\naccept-version:1.1,1.2\n\n\0';
  const counted = 'SEND\ndestination:/queue/a\ncontent-length:18\n\nhello, queue a!!!!\0';
  const plain = 'SEND\ndestination:/queue/a\n\nhello, queue a!\0';
  const frame = (command: string, headers: [string, string][], body = ''): StompFrame => ({
    command,
    headers: new Map(headers),
    body: bytes(body),
  });
  const connected = frame('CONNECT', [
    ['host', 'stomp.github.org'],
    ['accept-version', '1.1,1.2'],
  ]);
  const sent = frame('SEND', [['destination', '/queue/a']], 'hello, queue a!');
  const length: [string, string][] = [
    ['destination', '/queue/a'],
    ['content-length', '18'],
  ];
  runTable(
    `testSingleFrameDecoding testSingleFrameWithBodyAndContentLength testSingleFrameWithBodyWithoutContentLength
    testSingleFrameChunked testMultipleFramesDecoding testValidateHeadersDecodingDisabled testValidateHeadersDecodingEnabled
    testNotValidFrameWithEmptyHeaderName testUtf8FrameDecoding`,
    {
      applies: {
        testSingleFrameDecoding: () => expect(all(stomp(), connect)).toEqual([connected]),
        testSingleFrameWithBodyAndContentLength: () =>
          expect(all(stomp(), counted)).toEqual([frame('SEND', length, 'hello, queue a!!!!')]),
        testSingleFrameWithBodyWithoutContentLength: () => expect(all(stomp(), plain)).toEqual([sent]),
        testSingleFrameChunked: () =>
          expect(all(stomp(), ...counted.match(/[\s\S]{1,5}/g)!)).toEqual([
            frame('SEND', length, 'hello, queue a!!!!'),
          ]),
        testMultipleFramesDecoding: () => expect(all(stomp(), `${connect}\n${plain}`)).toEqual([connected, sent]),
        testValidateHeadersDecodingDisabled: () =>
          expect(all(stomp(), 'SEND\nname:with:colons\n\n\0')).toEqual([frame('SEND', [['name', 'with:colons']])]),
        testNotValidFrameWithEmptyHeaderName: () => expect(all(stomp(), 'SEND\n:value\n\n\0')).toEqual(['BAD_HEADER']),
        testUtf8FrameDecoding: () =>
          expect(all(stomp(), Buffer.from('SEND\nd:/héllo\n\nbodý\0').toString('latin1'))).toEqual([
            { command: 'SEND', headers: new Map([['d', '/héllo']]), body: Buffer.from('bodý') },
          ]),
      },
      doesNot: {
        testValidateHeadersDecodingEnabled:
          'a colon in a value is what it is: brokers send it so, and the name ends with the first',
      },
    },
  );
});

describe('HAProxyMessageDecoder', () => {
  const tcp4 = 'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n';
  const one = (stream: string) => all(proxyHeader(), stream)[0] as ProxyHeader | string;
  const inet = { address: '192.168.0.1', port: 56324 };
  const other = { address: '192.168.0.11', port: 443 };
  const two = (kind: number, body: string, command = 0x21) =>
    `\r\n\r\n\0\r\nQUIT\n${String.fromCharCode(command, kind, body.length >> 8, body.length & 255)}${body}`;
  const ends4 = '\xc0\xa8\0\x01\xc0\xa8\0\x0b\xdc\x04\x01\xbb';
  const unix = (path: string) => path.padEnd(108, '\0');
  const unknown = { family: 'unknown', protocol: 'unknown' };
  runTable(
    `testIPV4Decode testIPV6Decode testUnknownProtocolDecode testV1NoUDP testInvalidPort testInvalidIPV4Address
    testInvalidIPV6Address testInvalidProtocol testMissingParams testTooManyParams testInvalidCommand testInvalidEOL
    testHeaderTooLong testFailSlowHeaderTooLong testFailFastHeaderTooLong testIncompleteHeader testCloseOnInvalid
    testV2IPV4Decode testV2UDPDecode testV2IPV6Decode testV2UnixDecode testV2LocalProtocolDecode testV2UnknownProtocolDecode
    testV2WithTLV testV2WithSslTLVs`,
    {
      applies: {
        testIPV4Decode: () => expect(one(tcp4)).toMatchObject({ family: 'inet', source: inet, destination: other }),
        testIPV6Decode: () =>
          expect(one('PROXY TCP6 2001:0db8:85a3:0000:0000:8a2e:0370:7334 1050::3 56324 443\r\n')).toMatchObject({
            family: 'inet6',
            destination: { address: '1050::3', port: 443 },
          }),
        testUnknownProtocolDecode: () =>
          expect(one('PROXY UNKNOWN 192.168.0.1 192.168.0.11 56324 443\r\n')).toMatchObject(unknown),
        testV1NoUDP: () => expect(one(tcp4.replace('TCP4', 'UDP4'))).toBe('BAD_HEADER'),
        testInvalidPort: () => expect(one(tcp4.replace('56324', '80000'))).toBe('BAD_HEADER'),
        testInvalidIPV4Address: () => expect(one(tcp4.replace('192.168.0.1 ', '299.168.0.1 '))).toBe('BAD_HEADER'),
        testInvalidIPV6Address: () => expect(one('PROXY TCP6 r001:0db8:: 1050::3 56324 443\r\n')).toBe('BAD_HEADER'),
        testInvalidProtocol: () => expect(one(tcp4.replace('TCP4', 'TCP7'))).toBe('BAD_HEADER'),
        testMissingParams: () => expect(one(tcp4.replace(' 443', ''))).toBe('BAD_HEADER'),
        testTooManyParams: () => expect(one(tcp4.replace('443', '443 123'))).toBe('BAD_HEADER'),
        testInvalidCommand: () => expect(one(tcp4.replace('PROXY', 'PING'))).toBe('BAD_HEADER'),
        testInvalidEOL: () => expect(one(tcp4.replace('\r\n', '\nGET / HTTP/1.1\r\n'))).toBe('BAD_HEADER'),
        testHeaderTooLong: () => expect(one(`PROXY TCP4 ${'1'.repeat(100)} 2 3 4\r\n`)).toBe('FRAME_TOO_LONG'),
        testFailFastHeaderTooLong: () => expect(one(`PROXY TCP4 ${'1'.repeat(100)}`)).toBe('FRAME_TOO_LONG'),
        testIncompleteHeader: () => expect(one('PROXY TCP4 192.168.0.1 192.168.0.11 56324')).toBe('UNEXPECTED_EOF'),
        testCloseOnInvalid: () => {
          const framer = new Framed(proxyHeader(), () => {});
          expect(() => framer.push(bytes('GET / HTTP/1.1\r\n'))).toThrow();
          expect(() => framer.push(bytes(tcp4))).toThrow(expect.objectContaining({ code: 'CLOSED' }));
        },
        testV2IPV4Decode: () =>
          expect(one(two(0x11, ends4))).toMatchObject({
            protocol: 'stream',
            source: inet,
            destination: other,
            tlvs: [],
          }),
        testV2UDPDecode: () => expect(one(two(0x12, ends4))).toMatchObject({ protocol: 'dgram', source: inet }),
        testV2IPV6Decode: () =>
          expect(one(two(0x21, `${'\0'.repeat(15)}\x01${'\0'.repeat(15)}\x02\0\x07\0\x08`))).toMatchObject({
            source: { address: '::1', port: 7 },
            destination: { address: '::2', port: 8 },
          }),
        testV2UnixDecode: () =>
          expect(one(two(0x31, unix('/var/run/src.sock') + unix('/var/run/dst.sock')))).toMatchObject({
            family: 'unix',
            source: { address: '/var/run/src.sock', port: 0 },
            destination: { address: '/var/run/dst.sock', port: 0 },
          }),
        testV2LocalProtocolDecode: () =>
          expect(one(two(0, ends4, 0x20))).toMatchObject({ command: 'local', ...unknown }),
        testV2UnknownProtocolDecode: () => expect(one(two(0, ends4))).toMatchObject({ command: 'proxy', ...unknown }),
        testV2WithTLV: () =>
          expect(one(two(0x11, `${ends4}\x01\0\x02h2\x02\0\x04host`))).toMatchObject({
            tlvs: [
              { type: 1, value: bytes('h2') },
              { type: 2, value: bytes('host') },
            ],
          }),
        // What is inside the TLV of TLS is the business of who knows it.
        testV2WithSslTLVs: () =>
          expect(one(two(0x11, `${ends4}\x20\0\x0f\x05\0\0\0\0\x21\0\x07TLSv1.2`))).toMatchObject({
            tlvs: [{ type: 0x20, value: bytes('\x05\0\0\0\0\x21\0\x07TLSv1.2') }],
          }),
      },
      doesNot: { testFailSlowHeaderTooLong: 'an error is told as soon as it is certain' },
    },
  );
});

describe('JsonObjectDecoder, MemcacheDecoder, XmlFrameDecoder, TcpDnsDecoder', () => {
  const documents = json(lines());
  const query = { id: 1, questions: [{ name: 'netty.io', type: 1 }] };
  runTable(
    `jsonObjectOverMultipleWrites jsonArrayOverMultipleWrites jsonStream jsonSingleByteStream jsonBackslashInString
    jsonMaxObjectLength jsonCorrupted memcacheChunkedContent memcacheNonUniformBatches memcacheTwoMessagesInOneBatch xmlFraming
    testQueryDecode testDecoderLeak testResponseEncode`,
    {
      applies: {
        jsonObjectOverMultipleWrites: () =>
          expect(all(documents, '{"a', '":[1', ',2]}', '\n')).toEqual([{ a: [1, 2] }]),
        jsonArrayOverMultipleWrites: () => expect(all(documents, '[1,', '2', ']\n')).toEqual([[1, 2]]),
        jsonStream: () => expect(all(documents, '{}\n[]\n"x"\n1')).toEqual([{}, [], 'x', 1]),
        jsonSingleByteStream: () => expect(all(documents, ...'{"a":"}"}\n[{}]\n')).toEqual([{ a: '}' }, [{}]]),
        jsonBackslashInString: () =>
          expect(all(documents, '{"a":"\\\\"}\n{"b":"\\""}\n')).toEqual([{ a: '\\' }, { b: '"' }]),
        jsonMaxObjectLength: () =>
          expect(all(json(lines({ maxFrameLength: 8 })), '{"a":1}\n{"a":10}\n{}\n{"abc":1}\n')).toEqual([
            { a: 1 },
            { a: 10 },
            {},
            'FRAME_TOO_LONG',
          ]),
        jsonCorrupted: () => expect(events(documents, ['{]\n{}\n'])).toEqual(['!BAD_VALUE']),
        memcacheChunkedContent: () =>
          expect(all(memcache(), 'set k 0 0 1', '0\r\n01234', '567', '89\r', '\n')).toEqual([
            { command: 'set', args: ['k', '0', '0'], data: bytes('0123456789') },
          ]),
        memcacheNonUniformBatches: () => {
          const stream = 'VALUE k 0 3\r\nabc\r\nEND\r\nSTORED\r\nVA 2\r\nhi\r\n';
          for (let size = 1; size < 12; size++)
            expect(
              all(memcacheReply(), ...stream.match(new RegExp(`[^]{1,${size}}`, 'g'))!).map(
                (reply) => (reply as { status: string }).status,
              ),
            ).toEqual(['END', 'STORED', 'VA']);
        },
        memcacheTwoMessagesInOneBatch: () =>
          expect(all(memcache(), 'get a\r\nget b\r\n')).toEqual([
            { command: 'get', args: ['a'] },
            { command: 'get', args: ['b'] },
          ]),
        testQueryDecode: () => expect(decodeAll(dns(), encodeAll(dns(), [query, query]))).toMatchObject([query, query]),
        testResponseEncode: () => {
          const answers = [{ name: 'netty.io', type: 1, ttl: 60, data: '127.0.0.1' }];
          expect(Buffer.from(encodeAll(dns(), [{ ...query, response: true, answers }])).toString('hex')).toBe(
            '002a' + '000180000001000100000000' + '056e6574747902696f0000010001' + 'c00c000100010000003c00047f000001',
          );
        },
      },
      doesNot: {
        xmlFraming: 'there is no codec of XML',
        testDecoderLeak: NOT_COUNTED,
      },
    },
  );
});

describe('decode_packet of Erlang', () => {
  const sizes = [1, 2, 4] as const;
  runTable('basic packet_size neg line otp_8536 otp_9389', {
    applies: {
      // What is missing is told exactly, wherever the packet is cut.
      basic: () => {
        for (const size of sizes) {
          const stream = encodeAll(lengthField({ size }), ['hello']);
          for (let cut = 0; cut < stream.length; cut++) {
            const framer = new Framed(lengthField({ size }), () => {});
            framer.push(stream.subarray(0, cut));
            expect(framer.needed, `${size} cut at ${cut}`).toBe(cut === 0 ? 1 : cut < size ? size : stream.length);
          }
        }
      },
      packet_size: () => {
        for (const size of sizes)
          for (let most = 0; most <= 10; most++) {
            const stream = Buffer.from(encodeAll(lengthField({ size }), ['hello'])).toString('latin1');
            expect(events(lengthField({ size, maxFrameLength: most }), [stream])).toEqual([
              most < 5 ? '!FRAME_TOO_LONG' : 'hello',
            ]);
          }
      },
      neg: () => {
        for (let last = 0xf6; last <= 0xff; last++)
          expect(events(lengthField(), [`\xff\xff\xff${String.fromCharCode(last)}abc`])).toEqual(['!FRAME_TOO_LONG']);
      },
      // There the line is cut to the limit, and goes on as the next one.
      line: () => expect(events(lines({ maxFrameLength: 3 }), ['abc\nabcd\n'])).toEqual(['abc', '!FRAME_TOO_LONG']),
    },
    doesNot: {
      otp_8536: 'about the strings of its HTTP parser',
      otp_9389: 'about the lines of its HTTP parser',
    },
  });
});

describe('NetstringReceiver of Twisted', () => {
  runTable(
    `test_receiveNetstring test_receiveEmptyNetstring test_receiveOneCharacter test_receiveTwoCharacters
    test_receiveNestedNetstring test_receiveNetstringPortions test_receiveManyAtOnce test_moreDataThanSpecified
    test_moreDataThanSpecifiedBorderCase test_missingNumber test_missingColon test_missingNumberAndColon test_onlyData
    test_missingComma test_leadingZeros test_tooLong test_tooManyDigits`,
    {
      applies: Object.fromEntries(
        (
          [
            ['test_receiveNetstring', ['5:hello,'], ['hello']],
            ['test_receiveEmptyNetstring', ['0:,'], ['']],
            ['test_receiveOneCharacter', ['1:a,'], ['a']],
            ['test_receiveTwoCharacters', ['2:ab,'], ['ab']],
            ['test_receiveNestedNetstring', ['4:1:a,,'], ['1:a,']],
            ['test_receiveNetstringPortions', ['4', ':ab', 'cd', ','], ['abcd']],
            ['test_receiveManyAtOnce', ['4:abcd,2:ab,1:a,'], ['abcd', 'ab', 'a']],
            ['test_moreDataThanSpecified', ['4:hello,'], ['!BAD_TRAILER']],
            ['test_moreDataThanSpecifiedBorderCase', ['4:hello'], ['!BAD_TRAILER']],
            ['test_missingNumber', [':aaa,'], ['!BAD_DIGIT']],
            ['test_missingColon', ['100aaa,'], ['!BAD_DIGIT']],
            ['test_missingNumberAndColon', ['aaa,'], ['!BAD_DIGIT']],
            ['test_onlyData', ['aaa'], ['!BAD_DIGIT']],
            ['test_missingComma', ['3:aaa4:x'], ['!BAD_TRAILER']],
            ['test_leadingZeros', ['03:aaa,'], ['!BAD_LENGTH']],
            ['test_tooLong', ['6:abcdef,'], ['!FRAME_TOO_LONG'], 5],
            ['test_tooManyDigits', ['9999999999999999999999'], ['!FRAME_TOO_LONG']],
          ] as [string, string[], string[], number?][]
        ).map(([name, chunks, expected, maxFrameLength]) => [
          name,
          () => expect(events(netstring({ maxFrameLength }), chunks)).toEqual(expected),
        ]),
      ),
      doesNot: {},
    },
  );
});
