/** A reactor's share of the network's clock: the network starts its turns, one at a time. */
import type { BackendHost, Driver } from '../backend/backend.js';
import type { SimulatedDemultiplexer } from './demultiplexer.js';

/** What a driver needs of its network. */
export interface Conductor {
  now(): number;
  /** The driver has something to do, or to do it at another time. */
  stir(): void;
  /** The driver has stopped for good. */
  remove(driver: SimulatedDriver): void;
}

export class SimulatedDriver implements Driver {
  /** When it wants a turn although nothing is ready. */
  deadline = Number.POSITIVE_INFINITY;
  /** Whether its reactor wants the process to stay: of consequence only while the network follows the real time. */
  held = false;
  inTurn = false;
  readonly #conductor: Conductor;
  #posted = false;
  #host: BackendHost | null = null;
  #demultiplexer: SimulatedDemultiplexer | null = null;

  constructor(conductor: Conductor) {
    this.#conductor = conductor;
  }

  start(host: BackendHost, demultiplexer: SimulatedDemultiplexer): void {
    this.#host = host;
    this.#demultiplexer = demultiplexer;
  }

  /** Whether it wants a turn now. */
  get isDue(): boolean {
    if (this.#host === null) return false;
    return this.#posted || this.#demultiplexer?.live === true || this.deadline <= this.#conductor.now();
  }

  /** Whether a turn was asked for or something is ready, whatever the time. */
  get isBusy(): boolean {
    return this.#host !== null && (this.#posted || this.#demultiplexer?.live === true);
  }

  turn(): void {
    this.#posted = false;
    this.inTurn = true;
    try {
      this.#host?.turn();
    } finally {
      this.inTurn = false;
    }
  }

  now(): number {
    return this.#conductor.now();
  }

  schedule(deadline: number): void {
    this.deadline = deadline;
    this.#conductor.stir();
  }

  post(): void {
    this.#posted = true;
    this.#conductor.stir();
  }

  hold(): void {
    this.held = true;
    this.#conductor.stir();
  }

  release(): void {
    this.held = false;
    this.#conductor.stir();
  }

  stop(): void {
    this.#host = null;
    this.#posted = this.held = false;
    this.deadline = Number.POSITIVE_INFINITY;
    this.#conductor.remove(this);
    this.#conductor.stir();
  }
}
