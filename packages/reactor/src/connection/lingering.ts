/** close(): flush, FIN, read and discard to the peer's end or until it makes no progress for `lingerMs`, close. */

import { finish } from './ending.js';
import { setFlow } from './flow.js';
import { tellKeptLater } from './reading.js';
import { type AnyConnection, DISCARDING, FLOWING, PAUSED, rare, TOLD } from './state.js';
import { end } from './writing.js';

export const DEFAULT_LINGER_MS = 2000;

export function close(connection: AnyConnection, lingerMs: number): Promise<void> {
  if ((connection.flags & TOLD) !== 0) return Promise.resolve();
  const closed = new Promise<void>((resolve) => {
    rare(connection).onClosed.push(resolve);
  });
  if (connection.ended !== null) return closed;
  connection.flags |= DISCARDING;
  end(connection);
  if (connection.flow === PAUSED) {
    setFlow(connection, FLOWING);
    // The end or the error may be among what was kept.
    if (rare(connection).kept.length > 0) tellKeptLater(connection);
  }
  linger(connection, lingerMs);
  return closed;
}

function linger(connection: AnyConnection, lingerMs: number): void {
  const { timers } = connection.kind.host.dispatcher;
  let queued = connection.bufferedBytes;
  const again = () => timers.add(lingerMs, check, { ref: false });
  const check = (): void => {
    if (connection.ended !== null) return;
    if (connection.bufferedBytes < queued) {
      queued = connection.bufferedBytes;
      timer = again();
    } else finish(connection, { by: 'local' });
  };
  let timer = again();
  rare(connection).onClosed.push(() => timer.cancel());
}
