/** Sockets that are handed to threads and to child processes: what is the same for both. */
import { type Connection, MSG_PEEK, type Socket } from '@fdset/reactor';
import { describe, expect } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { connected } from '../support/connections.js';
import { childTaker, expectAlive, expectOurs, socketsOf, threadTaker } from '../support/hand-off.js';
import { NetPeer } from '../support/net-peer.js';
import { arrived, digest, listening, owned, pattern, withPeer } from '../support/sockets.js';
import { Log, rejection, thrown, until } from '../support/waiting.js';

describeBackends(
  'hand-offs',
  (stage) => {
    const check = stage.needs('rawDescriptors');

    describe.each([
      ['a thread', threadTaker],
      ['a child process', childTaker],
    ] as const)('to %s', (_who, taker) => {
      check('a socket that was accepted here answers there, and is here no more', async () => {
        const reactor = stage.reactor();
        const { to, tells } = await taker('echo', { tag: 'there: ' });
        const { socket, peer } = await withPeer(reactor);
        peer.write('one');
        const handed = socket.transfer(to, { number: 7, text: 'ä' });
        expect([socket.closed, socket.fileno()]).toEqual([true, -1]);
        await handed;
        expect(await tells(1)).toEqual({ took: { data: { number: 7, text: 'ä' }, unread: '', type: 'stream' } });
        expect((await peer.receives(10)).toString()).toBe('there: one');
        expect([socket.closed, socket.fileno()]).toEqual([true, -1]);
        expect(thrown(() => socket.send(Buffer.from('x')))).toMatchObject({ code: 'EBADF' });
        expect(await rejection(socket.transfer(to))).toMatchObject({ code: 'EBADF' });
        socket.close();
        peer.write('two');
        expect((await peer.receives(20)).toString()).toBe('there: onethere: two');
        peer.end();
        await peer.ended;
      });

      check(
        'every byte is there, in order, when a connection changes its owner in the middle of a stream',
        async () => {
          const reactor = stage.reactor();
          const { to } = await taker('echo');
          const bytes = pattern(4_000_000);
          let echoed = 0;
          const handed = new Log<Promise<void>>();
          const onChunk = (connection: Connection, chunk: Buffer): void => {
            echoed += chunk.length;
            connection.write(chunk);
            // What comes after is the other's. What is queued must leave first.
            if (echoed < 1_000_000) return;
            connection.pause();
            if (handed.entries.length === 0)
              handed.add(connection.flushed().then(() => connection.transfer(to, { quiet: true })));
          };
          const { peer } = await connected(reactor, { data: onChunk });
          peer.write(bytes);
          const all = await peer.receives(bytes.length);
          await handed.entries[0];
          expect(echoed).toBeLessThan(bytes.length);
          expect(digest(all)).toBe(digest(bytes));
        },
      );

      check('what a connection has received and not delivered travels along', async () => {
        const reactor = stage.reactor();
        const { to, tells } = await taker('echo');
        const { connection, peer } = await connected(reactor);
        // The loop takes what has come, and leaves it undelivered.
        const chunks: Buffer[] = [];
        peer.write('first, second');
        for await (const chunk of connection) {
          chunks.push(chunk);
          break;
        }
        const { socket } = connection.detach();
        const again = reactor.connection(socket, {}, { unread: Buffer.concat(chunks) });
        peer.write(', third');
        await arrived(socket, 7);
        await again.transfer(to, 'data');
        expect(await tells(1)).toEqual({ took: { data: 'data', unread: 'first, second', type: 'stream' } });
        expect((await peer.receives(20)).toString()).toBe('first, second, third');
        expect([again.closed, socket.closed]).toEqual([true, true]);
      });

      check('eight megabytes of unread bytes go before the rest', async () => {
        const reactor = stage.reactor();
        const { to } = await taker('echo');
        const { socket, peer } = await withPeer(reactor);
        const unread = pattern(8_000_000);
        peer.write('the rest');
        await socket.transfer(to, { quiet: true }, { unread });
        const all = await peer.receives(unread.length + 8);
        expect(digest(all.subarray(0, unread.length))).toBe(digest(unread));
        expect(all.subarray(unread.length).toString()).toBe('the rest');
      });

      check('a listening socket goes with its queue', async () => {
        const reactor = stage.reactor();
        const { to } = await taker('echo', { tag: '> ' });
        const { listener, address } = await listening(reactor);
        const waiting = await Promise.all([1, 2, 3].map(() => NetPeer.connect(address)));
        for (const peer of waiting) peer.write('queued');
        await listener.transfer(to, { listens: true });
        const late = await NetPeer.connect(address);
        late.write('queued');
        for (const peer of [...waiting, late]) expect((await peer.receives(8)).toString()).toBe('> queued');
      });

      check('a hundred at once: all answer there, and nothing is left open here (94)', async () => {
        const reactor = stage.reactor();
        const { to } = await taker('echo');
        const { listener, address } = await listening(reactor);
        const peers = await Promise.all(Array.from({ length: 100 }, () => NetPeer.connect(address)));
        const sockets: Socket[] = [];
        while (sockets.length < 100) {
          const socket = listener.accept();
          if (socket === null) await reactor.select([listener], [], []);
          else sockets.push(socket);
        }
        const inodes = socketsOf('self').length;
        await Promise.all(sockets.map((socket) => socket.transfer(to, { quiet: true })));
        for (const [i, peer] of peers.entries()) peer.write(`number ${i}`);
        for (const [i, peer] of peers.entries())
          expect((await peer.receives(`number ${i}`.length)).toString()).toBe(`number ${i}`);
        if (taker === childTaker) expect(socketsOf('self').length).toBeLessThanOrEqual(inodes - 100 + 1);
        for (const peer of peers) peer.end();
        await Promise.all(peers.map((peer) => peer.ended));
      });

      check('what throws refuses: the giver is told why, and has it again', async () => {
        const reactor = stage.reactor();
        const { to } = await taker('refuse');
        const { socket, peer } = await withPeer(reactor);
        const handed = socket.transfer(to);
        expect(await rejection(handed)).toMatchObject({
          code: 'ERR_REACTOR_TRANSFER',
          cause: { message: 'its receiver refused it: not today', code: 'E_NOT_TODAY' },
        });
        await expectOurs(reactor, handed, socket, peer, /not today/);
        // And again, for this one has changed nothing.
        await expectOurs(reactor, socket.transfer(to), socket, peer, /not today/);
      });

      check('one that has made a connection of it and throws then has not taken it', async () => {
        const reactor = stage.reactor();
        const { to } = await taker('refuse-late');
        const { socket, peer } = await withPeer(reactor);
        await expectOurs(reactor, socket.transfer(to), socket, peer, /too late/);
      });

      check('one that closes it has taken it: the peer sees the end', async () => {
        const reactor = stage.reactor();
        const { to } = await taker('close');
        const { socket, peer } = await withPeer(reactor);
        await socket.transfer(to);
        await peer.ended;
        expect(socket.closed).toBe(true);
      });

      check('a connection that was refused goes on from the error: socket and unread bytes are there', async () => {
        const reactor = stage.reactor();
        const { to } = await taker('refuse');
        const { connection, peer } = await connected(reactor, {});
        peer.write('before');
        await arrived(connection.socket, 6);
        const { socket } = connection.detach();
        const unread = Buffer.alloc(6);
        socket.recv(unread);
        const handed = reactor.connection(socket, {}, { unread }).transfer(to);
        const error = await rejection(handed);
        const kept = error as Error & { socket: Socket; unread: Buffer };
        const heard = new Log<string>();
        const again = reactor.connection(
          kept.socket,
          { data: (_, chunk) => heard.add(chunk.toString()) },
          { unread: kept.unread },
        );
        peer.write('after');
        await until(() => heard.entries.join('') === 'beforeafter');
        expect(heard.entries[0]).toBe('before');
        again.destroy();
      });

      check('nobody who receives: it is ours again when the time is over', async () => {
        const reactor = stage.reactor();
        const { to, tells } = await taker('echo');
        const order = (what: string): unknown => ('send' in to ? to.send(what) : to.postMessage(what));
        order('stop receiving');
        expect(await tells(1)).toBe('stopped');
        const { socket, peer } = await withPeer(reactor);
        const handed = socket.transfer(to, undefined, { timeoutMs: 100 });
        await expectOurs(reactor, handed, socket, peer, /no receiver has answered within 100 ms/);
      });

      check('a receiver hands it back, and it goes on here', async () => {
        const reactor = stage.reactor();
        const { to, tells } = await taker('back');
        const came = new Log<[Socket, unknown]>();
        const receiver = reactor.receiveSockets(to, (socket, data) => came.add([owned(socket), data]));
        const { socket, peer } = await withPeer(reactor);
        await socket.transfer(to, 'round trip');
        await came.reaches(1);
        const [[returned, data]] = came.entries as [[Socket, unknown]];
        expect(data).toEqual({ back: 'round trip' });
        expect(await until(() => returned.closed === false).then(() => tells(1))).toBeDefined();
        await expectAlive(reactor, returned, peer);
        expect(socket.closed).toBe(true);
        receiver[Symbol.dispose]();
      });

      check('what is unread is still to be read by a peek there', async () => {
        const reactor = stage.reactor();
        const { to } = await taker('echo');
        const { socket, peer } = await withPeer(reactor);
        peer.write('peeked');
        await arrived(socket, 6);
        const into = Buffer.alloc(6);
        expect(socket.recv(into, 0, 6, MSG_PEEK)).toBe(6);
        await socket.transfer(to, { quiet: true });
        expect((await peer.receives(6)).toString()).toBe('peeked');
      });
    });
  },
  { only: 'kernel', timeoutMs: 30_000 },
);
