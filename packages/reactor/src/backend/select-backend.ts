/** Which backend runs, and why. */
import { describe, misuse, notSupported } from '../errors.js';
import { type Core, loadCore } from '../native.js';
import type { Backend } from './backend.js';
import { EmulatedBackend } from './emulated/emulated.js';
import type { FaultOptions } from './kernel/fault-plan.js';
import { faultyCore } from './kernel/faults.js';
import { KernelBackend } from './kernel/kernel.js';
import { providedBackend } from './provided-backend.js';

export type BackendChoice = 'auto' | 'kernel' | 'emulated' | Backend;

/**
 * `auto` takes `kernel` where the native core loads and `emulated` elsewhere; the environment variable FDSET_BACKEND
 * decides for `auto`, and before it a simulated network that is provided (`network.provide()`). Throws `ERR_REACTOR_BACKEND` for an unknown one, or for `kernel` where there is no core; `ENOTSUP`
 * for `faults` on another one than `kernel`.
 */
export function selectBackend(choice: BackendChoice = 'auto', faults?: FaultOptions): Backend {
  if (faults === undefined) return select(choice);
  const backend = select(choice, (core) => faultyCore(core, faults));
  if (backend instanceof KernelBackend) return backend;
  throw notSupported('faults', 'faults', backend.name);
}

function select(choice: BackendChoice, dress: (core: Core) => Core = (core) => core): Backend {
  if (typeof choice === 'object' && choice !== null) return choice;
  const provided = choice === 'auto' ? providedBackend() : undefined;
  if (provided !== undefined) return provided;
  const fromEnvironment = choice === 'auto' ? process.env.FDSET_BACKEND : undefined;
  const name = fromEnvironment ?? choice;
  const asked = `asked for by ${fromEnvironment === undefined ? 'the option backend' : 'FDSET_BACKEND'}`;
  if (name === 'emulated') return new EmulatedBackend(asked);
  const core = loadCore();
  if (name === 'kernel') {
    if (typeof core === 'string') throw misuse('ERR_REACTOR_BACKEND', `the kernel backend cannot run here: ${core}`);
    return new KernelBackend(dress(core), asked);
  }
  if (name !== 'auto')
    throw misuse(
      'ERR_REACTOR_BACKEND',
      `backend must be 'auto', 'kernel', 'emulated' or a Backend, got ${describe(name)}`,
    );
  return typeof core === 'string'
    ? new EmulatedBackend(core)
    : new KernelBackend(dress(core), 'the native core is loaded');
}
