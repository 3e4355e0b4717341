/** Bytes through plugins: held openings and ends, what plugins make themselves, and the order of it all. */
import { PassThrough } from 'node:stream';
import { framed, lines } from '@fdset/framing';
import { Connection, definePlugin, type PluginHost } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { closing, connected, recorder, serving } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { hooked, marked, opened } from '../support/plugins.js';
import { Log, once, rejection, rounds } from '../support/waiting.js';

/** Holds each connection until its first line has come, which names the peer, as the PROXY protocol does. */
const greeting = () =>
  hooked('greeting', (host) => ({
    open: () => 'hold',
    data(connection, chunk) {
      if (connection.remoteAddress !== undefined && 'path' in connection.remoteAddress) return;
      const end = chunk.indexOf(10);
      if (end < 0) return null;
      host.open(connection, { remoteAddress: { path: String(chunk.subarray(0, end)) } });
      return chunk.subarray(end + 1);
    },
  }));

describeBackends('bytes through plugins', (stage) => {
  it('a held open keeps the handler and later plugins in ignorance, and what is passed on waits for them', async () => {
    const log = new Log<string>();
    const { handler, calls } = recorder();
    const reactor = stage
      .reactor()
      .use(greeting())
      .use(hooked('later', { open: ({ remoteAddress }) => log.add(JSON.stringify(remoteAddress)), data: marked('!') }));
    const { address } = await serving(reactor, handler);
    const peer = await NetPeer.connect(address);
    peer.write('me\nand more');
    await calls.reaches(2);
    expect(calls.entries).toEqual(['open', 'data and more!']);
    expect(log.entries).toEqual(['{"path":"me"}']);
  });

  it('a peer that leaves a held connection is told to its plugin alone; one that dies ends it', async () => {
    const told = new Log<string>();
    const { handler, calls } = recorder();
    const holding = hooked('holding', {
      open: () => 'hold',
      end(connection) {
        told.add('end');
        connection.destroy();
      },
      close: (_connection, { by }) => told.add(`close ${by}`),
    });
    const later = hooked('later', { close: () => told.add('later') });
    const { address, listener } = await serving(stage.reactor().use(holding).use(later), handler);
    const peer = await NetPeer.connect(address);
    peer.end();
    await told.reaches(2);
    await rounds(2);
    expect(told.entries).toEqual(['end', 'close local']);
    expect(calls.entries).toEqual([]);
    expect(listener.connections).toBe(0);
  });

  it('reactor.open waits for the plugins, and rejects with what ends the connection before', async () => {
    const { address } = await serving(stage.reactor(), { open: (connection) => void connection.write('me\nhello') });
    const connection = await opened(stage.reactor().use(greeting()), address);
    expect(connection.remoteAddress).toEqual({ path: 'me' });
    expect(String(await once(connection, 'data'))).toBe('hello');
    const failing = stage.reactor().use(
      hooked('failing', {
        open: () => 'hold',
        data: () => {
          throw new Error('no');
        },
      }),
    );
    expect(await rejection(failing.open(address))).toMatchObject({ code: 'ERR_PLUGIN_HOOK', hook: 'data' });
  });

  it('what a plugin delivers comes before what it has not passed on, however long the connection is paused', async () => {
    let host = null as unknown as PluginHost;
    const got = new Log<string>();
    const plugin = hooked('a', (given) => {
      host = given;
      return {
        data(connection, chunk) {
          if (!String(chunk).startsWith('x')) return undefined;
          given.deliver(connection, Buffer.from('before '));
          return Buffer.from(String(chunk).toUpperCase());
        },
      };
    });
    const { connection, peer } = await connected(
      stage
        .reactor()
        .use(plugin)
        .use(hooked('b', { data: marked('.') })),
      { data: (_connection, chunk) => got.add(`${chunk}`) },
    );
    peer.write('x');
    await got.reaches(2);
    expect(got.entries.splice(0)).toEqual(['before .', 'X.']);
    connection.pause();
    peer.write('later');
    host.deliver(connection, Buffer.from('one'));
    host.deliver(connection, Buffer.from('two'));
    await rounds(3);
    expect(got.entries).toEqual([]);
    connection.resume();
    await got.reaches(3);
    expect(got.entries).toEqual(['one.', 'two.', 'later.']);
    connection.destroy();
    expect(host.deliver(connection, Buffer.from('x'))).toBe(false);
    expect(host.send(connection, Buffer.from('x'))).toBe(false);
  });

  it('a hold or pause within data keeps back what the hook passes on', async () => {
    const got = new Log<string>();
    const release = new Log<() => void>();
    const plugin = hooked('a', { data: (connection) => release.add(connection.hold()) });
    const { peer } = await connected(stage.reactor().use(plugin), {
      data: (_connection, chunk) => got.add(`${chunk}`),
    });
    peer.write('one');
    await release.reaches(1);
    await rounds(3);
    expect(got.entries).toEqual([]);
    release.entries[0]?.();
    await got.reaches(1);
    expect(got.entries).toEqual(['one']);
  });

  it('what a later plugin delivers while the connection is paused comes before what an earlier one does', async () => {
    const hosts: PluginHost[] = [];
    const got = new Log<string>();
    const plugin = (name: string) =>
      hooked(name, (host) => {
        hosts.push(host);
        return { data: marked(name) };
      });
    const { connection } = await connected(stage.reactor().use(plugin('a')).use(plugin('b')), {
      data: (_connection, chunk) => got.add(`${chunk}`),
    });
    connection.pause();
    for (const [i, host] of hosts.entries()) host.deliver(connection, Buffer.from(`${i}`));
    connection.resume();
    await got.reaches(2);
    expect(got.entries).toEqual(['1', '0b']);
  });

  it('an iterator is given each chunk once, and a hook sees it once, also what it delivers', async () => {
    let seen = 0;
    const plugin = hooked('a', (host) => ({
      data(connection, chunk) {
        seen += 1;
        host.deliver(connection, Buffer.from('+'));
        return chunk;
      },
    }));
    const { connection, peer } = await connected(stage.reactor().use(plugin));
    peer.write('a');
    const got: string[] = [];
    for await (const chunk of connection) {
      got.push(String(chunk));
      if (got.length === 2) peer.write('b');
      if (got.length === 3) peer.end();
    }
    expect(got).toEqual(['+', 'a', '+', 'b']);
    expect(seen).toBe(2);
  });

  it('the last chunk of end comes before the end, through the plugins behind', async () => {
    const { handler, calls } = recorder();
    const reactor = stage
      .reactor()
      .use(hooked('a', { end: () => Buffer.from('last') }))
      .use(hooked('b', { data: marked('!'), end: () => Buffer.from('tail') }));
    const { peer } = await connected(reactor, handler);
    peer.write('first');
    await calls.reaches(2);
    peer.end();
    await calls.reaches(6);
    expect(calls.entries).toEqual(['open', 'data first!', 'data last!', 'data tail', 'end', 'close peer']);
  });

  it('send goes out below its plugin, behind what was written, and before what its own write returns', async () => {
    const top = hooked('top', (host) => ({
      open: (connection) => void host.send(connection, Buffer.from('<')),
      write(connection, chunk) {
        host.send(connection, Buffer.from('head '));
        return marked(' body')(connection, chunk);
      },
    }));
    const { connection, peer } = await connected(
      stage
        .reactor()
        .use(hooked('below', { write: marked('.') }))
        .use(top),
    );
    connection.write('1');
    connection.write('2');
    connection.end();
    await peer.ended;
    expect(String(peer.received)).toBe('<.head .1 body.head .2 body.');
  });

  it('FIN waits for a plugin that holds finish, which alone may still send', async () => {
    let host = null as unknown as PluginHost;
    const late = hooked('late', (given) => {
      host = given;
      return { finish: () => 'hold', write: () => null };
    });
    const { connection, peer } = await connected(stage.reactor().use(late), { error: () => {} });
    connection.write('swallowed');
    connection.end('too');
    connection.flush();
    await rounds(3);
    expect(connection.write('refused')).toBe(false);
    expect(host.send(connection, Buffer.from('tail'))).toBe(true);
    expect(host.finish(connection)).toBe(true);
    expect(host.finish(connection)).toBe(false);
    await peer.ended;
    expect(String(peer.received)).toBe('tail');
    expect(host.send(connection, Buffer.from('x'))).toBe(false);
  });

  it('a peer that ended waits for the held end, too', async () => {
    const late = hooked('late', (host) => ({
      finish(connection) {
        host.defer(() => {
          host.send(connection, Buffer.from('bye'));
          host.finish(connection);
        });
        return 'hold';
      },
    }));
    const { connection, peer } = await connected(stage.reactor().use(late), { data: () => {} });
    const closed = closing(connection);
    peer.end();
    expect(await closed).toEqual({ by: 'peer' });
    await peer.closed;
    expect(String(peer.received)).toBe('bye');
  });

  it('back-pressure counts what the hooks give: a plugin that swallows everything queues nothing', async () => {
    const grown = { write: (_connection: Connection, chunk: Uint8Array) => Buffer.alloc(chunk.length * 1024 * 1024) };
    const { connection } = await connected(stage.reactor().use(hooked('grow', grown)), {}, { paused: true });
    expect(connection.write(Buffer.alloc(8))).toBe(false);
    expect(connection.bufferedBytes).toBeGreaterThan(64 * 1024);
    const swallowing = hooked('swallow', { write: () => null, data: () => null });
    const { handler, calls } = recorder();
    const { connection: mute, peer } = await connected(stage.reactor().use(swallowing), handler);
    expect(mute.write('x'.repeat(1024 * 1024))).toBe(true);
    expect(mute.bufferedBytes).toBe(0);
    await mute.flushed();
    peer.write('unheard');
    peer.end();
    await calls.reaches(3);
    expect(calls.entries).toEqual(['open', 'end', 'close peer']);
    expect(peer.received.length).toBe(0);
  });

  it('messages pass the plugins, and framing goes the short way where none takes them', async () => {
    const plugin = hooked('shout', {
      message: (_connection, message) => (String(message) === 'no' ? null : String(message).toUpperCase()),
    });
    const got = new Log<string>();
    const onto = (connection: Connection) => framed(connection, lines()).on('message', (line) => got.add(String(line)));
    const { connection, peer } = await connected(stage.reactor().use(plugin), { open: (each) => void onto(each) });
    peer.write('yes\nno\nmore\n');
    await got.reaches(2);
    expect(got.entries).toEqual(['YES', 'MORE']);
    expect(typeof connection.interceptMessage).toBe('function');
    const { connection: plain } = await connected(stage.reactor().use(hooked('other', {})));
    expect(plain.interceptMessage).toBeUndefined();
  });

  it('borrowed chunks are copied where they are kept, and only there', async () => {
    const kept: Buffer[] = [];
    const got = new Log<string>();
    const plugin = hooked('a', {
      data(connection, chunk) {
        kept.push(chunk);
        if (kept.length === 1) setImmediate(connection.hold());
      },
    });
    const { peer } = await connected(
      stage.reactor({ debug: true }).use(plugin),
      { data: (_connection, chunk) => got.add(`${chunk}`) },
      { borrowChunks: true },
    );
    peer.write('one');
    await got.reaches(1);
    peer.write('two');
    await got.reaches(2);
    expect(got.entries).toEqual(['one', 'two']);
    if (stage.backend === 'kernel') expect(kept.map((chunk) => chunk[0])).toEqual([0xdb, 0xdb]);
  });

  it('a Duplex over a connection, and a connection over a Duplex, go through them', async () => {
    const reactor = stage.reactor().use(hooked('a', { data: marked('<'), write: marked('>') }));
    const { connection, peer } = await connected(reactor);
    const duplex = connection.toDuplex();
    duplex.write('out');
    peer.write('in');
    const [chunk] = await Promise.all([once<Buffer>(duplex as never, 'data'), peer.receives(4)]);
    expect([String(chunk), String(peer.received)]).toEqual(['in<', 'out>']);
    const through = new PassThrough();
    const over = Connection.over(through, reactor);
    afterTest(() => over.destroy());
    over.write('x');
    expect(String(await once(over, 'data'))).toBe('x><');
  });

  it('detach gives what was not delivered, as far as it has come, and tells close', async () => {
    const closed = new Log<string>();
    const plugin = hooked('a', (host) => ({
      open: (connection) => void host.deliver(connection, Buffer.from('made ')),
      close: (_connection, { by }) => closed.add(by),
    }));
    const { connection, peer } = await connected(stage.reactor().use(plugin));
    connection.pause();
    const { socket, unread } = connection.detach();
    afterTest(() => socket.close());
    expect(String(unread)).toBe('made ');
    await closed.reaches(1);
    expect(closed.entries).toEqual(['local']);
    peer.end();
  });

  it('an AsyncLocalStorage entered in open holds in hooks', async () => {
    const { AsyncLocalStorage } = await import('node:async_hooks');
    const storage = new AsyncLocalStorage<string>();
    const seen = new Log<string>();
    const plugin = definePlugin({
      name: 'a',
      setup: (host) => ({
        data: (connection) => {
          seen.add(`data ${storage.getStore()}`);
          host.defer(() => host.deliver(connection, Buffer.from('x')));
          return null;
        },
        close: () => seen.add(`close ${storage.getStore()}`),
      }),
    });
    const { peer } = await connected(
      stage.reactor().use(plugin) as never,
      { open: () => storage.enterWith('mine'), data: () => seen.add(`handler ${storage.getStore()}`) },
      { asyncContext: true },
    );
    peer.write('x');
    await seen.reaches(2);
    peer.end();
    await seen.reaches(3);
    expect(seen.entries).toEqual(['data mine', 'handler mine', 'close mine']);
  });
});
