/** The channels of node:diagnostics_channel. */
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { DiagnosticMessages } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { closing, recorder, serving } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { runNode } from '../support/node-process.js';
import { Log } from '../support/waiting.js';

/** What is published on a channel while the test runs. */
function heard<Name extends keyof DiagnosticMessages>(
  name: Name,
  then: (message: DiagnosticMessages[Name]) => void = () => {},
): Log<DiagnosticMessages[Name]> {
  const log = new Log<DiagnosticMessages[Name]>();
  const listen = (message: unknown): void => {
    log.add(message as DiagnosticMessages[Name]);
    then(message as DiagnosticMessages[Name]);
  };
  subscribe(name, listen);
  afterTest(() => unsubscribe(name, listen));
  return log;
}

describeBackends('diagnostics', (stage) => {
  it('a connection is published when it opens and when it has closed, before its handler hears', async () => {
    const order: string[] = [];
    const opened = heard('fdset:connection:open', () => order.push('open published'));
    const closed = heard('fdset:connection:close', () => order.push('close published'));
    const listens = heard('fdset:listener:listen');
    const told = recorder();
    const { address, listener, next } = await serving(stage.reactor(), {
      ...told.handler,
      open: () => void order.push('open told'),
      close: () => void order.push('close told'),
    });
    expect(listens.entries).toEqual([{ listener, address }]);
    const [peer, connection] = await Promise.all([NetPeer.connect(address), next()]);
    expect(opened.entries).toEqual([{ connection }]);
    const gone = closing(connection);
    peer.end();
    const info = await gone;
    expect(info.by).toBe('peer');
    expect(closed.entries).toEqual([{ connection, info }]);
    expect(order).toEqual(['open published', 'open told', 'close published', 'close told']);
  });

  it('a turn is published with its number, its events and its time', async () => {
    const reactor = stage.reactor();
    const turns = heard('fdset:turn');
    await new Promise<void>((resolve) => reactor.post(resolve));
    await turns.reaches(1);
    const [turn] = turns.entries;
    expect(turn).toEqual({ turn: 1, events: 0, elapsedMs: expect.any(Number) });
    expect(reactor.metrics.longestTurnMs).toBeGreaterThanOrEqual(turn?.elapsedMs as number);
  });

  it('nothing is published to nobody: a channel without subscribers stays so', async () => {
    const names = ['fdset:connection:open', 'fdset:connection:close', 'fdset:listener:listen', 'fdset:turn'] as const;
    // Subscribed and unsubscribed again: the channel goes back to its state without cost.
    const logs = names.map((name) => {
      const log = new Log<unknown>();
      const listen = (message: unknown): void => log.add(message);
      subscribe(name, listen);
      unsubscribe(name, listen);
      return log;
    });
    const { address, next } = await serving(stage.reactor());
    const [peer, connection] = await Promise.all([NetPeer.connect(address), next()]);
    const gone = closing(connection);
    connection.destroy();
    await Promise.all([gone, peer.ended]);
    expect(logs.map((log) => log.entries.length)).toEqual([0, 0, 0, 0]);
    expect(names.map((name) => channel(name).hasSubscribers)).toEqual([false, false, false, false]);
  });

  it('a subscriber that throws is an uncaughtException, and the connection goes on', async () => {
    const { code, lines, stderr } = await runNode(
      `
      import { subscribe } from 'node:diagnostics_channel';
      import { connect } from 'node:net';
      import { Reactor } from '@fdset/reactor';
      process.on('uncaughtException', (error) => console.log('uncaught', error.message));
      subscribe('fdset:connection:open', () => { throw new Error('of the subscriber'); });
      const reactor = new Reactor();
      const listener = await reactor.serve({ host: '127.0.0.1', port: 0 }, {
        data(connection, chunk) { connection.end(chunk); void listener.close(); },
      });
      const client = connect(listener.socket.localAddress.port, '127.0.0.1');
      client.on('data', (bytes) => console.log(String(bytes)));
      client.end('echo');
    `,
      { backend: stage.backend },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect([...lines].sort()).toEqual(['echo', 'uncaught of the subscriber']);
  });

  stage.needs('rawDescriptors')('a failure to accept is published each time that it happens', async () => {
    const { code, lines, stderr } = await runNode(
      `
      import { subscribe } from 'node:diagnostics_channel';
      import { openSync, closeSync } from 'node:fs';
      import { connect } from 'node:net';
      import { Reactor } from '@fdset/reactor';
      const reactor = new Reactor();
      let told = 0;
      const listener = await reactor.serve({ host: '127.0.0.1', port: 0 }, { data() {} });
      listener.on('error', () => { told += 1; });
      const { port } = listener.socket.localAddress;
      const client = connect(port, '127.0.0.1');
      await new Promise((resolve) => client.once('connect', resolve));
      listener.pause();
      // It keeps its descriptor when it is shed.
      const second = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      await new Promise((resolve) => second.once('connect', resolve));
      const fds = [];
      try { for (;;) fds.push(openSync('/dev/null')); } catch {}
      let published = 0;
      let third;
      await new Promise((resolve) => {
        subscribe('fdset:accept:error', ({ listener: of, error }) => {
          if (of !== listener || error.code !== 'EMFILE') console.log('wrong', error);
          published += 1;
          if (published === 2) resolve();
          // The one that waited was shed: another one, with a descriptor for its own end only.
          else {
            closeSync(fds.pop());
            third = connect(port, '127.0.0.1');
          }
        });
        listener.resume();
      });
      for (const fd of fds) closeSync(fd);
      console.log(published, told);
      client.destroy();
      second.destroy();
      third.destroy();
      await listener.close();
      process.exit(0);
    `,
      { backend: stage.backend, through: ['prlimit', '--nofile=64:64'] },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(lines).toEqual(['2 1']);
  });

  it('a listener that is closed within a subscriber listens no more', async () => {
    heard('fdset:listener:listen', ({ listener }) => void listener.close());
    const reactor = stage.reactor();
    const listener = await reactor.serve({ host: '127.0.0.1', port: 0 }, {});
    expect(listener.socket.closed).toBe(true);
    expect(reactor.metrics.registrations).toBe(0);
  });
});
