/** What the targets over @fdset/servers have in common: the same handler in one style. */

import type { InetAddress } from '@fdset/reactor';
import { createServer } from '@fdset/servers';
import { BACKLOG } from './reactor-echo.js';
import type { Serving } from './target-program.js';

type Style = 'iterative' | 'thread-per-connection' | 'process-per-connection' | 'reactor';

/** As many threads and processes as plan/targets.ts lets connections come. */
const most = { maxThreads: 250, maxChildren: 100 };

export async function serveStyle(
  address: InetAddress,
  options: { style: Style; io?: 'reactor' | 'blocking' },
): Promise<Serving> {
  const handler = new URL('./echo-handler.js', import.meta.url);
  const server = createServer({ ...options, ...most, handler, address, backlog: BACKLOG });
  // Seen when a measurement fails: the harness shows the last words of a server.
  server.on('error', (error) => console.error(String(error)));
  const served = server.serveForever();
  const { port } = (await Promise.race([server.listening, served.then(() => server.listening)])) as InetAddress;
  return {
    port,
    // The loop ends when the last handler, thread and child has.
    stop: async () => {
      await server.shutdown();
      await served;
    },
    detail: options.io ? `${options.style}, io ${options.io}` : options.style,
  };
}
