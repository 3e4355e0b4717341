#!/usr/bin/env node
/**
 * Builds the native core with node-gyp, and skips itself while the binary is newer than its sources.
 *
 *   node packages/reactor/native/build.mjs [--force] [--help]
 *
 * FDSET_NATIVE=off       build nothing; the emulated backend serves
 * FDSET_NATIVE=require   fail where the core cannot be built (the gate sets this)
 *
 * Without a compiler it says so in one line and succeeds: the emulated backend serves then.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const native = path.dirname(fileURLToPath(import.meta.url));
const binary = path.join(native, 'build/Release/fdset.node');
const mode = process.env.FDSET_NATIVE ?? 'auto';

if (process.argv.includes('--help')) {
  console.log(
    'usage: fdset-native [build] [--force]\nBuilds the native core of @fdset/reactor (needs node-gyp, a C compiler, make and Python 3).',
  );
  process.exit(0);
}
if (!['auto', 'off', 'require'].includes(mode)) {
  console.error(`fdset: FDSET_NATIVE must be auto, off or require, got '${mode}'`);
  process.exit(1);
}
if (mode === 'off') process.exit(0);

function isFresh() {
  if (!existsSync(binary)) return false;
  const built = statSync(binary).mtimeMs;
  return readdirSync(native)
    .filter((file) => /\.(c|h|gyp)$/.test(file))
    .every((file) => statSync(path.join(native, file)).mtimeMs < built);
}

/** The reason why the core cannot be built here, `undefined` when it was. */
function build() {
  if (process.platform !== 'linux') return `there is no native core for ${process.platform} yet`;
  let nodeGyp;
  try {
    nodeGyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
  } catch {
    return 'node-gyp is not installed (npm install --save-dev node-gyp)';
  }
  // Node's own headers stand beside it in every tarball, distribution and container image: then nothing is downloaded.
  const prefix = path.dirname(path.dirname(process.execPath));
  const headers = existsSync(path.join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
  const done = spawnSync(process.execPath, [nodeGyp, 'rebuild', '-C', native, '--loglevel=error', ...headers], {
    encoding: 'utf8',
    env: { ...process.env, npm_config_node_gyp: '' },
  });
  const output = `${done.stdout ?? ''}${done.stderr ?? ''}`;
  if (done.status === 0 && existsSync(binary)) {
    const warnings = output.split('\n').filter((line) => /warning:/.test(line));
    for (const line of warnings) console.log(line);
    return undefined;
  }
  const lines = output.split('\n').filter((line) => /error|not found|No such file|Could not find/i.test(line));
  return lines.slice(0, mode === 'require' ? 20 : 1).join('\n') || 'node-gyp failed';
}

if (!process.argv.includes('--force') && isFresh()) process.exit(0);
const started = Date.now();
const reason = build();
if (reason === undefined)
  console.log(`fdset: built the native core in ${((Date.now() - started) / 1000).toFixed(1)} s`);
else {
  console.log(`fdset: no native core, the emulated backend serves: ${reason.trim()}`);
  if (mode === 'require') process.exit(1);
}
