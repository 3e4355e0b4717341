/** The worker's side of a job: loads the handler, takes the connection over, serves the connection to its end. */
import { type Address, Reactor } from '@fdset/reactor';
import { claimSocket } from '@fdset/reactor/internal';
import { BlockingConnection } from './blocking-connection.js';
import { codeOf, shutdownError } from './errors.js';
import { loadHandler } from './handler-source.js';
import type { StreamConnection } from './handlers.js';
import type { HandedOver, Job, Report } from './job.js';
import { refusedServer } from './nested.js';
import { runHandler } from './run-handler.js';
import { toWire } from './wire-error.js';

/** What the thread or process supplies. */
export interface WorkerControl {
  report(report: Report): void;
  /** Whether the server wants the handler to end. */
  ending(): boolean;
  /** Called back when it does. */
  onEnding(callback: () => void): void;
}

/** Resolves when the handler is done and the connection closed. Never rejects: what goes wrong is reported. */
export async function serveJob(job: Job, control: WorkerControl): Promise<void> {
  let connection: StreamConnection | undefined;
  try {
    const Handler = await loadHandler(job.module);
    const refused = refusedServer();
    if (refused !== undefined) throw refused;
    control.report({ type: 'loaded' });
    if (job.request === undefined) return;
    const { socket, clientAddress, server } = job.request;
    connection = connect(socket, clientAddress, job, Handler.timeoutMs, control);
    await runHandler(Handler, { connection, clientAddress, server });
  } catch (error) {
    if (codeOf(error) !== 'ERR_SERVER_SHUTDOWN') control.report({ type: 'failed', error: toWire(error) });
  }
  await connection?.close();
}

function connect(
  handed: HandedOver,
  clientAddress: Address,
  job: Job,
  timeoutMs: number | undefined,
  control: WorkerControl,
): StreamConnection {
  const reactor = new Reactor({
    backend: 'kernel',
    // A listener of the handler's own has thrown.
    onHandlerError: (error) => {
      control.report({ type: 'failed', error: toWire(error) });
      return 'close';
    },
  });
  const socket = 'fd' in handed ? reactor.adopt(handed.fd) : claimSocket(reactor, handed.token);
  if (job.io === 'blocking') {
    return new BlockingConnection(socket, clientAddress, { timeoutMs, ending: () => control.ending() });
  }
  const connection = reactor.connection(socket, {}, job.connection);
  const end = (): void => connection.destroy(shutdownError());
  control.onEnding(end);
  if (control.ending()) end();
  return connection;
}
