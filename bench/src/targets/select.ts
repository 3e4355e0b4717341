/** The loop of the Socket HOWTO: select over all sockets, then serve those that are ready. */
import { type InetAddress, type Socket, WOULD_BLOCK } from '@fdset/reactor';
import { BACKLOG, createReactor } from '../reactor-echo.js';
import { runTarget } from '../target-program.js';

await runTarget(async (address) => {
  const reactor = createReactor('kernel');
  const block = Buffer.allocUnsafeSlow(64 * 1024);
  const listener = await reactor.listen(address, { backlog: BACKLOG });
  const readers = new Set<Socket>([listener]);
  /** What short sends left over. A socket in here is not in `readers`. */
  const rests = new Map<Socket, Buffer>();

  const drop = (socket: Socket) => {
    readers.delete(socket);
    rests.delete(socket);
    socket.close();
  };
  const acceptAll = () => {
    for (let client = listener.accept(); client; client = listener.accept()) {
      client.setOption('noDelay', true);
      readers.add(client);
    }
  };
  const echo = (socket: Socket) => {
    const got = socket.recv(block);
    if (got === WOULD_BLOCK) return;
    if (got === 0) return drop(socket);
    const sent = Math.max(0, socket.send(block, 0, got));
    if (sent === got) return;
    rests.set(socket, Buffer.from(block.subarray(sent, got)));
    readers.delete(socket);
  };
  const sendRest = (socket: Socket) => {
    const rest = rests.get(socket)!;
    const sent = Math.max(0, socket.send(rest));
    if (sent < rest.length) {
      rests.set(socket, rest.subarray(sent));
      return;
    }
    rests.delete(socket);
    readers.add(socket);
  };
  const loop = async () => {
    for (;;) {
      const [readable, writable] = await reactor.select(readers, rests.keys(), []);
      for (const socket of readable) {
        try {
          if (socket === listener) acceptAll();
          else echo(socket);
        } catch {
          drop(socket);
        }
      }
      for (const socket of writable) {
        try {
          sendRest(socket);
        } catch {
          drop(socket);
        }
      }
    }
  };
  void loop();
  return {
    port: (listener.localAddress as InetAddress).port,
    stop: () => reactor.close(),
    detail: reactor.backend.name,
  };
});
