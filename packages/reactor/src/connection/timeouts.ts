/** The timeouts of one connection: three clocks that activity sets back, looked at by the wheel. */
import { type TimeoutWheel, WheelEntry } from '../timeout-wheel.js';

/** `idle`: nothing received and nothing sent. `read`: nothing received while it reads. `write`: no queued byte has left. */
export type TimeoutKind = 'idle' | 'read' | 'write';

/** In ms; 0 for none. */
export interface TimeoutSettings {
  readonly idleMs: number;
  readonly readMs: number;
  readonly writeMs: number;
}

/** Told when a clock has run out. It must not throw. */
export interface TimeoutOwner {
  timedOut(kind: TimeoutKind, ms: number): void;
}

const NEVER = Number.POSITIVE_INFINITY;

export class Timeouts extends WheelEntry {
  /** When it was received last: written for each chunk, and nothing else happens then. */
  received: number;
  /** When bytes left last. */
  sent: number;
  /** Since when it reads; `Infinity` while it does not. */
  readingSince = NEVER;
  /** Since when bytes are queued that the system did not take; `Infinity` while there are none. */
  blockedSince = NEVER;
  idleMs: number;
  /** Since when the idle clock runs, at the least. */
  idleSince: number;
  readonly #settings: TimeoutSettings;
  readonly #owner: TimeoutOwner;
  #over = false;
  /** The latest activity whose idle stretch was told: each is told once. */
  #toldOf = -1;

  constructor(owner: TimeoutOwner, settings: TimeoutSettings, now: number) {
    super();
    this.#owner = owner;
    this.#settings = settings;
    this.received = now;
    this.sent = now;
    this.idleSince = now;
    this.idleMs = settings.idleMs;
  }

  /** The shortest of the clocks; 0 where there is none. */
  get shortest(): number {
    const { readMs, writeMs } = this.#settings;
    const shortest = Math.min(this.idleMs || NEVER, readMs || NEVER, writeMs || NEVER);
    return shortest === NEVER ? 0 : shortest;
  }

  /** Has the wheel look at it as often as its clocks need; takes it out where there is none. */
  relink(wheel: TimeoutWheel, now: number): void {
    const { shortest } = this;
    if (shortest === 0) wheel.unlink(this);
    else wheel.link(this, now + shortest);
  }

  /** Takes it out for good, also while it is being looked at. */
  end(wheel: TimeoutWheel): void {
    this.#over = true;
    wheel.unlink(this);
  }

  /**
   * A clock that stands still (no reading, nothing queued, idleness that was told) is looked at again after its whole
   * time: whatever starts it meanwhile, it does not run out before.
   */
  look(now: number): number {
    const { idleMs } = this;
    const { readMs, writeMs } = this.#settings;
    let next = NEVER;
    if (readMs > 0) {
      const deadline = Math.max(this.received, this.readingSince) + readMs;
      if (now >= deadline) return this.#expire('read', readMs);
      next = Math.min(next, deadline, now + readMs);
    }
    if (writeMs > 0) {
      const deadline = Math.max(this.sent, this.blockedSince) + writeMs;
      if (now >= deadline) return this.#expire('write', writeMs);
      next = Math.min(next, deadline, now + writeMs);
    }
    if (idleMs > 0) {
      const latest = Math.max(this.received, this.sent, this.idleSince);
      if (now >= latest + idleMs) {
        if (latest !== this.#toldOf) {
          this.#toldOf = latest;
          this.#owner.timedOut('idle', idleMs);
          if (this.#over) return NEVER;
        }
        next = Math.min(next, now + idleMs);
      } else next = Math.min(next, latest + idleMs);
    }
    return next;
  }

  #expire(kind: TimeoutKind, ms: number): number {
    this.#owner.timedOut(kind, ms);
    return NEVER;
  }
}
