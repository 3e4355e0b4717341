/** Whether this thread or process was started by a server for a connection: it must not start servers itself. */
import { ServerError } from './errors.js';

interface Marker {
  readonly kind: 'thread' | 'process';
  /** A server was started all the same. */
  refused: ServerError | undefined;
}

/** By name, because the handler's module may have another build of this package. */
const MARKER = Symbol.for('@fdset/servers worker');
const place = globalThis as { [MARKER]?: Marker };

export function markWorker(kind: 'thread' | 'process'): void {
  place[MARKER] = { kind, refused: undefined };
}

/** Throws `ERR_SERVER_NESTED` in a worker. */
export function refuseNested(): void {
  const marker = place[MARKER];
  if (marker === undefined) return;
  marker.refused = new ServerError(
    'ERR_SERVER_NESTED',
    `a server was started inside a ${marker.kind} that a server started for a connection. The handler's module is loaded there, too: keep the handler in a module of its own, or start the server only in the program itself (process.argv[1] === fileURLToPath(import.meta.url))`,
  );
  throw marker.refused;
}

/** The refusal that the handler's module got while it was loaded, whatever it has done with it. */
export function refusedServer(): ServerError | undefined {
  return place[MARKER]?.refused;
}
