/**
 * What `new Reactor()` takes in the place of a backend that it would have chosen: a simulated network, for a program that is
 * to run unchanged. Kept by the realm, for both builds of the package to find.
 */
import type { Backend } from './backend.js';

const PROVIDED: unique symbol = Symbol.for('fdset.provided-backend') as never;

type Provider = () => Backend;

const realm = globalThis as { [PROVIDED]?: Provider };

/** A backend for one more reactor, where somebody provides them. */
export function providedBackend(): Backend | undefined {
  return realm[PROVIDED]?.();
}

/** Until the result is disposed of; then what was provided before is again. */
export function provideBackend(provider: Provider): Disposable {
  const before = realm[PROVIDED];
  realm[PROVIDED] = provider;
  return {
    [Symbol.dispose]: () => {
      if (realm[PROVIDED] !== provider) return;
      if (before === undefined) delete realm[PROVIDED];
      else realm[PROVIDED] = before;
    },
  };
}
