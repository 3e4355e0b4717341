import { once as event } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeAll,
  encodeAll,
  Framed,
  fixed,
  framed,
  inParts,
  mapped,
  netstring,
  once,
  Part,
  text,
  utf8Lines,
} from '../index.js';
import { cut, cuts, fails } from '../testing/properties.js';
import { withSocketPair } from '../testing/socket-pair.js';

/** Lines that tell how many bytes follow; `*` is all up to the end. */
const codec = (partLength = 4) =>
  inParts(utf8Lines(), (line) => (line === '*' ? Number.POSITIVE_INFINITY : Number(line)), { partLength });

const shown = (message: string | Part) =>
  message instanceof Part ? `${String(message.bytes)} at ${message.offset}, ${message.left} left` : message;
const decode = (text: string, partLength?: number) => decodeAll(codec(partLength), Buffer.from(text)).map(shown);

describe('inParts', () => {
  it('delivers the header, then the body in parts of one length', () => {
    expect(decode('10\nabcdefghij0\n3\nxyz')).toEqual([
      '10',
      'abcd at 0, 6 left',
      'efgh at 4, 2 left',
      'ij at 8, 0 left',
      '0',
      '3',
      'xyz at 0, 0 left',
    ]);
    expect(decode('4\nabcd4\nefgh')).toEqual(['4', 'abcd at 0, 0 left', '4', 'efgh at 0, 0 left']);
  });

  it('a body may go on to the end of the stream', () => {
    expect(decode('*\nabcdef')).toEqual(['*', 'abcd at 0, Infinity left', 'ef at 4, 0 left']);
    expect(decode('*\nabcd')).toEqual(['*', 'abcd at 0, Infinity left']);
    expect(decode('*\n')).toEqual(['*']);
  });

  it('the end inside a body says what is missing, before its first byte too', () => {
    for (const [text, offset] of [
      ['5\n', 2],
      ['5\nab', 4],
      ['5\nabcd', 6],
    ] as const) {
      expect(() => decode(text), text).toThrow(fails('UNEXPECTED_EOF', { offset }));
    }
  });

  it('a length that cannot be is BAD_LENGTH', () => {
    for (const line of ['-1', '0.5', 'x']) expect(() => decode(`${line}\n`), line).toThrow(fails('BAD_LENGTH'));
  });

  it('the encoder wants the parts that the header announced, of any lengths', () => {
    const part = (text: string) => new Part(Buffer.from(text));
    expect(String(encodeAll(codec(), ['5', part('abc'), part(''), part('de'), '0', '*', part('f')]))).toBe(
      '5\nabcde0\n*\nf',
    );
    expect(() => encodeAll(codec(), [part('a')])).toThrow(fails('BAD_LENGTH'));
    expect(() => encodeAll(codec(), ['1', part('ab')])).toThrow(fails('BAD_LENGTH'));
    expect(() => encodeAll(codec(), ['1', part('a'), part('b')])).toThrow(fails('BAD_LENGTH'));
    expect(() => encodeAll(codec(), ['2', part('a'), '1'])).toThrow(fails('BAD_LENGTH'));
    expect(() => encodeAll(codec(), ['-1'])).toThrow(fails('BAD_LENGTH'));
    expect(() => new Part('a' as never)).toThrow(expect.objectContaining({ code: 'ERR_FRAMING_MESSAGE' }));
  });

  it('a message that fails is as if it had not been sent', () => {
    const framer = new Framed(codec(), () => {});
    framer.send('3');
    framer.send(new Part(Buffer.from('ab')));
    expect(() => framer.send(new Part(Buffer.from('cd')))).toThrow(fails('BAD_LENGTH'));
    framer.send(new Part(Buffer.from('c')));
    framer.send('0');
    expect(String(Buffer.concat(framer.flush()))).toBe('3\nabc0\n');
  });

  it('what the codec of the headers remembers is there again behind a body', () => {
    const greeted = inParts(once(utf8Lines()).then(text(netstring())), (head) => (head === 'hi' ? 1 : Number(head)));
    const stream = 'hi\na1:2,bc1:0,';
    expect(decodeAll(greeted, Buffer.from(stream)).map(shown)).toEqual([
      'hi',
      'a at 0, 0 left',
      '2',
      'bc at 0, 0 left',
      '0',
    ]);
    const part = (bytes: string) => new Part(Buffer.from(bytes));
    expect(String(encodeAll(greeted, ['hi', part('a'), '2', part('bc'), '0']))).toBe(stream);
  });

  it('holds one part and no more, and pause stops between two of them', () => {
    const got: string[] = [];
    const framer = new Framed(codec(), (message) => {
      got.push(shown(message));
      framer.pause();
    });
    framer.push(Buffer.from('9\nabcdefgh'));
    expect(got).toEqual(['9']);
    framer.resume();
    expect(got).toEqual(['9', 'abcd at 0, 5 left']);
    framer.resume();
    expect([got.length, framer.buffered]).toEqual([3, 0]);
    for (let i = 0; i < 3; i++) framer.resume();
    framer.push(Buffer.from('i'));
    expect(got.at(-1)).toBe('i at 8, 0 left');
  });

  it('a slow consumer of a body slows the peer down', async () => {
    await withSocketPair(async (one, other) => {
      const length = 64 * 1024 * 1024;
      const head = mapped(
        fixed({ length: 4 }),
        (bytes) => Buffer.from(bytes).readUInt32BE(),
        (size: number) => {
          const bytes = Buffer.alloc(4);
          bytes.writeUInt32BE(size);
          return bytes;
        },
      );
      const sender = framed(
        one,
        inParts(head, (size) => size),
      );
      const receiver = framed(
        other,
        inParts(head, (size) => size),
      );
      sender.send(length);
      let sent = 0;
      const part = new Part(new Uint8Array(65_536));
      const pump = async () => {
        for (; sent < length; sent += 65_536)
          if (!sender.send(part)) await new Promise<void>((done) => sender.once('drain', () => done()));
      };
      const messages = receiver[Symbol.asyncIterator]();
      expect((await messages.next()).value).toBe(length);
      const pumped = pump();
      let received = 0;
      const first = (await messages.next()).value as Part;
      received += first.bytes.length;
      // Nobody takes the next part: the sender comes to a stand far from the end.
      for (let last = -1; last !== sent; ) {
        last = sent;
        await new Promise((done) => setTimeout(done, 100));
      }
      expect(sent).toBeLessThan(length / 2);
      while (received < length) {
        const { bytes, offset, left } = (await messages.next()).value as Part;
        expect(offset).toBe(received);
        received += bytes.length;
        expect(left).toBe(length - received);
      }
      await pumped;
      one.end();
      await event(one, 'close').catch(() => {});
    }, false);
  });

  it('gives the same parts in any chunking', () => {
    const bodies = fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 5 });
    fc.assert(
      fc.property(bodies, cuts, fc.integer({ min: 1, max: 9 }), (sent, sizes, partLength) => {
        const each = codec(partLength);
        const bytes = encodeAll(
          each,
          sent.flatMap((body) => [String(body.length), ...(body.length > 0 ? [new Part(body)] : [])]),
        );
        const got: string[] = [];
        const framer = new Framed(each, (message) => got.push(shown(message)));
        for (const chunk of cut(bytes, sizes)) framer.push(chunk);
        framer.end();
        expect(got).toEqual(decodeAll(each, bytes).map(shown));
      }),
      { numRuns: 500 },
    );
  });
});
