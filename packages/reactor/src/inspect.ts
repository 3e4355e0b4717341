/** A readable picture of a reactor: what `inspect()` prints. Made when it is asked for; nothing is kept for it. */
import { formatAddress } from './address.js';
import type { Backend, BackendSocket } from './backend/backend.js';
import { Connection } from './connection/connection.js';
import { describeConnection } from './connection/state.js';
import type { Budgets } from './dispatch/batch.js';
import type { Dispatcher } from './dispatch/dispatcher.js';
import { Listener } from './listener.js';
import type { ReactorMetrics } from './metrics.js';
import { describeReadiness, ERROR, READABLE, WRITABLE } from './readiness.js';
import type { Watch } from './registration.js';

export interface Inspected {
  readonly backend: Backend;
  readonly dispatcher: Dispatcher;
  readonly metrics: ReactorMetrics;
  readonly budgets: Budgets;
  readonly acceptBudget: number;
  /** Of `trace`, `record` and `debug`, those that are on. */
  readonly observing: readonly string[];
  /** Each plugin with its order and hooks. */
  readonly plugins: readonly string[];
  /** The number of a socket in the trace; 0 where there is none. */
  readonly idOf: (socket: BackendSocket) => number;
}

export function inspectReactor(inspected: Inspected): string {
  const { backend, dispatcher, metrics, budgets, acceptBudget, observing } = inspected;
  const sockets = [...dispatcher.slots.sockets()];
  const lines = [
    `reactor on ${backend.name} (${backend.reason})${dispatcher.closed ? ', closed' : ''}`,
    `budgets   ${count(budgets.events, 'event')}, ${count(budgets.bytes, 'byte')} and ${budgets.ms} ms a turn; ${count(acceptBudget, 'accept')} a listener`,
    ...(observing.length === 0 ? [] : [`observed  ${observing.join(', ')}`]),
    ...counters(metrics),
    `waiting   ${timers(dispatcher)}, ${count(dispatcher.selects.size, 'select')}`,
    ...inspected.plugins.map((plugin, i) => `${i === 0 ? 'plugins ' : '        '}  ${plugin}`),
    `sockets   ${sockets.length} watched, ${count(metrics.registrations, 'registration')}`,
  ];
  const ready = readiness(dispatcher, sockets);
  for (const [i, socket] of sockets.entries()) lines.push(`  ${watched(socket, inspected.idOf(socket), ready[i])}`);
  return lines.join('\n');
}

function counters(metrics: ReactorMetrics): string[] {
  const { turns, uptimeMs, busyShare, longestTurnMs, budgetHits, events, stale, parked } = metrics;
  const { accepts, bytesIn, bytesOut, unheardErrors } = metrics;
  return [
    `turns     ${turns} in ${(uptimeMs / 1000).toFixed(1)} s, ${(busyShare * 100).toFixed(1)} % busy, the longest ${longestTurnMs.toFixed(3)} ms, ${budgetHits} stopped by a budget`,
    `events    ${events}, ${stale} stale, ${parked} parked`,
    `traffic   ${count(accepts, 'accept')}, ${count(bytesIn, 'byte')} in, ${count(bytesOut, 'byte')} out, ${count(unheardErrors, 'unheard error')}`,
  ];
}

function timers({ timers: queue, closed, backend }: Dispatcher): string {
  const pending = count(queue.size, 'timer');
  if (queue.size === 0 || closed) return pending;
  return `${pending} (the next in ${Math.max(0, queue.earliest - backend.driver.now()).toFixed(1)} ms)`;
}

/** What is ready now, by one look without waiting; `undefined` where it cannot be told (a descriptor closed elsewhere). */
function readiness({ demultiplexer, closed }: Dispatcher, sockets: readonly BackendSocket[]): (number | undefined)[] {
  const masks = new Int32Array(sockets.length).fill(READABLE | WRITABLE | ERROR);
  if (closed || sockets.length === 0) return [];
  try {
    if (demultiplexer.look(sockets, masks, 0) === 0) masks.fill(0);
    return [...masks];
  } catch {
    return [];
  }
}

function watched(socket: BackendSocket, id: number, ready: number | undefined): string {
  const { registration, armed, selectors } = socket.watch as Watch;
  const { localAddress, remoteAddress } = socket;
  const parts = [
    `${kind(registration?.data, registration === null)} ${socket.fileno()}${id === 0 ? '' : ` (#${id})`}`,
    `${socket.family} ${socket.type} ${formatAddress(localAddress)}${remoteAddress === undefined ? '' : ` <- ${formatAddress(remoteAddress)}`}`,
    `interest ${describeReadiness(registration?.interest ?? 0)}`,
    `ready ${ready === undefined ? 'unknown' : describeReadiness(ready)}`,
  ];
  if (registration !== null && registration.interest === 0) parts.push('paused');
  else if (armed === 0) parts.push('parked');
  if (selectors !== null && selectors.interest !== 0)
    parts.push(`selected for ${describeReadiness(selectors.interest)}`);
  const data = registration?.data;
  if (data instanceof Connection) parts.push(describeConnection(data));
  if (data instanceof Listener) {
    parts.push(Listener.describe(data));
    const plugins = Listener.pluginsOf(data);
    if (plugins.length > 0) parts.push(`through ${plugins.join(', ')}`);
  }
  return parts.join(', ');
}

function kind(data: unknown, unregistered: boolean): string {
  if (data instanceof Connection) return 'connection';
  if (data instanceof Listener) return 'listener';
  return unregistered ? 'selected' : 'socket';
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
