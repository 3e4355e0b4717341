/** The soak of hand-offs in a form of seconds; `node test/soak/hand-offs.mjs` is the long one. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { describeBackends, guardEachTest } from '../support/backends.js';

const SCRIPT = fileURLToPath(new URL('../soak/hand-offs.mjs', import.meta.url));

function soak(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [SCRIPT, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describeBackends(
  'the soak of hand-offs',
  () => {
    it('leaves no descriptor, and loses no connection to a kill (94)', { timeout: 60_000 }, async () => {
      const { code, stdout, stderr } = await soak('--threads', '200', '--processes', '100', '--kills', '8');
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const report = JSON.parse(stdout) as { taken: number; ours: number };
      expect(report.taken + report.ours).toBe(40);
    });
  },
  { only: 'kernel', timeoutMs: 30_000 },
);

describe('the script of the soak', () => {
  guardEachTest();

  it('tells how it is used, and refuses what is no number', async () => {
    expect((await soak('--help')).stdout).toContain('--kills n');
    expect(await soak('--kills', 'many')).toMatchObject({ code: 2, stderr: expect.stringContaining("'many'") });
  });
});
