/** Idle connections beside the load: a process of their own holds them open, from before a server's first slice to after its last one. */

import { type LoadOptions, type LoadProgress, type LoadResult, loadArguments } from '../load/result.js';
import { Child } from './children.js';
import { placed } from './placement.js';
import type { Server } from './server.js';
import type { Loaded, Setup } from './session.js';

/** How long closing all of them may take. */
const STOP_MS = 15_000;

export class Crowd {
  readonly size: number;
  readonly #client: Child;
  #result: LoadResult | undefined;
  #held = false;

  private constructor(size: number, command: readonly string[], onHeld: () => void, onProgress: ProgressListener) {
    this.size = size;
    this.#client = new Child(
      command,
      (line) => {
        if (line.startsWith('{')) this.#result = JSON.parse(line) as LoadResult;
        if (!line.startsWith('held ')) return;
        this.#held = true;
        onHeld();
      },
      (line) => {
        if (!line.startsWith('{')) return false;
        onProgress(JSON.parse(line) as LoadProgress);
        return true;
      },
    );
    void this.#client.ended.then(onHeld);
  }

  /** Settles when all are open and the server has accepted them; {@link failure} tells if that did not come to be. */
  static async open(
    server: Server,
    { client, placement, load }: Omit<Setup, 'server' | 'clientKind'>,
    onProgress: ProgressListener,
  ): Promise<Crowd> {
    const options: LoadOptions = {
      ...{ ...load, shape: 'hold', connections: load.idle, idle: 0, pipeline: 1 },
      ...{ host: '127.0.0.1', port: server.port, serverPids: [], collect: false },
    };
    const command = placed([...client, ...loadArguments(options)], 'load', placement);
    return new Promise((resolve) => {
      const crowd = new Crowd(load.idle, command, () => resolve(crowd), onProgress);
    });
  }

  /** Why they are not, or no longer, all open; `undefined` while they are. */
  get failure(): Loaded | undefined {
    const result = this.#result;
    if (result && result.outcome !== 'ok') return { outcome: result.outcome, reason: result.reason ?? result.outcome };
    if (this.#held && !this.#client.hasEnded) return undefined;
    if (result) return undefined;
    return {
      outcome: 'failed',
      reason: `the process that holds the idle connections ended: ${this.#client.complaint || 'it said nothing'}`,
    };
  }

  /** Closes them. The server is still to be there: one that ends first has closed them. */
  async end(): Promise<void> {
    await this.#client.stop(STOP_MS);
  }
}

type ProgressListener = (progress: LoadProgress) => void;
