/** Where a child of the process style begins: it inherited the connection as a descriptor, serves it, and ends. */
import type { Job, Report } from './job.js';
import { markWorker } from './nested.js';
import { serveJob } from './serve-job.js';
import { toWire } from './wire-error.js';

markWorker('process');
let isEnding = false;
const callbacks: (() => void)[] = [];
const end = (): void => {
  isEnding = true;
  for (const callback of callbacks) callback();
};
process.on('SIGTERM', end);
// Ctrl-C reaches the whole process group. The server decides what becomes of its children.
process.on('SIGINT', () => {});
// The server has gone: nobody would ever end this child.
process.on('disconnect', () => {
  end();
  setTimeout(() => process.exit(1), PARENTLESS_MS).unref();
});

/** How long a handler may take to unwind after the server has gone. */
const PARENTLESS_MS = 1000;

let failed = false;
let sent: Promise<unknown> = Promise.resolve();
const report = (message: Report): void => {
  if (message.type === 'failed') failed = true;
  if (process.connected) sent = new Promise((resolve) => process.send?.(message, undefined, undefined, resolve));
};

// A callback of the handler's has thrown: nobody awaits it, and the process would die of it with a code and no word.
process.on('uncaughtException', (error) => {
  report({ type: 'failed', error: toWire(error) });
  void sent.then(() => process.exit(1));
});

process.once('message', (message) => {
  // The process lives as long as the handler has something to do, not because it could be told something.
  process.channel?.unref();
  // Nothing is left to happen, and the handler still waits: 13 is Node's own exit code for that.
  process.once('beforeExit', () => process.exit(13));
  const control = { report, ending: () => isEnding, onEnding: (callback: () => void) => callbacks.push(callback) };
  void serveJob(message as Job, control)
    .then(() => sent)
    .then(() => process.exit(failed ? 1 : 0));
});
