/** Raw sockets: `recv` and `send` in the readable handler, written as epoll-echo.c is. */
import { type InetAddress, READABLE, type ReadinessHandler, WOULD_BLOCK, WRITABLE } from '@fdset/reactor';
import { BACKLOG, createReactor } from '../reactor-echo.js';
import { runTarget } from '../target-program.js';

await runTarget(async (address) => {
  const reactor = createReactor('kernel');
  const block = Buffer.allocUnsafeSlow(64 * 1024);
  // The data of a registration is what a short send left over.
  const echo: ReadinessHandler<Buffer | undefined> = {
    readable(socket, registration) {
      const got = socket.recv(block);
      if (got === WOULD_BLOCK) return;
      if (got === 0) return socket.close();
      const sent = Math.max(0, socket.send(block, 0, got));
      if (sent === got) return;
      registration.data = Buffer.from(block.subarray(sent, got));
      registration.modify(WRITABLE);
    },
    writable(socket, registration) {
      const rest = registration.data!;
      const sent = Math.max(0, socket.send(rest));
      if (sent < rest.length) {
        registration.data = rest.subarray(sent);
        return;
      }
      registration.data = undefined;
      registration.modify(READABLE);
    },
  };
  const listener = await reactor.listen(address, { backlog: BACKLOG });
  reactor.register(listener, READABLE, {
    readable() {
      for (let client = listener.accept(); client; client = listener.accept()) {
        client.setOption('noDelay', true);
        reactor.register<Buffer | undefined>(client, READABLE, echo);
      }
    },
  });
  return {
    port: (listener.localAddress as InetAddress).port,
    stop: () => reactor.close(),
    detail: reactor.backend.name,
  };
});
