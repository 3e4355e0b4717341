/** The speed of a simulated network: a short form of `node test/soak/simulated.mjs`, so that nothing becomes quadratic unseen. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const SCRIPT = fileURLToPath(new URL('../soak/simulated.mjs', import.meta.url));

interface Run {
  readonly messages: number;
  readonly trace: string;
  readonly cpuSeconds: number;
  readonly idle: { readonly cpuSeconds: number };
}

async function simulated(...args: string[]): Promise<Run[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [SCRIPT, ...args]);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Run);
}

/** The least of several runs: a collection, the compiler's threads and a shared cache only ever add to one. */
const least = (seconds: readonly number[]): number => Math.min(...seconds);

describe('the speed of a simulated network', { timeout: 60_000 }, () => {
  // Processor time, with code that is warm: about four times what it takes on a machine that does nothing else.
  it('200 connections exchange 50 messages each under faults in under 1.5 s, with one trace', async () => {
    const runs = await simulated('--connections', '200', '--messages', '50', '--seed', '3', '--runs', '4');
    expect(runs.map(({ messages }) => messages)).toEqual([10_000, 10_000, 10_000, 10_000]);
    expect(new Set(runs.map(({ trace }) => trace)).size).toBe(1);
    expect(least(runs.map(({ cpuSeconds }) => cpuSeconds))).toBeLessThan(1.5);
  });

  it('30 idle days with a timer of a minute pass in under 0.4 s', async () => {
    const runs = await simulated('--connections', '1', '--messages', '1', '--days', '30', '--runs', '6');
    expect(least(runs.map(({ idle }) => idle.cpuSeconds))).toBeLessThan(0.4);
  });
});
