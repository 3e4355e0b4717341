/** Parked registrations and hang-ups: what nobody asked for must cost nothing. */
import { ERROR, READ_CLOSED, READABLE, type Registration, type Socket, WRITABLE } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { closing, connected, recorder } from '../support/connections.js';
import { arrived, filled, owned, pair, withPeer } from '../support/sockets.js';
import { delay, Log, rounds, thrown } from '../support/waiting.js';

const nothing = () => {};

describeBackends('parking', (stage) => {
  it('interest 0 parks: nothing is reported, and a hung-up socket costs no turn', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    const called = new Log<number>();
    const registration = reactor.register(socket, 0, (_socket, readiness) => called.add(readiness));
    peer.write('unread');
    await arrived(socket, 6);
    peer.reset();
    await peer.closed;
    await rounds(20);
    const { turns } = reactor.metrics;
    await delay(100);
    expect(reactor.metrics.turns - turns).toBeLessThanOrEqual(1);
    expect(called.entries).toEqual([]);
    expect(registration.active).toBe(true);
    registration.modify(READABLE);
    await called.reaches(1);
    expect((called.entries[0] as number) & READABLE).toBe(READABLE);
    socket.close();
  });

  it('an interest that a hang-up does not serve does not spin either', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    socket.shutdown('write');
    peer.end();
    await peer.closed;
    const called = new Log<number>();
    // Both sides are shut: the kernel reports HUP whatever is asked for.
    reactor.register(socket, ERROR, { error: () => called.add(ERROR) });
    await rounds(20);
    const { turns } = reactor.metrics;
    await delay(100);
    expect(reactor.metrics.turns - turns).toBeLessThanOrEqual(1);
    expect(called.entries).toEqual([]);
  });

  stage.needs('socketPair')(
    'room to send behind a hang-up is told, to a registration and to a select, and waiting for it does not spin',
    async () => {
      const reactor = stage.reactor();
      const [near, far] = reactor.socketPair().map(owned) as [Socket, Socket];
      const taken = filled(near);
      near.shutdown('write');
      far.shutdown('write');
      const called = new Log<number>();
      reactor.register(near, WRITABLE, (_socket, readiness, registration) => {
        called.add(readiness);
        registration.unregister();
      });
      const selected = reactor.select([], [near], []);
      await rounds(20);
      const { turns } = reactor.metrics;
      await delay(120);
      expect(reactor.metrics.turns - turns).toBeLessThanOrEqual(12);
      expect(called.entries).toEqual([]);
      const into = Buffer.alloc(taken);
      for (let received = 0; received < taken; received += far.recv(into));
      expect(await selected).toEqual([[], [near], []]);
      await called.reaches(1);
      expect((called.entries[0] as number) & WRITABLE).toBe(WRITABLE);
    },
  );

  stage.needs('hangupWhilePaused')('READ_CLOSED alone is told once, and again after modify (77)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    const hangups = new Log<number>();
    const registration = reactor.register(socket, READ_CLOSED, {
      hangup: (_socket, current) => hangups.add(current.readiness),
    });
    peer.write('unread');
    await arrived(socket, 6);
    expect(hangups.entries).toEqual([]);
    peer.end();
    await hangups.reaches(1);
    expect((hangups.entries[0] as number) & READ_CLOSED).toBe(READ_CLOSED);
    await rounds(20);
    const { turns } = reactor.metrics;
    await delay(50);
    expect(hangups.entries).toHaveLength(1);
    expect(reactor.metrics.turns - turns).toBeLessThanOrEqual(1);
    registration.modify(READ_CLOSED);
    await hangups.reaches(2);
    expect(socket.recv(Buffer.alloc(16))).toBe(6);
  });

  stage.needs('hangupWhilePaused')(
    'a modify within the report asks for READ_CLOSED anew, for a function as for a handler (77)',
    async () => {
      const reactor = stage.reactor();
      for (const form of ['function', 'handler'] as const) {
        const { socket, peer } = await withPeer(reactor);
        const told = new Log<string>();
        const hear = (_socket: unknown, registration: Registration) => {
          told.add(form);
          if (told.entries.length < 3) registration.modify(READ_CLOSED);
        };
        if (form === 'handler') reactor.register(socket, READ_CLOSED, { hangup: hear });
        else reactor.register(socket, READ_CLOSED, (ready, _readiness, registration) => hear(ready, registration));
        peer.end();
        await told.reaches(3);
        await rounds(20);
        expect(told.entries).toHaveLength(3);
      }
    },
  );

  stage.needs('hangupWhilePaused')(
    'READ_CLOSED beside READABLE is told once, while the input is told on (77)',
    async () => {
      const reactor = stage.reactor();
      const { socket, peer } = await withPeer(reactor);
      const told = new Log<string>();
      reactor.register(socket, READABLE | READ_CLOSED, {
        readable(ready, registration) {
          told.add(`readable ${ready.recv(Buffer.alloc(2))}`);
          // Behind the hang-up, which this very report may bring: the end may come when all the input was read.
          if (told.entries.at(-1) === 'readable 0') queueMicrotask(() => registration.unregister());
        },
        hangup: () => told.add('hangup'),
      });
      peer.end('abcdef');
      await told.reaches(5);
      await rounds(10);
      expect(told.entries.filter((entry) => entry !== 'hangup')).toEqual(
        [2, 2, 2, 0].map((count) => `readable ${count}`),
      );
      expect(told.entries.filter((entry) => entry === 'hangup')).toHaveLength(1);
    },
  );

  stage.needs('hangupWhilePaused')(
    'a paused connection is told of its peer’s hang-up once, and then costs nothing (77, 86)',
    async () => {
      const reactor = stage.reactor();
      const told = recorder();
      const { connection, peer } = await connected(reactor, told.handler);
      connection.pause();
      peer.end('unread');
      await told.calls.reaches(2);
      await rounds(20);
      const { turns } = reactor.metrics;
      await delay(50);
      expect(reactor.metrics.turns - turns).toBeLessThanOrEqual(1);
      expect(told.calls.entries).toEqual(['open', 'hangup']);
      connection.resume();
      await closing(connection);
      expect(told.calls.entries).toEqual(['open', 'hangup', 'data unread', 'end', 'close peer']);
    },
  );

  if (!stage.capabilities.hangupWhilePaused)
    it('READ_CLOSED alone is refused with ENOTSUP, which names the capability', async () => {
      const reactor = stage.reactor();
      const [socket] = await pair(reactor);
      const error = thrown(() => reactor.register(socket, READ_CLOSED, { hangup: nothing }));
      expect(error).toMatchObject({ code: 'ENOTSUP' });
      expect(error.message).toContain("'hangupWhilePaused'");
      expect(reactor.registrationOf(socket)).toBeUndefined();
    });
});
