import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { hardLimit, roomFor } from './descriptors.js';

it('a command is left as it is where the hard limit is wide enough', () => {
  expect(roomFor(15_050, 20_000, () => false)).toEqual([]);
  expect(roomFor(19_800, 20_000, () => false)).toEqual([]);
});

it('the hard limit is raised where that is allowed, and what is missing is told where not', () => {
  expect(roomFor(19_801, 20_000, (limit) => limit === 20_001)).toEqual(['prlimit', '--nofile=20001:20001']);
  expect(roomFor(19_801, 20_000, () => false)).toBe(
    '19801 connections need 20001 descriptors, and the hard limit (ulimit -Hn) is 20000',
  );
});

it('the hard limit is that of the shell', () => {
  const told = spawnSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).stdout.trim();
  expect(hardLimit()).toBe(told === 'unlimited' ? Number.POSITIVE_INFINITY : Number(told));
});

it('what goes before a command gives it the room', () => {
  // As much as there is, and no more: prlimit may be refused anything else.
  const hard = hardLimit();
  const prefix = Number.isFinite(hard) ? roomFor(hard, hard, () => true) : [];
  if (typeof prefix === 'string') throw new Error(prefix);
  const { status, stdout } = spawnSync(
    prefix[0] ?? 'sh',
    [...prefix.slice(1), ...(prefix[0] ? ['sh'] : []), '-c', 'ulimit -Hn'],
    {
      encoding: 'utf8',
    },
  );
  // Without the privilege prlimit says so and ends with 1.
  if (status === 0 && prefix.length > 0) expect(Number(stdout)).toBe(hard + 200);
  else expect([0, 1]).toContain(status);
});
