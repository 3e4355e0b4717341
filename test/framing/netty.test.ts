/**
 * The tests of Netty's codecs, by class and name (4.2, 2025-11), as far as they concern what goes in and what comes out. Those of its Redis, STOMP,
 * HAProxy and other protocols stand in netty-protocols.test.ts.
 */
import {
  type Codec,
  delimiter,
  encodeAll,
  Framed,
  lengthField,
  lines,
  type StatusReply,
  statusReply,
  untilClose,
  utf8Lines,
  varint,
} from '@fdset/framing';
import { describe, expect } from 'vitest';
import { encoded, events, runTable, shown, steps } from './support.js';

const DISCARD = { onTooLong: 'discard' } as const;
const EARLY = 'an error is told as soon as it is certain, there is no choice: memory and the peer are spared the rest';
const COUNTED = 'memory is not counted by hand here';

describe('DelimiterBasedFrameDecoder', () => {
  const either = (strip: boolean) => delimiter({ delimiters: ['\r\n', '\n'], strip });
  const nul = delimiter({ delimiters: '\0', maxFrameLength: 1, ...DISCARD });
  runTable(
    `testMultipleLinesStrippedDelimiters testIncompleteLinesStrippedDelimiters testMultipleLines testIncompleteLines testDecode
    testFailSlowTooLongFrameRecovery testFailFastTooLongFrameRecovery`,
    {
      applies: {
        testMultipleLinesStrippedDelimiters: () =>
          expect(events(either(true), ['TestLine\r\ng\r\n'])).toEqual(['TestLine', 'g']),
        testIncompleteLinesStrippedDelimiters: () =>
          expect(steps(either(true), ['Test', 'Line\r\ng\r\n'])).toEqual([[], ['TestLine', 'g']]),
        testMultipleLines: () =>
          expect(events(either(false), ['TestLine\r\ng\r\n'])).toEqual(['TestLine\r\n', 'g\r\n']),
        testIncompleteLines: () =>
          expect(steps(either(false), ['Test', 'Line\r\ng\r\n'])).toEqual([[], ['TestLine\r\n', 'g\r\n']]),
        testDecode: () => expect(events(either(true), ['first\r\nsecond\nthird'], false)).toEqual(['first', 'second']),
        testFailFastTooLongFrameRecovery: () =>
          expect(steps(nul, ['\x01\x02', '\0A\0', '\x01\x02', '\0A\0'])).toEqual([
            ['!FRAME_TOO_LONG'],
            ['A'],
            ['!FRAME_TOO_LONG'],
            ['A'],
          ]),
      },
      doesNot: { testFailSlowTooLongFrameRecovery: EARLY },
    },
  );
});

describe('LengthFieldBasedFrameDecoder', () => {
  // Netty's limit counts the header of 4 bytes, ours does not.
  const codec = (most: number) => lengthField({ maxFrameLength: most - 4, ...DISCARD });
  runTable(
    'testDiscardTooLongFrame1 testDiscardTooLongFrame2 testFailSlowTooLongFrameRecovery testFailFastTooLongFrameRecovery',
    {
      applies: {
        testDiscardTooLongFrame1: () =>
          expect(events(codec(16), [`\0\0\0\x20${'x'.repeat(32)}\0\0\0\x01A`])).toEqual(['!FRAME_TOO_LONG', 'A']),
        testDiscardTooLongFrame2: () =>
          expect(steps(codec(16), [`\0\0\0\x20${'x'.repeat(10)}`, 'x'.repeat(22), '\0\0\0\x01A'])).toEqual([
            ['!FRAME_TOO_LONG'],
            [],
            ['A'],
          ]),
        testFailFastTooLongFrameRecovery: () =>
          expect(steps(codec(5), ['\0\0\0\x02', '\0\0', '\0\0\0\x01A', '\0\0\0\x02', '\0\0\0\0\0\x01A'])).toEqual([
            ['!FRAME_TOO_LONG'],
            [],
            ['A'],
            ['!FRAME_TOO_LONG'],
            ['A'],
          ]),
      },
      doesNot: { testFailSlowTooLongFrameRecovery: EARLY },
    },
  );
});

describe('LengthFieldPrepender', () => {
  runTable(
    `testPrependLength testPrependLengthIncludesLengthFieldLength testPrependAdjustedLength testAdjustedLengthLessThanZero
    testPrependLengthInLittleEndian`,
    {
      applies: {
        testPrependLength: () => {
          // Above 1 KiB the payload is a piece of its own: the very one that was sent.
          const framer = new Framed(lengthField(), () => {});
          const payload = Buffer.alloc(2000, 'A');
          framer.send(payload);
          const [header, piece] = framer.flush();
          expect(shown(header)).toBe('\0\0\x07\xd0');
          expect(piece).toBe(payload);
          expect(encoded(lengthField(), ['A'])).toBe('\0\0\0\x01A');
        },
        testPrependLengthIncludesLengthFieldLength: () =>
          expect(encoded(lengthField({ counts: 'frame' }), ['A'])).toBe('\0\0\0\x05A'),
        // Netty adds the adjustment when it writes, the decoders of both take it off when they read: ours is the decoder's.
        testPrependAdjustedLength: () => expect(encoded(lengthField({ adjust: 1 }), ['A'])).toBe('\0\0\0\0A'),
        testAdjustedLengthLessThanZero: () => expect(encoded(lengthField({ adjust: 2 }), ['A'])).toBe('!BAD_LENGTH'),
        testPrependLengthInLittleEndian: () =>
          expect(encoded(lengthField({ endian: 'le' }), ['A'])).toBe('\x01\0\0\0A'),
      },
      doesNot: {},
    },
  );
});

describe('LineBasedFrameDecoder and LineEncoder', () => {
  const codec = (most: number, strip = true) => lines({ maxFrameLength: most, strip, ...DISCARD });
  runTable(
    `testDecodeWithStrip testDecodeWithoutStrip testTooLongLine1 testTooLongLine2 testTooLongLineWithFailFast testDecodeSplitsCorrectly
    testFragmentedDecode testEmptyLine testNotFailFast testEncode`,
    {
      applies: {
        testDecodeWithStrip: () =>
          expect(events(codec(8192), ['first\r\nsecond\nthird'], false)).toEqual(['first', 'second']),
        testDecodeWithoutStrip: () =>
          expect(events(codec(8192, false), ['first\r\nsecond\nthird'], false)).toEqual(['first\r\n', 'second\n']),
        testTooLongLine1: () =>
          expect(events(codec(16), ['12345678901234567890\r\nfirst\nsecond'], false)).toEqual([
            '!FRAME_TOO_LONG',
            'first',
          ]),
        testTooLongLine2: () =>
          expect(steps(codec(16), ['12345678901234567', '890\r\nfirst\r\n'])).toEqual([['!FRAME_TOO_LONG'], ['first']]),
        testTooLongLineWithFailFast: () =>
          expect(steps(codec(16), ['12345678901234567', '890', '123\r\nfirst\r\n'])).toEqual([
            ['!FRAME_TOO_LONG'],
            [],
            ['first'],
          ]),
        testDecodeSplitsCorrectly: () => expect(steps(codec(8192), ['line\r\n.\r\n'])).toEqual([['line', '.']]),
        testFragmentedDecode: () =>
          expect(steps(codec(8192), ['huu', 'haa\r', '\nhuuhaa\r\n'])).toEqual([[], [], ['huuhaa', 'huuhaa']]),
        testEmptyLine: () => expect(events(codec(8192), ['\nabcna\r\n'])).toEqual(['', 'abcna']),
        testEncode: () => expect(encoded(lines(), ['abc'])).toBe('abc\n'),
      },
      doesNot: { testNotFailFast: EARLY },
    },
  );
});

describe('ProtobufVarint32FrameDecoder and ProtobufVarint32LengthFieldPrepender', () => {
  const long = 'x'.repeat(2046);
  const prefix = (length: number) => encoded(varint(), [new Uint8Array(length)]).slice(0, -length);
  runTable(
    `testTinyDecode testRegularDecode testDecodeWithSplitPrefix testSize1Varint testSize2Varint testSize3Varint testSize4Varint
    testTinyEncode testRegularEncode`,
    {
      applies: {
        testTinyDecode: () =>
          expect(steps(varint(), ['\x04', '\x01\x01', '\x01\x01'])).toEqual([[], [], ['\x01\x01\x01\x01']]),
        testRegularDecode: () =>
          expect(
            steps(varint(), ['\xfe', `\x0f${long.slice(0, 125)}`, long.slice(125, 1024), long.slice(1024)]),
          ).toEqual([[], [], [], [long]]),
        // netty#17550, whose decoder took a length that was cut behind its third byte for millions of frames.
        testDecodeWithSplitPrefix: () => {
          for (const length of [1, 127, 128, 16_383, 16_384, 2 ** 21 - 1, 2 ** 21, 2 ** 22, 3 * 2 ** 21]) {
            const bytes = encodeAll(varint(), [new Uint8Array(length)]);
            for (let at = 1; at <= 5 && at < bytes.length; at++) {
              const seen: number[] = [];
              const framer = new Framed(varint(), (frame) => seen.push(frame.length));
              framer.push(bytes.slice(0, at));
              framer.push(bytes.slice(at));
              framer.end();
              expect(seen).toEqual([length]);
            }
          }
        },
        testSize1Varint: () => expect(prefix(10)).toBe('\x0a'),
        testSize2Varint: () => expect(prefix(266)).toBe('\x8a\x02'),
        testSize3Varint: () => expect(prefix(0x4000)).toBe('\x80\x80\x01'),
        testSize4Varint: () => expect(prefix(0x200000)).toBe('\x80\x80\x80\x01'),
        testTinyEncode: () => expect(encoded(varint(), ['\x01\x01\x01\x01'])).toBe('\x04\x01\x01\x01\x01'),
        testRegularEncode: () => expect(encoded(varint(), [long])).toBe(`\xfe\x0f${long}`),
      },
      doesNot: {},
    },
  );
});

/** One byte is a message. */
const single: Codec<Uint8Array> = {
  decode: (input) => input.take(1),
  encode: (message, output) => {
    output.bytes(message);
  },
};

describe('ByteToMessageDecoder, ReplayingDecoder and ByteToMessageCodec', () => {
  const removal = () => {
    const seen: string[] = [];
    const framer = new Framed(single, (byte) => {
      seen.push(shown(byte));
      if (shown(byte) === 'a') framer.use(untilClose(), (rest) => seen.push(`rest ${shown(rest)}`));
    });
    return { seen, framer };
  };
  runTable(
    `testRemoveItself testRemoveItselfWriteBuffer testInternalBufferClearReadAll testInternalBufferClearReadPartly
    handlerRemovedWillNotReleaseBufferIfDecodeInProgress testFireChannelReadCompleteOnInactive testRemoveWhileInCallDecode
    testDecodeLastEmptyBuffer testDecodeLastNonEmptyBuffer testReadOnlyBuffer releaseWhenMergeCumulateThrows
    releaseWhenMergeCumulateThrowsInExpand releaseWhenCompositeCumulateThrows testDoesNotOverRead
    testDoesNotOverReadOnChannelReadComplete testDisorder testDecodeLast testUnexpectRead testReuseInputBuffer testLineProtocol
    testReplacement testSingleDecode testRemoveItselfWithReplayError testChannelInputShutdownEvent testForwardPendingData testSharable`,
    {
      applies: {
        testRemoveItself: () => {
          const { seen, framer } = removal();
          framer.push(Buffer.from('abc'));
          framer.end();
          expect(seen).toEqual(['a', 'rest bc']);
        },
        testRemoveItselfWriteBuffer: () => {
          const { seen, framer } = removal();
          const chunk = Buffer.from('abcd').subarray(0, 3);
          framer.push(chunk);
          framer.push(Buffer.from('d'));
          framer.end();
          expect(seen).toEqual(['a', 'rest bcd']);
        },
        testInternalBufferClearReadAll: () => {
          const framer = new Framed(single, () => {});
          framer.push(Buffer.from('a'));
          expect([framer.buffered, framer.leftover.length]).toEqual([0, 0]);
        },
        testInternalBufferClearReadPartly: () => {
          const framer = new Framed(single, () => framer.pause());
          framer.push(Buffer.from('ab'));
          expect(shown(framer.leftover)).toBe('b');
        },
        testRemoveWhileInCallDecode: () => {
          // Netty fired what was left over in front of what had been decoded.
          const seen: string[] = [];
          const framer = new Framed(single, (byte) => {
            seen.push(shown(byte));
            if (seen.length === 2) framer.use(untilClose(), (rest) => seen.push(`rest ${shown(rest)}`));
          });
          framer.push(Buffer.from('abc'));
          framer.end();
          expect(seen).toEqual(['a', 'b', 'rest c']);
        },
        testDecodeLastEmptyBuffer: () => expect(events(untilClose(), [])).toEqual(['']),
        testDecodeLastNonEmptyBuffer: () => expect(events(untilClose(), ['a'])).toEqual(['a']),
        testReadOnlyBuffer: () => {
          // What was pushed is never written to, however much is appended behind it.
          const chunks = ['ab', 'cd', 'ef'].map((text) => Buffer.from(text));
          const framer = new Framed(untilClose(), () => {});
          for (const chunk of chunks) framer.push(chunk);
          framer.end();
          expect(chunks.map(shown)).toEqual(['ab', 'cd', 'ef']);
        },
        testDisorder: () => {
          const seen: string[] = [];
          const framer = new Framed(single, (byte) => {
            seen.push(shown(byte));
            if (seen.length === 4) framer.use(untilClose(), (rest) => seen.push(shown(rest)));
          });
          framer.push(Buffer.from('1234'));
          framer.push(Buffer.from('5'));
          framer.end();
          expect(seen).toEqual(['1', '2', '3', '4', '5']);
        },
        testDecodeLast: () => {
          const seen: string[] = [];
          const framer = new Framed(lengthField(), () => {});
          framer.push(Buffer.from('\0\0\0'));
          framer.use(untilClose(), (rest) => seen.push(shown(rest)));
          framer.end();
          expect(seen).toEqual(['\0\0\0']);
        },
        testLineProtocol: () =>
          expect(steps(lines(), ['A', 'B\nC', '\n', '\n', 'DEF\n\n'])).toEqual([[], ['AB'], ['C'], [''], ['DEF', '']]),
        testReplacement: () => {
          const seen: string[] = [];
          const framer = new Framed(lines(), (line) => {
            seen.push(`line ${shown(line)}`);
            framer.use(single, (byte) => seen.push(shown(byte)));
          });
          framer.push(Buffer.from('C\nDE'));
          expect(seen).toEqual(['line C', 'D', 'E']);
        },
        testSingleDecode: () => {
          const seen: string[] = [];
          const framer = new Framed(lines(), (line) => {
            seen.push(shown(line));
            framer.pause();
          });
          framer.push(Buffer.from('C\nDEFGH'));
          framer.push(Buffer.from('\n'));
          expect(seen).toEqual(['C']);
          framer.resume();
          expect(seen).toEqual(['C', 'DEFGH']);
        },
        testRemoveItselfWithReplayError: () => {
          const { seen, framer } = removal();
          framer.push(Buffer.from('a'));
          framer.push(Buffer.from('bc'));
          framer.end();
          expect(seen).toEqual(['a', 'rest bc']);
        },
        testForwardPendingData: () => {
          const framer = new Framed(lengthField(), () => {});
          framer.push(Buffer.from('\0\0'));
          const seen: string[] = [];
          framer.use(single, (byte) => seen.push(shown(byte)));
          expect(seen).toEqual(['\0', '\0']);
        },
      },
      doesNot: {
        handlerRemovedWillNotReleaseBufferIfDecodeInProgress: COUNTED,
        releaseWhenMergeCumulateThrows: COUNTED,
        releaseWhenMergeCumulateThrowsInExpand: COUNTED,
        releaseWhenCompositeCumulateThrows: COUNTED,
        testReuseInputBuffer: `${COUNTED}; that no chunk is written to, and no block that was lent, is in input.test.ts`,
        testFireChannelReadCompleteOnInactive: 'there is no pipeline with such an event',
        testChannelInputShutdownEvent: 'there is no pipeline with such an event: end() is called',
        testDoesNotOverRead: 'reading is the channel; it is paused when nobody takes messages (framed-channel.test.ts)',
        testDoesNotOverReadOnChannelReadComplete: 'as testDoesNotOverRead',
        testUnexpectRead: 'as testDoesNotOverRead',
        testSharable: 'codecs keep nothing of a stream, so that all of them can be shared (rechunk.test.ts)',
      },
    },
  );
});

describe('SmtpResponseDecoder', () => {
  const smtp = statusReply({ style: 'smtp' });
  const replies = (chunks: string[]) => {
    const seen: StatusReply[] = [];
    const framer = new Framed(smtp, (reply) => seen.push(reply));
    for (const chunk of chunks) framer.push(Buffer.from(chunk));
    framer.end();
    return seen;
  };
  runTable(
    `testDecodeOneLineResponse testDecodeOneLineResponseNoDetails testDecodeOneLineResponseChunked testDecodeTwoLineResponse
    testDecodeTwoLineResponseChunked testDecodeInvalidSeparator testDecodeInvalidCode testDecodeInvalidLine`,
    {
      applies: {
        testDecodeOneLineResponse: () => expect(replies(['200 Ok\r\n'])).toEqual([{ code: 200, lines: ['Ok'] }]),
        testDecodeOneLineResponseNoDetails: () => expect(replies(['250 \r\n'])).toEqual([{ code: 250, lines: [''] }]),
        testDecodeOneLineResponseChunked: () =>
          expect(replies(['200 Ok', '\r\n'])).toEqual([{ code: 200, lines: ['Ok'] }]),
        testDecodeTwoLineResponse: () =>
          expect(replies(['200-Hello\r\n200 Ok\r\n'])).toEqual([{ code: 200, lines: ['Hello', 'Ok'] }]),
        testDecodeTwoLineResponseChunked: () =>
          expect(replies(['200-', 'Hello\r\n2', '00 Ok\r\n'])).toEqual([{ code: 200, lines: ['Hello', 'Ok'] }]),
        testDecodeInvalidSeparator: () => expect(events(smtp, ['200:Ok\r\n'])).toEqual(['!BAD_REPLY']),
        testDecodeInvalidCode: () => expect(events(smtp, ['xyz Ok\r\n'])).toEqual(['!BAD_REPLY']),
        testDecodeInvalidLine: () => expect(events(smtp, ['Ok\r\n'])).toEqual(['!BAD_REPLY']),
      },
      doesNot: {},
    },
  );
});

describe('Twisted: LineReceiver, NetstringReceiver and the rest of what is worth it', () => {
  runTable(
    `test_buffer test_pausing test_rawPausing test_clearLineBuffer test_stackRecursion test_maximumLineLength
    test_maximumLineLengthRemaining test_maximumLineLengthPartialDelimiter test_notQuiteMaximumLineLengthUnfinished test_switching
    test_recvdInLengthLimitExceeded test_stopProducing`,
    {
      applies: {
        test_buffer: () => {
          const stream = 'foo\r\nbar\r\n\r\nfoobar\r\n';
          for (let size = 1; size <= 9; size++) {
            const chunks = stream.match(new RegExp(`[^]{1,${size}}`, 'g'))!;
            expect(events(lines({ eol: 'crlf' }), chunks)).toEqual(['foo', 'bar', '', 'foobar']);
          }
        },
        test_pausing: () => {
          for (let size = 1; size <= 9; size++) {
            const seen: string[] = [];
            const framer = new Framed(utf8Lines(), (line) => {
              seen.push(line);
              if (line === 'pause') framer.pause();
            });
            for (const chunk of 'a\npause\nb\n'.match(new RegExp(`[^]{1,${size}}`, 'g'))!)
              framer.push(Buffer.from(chunk));
            expect(seen).toEqual(['a', 'pause']);
            framer.resume();
            expect(seen).toEqual(['a', 'pause', 'b']);
          }
        },
        test_rawPausing: () => {
          const seen: string[] = [];
          const framer = new Framed(single, (byte) => {
            seen.push(shown(byte));
            framer.pause();
          });
          framer.push(Buffer.from('xy'));
          framer.push(Buffer.from('z'));
          expect(seen).toEqual(['x']);
          framer.resume();
          framer.resume();
          expect(seen).toEqual(['x', 'y', 'z']);
        },
        test_stackRecursion: () => {
          let lines = 0;
          const framer = new Framed(utf8Lines(), onLine);
          function onLine(): void {
            lines++;
            framer.use(single, () => framer.use(utf8Lines(), onLine));
          }
          framer.push(Buffer.from('a\nb'.repeat(5000)));
          expect(lines).toBe(5000);
        },
        test_maximumLineLength: () =>
          expect(events(lines({ maxFrameLength: 3 }), ['a\nb\nlong\nc\n'])).toEqual(['a', 'b', '!FRAME_TOO_LONG']),
        test_maximumLineLengthRemaining: () =>
          expect(steps(lines({ maxFrameLength: 3 }), ['a\nlon', 'g'])).toEqual([['a'], ['!FRAME_TOO_LONG']]),
        test_maximumLineLengthPartialDelimiter: () =>
          expect(steps(lines({ eol: 'crlf', maxFrameLength: 3 }), ['abc\r', '\n'])).toEqual([[], ['abc']]),
        test_notQuiteMaximumLineLengthUnfinished: () =>
          expect(steps(lines({ eol: 'crlf', maxFrameLength: 3 }), ['ab\r', 'c'])).toEqual([[], ['!FRAME_TOO_LONG']]),
        test_switching: () => {
          const seen: string[] = [];
          const length = lengthField({ size: 4 });
          const framer = new Framed(length, onFrame);
          function onFrame(frame: Uint8Array): void {
            seen.push(shown(frame));
            if (shown(frame) !== 'switch') return;
            framer.use(single, (byte) => {
              seen.push(`raw ${shown(byte)}`);
              framer.use(length, onFrame);
            });
          }
          framer.push(Buffer.from('\0\0\0\x06switchR\0\0\0\x01a'));
          expect(seen).toEqual(['switch', 'raw R', 'a']);
        },
        test_recvdInLengthLimitExceeded: () =>
          expect(events(lengthField({ size: 2, maxFrameLength: 5 }), ['\0\x03abc\0\x06defghi'])).toEqual([
            'abc',
            '!FRAME_TOO_LONG',
          ]),
      },
      doesNot: {
        test_clearLineBuffer: 'what has arrived cannot be thrown away by accident: use(untilClose()) takes it',
        test_stopProducing: 'pause(); closing is the business of the channel',
      },
    },
  );
});
