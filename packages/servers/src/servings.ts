/** The connections that are being served, and their end when the server stops. */
import type { Serving } from './styles/style.js';

/** How long a handler may unwind after it was asked to end, before its thread or process is ended in any case. */
const UNWIND_MS = 1000;

export class Servings {
  readonly #all = new Set<Serving>();
  #peak = 0;

  get size(): number {
    return this.#all.size;
  }

  /** The most there were at once. */
  get peak(): number {
    return this.#peak;
  }

  /** Resolves when it is over, and it is not counted any more. */
  async add(serving: Serving): Promise<void> {
    this.#all.add(serving);
    this.#peak = Math.max(this.#peak, this.#all.size);
    await serving.done;
    this.#all.delete(serving);
  }

  /** Resolves when none is left: by itself within `graceMs`, then asked to end, and at last ended. */
  async drain(graceMs: number): Promise<void> {
    if (await this.#within(graceMs)) return;
    for (const serving of this.#all) serving.end();
    if (await this.#within(UNWIND_MS)) return;
    for (const serving of this.#all) serving.kill();
    await this.#over();
  }

  #over(): Promise<unknown> {
    return Promise.all([...this.#all].map((serving) => serving.done));
  }

  async #within(ms: number): Promise<boolean> {
    if (this.#all.size === 0) return true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), ms);
    });
    const inTime = await Promise.race([this.#over().then(() => true), late]);
    clearTimeout(timer);
    return inTime;
  }
}
