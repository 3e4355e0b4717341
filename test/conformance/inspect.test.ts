/** What inspect() shows of a reactor. */
import { ERROR, READABLE, type Socket, WRITABLE } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { connected, serving } from '../support/connections.js';
import { NetPeer } from '../support/net-peer.js';
import { arrived, pair, withPeer } from '../support/sockets.js';
import { once, rounds, until } from '../support/waiting.js';

/** Where a socket stands in the picture. */
function lineOf(picture: string, socket: Socket): string {
  const { port } = socket.localAddress as { port: number };
  const { remoteAddress } = socket as { remoteAddress?: { port: number } };
  const lines = picture.split('\n').filter((line) => line.startsWith('  '));
  const found = lines.filter(
    (line) =>
      line.includes(`:${port}`) && (remoteAddress === undefined || line.includes(`<- 127.0.0.1:${remoteAddress.port}`)),
  );
  expect(found, picture).toHaveLength(1);
  return found[0] as string;
}

describeBackends('inspect', (stage) => {
  it('a new reactor shows its backend and why, its budgets, and nothing waiting', () => {
    const reactor = stage.reactor({ eventBudget: 7, acceptBudget: 1 });
    const lines = reactor.inspect().split('\n');
    expect(lines[0]).toBe(`reactor on ${stage.backend} (${reactor.backend.reason})`);
    expect(lines[1]).toBe('budgets   7 events, 16777216 bytes and 20 ms a turn; 1 accept a listener');
    expect(lines[2]).toMatch(/^turns {5}0 in \d+\.\d s, 0\.0 % busy, the longest 0\.000 ms, 0 stopped by a budget$/);
    expect(lines.slice(3)).toEqual([
      'events    0, 0 stale, 0 parked',
      'traffic   0 accepts, 0 bytes in, 0 bytes out, 0 unheard errors',
      'waiting   0 timers, 0 selects',
      'sockets   0 watched, 0 registrations',
    ]);
  });

  it('timers and selects that are pending are counted', async () => {
    const reactor = stage.reactor();
    const [client] = await pair(reactor);
    const timer = reactor.setTimer(60_000, () => {});
    const controller = new AbortController();
    const select = reactor.select([client], [], [], null, controller.signal).catch(() => 'aborted');
    await rounds(3);
    const picture = reactor.inspect();
    expect(picture).toMatch(/^waiting {3}1 timer \(the next in (59\d\d\d|60000)\.\d ms\), 1 select$/m);
    expect(lineOf(picture, client)).toMatch(/^ {2}selected .*interest 0, ready WRITABLE, selected for READABLE$/);
    timer.cancel();
    controller.abort();
    expect(await select).toBe('aborted');
  });

  it('a registration shows its socket, its interest, and what is ready', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    const registration = reactor.register(socket, ERROR, { error() {}, readable() {}, writable() {} });
    expect(lineOf(reactor.inspect(), socket)).toMatch(
      new RegExp(
        `^  socket ${socket.fileno()}, ipv4 stream 127\\.0\\.0\\.1:\\d+ <- .*, interest ERROR, ready WRITABLE$`,
      ),
    );
    peer.write('x');
    await arrived(socket, 1);
    registration.modify(0);
    expect(lineOf(reactor.inspect(), socket)).toMatch(/interest 0, ready READABLE\|WRITABLE, paused$/);
    registration.modify(WRITABLE);
    expect(lineOf(reactor.inspect(), socket)).toContain('interest WRITABLE');
    registration.unregister();
    expect(reactor.inspect()).toContain('sockets   0 watched, 0 registrations');
  });

  stage.needs('hangupWhilePaused')('a socket that was taken out of the kernel is shown as parked', async () => {
    const reactor = stage.reactor();
    const { connection, peer } = await connected(reactor);
    expect(lineOf(reactor.inspect(), connection.socket)).not.toContain('parked');
    const hungUp = once(connection, 'hangup');
    peer.end();
    await hungUp;
    await rounds(1);
    expect(lineOf(reactor.inspect(), connection.socket)).toMatch(
      /interest READ_CLOSED, ready READABLE.*, parked, paused/,
    );
  });

  it('listeners and connections show their state', async () => {
    const reactor = stage.reactor();
    const { listener, address, next } = await serving(reactor);
    const [peer, connection] = await Promise.all([NetPeer.connect(address, { paused: true }), next()]);
    let line = lineOf(reactor.inspect(), connection.socket);
    expect(line).toMatch(/^ {2}connection .*, paused, 0 bytes queued$/);
    expect(lineOf(reactor.inspect().replace(/^ {2}connection.*$/m, ''), listener.socket)).toMatch(
      /^ {2}listener .*interest READABLE, ready .*, accepting, 1 open$/,
    );
    listener.pause();
    expect(reactor.inspect()).toMatch(/^ {2}listener .*interest 0, .*, paused, paused, 1 open$/m);
    connection.resume();
    const block = Buffer.alloc(1 << 20);
    while (connection.write(block));
    connection.flush();
    line = lineOf(reactor.inspect(), connection.socket);
    expect(line).toMatch(/interest READABLE\|WRITABLE, .*, reading, \d+ bytes queued and blocked$/);
    expect(line).toContain(`${connection.bufferedBytes} bytes`);
    peer.end();
    await until(() => reactor.inspect().includes('read to the end, ending'));
    expect(reactor.inspect()).toContain('1 accept, ');
  });

  it('inspect may be called inside a handler, and of a reactor that is closed', async () => {
    const reactor = stage.reactor({ record: [], trace() {} });
    const [client] = await pair(reactor);
    const shown = await new Promise<string>((resolve) => {
      reactor.register(client, WRITABLE, (_socket, _readiness, registration) => {
        resolve(reactor.inspect());
        registration.unregister();
      });
    });
    expect(shown).toContain('observed  trace, record');
    expect(shown).toMatch(/^ {2}socket -?\d+ \(#2\), .*interest WRITABLE, ready WRITABLE$/m);
    reactor.close();
    expect(reactor.inspect().split('\n')[0]).toMatch(/, closed$/);
    expect(reactor.inspect()).toContain('sockets   0 watched, 0 registrations');
  });

  it('inspect changes nothing: what was ready is ready afterwards', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    peer.write('kept');
    await arrived(socket, 4);
    reactor.register(socket, READABLE, { readable() {} }).modify(0);
    reactor.inspect();
    const into = Buffer.alloc(8);
    expect(into.toString('latin1', 0, socket.recv(into))).toBe('kept');
  });
});
