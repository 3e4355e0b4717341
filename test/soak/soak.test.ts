/**
 * The soak of item 104 in a form of seconds, so that it cannot rot; `node scripts/soak.mjs --minutes 60` is the long one.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { describeBackends, guardEachTest, REAL_BACKENDS } from '../support/backends.js';

const SCRIPT = fileURLToPath(new URL('../../scripts/soak.mjs', import.meta.url));
const SECONDS = 5;

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function soak(...args: string[]): Promise<Run> {
  return new Promise((resolve) => {
    execFile(process.execPath, [SCRIPT, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describeBackends(
  'a soak',
  (stage) => {
    it('of connections that end in every way gets on, and leaves memory and descriptors as they were (104)', {
      timeout: 60_000,
    }, async () => {
      const minutes = String(SECONDS / 60);
      const { code, stdout } = await soak(
        '--minutes',
        minutes,
        '--clients',
        '32',
        '--backend',
        stage.backend,
        '--quiet',
      );
      const report = JSON.parse(stdout) as {
        failure: string;
        rounds: Record<string, number>;
        descriptorGrowth: number;
      };
      expect(report).toMatchObject({ failure: '', descriptorGrowth: 0 });
      expect(code).toBe(0);
      // Seven ways to end, each by both kinds of client.
      expect(Object.keys(report.rounds)).toHaveLength(14);
      expect(Math.min(...Object.values(report.rounds))).toBeGreaterThan(0);
    });
  },
  { only: REAL_BACKENDS },
);

describe('the soak script', () => {
  guardEachTest();

  it('tells how it is used, and refuses a time that is none', async () => {
    expect((await soak('--help')).stdout).toContain('--minutes <n>');
    const refused = await soak('--minutes', '0');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('must be above 0');
  });
});
