/** hold(): delivery stands still until a decision is made, or its time is over. */
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { closing, connected, recorder } from '../support/connections.js';
import { digest, pattern } from '../support/sockets.js';
import { delay, rounds, thrown, until } from '../support/waiting.js';

const withoutHangup = (calls: readonly string[]) => calls.filter((call) => call !== 'hangup');

describeBackends('connection hold', (stage) => {
  it('a hold in open delivers nothing until it is released, and then all, in order', async () => {
    const told = recorder();
    let release = () => {};
    const { peer } = await connected(stage.reactor(), {
      ...told.handler,
      open(connection) {
        told.handler.open(connection);
        release = connection.hold();
      },
    });
    peer.end('all of it');
    await delay(50);
    expect(withoutHangup(told.calls.entries)).toEqual(['open']);
    release();
    release();
    await until(() => told.calls.entries.includes('close peer'));
    expect(withoutHangup(told.calls.entries)).toEqual(['open', 'data all of it', 'end', 'close peer']);
  });

  it('a hold in the middle of a stream loses nothing, however often', async () => {
    const chunks: Buffer[] = [];
    const data = pattern(1024 * 1024);
    const { connection, peer } = await connected(stage.reactor(), {
      data(held, chunk) {
        chunks.push(chunk);
        const release = held.hold();
        const seen = chunks.length;
        setImmediate(() => {
          expect(chunks).toHaveLength(seen);
          release();
        });
      },
    });
    peer.end(data);
    await closing(connection);
    expect(digest(Buffer.concat(chunks))).toBe(digest(data));
  });

  it('of several holds the last release counts', async () => {
    const told = recorder();
    const { connection, peer } = await connected(stage.reactor(), told.handler);
    const releases = [connection.hold(), connection.hold(), connection.hold()];
    peer.write('x');
    for (const release of releases) {
      await rounds(5);
      expect(withoutHangup(told.calls.entries)).toEqual(['open']);
      expect(connection.flowing).toBe(false);
      release();
      release();
    }
    await until(() => told.calls.entries.includes('data x'));
  });

  it('pause and resume meanwhile say how it goes on afterwards', async () => {
    const told = recorder();
    const { connection, peer } = await connected(stage.reactor(), told.handler);
    const first = connection.hold();
    peer.write('x');
    connection.pause();
    first();
    await delay(30);
    expect(withoutHangup(told.calls.entries)).toEqual(['open']);
    const second = connection.hold();
    connection.resume();
    await rounds(3);
    expect(connection.flowing).toBe(false);
    second();
    await until(() => told.calls.entries.includes('data x'));
  });

  it('a hold of a connection that nobody reads does not begin to read when it is released', async () => {
    const { connection } = await connected(stage.reactor());
    connection.hold()();
    expect(connection.flowing).toBe(false);
    const release = connection.hold();
    connection.on('data', () => {});
    expect(connection.flowing).toBe(false);
    release();
    expect(connection.flowing).toBe(true);
  });

  it('one that is not released in time destroys the connection with ERR_REACTOR_HOLD, once', async () => {
    const told = recorder();
    const { connection, peer } = await connected(stage.reactor(), told.handler);
    const began = performance.now();
    const release = connection.hold({ timeoutMs: 80 });
    connection.hold({ timeoutMs: 80 });
    const info = await closing(connection);
    expect(performance.now() - began).toBeGreaterThanOrEqual(79);
    expect(info.error).toMatchObject({ code: 'ERR_REACTOR_HOLD' });
    expect(info.error?.message).toContain('80 ms');
    release();
    await peer.ended;
    peer.end();
    await delay(80);
    expect(withoutHangup(told.calls.entries)).toEqual(['open', 'error ERR_REACTOR_HOLD', 'close error']);
  });

  it('timeoutMs 0 has no limit, and a released hold does not expire', async () => {
    const { connection } = await connected(stage.reactor());
    connection.hold({ timeoutMs: 60 })();
    const release = connection.hold({ timeoutMs: 0 });
    await delay(200);
    expect(connection.closed).toBe(false);
    release();
  });

  it('writing goes on while it is held, and close ends it: what comes in is thrown away', async () => {
    const told = recorder();
    const { connection, peer } = await connected(stage.reactor(), told.handler);
    connection.hold();
    connection.write('written');
    expect((await peer.receives(7)).toString()).toBe('written');
    peer.end('unheard');
    await connection.close();
    expect(withoutHangup(told.calls.entries)).toEqual(['open', 'close local']);
  });

  it('a loop over the chunks waits for the release too', async () => {
    const { connection, peer } = await connected(stage.reactor());
    const release = connection.hold();
    const next = connection[Symbol.asyncIterator]().next();
    peer.write('x');
    let came = false;
    void next.then(() => {
      came = true;
    });
    await delay(30);
    expect(came).toBe(false);
    release();
    expect((await next).value?.toString()).toBe('x');
  });

  it('release and hold on a connection that is over are nothing', async () => {
    const { connection } = await connected(stage.reactor());
    const release = connection.hold();
    connection.destroy();
    release();
    connection.hold({ timeoutMs: 50 })();
    await closing(connection);
    release();
  });

  it('a time that is none is refused', async () => {
    const { connection } = await connected(stage.reactor());
    expect(thrown(() => connection.hold({ timeoutMs: '1' as never })).code).toBe('ERR_REACTOR_ARGUMENT');
    expect(thrown(() => connection.hold({ timeoutMs: -1 }))).toBeInstanceOf(RangeError);
    expect(connection.flowing).toBe(false);
  });
});
