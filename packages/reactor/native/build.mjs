#!/usr/bin/env node
/**
 * Builds the native core with node-gyp, and skips itself while the binary is newer than its sources.
 *
 *   node packages/reactor/native/build.mjs [--force] [--sanitize address,undefined] [--help]
 *
 * FDSET_NATIVE=off       build nothing; the emulated backend serves
 * FDSET_NATIVE=require   fail where the core cannot be built (the gate sets this)
 *
 * With --sanitize it builds another core, beside the one in use, into build-<sanitizers>/, and prints its path. It is
 * loaded where FDSET_CORE names it: see scripts/sanitize.mjs.
 *
 * Without a compiler it says so in one line and succeeds: the emulated backend serves then.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const native = path.dirname(fileURLToPath(import.meta.url));
const mode = process.env.FDSET_NATIVE ?? 'auto';

if (process.argv.includes('--help')) {
  console.log(
    'usage: fdset-native [build] [--force] [--sanitize address|undefined|address,undefined]\nBuilds the native core of @fdset/reactor (needs node-gyp, a C compiler, make and Python 3).',
  );
  process.exit(0);
}
const sanitizeAt = process.argv.indexOf('--sanitize');
const sanitizers = sanitizeAt < 0 ? '' : (process.argv[sanitizeAt + 1] ?? '');
if (sanitizeAt >= 0 && !['address', 'undefined', 'address,undefined'].includes(sanitizers)) {
  console.error(`fdset: --sanitize takes address, undefined or address,undefined, got '${sanitizers}'`);
  process.exit(1);
}
// node-gyp builds where its binding.gyp stands: a folder of its own gets links to the sources.
const folder = sanitizers === '' ? native : path.join(native, `build-${sanitizers.replace(',', '-')}`);
const binary = path.join(folder, 'build/Release/fdset.node');
if (!['auto', 'off', 'require'].includes(mode)) {
  console.error(`fdset: FDSET_NATIVE must be auto, off or require, got '${mode}'`);
  process.exit(1);
}
if (mode === 'off') process.exit(0);

const sources = readdirSync(native).filter((file) => /\.(c|h|gyp)$/.test(file));

function isFresh() {
  if (!existsSync(binary)) return false;
  const built = statSync(binary).mtimeMs;
  return sources.every((file) => statSync(path.join(native, file)).mtimeMs < built);
}

function link() {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const file of sources) symlinkSync(path.join('..', file), path.join(folder, file));
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
  if (sanitizers !== '') link();
  const variables = sanitizers === '' ? [] : ['--', `-Dfdset_sanitize=${sanitizers}`];
  const done = spawnSync(
    process.execPath,
    [nodeGyp, 'rebuild', '-C', folder, '--loglevel=error', ...headers, ...variables],
    { encoding: 'utf8', env: { ...process.env, npm_config_node_gyp: '' } },
  );
  const output = `${done.stdout ?? ''}${done.stderr ?? ''}`;
  if (done.status === 0 && existsSync(binary)) {
    const warnings = output.split('\n').filter((line) => /warning:/.test(line));
    for (const line of warnings) console.log(line);
    return undefined;
  }
  const lines = output.split('\n').filter((line) => /error|not found|No such file|Could not find/i.test(line));
  return lines.slice(0, mode === 'require' ? 20 : 1).join('\n') || 'node-gyp failed';
}

const started = Date.now();
const fresh = !process.argv.includes('--force') && isFresh();
const reason = fresh ? undefined : build();
if (sanitizers !== '' && reason === undefined) console.log(binary);
else if (fresh) process.exit(0);
else if (reason === undefined)
  console.log(`fdset: built the native core in ${((Date.now() - started) / 1000).toFixed(1)} s`);
else if (sanitizers !== '') {
  console.error(`fdset: no core with sanitizers: ${reason.trim()}`);
  process.exit(1);
} else {
  console.log(`fdset: no native core, the emulated backend serves: ${reason.trim()}`);
  if (mode === 'require') process.exit(1);
}
