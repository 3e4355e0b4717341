import { describe, expect, it } from 'vitest';
import { median, pairedRatios, quantile, seededRandom, shuffled, spread } from './statistics.js';

describe('statistics', () => {
  it('takes the middle value of an odd count and the mean of the two middle ones of an even count', () => {
    expect(median([5, 1, 3])).toBe(3);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([])).toBeUndefined();
  });

  it('does not sort numbers as text, and leaves its input as it was', () => {
    const values = [10, 9, 100];
    expect(median(values)).toBe(10);
    expect(values).toEqual([10, 9, 100]);
  });

  it('quantiles lie between neighbours, and the middle one is the median', () => {
    expect(quantile([4, 1, 3, 2, 5], 0.25)).toBe(2);
    expect(quantile([1, 2, 3, 4], 0.25)).toBe(1.75);
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(median([1, 2, 3, 4]));
    expect(quantile([7], 0.75)).toBe(7);
    expect(quantile([1, 2], 1)).toBe(2);
    expect(quantile([], 0.5)).toBeUndefined();
  });

  it('one disturbed pair moves neither the median nor the quartiles far', () => {
    const calm = Array.from({ length: 20 }, (_, i) => 1 + i / 1000);
    const { median: middle, quartiles } = spread([...calm, 40])!;
    expect(middle).toBeCloseTo(1.01, 5);
    expect(quartiles[1]).toBeCloseTo(1.015, 5);
  });

  it('pairs values with the baseline of the same round only', () => {
    const values = new Map([
      [1, 10],
      [2, 30],
      [4, 99],
    ]);
    const baseline = new Map([
      [2, 10],
      [1, 10],
      [3, 7],
    ]);
    expect(pairedRatios(values, baseline)).toEqual([1, 3]);
  });

  it('a disturbance of a whole round changes no paired ratio', () => {
    const baseline = new Map([100, 50, 100].map((value, round) => [round, value]));
    const values = new Map([150, 75, 150].map((value, round) => [round, value]));
    expect(spread(pairedRatios(values, baseline))).toEqual({
      median: 1.5,
      quartiles: [1.5, 1.5],
      least: 1.5,
      most: 1.5,
      count: 3,
    });
  });

  it('a baseline of zero gives no ratio', () => {
    expect(pairedRatios(new Map([[1, 5]]), new Map([[1, 0]]))).toEqual([]);
  });

  it('the same seed gives the same order, another seed another one, and nothing is lost', () => {
    const items = Array.from({ length: 20 }, (_, i) => i);
    const once = shuffled(items, seededRandom(7));
    expect(shuffled(items, seededRandom(7))).toEqual(once);
    expect(shuffled(items, seededRandom(8))).not.toEqual(once);
    expect([...once].sort((a, b) => a - b)).toEqual(items);
  });

  it('every order of three comes about equally often', () => {
    const random = seededRandom(1);
    const counts = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const order = shuffled([1, 2, 3], random).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});
