import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type AcceptHost, AcceptLoop, isTransient } from './accept-loop.js';
import { socketError } from './errors.js';
import { READABLE } from './readiness.js';
import type { ReadinessHandler, Registration } from './registration.js';
import type { Socket } from './socket.js';

/** What a listening socket gives, one `accept` after the other: a connection, a would-block, or an error by its code. */
type Script = ('connection' | 'nothing' | string)[];

function stage(script: Script, options: { budget?: number } = {}) {
  const told: string[] = [];
  const rests: number[] = [];
  let wake: (() => void) | undefined;
  let ready: (() => void) | undefined;
  const registration = {
    interest: 0,
    active: true,
    modify(interest: number) {
      this.interest = interest;
    },
    unregister() {
      this.active = false;
    },
  };
  const host: AcceptHost = {
    register(socket, interest, handler: ReadinessHandler) {
      registration.interest = interest;
      registration.active = true;
      ready = () => handler.readable?.(socket, registration as unknown as Registration);
      return registration as unknown as Registration;
    },
    setTimer(delayMs, callback) {
      rests.push(delayMs);
      wake = callback;
      return { cancel: () => told.push('cancelled') } as never;
    },
  };
  const socket = {
    closed: false,
    // As a backend without descriptors has it: nothing is kept in reserve.
    fileno: () => -1,
    accept() {
      const next = script.shift() ?? 'nothing';
      if (next === 'nothing') return null;
      if (next === 'connection') return {};
      throw socketError(next, 'accept');
    },
    close() {
      this.closed = true;
      told.push('closed');
    },
  };
  const counters = { acceptFailures: 0, shed: 0 };
  const loop = new AcceptLoop(
    host,
    socket as unknown as Socket,
    {
      accepted: () => void told.push('accepted'),
      starved: (error, first) => {
        if (first) told.push((error as NodeJS.ErrnoException).code ?? '');
      },
    },
    { budget: options.budget ?? 8, counters },
  );
  loop.resume();
  return { loop, told, rests, counters, registration, socket, turn: () => ready?.(), over: () => wake?.() };
}

const noCounters = () => ({ acceptFailures: 0, shed: 0 });

describe('the accept loop', () => {
  it('tries the next connection when one is lost or refused (51, A1)', () => {
    const lost = ['ECONNABORTED', 'ECONNRESET', 'EPROTO', 'EINTR', 'EPERM', 'ENETDOWN', 'EHOSTUNREACH'];
    const { told, rests, turn, counters } = stage([...lost, 'connection', 'ECONNABORTED', 'connection'], {
      budget: 20,
    });
    turn();
    expect(told).toEqual(['accepted', 'accepted']);
    expect(rests).toEqual([]);
    expect(counters.acceptFailures).toBe(0);
  });

  it('knows which errors concern one connection only (51)', () => {
    for (const code of ['ECONNABORTED', 'ENONET', 'ENOPROTOOPT', 'EOPNOTSUPP', 'ENETUNREACH', 'EHOSTDOWN'])
      expect(isTransient({ code })).toBe(true);
    for (const code of ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EBADF', 'EINVAL', 'ENOTSOCK'])
      expect(isTransient({ code })).toBe(false);
    for (const error of [null, undefined, new Error('?')]) expect(isTransient(error)).toBe(false);
  });

  it('a budget of nothing but refusals is a failure: what refuses them does not take them away', () => {
    const { told, rests, turn, registration } = stage(['EPERM', 'EPERM', 'EPERM', 'EPERM', 'EPERM'], { budget: 4 });
    turn();
    expect([told, rests, registration.interest]).toEqual([['EPERM'], [100], 0]);
  });

  it('a storm of lost connections is none, and keeps to the budget of a turn (51, A1)', () => {
    const { told, rests, turn } = stage([...Array<string>(9).fill('ECONNABORTED'), 'connection'], { budget: 4 });
    for (let i = 0; i < 2; i += 1) {
      turn();
      expect([told, rests]).toEqual([[], []]);
    }
    turn();
    expect([told, rests]).toEqual([['accepted'], []]);
  });

  it.each(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EINVAL'])('rests after %s, once for each failure (A3)', (code) => {
    const { told, rests, turn, over, registration, counters } = stage([code, code, code, code, code, code]);
    for (let i = 0; i < 6; i += 1) {
      turn();
      expect(registration.interest).toBe(0);
      over();
      expect(registration.interest).toBe(READABLE);
    }
    expect(rests).toEqual([100, 200, 400, 800, 1000, 1000]);
    expect(told).toEqual([code]);
    expect(counters.acceptFailures).toBe(6);
  });

  it('a success ends the episode: the next failure is told, and its rest is short again (A3)', () => {
    const { told, rests, turn, over } = stage(['EMFILE', 'EMFILE', 'connection', 'EMFILE']);
    turn();
    over();
    turn();
    over();
    turn();
    expect([told, rests]).toEqual([
      ['EMFILE', 'accepted', 'EMFILE'],
      [100, 200, 100],
    ]);
  });

  it('stays paused, or at rest, when another one has armed its socket', () => {
    const { loop, told, turn, registration } = stage(['connection', 'EMFILE', 'connection']);
    loop.pause();
    registration.modify(READABLE);
    turn();
    expect([told, registration.interest]).toEqual([[], 0]);
    loop.resume();
    turn();
    registration.modify(READABLE);
    turn();
    expect([told, registration.interest]).toEqual([['accepted', 'EMFILE'], 0]);
  });

  it('resume and pause during a rest begin and end nothing before it is over', () => {
    const { loop, turn, over, registration } = stage(['EMFILE', 'connection']);
    turn();
    loop.resume();
    expect(registration.interest).toBe(0);
    loop.pause();
    over();
    expect(registration.interest).toBe(0);
    loop.resume();
    expect(registration.interest).toBe(READABLE);
  });

  it('a socket that cannot be watched is closed, and what was kept in reserve with it (D23)', () => {
    const before = readdirSync('/proc/self/fd').length;
    let closed = 0;
    const socket = { closed: false, fileno: () => 7, close: () => (closed += 1) } as unknown as Socket;
    const host: AcceptHost = {
      register() {
        throw socketError('ENOSPC', 'epoll_ctl');
      },
      setTimer: () => undefined as never,
    };
    const loop = new AcceptLoop(host, socket, { accepted() {}, starved() {} }, { budget: 1, counters: noCounters() });
    expect(() => loop.resume()).toThrow('ENOSPC');
    expect([closed, readdirSync('/proc/self/fd').length]).toEqual([1, before]);
  });

  it('all loops share one descriptor in reserve; the last one to stop gives it back (A3)', () => {
    const before = readdirSync('/proc/self/fd').length;
    const loops = [1, 2, 3].map(() => {
      const socket = { closed: false, fileno: () => 7, close() {} } as unknown as Socket;
      return new AcceptLoop(
        {} as AcceptHost,
        socket,
        { accepted() {}, starved() {} },
        { budget: 1, counters: noCounters() },
      );
    });
    for (const loop of loops) {
      expect(readdirSync('/proc/self/fd').length).toBe(before + 1);
      loop.stop();
    }
    expect(readdirSync('/proc/self/fd').length).toBe(before);
  });

  it('stop ends the rest, closes the socket once, and nothing begins again', () => {
    const { loop, told, turn, over, registration } = stage(['EMFILE', 'connection']);
    turn();
    loop.stop();
    loop.stop();
    expect(told).toEqual(['EMFILE', 'cancelled', 'closed']);
    loop.resume();
    over();
    turn();
    expect([registration.active, told.length]).toEqual([false, 3]);
  });
});
