/** Exceptions that nobody may catch. */
import { afterTest } from './after-test.js';
import { once } from './waiting.js';

/** The next uncaughtException, of which the test runner is not told. */
export function uncaught(): Promise<Error> {
  const others = process.listeners('uncaughtException');
  const raised = once<Error>(process, 'uncaughtException');
  for (const listener of others) process.off('uncaughtException', listener);
  afterTest(() => {
    for (const listener of others) process.on('uncaughtException', listener);
  });
  return raised;
}
