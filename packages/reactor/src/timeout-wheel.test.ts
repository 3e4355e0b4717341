/** The wheel by itself, under a clock that the test turns. */
import { describe, expect, it } from 'vitest';
import { type TimeoutOwner, Timeouts } from './connection/timeouts.js';
import { TICK_MS, TimeoutWheel, WheelEntry } from './timeout-wheel.js';

class Clock {
  now = 1_000_000.25;
  rearms = 0;
  readonly wheel = new TimeoutWheel({
    now: () => this.now,
    rearm: () => {
      this.rearms += 1;
    },
  });

  /** As the dispatcher does: sweeps whenever it is due, until `ms` have passed. Returns the count of sweeps. */
  advance(ms: number): number {
    const end = this.now + ms;
    let sweeps = 0;
    while (this.wheel.due <= end) {
      this.now = Math.max(this.now, this.wheel.due);
      this.wheel.sweep(this.now);
      sweeps += 1;
    }
    this.now = end;
    return sweeps;
  }
}

class Probe extends WheelEntry {
  looks = 0;

  constructor(readonly answer: (now: number) => number) {
    super();
  }

  look(now: number): number {
    this.looks += 1;
    return this.answer(now);
  }
}

const never = () => Number.POSITIVE_INFINITY;

describe('the timeout wheel', () => {
  it('nothing expires early, and all within a tick, near and far beyond the ring (84)', () => {
    const clock = new Clock();
    const began = clock.now;
    for (const ms of [0, 1, 49, 50, 51, 100, 1234, 25_549, 25_600, 25_601, 60_000, 3_600_000]) {
      clock.wheel.after(ms, () => {
        const late = clock.now - began - ms;
        expect(late, `${ms} ms`).toBeGreaterThanOrEqual(0);
        expect(late, `${ms} ms`).toBeLessThanOrEqual(TICK_MS);
      });
    }
    clock.advance(3_700_000);
    expect(clock.wheel.size).toBe(0);
  });

  it('is due never while nothing is linked, and rearms when the first comes and the last goes', () => {
    const clock = new Clock();
    expect(clock.wheel.due).toBe(Number.POSITIVE_INFINITY);
    const first = clock.wheel.after(1000, () => {});
    const second = clock.wheel.after(2000, () => {});
    expect(clock.rearms).toBe(1);
    first.cancel();
    first.cancel();
    second.cancel();
    expect(clock.wheel.size).toBe(0);
    expect(clock.wheel.due).toBe(Number.POSITIVE_INFINITY);
    expect(clock.rearms).toBe(2);
    expect(clock.advance(100_000)).toBe(0);
  });

  it('a look may unlink any other entry, of the same slot too, and link new ones (D14)', () => {
    const clock = new Clock();
    const looked: string[] = [];
    const entries: Probe[] = [];
    for (let i = 0; i < 5; i += 1) {
      entries.push(
        new Probe(() => {
          looked.push(`${i}`);
          for (const other of entries) clock.wheel.unlink(other);
          clock.wheel.after(0, () => looked.push(`after ${i}`));
          return Number.POSITIVE_INFINITY;
        }),
      );
    }
    for (const entry of entries) clock.wheel.link(entry, clock.now + 120);
    clock.advance(1000);
    expect(looked).toEqual(['4', 'after 4']);
    expect(clock.wheel.size).toBe(0);
  });

  it('a link moves what was linked before, to earlier and to later', () => {
    const clock = new Clock();
    const probe = new Probe(never);
    const began = clock.now;
    clock.wheel.link(probe, began + 5000);
    clock.wheel.link(probe, began + 100);
    clock.wheel.link(probe, began + 3000);
    expect(clock.wheel.size).toBe(1);
    clock.advance(2900);
    expect(probe.looks).toBe(0);
    clock.advance(200);
    expect(probe.looks).toBe(1);
  });

  it('an entry that always says now is looked at once a tick, not for ever', () => {
    const clock = new Clock();
    const probe = new Probe((now) => now);
    clock.wheel.link(probe, clock.now);
    clock.advance(10 * TICK_MS);
    expect(probe.looks).toBeLessThanOrEqual(11);
    expect(probe.looks).toBeGreaterThanOrEqual(9);
  });

  it('a clock that has jumped far ahead sweeps each entry once', () => {
    const clock = new Clock();
    const probes = Array.from({ length: 100 }, () => new Probe(never));
    for (const [i, probe] of probes.entries()) clock.wheel.link(probe, clock.now + i * 400);
    clock.now += 86_400_000;
    clock.wheel.sweep(clock.now);
    expect(probes.map((probe) => probe.looks)).toEqual(probes.map(() => 1));
    expect(clock.wheel.due).toBe(Number.POSITIVE_INFINITY);
  });

  it('100,000 that fall due at once are spread over sweeps: the sockets have their turn between them', () => {
    const clock = new Clock();
    const probes = Array.from({ length: 100_000 }, () => new Probe(never));
    for (const probe of probes) clock.wheel.link(probe, clock.now + 100);
    const sweeps = clock.advance(300);
    expect(sweeps).toBeGreaterThan(20);
    expect(probes.every((probe) => probe.looks === 1)).toBe(true);
  });

  it('100,000 busy connections cost a look each in an idle time, whatever comes and goes on them', () => {
    const clock = new Clock();
    let told = 0;
    const owner: TimeoutOwner = {
      timedOut() {
        told += 1;
      },
    };
    let looks = 0;
    class Counted extends Timeouts {
      override look(now: number): number {
        looks += 1;
        return super.look(now);
      }
    }
    const settings = { idleMs: 10_000, readMs: 0, writeMs: 0 };
    const timeouts = Array.from({ length: 100_000 }, () => new Counted(owner, settings, clock.now));
    for (const each of timeouts) each.relink(clock.wheel, clock.now);
    for (let i = 0; i < 100; i += 1) {
      clock.advance(1000);
      for (const each of timeouts) each.received = clock.now;
    }
    expect(told).toBe(0);
    expect(looks / 100_000).toBeLessThanOrEqual(12);
    clock.advance(10_000 + TICK_MS);
    expect(told).toBe(100_000);
    clock.advance(100_000);
    expect(told, 'an idle stretch is told once').toBe(100_000);
  });

  it('timeouts that end while they are looked at are not linked again', () => {
    const clock = new Clock();
    const owner: TimeoutOwner = { timedOut: () => timeouts.end(clock.wheel) };
    const timeouts = new Timeouts(owner, { idleMs: 100, readMs: 0, writeMs: 0 }, clock.now);
    timeouts.relink(clock.wheel, clock.now);
    clock.advance(200);
    expect(clock.wheel.size).toBe(0);
  });

  it('clear drops everything', () => {
    const clock = new Clock();
    const probes = Array.from({ length: 10 }, () => new Probe(never));
    for (const [i, probe] of probes.entries()) clock.wheel.link(probe, clock.now + i * 100);
    clock.wheel.clear();
    clock.advance(10_000);
    expect(probes.some((probe) => probe.looks > 0)).toBe(false);
    expect(clock.wheel.size).toBe(0);
  });
});
