#!/usr/bin/env node
// Type checks every project of the workspace, each with its own tsconfig.json, and reports all of them.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(fileURLToPath(import.meta.url), '../..');
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
let failed = 0;
for (const name of ['packages/framing', 'packages/reactor', 'packages/servers', 'bench', 'test', 'examples']) {
  const done = spawnSync(process.execPath, [tsc, '-p', path.join(root, name)], { stdio: 'inherit' });
  console.log(`${done.status === 0 ? 'ok  ' : 'FAIL'} ${name}`);
  if (done.status !== 0) failed += 1;
}
process.exit(failed === 0 ? 0 : 1);
