/** The `faults` option itself: what it takes, what it refuses, and that its faults come again. */
import { type FaultOptions, type InjectedFault, Reactor, replayFaults, type Socket, WOULD_BLOCK } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { runNode } from '../support/node-process.js';
import { owned } from '../support/sockets.js';
import { Log, thrown } from '../support/waiting.js';

const wrong = (value: unknown) => value as FaultOptions;

describeBackends(
  'the faults option',
  (stage) => {
    it.each([
      ['no object', wrong(null), TypeError, 'faults must be an object, got null'],
      ['no calls', wrong({ seed: 1 }), TypeError, 'faults.calls must be an object, got undefined'],
      ['calls at the top', wrong({ send: { short: 1 } }), TypeError, "faults knows seed, calls, onFault; got 'send'"],
      ['half a seed', { seed: 0.5, calls: {} }, TypeError, 'faults.seed must be an integer, got 0.5'],
      ['a callback that is none', wrong({ calls: {}, onFault: 1 }), TypeError, 'faults.onFault must be a function'],
      ['an unknown call', wrong({ calls: { sent: {} } }), TypeError, 'faults.calls knows *, socket, socketpair, bind'],
      ['an unknown error', wrong({ calls: { send: { ENOPE: 1 } } }), TypeError, "got 'ENOPE'"],
      [
        'an error that the call cannot have',
        wrong({ calls: { epoll_wait: { ECONNRESET: 1 } } }),
        TypeError,
        "faults.calls.epoll_wait knows short, EINTR; got 'ECONNRESET'",
      ],
      ['an unknown error for all', wrong({ calls: { '*': { EEK: 1 } } }), TypeError, "faults.calls['*'] knows"],
      [
        'a probability in a string',
        wrong({ calls: { send: { short: '1' } } }),
        TypeError,
        'short must be a probability',
      ],
      ['a probability above 1', { calls: { send: { short: 1.5 } } }, RangeError, 'from 0 to 1 or an array of numbers'],
      ['a negative probability for all', { calls: { '*': { EINTR: -1 } } }, RangeError, "calls['*'].EINTR must be"],
      ['NaN', { calls: { send: { EAGAIN: Number.NaN } } }, RangeError, 'got NaN'],
      ['call number 0', { calls: { send: { EAGAIN: [3, 0] } } }, RangeError, 'counted from 1, got 0 in it'],
    ] as [string, FaultOptions, typeof TypeError | typeof RangeError, string][])(
      'refuses %s',
      (_what, faults, kind, message) => {
        const error = thrown(() => new Reactor({ backend: 'kernel', faults }));
        expect(error).toBeInstanceOf(kind);
        expect(error).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT', message: expect.stringContaining(message) });
      },
    );

    /** The counts that 40 sends of 1000 bytes gave, -2 for an error; and what was injected. */
    function record(faults: Omit<FaultOptions, 'onFault'>): { counts: number[]; injected: InjectedFault[] } {
      const injected: InjectedFault[] = [];
      const reactor = stage.reactor({ faults: { ...faults, onFault: (fault) => injected.push(fault) } });
      const [near, far] = reactor.socketPair().map(owned) as [Socket, Socket];
      const counts = Array.from({ length: 40 }, () => {
        let count = -2;
        try {
          count = near.send(Buffer.alloc(1000));
        } catch {}
        far.recv(Buffer.alloc(2000));
        return count;
      });
      return { counts, injected: injected.map((fault) => ({ ...fault, fd: 0 })) };
    }

    const CALLS = { send: { short: 0.3, EAGAIN: 0.1, ENOMEM: 0.1 }, recv: { EAGAIN: 0.2 } };

    it('the same seed injects the same faults, another one others (102)', () => {
      const first = record({ seed: 5, calls: CALLS });
      expect(first.injected.length).toBeGreaterThan(5);
      expect(new Set(first.injected.map(({ fault }) => fault))).toEqual(new Set(['short', 'EAGAIN', 'ENOMEM']));
      expect(record({ seed: 5, calls: CALLS })).toEqual(first);
      expect(record({ seed: 6, calls: CALLS }).counts).not.toEqual(first.counts);
    });

    it('what was injected can be injected again (102)', () => {
      const first = record({ seed: 9, calls: CALLS });
      expect(record({ seed: 9, calls: replayFaults(first.injected) })).toEqual(first);
    });

    it('a probability is kept, and so are the numbers of calls', () => {
      const injected = new Log<InjectedFault>();
      const reactor = stage.reactor({
        faults: { calls: { recv: { EAGAIN: 0.25, ENOMEM: [100, 101] } }, onFault: (fault) => injected.add(fault) },
      });
      const [near] = reactor.socketPair().map(owned) as [Socket, Socket];
      for (let i = 0; i < 4000; i += 1) {
        try {
          expect(near.recv(Buffer.alloc(1))).toBe(WOULD_BLOCK);
        } catch (error) {
          expect(error).toMatchObject({ code: 'ENOMEM' });
        }
      }
      const again = injected.entries.filter(({ fault }) => fault === 'EAGAIN');
      // 1000 are expected; the draw is the seed's, so this either holds or does not.
      expect(again.length).toBeGreaterThan(900);
      expect(again.length).toBeLessThan(1100);
      expect(injected.entries.filter(({ fault }) => fault === 'ENOMEM').map(({ number }) => number)).toEqual([
        100, 101,
      ]);
      expect(injected.entries[0]).toEqual({
        call: 'recv',
        fault: 'EAGAIN',
        number: expect.any(Number),
        fd: near.fileno(),
      });
    });

    it('what onFault throws is raised, and costs the call nothing', async () => {
      const { code, lines } = await runNode(
        `
        import { Reactor } from '@fdset/reactor';
        process.on('uncaughtException', (error) => console.log(error.message));
        const onFault = () => { throw new Error('from onFault'); };
        const reactor = new Reactor({ faults: { calls: { send: { short: [1] } }, onFault } });
        const [near, far] = reactor.socketPair();
        console.log(near.send(Buffer.alloc(100)) < 100, near.send(Buffer.alloc(100)));`,
        { backend: 'kernel' },
      );
      expect({ code, lines }).toEqual({ code: 0, lines: ['true 100', 'from onFault'] });
    });
  },
  { only: 'kernel' },
);

describeBackends(
  'the faults option',
  () => {
    it('is refused by name where the backend has no system calls of its own', () => {
      expect(thrown(() => new Reactor({ backend: 'emulated', faults: { calls: {} } }))).toMatchObject({
        code: 'ENOTSUP',
        message: expect.stringContaining("the emulated backend lacks the capability 'faults'"),
      });
    });
  },
  { only: 'emulated' },
);
