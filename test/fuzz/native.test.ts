/**
 * Every function of the native core with arguments that it must refuse, in a process of its own, so that a crash is seen.
 * What it has found stays below as tests of their own.
 */
import { fileURLToPath } from 'node:url';
import { type Socket, WOULD_BLOCK } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { owned } from '../support/sockets.js';
import { fuzz } from './run.js';

const SCRIPT = fileURLToPath(new URL('../../scripts/fuzz-native.mjs', import.meta.url));

describeBackends(
  'the native core',
  (stage) => {
    it.each([1, 2, 3])('refuses what is wrong and survives it, with seed %d', { timeout: 40_000 }, async (seed) => {
      // A machine that is busy makes few calls in its seconds.
      const { stdout, ...end } = await fuzz(SCRIPT, 3, '--least', '16', '--seed', String(seed));
      expect(end).toEqual({ code: 0, signal: null, stderr: '' });
      const { counts } = JSON.parse(stdout) as { counts: Record<string, number> };
      expect(Math.min(...Object.values(counts))).toBeGreaterThan(15);
    });

    it('the fuzz has a case for each function and no other', async () => {
      // It ends with code 1 before the first call where they differ.
      expect(await fuzz(SCRIPT, 0.01)).toMatchObject({ code: 0, stderr: '' });
    });

    it('a blocking receive ends in time where input is reported that cannot be received', () => {
      const [near] = stage.reactor().socketPair({ type: 'datagram' }).map(owned) as [Socket, Socket];
      near.shutdown('read');
      expect(near.recvSync(Buffer.alloc(8), { timeoutMs: 30 })).toBe(WOULD_BLOCK);
      expect(near.recvSync(Buffer.alloc(8), { timeoutMs: 0 })).toBe(WOULD_BLOCK);
    });
  },
  { only: 'kernel' },
);
