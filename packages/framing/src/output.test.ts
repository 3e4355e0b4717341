import { describe, expect, it } from 'vitest';
import { array, type Encoder, encodeAll, Framed, json, lengthField, lines, type Output, struct, u8 } from './index.js';
import { type RespMessage, resp } from './protocols/index.js';

function written(write: (output: Output) => void): string {
  return Buffer.from(encodeAll({ encode: (_: null, output: Output) => write(output) }, [null])).toString('hex');
}

describe('what an Output writes', () => {
  it('integers of both byte orders', () => {
    expect(written((o) => o.u8(0xff).u16(0x0102).u16(0x0102, true))).toBe('ff01020201');
    expect(written((o) => o.u24(0x010203).u24(0x010203, true))).toBe('010203030201');
    expect(written((o) => o.u32(0xfffefdfc).u32(0xfffefdfc, true))).toBe('fffefdfcfcfdfeff');
    expect(written((o) => o.u64(2 ** 53 - 1).u64(2 ** 53 - 1, true))).toBe('001fffffffffffffffffffffffff1f00');
    expect(written((o) => o.text('€').bytes(Uint8Array.of(1)))).toBe('e282ac01');
  });

  it('a value that does not fit is BAD_VALUE and is not cut', () => {
    for (const write of [
      (o: Output) => o.u8(256),
      (o: Output) => o.u8(-1),
      (o: Output) => o.u8(0.5),
      (o: Output) => o.u16(65_536),
      (o: Output) => o.u24(2 ** 24),
      (o: Output) => o.u32(2 ** 32),
      (o: Output) => o.u32(Number.NaN),
      (o: Output) => o.u64(2 ** 53),
      (o: Output) => o.u64(-1),
    ]) {
      expect(() => written(write)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
    }
    const notANumber = expect.objectContaining({ name: 'TypeError', code: 'ERR_FRAMING_MESSAGE' });
    expect(() => written((o) => o.u8('1' as never))).toThrow(notANumber);
  });

  it('a reservation is filled later, also when the output has moved to another block meanwhile', () => {
    const hex = written((o) => {
      const patch = o.reserve(4);
      const before = o.length;
      for (let i = 0; i < 100; i++) o.bytes(new Uint8Array(1000).fill(7));
      patch((head) => head.u32(o.length - before));
      o.u8(9);
    });
    expect(hex.length).toBe(2 * 100_005);
    expect(hex.startsWith('000186a0070707')).toBe(true);
    expect(hex.endsWith('0709')).toBe(true);
  });

  it('a reservation filled with more or fewer bytes, or too large, is a mistake of the encoder', () => {
    const mistake = expect.objectContaining({ name: 'RangeError', code: 'ERR_FRAMING_RESERVE' });
    expect(() => written((o) => o.reserve(2)((head) => head.u8(1)))).toThrow(mistake);
    expect(() => written((o) => o.reserve(2)((head) => head.u32(1)))).toThrow(mistake);
    expect(() => written((o) => o.reserve(2)((head) => head.bytes(new Uint8Array(5000))))).toThrow(mistake);
    expect(() => written((o) => o.reserve(0)((head) => head.bytes(new Uint8Array(5000))))).toThrow(mistake);
    expect(() => written((o) => o.reserve(2000))).toThrow(expect.objectContaining({ code: 'ERR_FRAMING_COUNT' }));
  });
});

describe('ownership', () => {
  it('bytes that were handed on are never written again, however much is sent afterwards', () => {
    const framer = new Framed(lengthField(), () => {});
    const other = new Framed(lengthField(), () => {});
    const held: { pieces: Uint8Array[]; expected: string }[] = [];
    for (let i = 0; i < 3000; i++) {
      const from = i % 3 === 0 ? other : framer;
      from.send(`message ${i} `.repeat(1 + (i % 5)));
      if (i % 7 === 0) from.send(new Uint8Array(1500).fill(i));
      const pieces = from.flush();
      held.push({ pieces, expected: Buffer.concat(pieces).toString('hex') });
      from.consumed();
    }
    for (const { pieces, expected } of held) expect(Buffer.concat(pieces).toString('hex')).toBe(expected);
  });

  it('two outputs that are filled in turns do not write into each other', () => {
    const all = Array.from({ length: 5 }, () => new Framed(lengthField({ size: 1 }), () => {}));
    for (let i = 0; i < 200; i++) all[i % 5]!.send(`${i % 5}`.repeat(100));
    for (const [i, framer] of all.entries()) {
      const expected = Buffer.from(`d${`${i}`.repeat(100)}`.repeat(40), 'latin1').toString('latin1');
      expect(Buffer.concat(framer.flush()).toString('latin1')).toBe(expected);
      framer.consumed();
    }
  });

  it('payloads up to 1 KiB are copied into one piece, larger ones are the very arrays that were sent', () => {
    const framer = new Framed(lengthField(), () => {});
    framer.send(new Uint8Array(1024));
    framer.send(new Uint8Array(1));
    const large = new Uint8Array(1025);
    framer.send(large);
    framer.send('x');
    const pieces = framer.flush();
    expect(pieces.map((piece) => piece.length)).toEqual([1024 + 4 + 1 + 4 + 4, 1025, 5]);
    expect(pieces[1]).toBe(large);
    framer.consumed();
  });

  it('a block that an encoder keeps after a failure is not given to another output', () => {
    const failing: Encoder<string> = {
      encode(message, output) {
        output.text(message).bytes(new Uint8Array(2000));
        if (message === 'fail') throw new Error('failed');
      },
    };
    const framer = new Framed<never, string>({ ...failing, decode: () => undefined }, () => {});
    const other = new Framed(lengthField({ size: 1 }), () => {});
    framer.send('first');
    expect(() => framer.send('fail')).toThrow('failed');
    other.send('other');
    framer.send('second');
    expect(Buffer.concat(other.flush()).toString('latin1')).toBe('\x05other');
    const text = Buffer.concat(framer.flush()).toString('latin1');
    expect(text.replaceAll('\0', '')).toBe('firstsecond');
    other.consumed();
    framer.consumed();
  });

  it('an encoder that fails after having filled blocks and queued references leaves nothing behind', () => {
    const failing: Encoder<boolean> = {
      encode(fails, output) {
        output.u8(1);
        for (let i = 0; i < 50; i++) output.bytes(new Uint8Array(1000).fill(2)).bytes(new Uint8Array(2000));
        const patch = output.reserve(2);
        output.u8(3);
        if (fails) patch((head) => head.u8(1));
        else patch((head) => head.u16(1));
      },
    };
    const framer = new Framed<never, boolean>({ ...failing, decode: () => undefined }, () => {});
    framer.send(false);
    const before = Buffer.concat(framer.flush());
    expect(() => framer.send(true)).toThrow(expect.objectContaining({ code: 'ERR_FRAMING_RESERVE' }));
    expect(framer.queued).toBe(before.length);
    expect(Buffer.concat(framer.flush()).equals(before)).toBe(true);
    framer.send(false);
    expect(Buffer.concat(framer.flush()).equals(Buffer.concat([before, before]))).toBe(true);
  });
});

describe('a message that sends another one while it is being read', () => {
  /** `given`, and behind it an element that calls `before` when it is read. */
  function withGetter(given: RespMessage[], before: () => void): RespMessage[] {
    return Object.defineProperty(given, given.length, {
      enumerable: true,
      get: () => {
        before();
        return 'read';
      },
    });
  }
  const nested = expect.objectContaining({ name: 'RangeError', code: 'ERR_FRAMING_NESTED' });
  const sent = (framer: { flush(): Uint8Array[] }): string => Buffer.concat(framer.flush()).toString();

  it('is refused with nothing of it left, and the next one is whole', () => {
    const framer = new Framed<RespMessage>(resp(), () => {});
    framer.send('first');
    const large = new Uint8Array(2000);
    expect(() => framer.send(withGetter([large], () => framer.send('inner')))).toThrow(nested);
    expect(() => framer.send(withGetter(['x'], () => framer.flush()))).toThrow(nested);
    expect(() => framer.send(withGetter(['x'], () => framer.consumed(1)))).toThrow(nested);
    framer.send('last');
    expect(sent(framer)).toBe('+first\r\n+last\r\n');
    expect(framer.queued).toBe(15);
  });

  it('goes on where the message bears it, and may encode another one elsewhere', () => {
    const framer = new Framed<unknown>(json(lines()), () => {});
    framer.send('first');
    framer.send({
      toJSON() {
        expect(() => framer.send('inner')).toThrow(nested);
        expect(() => framer.flush()).toThrow(nested);
        return Buffer.from(encodeAll(json(lines()), ['elsewhere'])).toString();
      },
    });
    expect(sent(framer)).toBe('"first"\n"\\"elsewhere\\"\\n"\n');
    const codec = resp({ maxFrameLength: 20 });
    const other = new Framed<RespMessage>(codec, () => {});
    for (let i = 0; i < 9; i++) other.send('ten bytes.');
    other.send(withGetter(['x'], () => encodeAll(codec, ['y'])));
    expect(sent(other).endsWith('.\r\n*2\r\n+x\r\n+read\r\n')).toBe(true);
  });

  it('that changes itself meanwhile tells as many elements as it has', () => {
    const list: RespMessage[] = withGetter([], () => list.push('new'));
    expect(Buffer.from(encodeAll(resp(), [list])).toString()).toBe('*1\r\n+read\r\n');
    const map = new Map<RespMessage, RespMessage>();
    map.set(
      'k',
      withGetter([], () => map.set('new', 1)),
    );
    expect(Buffer.from(encodeAll(resp(), [map])).toString()).toBe('%1\r\n+k\r\n*1\r\n+read\r\n');
    const numbers = Object.defineProperty([0, 2], 0, { get: () => numbers.push(3) && 1 });
    expect(Buffer.from(struct({ numbers: array(u8, u8) }).encode({ numbers })).toString('hex')).toBe('020102');
  });
});
