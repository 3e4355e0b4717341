/** Datagram sockets of a reactor on the loopback interface. */
import type { InetAddress, Reactor, ReceivedDatagram, Socket, SocketError } from '@fdset/reactor';
import { owned } from './sockets.js';

export type InetFamily = 'ipv4' | 'ipv6';

export const LOOPBACK: Readonly<Record<InetFamily, string>> = { ipv4: '127.0.0.1', ipv6: '::1' };

/** A datagram socket that is bound to a port of the system's choice. */
export function bound(
  reactor: Reactor,
  family: InetFamily = 'ipv4',
  host: string = LOOPBACK[family],
): { socket: Socket; address: InetAddress } {
  const socket = owned(reactor.socket({ type: 'datagram', family }));
  socket.bind({ host, port: 0 });
  return { socket, address: socket.localAddress as InetAddress };
}

/** The next datagram, waited for. */
export async function receivedFrom(
  reactor: Reactor,
  socket: Socket,
  bytes = 65536,
): Promise<[string, ReceivedDatagram]> {
  const into = Buffer.alloc(bytes);
  for (;;) {
    const received = socket.recvFrom(into);
    if (received !== null) return [into.toString('latin1', 0, received.bytes), received];
    await reactor.select([socket], [], []);
  }
}

/** Only the text of {@link receivedFrom}. */
export async function textFrom(reactor: Reactor, socket: Socket): Promise<string> {
  return (await receivedFrom(reactor, socket))[0];
}

/** What the system refuses: thrown by `call`, or told afterwards, where the backend hears of it later than that. */
export async function refusal(reactor: Reactor, socket: Socket, call: () => unknown): Promise<SocketError> {
  try {
    call();
  } catch (error) {
    return error as SocketError;
  }
  await reactor.select([], [], [socket]);
  const error = socket.takeError();
  if (error === null) throw new Error('expected a refusal: the socket was told as errored, and has no error');
  return error;
}
