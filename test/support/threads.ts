/** Worker threads of a test, from its fixtures. */
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { afterTest } from './after-test.js';
import { Log } from './waiting.js';

export class Thread {
  readonly worker: Worker;
  /** What it has posted, without the answers of hand-offs. */
  readonly told = new Log<unknown>();
  readonly ended: Promise<number>;
  /** What it failed with. */
  error: Error | undefined;

  constructor(file: URL, workerData: unknown, options: WorkerOptions & { backend?: string } = {}) {
    const { backend, ...rest } = options;
    const env = backend === undefined ? process.env : { ...process.env, FDSET_BACKEND: backend };
    this.worker = new Worker(file, { workerData, execArgv: [], env, ...rest });
    this.worker.on('message', (message) => this.told.add(message));
    this.worker.on('error', (error) => {
      this.error = error as Error;
    });
    this.ended = new Promise((resolve) => this.worker.once('exit', resolve));
    afterTest(() => this.worker.terminate());
  }

  /** The n-th thing that it tells, from 0. Fails when it ends before that. */
  async tells<T = unknown>(index: number): Promise<T> {
    const over = this.ended.then((code) => {
      if (this.told.entries.length <= index)
        throw new Error(`the thread ended (${code}) before it told ${index + 1}: ${this.error?.stack}`);
    });
    await Promise.race([this.told.reaches(index + 1), over]);
    return this.told.entries[index] as T;
  }
}
