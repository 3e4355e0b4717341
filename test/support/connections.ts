/** Connections of a reactor with real peers at their other ends. */
import type {
  CloseInfo,
  Connection,
  ConnectionHandler,
  InetAddress,
  Listener,
  Reactor,
  ServeOptions,
} from '@fdset/reactor';
import { afterTest } from './after-test.js';
import { NetPeer } from './net-peer.js';
import { PythonPeer } from './python-peer.js';
import { Log } from './waiting.js';

export interface Serving {
  readonly listener: Listener;
  readonly address: InetAddress;
  /** The connections that came, in order. */
  readonly connections: Log<Connection>;
  next(): Promise<Connection>;
}

/** Serves `handler` on a loopback port. What is open at the end of the test is destroyed. */
export async function serving(
  reactor: Reactor,
  handler: ConnectionHandler = {},
  options: ServeOptions & { host?: string } = {},
): Promise<Serving> {
  const { host = '127.0.0.1', ...rest } = options;
  const connections = new Log<Connection>();
  const watched: ConnectionHandler = {
    ...handler,
    open(connection) {
      connections.add(connection);
      handler.open?.(connection);
    },
  };
  const listener = await reactor.serve({ host, port: 0 }, watched, rest);
  afterTest(async () => {
    for (const connection of connections.entries) connection.destroy();
    await listener.close();
  });
  let taken = 0;
  return {
    listener,
    address: listener.socket.localAddress as InetAddress,
    connections,
    async next() {
      taken += 1;
      await connections.reaches(taken);
      return connections.entries[taken - 1] as Connection;
    },
  };
}

/** A connection that was accepted, and its peer by node:net. */
export async function connected(
  reactor: Reactor,
  handler: ConnectionHandler = {},
  options: ServeOptions & { paused?: boolean } = {},
): Promise<{ connection: Connection; peer: NetPeer }> {
  const { paused = false, ...rest } = options;
  const { listener, address, next } = await serving(reactor, handler, rest);
  const [peer, connection] = await Promise.all([NetPeer.connect(address, { paused }), next()]);
  await listener.close();
  return { connection, peer };
}

/** A connection that was accepted, and its peer by Python's socket. */
export async function connectedToPython(
  reactor: Reactor,
  handler: ConnectionHandler = {},
  options: ServeOptions = {},
): Promise<{ connection: Connection; peer: PythonPeer }> {
  const { listener, address, next } = await serving(reactor, handler, options);
  const [peer, connection] = await Promise.all([PythonPeer.connect(address), next()]);
  await listener.close();
  return { connection, peer };
}

/** How a connection ends. */
export function closing(connection: Connection): Promise<CloseInfo> {
  return new Promise((resolve) => connection.once('close', resolve));
}

export interface Told {
  readonly handler: Required<ConnectionHandler>;
  /** The methods that were called, in order; data with what has come. */
  readonly calls: Log<string>;
}

/** A handler that writes down what it is told, and then does what `then` says for the method. */
export function recorder(then: Partial<Record<keyof ConnectionHandler, (connection: Connection) => void>> = {}): Told {
  const calls = new Log<string>();
  const note = (name: keyof ConnectionHandler, detail = '') => {
    calls.add(detail === '' ? name : `${name} ${detail}`);
  };
  return {
    calls,
    handler: {
      open(connection) {
        note('open');
        then.open?.(connection);
      },
      data(connection, chunk) {
        note('data', chunk.length > 64 ? `${chunk.length} bytes` : chunk.toString('latin1'));
        then.data?.(connection);
      },
      drain(connection) {
        note('drain');
        then.drain?.(connection);
      },
      end(connection) {
        note('end');
        then.end?.(connection);
      },
      timeout(connection) {
        note('timeout');
        then.timeout?.(connection);
      },
      hangup(connection) {
        note('hangup');
        then.hangup?.(connection);
      },
      error(connection, error) {
        note('error', (error as NodeJS.ErrnoException).code ?? error.message);
        then.error?.(connection);
      },
      close(connection, info) {
        note('close', info.by);
        then.close?.(connection);
      },
    },
  };
}
