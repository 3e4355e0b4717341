/**
 * What idle timeouts of 100,000 connections cost: noting activity, which is one field written, and a tick of the wheel, in which those are looked
 * at whose time may have come. The reference does the same as node:net does: it refreshes a timer of Node. An operation is one activity, or one tick.
 */
import { TICK_MS, Timeouts, TimeoutWheel } from '@fdset/reactor/internal';
import { runSuite } from '../micro-suite.js';

const CONNECTIONS = 100_000;
const IDLE_MS = 60_000;

let now = performance.now();
let told = 0;
const wheel = new TimeoutWheel({ now: () => now, rearm: () => {} });
const owner = {
  timedOut: () => {
    told += 1;
  },
};
const settings = { idleMs: IDLE_MS, readMs: 0, writeMs: 0 };
const timeouts = Array.from({ length: CONNECTIONS }, (_, i) => {
  const each = new Timeouts(owner, settings, now);
  // Opened one after the other, over an idle time.
  wheel.link(each, now + (i / CONNECTIONS) * IDLE_MS);
  return each;
});
const timers = timeouts.map(() => setTimeout(() => {}, IDLE_MS).unref());

runSuite([
  {
    name: 'timer.refresh()',
    operations: CONNECTIONS,
    run() {
      for (const timer of timers) timer.refresh();
      return timers.length;
    },
  },
  {
    name: 'activity noted',
    reference: 'timer.refresh()',
    operations: CONNECTIONS,
    run() {
      for (const each of timeouts) each.received = now;
      return told;
    },
  },
  {
    name: 'a tick over 100,000, of which all are active',
    reference: 'timer.refresh()',
    operations: 1200,
    run() {
      for (let i = 0; i < 1200; i += 1) {
        now += TICK_MS;
        // Kept active without the cost of it: a twelfth of them at a time would be another measurement.
        if (i % 600 === 0) for (const each of timeouts) each.received = now;
        if (wheel.due <= now) wheel.sweep(now);
      }
      return told;
    },
  },
]);
for (const timer of timers) clearTimeout(timer);
