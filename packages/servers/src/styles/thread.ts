/** A worker thread for each connection: CPython's ThreadingTCPServer, with a cap. */
import { type ResourceLimits, Worker } from 'node:worker_threads';
import type { Address, Socket } from '@fdset/reactor';
import { offerSocket, wakeThread } from '@fdset/reactor/internal';
import { formatAddress, ServerError } from '../errors.js';
import { requireModule } from '../handler-source.js';
import type { Job, Report, ThreadJob } from '../job.js';
import { fromWire } from '../wire-error.js';
import { execArgv } from './exec-argv.js';
import { probe, type WorkerEvents } from './probe.js';
import type { Serving, Style, StyleFactory, StyleHost } from './style.js';

export const threadPerConnection: StyleFactory = (host) => new ThreadStyle(host);

class ThreadStyle implements Style {
  readonly limit: number;
  readonly needs = 'rawDescriptors';
  readonly inProcess = false;
  readonly helpers = 'threads';
  readonly #host: StyleHost;
  readonly #job: Job;

  constructor(host: StyleHost) {
    const { maxThreads, io, connection } = host.settings;
    this.#host = host;
    this.limit = maxThreads;
    this.#job = { module: requireModule(host.source, host.name), io, connection };
  }

  prepare(signal: AbortSignal): Promise<void> {
    const start = (events: WorkerEvents) => startThread(this.#job, this.#host.settings.resourceLimits, events).serving;
    return probe(start, this.#job.module, signal);
  }

  serve(socket: Socket, clientAddress: Address): Serving {
    const host = this.#host;
    const offer = offerSocket(socket);
    const request = { socket: { token: offer.token }, clientAddress, server: host.view() };
    const events = { loaded: () => {}, failed: (error: unknown) => host.failed(error, clientAddress) };
    try {
      const { serving, worker } = startThread({ ...this.#job, request }, host.settings.resourceLimits, events);
      const id = worker.threadId;
      host.worker({ kind: 'thread', event: 'start', id });
      worker.once('exit', (exitCode) => {
        offer.withdraw();
        host.worker({ kind: 'thread', event: 'exit', id, exitCode });
      });
      return serving;
    } catch (error) {
      offer.withdraw();
      throw new ServerError('ERR_SERVER_THREAD', `no thread could be started for ${formatAddress(clientAddress)}`, {
        cause: error,
        clientAddress,
      });
    }
  }
}

function startThread(
  job: Job,
  resourceLimits: ResourceLimits,
  events: WorkerEvents,
): { serving: Serving; worker: Worker } {
  const ending = new Int32Array(new SharedArrayBuffer(4));
  const peer = job.request === undefined ? 'probe' : formatAddress(job.request.clientAddress);
  const workerData: ThreadJob = { ...job, ending };
  const worker = new Worker(new URL('./thread-main.js', import.meta.url), {
    workerData,
    resourceLimits,
    ...execArgv(),
    name: `fdset ${peer}`,
  });
  let waker: number | undefined;
  let wanted = false;
  let told = false;
  const fail = (error: unknown): void => {
    if (!told) events.failed(error);
    told = true;
  };
  const wake = (): void => {
    if (waker !== undefined) wakeThread(waker);
  };
  worker.on('message', (report: Report) => {
    if (report.type === 'loaded') events.loaded();
    else if (report.type === 'failed') fail(fromWire(report.error));
    else {
      waker = report.handle;
      if (wanted) wake();
    }
  });
  worker.on('error', fail);
  const done = new Promise<void>((resolve) => {
    worker.once('exit', (exitCode) => {
      if (exitCode !== 0 && !wanted)
        fail(
          new ServerError(
            'ERR_SERVER_THREAD',
            `the thread for ${peer} ended with exit code ${exitCode} before its handler was done`,
          ),
        );
      resolve();
    });
  });
  return {
    worker,
    serving: {
      done,
      end: () => {
        // The flag comes before the wakeup: a thread that is woken looks at it.
        wanted = true;
        Atomics.store(ending, 0, 1);
        worker.postMessage('end');
        wake();
      },
      kill: () => {
        wanted = true;
        wake();
        void worker.terminate();
      },
    },
  };
}
