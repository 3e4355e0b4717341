/** Datagrams in a `DatagramBatch`, sent back as they were received; written as udp-echo.c is. */
import {
  DatagramBatch,
  type InetAddress,
  READABLE,
  type ReadinessHandler,
  WOULD_BLOCK,
  WRITABLE,
} from '@fdset/reactor';
import { createReactor, DATAGRAM_BYTES, DATAGRAMS } from '../reactor-echo.js';
import { runTarget } from '../target-program.js';

await runTarget(async (address) => {
  const reactor = createReactor('kernel');
  const socket = reactor.socket({ type: 'datagram' });
  socket.bind(address);
  const batch = new DatagramBatch(DATAGRAMS, DATAGRAM_BYTES);
  // What of the batch is sent.
  let sent = 0;
  /** Returns whether the whole batch is sent. It stops before a datagram that cannot be: its error comes when it is the first. */
  const sendRest = (): boolean => {
    while (sent < batch.length) {
      try {
        const count = socket.sendBatch(batch, sent);
        if (count === WOULD_BLOCK) return false;
        sent += count;
      } catch {
        sent++;
      }
    }
    return true;
  };
  const echo: ReadinessHandler = {
    readable(_socket, registration) {
      if (socket.recvBatch(batch) === WOULD_BLOCK) return;
      sent = 0;
      if (!sendRest()) registration.modify(WRITABLE);
    },
    writable(_socket, registration) {
      if (sendRest()) registration.modify(READABLE);
    },
  };
  reactor.register(socket, READABLE, echo);
  const { port } = socket.localAddress as InetAddress;
  return { port, stop: () => reactor.close(), detail: reactor.backend.name };
});
