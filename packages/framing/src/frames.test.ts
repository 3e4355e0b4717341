import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { unhex } from './hex.js';
import { type FramingError, fixed, frames, lines, utf8Lines } from './index.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A source that notes what is asked of it. */
function source(...chunks: string[]): AsyncGenerator<Uint8Array> & { log: string[] } {
  const log: string[] = [];
  async function* run(): AsyncGenerator<Uint8Array> {
    try {
      for (const chunk of chunks) {
        log.push(chunk);
        yield bytes(chunk);
      }
      log.push('end');
    } finally {
      log.push('left');
    }
  }
  return Object.assign(run(), { log });
}

async function all<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of iterable) items.push(item);
  return items;
}

describe('frames', () => {
  it('gives the messages of a source of chunks one by one', async () => {
    expect(await all(frames(utf8Lines(), source('one\ntw', 'o\n', 'three')))).toEqual(['one', 'two', 'three']);
  });

  it('gives the messages of each chunk together, and no empty arrays', async () => {
    const batches = frames(utf8Lines(), source('a\nb\nc', '', 'd', 'e\n')).batches();
    expect(await all(batches)).toEqual([['a', 'b'], ['cde']]);
  });

  it('reads a stream of Node.js and a stream of the Web', async () => {
    expect(await all(frames(utf8Lines(), Readable.from([bytes('x\n'), bytes('y\n')])))).toEqual(['x', 'y']);
    const web = Readable.toWeb(Readable.from([bytes('x\n')])) as AsyncIterable<Uint8Array>;
    expect(await all(frames(utf8Lines(), web))).toEqual(['x']);
  });

  it('asks for a chunk when the messages of the one before have been taken', async () => {
    const from = source('a\nb\n', 'c\n');
    const taken: string[] = [];
    for await (const line of frames(utf8Lines(), from)) taken.push(`${line} after ${from.log.length} chunks`);
    expect(taken).toEqual(['a after 1 chunks', 'b after 1 chunks', 'c after 2 chunks']);
  });

  it('ends the source when the loop is left', async () => {
    const from = source('a\nb\n', 'c\n');
    for await (const line of frames(utf8Lines(), from)) {
      expect(line).toBe('a');
      break;
    }
    expect(from.log).toEqual(['a\nb\n', 'left']);
  });

  it('throws a bad frame behind the messages before it, and ends the source', async () => {
    const from = source('ok\ntoo long\nnever\n', 'never\n');
    const got: string[] = [];
    const reading = (async () => {
      for await (const line of frames(lines({ maxFrameLength: 4 }), from)) got.push(String(line));
    })();
    await expect(reading).rejects.toMatchObject({ code: 'FRAME_TOO_LONG', offset: 3 });
    expect(got).toEqual(['ok']);
    expect(from.log.at(-1)).toBe('left');
  });

  it('throws UNEXPECTED_EOF behind the last message when the source ends inside a frame', async () => {
    const got: string[] = [];
    const reading = (async () => {
      for await (const frame of frames(fixed({ length: 2 }), source('abc'))) got.push(String(frame));
    })();
    await expect(reading).rejects.toMatchObject({ code: 'UNEXPECTED_EOF' });
    expect(got).toEqual(['ab']);
  });

  it('passes on what the source throws, and misuse of the source', async () => {
    const failing = (async function* () {
      yield bytes('a\n');
      throw new Error('the source broke');
    })();
    await expect(all(frames(utf8Lines(), failing))).rejects.toThrow('the source broke');
    const strings = Readable.from(['a\n']) as unknown as AsyncIterable<Uint8Array>;
    await expect(all(frames(utf8Lines(), strings))).rejects.toMatchObject({ code: 'ERR_FRAMING_CHUNK' });
    expect(() => frames(utf8Lines(), [unhex('00')] as never)).toThrowError(
      expect.objectContaining({ code: 'ERR_FRAMING_CHANNEL' }),
    );
  });

  it('reports recoverable errors in order with the messages', async () => {
    const seen: string[] = [];
    const onError = (error: FramingError) => seen.push(error.code);
    const codec = utf8Lines({ maxFrameLength: 3, onTooLong: 'discard' });
    for await (const batch of frames(codec, source('a\nlonger\nb\n'), { onError }).batches()) seen.push(...batch);
    expect(seen).toEqual(['FRAME_TOO_LONG', 'a', 'b']);
  });
});
