#!/usr/bin/env node
// Checks what would be published: publint for the manifest and the files, attw for the types in every way of importing.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(fileURLToPath(import.meta.url), '../..');
const modules = path.join(root, 'node_modules');

/** A tool's program: neither package exports its manifest, so it is read as a file. */
function program(name) {
  const { bin } = JSON.parse(readFileSync(path.join(modules, name, 'package.json'), 'utf8'));
  return path.join(modules, name, typeof bin === 'string' ? bin : Object.values(bin)[0]);
}

const publint = program('publint');
const attw = program('@arethetypeswrong/cli');
let failed = 0;
for (const name of ['framing', 'reactor', 'servers']) {
  const folder = path.join(root, 'packages', name);
  for (const args of [
    [publint, folder, '--strict'],
    [attw, '--pack', folder, '--format', 'ascii', '--profile', 'node16'],
  ]) {
    const done = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
    if (done.status === 0) continue;
    failed += 1;
    console.log(`${name}: ${path.basename(args[0])}\n${done.stdout}${done.stderr}`);
  }
}
console.log(failed === 0 ? 'every package can be published as it is' : `${failed} checks failed`);
process.exit(failed === 0 ? 0 : 1);
