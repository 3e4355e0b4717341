/** What the guard of every test says of timers: the runner, too, has some that come and go. */
import { expect, it } from 'vitest';
import { expectHoldings, holdings } from './leaks.js';

it('a timer that was there before a test and has ended meanwhile is no leak', async () => {
  const timers = [setTimeout(() => {}, 60_000), setTimeout(() => {}, 60_000)] as const;
  const before = holdings();
  clearTimeout(timers[0]);
  await expectHoldings(before);
  clearTimeout(timers[1]);
});

it('timers that are left by a test are one', async () => {
  const before = holdings();
  // More than may have ended meanwhile.
  const timers = Array.from({ length: 5 }, () => setTimeout(() => {}, 60_000));
  await expect(expectHoldings(before)).rejects.toThrow('something was left open by the test');
  for (const timer of timers) clearTimeout(timer);
});
