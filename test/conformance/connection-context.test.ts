/** asyncContext: an AsyncLocalStorage keeps its value for each connection. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Connection, ConnectionHandler } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { serving } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { Log } from '../support/waiting.js';

describeBackends('connection context', (stage) => {
  it('what open enters holds in all handlers, listeners and what they await, for each connection by itself', async () => {
    const storage = new AsyncLocalStorage<number>();
    const seen = new Log<string>();
    let opened = 0;
    const note = (what: string) => (_connection: Connection) => seen.add(`${what} ${storage.getStore()}`);
    const handler: ConnectionHandler = {
      open(connection) {
        opened += 1;
        storage.enterWith(opened);
        connection.on('data', () => seen.add(`listener ${storage.getStore()}`));
        connection.on('close', () => seen.add(`closed ${storage.getStore()}`));
      },
      async data(connection) {
        seen.add(`data ${storage.getStore()}`);
        await new Promise((resolve) => setImmediate(resolve));
        seen.add(`later ${storage.getStore()}`);
        connection.setIdleTimeout(50);
      },
      timeout(connection) {
        seen.add(`timeout ${storage.getStore()}`);
        connection.setIdleTimeout(0);
        connection.destroy(new Error('over'));
      },
      error: note('error'),
      close: note('close'),
    };
    const { address } = await serving(stage.reactor(), handler, { asyncContext: true });
    const peers = [await NetPeer.connect(address), await NetPeer.connect(address)];
    for (const peer of peers) peer.write('x');
    await seen.reaches(14);
    for (const peer of peers) peer.end();
    const expected = ['data', 'listener', 'later', 'timeout', 'error', 'close', 'closed'];
    for (const i of [1, 2])
      expect(seen.entries.filter((entry) => entry.endsWith(` ${i}`))).toEqual(expected.map((what) => `${what} ${i}`));
    expect(storage.getStore(), 'nothing leaks out').toBeUndefined();
  });

  it('drain and end run in it, and exceptions reach onHandlerError', async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen = new Log<string>();
    const reactor = stage.reactor({
      onHandlerError(error) {
        seen.add(`failed ${(error as Error).message}`);
        return 'close';
      },
    });
    const { address } = await serving(
      reactor,
      {
        open(connection) {
          storage.enterWith('mine');
          connection.write(Buffer.alloc(8 * 1024 * 1024));
        },
        drain: () => seen.add(`drain ${storage.getStore()}`),
        end() {
          seen.add(`end ${storage.getStore()}`);
          throw new Error('thrown');
        },
        data: () => {},
      },
      { asyncContext: true, maxBufferedBytes: 16 * 1024 * 1024 },
    );
    const peer = await NetPeer.connect(address);
    await seen.reaches(1);
    peer.end();
    await seen.reaches(3);
    expect(seen.entries).toEqual(['drain mine', 'end mine', 'failed thrown']);
    expect(await peer.closed).toMatch(/clean|ECONNRESET/);
  });
});
