import { describe, expect, it } from 'vitest';
import { Histogram } from './histogram.js';
import { mergeResults } from './merge.js';
import type { LoadResult } from './result.js';

/** A slice with these times, in microseconds. */
function slice(times: number[], changes: Partial<LoadResult> = {}): LoadResult {
  const histogram = new Histogram();
  for (const time of times) histogram.record(time * 1000);
  const us = (share: number) => histogram.percentile(share) / 1000;
  return {
    schema: 2,
    client: 'c',
    shape: 'sessions',
    outcome: 'ok',
    options: { connections: 2, idle: 0, size: 64, pipeline: 1, frame: null, warmup: 0, duration: 0.25 },
    startupSeconds: 0.01,
    elapsedSeconds: 0.25,
    messages: times.length,
    messageBytes: 64,
    errors: {},
    latency: {
      ...{ unit: 'us', count: times.length, mean: histogram.mean / 1000 },
      ...{ p50: us(0.5), p90: us(0.9), p99: us(0.99), p999: us(0.999) },
      ...{ max: Math.max(...times), oldestPending: 0, histogramNs: histogram.entries() },
    },
    perConnection: { least: 1, most: 2 },
    clientCpuSeconds: 0.1,
    clientShare: 0.4,
    server: { cpuSeconds: 0.2, pssBytes: 1000, pssBytesBefore: 0, processes: 1, threads: 3 },
    machine: { busySeconds: 0.3, stealSeconds: 0, listenOverflows: 1, retransmits: 2 },
    ...changes,
  };
}

describe('slices together', () => {
  it('have the percentiles of all messages, not means of percentiles', () => {
    const [first, second] = [
      Array.from({ length: 900 }, (_, i) => 10 + i / 100),
      Array.from({ length: 100 }, (_, i) => 5000 + i),
    ];
    const { latency } = mergeResults([slice(first), slice(second)]);
    const whole = slice([...first, ...second]).latency;
    expect(latency.count).toBe(1000);
    expect(latency.mean).toBeCloseTo(whole.mean, 5);
    for (const name of ['p50', 'p90', 'p99', 'p999', 'max'] as const) expect(latency[name], name).toBe(whole[name]);
    expect(latency.histogramNs).toEqual(whole.histogramNs);
  });

  it('sum what adds up, and take memory from the end and the start-up from the beginning', () => {
    const server = { cpuSeconds: 0.1, pssBytes: 3000, pssBytesBefore: 0, processes: 2, threads: 9 };
    const later = { startupSeconds: 0.5, server, clientCpuSeconds: 0.2, errors: { EOF: 1, ECONNRESET: 2 } };
    const merged = mergeResults([
      slice([1, 2], { errors: { EOF: 2 }, floodBytes: 7, lostDatagrams: 2 }),
      slice([3], { ...later, floodBytes: 5, lostDatagrams: 1, perConnection: { least: 0, most: 1 } }),
    ]);
    expect(merged).toMatchObject({
      ...{ messages: 3, elapsedSeconds: 0.5, startupSeconds: 0.01, floodBytes: 12, lostDatagrams: 3 },
      errors: { EOF: 3, ECONNRESET: 2 },
      perConnection: { least: 0, most: 2 },
      server: { pssBytes: 3000, processes: 2, threads: 9 },
      machine: { busySeconds: 0.6, listenOverflows: 2, retransmits: 4 },
      options: { duration: 0.5 },
    });
    expect(merged.clientShare).toBeCloseTo(0.6);
    expect(merged.server!.cpuSeconds).toBeCloseTo(0.3);
  });

  it('do not tell the CPU time where one of them does not, and take one slice as it is', () => {
    const untold = { cpuSeconds: null, pssBytes: 1, pssBytesBefore: 0, processes: 1, threads: 1 };
    expect(mergeResults([slice([1]), slice([1], { server: untold })]).server!.cpuSeconds).toBeNull();
    expect(mergeResults([slice([1], { server: null })]).server).toBeNull();
    const single = slice([1, 5, 9]);
    expect(mergeResults([single])).toEqual(single);
    expect(() => mergeResults([])).toThrow(RangeError);
  });
});
