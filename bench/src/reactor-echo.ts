/** What the targets over @fdset/reactor have in common. */
import { type InetAddress, Reactor, type ServeOptions } from '@fdset/reactor';
import { type Serving, Unavailable } from './target-program.js';

export const BACKLOG = 511;

/** What a datagram target receives at a time, and the room for each: as load/udp-echo.c. */
export const DATAGRAMS = 64;
export const DATAGRAM_BYTES = 2048;

/**
 * A reactor on that backend and no other. A handler that throws, as `recv` does on a reset, costs its connection and nothing else: that is what
 * the option without a value does.
 */
export function createReactor(backend: 'kernel' | 'emulated'): Reactor {
  try {
    return new Reactor({ backend, onHandlerError: () => undefined });
  } catch (error) {
    if (backend === 'kernel') throw new Unavailable(`the native core does not load: ${(error as Error).message}`);
    throw error;
  }
}

export async function serveEcho(
  address: InetAddress,
  backend: 'kernel' | 'emulated',
  options: Pick<ServeOptions, 'idleMs' | 'borrowChunks'> = {},
): Promise<Serving> {
  const reactor = createReactor(backend);
  const listener = await reactor.serve(
    address,
    {
      data(connection, chunk) {
        connection.write(chunk);
      },
    },
    { backlog: BACKLOG, ...options },
  );
  const { port } = listener.socket.localAddress as InetAddress;
  return { port, stop: () => reactor.close(), detail: reactor.backend.name };
}
