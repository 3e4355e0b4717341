/** For fdset's other packages. No part of this is stable. */
export {
  type AcceptCounters,
  type AcceptHost,
  AcceptLoop,
  type AcceptSettings,
  type AcceptSink,
} from './accept-loop.js';

import { loadCore } from './native.js';

/** A handle, plain data, that wakes this thread out of its blocking verbs; `undefined` without the native core. */
export function threadWaker(): number | undefined {
  const core = loadCore();
  return typeof core === 'string' ? undefined : core.threadWaker();
}

/** Wakes a thread out of its blocking verb: that one, or its next. Returns whether the thread is still there. */
export function wakeThread(handle: number): boolean {
  const core = loadCore();
  return typeof core !== 'string' && core.wake(handle) === 1;
}

/** For `bench micro timeouts`. */
export { Timeouts } from './connection/timeouts.js';
export { TICK_MS, TimeoutWheel } from './timeout-wheel.js';
