/** Plugins that act at the worst moment: within the opening, the end, a write, or when their last connection goes. */
import type { Connection, PluginHost } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { closing, connected, recorder, serving } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { hooked, marked, opened } from '../support/plugins.js';
import { uncaught } from '../support/uncaught.js';
import { delay, Log, once, rejection, rounds, thrown, until } from '../support/waiting.js';

/** A plugin that holds the end of its connections, and its host. */
function finishing() {
  const holder = { host: null as unknown as PluginHost };
  const plugin = hooked('late', (host) => {
    holder.host = host;
    return { finish: () => 'hold' };
  });
  return { plugin, holder };
}

describeBackends('plugins at the worst moment', (stage) => {
  it('what an open hook delivers reaches those behind it once they are open, before what the peer sends', async () => {
    const { handler, calls } = recorder();
    const delivering = (name: string) =>
      hooked(name, (host) => ({ open: (connection) => void host.deliver(connection, Buffer.from(name)) }));
    const holding = hooked('holding', (host) => ({
      open(connection) {
        host.defer(() => host.open(connection));
        return 'hold';
      },
    }));
    const reactor = stage
      .reactor()
      .use(delivering('one'))
      .use(holding)
      .use(delivering('two'))
      .use(hooked('last', { data: marked('.') }));
    const { peer } = await connected(reactor, handler);
    await calls.reaches(3);
    peer.write('sent');
    await calls.reaches(4);
    expect(calls.entries).toEqual(['open', 'data two.', 'data one.', 'data sent.']);
  });

  it('a plugin that holds the opening, and delivery too, reads once the latter is released', async () => {
    const { handler, calls } = recorder();
    const plugin = hooked('a', (host) => ({
      open(connection) {
        host.defer(connection.hold());
        return 'hold';
      },
      data: (connection) => {
        host.open(connection);
        return null;
      },
    }));
    const { address } = await serving(stage.reactor().use(plugin), { open: handler.open });
    (await NetPeer.connect(address)).write('x');
    await calls.reaches(1);
  });

  it('a drain before the connection is open is told to those alone who know of it', async () => {
    const { handler, calls } = recorder();
    const drained = new Log<string>();
    const holding = hooked('holding', (host) => ({
      open(connection) {
        host.send(connection, Buffer.alloc(100));
        return 'hold';
      },
      drain: () => drained.add('holding'),
    }));
    const later = hooked('later', { drain: () => drained.add('later') });
    const reactor = stage.reactor().use(holding).use(later);
    const { address } = await serving(reactor, handler, { highWaterMark: 10 });
    await (await NetPeer.connect(address)).receives(100);
    await drained.reaches(1);
    await rounds(2);
    expect(drained.entries).toEqual(['holding']);
    expect(calls.entries).toEqual([]);
  });

  it('a finish before the connection is open is told to those alone who know of it', async () => {
    const told = new Log<string>();
    const noting = { finish: () => told.add('finish'), close: () => told.add('close') };
    const holding = hooked('holding', {
      open: () => 'hold',
      data(connection) {
        connection.end();
        return null;
      },
      ...noting,
    });
    const later = hooked('later', { open: () => told.add('never'), finish: () => told.add('unknown') });
    const { address } = await serving(stage.reactor().use(holding).use(later));
    const peer = await NetPeer.connect(address);
    peer.write('x');
    await peer.ended;
    peer.reset();
    await told.reaches(2);
    expect(told.entries).toEqual(['finish', 'close']);
  });

  it('a connection that is closed before it is open hears the end of its peer behind what a plugin has delivered', async () => {
    const closed = new Log<string>();
    const plugin = hooked('a', (host) => ({
      open: () => 'hold',
      data(connection) {
        host.deliver(connection, Buffer.from('x'));
        void connection.close({ lingerMs: 60_000 });
        return null;
      },
      close: (_connection, { by }) => closed.add(by),
    }));
    const { address } = await serving(stage.reactor().use(plugin));
    const peer = await NetPeer.connect(address);
    peer.end('x');
    await closed.reaches(1);
    expect(closed.entries).toEqual(['local']);
  });

  it('a reactor that is closed in an open hook tells close to those whose open was called', async () => {
    const told = new Log<string>();
    const reactor = stage.reactor();
    const noting = (name: string, act = () => {}) =>
      hooked(name, {
        open() {
          told.add(`${name} open`);
          act();
        },
        close: (_connection, { by }) => told.add(`${name} ${by}`),
      });
    reactor
      .use(noting('one'))
      .use(noting('two', () => reactor.close()))
      .use(noting('three'));
    const { address } = await serving(reactor);
    await NetPeer.connect(address).catch(() => null);
    await told.reaches(4);
    expect(told.entries).toEqual(['one open', 'two open', 'two shutdown', 'one shutdown']);
    const client = stage.reactor();
    const opening = client.open((await serving(stage.reactor())).address, {
      plugins: [hooked('closing', { open: () => client.close() })],
    });
    expect(await rejection(opening)).toMatchObject({ code: 'ERR_REACTOR_CLOSED' });
  });

  it('a listener that is closed by an accept hook ends its plugin after the connection that was admitted', async () => {
    const log = new Log<string>();
    const plugin = hooked('last', {
      accept: () => void listener.close(),
      open: () => log.add('open'),
      close: () => log.add('close'),
      shutdown: () => log.add('shutdown'),
    });
    const { listener, address } = await serving(stage.reactor(), { data: () => {} }, { plugins: [plugin] });
    const peer = await NetPeer.connect(address);
    await log.reaches(1);
    peer.end();
    await log.reaches(3);
    expect(log.entries).toEqual(['open', 'close', 'shutdown']);
  });

  it('stop gives a plugin that only a listener has its time to say goodbye, timers and all', async () => {
    const log: string[] = [];
    const plugin = hooked('listed', (host) => ({
      async shutdown({ aborted }) {
        log.push(`aborted ${aborted}`);
        await new Promise<void>((resolve) => {
          const ticks = host.every(5, () => {
            ticks[Symbol.dispose]();
            resolve();
          });
        });
        log.push('over');
      },
    }));
    const reactor = stage.reactor();
    await serving(reactor, {}, { plugins: [plugin] });
    await reactor.stop({ drainMs: 5000 });
    expect(log).toEqual(['aborted false', 'over']);
    expect(reactor.inspect()).not.toContain('listed');
  });

  it('reactor.open refuses plugins that are none before it connects', async () => {
    const { address, connections } = await serving(stage.reactor());
    const reactor = stage.reactor();
    const failing = hooked('failing', () => {
      throw new Error('no set-up');
    });
    for (const plugin of [1 as never, failing])
      await expect(reactor.open(address, { plugins: [plugin] })).rejects.toThrow(/a plugin is|no set-up/);
    await opened(reactor, address);
    await connections.reaches(1);
    await rounds(3);
    expect(connections.entries.length).toBe(1);
    expect(await rejection(reactor.open(address, { plugins: [1 as never] }))).toMatchObject({
      code: 'ERR_PLUGIN_ARGUMENT',
    });
  });

  it('an iterator that a hook asks for more is given each chunk once', async () => {
    const asked: Promise<IteratorResult<Buffer>>[] = [];
    const plugin = hooked('a', (host) => ({
      data(connection) {
        host.deliver(connection, Buffer.from('+'));
        asked.push(connection[Symbol.asyncIterator]().next());
      },
    }));
    const { connection, peer } = await connected(stage.reactor().use(plugin));
    const first = connection[Symbol.asyncIterator]().next();
    peer.write('a');
    expect(String((await first).value)).toBe('+');
    expect(String((await asked[0])?.value)).toBe('a');
  });

  it('a plugin that holds delivery in its end hook may still deliver, before the end', async () => {
    const { handler, calls } = recorder();
    const late = hooked('late', (host) => ({
      end(connection) {
        const release = connection.hold();
        host.defer(() => {
          host.deliver(connection, Buffer.from('one'));
          host.deliver(connection, Buffer.from('two'));
          release();
        });
      },
    }));
    const reactor = stage
      .reactor()
      .use(late)
      .use(hooked('behind', { data: marked('.') }));
    const { peer } = await connected(reactor, handler);
    peer.end('sent');
    const came = (): string[] => calls.entries.filter((call) => call !== 'hangup');
    await until(() => came().length === 6);
    expect(came()).toEqual(['open', 'data sent.', 'data one.', 'data two.', 'end', 'close peer']);
  });

  it('what drains within a write hook is told behind what was being written', async () => {
    const heading = hooked('heading', (host) => ({
      write(connection, chunk) {
        if (String(Buffer.from(chunk)) === '1') host.send(connection, Buffer.alloc(70_000, '.'));
      },
    }));
    let written = false;
    const drain = (connection: Connection) => {
      if (!written) connection.write('2');
      written = true;
    };
    const { connection, peer } = await connected(
      stage.reactor().use(heading),
      { drain },
      { highWaterMark: 10, lowWaterMark: 10 },
    );
    connection.write('-'.repeat(20));
    connection.write('1');
    await peer.receives(70_022);
    expect(String(peer.received.subarray(70_020))).toBe('12');
  });

  it('what a write hook gives after it has ended the connection is refused as a write after the end', async () => {
    const { handler, calls } = recorder();
    const plugin = hooked('a', {
      write(connection) {
        connection.end();
        connection.flush();
      },
    });
    const { connection, peer } = await connected(stage.reactor().use(plugin), handler);
    expect(connection.write('x')).toBe(false);
    await peer.ended;
    expect(calls.entries).toEqual(['open', 'error ERR_REACTOR_WRITE_AFTER_END']);
    expect(peer.received.length).toBe(0);
  });

  it('close() does not cut what a plugin sends that holds the end for longer than lingerMs', async () => {
    const { plugin, holder } = finishing();
    const { connection, peer } = await connected(stage.reactor().use(plugin));
    const over = closing(connection);
    void connection.close({ lingerMs: 30 });
    await delay(150);
    expect(holder.host.send(connection, Buffer.from('tail'))).toBe(true);
    holder.host.finish(connection);
    await peer.ended;
    expect(String(peer.received)).toBe('tail');
    expect(await over).toEqual({ by: 'local' });
  });

  it('close() of a connection whose peer has ended is by local, also where a plugin held the end', async () => {
    const { plugin, holder } = finishing();
    const { connection, peer } = await connected(stage.reactor().use(plugin));
    const over = closing(connection);
    void connection.close({ lingerMs: 60_000 });
    peer.end();
    await rounds(3);
    holder.host.finish(connection);
    expect(await over).toEqual({ by: 'local' });
  });

  it('a Duplex finishes, and a connection can be detached, only when no plugin holds the end any more', async () => {
    const { plugin, holder } = finishing();
    const reactor = stage.reactor().use(plugin);
    const { connection, peer } = await connected(reactor);
    const duplex = connection.toDuplex();
    const finished = once(duplex as never, 'finish');
    let isFinished = false;
    void finished.then(() => (isFinished = true));
    duplex.end('last');
    await peer.receives(4);
    await rounds(3);
    expect(isFinished).toBe(false);
    holder.host.send(connection, Buffer.from(' tail'));
    holder.host.finish(connection);
    await Promise.all([finished, peer.ended]);
    expect(String(peer.received)).toBe('last tail');

    const { connection: held } = await connected(reactor);
    held.end();
    expect(thrown(() => held.detach())).toMatchObject({ code: 'ERR_REACTOR_DETACH' });
    expect(held.closed).toBe(false);
  });

  it('a Duplex whose write a hook has destroyed fails', async () => {
    const plugin = hooked('a', { write: (connection) => connection.destroy() });
    const { connection } = await connected(stage.reactor().use(plugin));
    const duplex = connection.toDuplex();
    duplex.on('error', () => {});
    const failure = await new Promise((resolve) => duplex.write('x', resolve));
    expect(failure).toMatchObject({ code: 'EPIPE' });
  });

  it('a logger that throws keeps no plugin from being told of the end, nor from being let go', async () => {
    const raised = uncaught();
    const told = new Log<string>();
    const failing = () => {
      throw new Error('of the logger');
    };
    const reactor = stage.reactor({ log: { debug() {}, info() {}, warn() {}, error: failing } });
    const first = hooked('first', {
      close: () => told.add('close'),
      shutdown: () => told.add('shutdown'),
    });
    const second = hooked('second', {
      close() {
        throw new Error('of the hook');
      },
    });
    const { connection } = await connected(reactor, {}, { plugins: [first, second] });
    connection.destroy();
    await told.reaches(2);
    expect(told.entries).toEqual(['close', 'shutdown']);
    expect((await raised).message).toBe('of the logger');
  });
});
