/** A chunk whose memory was given to another thread before it had left: the connection ends with an error and does not spin. */
import type { Connection } from '@fdset/reactor';
import { describe, expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { closing, connected, recorder } from '../support/connections.js';
import { rejection, rounds } from '../support/waiting.js';

/** A chunk with memory of its own, and what takes it away. */
function lent(bytes: number): { chunk: Uint8Array; transfer(): void } {
  const chunk = new Uint8Array(bytes).fill(120);
  return { chunk, transfer: () => void structuredClone(chunk.buffer, { transfer: [chunk.buffer] }) };
}

describeBackends('a chunk that is transferred while it is queued', (stage) => {
  const ways: [string, (connection: Connection) => void][] = [
    [
      'by itself',
      (connection) => {
        const { chunk, transfer } = lent(100);
        connection.write(chunk);
        transfer();
      },
    ],
    [
      'among others',
      (connection) => {
        const { chunk, transfer } = lent(100);
        connection.write('before');
        connection.write(chunk);
        connection.write('behind');
        transfer();
      },
    ],
    [
      'as the first of several',
      (connection) => {
        const { chunk, transfer } = lent(100);
        connection.write(chunk);
        connection.write('behind');
        transfer();
      },
    ],
    [
      'as the last, before the end',
      (connection) => {
        const { chunk, transfer } = lent(100);
        connection.write('before');
        connection.write(chunk);
        transfer();
        connection.end();
      },
    ],
    [
      'too long for the outbox, among others',
      (connection) => {
        const { chunk, transfer } = lent(20_000);
        connection.write(Buffer.alloc(20_000));
        connection.write(chunk);
        transfer();
      },
    ],
  ];

  describe.each(ways)('%s', (_where, write) => {
    it('ends its connection with ERR_REACTOR_BUFFER, once, and none of that turn is sent', async () => {
      const told = recorder();
      const { connection, peer } = await connected(stage.reactor(), told.handler);
      write(connection);
      const flushed = rejection(connection.flushed());
      await closing(connection);
      expect(told.calls.entries).toEqual(['open', 'error ERR_REACTOR_BUFFER', 'close error']);
      expect(await flushed).toMatchObject({ code: 'ERR_REACTOR_BUFFER' });
      await peer.ended;
      expect(peer.received.length).toBe(0);
    });
  });

  it('behind a short send: told when there is room again at the latest, and no turn is spent on waiting for it', async () => {
    const reactor = stage.reactor();
    const told = recorder();
    const { connection, peer } = await connected(reactor, told.handler, { paused: true });
    const { chunk, transfer } = lent(12 << 20);
    connection.write(chunk);
    await rounds(10);
    expect(connection.bufferedBytes).toBeGreaterThan(0);
    transfer();
    await rounds(10);
    const { turns } = reactor.metrics;
    await rounds(50);
    expect(reactor.metrics.turns - turns).toBeLessThan(10);
    peer.read();
    await told.calls.reaches(3);
    expect(told.calls.entries).toEqual(['open', 'error ERR_REACTOR_BUFFER', 'close error']);
  });

  it('after the peer’s end: no clean close hides that its bytes were lost', async () => {
    const told = recorder();
    const { connection, peer } = await connected(stage.reactor(), told.handler, { allowHalfOpen: true });
    peer.end();
    await told.calls.reaches(2);
    const { chunk, transfer } = lent(100);
    connection.write(chunk);
    transfer();
    connection.end();
    await closing(connection);
    expect(told.calls.entries).toEqual(['open', 'end', 'error ERR_REACTOR_BUFFER', 'close error']);
  });
});
