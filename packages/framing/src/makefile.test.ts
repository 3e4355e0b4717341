import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { type MakefileOptions, makefile } from './index.js';
import { FakeChannel } from './testing/fake-channel.js';
import { inPieces } from './testing/rechunk.js';
import { withSocketPair } from './testing/socket-pair.js';

/** A reader over a real connection whose peer sends `text` in pieces of `size` and ends. */
async function reading(
  text: string,
  run: (reader: ReturnType<typeof makefile>['reader'], peer: Socket) => Promise<void>,
  options?: MakefileOptions,
): Promise<void> {
  for (const size of [1, 3, 1000]) {
    await withSocketPair(async (one, other) => {
      one.setNoDelay(true);
      const sending = (async () => {
        for (const piece of inPieces(Buffer.from(text), size)) {
          one.write(piece);
          if (size === 1) await new Promise(setImmediate);
        }
        one.end();
      })();
      await run(makefile(other, options).reader, one);
      await sending;
    });
  }
}

const text = (bytes: Uint8Array | null): string | null => (bytes === null ? null : String(bytes));

describe('the reader of makefile, over node:net', () => {
  it('readLine gives the lines without their ends, the unterminated rest, and null at the end, again and again', async () => {
    await reading('one\r\ntwo\n\nrest', async (reader) => {
      const got = [];
      for (let i = 0; i < 6; i++) got.push(text(await reader.readLine()));
      expect(got).toEqual(['one', 'two', '', 'rest', null, null]);
    });
  });

  it('read(n) gives n bytes, fewer only at the end, then null', async () => {
    await reading('abcdefgh', async (reader) => {
      expect(text(await reader.read(3))).toBe('abc');
      expect(text(await reader.read(3))).toBe('def');
      expect(text(await reader.read(0))).toBe('');
      expect(text(await reader.read(3))).toBe('gh');
      expect(await reader.read(3)).toBe(null);
      expect(await reader.read()).toBe(null);
      expect(text(await reader.read(0))).toBe('');
    });
  });

  it('read() gives everything up to the end', async () => {
    await reading('head\nbody of some length\n\n', async (reader) => {
      expect(text(await reader.readLine())).toBe('head');
      expect(text(await reader.read())).toBe('body of some length\n\n');
      expect(await reader.readLine()).toBe(null);
    });
  });

  it('readExactly throws UNEXPECTED_EOF, and what had arrived can still be read', async () => {
    await reading('abcdefgh', async (reader) => {
      expect(text(await reader.readExactly(4))).toBe('abcd');
      expect(text(await reader.readExactly(0))).toBe('');
      await expect(reader.readExactly(9)).rejects.toThrow(
        expect.objectContaining({
          code: 'UNEXPECTED_EOF',
          offset: 8,
          message: expect.stringContaining('needed 9, got 4'),
        }),
      );
      expect(text(await reader.read(9))).toBe('efgh');
      await expect(reader.readExactly(1)).rejects.toThrow(expect.objectContaining({ code: 'UNEXPECTED_EOF' }));
    });
  });

  it('readUntil includes the delimiter; the rest at the end does not end with it', async () => {
    await reading('key: value; more--rest', async (reader) => {
      expect(text(await reader.readUntil(': '))).toBe('key: ');
      expect(text(await reader.readUntil(Uint8Array.of(59)))).toBe('value;');
      expect(text(await reader.readUntil(['==', '--']))).toBe(' more--');
      expect(text(await reader.readUntil('--'))).toBe('rest');
      expect(await reader.readUntil('--')).toBe(null);
    });
  });

  it('readLines and for await give all lines; break leaves the rest to be read', async () => {
    await reading('a\nb\nc\n', async (reader) => {
      for await (const line of reader) {
        expect(text(line)).toBe('a');
        break;
      }
      expect((await reader.readLines()).map(String)).toEqual(['b', 'c']);
      expect(await reader.readLines()).toEqual([]);
    });
  });

  it('with strip false and another eol lines keep their ends', async () => {
    await reading(
      'a\rb\r\nc',
      async (reader) => {
        expect((await reader.readLines()).map(String)).toEqual(['a\r', 'b\r\n', 'c']);
      },
      { eol: 'any', strip: false },
    );
  });

  it('reads that are started together are served in the order of their calls', async () => {
    await reading('line\n12345678rest', async (reader) => {
      const all = [reader.readLine(), reader.readExactly(8), reader.read(), reader.readLine()];
      expect((await Promise.all(all)).map(text)).toEqual(['line', '12345678', 'rest', null]);
    });
  });

  it('a line beyond maxLineLength is FRAME_TOO_LONG', async () => {
    await reading(
      'ok\ntoo long\n',
      async (reader) => {
        expect(text(await reader.readLine())).toBe('ok');
        await expect(reader.readLine()).rejects.toThrow(expect.objectContaining({ code: 'FRAME_TOO_LONG', offset: 3 }));
        expect(text(await reader.read(8))).toBe('too long');
      },
      { maxLineLength: 4 },
    );
  });

  it('a large exact read comes in one piece', async () => {
    await withSocketPair(async (one, other) => {
      const body = Buffer.alloc(3_000_000, 'abcdefg');
      one.end(body);
      const { reader } = makefile(other);
      expect(body.equals(await reader.readExactly(body.length))).toBe(true);
      expect(await reader.read()).toBe(null);
    });
  });
});

describe('the reader of makefile, step by step', () => {
  it('reads nothing before the first read, and pauses when 64 KiB wait for nobody', async () => {
    const fake = new FakeChannel();
    const { reader } = makefile(fake);
    expect(fake.calls).not.toContain('on data');
    const line = reader.readLine();
    expect(fake.calls).toContain('on data');
    fake.receive('a\n');
    expect(text(await line)).toBe('a');
    fake.receive(new Uint8Array(60_000));
    expect(fake.paused).toBe(false);
    fake.receive(new Uint8Array(6000));
    expect(fake.paused).toBe(true);
    expect((await reader.read(66_000))!.length).toBe(66_000);
    expect(fake.paused).toBe(true);
    const more = reader.read(1);
    expect(fake.paused).toBe(false);
    fake.receive('x');
    expect(text(await more)).toBe('x');
  });

  it('readSome gives what is there and waits only if that is nothing', async () => {
    const fake = new FakeChannel();
    const { reader } = makefile(fake);
    const some = reader.readSome();
    fake.receive('abcdef');
    expect(text(await some)).toBe('abcdef');
    fake.receive('abcdef');
    expect(text(await reader.readSome(4))).toBe('abcd');
    expect(text(await reader.readSome(4))).toBe('ef');
    const last = reader.readSome();
    fake.emit('end');
    expect(await last).toBe(null);
  });

  it('after an error what has arrived serves reads, and a line that was cut does not pass for a line', async () => {
    const fake = new FakeChannel();
    const { reader } = makefile(fake);
    const first = reader.readLine();
    fake.receive('one\ntwo\nthr');
    fake.destroy(new Error('ECONNRESET'));
    expect(text(await first)).toBe('one');
    expect(text(await reader.readLine())).toBe('two');
    await expect(reader.readLine()).rejects.toThrow('ECONNRESET');
    await expect(reader.read()).rejects.toThrow('ECONNRESET');
    expect(text(await reader.readSome())).toBe('thr');
    await expect(reader.readSome()).rejects.toThrow('ECONNRESET');
  });

  it('a channel that closes without an error is at its end', async () => {
    const fake = new FakeChannel();
    const { reader } = makefile(fake);
    const line = reader.readLine();
    fake.destroy();
    expect(await line).toBe(null);
  });
});

describe('the writer of makefile', () => {
  it('writes bytes, text and lines, and ends', async () => {
    await withSocketPair(async (one, other) => {
      const { writer } = makefile(one);
      writer.write('text ');
      writer.write(Buffer.from('bytes\n'));
      writer.writeLines(['a', Buffer.from('b')]);
      await writer.flush();
      writer.end('bye');
      expect(String(await makefile(other).reader.read())).toBe('text bytes\na\nb\nbye');
    });
  });

  it('with newline CR LF writeLines writes that', () => {
    const fake = new FakeChannel();
    expect(makefile(fake, { newline: '\r\n' }).writer.writeLines(['a', Buffer.from('b')])).toBe(true);
    expect(fake.text).toBe('a\r\nb\r\n');
  });

  it('flush waits for drain when the channel is above its mark, and rejects when it dies before', async () => {
    await withSocketPair(async (one, other) => {
      const { writer } = makefile(one);
      while (writer.write(new Uint8Array(100_000)));
      const order: string[] = [];
      one.once('drain', () => order.push('drain'));
      const flushing = writer.flush().then(() => order.push('flushed'));
      other.resume();
      await flushing;
      expect(order).toEqual(['drain', 'flushed']);
      expect(writer.write('x')).toBe(true);
    });
    await withSocketPair(async (one) => {
      const { writer } = makefile(one);
      while (writer.write(new Uint8Array(100_000)));
      const flushing = expect(writer.flush()).rejects.toThrow(expect.objectContaining({ code: 'CLOSED' }));
      one.destroy();
      await flushing;
      await expect(writer.flush()).rejects.toThrow(expect.objectContaining({ code: 'CLOSED' }));
    });
  });

  it('flush asks a channel that knows', async () => {
    const fake = Object.assign(new FakeChannel(), { flushed: () => Promise.reject(new Error('asked')) });
    await expect(makefile(fake).writer.flush()).rejects.toThrow('asked');
  });

  it('a conversation: a server that answers line by line, and a client', async () => {
    await withSocketPair(async (one, other) => {
      const server = (async () => {
        const { reader, writer } = makefile(other);
        for await (const line of reader) writer.writeLines([`you said ${line}`]);
        writer.end();
      })();
      const { reader, writer } = makefile(one);
      writer.writeLines(['hello']);
      expect(text(await reader.readLine())).toBe('you said hello');
      writer.writeLines(['good', 'bye']);
      writer.end();
      expect((await reader.readLines()).map(String)).toEqual(['you said good', 'you said bye']);
      await server;
    });
  });
});
