/**
 * What `new Reactor()` takes in the place of a backend that it would have chosen: a simulated network, for a program that is
 * to run unchanged. Kept by the realm, for both builds of the package to find.
 */
import type { Backend } from './backend.js';

const PROVIDED: unique symbol = Symbol.for('fdset.provided-backend') as never;

type Provider = () => Backend;

/** The latest counts. Each entry is one call: the same network may provide twice. */
const realm = globalThis as { [PROVIDED]?: { provider: Provider }[] };

/** A backend for one more reactor, where somebody provides them. */
export function providedBackend(): Backend | undefined {
  return realm[PROVIDED]?.at(-1)?.provider();
}

/** Until the result is disposed of, in whatever order several are; then the latest of the others is taken. */
export function provideBackend(provider: Provider): Disposable {
  const entry = { provider };
  realm[PROVIDED] = [...(realm[PROVIDED] ?? []), entry];
  return {
    [Symbol.dispose]: () => {
      realm[PROVIDED] = realm[PROVIDED]?.filter((other) => other !== entry) ?? [];
    },
  };
}
