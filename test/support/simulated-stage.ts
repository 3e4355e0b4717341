/**
 * The stage of the simulated backend: each test has a network of its own, whose clock follows the real one, so that tests
 * run on it as on the other backends; and peers in that network.
 */
import { type Backend, Reactor } from '@fdset/reactor';
import { SimulatedNetwork } from '@fdset/reactor/testing';
import { beforeEach } from 'vitest';
import { afterTest } from './after-test.js';

interface Stage {
  readonly network: SimulatedNetwork;
  peers: Reactor | null;
  skip(reason: string): never;
}

/** The one of the running test; `null` on other backends. */
let stage: Stage | null = null;

/** Before each test of the surrounding `describe`: a network, which is closed when the test is over. */
export function setSimulatedStage(): void {
  beforeEach((context) => {
    const network = new SimulatedNetwork();
    network.follow();
    const made: Stage = { network, peers: null, skip: (reason) => context.skip(`simulated: ${reason}`) as never };
    stage = made;
    afterTest(() => {
      stage = null;
      made.peers?.close();
      network.close();
    });
  });
}

/** A backend in the network of the running test. */
export function simulatedBackend(): Backend {
  if (stage === null) throw new Error('the simulated backend has no stage');
  return stage.network.backend();
}

/** The reactor that peers live on, beside the ones that are tested; `null` where they are real. */
export function peersReactor(): Reactor | null {
  if (stage === null) return null;
  stage.peers ??= new Reactor({ backend: stage.network.backend() });
  return stage.peers;
}

/** Ends the running test as skipped, where it is on the simulated backend. */
export function skipOnStage(reason: string): void {
  stage?.skip(reason);
}
