/** Datagrams one by one: `recvFrom` and `sendTo`. */
import { type InetAddress, READABLE, type ReadinessHandler, WOULD_BLOCK, WRITABLE } from '@fdset/reactor';
import { createReactor, DATAGRAM_BYTES, DATAGRAMS } from '../reactor-echo.js';
import { runTarget } from '../target-program.js';

/** What found no room to be sent. */
interface Rest {
  bytes: number;
  address: InetAddress;
}

await runTarget(async (address) => {
  const reactor = createReactor('kernel');
  const socket = reactor.socket({ type: 'datagram' });
  socket.bind(address);
  const block = Buffer.allocUnsafeSlow(DATAGRAM_BYTES);
  const echo: ReadinessHandler<Rest | undefined> = {
    readable(_socket, registration) {
      for (let i = 0; i < DATAGRAMS; i++) {
        const received = socket.recvFrom(block);
        if (received === null) return;
        const from = received.address as InetAddress;
        if (socket.sendTo(block.subarray(0, received.bytes), from) !== WOULD_BLOCK) continue;
        registration.data = { bytes: received.bytes, address: from };
        registration.modify(WRITABLE);
        return;
      }
    },
    writable(_socket, registration) {
      const { bytes, address: to } = registration.data!;
      if (socket.sendTo(block.subarray(0, bytes), to) === WOULD_BLOCK) return;
      registration.data = undefined;
      registration.modify(READABLE);
    },
  };
  reactor.register<Rest | undefined>(socket, READABLE, echo);
  const { port } = socket.localAddress as InetAddress;
  return { port, stop: () => reactor.close(), detail: reactor.backend.name };
});
