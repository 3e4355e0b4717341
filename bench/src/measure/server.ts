/** A target's process: started, looked at while it rests, ended. */
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSecondsBetween, readServer, type ServerSample } from '../load/process-stats.js';
import { Child } from './children.js';
import { type Placement, placed } from './placement.js';

const READY_MS = 15_000;
const STOP_MS = 5_000;
/** Between two loads: what the last one left in the kernel's queues is worked off. */
const COOL_MS = 30;
/** A server that used less CPU time than this in COOL_MS has come to rest. */
const RESTING_SECONDS = 0.001;
/** For so long it is waited for at the most: workers that end, collections. */
const REST_MS = 2_000;
/** A server that crashes closes its connections before it has ended: so long its clients are ahead of it. */
const CRASH_MS = 2_000;

export interface Stopped {
  graceful: boolean;
  leftBehind: boolean;
  elapsedMs: number;
}

/** What a server used, its threads and children included, while others were under load. */
export interface Idleness {
  seconds: number;
  cpuSeconds: number;
}

type Ready = { port: number; detail: string } | NotServing;
export type NotServing = { outcome: 'unavailable' | 'failed'; reason: string };

export class Server {
  readonly pid: number;
  readonly port: number;
  /** What the target said of itself on its ready line. */
  readonly detail: string;
  /** From spawn to the ready line. */
  readonly bootMs: number;
  /** How it ended, if it did so by itself. */
  death: string | undefined;
  readonly #child: Child;
  #idle: Idleness | undefined;
  #restingSince: { at: number; sample: ServerSample } | undefined;

  private constructor(child: Child, ready: { port: number; detail: string }, bootMs: number) {
    this.#child = child;
    this.pid = child.pid;
    this.port = ready.port;
    this.detail = ready.detail;
    this.bootMs = bootMs;
    void child.ended.then(({ code, signal }) => {
      this.death = `the server ended by itself (${signal ?? `code ${code}`}): ${child.complaint || 'it said nothing'}`;
    });
  }

  /** Starts the target's command, and waits for its ready line. Never rejects: a target that does not serve is an outcome. */
  static async start(command: readonly string[], placement: Placement): Promise<Server | NotServing> {
    const begun = performance.now();
    const { child, ready } = waitForReady(
      placed([...command, '--host', '127.0.0.1', '--port', '0'], 'server', placement),
    );
    const state = await ready;
    if ('port' in state) return new Server(child, state, performance.now() - begun);
    if (state.outcome === 'unavailable') await child.stop(STOP_MS);
    else child.killGroup();
    return state;
  }

  /** Waits for the end of a server that its clients have lost: how it ended says more than what they saw. */
  async lost(): Promise<void> {
    const patience = new AbortController();
    await Promise.race([this.#child.ended, sleep(CRASH_MS, undefined, { signal: patience.signal }).catch(() => {})]);
    patience.abort();
  }

  /** The last line that tells what went wrong. */
  get complaint(): string {
    return this.#child.complaint;
  }

  /** `undefined` where it never rested, or the system does not tell. */
  get idle(): Idleness | undefined {
    return this.#idle;
  }

  /** Waits until it has worked off what a load left behind, and begins to count what it uses at rest. */
  async rest(): Promise<void> {
    const begun = performance.now();
    let before = readServer([this.pid], false);
    do {
      await sleep(COOL_MS);
      const sample = readServer([this.pid], false);
      const resting = !before || !sample || cpuSecondsBetween(before, sample) < RESTING_SECONDS;
      before = sample;
      if (resting) break;
    } while (performance.now() - begun < REST_MS && this.death === undefined);
    this.#restingSince = before && { at: performance.now(), sample: before };
  }

  /** Its rest is over: adds up what it used meanwhile. */
  wake(): void {
    const since = this.#restingSince;
    this.#restingSince = undefined;
    const sample = since && readServer([this.pid], false);
    if (!sample || this.death !== undefined) return;
    this.#idle ??= { seconds: 0, cpuSeconds: 0 };
    this.#idle.seconds += (performance.now() - since.at) / 1000;
    this.#idle.cpuSeconds += cpuSecondsBetween(since.sample, sample);
  }

  stop(): Promise<Stopped> {
    return this.#child.stop(STOP_MS);
  }
}

function waitForReady(command: readonly string[]): { child: Child; ready: Promise<Ready> } {
  let child!: Child;
  const ready = new Promise<Ready>((resolve) => {
    const settle = (result: Ready) => {
      clearTimeout(timer);
      resolve(result);
    };
    const fail = (reason: string) => settle({ outcome: 'failed', reason });
    const timer = setTimeout(() => fail(`no ready line after ${READY_MS / 1000} s`), READY_MS);
    child = new Child(command, (line) => {
      const [word, first, ...rest] = line.split(' ');
      if (word === 'ready') settle({ port: Number(first), detail: rest.join(' ') });
      if (word === 'unavailable') settle({ outcome: 'unavailable', reason: line.slice('unavailable '.length) });
    });
    void child.ended.then(({ code, signal }) =>
      fail(
        `the server ended (${signal ?? `code ${code}`}) before it was ready: ${child.complaint || 'it said nothing'}`,
      ),
    );
  });
  return { child, ready };
}
