/**
 * The same calls on both backends tell the same story (item 105): each script drives a reactor with a peer by node:net,
 * step by step, and what its handlers are told, in its order, is compared between the backends and with what is expected.
 */
import {
  type ConnectionHandler,
  type InetAddress,
  READABLE,
  type Reactor,
  type Socket,
  WOULD_BLOCK,
  WRITABLE,
} from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends, type Stage } from '../support/backends.js';
import { closing, serving } from '../support/connections.js';
import { NetPeer, NetServer } from '../support/net-peer.js';
import { arrived, owned, withPeer } from '../support/sockets.js';
import { Log, rounds } from '../support/waiting.js';

type Trace = Log<string>;
type Script = (reactor: Reactor, trace: Trace) => Promise<void>;

/** Notes what a connection is told. Chunks are summed up until something else happens: their borders are the system's. */
function noting(trace: Trace, extra: Partial<ConnectionHandler> = {}): ConnectionHandler {
  let text = '';
  const note = (what: string) => {
    if (text !== '') trace.add(`data ${text}`);
    text = '';
    trace.add(what);
  };
  return {
    open(connection) {
      note('open');
      extra.open?.(connection);
    },
    data(connection, chunk) {
      text += chunk.length > 100 ? `${chunk.length} bytes` : chunk.toString();
      extra.data?.(connection, chunk);
    },
    drain(connection) {
      note('drain');
      extra.drain?.(connection);
    },
    end(connection) {
      note('end');
      extra.end?.(connection);
    },
    error(_connection, error) {
      note(`error ${(error as NodeJS.ErrnoException).code}`);
    },
    close(_connection, info) {
      note(`close ${info.by}`);
    },
  };
}

const SCRIPTS: [title: string, script: Script, told: string[]][] = [
  [
    'a conversation, ended by the peer',
    async (reactor, trace) => {
      const echo = noting(trace, { data: (connection, chunk) => void connection.write(chunk) });
      const { address, next } = await serving(reactor, echo);
      const [peer, connection] = await Promise.all([NetPeer.connect(address), next()]);
      peer.write('one');
      await peer.receives(3);
      peer.write('two');
      await peer.receives(6);
      peer.end();
      await closing(connection);
    },
    ['open', 'data onetwo', 'end', 'close peer'],
  ],
  [
    'an end in the first data, and a second one that brings bytes',
    async (reactor, trace) => {
      const { address, next } = await serving(reactor, noting(trace, { data: (connection) => connection.end('bye') }));
      const [peer, connection] = await Promise.all([NetPeer.connect(address), next()]);
      peer.write('hello');
      await peer.ended;
      peer.end(' and more');
      await closing(connection);
      trace.add(`the peer got ${peer.received}`);
    },
    ['open', 'data hello and more', 'error ERR_REACTOR_WRITE_AFTER_END', 'end', 'close peer', 'the peer got bye'],
  ],
  [
    'a pause, and what came in it',
    async (reactor, trace) => {
      let first = true;
      const handler = noting(trace, {
        data(connection) {
          if (first) connection.pause();
          first = false;
        },
      });
      const { address, next } = await serving(reactor, handler);
      const [peer, connection] = await Promise.all([NetPeer.connect(address), next()]);
      peer.write('before,');
      while (first) await rounds(1);
      peer.end('after');
      await rounds(30);
      trace.add('resumed');
      connection.resume();
      await closing(connection);
    },
    // The sum of the data is noted when something else is told.
    ['open', 'resumed', 'data before,after', 'end', 'close peer'],
  ],
  [
    'a reset by the peer',
    async (reactor, trace) => {
      const { address, next } = await serving(reactor, noting(trace));
      const [peer, connection] = await Promise.all([NetPeer.connect(address), next()]);
      peer.reset();
      await closing(connection);
    },
    ['open', 'error ECONNRESET', 'close error'],
  ],
  [
    'our destroy, our reset and our close',
    async (reactor, trace) => {
      const { address, next } = await serving(reactor, noting(trace));
      for (const end of ['destroy', 'reset', 'close'] as const) {
        const [peer, connection] = await Promise.all([NetPeer.connect(address), next()]);
        const closed = closing(connection);
        void connection[end]();
        await Promise.race([peer.ended, peer.closed]);
        peer.end();
        await closed;
        trace.add(`${end}: the peer sees ${await peer.closed}`);
      }
    },
    [
      'open',
      'close local',
      'destroy: the peer sees clean',
      'open',
      'close local',
      'reset: the peer sees ECONNRESET',
      'open',
      'close local',
      'close: the peer sees clean',
    ],
  ],
  [
    'more than a peer takes, and a drain',
    async (reactor, trace) => {
      const server = await NetServer.listen({ paused: true });
      const connection = await reactor.open(server.address, { highWaterMark: 1000, lowWaterMark: 0 });
      const peer = await server.next();
      connection.on('drain', () => trace.add('drain'));
      trace.add(`write ${connection.write(Buffer.alloc(16 << 20))}`);
      await rounds(5);
      trace.add('reading');
      peer.read();
      await peer.receives(16 << 20);
      const closed = closing(connection);
      connection.resume();
      connection.end();
      peer.end();
      trace.add(`close ${(await closed).by}`);
    },
    ['write false', 'reading', 'drain', 'close peer'],
  ],
  [
    'registrations: writable, readable, the end, in turns of their own',
    async (reactor, trace) => {
      const { socket, peer } = await withPeer(reactor);
      const over = reactor.register(socket, WRITABLE, {
        writable(_socket, registration) {
          trace.add('writable');
          registration.modify(READABLE);
        },
        readable(ready, registration) {
          const count = ready.recv(Buffer.alloc(4));
          trace.add(`readable ${count}`);
          if (count === 0) registration.unregister();
        },
      });
      await trace.reaches(1);
      peer.write('abcdef');
      await trace.reaches(3);
      peer.end();
      await trace.reaches(4);
      await rounds(10);
      trace.add(`active ${over.active}`);
    },
    ['writable', 'readable 4', 'readable 2', 'readable 0', 'active false'],
  ],
  [
    'tasks, timers, selects and sockets of one turn',
    async (reactor, trace) => {
      const { socket, peer } = await withPeer(reactor);
      peer.write('x');
      await arrived(socket, 1);
      const registration = reactor.register(socket, 0, (_socket, readiness) => {
        trace.add(`socket ${readiness}`);
        registration.unregister();
      });
      await new Promise<void>((resolve) => {
        reactor.post(() => {
          reactor.setTimer(0, () => trace.add('timer'));
          void reactor.select([socket], [socket], [socket]).then((sets) => {
            trace.add(`select ${sets.map((set) => set.length)}`);
            resolve();
          });
          reactor.post(() => {
            trace.add('task');
            registration.modify(READABLE);
          });
        });
      });
    },
    ['task', 'timer', 'socket 1', 'select 1,1,0'],
  ],
  [
    'raw verbs: connect, accept, send, shutdown, would-block and the end',
    async (reactor, trace) => {
      const listener = await reactor.listen({ host: '127.0.0.1', port: 0 });
      const client = await reactor.connect(listener.localAddress as InetAddress);
      await reactor.select([listener], [], []);
      const server = listener.accept() as Socket;
      trace.add(`accept again ${listener.accept()}`);
      const into = Buffer.alloc(16);
      trace.add(`nothing there ${server.recv(into) === WOULD_BLOCK}`);
      trace.add(`sent ${client.send(Buffer.from('abc'))} ${client.sendv([Buffer.from('de'), Buffer.from('f')])}`);
      await arrived(server, 6);
      trace.add(`received ${server.recv(into, 0, 4)} ${server.recv(into)}`);
      client.shutdown('write');
      await reactor.select([server], [], []);
      trace.add(`the end ${server.recv(into)} ${server.recv(into)}`);
      const fresh = owned(reactor.socket());
      for (const call of [() => client.send(into), () => listener.recv(into), () => fresh.accept()])
        try {
          trace.add(`returned ${call()}`);
        } catch (error) {
          trace.add(`threw ${(error as NodeJS.ErrnoException).code}`);
        }
      for (const socket of [client, server, listener]) socket.close();
    },
    [
      'accept again null',
      'nothing there true',
      'sent 3 3',
      'received 4 2',
      'the end 0 0',
      'threw EPIPE',
      'threw ENOTCONN',
      'threw EINVAL',
    ],
  ],
  [
    'a listener that is closed while a connection talks',
    async (reactor, trace) => {
      const handler = noting(trace, { data: (connection, chunk) => void connection.write(chunk) });
      const { listener, address, next } = await serving(reactor, handler);
      const [peer, connection] = await Promise.all([NetPeer.connect(address), next()]);
      listener.on('close', () => trace.add('listener closed'));
      await listener.close();
      peer.write('still');
      await peer.receives(5);
      trace.add(`refused ${await reactor.open(address).catch((error) => error.code)}`);
      peer.end();
      await closing(connection);
    },
    ['open', 'listener closed', 'refused ECONNREFUSED', 'data still', 'end', 'close peer'],
  ],
];

async function traced(stage: Stage, script: Script): Promise<string[]> {
  const trace = new Log<string>();
  await script(stage.reactor(), trace);
  await rounds(5);
  return trace.entries;
}

describeBackends('the same trace on every backend', (stage) => {
  it.each(SCRIPTS)('%s (105)', async (_title, script, told) => {
    expect(await traced(stage, script)).toEqual(told);
  });
});
