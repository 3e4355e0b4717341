/**
 * The tests of tokio-util's codecs, by their names (`tests/length_delimited.rs`, `codecs.rs`, `framed*.rs`, 2026-08), as far as they concern what
 * goes in and what comes out.
 */
import { connect, createServer, type Socket } from 'node:net';
import { type Codec, delimiter, Framed, FramingError, fixed, framed, lengthField, lines, mapped } from '@fdset/framing';
import { describe, expect } from 'vitest';
import { encoded, events, runTable, shown, steps } from './support.js';

const one = '\0\0\0\x09abcdefghi';
const three = `${one}\0\0\0\x03123\0\0\0\x0bhello world`;
const all = ['abcdefghi', '123', 'hello world'];
const huge = 'x'.repeat(32 * 1024);

describe('length_delimited.rs', () => {
  runTable(
    `read_empty_io_yields_nothing read_single_frame_one_packet read_single_frame_one_packet_little_endian
    read_single_frame_one_packet_native_endian read_single_multi_frame_one_packet read_single_frame_multi_packet
    read_multi_frame_multi_packet read_single_frame_multi_packet_wait read_multi_frame_multi_packet_wait read_incomplete_head
    read_incomplete_head_multi read_incomplete_payload read_max_frame_len read_update_max_frame_len_at_rest
    read_update_max_frame_len_in_flight read_one_byte_length_field read_header_offset
    read_single_multi_frame_one_packet_skip_none_adjusted read_single_frame_length_adjusted
    read_single_multi_frame_one_packet_length_includes_head write_single_frame_length_adjusted write_nothing_yields_nothing
    write_single_frame_one_packet write_single_frame_from_slice write_single_multi_frame_one_packet
    write_single_multi_frame_multi_packet write_single_frame_would_block write_single_frame_little_endian
    write_single_frame_with_short_length_field write_max_frame_len write_update_max_frame_len_at_rest
    write_update_max_frame_len_in_flight write_zero encode_overflow frame_does_not_fit
    runtime_max_frame_len_respects_length_field neg_adjusted_frame_does_not_fit pos_adjusted_frame_does_not_fit
    max_allowed_frame_fits smaller_frame_len_not_adjusted max_allowed_length_field`,
    {
      applies: {
        read_empty_io_yields_nothing: () => expect(events(lengthField(), [])).toEqual([]),
        read_single_frame_one_packet: () => expect(events(lengthField(), [one])).toEqual(['abcdefghi']),
        read_single_frame_one_packet_little_endian: () =>
          expect(events(lengthField({ endian: 'le' }), ['\x09\0\0\0abcdefghi'])).toEqual(['abcdefghi']),
        read_single_multi_frame_one_packet: () => expect(events(lengthField(), [three])).toEqual(all),
        read_single_frame_multi_packet: () =>
          expect(events(lengthField(), ['\0\0', '\0\x09abc', 'defghi'])).toEqual(['abcdefghi']),
        read_multi_frame_multi_packet: () =>
          expect(
            events(lengthField(), ['\0\0', '\0\x09abc', 'defghi', '\0\0\0\x0312', '3\0\0\0\x0bhello world']),
          ).toEqual(all),
        read_single_frame_multi_packet_wait: () =>
          expect(steps(lengthField(), ['\0\0', '\0\x09abc', 'defghi'])).toEqual([[], [], ['abcdefghi']]),
        read_multi_frame_multi_packet_wait: () =>
          expect(
            steps(lengthField(), ['\0\0', '\0\x09abc', 'defghi', '\0\0\0\x0312', '3\0\0\0\x0bhello world']),
          ).toEqual([[], [], ['abcdefghi'], [], ['123', 'hello world']]),
        read_incomplete_head: () => expect(events(lengthField(), ['\0\0'])).toEqual(['!UNEXPECTED_EOF']),
        read_incomplete_head_multi: () => expect(events(lengthField(), ['\0', '\0'])).toEqual(['!UNEXPECTED_EOF']),
        read_incomplete_payload: () =>
          expect(events(lengthField(), ['\0\0\0\x09ab', 'cd'])).toEqual(['!UNEXPECTED_EOF']),
        read_max_frame_len: () =>
          expect(events(lengthField({ maxFrameLength: 5 }), ['\0\0\0\x09abcdefghi'])).toEqual(['!FRAME_TOO_LONG']),
        read_update_max_frame_len_at_rest: () => {
          const seen: string[] = [];
          const framer = new Framed(lengthField(), (frame) => seen.push(shown(frame)));
          framer.push(Buffer.from(one, 'latin1'));
          framer.use(lengthField({ maxFrameLength: 5 }), (frame) => seen.push(shown(frame)));
          expect(() => framer.push(Buffer.from(one, 'latin1'))).toThrow(
            expect.objectContaining({ code: 'FRAME_TOO_LONG' }),
          );
          expect(seen).toEqual(['abcdefghi']);
        },
        read_one_byte_length_field: () =>
          expect(events(lengthField({ size: 1 }), ['\x09abcdefghi'])).toEqual(['abcdefghi']),
        read_header_offset: () =>
          expect(events(lengthField({ size: 2, offset: 4 }), ['zzzz\0\x09abcdefghi'])).toEqual(['abcdefghi']),
        read_single_multi_frame_one_packet_skip_none_adjusted: () =>
          expect(
            events(lengthField({ size: 2, offset: 2, keepHeader: true }), [
              'xx\0\x09abcdefghiyy\0\x03123zz\0\x0bhello world',
            ]),
          ).toEqual(['xx\0\x09abcdefghi', 'yy\0\x03123', 'zz\0\x0bhello world']),
        read_single_frame_length_adjusted: () =>
          expect(events(lengthField({ size: 3, adjust: 1, strip: 4 }), ['\0\0\x0b\x0cHello world'])).toEqual([
            'Hello world',
          ]),
        read_single_multi_frame_one_packet_length_includes_head: () =>
          expect(
            events(lengthField({ size: 2, counts: 'frame' }), ['\0\x0babcdefghi\0\x05123\0\x0dhello world']),
          ).toEqual(all),
        write_single_frame_length_adjusted: () =>
          expect(encoded(lengthField({ adjust: -2 }), ['abcdefghi'])).toBe('\0\0\0\x0babcdefghi'),
        write_nothing_yields_nothing: () => expect(new Framed(lengthField(), () => {}).flush()).toEqual([]),
        write_single_frame_one_packet: () => expect(encoded(lengthField(), ['abcdefghi'])).toBe(one),
        write_single_frame_from_slice: () =>
          expect(encoded(lengthField(), [Buffer.from('..abcdefghi').subarray(2)])).toBe(one),
        write_single_multi_frame_one_packet: () => {
          const framer = new Framed(lengthField(), () => {});
          for (const each of all) framer.send(each);
          expect(framer.flush().map(shown)).toEqual([three]);
        },
        write_single_multi_frame_multi_packet: () => {
          const framer = new Framed(lengthField(), () => {});
          const packets = all.map((each) => {
            framer.send(each);
            const packet = framer.flush().map(shown).join('');
            framer.consumed();
            return packet;
          });
          expect(packets).toEqual([one, '\0\0\0\x03123', '\0\0\0\x0bhello world']);
        },
        write_single_frame_would_block: () => {
          const framer = new Framed(lengthField(), () => {});
          framer.send('abcdefghi');
          let wire = '';
          for (const taken of [2, 2, 9]) {
            wire += framer.flush().map(shown).join('').slice(0, taken);
            framer.consumed(taken);
          }
          expect(wire).toBe(one);
          expect(framer.queued).toBe(0);
        },
        write_single_frame_little_endian: () =>
          expect(encoded(lengthField({ endian: 'le' }), ['abcdefghi'])).toBe('\x09\0\0\0abcdefghi'),
        write_single_frame_with_short_length_field: () =>
          expect(encoded(lengthField({ size: 1 }), ['abcdefghi'])).toBe('\x09abcdefghi'),
        write_max_frame_len: () => {
          const framer = new Framed(lengthField({ maxFrameLength: 5 }), () => {});
          expect(() => framer.send('abcdef')).toThrow(expect.objectContaining({ code: 'FRAME_TOO_LONG' }));
          expect(framer.flush()).toEqual([]);
        },
        write_update_max_frame_len_at_rest: () => {
          const framer = new Framed(lengthField(), () => {});
          framer.send('abcdef');
          framer.use(lengthField({ maxFrameLength: 5 }), () => {});
          expect(() => framer.send('abcdef')).toThrow(expect.objectContaining({ code: 'FRAME_TOO_LONG' }));
          expect(framer.flush().map(shown)).toEqual(['\0\0\0\x06abcdef']);
        },
        write_update_max_frame_len_in_flight: () => {
          const framer = new Framed(lengthField(), () => {});
          framer.send('abcdef');
          framer.flush();
          framer.consumed(2);
          framer.use(lengthField({ maxFrameLength: 5 }), () => {});
          expect(framer.flush().map(shown)).toEqual(['\0\x06abcdef']);
          expect(() => framer.send('abcdef')).toThrow(expect.objectContaining({ code: 'FRAME_TOO_LONG' }));
        },
        encode_overflow: () => {
          // The header comes to stand where a pooled block of any size is full.
          for (let filler = 1000; filler <= 1024; filler++) {
            const framer = new Framed(lengthField(), () => {});
            let wire = 0;
            for (let i = 0; i < 80; i++, wire += filler + 4) framer.send(new Uint8Array(filler));
            framer.send('abc');
            const bytes = Buffer.concat(framer.flush());
            expect(bytes.length).toBe(wire + 7);
            expect(shown(bytes.subarray(wire))).toBe('\0\0\0\x03abc');
          }
        },
        frame_does_not_fit: () =>
          expect(encoded(lengthField({ size: 1 }), [new Uint8Array(256)])).toBe('!FRAME_TOO_LONG'),
        runtime_max_frame_len_respects_length_field: () => {
          for (const [adjust, most] of [
            [-1, 254],
            [0, 255],
            [1, 256],
          ] as const) {
            const framer = new Framed(
              lengthField({ size: 1, adjust, maxFrameLength: Number.POSITIVE_INFINITY }),
              () => {},
            );
            framer.send(new Uint8Array(most));
            const before = framer.queued;
            expect(() => framer.send(new Uint8Array(most + 1))).toThrow(
              expect.objectContaining({ code: 'FRAME_TOO_LONG' }),
            );
            expect(framer.queued).toBe(before);
          }
        },
        neg_adjusted_frame_does_not_fit: () =>
          expect(encoded(lengthField({ size: 1, adjust: -1 }), [new Uint8Array(255)])).toBe('!FRAME_TOO_LONG'),
        pos_adjusted_frame_does_not_fit: () =>
          expect(encoded(lengthField({ size: 1, adjust: 1 }), [new Uint8Array(257)])).toBe('!FRAME_TOO_LONG'),
        max_allowed_frame_fits: () => {
          const unlimited = lengthField({ size: 8, maxFrameLength: Number.POSITIVE_INFINITY });
          expect(encoded(unlimited, ['ab'])).toBe('\0\0\0\0\0\0\0\x02ab');
          const framer = new Framed(unlimited, () => {});
          framer.push(Buffer.from('\0\x1f\xff\xff\xff\xff\xff\xf0', 'latin1'));
          expect(framer.needed).toBe(2 ** 53 - 16 + 8);
        },
        smaller_frame_len_not_adjusted: () =>
          expect(encoded(lengthField({ size: 1, adjust: -1, maxFrameLength: 10 }), ['abcdefghij'])).toBe(
            '\x0babcdefghij',
          ),
        max_allowed_length_field: () => expect(encoded(lengthField({ size: 8 }), ['a'])).toBe('\0\0\0\0\0\0\0\x01a'),
      },
      doesNot: {
        read_single_frame_one_packet_native_endian:
          'byte order is always told: what depends on the machine is no protocol',
        read_update_max_frame_len_in_flight:
          'limits belong to the codec, and a frame under way is judged by the one in use when it is complete',
        write_zero:
          'sans-IO: whoever writes sees how much was taken, and a channel that takes nothing says so by false',
      },
    },
  );
});

const line = (max: number) => lines({ maxFrameLength: max, onTooLong: 'discard' });
const any = (max?: number) =>
  delimiter({
    delimiters: [',', ';', '\n', '\r'],
    final: 'emit',
    ...(max === undefined ? {} : { maxFrameLength: max, onTooLong: 'discard' }),
  });

/** Whatever has arrived is a message. */
const bytes: Codec<Uint8Array> = {
  decode: (input) => input.take(input.length),
  encode: (message, output) => {
    output.bytes(message);
  },
};

describe('codecs.rs', () => {
  runTable(
    `bytes_decoder bytes_encoder lines_decoder lines_decoder_invalid_utf8 lines_decoder_max_length lines_decoder_max_length_underrun
    lines_decoder_max_length_bursts lines_decoder_max_length_big_burst lines_decoder_max_length_newline_between_decodes
    lines_decoder_discard_repeat lines_decoder_max_length_underrun_twice lines_encoder any_delimiters_decoder_any_character
    any_delimiters_decoder_max_length any_delimiter_decoder_max_length_underrun any_delimiter_decoder_max_length_underrun_twice
    any_delimiter_decoder_max_length_bursts any_delimiter_decoder_max_length_big_burst
    any_delimiter_decoder_max_length_delimiter_between_decodes any_delimiter_decoder_discard_repeat any_delimiter_encoder`,
    {
      applies: {
        bytes_decoder: () => expect(steps(bytes, ['abc', 'def'])).toEqual([['abc'], ['def']]),
        bytes_encoder: () => expect(encoded(bytes, [Buffer.alloc(100_000, 'a')])).toBe('a'.repeat(100_000)),
        lines_decoder: () => {
          expect(events(lines(), ['line 1\nline 2\r\nline 3\n\r\n\r'])).toEqual(['line 1', 'line 2', 'line 3', '']);
          expect(events(lines(), ['\rk'])).toEqual(['\rk']);
        },
        lines_decoder_invalid_utf8: () => {
          const strict = new TextDecoder('utf-8', { fatal: true });
          const text = mapped(
            lines(),
            (bytes) => {
              try {
                return strict.decode(bytes);
              } catch {
                throw new FramingError('BAD_UTF8', undefined, { recoverable: true });
              }
            },
            (message: string) => message,
          );
          expect(events(text, ['line 1\xc3\x28', '\n', 'line 2\n'])).toEqual(['!BAD_UTF8', 'line 2']);
        },
        lines_decoder_max_length: () => {
          // The CR of a CR LF is no payload here: `line 3\r\n` passes, which tokio refuses.
          expect(events(line(6), ['line 1 is too long\nline 2\nline 3\r\nline 4\n\r\n\r'])).toEqual([
            '!FRAME_TOO_LONG',
            'line 2',
            'line 3',
            'line 4',
            '',
          ]);
          expect(events(line(6), ['\rline 5'])).toEqual(['!FRAME_TOO_LONG']);
          expect(events(line(6), ['\raaaaa'])).toEqual(['\raaaaa']);
        },
        lines_decoder_max_length_underrun: () =>
          expect(steps(line(6), ['line ', 'too l', 'ong\n', 'line 2', '\n'])).toEqual([
            [],
            ['!FRAME_TOO_LONG'],
            [],
            [],
            ['line 2'],
          ]),
        lines_decoder_max_length_bursts: () =>
          expect(steps(line(10), ['line ', 'too l', 'ong\n', 'ok\n'])).toEqual([[], [], ['!FRAME_TOO_LONG'], ['ok']]),
        lines_decoder_max_length_big_burst: () =>
          expect(steps(line(10), ['line ', 'too long!\n'])).toEqual([[], ['!FRAME_TOO_LONG']]),
        lines_decoder_max_length_newline_between_decodes: () =>
          expect(steps(line(5), ['hello', '\nworld'])).toEqual([[], ['hello']]),
        lines_decoder_discard_repeat: () =>
          expect(steps(line(1), ['aa', 'a\nb\n'])).toEqual([['!FRAME_TOO_LONG'], ['b']]),
        lines_decoder_max_length_underrun_twice: () =>
          expect(steps(line(11), ['line ', 'too very l', 'aaaaaaaaaaaaaaaaaaaaaaa', 'ong\nshort\n'])).toEqual([
            [],
            ['!FRAME_TOO_LONG'],
            [],
            ['short'],
          ]),
        lines_encoder: () => expect(encoded(lines(), ['line 1', 'line 2'])).toBe('line 1\nline 2\n'),
        any_delimiters_decoder_any_character: () =>
          expect(events(any(), ['chunk 1,chunk 2;chunk 3\n\rk'])).toEqual(['chunk 1', 'chunk 2', 'chunk 3', '', 'k']),
        any_delimiters_decoder_max_length: () =>
          expect(events(any(7), ['chunk 1 is too long\nchunk 2\nchunk 3\r\nchunk 4\n\r\n'])).toEqual([
            '!FRAME_TOO_LONG',
            'chunk 2',
            'chunk 3',
            '',
            'chunk 4',
            '',
            '',
          ]),
        any_delimiter_decoder_max_length_underrun: () =>
          expect(steps(any(7), ['chunk ', 'too l', 'ong\n', 'chunk 2', ','])).toEqual([
            [],
            ['!FRAME_TOO_LONG'],
            [],
            [],
            ['chunk 2'],
          ]),
        any_delimiter_decoder_max_length_underrun_twice: () =>
          expect(steps(any(11), ['chunk ', 'too very l', 'aaaaaaaaaaaaaaa', 'ong\nshort\n'])).toEqual([
            [],
            ['!FRAME_TOO_LONG'],
            [],
            ['short'],
          ]),
        any_delimiter_decoder_max_length_bursts: () =>
          expect(steps(any(11), ['chunk ', 'too l', 'ong\n', 'ok\n'])).toEqual([[], [], ['!FRAME_TOO_LONG'], ['ok']]),
        any_delimiter_decoder_max_length_big_burst: () =>
          expect(steps(any(11), ['chunk ', 'too long!\n'])).toEqual([[], ['!FRAME_TOO_LONG']]),
        any_delimiter_decoder_max_length_delimiter_between_decodes: () =>
          expect(steps(any(5), ['hello', ',world'])).toEqual([[], ['hello']]),
        any_delimiter_decoder_discard_repeat: () =>
          expect(steps(any(1), ['aa', 'a\nb\n'])).toEqual([['!FRAME_TOO_LONG'], ['b']]),
        any_delimiter_encoder: () =>
          expect(encoded(delimiter({ delimiters: ';--;' }), ['chunk 1', 'chunk 2'])).toBe('chunk 1;--;chunk 2;--;'),
      },
      doesNot: {},
    },
  );
});

const u32 = mapped(
  fixed({ length: 4 }),
  (frame) => Buffer.from(frame).readUInt32BE(),
  (value: number) => Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value),
);
const u64 = mapped(
  fixed({ length: 8 }),
  (frame) => Number(Buffer.from(frame).readBigUInt64BE()),
  (value: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(value));
    return bytes;
  },
);

describe('framed.rs, framed_read.rs, framed_write.rs, framed_stream.rs', () => {
  runTable(
    `can_read_from_existing_buf can_read_from_existing_buf_after_codec_changed external_buf_grows_to_init external_buf_does_not_shrink
    from_parts_empty_read_buf_does_not_spuriously_decode read_multi_frame_in_packet read_multi_frame_across_packets
    read_multi_frame_in_packet_after_codec_changed read_not_ready read_partial_then_not_ready read_err read_partial_then_err
    read_partial_would_block_then_err huge_size data_remaining_is_error multi_frames_on_eof read_eof_then_resume
    write_multi_frame_in_packet write_multi_frame_after_codec_changed write_hits_backpressure return_none_after_error`,
    {
      applies: {
        can_read_from_existing_buf: () => expect(events(u32, ['\0\0\0\x2a'])).toEqual(['42']),
        can_read_from_existing_buf_after_codec_changed: () => {
          const seen: number[] = [];
          const framer = new Framed(u32, (value) => {
            seen.push(value);
            framer.use(u64, (later) => seen.push(later));
          });
          framer.push(Buffer.from('\0\0\0\x2a\0\0\0\0\0\0\0\x54', 'latin1'));
          expect(seen).toEqual([42, 84]);
        },
        from_parts_empty_read_buf_does_not_spuriously_decode: () => {
          const framer = new Framed(u32, () => {});
          const unexpected: Codec<string> = {
            decode() {
              throw new Error('asked without bytes');
            },
            encode() {},
          };
          framer.use(unexpected, () => {});
          expect(framer.buffered).toBe(0);
        },
        read_multi_frame_in_packet: () =>
          expect(events(u32, ['\0\0\0\0\0\0\0\x01\0\0\0\x02'])).toEqual(['0', '1', '2']),
        read_multi_frame_across_packets: () =>
          expect(steps(u32, ['\0\0\0\0', '\0\0\0\x01', '\0\0\0\x02'])).toEqual([['0'], ['1'], ['2']]),
        read_multi_frame_in_packet_after_codec_changed: () => {
          const seen: number[] = [];
          const framer = new Framed(u32, (value) => seen.push(value));
          framer.push(Buffer.from('\0\0\0\x04', 'latin1'));
          framer.use(u64, (value) => seen.push(value));
          framer.push(Buffer.from('\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x09', 'latin1'));
          expect(seen).toEqual([4, 8, 9]);
        },
        read_not_ready: () => expect(steps(u32, ['', '\0\0\0\0'])).toEqual([[], ['0']]),
        read_partial_then_not_ready: () => expect(steps(u32, ['\0\0', '', '\0\x01'])).toEqual([[], [], ['1']]),
        read_err: () => expectChannelError([]),
        read_partial_then_err: () => expectChannelError(['\0\0']),
        read_partial_would_block_then_err: () => expectChannelError(['\0', '\0\0']),
        huge_size: () => expect(events(fixed({ length: 32 * 1024 }), [huge])).toEqual([huge]),
        data_remaining_is_error: () => expect(events(u32, ['\0\0\0\0', '\0'])).toEqual(['0', '!UNEXPECTED_EOF']),
        multi_frames_on_eof: () => {
          const countdown: Codec<number> = {
            decode: () => undefined,
            end: (input) => (input.length > 0 ? input.u8(0) + input.take(1).length - 1 : undefined),
            encode() {},
          };
          expect(events(countdown, ['\x05\x04\x03'])).toEqual(['5', '4', '3']);
        },
        write_multi_frame_in_packet: () => expect(encoded(u32, [0, 1, 2])).toBe('\0\0\0\0\0\0\0\x01\0\0\0\x02'),
        write_multi_frame_after_codec_changed: () => {
          const framer = new Framed(u32, () => {});
          framer.send(4);
          framer.use(u64, () => {}).send(8);
          expect(framer.flush().map(shown).join('')).toBe('\0\0\0\x04\0\0\0\0\0\0\0\x08');
        },
        write_hits_backpressure: () =>
          new Promise<void>((resolve, reject) => {
            const server = createServer((socket: Socket) => socket.pause());
            server.listen(0, '127.0.0.1', () => {
              const { port } = server.address() as { port: number };
              const socket = connect(port, '127.0.0.1', () => {
                const channel = framed(socket, lengthField());
                const part = new Uint8Array(16_384);
                let sent = 0;
                while (channel.send(part) && sent < 100_000) sent++;
                server.close(() => {
                  if (sent < 100_000) resolve();
                  else reject(new Error('1.6 GB were queued'));
                });
                socket.destroy();
              });
            });
            server.on('connection', (socket) => socket.on('error', () => {}).resume());
          }),
        return_none_after_error: () => {
          const framer = new Framed(lengthField({ maxFrameLength: 1 }), () => {});
          const refuse = () => framer.push(Buffer.from('\0\0\0\x02ab', 'latin1'));
          expect(refuse).toThrow(expect.objectContaining({ code: 'FRAME_TOO_LONG' }));
          expect(refuse).toThrow(expect.objectContaining({ code: 'CLOSED' }));
          framer.end();
        },
      },
      doesNot: {
        external_buf_grows_to_init: 'there is no buffer to be handed in: chunks are taken as they come',
        external_buf_does_not_shrink:
          'there is no buffer to be handed in; memory is given back after a large frame (input.test.ts)',
        read_eof_then_resume: 'an end is an end: a push behind it is CLOSED',
      },
    },
  );
});

/** An error of the connection is told once, with what came before it unread. */
async function expectChannelError(chunks: readonly string[]): Promise<void> {
  const listeners = new Map<string, (value?: unknown) => void>();
  const channel = {
    write: () => true,
    pause() {},
    resume() {},
    end() {},
    on: (event: string, listener: (value?: unknown) => void) => listeners.set(event, listener),
    off: (event: string) => listeners.delete(event),
  };
  const seen: unknown[] = [];
  const messages = framed(channel, u32);
  messages.on('message', (value) => seen.push(value));
  messages.on('error', (error) => seen.push(error.message));
  for (const chunk of chunks) listeners.get('data')?.(Buffer.from(chunk, 'latin1'));
  listeners.get('error')?.(new Error('reset'));
  listeners.get('close')?.(true);
  await new Promise((resolve) => setImmediate(resolve));
  expect(seen).toEqual(['reset']);
}
