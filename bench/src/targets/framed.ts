/** A message channel: each u32-prefixed message is decoded, and encoded again for its reply. */
import { framed, lengthField } from '@fdset/framing';
import type { InetAddress } from '@fdset/reactor';
import { BACKLOG, createReactor } from '../reactor-echo.js';
import { runTarget } from '../target-program.js';

await runTarget(async (address) => {
  const reactor = createReactor('kernel');
  const codec = lengthField({ size: 4 });
  const listener = await reactor.serve(
    address,
    (connection) => {
      const channel = framed(connection, codec);
      channel.on('message', (message) => channel.send(message));
      channel.on('error', () => connection.destroy());
    },
    { backlog: BACKLOG },
  );
  return {
    port: (listener.socket.localAddress as InetAddress).port,
    stop: () => reactor.close(),
    detail: reactor.backend.name,
  };
});
