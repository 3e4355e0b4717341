import { describe, expect, it } from 'vitest';
import { decodeAll, encodeAll, Framed, FramingError, type LengthFieldOptions, lengthField } from '../index.js';

function hexOf(options: LengthFieldOptions, message: string | Uint8Array): string {
  return Buffer.from(encodeAll(lengthField(options), [message])).toString('hex');
}

function decode(options: LengthFieldOptions, hex: string): string[] {
  return decodeAll(lengthField(options), Buffer.from(hex, 'hex')).map((frame) => Buffer.from(frame).toString('hex'));
}

function fails(code: string) {
  return expect.objectContaining({ name: 'FramingError', code });
}

describe('lengthField decodes', () => {
  it('every size in both byte orders', () => {
    for (let size = 1; size <= 8; size++) {
      const zeros = '00'.repeat(size - 1);
      expect(decode({ size }, `${zeros}02aabb`)).toEqual(['aabb']);
      expect(decode({ size, endian: 'le' }, `02${zeros}aabb`)).toEqual(['aabb']);
    }
  });

  it('lengths above 2^53-1 are BAD_LENGTH in every width that can hold them', () => {
    const max = { maxFrameLength: Number.POSITIVE_INFINITY };
    expect(() => decode({ size: 7, ...max }, 'ffffffffffffff')).toThrow(fails('BAD_LENGTH'));
    expect(() => decode({ size: 8, ...max }, '0020000000000000')).toThrow(fails('BAD_LENGTH'));
    expect(() => decode({ size: 8, endian: 'le', ...max }, '0000000000002000')).toThrow(fails('BAD_LENGTH'));
    expect(() => decode({ size: 8, ...max }, '001fffffffffffff')).toThrow(fails('UNEXPECTED_EOF'));
    expect(() => decode({ size: 7, endian: 'le', ...max }, 'ffffffffffff1f')).toThrow(fails('UNEXPECTED_EOF'));
  });

  it('counts names what the length counts, so that nobody has to do the sum', () => {
    expect(decode({ size: 2, counts: 'payload' }, '0002aabb')).toEqual(['aabb']);
    expect(decode({ size: 2, counts: 'frame' }, '0004aabb')).toEqual(['aabb']);
    expect(decode({ size: 2, offset: 2, counts: 'frame' }, '03000006aabb')).toEqual(['aabb']);
    expect(decode({ size: 2, strip: 3, counts: 'payload' }, '0002eeaabb')).toEqual(['aabb']);
    expect(decode({ size: 2, strip: 3, counts: 'rest' }, '0003eeaabb')).toEqual(['aabb']);
    expect(decode({ size: 2, strip: 3, counts: 'frame' }, '0005eeaabb')).toEqual(['aabb']);
    expect(decode({ size: 2, trailer: Uint8Array.of(0xce), counts: 'payload' }, '0002aabbce')).toEqual(['aabb']);
    expect(decode({ size: 2, trailer: Uint8Array.of(0xce), counts: 'rest' }, '0003aabbce')).toEqual(['aabb']);
    const kept = { size: 2, trailer: Uint8Array.of(0xce), counts: 'payload', keepHeader: true } as const;
    expect(decode(kept, '0002aabbce')).toEqual(['0002aabbce']);
  });

  it('a length that does not cover what is stripped is BAD_LENGTH', () => {
    expect(() => decode({ size: 2, counts: 'frame' }, '0001')).toThrow(fails('BAD_LENGTH'));
    expect(() => decode({ size: 1, strip: 4 }, '02aabb')).toThrow(fails('BAD_LENGTH'));
    expect(() => decode({ size: 1, strip: 3, counts: 'rest' }, '01aabb')).toThrow(fails('BAD_LENGTH'));
    expect(() => decode({ size: 1, trailer: 'xy' }, '01aabb')).toThrow(fails('BAD_LENGTH'));
  });

  it('the limit counts the payload after the adjustment, and strikes before the payload has come', () => {
    expect(decode({ size: 1, counts: 'frame', maxFrameLength: 2 }, '03aabb')).toEqual(['aabb']);
    expect(() => decode({ size: 1, counts: 'frame', maxFrameLength: 2 }, '04')).toThrow(fails('FRAME_TOO_LONG'));
    expect(() => decode({ size: 1, adjust: 4, maxFrameLength: 7 }, '07')).toThrow(fails('FRAME_TOO_LONG'));
    expect(decode({ size: 1, maxFrameLength: 0 }, '0000')).toEqual(['', '']);
  });

  it('with onTooLong discard a frame is reported once, dropped as it comes, and the next is delivered', () => {
    for (const options of [
      { size: 1, maxFrameLength: 2, onTooLong: 'discard' },
      { read: (input) => input.u8(0) + input.take(1).length - 1, maxFrameLength: 2, onTooLong: 'discard' },
    ] satisfies LengthFieldOptions[]) {
      const seen: string[] = [];
      const framer = new Framed(lengthField(options), (frame) => seen.push(String(frame)), {
        onError: (error) => seen.push(`${error.code} ${error.offset} ${error.recoverable}`),
      });
      framer.push(Buffer.from('\x01a\x03b'));
      expect(seen).toEqual(['a', 'FRAME_TOO_LONG 2 true']);
      expect(framer.buffered).toBe(0);
      framer.push(Buffer.from('c'));
      framer.push(Buffer.from('d\x02ef\x04ghij\x05'));
      framer.end();
      expect(seen.slice(2)).toEqual(['ef', 'FRAME_TOO_LONG 9 true', 'FRAME_TOO_LONG 14 true']);
    }
  });

  it('a wrong trailer is told where it stands', () => {
    expect(() => decode({ size: 1, trailer: '\r\n' }, '04aabb0d0b')).toThrow(
      expect.objectContaining({ code: 'BAD_TRAILER', offset: 4 }),
    );
  });
});

describe('lengthField encodes', () => {
  it('what it decodes, with every meaning of the length', () => {
    expect(hexOf({ size: 2, offset: 2, counts: 'frame' }, 'ab')).toBe('000000066162');
    expect(hexOf({ size: 2, strip: 3, counts: 'rest' }, 'ab')).toBe('0003006162');
    expect(hexOf({ size: 2, trailer: '!', counts: 'payload' }, 'ab')).toBe('0002616221');
    expect(hexOf({ size: 5, endian: 'le' }, 'ab')).toBe('02000000006162');
  });

  it('with the header kept the message brings it along, and the length in it is put right', () => {
    const options = { offset: 1, size: 4, counts: 'frame', keepHeader: true } as const;
    expect(hexOf(options, Buffer.from('5100000000616263', 'hex'))).toBe('5100000008616263');
    expect(() => hexOf(options, 'Q')).toThrow(fails('BAD_LENGTH'));
    expect(hexOf({ offset: 2, size: 1, strip: 1 }, Buffer.from('ee0061', 'hex'))).toBe('00ee0161');
  });

  it('what the field cannot hold, or the limit forbids, is refused', () => {
    expect(hexOf({ size: 1 }, new Uint8Array(255)).length).toBe(512);
    expect(() => hexOf({ size: 1 }, new Uint8Array(256))).toThrow(fails('FRAME_TOO_LONG'));
    expect(() => hexOf({ size: 1, adjust: -1 }, new Uint8Array(255))).toThrow(fails('FRAME_TOO_LONG'));
    expect(hexOf({ size: 1, adjust: 1 }, new Uint8Array(256)).slice(0, 2)).toBe('ff');
    expect(() => hexOf({ adjust: 2 }, 'a')).toThrow(fails('BAD_LENGTH'));
    expect(() => hexOf({ maxFrameLength: 2 }, 'abc')).toThrow(fails('FRAME_TOO_LONG'));
  });

  it('a message without the trailer that it must bring along is refused', () => {
    expect(hexOf({ size: 1, trailer: '!' }, 'a!')).toBe('026121');
    expect(() => hexOf({ size: 1, trailer: '!' }, 'a')).toThrow(fails('BAD_TRAILER'));
  });
});

describe('lengthField with read', () => {
  /** `*3:abc`: an ASCII digit between other things. */
  const digit: LengthFieldOptions = {
    read(input) {
      if (!input.has(3)) return undefined;
      const length = input.u8(1) - 48;
      if (!(length >= 0 && length <= 9)) throw new FramingError('BAD_DIGIT');
      input.skip(3);
      return length;
    },
    write: (length, output) => output.text(`*${length}:`),
  };

  it('reads and writes lengths of any kind', () => {
    const stream = Buffer.from('*3:abc*0:*1:x');
    expect(decodeAll(lengthField(digit), stream).map(String)).toEqual(['abc', '', 'x']);
    expect(String(encodeAll(lengthField(digit), ['abc', '', 'x']))).toBe(String(stream));
    const whole = lengthField({ ...digit, keepHeader: true });
    expect(decodeAll(whole, stream).map(String)).toEqual(['*3:abc', '*0:', '*1:x']);
    expect(String(encodeAll(whole, ['*3:abc']))).toBe('*3:abc');
  });

  it('checks what it is given', () => {
    expect(() => decodeAll(lengthField(digit), Buffer.from('*3:abc*x:'))).toThrow(
      expect.objectContaining({ code: 'BAD_DIGIT', offset: 6 }),
    );
    expect(() => decodeAll(lengthField({ ...digit, maxFrameLength: 2 }), Buffer.from('*3:'))).toThrow(
      fails('FRAME_TOO_LONG'),
    );
    expect(() => decodeAll(lengthField({ read: () => -1 }), Buffer.from('x'))).toThrow(fails('BAD_LENGTH'));
    const { read } = digit;
    expect(() => encodeAll(lengthField({ read }), ['a'])).toThrow(
      expect.objectContaining({ code: 'ERR_FRAMING_CODEC' }),
    );
  });
});
