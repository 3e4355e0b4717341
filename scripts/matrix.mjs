#!/usr/bin/env node
// The suite on every Node that is supported, with the native core built once (Node-API is ABI-stable: the same binary must
// load on all of them), and what a program does (test/runtimes/smoke.mjs, the echo example) there and under Bun and Deno. They come
// from the npm registry into a folder that git ignores. What cannot be had is a failure, never a skip.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { flag, readOptions, someOf, text } from './options.mjs';

const root = path.resolve(fileURLToPath(import.meta.url), '../..');

const HELP = `usage: node scripts/matrix.mjs [options] [test file...]
  --runtimes <list>  of node20, node24, node26, bun, deno (all)
  --short            some files, and not on the Node that runs this: the gate runs all of them there
  --smoke            only test/runtimes/smoke.mjs and the echo example
  --cache <folder>   where the runtimes are kept (.cache/runtimes)
Without files: test/conformance and packages/reactor. The last lines are a table; exit code 1 when something failed.`;

/** What the short form runs: what crosses into the native core or into node:net, and what differs between Nodes. */
const SHORT = [
  ...['registration', 'dispatch', 'select', 'stream-io', 'connect', 'listen-accept', 'options', 'datagram'],
  ...['datagram-batch', 'connection-reading', 'connection-writing', 'connection-end', 'process-life'],
]
  .map((name) => `test/conformance/${name}.test.ts`)
  .concat('packages/reactor/src/backend');
const LONG = ['test/conformance', 'packages/reactor'];

/** Exact versions: a run can be repeated. `limits.mjs` beside the smoke test speaks of these. */
const ARCH = process.arch;
const node = (version) => ({
  package: `node-linux-${ARCH}`,
  version,
  binary: 'bin/node',
  suite: true,
  command: (binary) => [binary],
});
const RUNTIMES = {
  node20: node('20.20.2'),
  node24: node('24.21.0'),
  node26: node('26.12.1'),
  bun: {
    package: `@oven/bun-linux-${ARCH === 'arm64' ? 'aarch64' : ARCH}`,
    version: '1.4.5',
    binary: 'bin/bun',
    command: (binary) => [binary],
  },
  deno: {
    package: `@deno/linux-${ARCH}-glibc`,
    version: '2.9.6',
    binary: 'deno',
    command: (binary) => [binary, 'run', '--allow-all'],
  },
};

const { values, positionals } = readOptions(
  HELP,
  {
    runtimes: someOf(Object.keys(RUNTIMES)),
    short: flag,
    smoke: flag,
    cache: text(path.join(root, '.cache/runtimes')),
  },
  { operands: true },
);
if (process.platform !== 'linux') {
  console.error(`the runtimes are those of Linux, and this is ${process.platform}`);
  process.exit(2);
}

/** Runs a program to its end; what it prints is shown. Returns whether it succeeded. */
function run(command, env = {}, timeoutMs = 0) {
  const [program, ...args] = command;
  const done = spawnSync(program, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  if (done.error) console.error(`${program}: ${done.error.message}`);
  return done.status === 0;
}

/** The binary of a runtime: this very one, one from the cache, or one from the registry. Throws where there is none. */
function fetched(name) {
  const { package: from, version, binary } = RUNTIMES[name];
  if (RUNTIMES[name].suite && process.versions.node === version) return process.execPath;
  const folder = path.join(values.cache, `${from.replace('/', '-')}-${version}`);
  const file = path.join(folder, 'package', binary);
  if (existsSync(file)) return file;
  console.log(`fetching ${from}@${version}`);
  const partial = `${folder}.${process.pid}`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  const packed = spawnSync('npm', ['pack', '--loglevel=error', '--pack-destination', partial, `${from}@${version}`], {
    cwd: partial,
    encoding: 'utf8',
  });
  const archive = packed.stdout?.trim().split('\n').at(-1) ?? '';
  const unpacked =
    packed.status === 0 &&
    spawnSync('tar', ['-xzf', path.basename(archive)], { cwd: partial, stdio: 'inherit' }).status === 0;
  if (!unpacked || !existsSync(path.join(partial, 'package', binary))) {
    rmSync(partial, { recursive: true, force: true });
    throw new Error(
      `${from}@${version} cannot be had: ${packed.stderr?.trim() || packed.error?.message || 'no binary'}`,
    );
  }
  rmSync(path.join(partial, path.basename(archive)));
  chmodSync(path.join(partial, 'package', binary), 0o755);
  // Whole or not at all: a run that is killed while it unpacks leaves nothing that looks finished.
  if (!existsSync(file)) renameSync(partial, folder);
  else rmSync(partial, { recursive: true });
  return file;
}

const results = [];
/** Does a part of the work, and keeps whether it went well. Returns what `work` does; `false` where it threw. */
function step(name, what, work) {
  console.log(`\n== ${name}: ${what}`);
  const began = Date.now();
  let result = false;
  try {
    result = work();
  } catch (error) {
    console.error(error.message);
  }
  results.push({ name, what, passed: result !== false, seconds: Math.round((Date.now() - began) / 1000) });
  return result;
}

const SMOKE = path.join(root, 'test/runtimes/smoke.mjs');
const EXAMPLE = path.join(root, 'test/runtimes/example.mjs');
const SMOKE_MS = 120_000;
const built = step('workspace', 'the packages and the native core, built once', () =>
  run([process.execPath, 'scripts/prepare.mjs'], { FDSET_NATIVE: 'require' }),
);
for (const name of built ? values.runtimes : []) {
  const { suite, command, version } = RUNTIMES[name];
  const binary = step(name, `version ${version}`, () => fetched(name));
  if (binary === false) continue;
  // Its own folder first: what a test starts as `node` is the same one.
  const env = { PATH: `${path.dirname(binary)}${path.delimiter}${process.env.PATH}`, FDSET_NATIVE: 'require' };
  for (const backend of suite ? ['kernel', 'emulated'] : ['emulated'])
    step(name, `smoke on ${backend}`, () =>
      run([...command(binary), SMOKE, backend], { ...env, ...(suite ? { FDSET_BACKEND: backend } : {}) }, SMOKE_MS),
    );
  step(name, 'the echo example', () => run([process.execPath, EXAMPLE, ...command(binary)], env, SMOKE_MS));
  if (!suite || values.smoke || (values.short && binary === process.execPath)) continue;
  const files = positionals.length > 0 ? positionals : values.short ? SHORT : LONG;
  step(name, values.short ? 'the short suite' : 'the suite', () =>
    run([binary, path.join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...files], env),
  );
}

console.log('');
for (const { name, what, passed, seconds } of results)
  console.log(`${passed ? 'ok    ' : 'FAILED'}  ${name.padEnd(9)}  ${`${seconds} s`.padStart(6)}  ${what}`);
process.exit(results.every(({ passed }) => passed) ? 0 : 1);
