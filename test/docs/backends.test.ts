/** docs/backends.md says what the code says: the capabilities, the reasons, and the limits of other runtimes. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Reactor } from '@fdset/reactor';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../runtimes/limits.mjs';
import { afterTest } from '../support/after-test.js';
import { guardEachTest } from '../support/backends.js';
import { runNode } from '../support/node-process.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const GUIDE = readFileSync(path.join(ROOT, 'docs/backends.md'), 'utf8');
const { capabilities } = new Reactor();

function check(root: string): { status: number | null; stderr: string } {
  const done = spawnSync(process.execPath, [path.join(root, 'scripts/capabilities.mjs'), '--check'], {
    encoding: 'utf8',
  });
  return { status: done.status, stderr: done.stderr };
}

describe('docs/backends.md', () => {
  guardEachTest();

  it.runIf(capabilities.adopt)('has the table of capabilities as it is in the code', () => {
    expect(check(ROOT)).toEqual({ status: 0, stderr: '' });
    const rows = [...GUIDE.matchAll(/^\| `(\w+)` +\| (?:yes|no)/gm)].map(([, name]) => name);
    expect(rows).toEqual(Object.keys(capabilities));
  });

  it.runIf(capabilities.adopt)('is found out of date where the code says something else', () => {
    const root = mkdtempSync(path.join(tmpdir(), 'fdset-docs-'));
    afterTest(() => rmSync(root, { recursive: true, force: true }));
    for (const name of [
      'docs/backends.md',
      'scripts/capabilities.mjs',
      'packages/reactor/src/backend',
      'test/package.json',
    ])
      cpSync(path.join(ROOT, name), path.join(root, name), { recursive: true });
    mkdirSync(path.join(root, 'test'), { recursive: true });
    symlinkSync(path.join(ROOT, 'test/node_modules'), path.join(root, 'test/node_modules'));
    expect(check(root)).toEqual({ status: 0, stderr: '' });
    const contract = path.join(root, 'packages/reactor/src/backend/backend.ts');
    writeFileSync(contract, readFileSync(contract, 'utf8').replace('/** `MSG_PEEK`. */', '/** To look ahead. */'));
    expect(check(root)).toMatchObject({ status: 1, stderr: expect.stringContaining('--write') });
  });

  it('has a program that prints what stands below it', async () => {
    const [, source, prints] = GUIDE.match(/```ts\n(.*?)```\n\n```text\n(.*?)```/s) as RegExpMatchArray;
    const { code, lines, stderr } = await runNode(source as string);
    expect({ code, stderr, printed: `${lines.join('\n')}\n` }).toEqual({ code: 0, stderr: '', printed: prints });
  });

  it('names what does not work under Bun and Deno, and nothing else', () => {
    const rows = [...GUIDE.matchAll(/^\| (Bun|Deno) [\d.]+ +\| (.+?) +\| (.+?) +\|$/gm)];
    const written = rows.map(([, runtime, what, why]) => [(runtime as string).toLowerCase(), what, why]);
    const known = Object.entries(LIMITS).flatMap(([runtime, limits]) =>
      Object.entries(limits as Record<string, string>).map(([what, why]) => [runtime, what, why]),
    );
    expect(written).toEqual(known);
  });

  it('and the matrix speaks of the same versions', () => {
    const matrix = readFileSync(path.join(ROOT, 'scripts/matrix.mjs'), 'utf8');
    const named = [...GUIDE.matchAll(/^\| (Bun|Deno) ([\d.]+)/gm)];
    expect(named.length).toBeGreaterThan(0);
    for (const [, runtime, version] of named) {
      const entry = new RegExp(`^ {2}${(runtime as string).toLowerCase()}: \\{.*?version: '(.*?)'`, 'ms').exec(matrix);
      expect(entry?.[1]).toBe(version);
    }
  });
});
