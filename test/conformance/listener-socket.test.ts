/** A listener whose socket is closed or given away beneath it has ended, as by its own close. */
import type { Listener } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { serving } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { accepted, owned } from '../support/sockets.js';
import { Log, once, rejection, rounds, until } from '../support/waiting.js';

/** What the listener tells, in order. */
function events(listener: Listener): Log<string> {
  const told = new Log<string>();
  for (const event of ['error', 'drop', 'close'] as const) listener.on(event, () => told.add(event));
  return told;
}

describeBackends('a socket that is closed beneath its listener', (stage) => {
  it.each(['accepting', 'paused', 'full'])('ends a listener that is %s, which tells it once', async (state) => {
    const reactor = stage.reactor();
    const abort = new AbortController();
    const options = { signal: abort.signal, ...(state === 'full' ? { maxConnections: 1 } : {}) };
    const { listener, address, next } = await serving(reactor, {}, options);
    const [peer, connection] = await Promise.all([NetPeer.connect(address), next()]);
    if (state === 'paused') listener.pause();
    const told = events(listener);
    const closed = once(listener, 'close');
    listener.socket.close();
    // Not from within the socket's close.
    expect(told.entries).toEqual([]);
    await closed;
    expect((await rejection(NetPeer.connect(address))).message).toContain('ECONNREFUSED');
    connection.write('stays');
    expect((await peer.receives(5)).toString()).toBe('stays');
    connection.destroy();
    await listener.close();
    abort.abort();
    await rounds(1);
    expect(told.entries).toEqual(['close']);
    expect(reactor.metrics.registrations).toBe(0);
  });

  it('is closed once, also where its listener’s close handler closes it again and throws', async () => {
    const raised: unknown[] = [];
    const { listener } = await serving(stage.reactor());
    listener.on('close', () => {
      listener.socket.close();
      throw new Error('thrown by close');
    });
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => raised.push(error));
    afterTest(() => {
      process.removeAllListeners('uncaughtException');
      for (const each of before) process.on('uncaughtException', each);
    });
    listener.socket.close();
    expect(listener.socket.closed).toBe(true);
    await until(() => raised.length > 0);
    expect(raised).toMatchObject([{ message: 'thrown by close' }]);
  });

  it('by the policy for a handler that threw ends the listener', async () => {
    const reactor = stage.reactor({ onHandlerError: () => 'close' });
    const { listener, address } = await serving(reactor, {}, { maxConnections: 1, overload: 'close' });
    listener.on('drop', () => {
      throw new Error('thrown by drop');
    });
    const closed = once(listener, 'close');
    await NetPeer.connect(address);
    await NetPeer.connect(address);
    await closed;
    expect(listener.socket.closed).toBe(true);
  });

  stage.needs('rawDescriptors', 'adopt')('and given away: the descriptor listens on', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await serving(reactor);
    const closed = once(listener, 'close');
    const socket = owned(reactor.adopt(listener.socket.detach()));
    await closed;
    await NetPeer.connect(address);
    await accepted(reactor, socket);
  });
});
