/**
 * Every function of the native core with arguments that it must refuse, in a process of its own, so that a crash is seen.
 * What it has found stays below as tests of their own.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Socket, WOULD_BLOCK } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { owned } from '../support/sockets.js';

const SCRIPT = fileURLToPath(new URL('../../scripts/fuzz-native.mjs', import.meta.url));

interface Run {
  readonly code: number | null;
  /** SIGSEGV, SIGABRT: it crashed; SIGKILL: it hung. */
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the fuzz for `seconds`, and ends it when it takes much longer. */
function fuzz(seconds: number, ...args: string[]): Promise<Run> {
  const child = spawn(process.execPath, [SCRIPT, '--seconds', String(seconds), ...args]);
  const hung = setTimeout(() => child.kill('SIGKILL'), seconds * 1000 + 20_000);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  afterTest(() => child.kill('SIGKILL'));
  return new Promise((resolve) =>
    child.once('close', (code, signal) => {
      clearTimeout(hung);
      resolve({ code, signal, stdout, stderr });
    }),
  );
}

describeBackends(
  'the native core',
  (stage) => {
    it.each([1, 2, 3])('refuses what is wrong and survives it, with seed %d', { timeout: 40_000 }, async (seed) => {
      const { stdout, ...end } = await fuzz(3, '--seed', String(seed));
      expect(end).toEqual({ code: 0, signal: null, stderr: '' });
      const { counts } = JSON.parse(stdout) as { counts: Record<string, number> };
      expect(Math.min(...Object.values(counts))).toBeGreaterThan(15);
    });

    it('the fuzz has a case for each function and no other', async () => {
      // It ends with code 1 before the first call where they differ.
      expect(await fuzz(0.01)).toMatchObject({ code: 0, stderr: '' });
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
