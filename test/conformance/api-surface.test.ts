/** The names that users build on: each is there, is of its kind, and has its default. What they do is the other tests'. */
import * as api from '@fdset/reactor';
import {
  type Address,
  type CloseInfo,
  Connection,
  DatagramBatch,
  Listener,
  type ListenTarget,
  Reactor,
  type ReactorOptions,
  type ServeOptions,
  type Socket,
  type SocketError,
  type SocketOptions,
} from '@fdset/reactor';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { connected, serving } from '../support/connections.js';
import { PublishedTypes } from '../support/published-types.js';
import { owned } from '../support/sockets.js';
import { thrown } from '../support/waiting.js';

const CONSTANTS = {
  READABLE: 1,
  WRITABLE: 2,
  ERROR: 4,
  HANGUP: 8,
  READ_CLOSED: 16,
  WOULD_BLOCK: -1,
  INTERRUPTED: -2,
  MSG_PEEK: 1,
  MSG_OOB: 2,
  MSG_MORE: 4,
};

const FUNCTIONS = ['lookup', 'reverse', 'servicePort', 'hostName', 'definePlugin'] as const;
const DISPOSE = Symbol.dispose;
const ASYNC_DISPOSE = Symbol.asyncDispose;

const VERBS = [
  ...['fileno', 'bind', 'listen', 'accept', 'connect', 'finishConnect', 'recv', 'send', 'sendv', 'recvFrom', 'sendTo'],
  ...['recvBatch', 'sendBatch', 'sendDescriptors', 'recvDescriptors', 'takeError', 'shutdown', 'close', 'reset'],
  ...['atMark', 'getOption', 'setOption', 'getRawOption', 'setRawOption', 'joinGroup', 'leaveGroup', 'detach'],
  ...['recvSync', 'sendAllSync', 'acceptSync', 'connectSync', DISPOSE],
];

const REACTOR = [
  ...['socket', 'socketPair', 'adopt', 'listen', 'connect', 'register', 'registrationOf', 'registrations', 'select'],
  ...['selectSync', 'setTimer', 'sleep', 'now', 'post', 'run', 'stop', 'ref', 'unref', 'close', 'serve', 'open'],
  ...['use', 'inspect', DISPOSE],
];

const CONNECTION = [
  ...['write', 'flush', 'flushed', 'end', 'close', 'destroy', 'reset', 'pause', 'resume', 'setIdleTimeout', 'hold'],
  ...['detach', 'toDuplex', 'on', 'once', 'off', 'emit', Symbol.asyncIterator, ASYNC_DISPOSE],
];

const LISTENER = ['pause', 'resume', 'close', 'on', 'once', 'off', 'emit', ASYNC_DISPOSE];
const BATCH = ['payload', 'address', 'truncated', 'clear', 'add'];

const CAPABILITIES = [
  ...['syncBind', 'oob', 'peek', 'raw', 'hangupWhilePaused', 'shutdownRead', 'rawDescriptors', 'socketPair'],
  ...['acceptPause', 'unixDatagram', 'seqpacket', 'abstractUnix', 'descriptorPassing', 'datagramBatch', 'rawOptions'],
  ...['reusePort', 'adopt', 'blocking', 'selectSync'],
];

/** The named options by the kind of socket that has them all, with the type of what is read. */
const OPTIONS: Record<keyof SocketOptions, 'boolean' | 'number' | 'string' | 'object'> = {
  reuseAddress: 'boolean',
  reusePort: 'boolean',
  noDelay: 'boolean',
  keepAlive: 'boolean',
  keepAliveIdle: 'number',
  keepAliveInterval: 'number',
  keepAliveCount: 'number',
  receiveBuffer: 'number',
  sendBuffer: 'number',
  broadcast: 'boolean',
  ipv6Only: 'boolean',
  oobInline: 'boolean',
  userTimeout: 'number',
  tos: 'number',
  ttl: 'number',
  multicastTtl: 'number',
  multicastLoop: 'boolean',
  multicastInterface: 'string',
  linger: 'boolean',
  deferAccept: 'number',
  fastOpen: 'number',
  quickAck: 'boolean',
  congestion: 'string',
  mark: 'number',
  tcpInfo: 'object',
  peerCredentials: 'object',
};

/** Which of the names the object has no method for. */
const missing = (names: readonly PropertyKey[], of: object): PropertyKey[] =>
  names.filter((name) => typeof Reflect.get(of, name) !== 'function');

describe('the entry of the package', () => {
  it('has the constants with their values, and the functions', () => {
    expect(api).toMatchObject(CONSTANTS);
    expect(missing(FUNCTIONS, api)).toEqual([]);
  });

  it('has the types as the page of the API gives them', () => {
    expectTypeOf<Socket['accept']>().returns.toEqualTypeOf<Socket | null>();
    expectTypeOf<Socket['connect']>().returns.toEqualTypeOf<'connected' | 'connecting'>();
    expectTypeOf<Socket['takeError']>().returns.toEqualTypeOf<SocketError | null>();
    expectTypeOf<Socket['getOption']>().toBeCallableWith('linger');
    expectTypeOf<SocketOptions['linger']>().toEqualTypeOf<false | 0>();
    expectTypeOf<{ fd: 3 }>().toExtend<ListenTarget>();
    expectTypeOf<{ path: string }>().toExtend<Address>();
    expectTypeOf<CloseInfo['by']>().toEqualTypeOf<'peer' | 'local' | 'error' | 'shutdown'>();
    expectTypeOf<Reactor['select']>().returns.resolves.toEqualTypeOf<
      [readable: Socket[], writable: Socket[], errored: Socket[]]
    >();
    expectTypeOf<Reactor['sleep']>().returns.resolves.toEqualTypeOf<void>();
    expectTypeOf<Reactor['open']>().returns.resolves.toEqualTypeOf<Connection<{}>>();
    expectTypeOf<Reactor['serve']>().returns.resolves.toEqualTypeOf<Listener<{}>>();
    expectTypeOf<ReactorOptions>().toHaveProperty('turnBudgetMs');
    expectTypeOf<ServeOptions>().toHaveProperty('maxBufferedBytes');
  });

  it('has SocketError and DatagramBatch as classes', () => {
    expect(new DatagramBatch(4, 8)).toMatchObject({ length: 0 });
    expect(missing(BATCH, new DatagramBatch(4, 8))).toEqual([]);
    expect(missing(['over'], Connection)).toEqual([]);
    expect(api.SocketError.prototype).toBeInstanceOf(Error);
  });
});

/** What the classes show whose objects a user is given, beside what they inherit. All else of them is the package's own. */
const SHOWN = {
  Connection: [
    ...['socket', 'context', 'remoteAddress', 'localAddress', 'bufferedBytes', 'closed', 'flowing', 'write', 'flush'],
    ...[
      'flushed',
      'end',
      'close',
      'destroy',
      'reset',
      'pause',
      'resume',
      'setIdleTimeout',
      'hold',
      'detach',
      'transfer',
    ],
    ...['toDuplex', 'interceptMessage', 'on', 'once', 'addListener', '[asyncIterator]', '[asyncDispose]'],
  ],
  Listener: ['socket', 'backlog', 'connections', 'pause', 'resume', 'close', '[asyncDispose]'],
  Reactor: [
    ...['backend', 'capabilities', 'metrics', 'socket', 'socketPair', 'adopt', 'adoptNode', 'listen', 'connect'],
    ...['register', 'registrationOf', 'registrations', 'select', 'selectSync', 'setTimer', 'sleep', 'now', 'post'],
    ...['waker', 'receiveSockets', 'serve', 'open', 'connection', 'run', 'stop', 'ref', 'unref', 'close', 'inspect'],
    ...['use', '[dispose]'],
  ],
  ConnectionIterator: ['next', 'return', '[asyncIterator]'],
  ReactorWaker: ['handle', 'wake', 'ref', 'unref', 'close', '[dispose]'],
  DatagramBatch: ['length', 'capacity', 'maxBytes', ...BATCH],
};

describe('the published types', () => {
  const types = new PublishedTypes('@fdset/reactor', '@fdset/reactor/testing');

  it('name no type that a user cannot import', () => {
    expect(types.unexported()).toEqual([]);
  });

  it.each(Object.entries(SHOWN))('show of %s what users may touch, and nothing else', (name, members) => {
    expect(types.membersOf(name)).toEqual([...members].sort());
  });
});

describeBackends('the surface', (stage) => {
  it('a reactor has its methods, what it stands on, and every capability as a boolean', () => {
    const reactor = stage.reactor();
    expect(missing(REACTOR, reactor)).toEqual([]);
    expect(reactor).toBeInstanceOf(Reactor);
    expect(reactor.backend).toEqual({ name: stage.backend, reason: expect.any(String) });
    expect(Object.keys(reactor.capabilities).sort()).toEqual([...CAPABILITIES].sort());
    expect(new Set(Object.values(reactor.capabilities).map((value) => typeof value))).toEqual(new Set(['boolean']));
  });

  it('a socket has every verb, and before it is opened the properties of one that is not', () => {
    const socket = owned(stage.reactor().socket());
    expect(missing(VERBS, socket)).toEqual([]);
    expect(socket).toMatchObject({ type: 'stream', family: 'ipv4', closed: false });
    expect(socket.remoteAddress).toBeUndefined();
    socket.close();
    expect([socket.closed, socket.fileno(), socket.localAddress]).toEqual([true, -1, undefined]);
  });

  stage.needs('rawOptions')('every named option is read with its type, and an unknown one is refused', () => {
    const reactor = stage.reactor();
    const socket = owned(reactor.socket());
    const [local] = reactor.socketPair().map(owned) as [Socket, Socket];
    const ipv6 = owned(reactor.socket({ family: 'ipv6' }));
    for (const [name, type] of Object.entries(OPTIONS) as [keyof SocketOptions, string][]) {
      const of = name === 'peerCredentials' ? local : name === 'ipv6Only' ? ipv6 : socket;
      expect(typeof of.getOption(name), name).toBe(type);
    }
    expect(thrown(() => socket.getOption('nonsense' as never))).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
  });

  it('a connection and a listener have their methods and properties', async () => {
    const reactor = stage.reactor();
    const { connection } = await connected(reactor);
    expect(missing(CONNECTION, connection)).toEqual([]);
    expect(connection).toMatchObject({ bufferedBytes: 0, context: {} });
    expect(connection.socket.remoteAddress).toEqual(connection.remoteAddress);
    expect(connection.socket.localAddress).toEqual(connection.localAddress);
    const { listener } = await serving(reactor);
    expect(missing(LISTENER, listener)).toEqual([]);
    expect(listener).toBeInstanceOf(Listener);
    expect(listener.connections).toBe(0);
  });

  it('a registration has what was given to it', async () => {
    const reactor = stage.reactor();
    const { listener } = await serving(reactor);
    const [registration] = [...reactor.registrations()];
    expect(registration).toMatchObject({ interest: api.READABLE, readiness: 0, active: true });
    expect(registration?.socket).toBe(listener.socket);
    expect(missing(['modify', 'unregister'], registration as object)).toEqual([]);
  });

  it.each([
    ['allowHalfOpen', 1],
    ['borrowChunks', 'yes'],
    ['asyncContext', 0],
    ['noDelay', 1],
  ])('an option %s that is neither true nor false is refused', async (name, value) => {
    const reactor = stage.reactor();
    await expect(reactor.serve({ host: '127.0.0.1', port: 0 }, {}, { [name]: value })).rejects.toMatchObject({
      code: 'ERR_REACTOR_ARGUMENT',
      message: expect.stringContaining(`${name} must be true or false`),
    });
    await expect(reactor.open({ host: '127.0.0.1', port: 9 }, { [name]: value })).rejects.toMatchObject({
      code: 'ERR_REACTOR_ARGUMENT',
    });
  });
});
