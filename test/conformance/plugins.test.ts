/** Plugins: what each hook is told, in which order, and what it may change. */
import { definePlugin, type InetAddress, type Plugin } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { closing, connected, serving } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { hooked, marked, opened } from '../support/plugins.js';
import { Log, once } from '../support/waiting.js';

/** One that writes down what it is told. */
function listening(name: string, log: Log<string>, order?: 'pre' | 'post'): Plugin<string, undefined, {}> {
  const note = (what: string) => log.add(`${name} ${what}`);
  return hooked(
    name,
    {
      accept: ({ direction }) => note(`accept ${direction}`),
      open: () => note('open'),
      data: (_connection, chunk) => note(`data ${chunk}`),
      write: (_connection, chunk) => note(`write ${Buffer.from(chunk)}`),
      end: () => note('end'),
      finish: () => note('finish'),
      close: (_connection, { by }) => note(`close ${by}`),
    },
    order,
  );
}

describeBackends('plugins', (stage) => {
  it('inbound hooks run in order of use, within pre, normal and post; write, finish and close in reverse', async () => {
    const log = new Log<string>();
    const reactor = stage
      .reactor()
      .use(listening('c', log, 'post'))
      .use(listening('b', log))
      .use(listening('a', log, 'pre'));
    const { connection, peer } = await connected(reactor, {
      data: (each, chunk) => {
        log.add(`handler data ${chunk}`);
        each.write('out');
      },
      close: () => log.add('handler close'),
    });
    expect(log.entries.splice(0)).toEqual([
      ...['a accept inbound', 'b accept inbound', 'c accept inbound', 'a open', 'b open', 'c open'],
    ]);
    peer.write('in');
    await peer.receives(3);
    expect(log.entries.splice(0)).toEqual([
      ...['a data in', 'b data in', 'c data in', 'handler data in', 'c write out', 'b write out', 'a write out'],
    ]);
    const closed = closing(connection);
    peer.end();
    await closed;
    expect(log.entries).toEqual([
      ...['a end', 'b end', 'c end', 'c finish', 'b finish', 'a finish'],
      ...['handler close', 'c close peer', 'b close peer', 'a close peer'],
    ]);
  });

  it('a chunk is changed, swallowed or passed on, for handler, listeners and iterators alike', async () => {
    const swallowed = new Log<string>();
    const reactor = stage
      .reactor()
      .use(
        hooked('one', {
          data(connection, chunk) {
            if (String(chunk) !== 'no') return marked('1')(connection, chunk);
            swallowed.add('no');
            return null;
          },
        }),
      )
      .use(hooked('two', { data: marked('2') }));
    const got: string[] = [];
    const { connection, peer } = await connected(reactor, { data: (_connection, chunk) => void got.push(`${chunk}`) });
    connection.on('data', (chunk) => got.push(`event ${chunk}`));
    const chunk = once<Buffer>(connection, 'data');
    peer.write('no');
    // Not before it was received: what is sent too early comes in one chunk with it.
    await swallowed.reaches(1);
    peer.write('yes');
    await chunk;
    expect(got).toEqual(['yes12', 'event yes12']);
    const next = connection[Symbol.asyncIterator]().next();
    peer.write('more');
    expect(String((await next).value)).toBe('more12');
  });

  it('outbound connections have them too', async () => {
    const log = new Log<string>();
    const { address } = await serving(stage.reactor(), { data: (connection, chunk) => void connection.write(chunk) });
    const connection = await opened(stage.reactor().use(listening('a', log)), address);
    const echoed = once<Buffer>(connection, 'data');
    connection.write('hello');
    expect(String(await echoed)).toBe('hello');
    expect(log.entries).toEqual(['a accept outbound', 'a open', 'a write hello', 'a data hello']);
  });

  it('what write gives is what is sent and counted, with end(data) and flush', async () => {
    const reactor = stage
      .reactor()
      .use(hooked('one', { write: marked('1') }))
      .use(hooked('two', { write: marked('2') }));
    const { connection, peer } = await connected(reactor);
    connection.write('a');
    expect(connection.bufferedBytes).toBe(3);
    connection.flush();
    connection.end('b');
    await peer.ended;
    expect(String(peer.received)).toBe('a21b21');
  });

  it('the context is kept for each connection by itself, and is there for handler and hooks', async () => {
    const counting = definePlugin({
      name: 'counting',
      state: ({ direction }) => ({ direction, bytes: 0 }),
      setup: () => ({
        data(connection, chunk) {
          connection.context.counting.bytes += chunk.length;
        },
      }),
    });
    const reactor = stage.reactor().use(counting);
    const seen = new Log<unknown>();
    const listener = await reactor.serve(
      { host: '127.0.0.1', port: 0 },
      {
        data: (connection) => seen.add({ ...connection.context.counting }),
        close: (connection) => seen.add(connection.context),
      },
    );
    afterTest(() => listener.close());
    const address = listener.socket.localAddress as InetAddress;
    const peers = [await NetPeer.connect(address), await NetPeer.connect(address)];
    for (const [i, peer] of peers.entries()) {
      peer.write('x'.repeat(i + 1));
      await seen.reaches(i + 1);
    }
    expect(seen.entries).toEqual([
      { direction: 'inbound', bytes: 1 },
      { direction: 'inbound', bytes: 2 },
    ]);
    for (const [i, peer] of peers.entries()) {
      peer.end();
      await seen.reaches(3 + i);
    }
    expect(seen.entries[2]).toEqual({ counting: { direction: 'inbound', bytes: 1 } });
  });

  it('a hook that throws ends its connection with ERR_PLUGIN_HOOK, and no other', async () => {
    const cause = new Error('a fault');
    const reactor = stage.reactor().use(
      hooked('faulty', {
        data(_connection, chunk) {
          if (String(chunk) === 'bad') throw cause;
        },
      }),
    );
    const errors = new Log<unknown>();
    const { address, next } = await serving(reactor, {
      data: (connection, chunk) => void connection.write(chunk),
      error: (_connection, error) => errors.add(error),
    });
    const [bad, good] = [await NetPeer.connect(address), await NetPeer.connect(address)];
    const closed = closing(await next());
    bad.write('bad');
    expect(await closed).toMatchObject({ by: 'error', error: { code: 'ERR_PLUGIN_HOOK' } });
    expect(errors.entries).toEqual([
      expect.objectContaining({ code: 'ERR_PLUGIN_HOOK', plugin: 'faulty', hook: 'data', cause }),
    ]);
    good.write('good');
    expect(String(await good.receives(4))).toBe('good');
  });
});
