/** The program that shows what a runtime can do, on the Node that runs the tests: `scripts/matrix.mjs` runs it on the others. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Reactor } from '@fdset/reactor';
import { describe, expect, it } from 'vitest';
import { once } from '../support/waiting.js';

const PROGRAM = fileURLToPath(new URL('smoke.mjs', import.meta.url));

async function smoke(backend: string, wanted = backend): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [PROGRAM, wanted], { env: { ...process.env, FDSET_BACKEND: backend } });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  return { code: await once<number | null>(child, 'close'), output };
}

describe('the smoke program', { timeout: 60_000 }, () => {
  it.runIf(new Reactor().capabilities.adopt)('does everything on the kernel backend', async () => {
    const { code, output } = await smoke('kernel');
    expect(output).not.toMatch(/^(FAILED|limited)/m);
    expect(code).toBe(0);
  });

  it('does everything on the emulated backend', async () => {
    const { code, output } = await smoke('emulated');
    expect(output).not.toMatch(/^(FAILED|limited)/m);
    expect(code).toBe(0);
  });

  it('fails where another backend runs than the one that must', async () => {
    const { code, output } = await smoke('emulated', 'kernel');
    expect(output).toMatch(/^FAILED +the backend says why it runs/m);
    expect(code).toBe(1);
  });
});
