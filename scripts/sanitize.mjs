#!/usr/bin/env node
// Runs the tests of the native core against builds of it with AddressSanitizer and UndefinedBehaviorSanitizer.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { flag, readOptions } from './options.mjs';

const HELP = `usage: node scripts/sanitize.mjs [address | undefined | both] [--all] [files...]

Builds the native core with sanitizers, beside the one in use, and runs the conformance suite of the kernel backend, the
faults, the fuzz, the threads and the hand-offs on it. Fails on any report of a sanitizer, and on any test that fails. Needs gcc with its libasan.

  address    AddressSanitizer: memory that is used after its end or outside its bounds
  undefined  UndefinedBehaviorSanitizer
  both       one build and one run with both (the default)
  --all      also the files that are left out: those that count system calls, and those that wait most of their time
  files      only these test files

Leaks of memory are not looked for: Node itself frees nothing at its end. Descriptors, handles and timers that are left
are found by the tests themselves.`;

/**
 * Costs counts system calls, which are no matter of memory. Timers and handler errors wait for most of their time, above
 * the core: about 15 s of 140. The soak of hand-offs does what its siblings do, more often.
 */
const LEFT_OUT = ['conformance/costs', 'conformance/handler-errors', 'conformance/timers', 'hand-off/soak'].map(
  (name) => `test/${name}.test.ts`,
);

const KINDS = { address: 'address', undefined: 'undefined', both: 'address,undefined' };

const { values, positionals, refuse } = readOptions(HELP, { all: flag }, { operands: true });
const kind = Object.hasOwn(KINDS, positionals[0] ?? '') ? positionals.shift() : 'both';
const wrong = positionals.find((name) => !name.startsWith('test/'));
if (wrong !== undefined) refuse(`expected address, undefined, both or files below test/, got '${wrong}'`);

const root = path.resolve(fileURLToPath(import.meta.url), '../..');

function build() {
  const script = path.join(root, 'packages/reactor/native/build.mjs');
  const done = spawnSync(process.execPath, [script, '--sanitize', KINDS[kind]], { encoding: 'utf8' });
  if (done.status !== 0) {
    console.error(done.stderr);
    process.exit(1);
  }
  return done.stdout.trim().split('\n').pop();
}

/** AddressSanitizer must be the first library of the process: Node itself is built without it. */
function runtime() {
  if (kind === 'undefined') return '';
  const library = spawnSync('cc', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout?.trim() ?? '';
  if (path.isAbsolute(library)) return library;
  console.error('sanitize: cc knows no libasan.so');
  process.exit(1);
}

const core = build();
const reports = mkdtempSync(path.join(tmpdir(), 'fdset-sanitize-'));
const log = `log_path=${path.join(reports, 'report')}`;
const files =
  positionals.length > 0
    ? positionals
    : ['test/conformance', 'test/faults', 'test/fuzz', 'test/hand-off', 'test/threads'];
const exclude = values.all ? [] : LEFT_OUT.flatMap((file) => ['--exclude', file]);
console.log(`sanitize: ${KINDS[kind]} over ${files.join(', ')}${values.all ? '' : ` without ${LEFT_OUT.join(', ')}`}`);

const began = performance.now();
const vitest = spawnSync(
  process.execPath,
  [path.join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...files, ...exclude, '-t', 'on kernel'],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      FDSET_CORE: core,
      FDSET_NATIVE: 'require',
      LD_PRELOAD: runtime(),
      ASAN_OPTIONS: `detect_leaks=0:${log}`,
      UBSAN_OPTIONS: `print_stacktrace=1:${log}`,
    },
  },
);

const found = readdirSync(reports);
for (const name of found) console.error(`\n--- ${name}\n${readFileSync(path.join(reports, name), 'utf8')}`);
rmSync(reports, { recursive: true });
const seconds = ((performance.now() - began) / 1000).toFixed(0);
console.log(`sanitize: ${KINDS[kind]}, ${found.length} reports, ${seconds} s`);
process.exit(found.length > 0 || vitest.status !== 0 ? 1 : 0);
