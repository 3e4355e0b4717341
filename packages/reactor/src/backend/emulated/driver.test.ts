/** When turns begin, and what keeps the process. */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { READABLE, WRITABLE } from '../../readiness.js';
import { host, hostEachTest, into, until } from './test-host.js';

hostEachTest();

const FAR_MS = 600_000;

describe('the driver', () => {
  test('a ready socket starts turns, from the top of the stack, until it is read; then there are none', async () => {
    const { socket, peer } = await host.accepted();
    let turns = 0;
    let inWatch = true;
    peer.write('x');
    await host.ready(socket, READABLE);
    await new Promise<void>((resolve) => {
      host.watch(socket, READABLE, () => {
        expect(inWatch).toBe(false);
        if (++turns < 5) return;
        socket.recv(into);
        resolve();
      });
      inWatch = false;
    });
    const before = host.turns;
    await sleep(50);
    expect(host.turns).toBe(before);
  });

  test('when nothing is ready, due or posted there is no turn', async () => {
    const { socket } = await host.accepted();
    const { socket: listener } = await host.listener();
    host.watch(socket, READABLE, () => {});
    host.watch(listener, READABLE, () => {});
    await sleep(20);
    const before = host.turns;
    const rounds = loopRounds();
    await sleep(100);
    expect(host.turns).toBe(before);
    // A loop that does not sleep goes round thousands of times; the runner's own timers take a few.
    expect(loopRounds() - rounds).toBeLessThan(50);
  });

  test('what is no longer ready when the turn would begin starts none', async () => {
    const { socket } = await host.accepted();
    const before = host.turns;
    host.unwatch(host.watch(socket, WRITABLE, () => {}));
    host.watch(socket, WRITABLE, () => {});
    socket.close();
    await sleep(20);
    expect(host.turns).toBe(before);
  });

  test('posts before a turn are one; a post within a turn starts the next', async () => {
    const { driver } = host.backend;
    driver.post();
    driver.post();
    expect(host.turns).toBe(0);
    await until(() => host.turns > 0);
    await sleep(20);
    expect(host.turns).toBe(1);
    host.onTurn = () => {
      if (host.turns === 2) driver.post();
    };
    driver.post();
    await until(() => host.turns > 2);
    await sleep(20);
    expect(host.turns).toBe(3);
  });

  test('a deadline starts a turn when it is due and not before; the latest one counts', async () => {
    const { driver } = host.backend;
    let at = 0;
    const began = driver.now();
    host.onTurn = () => {
      at = driver.now();
      driver.schedule(Number.POSITIVE_INFINITY);
    };
    driver.schedule(began + 5);
    // So far off that no machine wakes too late for it.
    driver.schedule(began + FAR_MS);
    await sleep(25);
    expect(host.turns).toBe(0);
    const due = driver.now() + 40.5;
    driver.schedule(due);
    await until(() => host.turns > 0);
    expect(host.turns).toBe(1);
    expect(at).toBeGreaterThanOrEqual(due);
    driver.schedule(driver.now() + FAR_MS);
    driver.schedule(driver.now() + 5);
    await until(() => host.turns > 1);
    driver.schedule(driver.now() + 5);
    driver.schedule(Number.POSITIVE_INFINITY);
    await sleep(40);
    expect(host.turns).toBe(2);
  });

  test('a deadline beyond the longest timer is not due at once; one that has passed starts turns until it is moved', async () => {
    const { driver } = host.backend;
    const warned = vi.fn();
    process.on('warning', warned);
    driver.schedule(driver.now() + 2 ** 40);
    await sleep(30);
    process.off('warning', warned);
    expect(warned).not.toHaveBeenCalled();
    expect(host.turns).toBe(0);
    host.onTurn = () => {
      if (host.turns === 3) driver.schedule(Number.POSITIVE_INFINITY);
    };
    driver.schedule(driver.now() - 1);
    expect(host.turns).toBe(0);
    await until(() => host.turns > 2);
    await sleep(30);
    expect(host.turns).toBe(3);
  });

  /** How often the event loop has gone round. */
  function loopRounds(): number {
    return performance.nodeTiming.uvMetricsInfo.loopCount;
  }

  /** What keeps this process alive, by kind. */
  function keeping(): string[] {
    return process.getActiveResourcesInfo().filter((name) => /TCP(Socket|Server)|Timeout|Immediate/.test(name));
  }

  test('sockets, watched or not, keep no process alive: only hold does', async () => {
    const { socket, peer } = await host.accepted();
    const { socket: listener } = await host.listener();
    const client = host.socket();
    client.connect(listener.localAddress!);
    await host.ready(client, WRITABLE);
    host.watch(socket, READABLE, () => {});
    await host.ready(listener, READABLE);
    host.watch(listener, READABLE, () => {});
    listener.accept()?.close();
    peer.unref();
    // What closes, and the turn that was begun for the listener, are there for a few rounds.
    await until(() => !keeping().some((name) => /TCP|Immediate/.test(name)));
    const { driver } = host.backend;
    driver.release();
    driver.release();
    const released = keeping();
    expect(released.filter((name) => name.startsWith('TCP'))).toEqual([]);
    driver.schedule(driver.now() + 10_000);
    expect(keeping()).toEqual(released);
    driver.hold();
    driver.hold();
    expect(keeping()).toHaveLength(released.length + 1);
    driver.release();
    expect(keeping()).toEqual(released);
    driver.hold();
    expect(keeping()).toHaveLength(released.length + 1);
  });

  test('a socket that is ready all the time is served without hold, and does not keep the process either', async () => {
    const { socket, peer } = await host.accepted();
    peer.unref();
    host.backend.driver.release();
    let turns = 0;
    const slot = host.watch(socket, WRITABLE, () => {
      turns++;
    });
    await until(() => turns > 10);
    expect(keeping().filter((name) => name !== 'Timeout')).toEqual([]);
    host.unwatch(slot);
  });

  test('after dispose there are no turns, and nothing of it is left', async () => {
    const { socket } = await host.accepted();
    const { driver } = host.backend;
    const slot = host.watch(socket, WRITABLE, () => {});
    driver.schedule(driver.now() + 5);
    driver.post();
    host.backend[Symbol.dispose]();
    host.backend[Symbol.dispose]();
    expect(keeping().filter((name) => name === 'Immediate')).toEqual([]);
    const before = host.turns;
    await sleep(30);
    expect(host.turns).toBe(before);
    host.unwatch(slot);
    expect(socket.closed).toBe(false);
  });
});
