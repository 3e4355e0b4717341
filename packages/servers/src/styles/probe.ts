/** Loads the handler once in a worker that serves nobody: what is wrong with it is told before the first client comes. */
import { ServerError } from '../errors.js';
import type { Serving } from './style.js';

/** How long the handler may go on loading after the server was shut down. */
const LOAD_MS = 1000;

/** What a style hears of a thread or process that it has started. */
export interface WorkerEvents {
  /** The handler's module is there, and its default export is a handler. */
  loaded(): void;
  /** It could not be loaded, or has thrown, or the thread or process has died: once. */
  failed(error: unknown): void;
}

/**
 * Starts a worker without a request and awaits its end. It is a worker, not an `import` here, because only there the
 * module is loaded as it will be; and because a program's own module cannot be imported while it awaits its server.
 */
export async function probe(
  start: (events: WorkerEvents) => Serving,
  module: string,
  signal: AbortSignal,
): Promise<void> {
  let loaded = false;
  let failure: unknown;
  const worker = start({
    loaded: () => {
      loaded = true;
    },
    failed: (error) => {
      failure = error;
    },
  });
  let timer: NodeJS.Timeout | undefined;
  // Not at once: a thread that is terminated while Node reads a module for it leaves that file open (seen in Node 20).
  const onAbort = (): void => {
    timer = setTimeout(() => worker.kill(), LOAD_MS);
  };
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) onAbort();
  await worker.done;
  clearTimeout(timer);
  signal.removeEventListener('abort', onAbort);
  signal.throwIfAborted();
  if (failure !== undefined) throw failure;
  if (!loaded)
    throw new ServerError('ERR_SERVER_HANDLER_MODULE', `the handler module ${module} ended its own thread or process`);
}
