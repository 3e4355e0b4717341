import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { fixed, lengthField, utf8Lines } from './index.js';
import { nodeDecoder, nodeEncoder } from './node.js';

function collector<T>(options: { highWaterMark?: number } = {}): Writable & { items: T[] } {
  const items: T[] = [];
  const writable = new Writable({
    objectMode: true,
    ...options,
    write(item: T, _encoding, callback) {
      items.push(item);
      setImmediate(callback);
    },
  });
  return Object.assign(writable, { items });
}

const chunks = (...texts: string[]): Readable => Readable.from(texts.map((text) => Buffer.from(text)));

describe('nodeDecoder', () => {
  it('gives messages in a pipeline', async () => {
    const sink = collector<string>();
    await pipeline(chunks('one\ntw', 'o\nthree'), nodeDecoder(utf8Lines()), sink);
    expect(sink.items).toEqual(['one', 'two', 'three']);
  });

  it('gives the messages of a chunk together with batches', async () => {
    const sink = collector<string[]>();
    await pipeline(chunks('a\nb\nc', 'd', '\n'), nodeDecoder(utf8Lines(), { batches: true }), sink);
    expect(sink.items).toEqual([['a', 'b'], ['cd']]);
  });

  for (const [how, read] of [
    [
      'for await',
      async (stream: Readable, got: string[]) => {
        for await (const line of stream) got.push(line as string);
      },
    ],
    [
      'data listeners',
      (stream: Readable, got: string[]) =>
        new Promise<void>((_resolve, reject) => {
          stream.on('data', (line: string) => got.push(line)).on('error', reject);
        }),
    ],
    [
      'read()',
      (stream: Readable, got: string[]) =>
        new Promise<void>((_resolve, reject) => {
          stream.on('error', reject).on('readable', () => {
            for (let line = stream.read(); line !== null; line = stream.read()) got.push(line as string);
          });
        }),
    ],
    [
      'a slow pipe',
      (stream: Readable, got: string[]) =>
        new Promise<void>((_resolve, reject) => {
          const sink = collector<string>({ highWaterMark: 1 });
          stream.on('error', (error) => {
            got.push(...sink.items);
            // What the sink has taken and not yet written is its own.
            reject(error);
          });
          stream.pipe(sink);
        }),
    ],
  ] as const)
    it(`fails behind the messages before the bad frame, read by ${how}`, async () => {
      const good = Array.from({ length: 50 }, (_, i) => `${i}`);
      const stream = chunks(`${good.join('\n')}\ntoo long\nnever\n`).pipe(
        nodeDecoder(utf8Lines({ maxFrameLength: 3 })),
      );
      const got: string[] = [];
      await expect(read(stream, got)).rejects.toMatchObject({ code: 'FRAME_TOO_LONG' });
      expect(got).toEqual(good.slice(0, got.length));
      expect(got.length).toBeGreaterThanOrEqual(how === 'a slow pipe' ? 48 : 50);
    });

  it('fails when the stream ends inside a frame', async () => {
    const sink = collector<Buffer>();
    await expect(pipeline(chunks('abc'), nodeDecoder(fixed({ length: 2 })), sink)).rejects.toMatchObject({
      code: 'UNEXPECTED_EOF',
    });
    expect(sink.items.map(String)).toEqual(['ab']);
  });

  it('says that null cannot travel through an object stream, and carries it in batches', async () => {
    const nulls = {
      decode: (input: { length: number; skip(n: number): void }) => {
        input.skip(1);
        return null;
      },
      encode: () => {},
    };
    await expect(pipeline(chunks('ab'), nodeDecoder(nulls), collector())).rejects.toMatchObject({
      code: 'ERR_FRAMING_MESSAGE',
    });
    const sink = collector<null[]>();
    await pipeline(chunks('ab'), nodeDecoder(nulls, { batches: true }), sink);
    expect(sink.items).toEqual([[null, null]]);
  });

  it('is destroyed without a message that was not read being lost to nobody: destroy is at once', async () => {
    const stream = chunks('a\nb\n').pipe(nodeDecoder(utf8Lines()));
    for await (const line of stream) {
      expect(line).toBe('a');
      break;
    }
    expect(stream.destroyed).toBe(true);
  });

  it('refuses misuse at once', () => {
    expect(() => nodeDecoder({} as never)).toThrowError(expect.objectContaining({ code: 'ERR_FRAMING_CODEC' }));
    expect(() => nodeDecoder(utf8Lines(), { batches: 'yes' as never })).toThrowError(
      expect.objectContaining({ code: 'ERR_FRAMING_OPTION' }),
    );
    expect(() => nodeEncoder({ decode: () => undefined } as never)).toThrowError(
      expect.objectContaining({ code: 'ERR_FRAMING_CODEC' }),
    );
  });
});

describe('nodeEncoder', () => {
  it('gives the bytes of each message', async () => {
    const sink = collector<Buffer>();
    await pipeline(Readable.from(['ab', 'c']), nodeEncoder(lengthField({ size: 1 })), sink);
    expect(Buffer.concat(sink.items).toString('latin1')).toBe('\x02ab\x01c');
  });

  it('fails with the message that cannot be encoded', async () => {
    await expect(
      pipeline(Readable.from(['fine', 'two\nlines']), nodeEncoder(utf8Lines()), collector()),
    ).rejects.toMatchObject({ code: 'BAD_DELIMITER' });
  });
});
