import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { type FramedChannel, type FramingError, fixed, framed, lengthField, lines, utf8Lines } from './index.js';
import { FakeChannel } from './testing/fake-channel.js';
import { withSocketPair } from './testing/socket-pair.js';

function linesOver(fake: FakeChannel, onLine?: (line: string, channel: FramedChannel<string>) => void) {
  const channel = framed(fake, utf8Lines());
  const got: string[] = [];
  channel.on('message', (line) => {
    got.push(line);
    onLine?.(line, channel);
  });
  return { channel, got };
}

const microtasks = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await undefined;
};

describe('reading on demand', () => {
  it('nothing is read before somebody listens for messages', () => {
    const fake = new FakeChannel();
    const channel = framed(fake, lines());
    channel.on('error', () => {});
    expect(fake.calls).not.toContain('on data');
    channel.on('message', () => {});
    expect(fake.calls).toContain('on data');
  });

  it('a message after the one that once took waits for the next listener', async () => {
    const fake = new FakeChannel();
    const channel = framed(fake, utf8Lines());
    const got: string[] = [];
    channel.once('message', (line) => got.push(`first ${line}`));
    fake.receive('a\nb\nc\n');
    expect(got).toEqual(['first a']);
    channel.once('message', (line) => got.push(`second ${line}`));
    expect(got).toEqual(['first a']);
    await microtasks();
    expect(got).toEqual(['first a', 'second b']);
    expect(fake.paused).toBe(false);
    fake.receive('d\n');
    expect(fake.paused).toBe(true);
    channel.on('message', (line) => got.push(line));
    await microtasks();
    expect(got.slice(2)).toEqual(['c', 'd']);
    expect(fake.paused).toBe(false);
  });

  it('off of the last listener, in the listener, holds the rest of the chunk', async () => {
    const fake = new FakeChannel();
    const channel = framed(fake, utf8Lines());
    const got: string[] = [];
    const listener = (line: string): void => {
      got.push(line);
      channel.off('message', listener);
    };
    channel.on('message', listener);
    fake.receive('a\nb\n');
    expect(got).toEqual(['a']);
    channel.on('message', (line) => got.push(line));
    await microtasks();
    expect(got).toEqual(['a', 'b']);
  });

  it('pause stops between two messages of one chunk and pauses the channel, resume goes on', async () => {
    const fake = new FakeChannel();
    const { channel, got } = linesOver(fake, (_, it) => it.pause());
    fake.receive('a\nb\nc\n');
    expect([got, fake.paused]).toEqual([['a'], true]);
    channel.resume();
    await microtasks();
    expect(got).toEqual(['a', 'b']);
    channel.resume();
    await microtasks();
    channel.resume();
    await microtasks();
    expect(got).toEqual(['a', 'b', 'c']);
    expect(fake.paused).toBe(false);
  });

  it('what is paused before the first listener is read after resume, and a pause right behind resume holds', async () => {
    const fake = new FakeChannel();
    const channel = framed(fake, utf8Lines()).pause();
    const got: string[] = [];
    channel.on('message', (line) => got.push(line));
    await microtasks();
    expect(fake.calls).not.toContain('on data');
    channel.resume();
    fake.receive('a\n');
    channel.pause();
    fake.receive('b\n');
    channel.resume().pause();
    await microtasks();
    expect(got).toEqual(['a']);
    channel.resume();
    await microtasks();
    expect(got).toEqual(['a', 'b']);
  });

  it('several listeners each get every message', () => {
    const fake = new FakeChannel();
    const { channel, got } = linesOver(fake);
    channel.on('message', (line) => got.push(`again ${line}`));
    fake.receive('a\nb\n');
    expect(got).toEqual(['a', 'again a', 'b', 'again b']);
  });
});

describe('sending', () => {
  it('what is sent while one chunk is handled leaves in one write, what is sent otherwise at once', () => {
    const fake = new FakeChannel();
    const { channel } = linesOver(fake, (line, it) => it.send(line));
    fake.receive('a\nb\nc\n');
    expect(fake.written.map(String)).toEqual(['a\nb\nc\n']);
    channel.send('d');
    channel.send('e');
    expect(fake.written.map(String)).toEqual(['a\nb\nc\n', 'd\n', 'e\n']);
  });

  it('a large payload is handed on by reference, between what was sent before and after it', () => {
    const fake = new FakeChannel();
    const large = new Uint8Array(5000).fill(120);
    const channel = framed(fake, lengthField());
    channel.on('message', () => {
      channel.send('a');
      channel.send(large);
      channel.send('b');
    });
    fake.receive('\0\0\0\0');
    expect(fake.written).toHaveLength(3);
    expect(fake.written[1]).toBe(large);
  });

  it('while a chunk is handled, no more than 16 KiB gather before the channel gets to say no', () => {
    const fake = new FakeChannel();
    fake.writable = false;
    let answers: boolean[] = [];
    const { channel } = linesOver(fake, (_, it) => {
      answers = Array.from({ length: 40 }, () => it.send('x'.repeat(999)));
    });
    fake.receive('go\n');
    expect(answers.indexOf(false)).toBe(16);
    expect(answers.lastIndexOf(true)).toBe(15);
    expect(channel.send('y')).toBe(false);
  });

  it('send gives the answer of the channel until drain, which is passed on', () => {
    const fake = new FakeChannel();
    const channel = framed(fake, lines());
    let drains = 0;
    channel.on('drain', () => drains++);
    expect(channel.send('a')).toBe(true);
    fake.writable = false;
    expect(channel.send('b')).toBe(false);
    fake.writable = true;
    fake.emit('drain');
    expect(drains).toBe(1);
    expect(channel.send('c')).toBe(true);
  });

  it('a message that cannot be encoded is thrown at the sender, and the channel goes on', () => {
    const fake = new FakeChannel();
    const channel = framed(fake, lines());
    channel.on('error', () => expect.unreachable());
    expect(() => channel.send('a\nb')).toThrow(expect.objectContaining({ code: 'BAD_DELIMITER' }));
    channel.send('c');
    expect(fake.text).toBe('c\n');
  });

  it('what the listener sent before it threw leaves nevertheless, and the exception goes up', () => {
    const fake = new FakeChannel();
    const { got } = linesOver(fake, (line, it) => {
      it.send(line);
      if (line === 'b') throw new Error('listener');
    });
    expect(() => fake.receive('a\nb\nc\n')).toThrow('listener');
    expect(fake.text).toBe('a\nb\n');
    fake.receive('d\n');
    expect(got).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('the end', () => {
  it('end sends what is queued and then ends; messages of the peer keep coming, and send gives false', () => {
    const fake = new FakeChannel();
    const { channel, got } = linesOver(fake, (line, it) => {
      it.send(line);
      if (line === 'quit') it.end('bye');
    });
    fake.receive('quit\nmore\n');
    expect(fake.text).toBe('quit\nbye\n');
    expect(fake.calls.filter((call) => call === 'end')).toHaveLength(1);
    expect(got).toEqual(['quit', 'more']);
    expect(channel.send('x')).toBe(false);
    channel.end();
    expect(fake.calls.filter((call) => call === 'end')).toHaveLength(1);
  });

  it('destroy in a listener: the rest of the chunk is not delivered, now or later', async () => {
    const fake = new FakeChannel();
    const closed: unknown[] = [];
    const { channel, got } = linesOver(fake, (_, it) => it.destroy());
    channel.on('close', (info) => closed.push(info));
    fake.receive('a\nb\n');
    channel.resume();
    await microtasks();
    fake.receive('c\n');
    expect(got).toEqual(['a']);
    expect(closed).toEqual([{ by: 'local' }]);
    expect([channel.closed, channel.send('x')]).toEqual([true, false]);
  });

  it('destroy with an error: error once, then close', () => {
    const fake = new FakeChannel();
    const events: unknown[] = [];
    const channel = framed(fake, lines());
    channel.on('error', (error) => events.push(error.message));
    channel.on('close', (info) => events.push(info.by));
    channel.destroy(new Error('enough'));
    channel.destroy(new Error('again'));
    expect(events).toEqual(['enough', 'error']);
  });

  it('the end of the peer delivers the unterminated rest, then end', () => {
    const fake = new FakeChannel();
    const { channel, got } = linesOver(fake);
    channel.on('end', () => got.push('(end)'));
    channel.on('close', ({ by }) => got.push(`(close by ${by})`));
    fake.receive('a\nrest');
    fake.emit('end');
    fake.emit('close', false);
    expect(got).toEqual(['a', 'rest', '(end)', '(close by peer)']);
  });

  it('the end of the peer waits behind messages that are held', async () => {
    const fake = new FakeChannel();
    const { channel, got } = linesOver(fake, (_, it) => it.pause());
    channel.on('end', () => got.push('(end)'));
    fake.receive('a\nb\n');
    fake.emit('end');
    expect(got).toEqual(['a']);
    channel.resume();
    await microtasks();
    channel.resume();
    await microtasks();
    expect(got).toEqual(['a', 'b', '(end)']);
  });
});

describe('a bad frame', () => {
  it('error once with the FramingError, then close; the answers to the messages before it leave first', () => {
    const fake = new FakeChannel();
    const events: string[] = [];
    const channel = framed(fake, lengthField({ maxFrameLength: 5 }));
    channel.on('message', (message) => {
      events.push(String(message));
      channel.send(message);
    });
    channel.on('error', (error) => events.push((error as FramingError).code));
    channel.on('close', ({ by, error }) => events.push(`close by ${by}: ${(error as FramingError).code}`));
    fake.receive('\0\0\0\x01a\0\0\0\x09');
    expect(events).toEqual(['a', 'FRAME_TOO_LONG', 'close by error: FRAME_TOO_LONG']);
    expect(fake.text).toBe('\0\0\0\x01a');
    expect(fake.calls.slice(-2)).toEqual(['flush', 'destroy']);
    fake.receive('more');
    expect(events).toHaveLength(3);
  });

  it('the end inside a frame is UNEXPECTED_EOF', () => {
    const fake = new FakeChannel();
    const errors: string[] = [];
    const channel = framed(fake, fixed({ length: 9 }));
    channel.on('message', () => {});
    channel.on('error', (error) => errors.push(error.message));
    channel.on('end', () => expect.unreachable());
    fake.receive('abcd');
    fake.emit('end');
    expect(errors).toEqual([expect.stringContaining('needed 9, got 4')]);
    expect(String(channel.leftover)).toBe('abcd');
  });

  it('a listener of error may answer and end: then the channel is not torn down under the answer', () => {
    const fake = new FakeChannel();
    const channel = framed(fake, lines({ maxFrameLength: 3 }));
    channel.on('message', () => {});
    channel.on('error', () => channel.end('-ER'));
    fake.receive('too long\n');
    expect(fake.text).toBe('-ER\n');
    expect(fake.calls.slice(-1)).toEqual(['end']);
  });

  it('unheard errors are not thrown, but the channel is destroyed nevertheless', () => {
    const fake = new FakeChannel();
    const channel = framed(fake, lines({ maxFrameLength: 3 }));
    channel.on('message', () => {});
    fake.receive('too long\n');
    expect(fake.destroyedWith).toMatchObject({ code: 'FRAME_TOO_LONG' });
    expect(channel.closed).toBe(true);
  });

  it('skipped tells of each discarded frame', () => {
    const fake = new FakeChannel();
    const events: string[] = [];
    const channel = framed(fake, lines({ maxFrameLength: 2, onTooLong: 'discard' }));
    channel.on('message', (line) => events.push(String(line)));
    channel.on('skipped', (error) => events.push(error.code));
    fake.receive('a\nlong\nb\n');
    expect(events).toEqual(['a', 'FRAME_TOO_LONG', 'b']);
  });
});

describe('use', () => {
  it('in a listener concerns the next message of the same chunk, and the next send', () => {
    const fake = new FakeChannel();
    const channel = framed(fake, utf8Lines());
    const got: unknown[] = [];
    channel.on('message', (line) => {
      got.push(String(line));
      if (line !== 'upgrade') return;
      const binary = channel.use(lengthField({ size: 1 }));
      expectTypeOf(binary).toEqualTypeOf<FramedChannel<Uint8Array, Uint8Array | string>>();
      binary.send('ok');
    });
    fake.receive('hello\nupgrade\n\x02ab\x01c');
    expect(got).toEqual(['hello', 'upgrade', 'ab', 'c']);
    expect(fake.text).toBe('\x02ok');
  });

  it('a bad frame in the rest that use decodes at once is an error event, no exception', () => {
    const fake = new FakeChannel();
    const errors: Error[] = [];
    const channel = framed(fake, fixed({ length: 100 }));
    channel.on('message', () => {});
    channel.on('error', (error) => errors.push(error));
    fake.receive('too long for that');
    channel.use(lines({ maxFrameLength: 3 }));
    expect(errors).toEqual([expect.objectContaining({ code: 'FRAME_TOO_LONG' })]);
  });
});

describe('interceptMessage', () => {
  it('undefined passes a message on, null swallows it, anything else replaces it', () => {
    const fake = new FakeChannel();
    fake.interceptMessage = (message) => {
      if (message === 'swallow') return null;
      return message === 'replace' ? 'replaced' : undefined;
    };
    const { got } = linesOver(fake);
    fake.receive('a\nswallow\nreplace\n');
    expect(got).toEqual(['a', 'replaced']);
  });
});

describe('for await', () => {
  it('gives the messages in order, and ends with the stream of the peer', async () => {
    const fake = new FakeChannel();
    const channel = framed(fake, utf8Lines());
    const got: string[] = [];
    const consumer = (async () => {
      for await (const line of channel) got.push(line);
      got.push('(end)');
    })();
    await microtasks();
    fake.receive('a\nb\nc');
    await microtasks();
    fake.emit('end');
    await consumer;
    expect(got).toEqual(['a', 'b', 'c', '(end)']);
  });

  it('decodes a message only when it is asked for: use between two messages concerns the next', async () => {
    const fake = new FakeChannel();
    const channel = framed(fake, utf8Lines());
    const got: string[] = [];
    const consumer = (async () => {
      for await (const message of channel) {
        got.push(String(message));
        if (got.length === 1) channel.use(lengthField({ size: 1 }));
      }
    })();
    fake.receive('line\n\x01a\x02bc');
    await microtasks();
    fake.emit('end');
    await consumer;
    expect(got).toEqual(['line', 'a', 'bc']);
  });

  it('reads one chunk ahead of a slow consumer and no more', async () => {
    const fake = new FakeChannel();
    const iterator = framed(fake, utf8Lines())[Symbol.asyncIterator]();
    const first = iterator.next();
    fake.receive('a\nb\n');
    expect(await first).toEqual({ done: false, value: 'a' });
    expect(fake.paused).toBe(false);
    fake.receive('c\n');
    expect(fake.paused).toBe(true);
    expect(await iterator.next()).toEqual({ done: false, value: 'b' });
    expect(await iterator.next()).toEqual({ done: false, value: 'c' });
    expect(fake.paused).toBe(true);
    const waiting = iterator.next();
    expect(fake.paused).toBe(false);
    fake.receive('d\n');
    expect(await waiting).toEqual({ done: false, value: 'd' });
  });

  it('a bad frame is thrown after the messages before it, an error of the channel likewise', async () => {
    for (const fail of [
      (fake: FakeChannel) => fake.receive('too long\n'),
      (fake: FakeChannel) => fake.destroy(new Error('ECONNRESET')),
    ]) {
      const fake = new FakeChannel();
      const channel = framed(fake, lines({ maxFrameLength: 3 }));
      const got: string[] = [];
      const consumer = (async () => {
        for await (const line of channel) got.push(String(line));
      })();
      await microtasks();
      fake.receive('a\nb\n');
      fail(fake);
      await expect(consumer).rejects.toThrow(/maxFrameLength|ECONNRESET/);
      expect(got).toEqual(['a', 'b']);
    }
  });

  it('ends when the channel is destroyed without an error', async () => {
    const fake = new FakeChannel();
    const channel = framed(fake, lines());
    const next = channel[Symbol.asyncIterator]().next();
    channel.destroy();
    expect(await next).toEqual({ done: true, value: undefined });
  });

  it('break keeps the connection, and another for await goes on with the next message', async () => {
    const fake = new FakeChannel();
    const channel = framed(fake, utf8Lines());
    const first = (async () => {
      for await (const line of channel) return line;
      return undefined;
    })();
    fake.receive('a\nb\n');
    expect(await first).toBe('a');
    expect(fake.calls).not.toContain('destroy');
    for await (const line of channel) {
      expect(line).toBe('b');
      break;
    }
  });

  it('there is one consumer', async () => {
    const only = expect.objectContaining({ name: 'TypeError', code: 'ERR_FRAMING_CONSUMER' });
    const channel = framed(new FakeChannel(), lines());
    const iterator = channel[Symbol.asyncIterator]();
    const waiting = iterator.next();
    await expect(iterator.next()).rejects.toThrow(only);
    expect(() => channel[Symbol.asyncIterator]()).toThrow(only);
    expect(() => channel.on('message', () => {})).toThrow(only);
    await iterator.return!();
    expect(await waiting).toEqual({ done: true, value: undefined });
    channel.on('message', () => {});
    expect(() => channel[Symbol.asyncIterator]()).toThrow(only);
  });
});

describe('over real connections', () => {
  it('node:net sockets: echo of 1,000 messages, half-close, end and close on both sides', async () => {
    await withSocketPair(async (one, other) => {
      const server = framed(other, lengthField());
      server.on('message', (message) => server.send(message));
      server.on('end', () => server.end());
      const client = framed(one, lengthField());
      const sent = Array.from({ length: 1000 }, (_, i) => `message ${i} `.repeat(i % 200));
      for (const message of sent) client.send(message);
      client.end();
      const got: string[] = [];
      for await (const message of client) got.push(String(message));
      expect(got).toEqual(sent);
      if (!client.closed) await new Promise((resolve) => client.on('close', resolve));
    });
  });

  it('a peer that does not read makes send give false, and drain comes when it reads', async () => {
    await withSocketPair(async (one, other) => {
      const channel = framed(one, lengthField());
      const message = new Uint8Array(60_000);
      let sent = 0;
      while (channel.send(message)) sent++;
      expect(channel.bufferedBytes).toBeGreaterThan(0);
      const drained = new Promise<void>((resolve) => channel.on('drain', resolve));
      const reader = framed(other, lengthField());
      let got = 0;
      reader.on('message', () => got++);
      await drained;
      channel.end();
      await new Promise<void>((resolve) => reader.on('end', resolve));
      expect(got).toBe(sent + 1);
    });
  });

  it('a consumer that does not ask stops the peer', async () => {
    await withSocketPair(async (one, other) => {
      const slow = framed(other, lengthField())[Symbol.asyncIterator]();
      const fast = framed(one, lengthField());
      const message = new Uint8Array(100_000);
      fast.send(message);
      await slow.next();
      let writable = true;
      // A silence counts once the consumer's side has stopped: before that, the whole process may have been at rest.
      for (let i = 0; i < 400 && (writable || !other.isPaused()); i++) {
        while (fast.send(message));
        const drained = new Promise<boolean>((resolve) => fast.once('drain', () => resolve(true)));
        writable = await Promise.race([drained, new Promise<boolean>((resolve) => setTimeout(resolve, 200, false))]);
      }
      expect(writable).toBe(false);
      expect(other.isPaused()).toBe(true);
    });
  });

  it('a bad frame destroys the socket: the peer sees the end', async () => {
    await withSocketPair(async (one, other) => {
      const server = framed(other, lines({ maxFrameLength: 3 }));
      const events: string[] = [];
      server.on('message', () => {});
      server.on('error', (error) => events.push((error as FramingError).code));
      const closed = new Promise<void>((resolve) =>
        server.on('close', (info) => {
          events.push(info.by);
          resolve();
        }),
      );
      one.on('error', () => {});
      one.resume();
      one.write('too long\n');
      await closed;
      expect(events).toEqual(['FRAME_TOO_LONG', 'error']);
      if (!one.readableEnded && !one.destroyed) await once(one, 'end').catch(() => {});
    });
  });

  it('any Duplex is a channel', async () => {
    const echo: Duplex = new Duplex({
      read() {},
      write(chunk, _, done) {
        echo.push(chunk);
        done();
      },
      final(done) {
        echo.push(null);
        done();
      },
    });
    const channel = framed(echo, utf8Lines());
    channel.send('a');
    channel.end('b');
    const got: string[] = [];
    for await (const line of channel) got.push(line);
    expect(got).toEqual(['a', 'b']);
  });
});
