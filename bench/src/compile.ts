/** Compiles the C programs of load/ on the spot, into bench/build, and leaves alone what is fresh. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the package, seen from src/ and from dist/. */
export const benchFolder = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

const programs = {
  load: [
    'load.c',
    'run.c',
    'load-options.c',
    'load-report.c',
    'contents.c',
    'flood.c',
    'datagrams.c',
    'server-stats.c',
  ],
  'epoll-echo': ['epoll-echo.c', 'echo-server.c'],
  'udp-echo': ['udp-echo.c', 'echo-server.c'],
} as const satisfies Record<string, readonly string[]>;

export type Program = keyof typeof programs;

const flags = ['-std=gnu11', '-O2', '-Wall', '-Wextra'];

/** The compiler's name, `CC` or `cc`; `undefined` where it does not run or the system is not Linux, whose epoll the programs use. */
export function compiler(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const name = process.env.CC || 'cc';
  return spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0 ? name : undefined;
}

/** Returns the path of the program, compiled if a source or header is newer. Throws with the compiler's message if that fails. */
export function compile(program: Program, cc: string): string {
  const sources = path.join(benchFolder, 'load');
  const output = path.join(benchFolder, 'build', program);
  const newest = Math.max(...readdirSync(sources).map((file) => statSync(path.join(sources, file)).mtimeMs));
  if (existsSync(output) && statSync(output).mtimeMs > newest) return output;
  mkdirSync(path.dirname(output), { recursive: true });
  // Two harnesses may compile at once: the finished file takes its name in one step.
  const fresh = `${output}.${process.pid}`;
  const done = spawnSync(cc, [...flags, '-o', fresh, ...programs[program].map((file) => path.join(sources, file))], {
    encoding: 'utf8',
  });
  if (done.status !== 0)
    throw new Error(`${cc} could not compile ${program}:\n${done.stderr || done.error?.message || ''}`);
  renameSync(fresh, output);
  return output;
}
