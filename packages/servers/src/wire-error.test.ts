import { expect, it } from 'vitest';
import { fromWire, toWire } from './wire-error.js';

/** There and back, as a message between threads or processes does it. */
function travel(error: unknown): Error & { code?: string } {
  return fromWire(JSON.parse(JSON.stringify(toWire(error))));
}

it('an error keeps its name, message, stack, code and causes', () => {
  const error = Object.assign(new RangeError('outer', { cause: new TypeError('inner') }), { code: 'E_OUTER' });
  const arrived = travel(error);
  expect(arrived).toBeInstanceOf(Error);
  expect(arrived).toMatchObject({ name: 'RangeError', message: 'outer', code: 'E_OUTER', stack: error.stack });
  expect(arrived.cause).toMatchObject({ name: 'TypeError', message: 'inner' });
  expect('code' in (arrived.cause as Error)).toBe(false);
  expect(Object.keys(arrived)).toEqual(['code']);
});

it('a thrown value that is no Error becomes one that shows it', () => {
  expect(travel('text').message).toBe('a value that is no Error was thrown: text');
  expect(travel(undefined).message).toBe('a value that is no Error was thrown: undefined');
  expect(travel(Object.create(null)).message).toContain('a value that is no Error was thrown');
});

it('a circle of causes ends', () => {
  const error = new Error('circle');
  error.cause = error;
  let depth = 0;
  for (let each: unknown = travel(error); each instanceof Error; each = each.cause) depth += 1;
  expect(depth).toBeLessThan(20);
});
