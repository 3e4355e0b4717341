#!/usr/bin/env node
/**
 * Worker threads with a reactor each, which end in every way while they hold sockets, wakers and waits: each peer sees its
 * connection end, and descriptors, threads and memory stay where they were. The short form of it runs in
 * test/threads/ends.test.ts.
 */
import { readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { Worker } from 'node:worker_threads';
import { flag, oneOf, readOptions, whole } from '../../scripts/options.mjs';

const HELP = `node test/soak/threads.mjs [options]

  --threads n    threads in all (1000)
  --parallel n   threads at the same time (4)
  --reactor      the main thread has a reactor, too (it has none: the threads are the core's only users)
  --backend name kernel or emulated (kernel)
  --quiet        only the report
  --help         this text

Ends with one line of JSON, and with 0 when nothing was left.`;

const { values } = readOptions(HELP, {
  threads: whole(1000),
  parallel: whole(4),
  reactor: flag,
  backend: oneOf(['kernel', 'emulated'], 'kernel'),
  quiet: flag,
});
const { threads: total, parallel } = values;
process.env.FDSET_BACKEND = values.backend;

/** How a thread ends: 'terminate' while it waits in its loop, turns without an end, or blocks in a verb; or by itself. */
const ENDS = ['idle', 'turning', 'blocked', 'exit', 'return'].filter(
  (end) => end !== 'blocked' || values.backend === 'kernel',
);

const keeper = values.reactor ? new (await import('@fdset/reactor')).Reactor() : null;
const descriptors = () => readdirSync('/proc/self/fd').length;
const threads = () => readdirSync('/proc/self/task').length;
const held = () => ({ descriptors: descriptors(), threads: threads() });
const residentMiB = () => {
  globalThis.gc?.();
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
};

async function run(end) {
  const shared = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL('./thread.mjs', import.meta.url), { workerData: { end, shared } });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  const failed = new Promise((_, reject) => worker.once('error', reject));
  failed.catch(() => {});
  const { port } = await Promise.race([new Promise((resolve) => worker.once('message', resolve)), failed]);
  const peer = net.connect(port, '127.0.0.1');
  peer.on('error', () => {});
  const closed = new Promise((resolve) => peer.once('close', resolve));
  const greeted = new Promise((resolve) => peer.once('data', resolve));
  peer.write('here');
  await Promise.race([greeted, failed]);
  if (end === 'turning') while (Atomics.load(shared, 0) === 0) await new Promise((resolve) => setImmediate(resolve));
  if (['idle', 'turning', 'blocked'].includes(end)) await worker.terminate();
  await Promise.race([ended, failed]);
  // The thread's sockets were closed with it.
  await closed;
}

let begun = 0;
let finished = 0;
const ends = Object.fromEntries(ENDS.map((end) => [end, 0]));
async function lane() {
  while (begun < total) {
    const end = ENDS[begun % ENDS.length];
    begun += 1;
    await run(end);
    ends[end] += 1;
    finished += 1;
    if (!values.quiet && finished % Math.ceil(total / 20) === 0)
      console.error(`${finished} threads, ${descriptors()} descriptors, ${residentMiB().toFixed(0)} MiB`);
  }
}

/** One thread of each end opens all that is opened once; a long run takes five, for the allocator and Node's pools to be as large as they become. */
const warmUp = ENDS.length * (total < 100 ? 1 : 5);
for (let i = 0; i < warmUp; i += 1) await run(ENDS[i % ENDS.length]);
// Once they stay the same: what of the warm-up is still being closed would be counted as there, and be missed later.
let before = held();
for (let same = 0; same < 10; ) {
  await new Promise((resolve) => setTimeout(resolve, 10));
  const now = held();
  same = now.descriptors === before.descriptors && now.threads === before.threads ? same + 1 : 0;
  before = now;
}
const residentBefore = residentMiB();
await Promise.all(Array.from({ length: parallel }, lane));
// The last of them are still being closed.
const deadline = performance.now() + 5000;
while ((held().descriptors > before.descriptors || held().threads > before.threads) && performance.now() < deadline)
  await new Promise((resolve) => setTimeout(resolve, 20));
const report = {
  threads: finished,
  ends,
  descriptorGrowth: descriptors() - before.descriptors,
  threadGrowth: threads() - before.threads,
  grownMiB: Math.round(residentMiB() - residentBefore),
  kibPerThread: Math.round(((residentMiB() - residentBefore) * 1024) / finished),
};
console.log(JSON.stringify(report));
keeper?.close();
process.exitCode = report.descriptorGrowth > 0 || report.threadGrowth > 0 ? 1 : 0;
