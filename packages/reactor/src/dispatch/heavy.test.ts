import { describe, expect, it } from 'vitest';
import { HeavySockets } from './heavy.js';

const BLOCK = 64 * 1024;

/** A batch of events of these slots. */
const batchOf = (...slots: number[]) => Int32Array.from(slots.flatMap((slot) => [slot, 7, 1]));
const slotsIn = (events: Int32Array, count: number) =>
  Array.from({ length: count }, (_, event) => events[3 * event] as number);

describe('heavy sockets', () => {
  it('are those that received a full block by one event of the batch before, whatever their slots', () => {
    const heavy = new HeavySockets();
    heavy.putAside(batchOf(1), 1);
    for (const slot of [3, 64, 100_000]) heavy.note(slot, BLOCK);
    heavy.note(4, BLOCK - 1);
    const events = batchOf(100_000, 1, 3, 4, 64, 5);
    expect(slotsIn(events, heavy.putAside(events, 6))).toEqual([1, 4, 5]);
    expect(heavy.count).toBe(3);
    const served = [heavy.next(), heavy.next(), heavy.next()].map((at) => heavy.waiting.slice(at, at + 3));
    expect(served).toEqual([
      [100_000, 7, 1],
      [3, 7, 1],
      [64, 7, 1],
    ]);
    expect(heavy.count).toBe(0);
  });

  it('are left out of another look within the batch, also those that have just become heavy', () => {
    const heavy = new HeavySockets();
    heavy.putAside(batchOf(), 0);
    heavy.note(3, BLOCK);
    heavy.putAside(batchOf(3, 9), 2);
    heavy.note(9, BLOCK);
    const events = batchOf(9, 2, 3);
    expect(slotsIn(events, heavy.leaveOut(events, 3))).toEqual([2]);
    expect(heavy.count).toBe(1);
  });

  it('are so for one batch', () => {
    const heavy = new HeavySockets();
    heavy.note(3, BLOCK);
    for (const left of [0, 1, 1]) expect(heavy.putAside(batchOf(3), 1)).toBe(left);
  });
});
