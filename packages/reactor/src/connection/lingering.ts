/**
 * close(): flush, FIN, read and discard to the peer's end, close; and how long that may take.
 *
 * The clock runs in periods of `lingerMs`. While bytes are queued, each period must see a thirty-second part of what was
 * queued at the beginning leave, so a large queue that moves is not cut, and a peer that takes a byte a second is, whatever
 * the length of the queue. Once the queue is empty the peer has what is left of the period and, if the queue was emptied in
 * it, one more. A plugin that holds the end has a deadline of its own: the clock begins anew when that is over.
 */

import { finish } from './ending.js';
import { setFlow } from './flow.js';
import { tellKeptLater } from './reading.js';
import { type AnyConnection, DISCARDING, FINISHING, FLOWING, PAUSED, rare, TOLD } from './state.js';
import { end, flushQueue } from './writing.js';

export const DEFAULT_LINGER_MS = 2000;
/** So many periods, each with as much progress as is asked for, empty any queue. */
const MOST_PERIODS = 32;

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
  let queued = 0;
  let least = 0;
  let waits = false;
  const again = () => timers.add(lingerMs, check, { ref: false });
  const begin = () => {
    queued = connection.bufferedBytes;
    least = Math.ceil(queued / MOST_PERIODS);
    waits = (connection.flags & FINISHING) !== 0;
    return again();
  };
  const check = (): void => {
    if (connection.ended !== null) return;
    // A timer that was late is no proof that nothing could leave: once more, whatever the kernel was thought to refuse.
    if (connection.bufferedBytes > 0) flushQueue(connection);
    const left = connection.bufferedBytes;
    if (connection.ended !== null) return;
    if (waits) timer = begin();
    else if (queued > 0 && (left === 0 || queued - left >= least)) {
      queued = left;
      timer = again();
    } else finish(connection, { by: 'local' });
  };
  let timer = begin();
  rare(connection).onClosed.push(() => timer.cancel());
}
