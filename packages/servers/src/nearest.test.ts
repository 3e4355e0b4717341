import { describe, expect, it } from 'vitest';
import { editDistance, nearest } from './nearest.js';

describe('editDistance', () => {
  it.each([
    ['', '', 0],
    ['', 'abc', 3],
    ['abc', 'abc', 0],
    ['kitten', 'sitting', 3],
    ['ab', 'ba', 1],
    ['reactro', 'reactor', 1],
    ['ca', 'abc', 3],
  ])('of %j and %j is %i, either way', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
    expect(editDistance(b, a)).toBe(distance);
  });
});

describe('nearest', () => {
  const names = ['iterative', 'thread-per-connection', 'process-per-connection', 'reactor'];

  it.each([
    ['reactor', 'reactor'],
    ['REACTOR', 'reactor'],
    ['actor', 'reactor'],
    ['process', 'process-per-connection'],
    ['threads-per-connection', 'thread-per-connection'],
  ])('of %j is %j', (given, name) => {
    expect(nearest(given, names)).toBe(name);
  });

  it.each(['', 'x', 'select', 'something else'])('of %j is none', (given) => {
    expect(nearest(given, names)).toBeUndefined();
  });
});
