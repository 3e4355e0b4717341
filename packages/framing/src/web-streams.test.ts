import { describe, expect, it } from 'vitest';
import { decoderStream, encoderStream, fixed, lengthField, utf8Lines } from './index.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function from<T>(...items: T[]): ReadableStream<T> {
  return new ReadableStream<T>({
    start(controller) {
      for (const item of items) controller.enqueue(item);
      controller.close();
    },
  });
}

async function taken<T>(stream: ReadableStream<T>): Promise<{ items: T[]; error: unknown }> {
  const items: T[] = [];
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { items, error: undefined };
      items.push(value as T);
    }
  } catch (error) {
    return { items, error };
  }
}

describe('decoderStream', () => {
  it('gives messages through pipeThrough', async () => {
    const stream = from(bytes('one\ntw'), bytes('o\nthree')).pipeThrough(decoderStream(utf8Lines()));
    expect(await taken(stream)).toEqual({ items: ['one', 'two', 'three'], error: undefined });
  });

  it('gives the messages of a chunk together with batches', async () => {
    const stream = from(bytes('a\nb\nc'), bytes('d'), bytes('\n')).pipeThrough(
      decoderStream(utf8Lines(), { batches: true }),
    );
    expect((await taken(stream)).items).toEqual([['a', 'b'], ['cd']]);
  });

  it('fails behind the messages before the bad frame', async () => {
    const stream = from(bytes('a\nb\ntoo long\nc\n')).pipeThrough(decoderStream(utf8Lines({ maxFrameLength: 3 })));
    const { items, error } = await taken(stream);
    expect(items).toEqual(['a', 'b']);
    expect(error).toMatchObject({ code: 'FRAME_TOO_LONG' });
  });

  it('fails behind the last message when the stream ends inside a frame', async () => {
    const { items, error } = await taken(from(bytes('abc')).pipeThrough(decoderStream(fixed({ length: 2 }))));
    expect(items.map(String)).toEqual(['ab']);
    expect(error).toMatchObject({ code: 'UNEXPECTED_EOF' });
  });

  it('decodes a chunk when the messages of the one before have been read', async () => {
    const { readable, writable } = decoderStream(utf8Lines());
    const writer = writable.getWriter();
    const written: string[] = [];
    void writer.write(bytes('a\nb\n')).then(() => written.push('first'));
    void writer.write(bytes('c\n')).then(() => written.push('second'));
    const reader = readable.getReader();
    expect((await reader.read()).value).toBe('a');
    expect(written).toEqual([]);
    expect((await reader.read()).value).toBe('b');
    expect((await reader.read()).value).toBe('c');
    await new Promise(setImmediate);
    expect(written).toEqual(['first', 'second']);
    void writer.close();
    expect((await reader.read()).done).toBe(true);
  });

  it('a chunk without a whole message does not wait for a reader', async () => {
    const writer = decoderStream(utf8Lines()).writable.getWriter();
    await writer.write(bytes('half'));
    await writer.write(bytes(' a line'));
  });

  it('refuses chunks once its reader has cancelled, those that wait included', async () => {
    const { readable, writable } = decoderStream(utf8Lines());
    const writer = writable.getWriter();
    const waiting = writer.write(bytes('a\nb\n'));
    const reader = readable.getReader();
    await reader.read();
    await reader.cancel(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(writer.write(bytes('c\n'))).rejects.toThrow('enough');
  });

  it('tells its reader that the writer has aborted, while a write waits too', async () => {
    const { readable, writable } = decoderStream(utf8Lines());
    const writer = writable.getWriter();
    const waiting = writer.write(bytes('a\nb\n'));
    waiting.catch(() => {});
    const reader = readable.getReader();
    expect((await reader.read()).value).toBe('a');
    await writer.abort(new Error('gone'));
    await expect(reader.read()).rejects.toThrow('gone');
    await expect(waiting).rejects.toThrow('gone');
  });

  it('fails with misuse at once, and with what is no chunk', async () => {
    expect(() => decoderStream({} as never)).toThrowError(expect.objectContaining({ code: 'ERR_FRAMING_CODEC' }));
    expect(() => decoderStream(utf8Lines(), { batches: 1 as never })).toThrowError(
      expect.objectContaining({ code: 'ERR_FRAMING_OPTION' }),
    );
    const { error } = await taken(from('text' as never).pipeThrough(decoderStream(utf8Lines())));
    expect(error).toMatchObject({ code: 'ERR_FRAMING_CHUNK' });
  });
});

describe('encoderStream', () => {
  it('gives the bytes of each message', async () => {
    const stream = from<Uint8Array | string>('ab', 'c').pipeThrough(encoderStream(lengthField({ size: 1 })));
    const { items } = await taken(stream);
    expect(Buffer.concat(items).toString('latin1')).toBe('\x02ab\x01c');
  });

  it('makes one chunk of each message, in memory of its own, at the end of a block too', async () => {
    const messages = Array.from({ length: 100 }, (_, i) => new Uint8Array(i % 3 === 0 ? 5000 : 1000).fill(i));
    const { items } = await taken(from(...messages).pipeThrough(encoderStream(lengthField({ size: 2 }))));
    expect(items.map((chunk) => chunk.length)).toEqual(messages.map((message) => message.length + 2));
    expect(items.every((chunk) => chunk.buffer.byteLength === chunk.length)).toBe(true);
    expect(items.every((chunk, i) => chunk[2] === i && chunk.at(-1) === i)).toBe(true);
  });

  it('and decoderStream are each other’s reverse', async () => {
    const messages = ['', 'one', 'x'.repeat(5000)];
    const stream = from(...messages)
      .pipeThrough(encoderStream(utf8Lines()))
      .pipeThrough(decoderStream(utf8Lines()));
    expect((await taken(stream)).items).toEqual(messages);
  });

  it('fails with the message that cannot be encoded, behind the bytes before it', async () => {
    const { readable, writable } = encoderStream(utf8Lines());
    const writer = writable.getWriter();
    const reader = readable.getReader();
    void writer.write('fine');
    expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toBe('fine\n');
    const bad = writer.write('two\nlines');
    const pending = reader.read();
    pending.catch(() => {});
    await expect(bad).rejects.toMatchObject({ code: 'BAD_DELIMITER' });
    await expect(pending).rejects.toMatchObject({ code: 'BAD_DELIMITER' });
  });
});
