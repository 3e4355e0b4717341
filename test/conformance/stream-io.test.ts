/** recv, send and shutdown of raw stream sockets against peers that know nothing of fdset: items 66-82. */
import { MSG_MORE, MSG_OOB, MSG_PEEK, READABLE, WOULD_BLOCK, WRITABLE } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { NetPeer } from '../support/net-peer.js';
import { PythonPeer } from '../support/python-peer.js';
import {
  accepted,
  arrived,
  digest,
  filled,
  filledUp,
  listening,
  pair,
  pattern,
  received,
  sent,
  withPeer,
} from '../support/sockets.js';
import { Log, rounds, thrown, until } from '../support/waiting.js';

const MIB = 1024 * 1024;

describeBackends('stream i/o', (stage) => {
  it('the counts of partial sends sum up to the whole: 8 MiB to a slow reader arrive unchanged (66)', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    const peer = await NetPeer.connect(address, { paused: true });
    const socket = await accepted(reactor, listener);
    const data = pattern(8 * MIB);
    const first = filledFrom(data, (chunk) => socket.send(chunk));
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(data.length);
    peer.read();
    const counts = await sent(reactor, socket, data.subarray(first));
    expect(first + counts.reduce((sum, count) => sum + count, 0)).toBe(data.length);
    expect(digest(await peer.receives(data.length))).toBe(digest(data));
  });

  /** Sends from the beginning until the system takes no more; the count. */
  function filledFrom(data: Buffer, send: (chunk: Uint8Array) => number): number {
    let total = 0;
    for (;;) {
      const count = send(data.subarray(total));
      if (count === WOULD_BLOCK) return total;
      total += count;
    }
  }

  it('a socket whose peer does not read is not writable, and is again once it has read (66)', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    const peer = await NetPeer.connect(address, { paused: true });
    const socket = await accepted(reactor, listener);
    const written = new Log<number>();
    expect(await filledUp(reactor, socket)).toBeGreaterThan(0);
    reactor.register(socket, WRITABLE, (ready, _readiness, registration) => {
      written.add(ready.send(Buffer.from('last')));
      registration.unregister();
    });
    await rounds(20);
    expect(written.entries).toEqual([]);
    peer.read();
    await written.reaches(1);
    expect(written.entries).toEqual([4]);
  });

  it('send copies: the bytes may change as soon as it has returned', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    const peer = await NetPeer.connect(address, { paused: true });
    const socket = await accepted(reactor, listener);
    const buffer = Buffer.alloc(50_000);
    const taken: Buffer[] = [];
    for (let i = 1; ; i += 1) {
      buffer.fill(i & 127);
      const count = socket.send(buffer);
      if (count === WOULD_BLOCK) break;
      taken.push(Buffer.alloc(count, i & 127));
      buffer.fill(255);
    }
    peer.read();
    const all = Buffer.concat(taken);
    expect(digest(await peer.receives(all.length))).toBe(digest(all));
  });

  it('sends, gathered sends and partial ranges arrive in the order of the calls (67)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    expect(socket.send(Buffer.from('--one--'), 2, 3)).toBe(3);
    expect(socket.sendv([Buffer.from('two'), Buffer.alloc(0), new Uint8Array([0x33])])).toBe(4);
    expect(socket.send(Buffer.from('four?'), 0, 4, MSG_MORE)).toBe(4);
    expect(socket.send(Buffer.from('..five'), 2)).toBe(4);
    expect((await peer.receives(15)).toString()).toBe('onetwo3fourfive');
  });

  it('sendv takes at most IOV_MAX chunks, and tells how many bytes they were (67)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    const chunks = Array.from({ length: 1500 }, (_, i) => Buffer.from(String(i % 10)));
    expect(socket.sendv(chunks)).toBe(1024);
    expect(socket.sendv(chunks.slice(1024))).toBe(476);
    expect((await peer.receives(1500)).toString()).toBe(Buffer.concat(chunks).toString());
  });

  it('a gathered send that is cut within a chunk goes on exactly there (67)', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    const peer = await NetPeer.connect(address, { paused: true });
    const socket = await accepted(reactor, listener);
    const data = pattern(8 * MIB);
    const gather = (from: number) => {
      const chunks: Buffer[] = [];
      for (let at = from; at < data.length && chunks.length < 300; at += 7001)
        chunks.push(data.subarray(at, at + 7001));
      return chunks;
    };
    let offset = 0;
    let cut = false;
    let reading = false;
    while (offset < data.length) {
      const chunks = gather(offset);
      const count = socket.sendv(chunks);
      if (count === WOULD_BLOCK) {
        if (!reading) peer.read();
        reading = true;
        await reactor.select([], [socket], []);
        continue;
      }
      if (count % 7001 !== 0 && offset + count < data.length) cut = true;
      offset += count;
    }
    expect(cut).toBe(true);
    expect(digest(await peer.receives(data.length))).toBe(digest(data));
  });

  it('an empty send sends nothing and is no end of the stream; an empty recv is refused (68)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    expect(socket.send(Buffer.alloc(0))).toBe(0);
    expect(socket.sendv([])).toBe(0);
    expect(socket.send(Buffer.from('x'), 1)).toBe(0);
    for (const call of [() => socket.recv(Buffer.alloc(0)), () => socket.recv(Buffer.alloc(4), 2, 0)]) {
      const error = thrown(call);
      expect(error).toBeInstanceOf(RangeError);
      expect(error).toMatchObject({ code: 'ERR_REACTOR_BUFFER' });
    }
    socket.send(Buffer.from('y'));
    expect((await peer.receives(1)).toString()).toBe('y');
  });

  stage.needs('peek')('peek leaves the bytes there, and a peek that would block does no harm (69)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    const into = Buffer.alloc(8);
    expect(socket.recv(into, 0, 8, MSG_PEEK)).toBe(WOULD_BLOCK);
    const seen = new Log<string>();
    reactor.register(socket, READABLE, (ready) => {
      for (const flags of [MSG_PEEK, MSG_PEEK, 0, MSG_PEEK]) {
        const count = ready.recv(into, 0, 3, flags);
        seen.add(count === WOULD_BLOCK ? 'would block' : into.toString('latin1', 0, count));
      }
    });
    peer.write('abc');
    await seen.reaches(4);
    peer.write('def');
    await seen.reaches(8);
    expect(seen.entries).toEqual(['abc', 'abc', 'abc', 'would block', 'def', 'def', 'def', 'would block']);
  });

  stage.needs('oob')('urgent data is received apart, and atMark tells its place (70)', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    const peer = await PythonPeer.connect(address);
    const socket = await accepted(reactor, listener);
    const into = Buffer.alloc(16);
    await peer.send('abc');
    await peer.urgent('!');
    const [, , errored] = await reactor.select([], [], [socket]);
    expect(errored).toEqual([socket]);
    expect(socket.atMark()).toBe(false);
    expect(socket.recv(into)).toBe(3);
    expect(socket.atMark()).toBe(true);
    expect(socket.recv(into, 0, 1, MSG_OOB)).toBe(1);
    expect(into.toString('latin1', 0, 1)).toBe('!');
    expect(await reactor.select([], [], [socket], 0)).toEqual([[], [], []]);
    socket.send(Buffer.from('?'), 0, 1, MSG_OOB);
    socket.send(Buffer.from('xyz'));
    expect(await peer.exactly(3)).toBe('xyz');
  });

  if (!stage.capabilities.oob)
    it('what concerns urgent data is refused with ENOTSUP, which names the capability (70)', async () => {
      const reactor = stage.reactor();
      const [socket] = await pair(reactor);
      for (const call of [
        () => socket.send(Buffer.from('!'), 0, 1, MSG_OOB),
        () => socket.recv(Buffer.alloc(1), 0, 1, MSG_OOB),
        () => socket.atMark(),
        () => socket.setOption('oobInline', true),
      ]) {
        const error = thrown(call);
        expect(error).toMatchObject({ code: 'ENOTSUP' });
        expect(error.message).toContain("'oob'");
      }
    });

  it('the end of the peer is told after all data, as 0, again and again, and the other direction goes on (71, 76)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    peer.end('last words');
    expect((await received(reactor, socket)).toString()).toBe('last words');
    expect(socket.recv(Buffer.alloc(8))).toBe(0);
    expect(socket.recv(Buffer.alloc(8))).toBe(0);
    expect(socket.send(Buffer.from('heard'))).toBe(5);
    expect((await peer.receives(5)).toString()).toBe('heard');
  });

  it('shutdown of the writing side ends it behind all that was sent; reading goes on (72)', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    const peer = await PythonPeer.connect(address);
    const socket = await accepted(reactor, listener);
    const data = pattern(MIB);
    const drained = peer.drain();
    await sent(reactor, socket, data);
    socket.shutdown('write');
    socket.shutdown('write');
    expect(await drained).toEqual({ count: data.length, sha1: digest(data), how: 'end' });
    await peer.send('still here');
    expect((await received(reactor, socket, 10)).toString()).toBe('still here');
  });

  it('send after shutdown throws EPIPE, and the process hears no SIGPIPE (73, 79)', async () => {
    const reactor = stage.reactor();
    const { socket } = await withPeer(reactor);
    socket.shutdown('write');
    for (const call of [() => socket.send(Buffer.from('x')), () => socket.sendv([Buffer.from('x'), Buffer.from('y')])])
      expect(thrown(call)).toMatchObject({ name: 'SocketError', code: 'EPIPE', syscall: 'send' });
  });

  stage.needs('shutdownRead')('shutdown of both: the peer sees the end, and recv gives the end (72)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    socket.shutdown('both');
    await peer.ended;
    expect(socket.recv(Buffer.alloc(8))).toBe(0);
    expect(thrown(() => socket.send(Buffer.from('x')))).toMatchObject({ code: 'EPIPE' });
  });

  stage.needs('shutdownRead')(
    'shutdown of the reading side: what had come is still received, then the end (72)',
    async () => {
      const reactor = stage.reactor();
      const { socket, peer } = await withPeer(reactor);
      peer.write('before');
      await arrived(socket, 6);
      socket.shutdown('read');
      expect((await received(reactor, socket)).toString()).toBe('before');
      expect(socket.send(Buffer.from('mine'))).toBe(4);
      expect((await peer.receives(4)).toString()).toBe('mine');
    },
  );

  it('shutdown of a socket without a connection is ENOTCONN; an unknown direction is refused (72)', async () => {
    const reactor = stage.reactor();
    const [connected] = await pair(reactor);
    const fresh = reactor.socket();
    expect(thrown(() => fresh.shutdown('write'))).toMatchObject({ code: 'ENOTCONN', syscall: 'shutdown' });
    fresh.close();
    expect(thrown(() => connected.shutdown('half' as never))).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
  });

  it('a reset behind unread data: first the data, then ECONNRESET, then the end (74)', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    const peer = await PythonPeer.connect(address);
    const socket = await accepted(reactor, listener);
    await peer.send('data before');
    await arrived(socket, 11);
    await peer.do('reset');
    const [readable, , errored] = await reactor
      .select([], [], [socket])
      .then(() => reactor.select([socket], [], [socket]));
    expect([readable, errored]).toEqual([[socket], [socket]]);
    const into = Buffer.alloc(32);
    expect(into.toString('latin1', 0, socket.recv(into))).toBe('data before');
    expect(thrown(() => socket.recv(into))).toMatchObject({
      name: 'SocketError',
      code: 'ECONNRESET',
      syscall: 'recv',
      errno: -104,
    });
    expect(socket.recv(into)).toBe(0);
  });

  it('takeError gives the pending error once; the recv that would return 0 then throws it (74)', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    const peer = await PythonPeer.connect(address);
    const socket = await accepted(reactor, listener);
    await peer.send('unread');
    await arrived(socket, 6);
    expect(socket.takeError()).toBeNull();
    await peer.do('reset');
    await reactor.select([], [], [socket]);
    expect(socket.takeError()).toMatchObject({ name: 'SocketError', code: 'ECONNRESET' });
    expect(socket.takeError()).toBeNull();
    const into = Buffer.alloc(32);
    expect(into.toString('latin1', 0, socket.recv(into))).toBe('unread');
    expect(thrown(() => socket.recv(into))).toMatchObject({ code: 'ECONNRESET' });
    expect(socket.recv(into)).toBe(0);
  });

  it('reset: the peer sees a reset, not an end (75)', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    const peer = await PythonPeer.connect(address);
    const socket = await accepted(reactor, listener);
    const drained = peer.drain();
    socket.reset();
    expect(socket.closed).toBe(true);
    expect(await drained).toMatchObject({ count: 0, how: 'ConnectionResetError' });
    socket.reset();
    socket.close();
  });

  it('the option linger 0 makes close a reset (75)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    socket.setOption('linger', 0);
    expect(socket.getOption('linger')).toBe(0);
    socket.close();
    expect(await peer.closed).toBe('ECONNRESET');
  });

  it('close sends what was taken before, and then the end (78)', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    const peer = await PythonPeer.connect(address);
    const socket = await accepted(reactor, listener);
    const taken = filled(socket);
    socket.close();
    expect(await peer.drain()).toMatchObject({ count: taken, how: 'end' });
  });

  it('sending to a peer that has gone fails with its reset, then with EPIPE; no signal kills us (76, 79)', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    peer.socket.destroy();
    await peer.closed;
    await until(() => socket.recv(Buffer.alloc(1)) === 0);
    let first: { code?: string } | undefined;
    // The first one is taken; what it provokes comes back a moment later.
    expect(socket.send(Buffer.from('into the void'))).toBe(13);
    await until(() => {
      try {
        socket.send(Buffer.from('x'));
      } catch (error) {
        first = error as { code?: string };
      }
      return first !== undefined;
    });
    expect(['EPIPE', 'ECONNRESET']).toContain(first?.code);
    expect(thrown(() => socket.send(Buffer.from('x')))).toMatchObject({ code: 'EPIPE', syscall: 'send' });
  });

  it('a large echo in both directions at once arrives unchanged on both sides (82)', async () => {
    const reactor = stage.reactor();
    const [left, right] = await pair(reactor);
    const [fromLeft, fromRight] = [pattern(2 * MIB), pattern(2 * MIB).reverse()];
    const results = await Promise.all([
      sent(reactor, left, fromLeft),
      sent(reactor, right, fromRight),
      received(reactor, left, fromRight.length),
      received(reactor, right, fromLeft.length),
    ]);
    expect(digest(results[2])).toBe(digest(fromRight));
    expect(digest(results[3])).toBe(digest(fromLeft));
  });

  it('recv fills the asked range and nothing beside it', async () => {
    const reactor = stage.reactor();
    const { socket, peer } = await withPeer(reactor);
    peer.write('abcdef');
    await arrived(socket, 6);
    const into = Buffer.from('..........');
    expect(socket.recv(into, 2, 3)).toBe(3);
    expect(into.toString()).toBe('..abc.....');
    expect(socket.recv(into.subarray(6), 1)).toBe(3);
    expect(into.toString()).toBe('..abc..def');
    expect(socket.recv(into)).toBe(WOULD_BLOCK);
  });
});
