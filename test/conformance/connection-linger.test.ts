/** How long close() gives a peer: as long as it takes what is queued, at a pace that comes to an end. */
import type { Connection, Reactor } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { connected } from '../support/connections.js';
import { digest, pattern } from '../support/sockets.js';

const KIB = 1024;

/** A connection, and its peer as a bare socket that takes at most `bytes` every `ms`. */
function sipping(reactor: Reactor, bytes: number, ms: number): { connection: Connection; taken: Buffer[] } {
  const [near, far] = reactor.socketPair();
  afterTest(() => far.close());
  const connection = reactor.connection(near);
  const taken: Buffer[] = [];
  const timer = reactor.setTimer(
    ms,
    () => {
      const into = Buffer.alloc(bytes);
      const count = far.recv(into);
      if (count > 0) taken.push(into.subarray(0, count));
      if (count !== 0) return;
      timer.cancel();
      far.close();
    },
    { repeatMs: ms },
  );
  return { connection, taken };
}

describeBackends('connection linger', (stage) => {
  stage.needs('socketPair')('a peer that takes a little now and then is cut off, with its queue (83)', async () => {
    const reactor = stage.reactor();
    const { connection, taken } = sipping(reactor, 8 * KIB, 20);
    // Small, so that what the peer takes is soon seen to leave.
    connection.socket.setOption('sendBuffer', 8 * KIB);
    const data = pattern(4096 * KIB);
    connection.write(data);
    await connection.close({ lingerMs: 150 });
    expect(connection.closed).toBe(true);
    const count = taken.reduce((sum, { length }) => sum + length, 0);
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThan(data.length / 2);
  });

  stage.needs('socketPair')(
    'a long queue that moves is not cut, although it takes many times lingerMs (83)',
    async () => {
      const reactor = stage.reactor();
      const { connection, taken } = sipping(reactor, 64 * KIB, 50);
      const data = pattern(2560 * KIB);
      connection.write(data);
      const began = reactor.now();
      // Sixteen times as long as a sip, of which two are enough: time for a process that is held up in between.
      await connection.close({ lingerMs: 800 });
      expect(digest(Buffer.concat(taken))).toBe(digest(data));
      expect(reactor.now() - began).toBeGreaterThan(2 * 800);
    },
  );

  it('what the peer sends prolongs nothing (83)', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor);
    const timer = reactor.setTimer(20, () => peer.write('.'), { repeatMs: 20 });
    await connection.close({ lingerMs: 100 });
    timer.cancel();
    expect(connection.closed).toBe(true);
  });
});
