/** Urgent data: the byte apart from the stream or within it, and its mark (capability `oob`). */
import { ERROR, MSG_OOB, MSG_PEEK, READABLE, type Socket, WOULD_BLOCK } from '@fdset/reactor';
import { expect } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { PythonPeer } from '../support/python-peer.js';
import { accepted, listening, pair, received } from '../support/sockets.js';
import { Log, thrown, until } from '../support/waiting.js';

describeBackends('urgent data', (stage) => {
  const check = stage.needs('oob');

  async function withPython(): Promise<{
    reactor: ReturnType<typeof stage.reactor>;
    socket: Socket;
    peer: PythonPeer;
  }> {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    const peer = await PythonPeer.connect(address);
    return { reactor, socket: await accepted(reactor, listener), peer };
  }

  check('with oobInline the byte stands in the stream, recv stops before it, and atMark tells so (70)', async () => {
    const { reactor, socket, peer } = await withPython();
    socket.setOption('oobInline', true);
    await peer.send('abc');
    await peer.urgent('!');
    await peer.send('def');
    await reactor.select([], [], [socket]);
    const into = Buffer.alloc(16);
    expect(socket.atMark()).toBe(false);
    expect([socket.recv(into), into.toString('latin1', 0, 3)]).toEqual([3, 'abc']);
    expect(socket.atMark()).toBe(true);
    expect(thrown(() => socket.recv(into, 0, 1, MSG_OOB))).toMatchObject({ code: 'EINVAL' });
    expect((await received(reactor, socket, 4)).toString()).toBe('!def');
    expect(socket.atMark()).toBe(false);
  });

  stage.needs('oob', 'rawOptions')(
    'the byte can be peeked at, is received once, and its place in the stream holds nothing (70)',
    async () => {
      const { reactor, socket, peer } = await withPython();
      const into = Buffer.alloc(4);
      expect(thrown(() => socket.recv(into, 0, 1, MSG_OOB))).toMatchObject({ code: 'EINVAL' });
      await peer.send('ab');
      await peer.urgent('!');
      await peer.send('cd');
      await reactor.select([], [], [socket]);
      for (const flags of [MSG_OOB | MSG_PEEK, MSG_OOB])
        expect([socket.recv(into, 0, 1, flags), into.toString('latin1', 0, 1)]).toEqual([1, '!']);
      expect(thrown(() => socket.recv(into, 0, 1, MSG_OOB))).toMatchObject({ code: 'EINVAL' });
      await until(() => socket.getOption('tcpInfo').bytesReceived === 5);
      expect((await received(reactor, socket, 4)).toString()).toBe('abcd');
      expect(socket.recv(into)).toBe(WOULD_BLOCK);
    },
  );

  check('a reader that does not ask for ERROR is not called for it, again and again (D10)', async () => {
    const { reactor, socket, peer } = await withPython();
    const calls = new Log<string>();
    const registration = reactor.register(socket, READABLE, {
      readable(ready) {
        const into = Buffer.alloc(8);
        const count = ready.recv(into);
        calls.add(count === WOULD_BLOCK ? 'nothing' : into.toString('latin1', 0, count));
      },
      error: () => calls.add('urgent'),
    });
    await peer.send('abc');
    await peer.urgent('!');
    await peer.send('def');
    await until(() => calls.entries.join('').replaceAll('nothing', '').length === 6);
    const { turns } = reactor.metrics;
    const seen = calls.entries.length;
    await reactor.sleep(20);
    expect(reactor.metrics.turns - turns).toBeLessThan(5);
    expect(calls.entries.length).toBe(seen);
    registration.modify(READABLE | ERROR);
    await peer.urgent('?');
    await until(() => calls.entries.includes('urgent'));
    registration.unregister();
  });

  check('of what is sent urgently the last byte is the urgent one (70)', async () => {
    const reactor = stage.reactor();
    const [client, server] = await pair(reactor);
    expect(client.send(Buffer.from('abc!'), 0, 4, MSG_OOB)).toBe(4);
    await reactor.select([], [], [server]);
    const into = Buffer.alloc(8);
    expect(server.recv(into)).toBe(3);
    expect(server.atMark()).toBe(true);
    expect([server.recv(into, 0, 1, MSG_OOB), into.toString('latin1', 0, 1)]).toEqual([1, '!']);
  });
});
