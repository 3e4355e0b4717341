/** A client or server of its own: openssl, curl. It ends with the test. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { afterTest } from '../support/after-test.js';
import { Log } from '../support/waiting.js';

export class Program {
  readonly child: ChildProcessWithoutNullStreams;
  readonly output = new Log<Buffer>();
  stderr = '';
  /** Its exit code, or its signal. */
  readonly ended: Promise<number | string>;

  constructor(name: string, args: readonly string[], input?: string | Uint8Array) {
    this.child = spawn(name, args);
    this.child.stdout.on('data', (chunk: Buffer) => this.output.add(chunk));
    this.child.stderr.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    // It may be gone before it has read all.
    this.child.stdin.on('error', () => {});
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code, signal) => resolve(code ?? signal ?? -1));
    });
    if (input !== undefined) this.child.stdin.end(input);
    afterTest(async () => {
      this.child.kill('SIGKILL');
      await this.ended;
    });
  }

  get text(): string {
    return Buffer.concat(this.output.entries).toString();
  }

  /** Resolves once its output holds `text`. Fails when it ends before that. */
  async says(text: string): Promise<void> {
    const over = this.ended.then((how) => {
      if (!this.text.includes(text))
        throw new Error(`ended (${how}) without saying '${text}': ${this.stderr}${this.text}`);
    });
    while (!this.text.includes(text)) await Promise.race([this.output.reaches(this.output.entries.length + 1), over]);
  }
}
