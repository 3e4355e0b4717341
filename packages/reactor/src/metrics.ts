/** What a reactor counts. Plain numbers on the hot path; the snapshot is made when it is asked for. */

/** What the backend's sockets add up, for raw sockets and connections alike. */
export interface Traffic {
  bytesIn: number;
  bytesOut: number;
  accepts: number;
  datagramsDropped: number;
}

/**
 * The byte counts begin as -0, which V8 keeps as a double: a field of small integers that grows beyond 2 GiB changes its
 * kind, and all code that touches it is thrown away and compiled again.
 */
export function newTraffic(): Traffic {
  return { bytesIn: -0, bytesOut: -0, accepts: 0, datagramsDropped: 0 };
}

/** The upper bounds of the histogram of turn times, in ms: each twice the one before, from 1/16 ms to 2 s. */
export const TURN_TIME_BOUNDS_MS: readonly number[] = Object.freeze(Array.from({ length: 16 }, (_, i) => 2 ** (i - 4)));

/** How long the turns took, in buckets of log2. */
export class TurnTimes {
  /** One more than there are bounds: the last bucket holds what was longer. */
  readonly counts: number[] = new Array<number>(TURN_TIME_BOUNDS_MS.length + 1).fill(0);
  busyMs = 0;
  longestMs = 0;

  add(ms: number): void {
    this.busyMs += ms;
    if (ms > this.longestMs) this.longestMs = ms;
    // The number of bits of the time in sixteenths of a ms is the number of bounds that it has reached.
    const bucket = Math.min(32 - Math.clz32(ms * 16), this.counts.length - 1);
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
  }
}

/**
 * What has happened in a reactor since it was made: a snapshot of plain numbers and arrays, so `JSON.stringify` keeps all
 * of it. All but `registrations`, `uptimeMs` and `busyShare` are counters, which only grow: a rate is the difference of
 * two snapshots.
 */
export interface ReactorMetrics {
  /** Turns run. */
  readonly turns: number;
  /** Events that the demultiplexer reported. */
  readonly events: number;
  /** Events that came for a socket which was closed or unregistered before. */
  readonly stale: number;
  /** Sockets taken out of the kernel because nothing that they reported was wanted. */
  readonly parked: number;
  /** Connections accepted, by listeners and by `accept` of raw sockets. */
  readonly accepts: number;
  /**
   * Bytes that this program was given, by the verbs of its sockets and by its connections, datagrams included. What
   * `MSG_PEEK` looks at is not counted: it stays where it is.
   */
  readonly bytesIn: number;
  /** Bytes that the system has taken to be sent; on the emulated backend, that Node has taken. */
  readonly bytesOut: number;
  /**
   * Datagrams that had arrived and were dropped, because they were not received in time: those of the emulated backend's
   * queue. What the system drops before (in its own, the kernel backend's only queue) it tells nobody.
   */
  readonly datagramsDropped: number;
  /** Turns that a budget stopped. */
  readonly budgetHits: number;
  /** Network errors of connections and listeners that nobody listened for. */
  readonly unheardErrors: number;
  /** Times that accepting failed for want of descriptors or memory; each was followed by a rest. */
  readonly acceptFailures: number;
  /** Connections that were accepted with the spare descriptor and closed at once, for want of others. */
  readonly shed: number;
  /** Active registrations at the moment, those of listeners and connections included. */
  readonly registrations: number;
  /**
   * How long the turns took. `counts[i]` turns took less than `boundsMs[i]` ms and not less than the bound before; the
   * last one of `counts`, which has no bound, those that took longer.
   */
  readonly turnTimes: { readonly boundsMs: readonly number[]; readonly counts: readonly number[] };
  /** The longest turn, in ms. */
  readonly longestTurnMs: number;
  /** The time spent in turns, in ms. */
  readonly busyMs: number;
  /** Ms since the reactor was made. */
  readonly uptimeMs: number;
  /** `busyMs / uptimeMs`, from 0 (idle) to 1. */
  readonly busyShare: number;
}

/** What a snapshot is made of. */
interface Counted {
  readonly counters: Pick<ReactorMetrics, 'turns' | 'events' | 'stale' | 'parked' | 'budgetHits'>;
  readonly traffic: Traffic;
  readonly turnTimes: TurnTimes;
  readonly slots: { readonly registrationCount: number };
}

export function snapshot(
  { counters, traffic, turnTimes, slots }: Counted,
  unheard: Pick<ReactorMetrics, 'unheardErrors' | 'acceptFailures' | 'shed'>,
  uptimeMs: number,
): ReactorMetrics {
  return {
    ...counters,
    ...traffic,
    // -0 is 0 to whoever reads it.
    bytesIn: traffic.bytesIn + 0,
    bytesOut: traffic.bytesOut + 0,
    ...unheard,
    registrations: slots.registrationCount,
    turnTimes: { boundsMs: TURN_TIME_BOUNDS_MS, counts: [...turnTimes.counts] },
    longestTurnMs: turnTimes.longestMs,
    busyMs: turnTimes.busyMs,
    uptimeMs,
    busyShare: uptimeMs > 0 ? Math.min(1, turnTimes.busyMs / uptimeMs) : 0,
  };
}
