/** hold(): nothing is delivered until a decision is made. */
import { misuse } from '../errors.js';
import { finish } from './ending.js';
import { setFlow } from './flow.js';
import { Holds } from './holds.js';
import { readOn } from './reading.js';
import { type AnyConnection, FLOWING, HELD, PAUSED, rare } from './state.js';

export const DEFAULT_HOLD_MS = 10_000;

export function hold(connection: AnyConnection, timeoutMs: number): () => void {
  if (connection.ended !== null) return () => {};
  const rarity = rare(connection);
  if ((connection.flags & HELD) === 0) {
    rarity.holds = new Holds(connection.flow === FLOWING);
    connection.flags |= HELD;
    if (connection.flow === FLOWING) setFlow(connection, PAUSED);
  }
  const expired = (): void => {
    const error = misuse('ERR_REACTOR_HOLD', `a hold of the connection was not released within ${timeoutMs} ms`);
    finish(connection, { by: 'error', error });
  };
  const { wheel } = connection.kind.host.dispatcher;
  return (rarity.holds as Holds).add(wheel, timeoutMs, expired, () => release(connection));
}

function release(connection: AnyConnection): void {
  const resumes = connection.rarity?.holds?.resumes === true;
  connection.flags &= ~HELD;
  rare(connection).holds = null;
  if (resumes && connection.ended === null) readOn(connection);
}
