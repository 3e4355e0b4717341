/** Child processes of a test, with an IPC channel, from its fixtures. */
import { type ChildProcess, type ForkOptions, fork } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterTest } from './after-test.js';
import { Log } from './waiting.js';

export class Child {
  readonly process: ChildProcess;
  /** What it has sent. */
  readonly told = new Log<unknown>();
  /** Its code or its signal. */
  readonly ended: Promise<number | NodeJS.Signals | null>;

  constructor(file: URL, given: unknown, options: ForkOptions & { backend?: string } = {}) {
    const { backend, ...rest } = options;
    const env = backend === undefined ? process.env : { ...process.env, FDSET_BACKEND: backend };
    this.process = fork(fileURLToPath(file), [JSON.stringify(given)], { execArgv: [], env, ...rest });
    this.process.on('message', (message) => this.told.add(message));
    this.ended = new Promise((resolve) => this.process.once('close', (code, signal) => resolve(code ?? signal)));
    afterTest(async () => {
      this.process.kill('SIGKILL');
      await this.ended;
    });
  }

  /** The n-th thing that it sends, from 0. Fails when it ends before that. */
  async tells<T = unknown>(index: number): Promise<T> {
    const over = this.ended.then((how) => {
      if (this.told.entries.length <= index) throw new Error(`the child ended (${how}) before it told ${index + 1}`);
    });
    await Promise.race([this.told.reaches(index + 1), over]);
    return this.told.entries[index] as T;
  }

  /** How many descriptors it has. */
  get descriptors(): number {
    return readdirSync(`/proc/${this.process.pid}/fd`).length;
  }
}
