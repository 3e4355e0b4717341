/**
 * The states of a socket and what is reported in each (item 87). The rows hold to the bit, hints included; of the
 * emulated backend the three sets are checked.
 */
import { ERROR, READABLE, type Reactor, type Socket, WOULD_BLOCK, WRITABLE } from '@fdset/reactor';
import { describe, expect } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { HINTS, pipe, SETS, STATES, type State } from '../support/socket-states.js';
import { received } from '../support/sockets.js';
import { Log, rounds, thrown } from '../support/waiting.js';

/** What a registration of all three sets is told. */
async function told(reactor: Reactor, socket: Socket): Promise<number> {
  const masks = new Log<number>();
  const registration = reactor.register(socket, SETS, (_socket, readiness, current) => {
    masks.add(readiness);
    current.modify(0);
  });
  await Promise.race([masks.reaches(1), rounds(30)]);
  registration.unregister();
  return masks.entries[0] ?? 0;
}

function sets(socket: Socket, mask: number): Socket[][] {
  return [READABLE, WRITABLE, ERROR].map((bit) => ((mask & bit) === 0 ? [] : [socket]));
}

describeBackends('readiness states', (stage) => {
  const bits = stage.backend === 'emulated' ? SETS : SETS | HINTS;
  describe.each(STATES.map((state) => [state.name, state] as const))('%s', (_name, { make, mask, needs = [] }) => {
    const check = stage.needs(...needs);

    check('is told to a registration (87)', async () => {
      const reactor = stage.reactor({ onHandlerError: () => 'close' });
      const socket = await make(reactor);
      expect((await told(reactor, socket)) & bits).toBe(mask & bits);
    });

    check('is found by select, at once and by waiting (87)', async () => {
      const reactor = stage.reactor();
      const socket = await make(reactor);
      expect(await reactor.select([socket], [socket], [socket], 0)).toEqual(sets(socket, mask));
      expect(await reactor.select([socket], [socket], [socket], 20)).toEqual(sets(socket, mask));
      for (const [i, bit] of [READABLE, WRITABLE, ERROR].entries()) {
        const asked = [0, 1, 2].map((set) => (set === i ? [socket] : [])) as [Socket[], Socket[], Socket[]];
        expect(await reactor.select(...asked, 5)).toEqual(sets(socket, mask & bit));
        if (stage.capabilities.selectSync) expect(reactor.selectSync(...asked, 0)).toEqual(sets(socket, mask & bit));
      }
    });
  });

  stage.needs('hangupWhilePaused')(
    'the error of sending to a peer that has closed is EPIPE, once; the hang-up stays',
    async () => {
      const reactor = stage.reactor();
      const socket = await (STATES.find(({ name }) => name.startsWith('the peer has closed')) as State).make(reactor);
      expect(socket.takeError()).toMatchObject({ code: 'EPIPE' });
      expect(socket.takeError()).toBeNull();
      expect((await told(reactor, socket)) & bits).toBe(READABLE | WRITABLE | HINTS);
    },
  );

  stage.needs('adopt')('pipes carry bytes, and end as streams do (96)', async () => {
    const reactor = stage.reactor();
    const [read, write] = pipe(reactor);
    expect([read.type, read.family]).toEqual(['pipe', 'pipe']);
    expect(read.recv(Buffer.alloc(8))).toBe(WOULD_BLOCK);
    expect(write.sendv([Buffer.from('through '), Buffer.from('a pipe')])).toBe(14);
    write.close();
    expect((await received(reactor, read)).toString()).toBe('through a pipe');
    expect(read.recv(Buffer.alloc(8))).toBe(0);
    const [gone, sender] = pipe(reactor);
    gone.close();
    expect(thrown(() => sender.send(Buffer.from('x')))).toMatchObject({ code: 'EPIPE' });
  });
});
