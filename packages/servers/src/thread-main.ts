/** Where a thread of a thread style begins: it serves one connection, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { threadWaker } from '@fdset/reactor/internal';
import type { Report, ThreadJob } from './job.js';
import { markWorker } from './nested.js';
import { serveJob } from './serve-job.js';

const job = workerData as ThreadJob;
const port = parentPort;
if (port === null) throw new Error('thread-main is started by a server, not by hand');

markWorker('thread');
const report = (message: Report): void => port.postMessage(message);
const ending = (): boolean => Atomics.load(job.ending, 0) !== 0;
const callbacks: (() => void)[] = [];
port.on('message', () => {
  for (const callback of callbacks) callback();
});
// The thread lives as long as the handler has something to do, not because it could be told to end.
port.unref();
// Before the first blocking call: from now on this thread can be woken.
report({ type: 'waker', handle: threadWaker() });

// Nothing is left to happen, and the handler still waits: 13 is Node's own exit code for that.
process.once('beforeExit', () => process.exit(13));

void serveJob(job, { report, ending, onEnding: (callback) => callbacks.push(callback) }).then(() => {
  // As CPython's thread it ends with its handler, whatever timers and sockets that has left behind.
  process.exit();
});
