/** Threads that end: by themselves, by process.exit, by terminate() at any moment; what they held is let go. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { InetAddress } from '@fdset/reactor';
import { describe, expect, it } from 'vitest';
import { describeBackends, guardEachTest, REAL_BACKENDS } from '../support/backends.js';
import { NetPeer } from '../support/net-peer.js';
import { Thread } from '../support/threads.js';

const SOAK = fileURLToPath(new URL('../soak/threads.mjs', import.meta.url));
const THREAD = new URL('../soak/thread.mjs', import.meta.url);

interface Report {
  readonly threads: number;
  readonly ends: Record<string, number>;
  readonly descriptorGrowth: number;
  readonly threadGrowth: number;
}

function soak(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['--expose-gc', SOAK, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describeBackends(
  'threads that end',
  (stage) => {
    it.each([
      ['are its only users', []],
      ['are not', ['--reactor']],
    ])('leave no descriptor and no thread, where they %s (97, L4)', { timeout: 60_000 }, async (_what, args) => {
      const { code, stdout, stderr } = await soak('--threads', '30', '--backend', stage.backend, '--quiet', ...args);
      expect(stderr).toBe('');
      const report = JSON.parse(stdout) as Report;
      expect(report).toMatchObject({ threads: 30 });
      // Below 0 where the end of one before was seen late: each of the thirty that leaves something would be one more.
      expect(Math.max(report.descriptorGrowth, report.threadGrowth)).toBeLessThanOrEqual(0);
      expect(Math.min(...Object.values(report.ends))).toBeGreaterThan(0);
      expect(code).toBe(0);
    });

    it.each(
      stage.capabilities.blocking
        ? ['idle', 'turning', 'blocked', 'exit', 'return']
        : ['idle', 'turning', 'exit', 'return'],
    )('while it is %s: its peers see the end, those of other threads do not (97)', async (end) => {
      const start = async (how: string) => {
        const shared = new Int32Array(new SharedArrayBuffer(4));
        const thread = new Thread(THREAD, { end: how, shared }, { backend: stage.backend });
        const { port } = await thread.tells<InetAddress>(0);
        const peer = await NetPeer.connect({ host: '127.0.0.1', port });
        peer.write('here');
        await peer.receives(4);
        return { thread, peer };
      };
      const other = await start('idle');
      const { thread, peer } = await start(end);
      if (!['exit', 'return'].includes(end)) await thread.worker.terminate();
      await thread.ended;
      await Promise.race([peer.ended, peer.closed]);
      expect(thread.error).toBeUndefined();
      other.peer.write('and here');
      expect((await other.peer.receives(12)).toString()).toBe('hereand here');
    });
  },
  { only: REAL_BACKENDS, timeoutMs: 30_000 },
);

describe('the soak of threads', () => {
  guardEachTest();

  it('tells how it is used, and refuses what is no number', async () => {
    expect((await soak('--help')).stdout).toContain('--threads n');
    expect(await soak('--threads', 'many')).toMatchObject({ code: 2, stderr: expect.stringContaining("'many'") });
  });
});
