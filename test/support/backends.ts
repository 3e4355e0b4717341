/** One suite for all backends: each topic is described once and runs on each backend that is here. */
import { type BackendChoice, type Capabilities, Reactor, type ReactorOptions } from '@fdset/reactor';
import { SimulatedNetwork } from '@fdset/reactor/testing';
import { afterEach, beforeEach, describe, it } from 'vitest';
import { afterTest, undoTest } from './after-test.js';
import { expectHoldings, type Holdings, holdings } from './leaks.js';
import { setSimulatedStage, simulatedBackend } from './simulated-stage.js';

export type BackendName = 'kernel' | 'emulated' | 'simulated';

/** Those that other programs, and other threads, can reach. */
export const REAL_BACKENDS = ['kernel', 'emulated'] as const satisfies readonly BackendName[];

/** What a topic is given for one backend. */
export interface Stage {
  readonly backend: BackendName;
  readonly capabilities: Capabilities;
  /** What `new Reactor` takes for this backend. */
  choice(): BackendChoice;
  /** A reactor on this backend. It is closed when the test is over. */
  reactor(options?: Omit<ReactorOptions, 'backend'>): Reactor;
  /** `it` where the sockets are the system's own; otherwise a skip whose name says what of the system is missing. */
  real(what: string, ...capabilities: (keyof Capabilities)[]): typeof it;
  /** `it` where the backend can do all of these; otherwise a skip whose name says what is missing. */
  needs(...capabilities: (keyof Capabilities)[]): typeof it;
}

export interface TopicOptions {
  /** The backends that the topic concerns (all). */
  readonly only?: BackendName | readonly BackendName[];
  /** How long a test of it may take, where each starts threads or processes (8000). */
  readonly timeoutMs?: number;
}

/** No test of this suite waits for long: what has not come by then does not come. */
const TEST_TIMEOUT_MS = 8000;

interface Offer {
  readonly capabilities?: Capabilities;
  readonly missing?: string;
}

function offer(backend: BackendName): Offer {
  try {
    const reactor = new Reactor({ backend: backend === 'simulated' ? new SimulatedNetwork().backend() : backend });
    const { capabilities } = reactor;
    // The thread's wake descriptor is made by the first blocking wait and stays: no test's leak.
    if (capabilities.selectSync) reactor.selectSync([], [], [], 1);
    reactor.close();
    return { capabilities };
  } catch (error) {
    return { missing: (error as Error).message };
  }
}

/** Describes `topic` once for each backend. Without the native core the kernel's half is skipped with one line. */
export function describeBackends(topic: string, define: (stage: Stage) => void, options: TopicOptions = {}): void {
  const names: BackendName[] = [options.only ?? [...REAL_BACKENDS, 'simulated']].flat() as BackendName[];
  for (const backend of names) {
    const { capabilities, missing } = offer(backend);
    if (capabilities === undefined) {
      // Where the native core is wanted, a suite that skips it would be green for nothing.
      if (backend === 'kernel' && process.env.FDSET_NATIVE === 'require') throw new Error(`${topic}: ${missing}`);
      console.warn(`${topic} on ${backend}: skipped, ${missing}`);
      describe.skip(`${topic} on ${backend}`, () => it('is skipped', () => {}));
      continue;
    }
    describe(`${topic} on ${backend}`, { timeout: options.timeoutMs ?? TEST_TIMEOUT_MS }, () => {
      guardEachTest();
      if (backend === 'simulated') setSimulatedStage();
      define(stageOf(backend, capabilities));
    });
  }
}

/** Before and after each test of the surrounding `describe`: undo what it opened, and look for what it left. */
export function guardEachTest(): void {
  let before: Holdings;
  beforeEach(() => {
    before = holdings();
  });
  afterEach(async () => {
    await undoTest();
    await expectHoldings(before);
  });
}

function chosen(backend: BackendName): BackendChoice {
  return backend === 'simulated' ? simulatedBackend() : backend;
}

function stageOf(backend: BackendName, capabilities: Capabilities): Stage {
  const needs: Stage['needs'] = (...wanted) => {
    const missing = wanted.find((capability) => !capabilities[capability]);
    return missing === undefined ? it : skipping(`${backend} lacks ${missing}`);
  };
  return {
    backend,
    capabilities,
    needs,
    choice: () => chosen(backend),
    reactor(options = {}) {
      const reactor = new Reactor({ ...options, backend: chosen(backend) });
      afterTest(() => reactor.close());
      return reactor;
    },
    real: (what, ...wanted) => (backend === 'simulated' ? skipping(`${backend} has no ${what}`) : needs(...wanted)),
  };
}

function skipping(why: string): typeof it {
  const skip = (name: string, ...rest: unknown[]) =>
    (it.skip as (...values: unknown[]) => void)(`${name} [${why}]`, ...rest);
  return skip as unknown as typeof it;
}
