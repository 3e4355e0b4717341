import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TimerQueue } from './timers.js';

function queue() {
  const clock = { now: 0, rearmed: 0, held: 0 };
  const timers = new TimerQueue({
    now: () => clock.now,
    rearm: () => {
      clock.rearmed += 1;
    },
    hold: (change) => {
      clock.held += change;
    },
  });
  const run = (now: number): void => {
    clock.now = now;
    timers.runDue(now, (callback) => callback());
  };
  return { timers, clock, run };
}

describe('timers', () => {
  it('fire in the order of their deadlines, then of their start', () => {
    const { timers, run } = queue();
    const fired: string[] = [];
    timers.add(20, () => fired.push('20'));
    timers.add(10, () => fired.push('10 first'));
    timers.add(10, () => fired.push('10 second'));
    run(15);
    expect(fired).toEqual(['10 first', '10 second']);
    run(20);
    expect(fired).toEqual(['10 first', '10 second', '20']);
  });

  it('a timer of 0 ms that starts itself anew runs once in a turn', () => {
    const { timers, run } = queue();
    let fired = 0;
    const again = (): void => {
      fired += 1;
      timers.add(0, again);
    };
    timers.add(0, again);
    run(0);
    expect(fired).toBe(1);
    run(0);
    expect(fired).toBe(2);
  });

  it('a cancelled timer does not fire, and its cancel in the callback of one before is in time', () => {
    const { timers, run } = queue();
    const fired: string[] = [];
    const later = timers.add(5, () => fired.push('later'));
    timers.add(1, () => later.cancel());
    run(10);
    expect(fired).toEqual([]);
    expect(later.active).toBe(false);
    expect(timers.size).toBe(0);
    later.cancel();
  });

  it('a repeating timer goes on until it cancels itself in its callback', () => {
    const { timers, run } = queue();
    let fired = 0;
    const timer = timers.add(
      10,
      () => {
        fired += 1;
        if (fired === 3) timer.cancel();
      },
      { repeatMs: 5 },
    );
    for (let now = 0; now <= 100; now += 1) run(now);
    expect(fired).toBe(3);
    expect(timers.size).toBe(0);
  });

  it('a repeating timer that was late does not fire in a burst', () => {
    const { timers, run } = queue();
    let fired = 0;
    timers.add(10, () => (fired += 1), { repeatMs: 10 });
    run(1000);
    run(1005);
    expect(fired).toBe(1);
    run(1010);
    expect(fired).toBe(2);
  });

  it('only timers with ref hold the process, and each hold is given back', () => {
    const { timers, clock, run } = queue();
    const a = timers.add(1, () => {});
    timers.add(2, () => {}, { ref: false });
    expect(clock.held).toBe(1);
    a.unref();
    a.unref();
    expect(clock.held).toBe(0);
    a.ref();
    expect(clock.held).toBe(1);
    run(5);
    expect(clock.held).toBe(0);
  });

  it('asks for a new deadline only when a timer is the earliest', () => {
    const { timers, clock } = queue();
    timers.add(10, () => {});
    timers.add(20, () => {});
    expect(clock.rearmed).toBe(1);
    timers.add(5, () => {});
    expect(clock.rearmed).toBe(2);
    expect(timers.earliest).toBe(5);
  });

  it('hold the order of a sorted list through any mix of adds and cancels', () => {
    const operation = fc.record({ delay: fc.integer({ min: 0, max: 50 }), cancel: fc.option(fc.nat({ max: 100 })) });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 100 }), (operations) => {
        const { timers, run } = queue();
        const started: { delay: number; sequence: number; cancelled: boolean; cancel(): void }[] = [];
        const fired: number[] = [];
        operations.forEach(({ delay, cancel }, sequence) => {
          const timer = timers.add(delay, () => fired.push(sequence));
          started.push({ delay, sequence, cancelled: false, cancel: () => timer.cancel() });
          if (cancel === null) return;
          const victim = started[cancel % started.length] as (typeof started)[number];
          victim.cancelled = true;
          victim.cancel();
        });
        run(100);
        const expected = started
          .filter((timer) => !timer.cancelled)
          .sort((a, b) => a.delay - b.delay || a.sequence - b.sequence)
          .map((timer) => timer.sequence);
        expect(fired).toEqual(expected);
        expect(timers.size).toBe(0);
      }),
    );
  });
});
