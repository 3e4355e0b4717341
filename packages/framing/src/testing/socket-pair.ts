import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** Two ends of a real TCP connection; both are destroyed, and gone, when `run` is done. */
export async function withSocketPair(
  run: (one: Socket, other: Socket) => Promise<void>,
  allowHalfOpen = true,
): Promise<void> {
  const server = createServer({ allowHalfOpen });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const one = connect({ host: '127.0.0.1', port, allowHalfOpen });
  const [[other]] = await Promise.all([accepted, once(one, 'connect')]);
  try {
    await run(one, other);
  } finally {
    const closing = [one, other].map((socket) => {
      const closed = socket.closed
        ? undefined
        : once(
            socket.on('error', () => {}),
            'close',
          ).catch(() => {});
      socket.destroy();
      return closed;
    });
    server.close();
    await Promise.all([...closing, once(server, 'close')]);
  }
}
