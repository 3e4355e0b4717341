/** A fuzz of `scripts/` in a process of its own. */
import { spawn } from 'node:child_process';
import { afterTest } from '../support/after-test.js';

export interface Run {
  readonly code: number | null;
  /** SIGSEGV, SIGABRT: it crashed; SIGKILL: it hung. */
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `script` for `seconds`, and ends it when it takes much longer. */
export function fuzz(script: string, seconds: number, ...args: string[]): Promise<Run> {
  const child = spawn(process.execPath, [script, '--seconds', String(seconds), ...args]);
  const hung = setTimeout(() => child.kill('SIGKILL'), seconds * 1000 + 20_000);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  afterTest(() => child.kill('SIGKILL'));
  return new Promise((resolve) =>
    child.once('close', (code, signal) => {
      clearTimeout(hung);
      resolve({ code, signal, stdout, stderr });
    }),
  );
}
