/** A process for each connection: CPython's ForkingTCPServer as far as Node can, which is inetd: spawn, not fork. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Address, Socket } from '@fdset/reactor';
import { formatAddress, ServerError } from '../errors.js';
import { requireModule } from '../handler-source.js';
import type { Job, Report } from '../job.js';
import { fromWire } from '../wire-error.js';
import { execArgv } from './exec-argv.js';
import { probe, type WorkerEvents } from './probe.js';
import type { Serving, Style, StyleFactory, StyleHost } from './style.js';

export const processPerConnection: StyleFactory = (host) => new ProcessStyle(host);

/** Where a child finds its connection: behind the standard streams and Node's own channel. */
const CHILD_FD = 4;

class ProcessStyle implements Style {
  readonly limit: number;
  readonly needs = 'rawDescriptors';
  readonly inProcess = false;
  readonly helpers = 'children';
  readonly #host: StyleHost;
  readonly #job: Job;

  constructor(host: StyleHost) {
    const { maxChildren, io, connection } = host.settings;
    this.#host = host;
    this.limit = maxChildren;
    this.#job = { module: requireModule(host.source, host.name), io, connection };
  }

  prepare(signal: AbortSignal): Promise<void> {
    return probe((events) => startProcess(this.#job, undefined, events).serving, this.#job.module, signal);
  }

  serve(socket: Socket, clientAddress: Address): Serving {
    const host = this.#host;
    const request = { socket: { fd: CHILD_FD }, clientAddress, server: host.view() };
    const events = { loaded: () => {}, failed: (error: unknown) => host.failed(error, clientAddress) };
    try {
      const { serving, child } = startProcess({ ...this.#job, request }, socket.fileno(), events);
      const { pid: id } = child;
      if (id !== undefined) {
        host.worker({ kind: 'process', event: 'start', id });
        child.once('exit', (exitCode, signal) => host.worker({ kind: 'process', event: 'exit', id, exitCode, signal }));
      }
      return serving;
    } finally {
      // The child has its copy, or there is no child: with this one the peer would never see the end.
      socket.close();
    }
  }
}

function startProcess(
  job: Job,
  fd: number | undefined,
  events: WorkerEvents,
): { serving: Serving; child: ChildProcess } {
  const peer = job.request === undefined ? 'the handler' : formatAddress(job.request.clientAddress);
  let wanted = false;
  let told = false;
  const fail = (error: unknown): void => {
    if (!told) events.failed(error);
    told = true;
  };
  const entry = fileURLToPath(new URL('./process-main.js', import.meta.url));
  const child = fork(entry, [], {
    ...execArgv(),
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...(fd === undefined ? [] : [fd])],
  });
  child.on('message', (report: Report) => {
    if (report.type === 'loaded') events.loaded();
    else if (report.type === 'failed') fail(fromWire(report.error));
  });
  const done = new Promise<void>((resolve) => {
    child.on('error', (cause) => {
      // It could not be started. (A message or signal that came too late for it is no failure.)
      if (child.pid !== undefined) return;
      fail(new ServerError('ERR_SERVER_CHILD', `no process could be started for ${peer}`, { cause }));
      resolve();
    });
    // 'close' follows 'exit' when the channel is read to its end: what the child has reported came before.
    child.once('close', (exitCode, signal) => {
      if (!wanted && exitCode !== 0)
        fail(
          new ServerError(
            'ERR_SERVER_CHILD',
            `the process for ${peer} ended ${ending(exitCode, signal)} before its handler was done`,
          ),
        );
      resolve();
    });
  });
  child.send(job, () => {});
  const kill = (signal: NodeJS.Signals) => (): void => {
    wanted = true;
    child.kill(signal);
  };
  return { child, serving: { done, end: kill('SIGTERM'), kill: kill('SIGKILL') } };
}

function ending(exitCode: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? `with exit code ${exitCode}` : `by signal ${signal}`;
}
