import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Core, loadCore } from '../../native.js';
import { Reactor } from '../../reactor.js';
import { WRITABLE } from '../../readiness.js';
import type { Socket } from '../../socket.js';

/**
 * The kernel's table is by file and number, ours by socket: where they differ (a number got another file by `dup2`), what
 * was asked for is done nevertheless.
 */
describe.skipIf(typeof loadCore() === 'string')('the epoll table', () => {
  const core = loadCore() as Core;
  const events = new Int32Array(3 * 16);
  let reactor: Reactor;
  let near: Socket;
  let far: Socket;
  let id = -1;

  beforeEach(() => {
    reactor = new Reactor({ backend: 'kernel' });
    [near, far] = reactor.socketPair();
    id = core.openDemultiplexer(() => {}, events, new Int32Array(2 * 16));
  });

  afterEach(() => {
    core.closeDemultiplexer(id);
    near.close();
    far.close();
    reactor.close();
  });

  function told(): number[] {
    return [...events.subarray(0, 3 * core.wait(id, 16))];
  }

  it('takes the later entry where one is there already (D7)', () => {
    const fd = near.fileno();
    expect(core.add(id, fd, 4, 1, WRITABLE)).toBe(0);
    expect(core.add(id, fd, 5, 2, WRITABLE)).toBe(0);
    expect(told()).toEqual([5, 2, WRITABLE]);
  });

  it('makes the entry that a change does not find (D7)', () => {
    expect(core.watch(id, near.fileno(), 6, 3, WRITABLE)).toBe(0);
    expect(told()).toEqual([6, 3, WRITABLE]);
  });

  it('is content where there is nothing to remove', () => {
    const fd = near.fileno();
    expect(core.watch(id, fd, 0, 0, 0)).toBe(0);
    expect(told()).toEqual([]);
  });

  it('refuses a number that is not open, and a table that is closed', () => {
    const fd = near.fileno();
    near.close();
    expect(core.add(id, fd, 0, 0, WRITABLE)).toBeLessThan(0);
    expect(core.add(id + 1000, far.fileno(), 0, 0, WRITABLE)).toBeLessThan(0);
  });

  it('takes any capacity: nothing for 0, and no more than the table of events holds (D21)', () => {
    expect(core.add(id, far.fileno(), 0, 0, WRITABLE)).toBe(0);
    expect(core.wait(id, 0)).toBe(0);
    expect(core.wait(id, 1_000_000)).toBe(1);
  });
});
