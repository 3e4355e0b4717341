/** What keeps the process alive: registrations, timers, posted tasks, selects, as long as the reactor is referenced. */
import type { Driver } from '../backend/backend.js';

export class Liveness {
  readonly #driver: Driver;
  #holds = 0;
  #referenced = true;
  #over = false;
  #holding = false;

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  /** One more or one fewer that keeps it alive. */
  hold(change: 1 | -1): void {
    this.#holds += change;
    this.#settle();
  }

  setReferenced(referenced: boolean): void {
    this.#referenced = referenced;
    this.#settle();
  }

  /** The reactor is closed: whoever holds, the process may end. */
  end(): void {
    this.#over = true;
    this.#settle();
  }

  #settle(): void {
    const holding = this.#holds > 0 && this.#referenced && !this.#over;
    if (holding === this.#holding) return;
    this.#holding = holding;
    if (holding) this.#driver.hold();
    else this.#driver.release();
  }
}
