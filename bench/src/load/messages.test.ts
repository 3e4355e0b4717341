import { describe, expect, it } from 'vitest';
import { Batch } from './messages.js';
import { cpuSecondsBetween, parseStat, type ServerSample } from './process-stats.js';

describe('messages of the TypeScript client', () => {
  it('differ by connection, place and sequence', () => {
    const first = new Batch(1, 64, 2, null);
    const bytes = Buffer.from(first.compose(2));
    const texts = [
      bytes.subarray(0, 64),
      bytes.subarray(64),
      Buffer.from(first.compose(2)).subarray(0, 64),
      Buffer.from(new Batch(2, 64, 2, null).compose(2)).subarray(0, 64),
    ].map((each) => each.toString('hex'));
    expect(new Set(texts).size).toBe(4);
  });

  it('count messages across chunk borders', () => {
    const batch = new Batch(1, 10, 3, null);
    const sent = Buffer.from(batch.compose(3));
    expect(batch.accept(sent.subarray(0, 9))).toBe(0);
    expect(batch.accept(sent.subarray(9, 25))).toBe(2);
    expect(batch.answered).toBe(false);
    expect(batch.accept(sent.subarray(25))).toBe(1);
    expect(batch.answered).toBe(true);
  });

  it('carry a big-endian length in u32 mode, which the stamps leave alone', () => {
    const batch = new Batch(1, 300, 2, 'u32');
    const sent = batch.compose(2);
    expect([sent.readUInt32BE(0), sent.readUInt32BE(304), sent.length]).toEqual([300, 300, 608]);
  });

  it('a wrong byte, a byte too many and an old message are found', () => {
    const batch = new Batch(1, 64, 1, null);
    const old = Buffer.from(batch.compose(1));
    const wrong = Buffer.from(batch.compose(1));
    wrong[33]! ^= 1;
    expect(batch.accept(wrong)).toMatch(/^byte 33 of message 2 came back/);
    expect(batch.accept(old)).toMatch(/^byte 0 of message 2/);
    expect(batch.accept(Buffer.alloc(65))).toBe('65 bytes came back where 64 were sent');
  });
});

describe('CPU time from /proc', () => {
  const sample = (reapedTicks: number, processes: [number, number, [string, number][]][]): ServerSample => ({
    reapedTicks,
    pssBytes: 0,
    processes: new Map(processes.map(([pid, ticks, threads]) => [pid, { ticks, threads: new Map(threads) }])),
  });

  it('reads a stat line whose name holds a parenthesis and a blank', () => {
    expect(parseStat('42 (a) b) S 7 1 1 0 -1 4194304 100 0 0 0 11 22 33 44 20 0 1 0')).toEqual({
      parent: 7,
      ticks: 33,
      reapedTicks: 77,
    });
  });

  it('sums nanoseconds of threads, a new one from zero', () => {
    const before = sample(0, [[1, 0, [['1', 1e9]]]]);
    const after = sample(0, [
      [
        1,
        500,
        [
          ['1', 1.5e9],
          ['2', 0.25e9],
        ],
      ],
    ]);
    expect(cpuSecondsBetween(before, after)).toBeCloseTo(0.75);
  });

  it('falls back to ticks when a thread has ended', () => {
    const before = sample(0, [
      [
        1,
        100,
        [
          ['1', 1e9],
          ['2', 5e9],
        ],
      ],
    ]);
    const after = sample(0, [[1, 150, [['1', 1e9]]]]);
    expect(cpuSecondsBetween(before, after)).toBeCloseTo(0.5);
  });

  it('a child that has ended is counted once, without what it had used before', () => {
    const before = sample(0, [
      [1, 0, [['1', 0]]],
      [2, 30, [['2', 0.3e9]]],
    ]);
    const after = sample(50, [[1, 0, [['1', 0]]]]);
    expect(cpuSecondsBetween(before, after)).toBeCloseTo(0.2);
  });
});
