/** How long a reactor runs, and how what it serves comes to an end: `run`, `stop` and `close`. */
import { Connection } from './connection/connection.js';
import { finish } from './connection/ending.js';
import type { Dispatcher } from './dispatch/dispatcher.js';
import { misuse } from './errors.js';
import { Listener } from './listener.js';
import type { Plugins } from './plugin/plugins.js';

export class Life {
  readonly #dispatcher: Dispatcher;
  readonly #plugins: Pick<Plugins, 'retain' | 'shutDown'>;
  /** Ends each `run` that waits. */
  readonly #runs = new Set<() => void>();
  /** Rejects what else is under way when the reactor is closed: connects and sleeps. */
  readonly pending = new Set<(error: unknown) => void>();

  constructor(dispatcher: Dispatcher, plugins: Pick<Plugins, 'retain' | 'shutDown'>) {
    this.#dispatcher = dispatcher;
    this.#plugins = plugins;
  }

  run(signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#dispatcher.hold(1);
      const end = (): void => {
        if (!this.#runs.delete(end)) return;
        signal?.removeEventListener('abort', end);
        this.#dispatcher.hold(-1);
        resolve();
      };
      this.#runs.add(end);
      signal?.addEventListener('abort', end, { once: true });
    });
  }

  async stop(drainMs: number): Promise<void> {
    // One that only a listener has says goodbye with the others, and not when that is closed.
    const release = this.#plugins.retain();
    for (const listener of this.#listeners()) await listener.close();
    const over = new AbortController();
    if (drainMs === 0) over.abort();
    const goodbyes = this.#plugins.shutDown(over.signal);
    if (drainMs > 0) {
      const open = this.#connections();
      const gone = open.map((connection) => new Promise<void>((done) => connection.once('close', () => done())));
      for (const connection of open) connection.end();
      await this.#within(drainMs, Promise.all([...gone, goodbyes]));
      over.abort();
    }
    this.#shutDown();
    release();
  }

  close(): void {
    for (const listener of this.#listeners()) void listener.close();
    void this.#plugins.shutDown(AbortSignal.abort());
    this.#shutDown();
    for (const fail of [...this.pending]) fail(misuse('ERR_REACTOR_CLOSED', 'the reactor was closed meanwhile'));
  }

  #shutDown(): void {
    for (const connection of this.#connections()) finish(connection, { by: 'shutdown' });
    for (const end of [...this.#runs]) end();
  }

  async #within(ms: number, event: Promise<unknown>): Promise<void> {
    let cancel = (): void => {};
    const over = new Promise<void>((done) => {
      const timer = this.#dispatcher.timers.add(ms, done);
      cancel = () => timer.cancel();
    });
    await Promise.race([event, over]);
    cancel();
  }

  // Lists: what is registered changes while it is gone through.

  #listeners(): Listener[] {
    return [...this.#dispatcher.slots.registrations()]
      .map(({ data }) => data)
      .filter((data) => data instanceof Listener);
  }

  #connections(): Connection[] {
    return [...this.#dispatcher.slots.registrations()]
      .map(({ data }) => data)
      .filter((data) => data instanceof Connection);
  }
}
