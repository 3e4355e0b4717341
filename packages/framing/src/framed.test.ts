import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  type Codec,
  decodeAll,
  delimiter,
  encodeAll,
  Framed,
  type FramingError,
  fixed,
  lengthField,
  lines,
  utf8Lines,
} from './index.js';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

function linesInto(got: string[], more?: (line: string) => void) {
  return (line: Uint8Array): void => {
    got.push(String(line));
    more?.(String(line));
  };
}

function thrownBy(action: () => unknown): FramingError {
  try {
    action();
  } catch (error) {
    return error as FramingError;
  }
  throw new Error('nothing was thrown');
}

describe('errors', () => {
  it('messages before a bad frame are delivered, the error is thrown once, then CLOSED with the cause', () => {
    const got: string[] = [];
    const framer = new Framed(lines({ maxFrameLength: 3 }), linesInto(got));
    const error = thrownBy(() => framer.push(bytes('a\nbb\ntoo long\nc\n')));
    expect(error).toMatchObject({ name: 'FramingError', code: 'FRAME_TOO_LONG', offset: 5, recoverable: false });
    expect(got).toEqual(['a', 'bb']);
    expect(framer.failure).toBe(error);
    const closed = thrownBy(() => framer.push(bytes('d\n')));
    expect(closed).toMatchObject({ code: 'CLOSED', cause: error });
    framer.end();
    framer.resume();
    expect(got).toEqual(['a', 'bb']);
    expect(String(framer.leftover)).toBe('too long\nc\n');
  });

  it('the end inside a frame says how many bytes were needed and how many there were', () => {
    const framer = new Framed(fixed({ length: 9 }), () => {});
    framer.push(bytes('abcd'));
    expect([framer.needed, framer.buffered]).toEqual([9, 4]);
    const error = thrownBy(() => framer.end());
    expect(error).toMatchObject({ code: 'UNEXPECTED_EOF', offset: 4 });
    expect(error.message).toContain('needed 9, got 4');
  });

  it('the end inside a header, and one byte before the end of a frame, are told the same way', () => {
    expect(() => decodeAll(lengthField(), bytes('\0\0'))).toThrow('needed 4, got 2');
    expect(() => decodeAll(lengthField(), bytes('\0\0\0\x02a'))).toThrow('needed 6, got 5');
    expect(() => decodeAll(delimiter({ delimiters: ';' }), bytes('abc'))).toThrow('got 3 bytes without its end');
  });

  it('push after end is CLOSED, a second end does nothing', () => {
    const framer = new Framed(lines(), () => {});
    framer.end();
    framer.end();
    expect(framer.finished).toBe(true);
    expect(thrownBy(() => framer.push(bytes('a')))).toMatchObject({ code: 'CLOSED' });
  });

  it('recoverable errors go to onError once each, in order with the messages, and carry their place', () => {
    const got: string[] = [];
    const framer = new Framed(lines({ maxFrameLength: 2, onTooLong: 'discard' }), linesInto(got), {
      onError: (error) => got.push(`${error.code} ${error.offset} ${error.recoverable}`),
    });
    for (const chunk of ['a\nlo', 'ng', ' long', '\nb\nlonger\n', 'c\n']) framer.push(bytes(chunk));
    framer.end();
    expect(got).toEqual(['a', 'FRAME_TOO_LONG 2 true', 'b', 'FRAME_TOO_LONG 14 true', 'c']);
  });

  it('without onError a discarded frame is passed over in silence', () => {
    const discarding = lines({ maxFrameLength: 2, onTooLong: 'discard' });
    expect(decodeAll(discarding, bytes('a\nlong\nb\n')).map(String)).toEqual(['a', 'b']);
  });

  it('an exception of the codec that is no FramingError fails the framer too', () => {
    const broken = new TypeError('broken codec');
    const framer = new Framed<string>(
      {
        decode() {
          throw broken;
        },
        encode() {},
      },
      () => {},
    );
    expect(thrownBy(() => framer.push(bytes('x')))).toBe(broken);
    expect(thrownBy(() => framer.push(bytes('x')))).toMatchObject({ code: 'CLOSED', cause: broken });
  });

  it('a codec that delivers without consuming, or recovers without consuming, is stopped and does not loop', () => {
    const stalled = new Framed<string>({ decode: () => 'again', encode() {} }, () => {});
    expect(thrownBy(() => stalled.push(bytes('x')))).toMatchObject({ code: 'ERR_FRAMING_STALLED' });
    const recovering = new Framed<string>(
      {
        decode() {
          throw Object.assign(
            thrownBy(() => decodeAll(fixed({ length: 2 }), bytes('x'))),
            { recoverable: true },
          );
        },
        encode() {},
      },
      () => {},
    );
    expect(thrownBy(() => recovering.push(bytes('x')))).toMatchObject({ code: 'ERR_FRAMING_STALLED' });
  });

  it('what onMessage throws comes out of push, and the rest is delivered by the next push', () => {
    const got: string[] = [];
    const framer = new Framed(
      lines(),
      linesInto(got, (line) => {
        if (line === 'b') throw new Error('not b');
      }),
    );
    expect(() => framer.push(bytes('a\nb\nc\n'))).toThrow('not b');
    expect(got).toEqual(['a', 'b']);
    framer.push(bytes('d\n'));
    expect(got).toEqual(['a', 'b', 'c', 'd']);
    expect(framer.failure).toBeUndefined();
  });

  it('after onMessage has thrown, a bad frame still fails the framer', () => {
    const framer = new Framed(lines({ maxFrameLength: 3 }), () => {
      throw new Error('listener');
    });
    expect(() => framer.push(bytes('a\n'))).toThrow('listener');
    const error = thrownBy(() => framer.push(bytes('too long')));
    expect(framer.failure).toBe(error);
    expect(thrownBy(() => framer.push(bytes('b')))).toMatchObject({ code: 'CLOSED' });
  });

  it('maxBuffered limits a frame with everything around it, and the limit itself still passes', () => {
    const ten = new Framed(lengthField(), () => {}, { maxBuffered: 10 });
    ten.push(encodeAll(lengthField(), ['123456']));
    expect(thrownBy(() => ten.push(bytes('\0\0\0\x07')))).toMatchObject({ code: 'FRAME_TOO_LONG', offset: 10 });
    const line = new Framed(lines(), () => {}, { maxBuffered: 4 });
    line.push(bytes('abc\nabc'));
    expect(thrownBy(() => line.push(bytes('d')))).toMatchObject({ code: 'FRAME_TOO_LONG', offset: 4 });
  });
});

describe('re-entrancy', () => {
  it('a push inside onMessage is queued behind what is being decoded', () => {
    const got: string[] = [];
    const framer: Framed<Uint8Array, never> = new Framed(
      lines(),
      linesInto(got, (line) => {
        if (line !== 'a') return;
        framer.push(bytes('x\ny\n'));
        got.push('(a done)');
      }),
    );
    framer.push(bytes('a\nb\n'));
    expect(got).toEqual(['a', '(a done)', 'b', 'x', 'y']);
  });

  it('an end inside onMessage takes effect after the messages of the chunk', () => {
    const got: string[] = [];
    const framer: Framed<Uint8Array, never> = new Framed(
      lines(),
      linesInto(got, (line) => {
        if (line === 'a') framer.end();
      }),
    );
    framer.push(bytes('a\nb\nrest'));
    expect(got).toEqual(['a', 'b', 'rest']);
    expect(framer.finished).toBe(true);
  });

  it('10,000 changes of codec inside onMessage, on one chunk, do not grow the stack', () => {
    const got: string[] = [];
    const one = lines();
    const other = fixed({ length: 2 });
    const onMessage = (message: Uint8Array): void => {
      got.push(String(message));
      framer.use(got.length % 2 === 0 ? one : other, onMessage);
    };
    const framer = new Framed(one, onMessage);
    framer.push(bytes('a\nbb'.repeat(5000)));
    expect(got).toHaveLength(10_000);
    expect(got.slice(-2)).toEqual(['a', 'bb']);
  });

  it('send inside onMessage works, in the order of the calls', () => {
    const framer: Framed<Uint8Array, Uint8Array | string> = new Framed(lines(), (line) => framer.send(line));
    framer.push(bytes('a\nb\n'));
    expect(Buffer.concat(framer.flush()).toString()).toBe('a\nb\n');
  });
});

describe('pause', () => {
  it('stops between two messages of one chunk, and resume goes on with the next', () => {
    const got: string[] = [];
    const framer: Framed<Uint8Array, never> = new Framed(
      lines(),
      linesInto(got, () => framer.pause()),
    );
    framer.push(bytes('a\nb\nc\n'));
    expect(got).toEqual(['a']);
    expect(framer.buffered).toBe(4);
    framer.push(bytes('d\n'));
    framer.resume();
    expect(got).toEqual(['a', 'b']);
    framer.resume();
    framer.resume();
    framer.resume();
    expect(got).toEqual(['a', 'b', 'c', 'd']);
  });

  it('the end waits until what was held back has been delivered', () => {
    const got: string[] = [];
    const framer = new Framed(lines(), linesInto(got));
    framer.pause();
    framer.push(bytes('a\nrest'));
    framer.end();
    expect([got.length, framer.finished]).toEqual([0, false]);
    framer.resume();
    expect(got).toEqual(['a', 'rest']);
    expect(framer.finished).toBe(true);
  });

  it('a pause in front of the last, unterminated message holds that message', () => {
    const got: string[] = [];
    const framer: Framed<Uint8Array, never> = new Framed(
      lines(),
      linesInto(got, () => framer.pause()),
    );
    framer.push(bytes('a\nrest'));
    framer.end();
    expect(got).toEqual(['a']);
    framer.resume();
    expect(got).toEqual(['a', 'rest']);
  });
});

describe('use', () => {
  it('the very next message is decoded by the new codec, without new input', () => {
    const got: string[] = [];
    const framer = new Framed(lines(), (line) => {
      got.push(String(line));
      framer.use(fixed({ length: 2 }), linesInto(got));
    });
    framer.push(bytes('x\nabcd'));
    expect(got).toEqual(['x', 'ab', 'cd']);
  });

  it('outside of onMessage the unread rest is decoded at once', () => {
    const got: string[] = [];
    const framer = new Framed(fixed({ length: 100 }), () => {});
    framer.push(bytes('a\nb\nc'));
    framer.use(lines(), linesInto(got));
    expect(got).toEqual(['a', 'b']);
    expect(framer.needed).toBe(2);
  });

  it('does not ask the new codec when there is nothing left', () => {
    const framer = new Framed(lines(), () => {
      framer.use(
        {
          decode() {
            throw new Error('asked about nothing');
          },
          encode() {},
        },
        () => {},
      );
    });
    framer.push(bytes('x\n'));
  });

  it('the LF of a CR LF that ended the last line is not the first byte of the new codec, whenever it comes', () => {
    for (const chunks of [['go\r\nab'], ['go\r', '\nab'], ['go\r', '\n', 'ab']]) {
      const got: string[] = [];
      const framer = new Framed(lines({ eol: 'any' }), () => {
        framer.use(fixed({ length: 2 }), linesInto(got));
      });
      for (const chunk of chunks) framer.push(bytes(chunk));
      framer.end();
      expect(got).toEqual(['ab']);
    }
  });

  it('the state of the old codec does not reach the new one', () => {
    const got: string[] = [];
    const framer = new Framed(lines({ maxFrameLength: 1, onTooLong: 'discard' }), () => {});
    framer.push(bytes('too long'));
    framer.use(lines(), linesInto(got));
    framer.push(bytes('a\n'));
    expect(got).toEqual(['a']);
  });

  it('sends with the new codec, behind what the old one has encoded', () => {
    const framer = new Framed(lines(), () => {});
    framer.send('a');
    framer.use(lengthField({ size: 1 }), () => {}).send('b');
    expect(Buffer.concat(framer.flush()).toString('latin1')).toBe('a\n\x01b');
  });
});

describe('the end of the stream', () => {
  it('asks the codec once even if there is nothing left, and again while it gives messages', () => {
    const asked: number[] = [];
    const got: unknown[] = [];
    const last: Codec<unknown> = {
      decode: () => undefined,
      end(input) {
        asked.push(input.length);
        return input.length > 0 ? input.take(1) : undefined;
      },
      encode() {},
    };
    const framer = new Framed(last, (message) => got.push(message));
    framer.push(bytes('ab'));
    framer.end();
    expect([asked, got.length]).toEqual([[2, 1], 2]);
    asked.length = 0;
    new Framed(last, () => {}).end();
    expect(asked).toEqual([0]);
  });

  it('a codec that gives messages at the end without consuming anything is stopped', () => {
    const framer = new Framed<string>({ decode: () => undefined, end: () => 'again', encode() {} }, () => {});
    framer.push(bytes('x'));
    expect(thrownBy(() => framer.end())).toMatchObject({ code: 'ERR_FRAMING_STALLED' });
  });

  it('an empty last message is possible', () => {
    const got: unknown[] = [];
    const rest: Codec<Uint8Array> = { decode: () => undefined, end: (input) => input.take(input.length), encode() {} };
    new Framed(rest, (message) => got.push(String(message))).end();
    expect(got).toEqual(['']);
  });
});

describe('flush and consumed', () => {
  it('a partial write goes on where it stopped', () => {
    const framer = new Framed(lengthField(), () => {});
    expect(framer.send('abcdef')).toBe(10);
    expect(framer.send(new Uint8Array(5000).fill(120))).toBe(5014);
    const stream = Buffer.concat(framer.flush());
    expect(stream).toHaveLength(5014);
    let sent = Buffer.alloc(0);
    for (const size of [2, 2, 9, 0, 1, 4000, 1000]) {
      const written = Buffer.concat(framer.flush()).subarray(0, size);
      sent = Buffer.concat([sent, written]);
      framer.consumed(size);
    }
    expect(framer.queued).toBe(0);
    expect(framer.flush()).toEqual([]);
    expect(sent.equals(stream)).toBe(true);
  });

  it('without a number everything is consumed, and a wrong number is refused', () => {
    const framer = new Framed(lines(), () => {});
    framer.send('abc');
    for (const wrong of [5, -1, 0.5, Number.NaN]) {
      expect(() => framer.consumed(wrong)).toThrow(expect.objectContaining({ code: 'ERR_FRAMING_COUNT' }));
    }
    framer.consumed();
    expect(framer.flush()).toEqual([]);
  });

  it('a message that cannot be encoded leaves the output as it was', () => {
    const framer = new Framed(lines({ maxFrameLength: 5000 }), () => {});
    framer.send('first');
    expect(thrownBy(() => framer.send('a\nb'))).toMatchObject({ code: 'BAD_DELIMITER', offset: 6 });
    expect(thrownBy(() => framer.send('x'.repeat(5001)))).toMatchObject({ code: 'FRAME_TOO_LONG', offset: 6 });
    framer.send('second');
    expect(Buffer.concat(framer.flush()).toString()).toBe('first\nsecond\n');
  });
});

describe('types', () => {
  it('the messages of the codec are those of the framer, and use changes them', () => {
    const framer = new Framed(lines(), (line) => expectTypeOf(line).toEqualTypeOf<Uint8Array>());
    expectTypeOf(framer.send).parameter(0).toEqualTypeOf<Uint8Array | string>();
    const text = framer.use(utf8Lines(), (line) => expectTypeOf(line).toEqualTypeOf<string>());
    expectTypeOf(text.send).parameter(0).toEqualTypeOf<string>();
    expectTypeOf(decodeAll(utf8Lines(), bytes(''))).toEqualTypeOf<string[]>();
  });
});
