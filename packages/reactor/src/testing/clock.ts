/** The time of a simulated network: it stands still but for who moves it on, or follows the real one. */
import { performance } from 'node:perf_hooks';

export class Clock {
  #time = 0;
  /** What is to be added to the real time, while that is followed. */
  #offset: number | null = null;

  /** Ms; 0 when the network was made. Never goes back. */
  now(): number {
    return this.#offset === null ? this.#time : performance.now() + this.#offset;
  }

  /** Moves on to `time`, unless that has passed. Nothing while the real time is followed. */
  moveTo(time: number): void {
    if (this.#offset === null && time > this.#time) this.#time = time;
  }

  get follows(): boolean {
    return this.#offset !== null;
  }

  /** Goes on as the real time does. */
  follow(): void {
    this.#offset ??= this.#time - performance.now();
  }

  /** Stands still. */
  stop(): void {
    this.#time = this.now();
    this.#offset = null;
  }
}
