#!/usr/bin/env node
// Builds what is stale: the native core, then each package in the order of its imports. Every step skips itself
// when its output is newer than its input, so that `test` and `bench` can begin with this at no cost.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(fileURLToPath(import.meta.url), '../..');
const force = process.argv.includes('--force');

/** In the order of their imports; a package is stale too when one before it was rebuilt, for its types. */
const packages = ['packages/framing', 'packages/reactor', 'packages/servers', 'bench', 'examples'];

/** The newest modification time, in ms, of the files below `folder` that are a build's input. */
function newest(folder) {
  let time = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name === 'dist' || entry.name.startsWith('.')) continue;
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) time = Math.max(time, newest(file));
    else if (/\.(ts|json)$/.test(entry.name)) time = Math.max(time, statSync(file).mtimeMs);
  }
  return time;
}

function run(args, cwd) {
  const done = spawnSync(process.execPath, args, { cwd, stdio: 'inherit' });
  if (done.status !== 0) process.exit(done.status ?? 1);
}

run([path.join(root, 'packages/reactor/native/build.mjs'), ...(force ? ['--force'] : [])], root);

let rebuilt = false;
for (const name of packages) {
  const folder = path.join(root, name);
  if (!existsSync(path.join(folder, 'tsup.config.ts'))) continue;
  const stamp = path.join(folder, 'dist/.built');
  const builtAt = existsSync(stamp) ? statSync(stamp).mtimeMs : 0;
  if (
    !force &&
    !rebuilt &&
    builtAt > newest(folder) &&
    builtAt > statSync(path.join(root, 'tsconfig.base.json')).mtimeMs
  )
    continue;
  console.log(`build ${name}`);
  const started = new Date();
  const tsup = createRequire(path.join(root, 'package.json')).resolve('tsup');
  run([path.join(path.dirname(tsup), 'cli-default.js'), '--silent'], folder);
  writeFileSync(stamp, '');
  // An edit made while the build ran is newer than its output.
  utimesSync(stamp, started, started);
  rebuilt = name.startsWith('packages/');
}
