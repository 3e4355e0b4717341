/** The life of plugins: who uses them, which connections they concern, what they are told at the end, and their faults. */
import { type Connection, definePlugin, type Hooks, type Logger, type PluginHost } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { closing, connected, recorder, serving } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { hooked, marked, opened } from '../support/plugins.js';
import { Log, rejection, rounds, thrown } from '../support/waiting.js';

function logInto(lines: string[]): Logger {
  const note = (level: string) => (message: string) => void lines.push(`${level} ${message}`);
  return { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };
}

/** The other side has ended, or reset. */
const over = (peer: NetPeer) => Promise.race([peer.ended, peer.closed]);

/** What a connection goes through when `hook` does `act`, with hooks of every kind around it. */
const ACTS: Record<string, (connection: Connection) => void> = {
  destroy: (connection) => connection.destroy(),
  reset: (connection) => connection.reset(),
  close: (connection) => void connection.close({ lingerMs: 50 }),
  end: (connection) => connection.end(),
  detach: (connection) => {
    if (!connection.closed && connection.bufferedBytes === 0) connection.detach().socket.close();
  },
  throw: () => {
    throw new Error('on purpose');
  },
};

/** More bytes than the system takes at once. */
const MANY = 12 * 1024 * 1024;

const ACTING = ['open', 'data', 'write', 'end', 'finish', 'close'] as const;

describeBackends('the life of plugins', (stage) => {
  it('a later use concerns later listeners; a list replaces, and an empty one opts out', async () => {
    const reactor = stage.reactor({ log: logInto([]) });
    const echo = { data: (connection: Connection, chunk: Buffer) => void connection.write(chunk) };
    const before = await serving(reactor, echo);
    const used = hooked('used', { data: marked(' used') });
    reactor.use(used);
    const after = await serving(reactor, echo);
    const without = await serving(reactor, echo, { plugins: [] });
    const listed = await serving(reactor, echo, { plugins: [used, hooked('listed', { data: marked(' listed') })] });
    const got: string[] = [];
    for (const [{ address }, bytes] of [
      [before, 1],
      [after, 6],
      [without, 1],
      [listed, 13],
    ] as const) {
      const peer = await NetPeer.connect(address);
      peer.write('x');
      got.push(String(await peer.receives(bytes)));
    }
    expect(got).toEqual(['x', 'x used', 'x', 'x used listed']);
    expect(reactor.inspect()).toMatch(/plugins {3}used \(normal\): data\n {10}listed \(normal\): data; listed/);
    expect(reactor.inspect()).toMatch(/accepting, 1 open, through used, listed/);
    const plain = await opened(reactor, before.address, { plugins: [] });
    expect(plain.context).toEqual({});
  });

  it('a listed plugin ends with its last listener and connection, and its timers with it', async () => {
    const log = new Log<string>();
    let host = null as unknown as PluginHost;
    const plugin = hooked('listed', (given) => {
      host = given;
      given.every(5, () => log.add('tick'));
      return { close: () => log.add('close'), shutdown: ({ aborted }) => log.add(`shutdown ${aborted}`) };
    });
    const reactor = stage.reactor();
    const { listener, address, next } = await serving(reactor, {}, { plugins: [plugin] });
    const peer = await NetPeer.connect(address);
    const connection = await next();
    await listener.close();
    await log.reaches(1);
    const closed = closing(connection);
    connection.destroy();
    await closed;
    await rounds(2);
    expect(log.entries.slice(-2)).toEqual(['close', 'shutdown true']);
    expect(reactor.inspect()).toContain('waiting   0 timers');
    const ticks = log.entries.length;
    using _late = host.every(1, () => log.add('late'));
    host.defer(() => log.add('late'));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(log.entries.length).toBe(ticks);
    await over(peer);
  });

  it('stop waits for shutdown as long as drainMs lasts, and close does not; each tells it once', async () => {
    const log: string[] = [];
    const reactor = stage.reactor();
    reactor.use(
      hooked('quick', {
        shutdown: (signal) => void log.push(`quick ${signal.aborted}`),
        close: (_c, { by }) => void log.push(by),
      }),
    );
    reactor.use(
      hooked('slow', {
        async shutdown(signal) {
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          log.push('slow over');
        },
      }),
    );
    await connected(reactor, {}, { allowHalfOpen: true });
    await reactor.stop({ drainMs: 30 });
    await rounds(2);
    expect(log).toEqual(['quick false', 'slow over', 'shutdown']);
    reactor.close();
    expect(log.length).toBe(3);
    const other = stage
      .reactor()
      .use(hooked('quick', { shutdown: ({ aborted }) => void log.push(`closed ${aborted}`) }));
    other.close();
    expect(log[3]).toBe('closed true');
  });

  it('turn is told of each turn, and a fault there reaches the error hook, or the log', async () => {
    const lines: string[] = [];
    const turns = new Log<number>();
    const reactor = stage.reactor({ log: logInto(lines) }).use(
      hooked('turns', {
        turn({ turn, events, elapsedMs }) {
          turns.add(turn + events * 0 + elapsedMs * 0);
          if (turns.entries.length === 1) throw new Error('dizzy');
        },
      }),
    );
    reactor.post(() => {});
    await turns.reaches(1);
    reactor.post(() => {});
    await turns.reaches(2);
    expect(lines).toEqual(["error the hook 'turn' of plugin 'turns' threw dizzy"]);
    const told = new Log<string>();
    reactor.use(hooked('hearing', { error: (connection, error) => told.add(`${connection} ${error.message}`) }));
    reactor.use(
      hooked('failing', (host) => {
        host.defer(async () => Promise.reject(new Error('late')));
        return {};
      }),
    );
    await told.reaches(1);
    expect(told.entries).toEqual(["undefined the hook 'defer' of plugin 'failing' threw late"]);
  });

  it('a refusal closes the connection before there is one, and a throw in accept or state is a refusal', async () => {
    const lines: string[] = [];
    const reactor = stage.reactor({ log: logInto(lines) });
    const { handler, calls } = recorder();
    const plugins = [
      hooked('no', { accept: () => false }),
      hooked('faulty', { accept: () => Promise.reject(new Error('async')) as never }),
      definePlugin({ name: 'stateless', state: () => thrown(() => {}), setup: () => {} }),
    ];
    for (const plugin of plugins) {
      const { address, listener } = await serving(reactor, handler, { plugins: [plugin] });
      await over(await NetPeer.connect(address));
      expect(listener.connections).toBe(0);
      await listener.close();
    }
    expect(calls.entries).toEqual([]);
    expect(lines).toEqual([
      expect.stringMatching(/hook 'accept' of plugin 'faulty' returned a promise/),
      expect.stringMatching(/hook 'state' of plugin 'stateless' threw/),
    ]);
  });

  it.each(['drain', 'data', 'write', 'open', 'close'] as const)(
    'an asynchronous %s is told, and its rejection handled',
    async (name) => {
      const lines: string[] = [];
      const errors = new Log<string>();
      const hooks = { [name]: async () => Promise.reject(new Error('unheard')) } as Hooks<{}>;
      const reactor = stage.reactor({ log: logInto(lines) }).use(hooked('late', hooks));
      const { address } = await serving(reactor, {
        data: (connection) => void connection.write(Buffer.alloc(MANY)),
        error: (_connection, error) => errors.add(error.message),
      });
      const peer = await NetPeer.connect(address);
      peer.write('x');
      if (name === 'close') {
        await peer.receives(MANY);
        peer.end();
      }
      await over(peer);
      while (errors.entries.length + lines.length === 0) await rounds(1);
      expect([...errors.entries, ...lines][0]).toMatch(`the hook '${name}' of plugin 'late' returned a promise`);
    },
  );

  it.each(ACTING.flatMap((hook) => Object.keys(ACTS).map((act) => [hook, act] as const)))(
    'a %s hook that calls %s leaves an ending connection, whose close is told once to those who knew of it',
    async (hook, act) => {
      const told: string[] = [];
      const acting = hooked('acting', {
        [hook]: (connection: Connection) => void ACTS[act]?.(connection),
      } as Hooks<{}>);
      const around = (name: string) =>
        hooked(name, { open: () => void told.push(`${name} open`), close: () => void told.push(`${name} close`) });
      const reactor = stage
        .reactor({ log: logInto([]) })
        .use(around('before'))
        .use(acting)
        .use(around('after'));
      const { address, listener } = await serving(reactor, {
        open: () => void told.push('handler open'),
        data: (connection, chunk) => void connection.write(chunk),
        error: () => {},
        close: () => void told.push('handler close'),
      });
      // A reset may come before it knows that it is connected.
      const peer = await NetPeer.connect(address).catch(() => null);
      peer?.write('x');
      peer?.end();
      await peer?.closed;
      while (listener.connections > 0) await rounds(1);
      await rounds(3);
      for (const who of ['before', 'after', 'handler'])
        expect(told.filter((each) => each === `${who} close`).length, who).toBe(told.includes(`${who} open`) ? 1 : 0);
      expect(told).toContain('before close');
    },
  );

  it('a held open and a held finish that nobody goes on with end the connection', { timeout: 30_000 }, async () => {
    const reactor = stage.reactor();
    const errors = new Log<string>();
    const tell = { error: (_connection: Connection | undefined, error: Error) => errors.add(error.message) };
    const first = await serving(reactor, {}, { plugins: [hooked('opening', { open: () => 'hold', ...tell })] });
    const second = await serving(reactor, {}, { plugins: [hooked('finishing', { finish: () => 'hold', ...tell })] });
    const peers = [await NetPeer.connect(first.address), await NetPeer.connect(second.address)];
    peers[1]?.end();
    (await second.next()).resume();
    await errors.reaches(2);
    expect(errors.entries.sort()).toEqual([
      "the 'finish' that plugin 'finishing' holds did not go on within 10000 ms",
      "the 'open' that plugin 'opening' holds did not go on within 10000 ms",
    ]);
    for (const peer of peers) await over(peer);
  });

  it('misuse is said at once, and changes nothing', async () => {
    const reactor = stage.reactor();
    const wrong = (call: () => unknown) => thrown(call).message;
    expect(wrong(() => definePlugin({ name: '', setup: () => {} }))).toContain("a plugin's name must be a word");
    expect(wrong(() => definePlugin({ name: 'a', order: 'first' as never, setup: () => {} }))).toContain("got 'first'");
    expect(wrong(() => definePlugin({ name: 'a', setup: 1 as never }))).toContain('setup must be a function');
    expect(wrong(() => reactor.use(hooked('a', { dta: () => {} } as never)))).toContain("a hook 'dta'");
    expect(wrong(() => reactor.use(definePlugin({ name: 'a', setup: (async () => {}) as never })))).toContain(
      'promise',
    );
    const late = definePlugin({ name: 'late', order: 'post', setup: () => {} });
    const early = definePlugin({ name: 'early', requires: [late], setup: () => {} });
    reactor.use(late);
    expect(thrown(() => reactor.use(early as never))).toMatchObject({ code: 'ERR_PLUGIN_REQUIRES' });
    expect(reactor.inspect()).not.toContain('early');
    let host = null as unknown as PluginHost;
    reactor.use(
      hooked('host', (given) => {
        host = given;
        return {};
      }),
    );
    const { connection } = await connected(reactor, {}, { plugins: [] });
    expect(thrown(() => host.send(connection, Buffer.from('x')))).toMatchObject({ code: 'ERR_PLUGIN_ARGUMENT' });
    expect(thrown(() => host.every(-1, () => {}))).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
    expect(await rejection(reactor.serve({ host: '127.0.0.1', port: 0 }, {}, { plugins: 1 as never }))).toMatchObject({
      code: 'ERR_PLUGIN_ARGUMENT',
    });
    afterTest(() => connection.destroy());
  });
});
