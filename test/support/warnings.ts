/** The warnings that the process gives while a test runs. */
import { afterTest } from './after-test.js';
import { Log, rounds } from './waiting.js';

export interface FdsetWarning extends Error {
  readonly code: string;
  readonly detail?: string;
  readonly cause?: Error;
}

/** Those of fdset. They are not printed meanwhile. */
export function warnings(): Log<FdsetWarning> {
  const log = new Log<FdsetWarning>();
  const before = process.listeners('warning');
  const listen = (warning: Error): void => {
    if (warning.name === 'FdsetWarning') log.add(warning as FdsetWarning);
  };
  process.removeAllListeners('warning');
  process.on('warning', listen);
  afterTest(async () => {
    // What the end of the test has closed a second time is told in the next tick.
    await rounds(1);
    process.removeAllListeners('warning');
    for (const listener of before) process.on('warning', listener);
  });
  return log;
}
