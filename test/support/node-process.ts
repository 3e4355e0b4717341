/** A Node process of its own, for what concerns a whole process: its end, its signals, its limits. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterTest } from './after-test.js';
import { skipOnStage } from './simulated-stage.js';
import { Log, once } from './waiting.js';

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly lines: readonly string[];
  readonly stderr: string;
}

export interface Launch {
  /** A program that runs the program: `['prlimit', '--nofile=64:64']`. */
  readonly through?: readonly string[];
  readonly backend?: string;
  /** Options of Node itself. */
  readonly node?: readonly string[];
  readonly args?: readonly string[];
  /** Descriptors that the program inherits, as its numbers 3 and on. */
  readonly descriptors?: readonly number[];
}

/** Where '@fdset/reactor' resolves to the built package. */
const FOLDER = fileURLToPath(new URL('..', import.meta.url));

export class NodeProcess {
  readonly child: ChildProcess;
  /** What it has printed, line by line. */
  readonly lines = new Log<string>();
  readonly #outcome: Promise<Outcome>;

  /** Runs `source`, an ES module in which `@fdset/reactor` can be imported, with FDSET_BACKEND set to the backend. */
  constructor(source: string, launch: Launch = {}) {
    if (launch.backend === 'simulated') skipOnStage('a process of its own reaches no simulated network');
    const node = [
      process.execPath,
      ...(launch.node ?? []),
      '--input-type=module',
      '--eval',
      source,
      ...(launch.args ?? []),
    ];
    const [program, ...args] = [...(launch.through ?? []), ...node] as [string, ...string[]];
    this.child = spawn(program, args, {
      cwd: FOLDER,
      env: { ...process.env, ...(launch.backend === undefined ? {} : { FDSET_BACKEND: launch.backend }) },
      stdio: ['pipe', 'pipe', 'pipe', ...(launch.descriptors ?? [])],
    });
    let stderr = '';
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    createInterface({ input: this.child.stdout as NodeJS.ReadableStream }).on('line', (line) => this.lines.add(line));
    this.#outcome = new Promise((resolve) => {
      this.child.once('close', (code, signal) => resolve({ code, signal, lines: this.lines.entries, stderr }));
    });
    afterTest(async () => {
      if (this.child.exitCode !== null || this.child.signalCode !== null) return;
      this.child.kill('SIGKILL');
      await this.#outcome;
    });
  }

  /** How it ended, once it has. */
  ended(): Promise<Outcome> {
    return this.#outcome;
  }

  /** The n-th line that it prints, from 0. Fails when it ends before that. */
  async line(index: number): Promise<string> {
    const over = this.#outcome.then(({ code, signal, stderr }) => {
      if (this.lines.entries.length > index) return;
      throw new Error(`the process ended (${code ?? signal}) before its line ${index}: ${stderr}`);
    });
    await Promise.race([this.lines.reaches(index + 1), over]);
    return this.lines.entries[index] as string;
  }

  /** Whether it has ended. */
  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }
}

/** Runs a program to its end. */
export function runNode(source: string, launch: Launch = {}): Promise<Outcome> {
  return new NodeProcess(source, launch).ended();
}

/** Resolves when the child has printed nothing and ended nothing for `ms`: that it goes on living cannot be waited for. */
export async function stillRunsAfter(node: NodeProcess, ms: number): Promise<boolean> {
  await Promise.race([once(node.child, 'exit'), new Promise((resolve) => setTimeout(resolve, ms))]);
  return node.running;
}
