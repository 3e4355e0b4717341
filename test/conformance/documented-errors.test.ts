/** Each code of misuse is raised by what its docstring names; and those of the system that depend on who runs the program. */
import { closeSync, openSync } from 'node:fs';
import { MessageChannel } from 'node:worker_threads';
import {
  type Capabilities,
  type Connection,
  definePlugin,
  MISUSE,
  type MisuseCode,
  READABLE,
  Reactor,
  type Socket,
  servicePort,
} from '@fdset/reactor';
import { describe, expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { connected, serving } from '../support/connections.js';
import { NodeProcess } from '../support/node-process.js';
import { PublishedTypes } from '../support/published-types.js';
import { owned } from '../support/sockets.js';
import { once, rejection, thrown } from '../support/waiting.js';

interface Misuse {
  readonly needs?: keyof Capabilities;
  readonly kind: typeof Error;
  /** What the message says of what was given. */
  readonly says: string;
  error(reactor: Reactor): Promise<Error> | Error;
}

/** The 'error' of a connection that `misuse` is done to. */
async function ofConnection(
  reactor: Reactor,
  misuse: (connection: Connection) => unknown,
  options = {},
): Promise<Error> {
  const { connection } = await connected(reactor, {}, { paused: true, ...options });
  const told = once<Error>(connection, 'error');
  misuse(connection);
  const error = await told;
  connection.destroy();
  return error;
}

const socketOf = (reactor: Reactor): Socket => owned(reactor.socket());

const plain = (name: string, hooks = {}) => definePlugin({ name, setup: () => hooks });

const RAISED: Record<MisuseCode, Misuse> = {
  ERR_PLUGIN_ARGUMENT: {
    kind: TypeError,
    says: "a plugin is what definePlugin gives, got 'tls'",
    error: (reactor) => thrown(() => reactor.use('tls' as never)),
  },
  ERR_PLUGIN_DUPLICATE: {
    kind: TypeError,
    says: "there is a plugin 'one' already",
    error: (reactor) => thrown(() => reactor.use(plain('one')).use(plain('one'))),
  },
  ERR_PLUGIN_HOOK: {
    kind: Error,
    says: "the hook 'write' of plugin 'one' returned 1",
    error(reactor) {
      reactor.use(plain('one', { write: () => 1 }));
      return ofConnection(reactor, (connection) => connection.write('x'));
    },
  },
  ERR_PLUGIN_REFUSED: {
    kind: TypeError,
    says: "plugin 'one' has refused the connection",
    async error(reactor) {
      const { address } = await serving(reactor);
      return rejection(reactor.use(plain('one', { accept: () => false })).open(address));
    },
  },
  ERR_PLUGIN_REQUIRES: {
    kind: TypeError,
    says: "plugin 'two' requires plugin 'one'",
    error(reactor) {
      const one = () => plain('one');
      return thrown(() => reactor.use(definePlugin({ name: 'two', requires: [one], setup: () => {} }) as never));
    },
  },
  ERR_REACTOR_ADDRESS: {
    kind: TypeError,
    says: 'host must be a string, got undefined',
    error: (reactor) => thrown(() => socketOf(reactor).bind({ port: 1 } as never)),
  },
  ERR_REACTOR_ARGUMENT: {
    kind: RangeError,
    says: 'delayMs must be from 0 to 9007199254740991 ms, got -1',
    error: (reactor) => thrown(() => reactor.setTimer(-1, () => {})),
  },
  ERR_REACTOR_BACKEND: {
    kind: TypeError,
    says: "'nonesuch'",
    error: () => thrown(() => new Reactor({ backend: 'nonesuch' as never })),
  },
  ERR_REACTOR_BUFFER: {
    kind: TypeError,
    says: "send takes a Buffer or Uint8Array, got 'text'",
    error: (reactor) => thrown(() => socketOf(reactor).send('text' as never)),
  },
  ERR_REACTOR_CLOSED: {
    kind: TypeError,
    says: 'the reactor is closed',
    error(reactor) {
      reactor.close();
      return thrown(() => reactor.socket());
    },
  },
  ERR_REACTOR_DETACH: {
    kind: TypeError,
    says: 'Duplex',
    async error(reactor) {
      const { connection } = await connected(reactor);
      connection.toDuplex();
      const error = thrown(() => connection.detach());
      connection.destroy();
      return error;
    },
  },
  ERR_REACTOR_HOLD: {
    kind: TypeError,
    says: 'not released within 1 ms',
    error: (reactor) => ofConnection(reactor, (connection) => connection.hold({ timeoutMs: 1 })),
  },
  ERR_REACTOR_INTEREST: {
    kind: TypeError,
    says: 'got 0x40',
    error: (reactor) => thrown(() => reactor.register(socketOf(reactor), 64, {})),
  },
  ERR_REACTOR_NAME: {
    kind: TypeError,
    says: "'example.test'",
    error: (reactor) => thrown(() => socketOf(reactor).connect({ host: 'example.test', port: 1 })),
  },
  ERR_REACTOR_NOT_POLLABLE: {
    needs: 'adopt',
    kind: TypeError,
    says: 'regular file',
    error(reactor) {
      const fd = openSync(process.execPath, 'r');
      afterTest(() => closeSync(fd));
      return thrown(() => reactor.adopt(fd));
    },
  },
  ERR_REACTOR_REGISTERED: {
    kind: TypeError,
    says: 'registration already',
    error(reactor) {
      const socket = socketOf(reactor);
      reactor.register(socket, 0, {});
      return thrown(() => reactor.register(socket, 0, {}));
    },
  },
  ERR_REACTOR_SERVICE: {
    kind: RangeError,
    says: "'no such service'",
    error: () => thrown(() => servicePort('no such service')),
  },
  ERR_REACTOR_SLOW_CONSUMER: {
    kind: RangeError,
    says: 'more than maxBufferedBytes (1)',
    error: (reactor) =>
      ofConnection(reactor, (connection) => connection.write(Buffer.alloc(32 * 1024 * 1024)), { maxBufferedBytes: 1 }),
  },
  ERR_REACTOR_SOCKET: {
    kind: TypeError,
    says: 'register takes a socket of this reactor, got an object',
    error: (reactor) => thrown(() => reactor.register({} as Socket, READABLE, () => {})),
  },
  ERR_REACTOR_TRANSFER: {
    needs: 'rawDescriptors',
    kind: Error,
    says: 'socket',
    error(reactor) {
      const { port1, port2 } = new MessageChannel();
      afterTest(() => {
        port1.close();
        port2.close();
      });
      return rejection(socketOf(reactor).transfer(port1, undefined, { timeoutMs: 5 }));
    },
  },
  ERR_REACTOR_WRITE_AFTER_END: {
    kind: TypeError,
    says: 'write',
    error: (reactor) =>
      ofConnection(reactor, (connection) => {
        connection.end();
        connection.write('too late');
      }),
  },
};

describeBackends('misuse', (stage) => {
  for (const [code, { needs, kind, says, error }] of Object.entries(RAISED)) {
    const test = needs === undefined ? it : stage.needs(needs);
    test(`${code} is raised, and says what was given`, async () => {
      const raised = await error(stage.reactor());
      expect(raised).toMatchObject({ code, message: expect.stringContaining(says) });
      expect(raised).toBeInstanceOf(kind);
    });
  }
});

describe('the published docstrings', () => {
  const types = new PublishedTypes('@fdset/reactor', '@fdset/reactor/testing');
  const named = types.codesIn(/\bERR_(?:PLUGIN|REACTOR)_\w+/g);

  it('name no code of misuse that there is not, and each that there is', () => {
    expect([...named].sort()).toEqual(Object.keys(MISUSE).sort());
  });
});

describeBackends(
  'without privileges',
  (stage) => {
    it('a raw socket is EPERM, and a port of the system EACCES', async () => {
      const program = new NodeProcess(
        `import { Reactor } from '@fdset/reactor';
        import { readFileSync } from 'node:fs';
        // Loaded before: the folder may be root's alone.
        const reactor = new Reactor();
        if (process.getuid() === 0) process.setuid(65534);
        const code = (error) => error.code + ' ' + error.syscall;
        if (reactor.capabilities.raw) try { reactor.socket({ type: 'raw', protocol: 1 }) } catch (error) { console.log(code(error)) }
        if (readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'latin1') > 1)
          await reactor.listen({ host: '127.0.0.1', port: 1 }).catch((error) => console.log(code(error)));
        reactor.close();`,
        { backend: stage.backend },
      );
      const { code, lines, stderr } = await program.ended();
      expect({ code, stderr, lines }).toEqual({
        code: 0,
        stderr: '',
        lines: [...(stage.capabilities.raw ? ['EPERM socket'] : []), 'EACCES bind'],
      });
    });
  },
  { only: ['kernel', 'emulated'] },
);
