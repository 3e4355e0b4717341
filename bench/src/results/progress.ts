/** Progress on standard error: one line that is rewritten on a terminal, else a line per measurement. */
import pc from 'picocolors';
import type { LoadProgress } from '../load/result.js';
import * as format from './format.js';
import { headline } from './metrics.js';
import type { Cell } from './results.js';

/** Twice a second at most: drawing takes CPU time from what is measured. */
const REDRAW_MS = 500;

function figureOf({ load }: Cell): string {
  if (!load) return '';
  const value = headline(load.shape).of(load);
  if (load.shape === 'idle') return `${format.bytes(value)}/connection`;
  return load.shape === 'flood' ? `p99 ${format.microseconds(value)}` : `${format.count(value)} msg/CPU s`;
}

export class Progress {
  readonly #terminal: boolean;
  readonly #stream: NodeJS.WriteStream;
  readonly #expectedSeconds: number;
  readonly #begun = performance.now();
  #spent = 0;
  #drawn = 0;
  #last: LoadProgress | undefined;

  constructor(expectedSeconds: number, stream: NodeJS.WriteStream = process.stderr) {
    this.#expectedSeconds = expectedSeconds;
    this.#stream = stream;
    this.#terminal = Boolean(stream.isTTY);
  }

  /** Expected, corrected by how long what is done took against what it was expected to take. */
  #remaining(): number {
    const elapsed = (performance.now() - this.#begun) / 1000;
    const pace = this.#spent > 3 ? elapsed / this.#spent : 1;
    return (this.#expectedSeconds - this.#spent) * pace;
  }

  tick(label: string, progress: LoadProgress): void {
    const previous = this.#last;
    this.#last = progress;
    const now = performance.now();
    if (!this.#terminal || now - this.#drawn < REDRAW_MS) return;
    this.#drawn = now;
    const passed = previous ? progress.seconds - previous.seconds : 0;
    const rate =
      previous && passed > 0 && progress.messages >= previous.messages
        ? `${format.count((progress.messages - previous.messages) / passed)} msg/s`
        : '';
    const text = `${label}  ${progress.phase}  ${progress.connections} connections  ${rate}  ${pc.dim(`${format.duration(this.#remaining())} left`)}`;
    this.#stream.write(`\r\x1b[K${text}`);
  }

  /** Work is done, or left out, that was expected to take so long. */
  spend(seconds: number): void {
    this.#spent += seconds;
    this.#last = undefined;
  }

  /** A measurement has ended. */
  done(label: string, cell: Cell): void {
    this.clear();
    const failed = cell.outcome !== 'ok';
    if (this.#terminal && !failed) return;
    const said = failed ? pc.red(`${cell.outcome}: ${cell.reason ?? ''}`) : figureOf(cell);
    this.#stream.write(`${label}  ${said}  ${pc.dim(`${format.duration(this.#remaining())} left`)}\n`);
  }

  clear(): void {
    if (this.#terminal) this.#stream.write('\r\x1b[K');
  }
}
