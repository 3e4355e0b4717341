/** Child processes that never outlive the harness. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** How much of a child's standard error is kept for a message. */
const KEPT_LINES = 20;

const alive = new Set<Child>();

export class Child {
  readonly pid: number;
  /** Settles when the process has ended and its output is read. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #process: ChildProcess;
  #ended = false;
  #stderr: string[] = [];

  /** `onLine` gets the lines of standard output, `onErrorLine` those of standard error; it returns true for a line that it has dealt with. */
  constructor(
    command: readonly string[],
    onLine: (line: string) => void,
    onErrorLine: (line: string) => boolean = () => false,
  ) {
    const [file = '', ...args] = command;
    // A group of its own, so that the grandchildren of process styles can be ended with it. Standard input stays open: its end tells the child that we are gone.
    this.#process = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    this.pid = this.#process.pid ?? 0;
    alive.add(this);
    this.#process.stdin?.on('error', () => {});
    createInterface({ input: this.#process.stdout! }).on('line', onLine);
    createInterface({ input: this.#process.stderr! }).on('line', (line) => {
      if (!onErrorLine(line)) this.#stderr = [...this.#stderr.slice(1 - KEPT_LINES), line];
    });
    this.ended = new Promise((resolve) => {
      this.#process.once('error', (error) => {
        this.#stderr.push(error.message);
        alive.delete(this);
        this.#ended = true;
        resolve({ code: null, signal: null });
      });
      this.#process.once('close', (code, signal) => {
        alive.delete(this);
        this.#ended = true;
        resolve({ code, signal });
      });
    });
  }

  /** Whether {@link ended} has settled. */
  get hasEnded(): boolean {
    return this.#ended;
  }

  /** The last lines of standard error. */
  get stderr(): string {
    return this.#stderr.join('\n').trim();
  }

  /** The line of standard error that says what went wrong: an exception's, else the last one. */
  get complaint(): string {
    return (this.#stderr.find((line) => /^\s*\w*Error\b.*: /.test(line)) ?? this.#stderr.at(-1) ?? '').trim();
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /** Ends what is left of the process and its group, at once. Returns whether anything was left. */
  killGroup(): boolean {
    if (this.pid === 0) return false;
    try {
      process.kill(-this.pid, 'SIGKILL');
      return true;
    } catch {
      return false;
    }
  }

  /** SIGTERM, and SIGKILL after `patienceMs`. */
  async stop(patienceMs: number): Promise<{ graceful: boolean; leftBehind: boolean; elapsedMs: number }> {
    const begun = performance.now();
    let graceful = true;
    this.signal('SIGTERM');
    const timer = setTimeout(() => {
      graceful = false;
      this.killGroup();
    }, patienceMs);
    await this.ended;
    clearTimeout(timer);
    return { graceful, leftBehind: this.killGroup() && graceful, elapsedMs: performance.now() - begun };
  }
}

/** Ends every child and its group, without waiting. */
export function killAllChildren(): void {
  for (const child of alive) child.killGroup();
}

// The last resort, also after an uncaught exception. If the harness is itself killed, the children see the end of their standard input (or PR_SET_PDEATHSIG).
process.on('exit', killAllChildren);
