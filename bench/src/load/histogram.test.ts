import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketHigh, bucketLow, bucketOf, Histogram } from './histogram.js';

describe('histogram', () => {
  it('every value lies within its bucket, whose edges are less than 1 % apart', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        const bucket = bucketOf(value);
        expect(bucketLow(bucket)).toBeLessThanOrEqual(value);
        expect(bucketHigh(bucket)).toBeGreaterThanOrEqual(value);
        expect(bucketHigh(bucket) - bucketLow(bucket)).toBeLessThanOrEqual(value / 100);
      }),
    );
  });

  it('buckets follow each other without gap or overlap', () => {
    for (let bucket = 0; bucket < 3000; bucket++) {
      expect(bucketOf(bucketLow(bucket))).toBe(bucket);
      expect(bucketOf(bucketHigh(bucket))).toBe(bucket);
      expect(bucketLow(bucket + 1)).toBe(bucketHigh(bucket) + 1);
    }
  });

  it('percentiles are off by less than 1 % and never above the largest value', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 10_000_000_000 }), { minLength: 1, maxLength: 300 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (values, p) => {
          const histogram = new Histogram();
          for (const value of values) histogram.record(value);
          const sorted = [...values].sort((a, b) => a - b);
          const exact = sorted[Math.max(1, Math.ceil(p * values.length)) - 1]!;
          const told = histogram.percentile(p);
          expect(told).toBeGreaterThanOrEqual(exact);
          expect(told).toBeLessThanOrEqual(exact * 1.01);
          expect(told).toBeLessThanOrEqual(sorted.at(-1)!);
        },
      ),
    );
  });

  it('a value recorded several times at once counts so often', () => {
    const histogram = new Histogram();
    histogram.record(100, 99);
    histogram.record(1_000_000);
    expect(histogram.count).toBe(100);
    expect(histogram.percentile(0.99)).toBe(100);
    expect(histogram.percentile(1)).toBe(1_000_000);
    expect(histogram.mean).toBeCloseTo((99 * 100 + 1_000_000) / 100);
    expect(histogram.entries().map(([, count]) => count)).toEqual([99, 1]);
  });

  it('an empty one has no percentiles but zero', () => {
    expect(new Histogram().percentile(0.5)).toBe(0);
  });
});
