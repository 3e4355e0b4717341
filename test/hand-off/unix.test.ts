/** Hand-offs to processes that are no children, over a unix socket; and peers there that keep to no rule. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { MSG_PEEK, type Reactor, type Socket } from '@fdset/reactor';
import { describe, expect } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { expectAlive, expectOurs } from '../support/hand-off.js';
import { NodeProcess } from '../support/node-process.js';
import { python } from '../support/python-peer.js';
import { accepted, listening, owned, received, withPeer } from '../support/sockets.js';
import { folder, unixPair } from '../support/unix.js';
import { Log, once, rejection, thrown, until } from '../support/waiting.js';

const PEER = fileURLToPath(new URL('./fixtures/peer.py', import.meta.url));

/** The lines that the Python peer prints. */
function pythonPeer(...args: string[]): Log<string> {
  const child = spawn(python(), ['-u', PEER, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = new Log<string>();
  createInterface({ input: child.stdout }).on('line', (line) => lines.add(line));
  const gone = once(child, 'close');
  afterTest(async () => {
    child.kill('SIGKILL');
    await gone;
  });
  return lines;
}

const OFFER = 0x4644534f;
const TAKEN = 0x46445341;

function frame(what: number, id: number, jsonBytes: number, unreadBytes: number, rest = ''): Buffer {
  const header = Buffer.alloc(16);
  for (const [i, value] of [what, id, jsonBytes, unreadBytes].entries()) header.writeUInt32BE(value, 4 * i);
  return Buffer.concat([header, Buffer.from(rest)]);
}

describeBackends(
  'hand-offs over a unix socket',
  (stage) => {
    const check = stage.needs('descriptorPassing');

    check('an unrelated process takes a connection with its unread bytes, and gives it back (94)', async () => {
      const reactor = stage.reactor();
      const path = `${folder()}/s`;
      const listener = owned(await reactor.listen({ path }));
      const program = new NodeProcess(
        `import { Reactor } from '@fdset/reactor';
         const reactor = new Reactor();
         const channel = await reactor.connect({ path: process.argv.at(-1) });
         reactor.receiveSockets(channel, (socket, data, unread) => {
           console.log(JSON.stringify([data, unread.toString()]));
           reactor.connection(socket, {
             async data(connection, chunk) {
               connection.write('there: ' + chunk);
               if (String(chunk) === 'back') await connection.transfer(channel, 'returned');
             },
           }, { unread });
         });`,
        { backend: stage.backend, args: [path] },
      );
      const channel = owned(await accepted(reactor, listener));
      const came = new Log<[Socket, unknown]>();
      reactor.receiveSockets(channel, (socket, data) => came.add([owned(socket), data]));
      const { socket, peer } = await withPeer(reactor);
      await socket.transfer(channel, ['a', 1, null], { unread: Buffer.from('before') });
      expect(await program.line(0)).toBe('[["a",1,null],"before"]');
      expect((await peer.receives(13)).toString()).toBe('there: before');
      peer.write('back');
      await peer.receives(24);
      await came.reaches(1);
      const [[returned, data]] = came.entries as [[Socket, unknown]];
      expect(data).toBe('returned');
      await expectAlive(reactor, returned, peer);
      channel.close();
      expect(await program.ended()).toMatchObject({ code: 0, stderr: '' });
    });

    check('a program in another language takes one, by what frames.ts says (94)', async () => {
      const reactor = stage.reactor();
      const path = `${folder()}/s`;
      const listener = owned(await reactor.listen({ path }));
      const lines = pythonPeer('take', path);
      const channel = owned(await accepted(reactor, listener));
      const { socket, peer } = await withPeer(reactor);
      await socket.transfer(channel, { key: 'value' }, { unread: Buffer.from('read already') });
      await lines.reaches(1);
      expect(JSON.parse(lines.entries[0] as string)).toEqual({ data: { key: 'value' }, unread: 'read already' });
      peer.write(' and the rest');
      expect((await peer.receives(25)).toString()).toBe('READ ALREADY AND THE REST');
    });

    check('and gives one, byte by byte (94)', async () => {
      const reactor = stage.reactor();
      const path = `${folder()}/s`;
      const listener = owned(await reactor.listen({ path }));
      const target = await listening(reactor);
      const lines = pythonPeer('give', path, String(target.address.port));
      const channel = owned(await accepted(reactor, listener));
      const came = new Log<[Socket, unknown, string]>();
      reactor.receiveSockets(channel, (socket, data, unread) => came.add([owned(socket), data, unread.toString()]));
      await came.reaches(1);
      const [[socket, data, unread]] = came.entries as [[Socket, unknown, string]];
      expect([data, unread]).toEqual([{ from: 'python' }, 'early']);
      const server = await accepted(reactor, target.listener);
      expect(socket.remoteAddress).toEqual(target.address);
      socket.send(Buffer.from('through the descriptor'));
      expect((await received(reactor, server, 22)).toString()).toBe('through the descriptor');
      await lines.reaches(1);
      expect(JSON.parse(lines.entries[0] as string)).toEqual({ taken: true, number: 7, reason: null });
    });

    check('more than a hundred at once over one channel, in their order', async () => {
      const reactor = stage.reactor();
      const [near, far] = unixPair(reactor);
      const came: number[] = [];
      reactor.receiveSockets(far, (socket, data) => {
        came.push(data as number);
        socket.close();
      });
      const made = Array.from({ length: 150 }, () => owned(reactor.socket()));
      await Promise.all(made.map((socket, i) => socket.transfer(near, i)));
      expect(came).toEqual(made.map((_, i) => i));
    });

    check('both ways at the same time over one channel', async () => {
      const reactor = stage.reactor();
      const [near, far] = unixPair(reactor);
      const counts = { near: 0, far: 0 };
      const big = Buffer.alloc(300_000);
      reactor.receiveSockets(near, (socket, _data, unread) => {
        counts.near += unread.length;
        socket.close();
      });
      reactor.receiveSockets(far, (socket, _data, unread) => {
        counts.far += unread.length;
        socket.close();
      });
      const give = (channel: Socket) => owned(reactor.socket()).transfer(channel, null, { unread: big });
      await Promise.all(Array.from({ length: 40 }, (_, i) => give(i % 2 === 0 ? near : far)));
      expect(counts).toEqual({ near: 20 * big.length, far: 20 * big.length });
    });

    check('what was given before there was a receiver waits for it', async () => {
      const reactor = stage.reactor();
      const [near, far] = unixPair(reactor);
      const came = new Log<Socket>();
      const { socket, peer } = await withPeer(reactor);
      const handed = socket.transfer(near);
      await new Promise((resolve) => setTimeout(resolve, 20));
      reactor.receiveSockets(far, (each) => came.add(owned(each)));
      await handed;
      await expectAlive(reactor, came.entries[0] as Socket, peer);
    });

    check('a channel that is closed, by its giver or by its receiver, gives back what was not answered', async () => {
      const reactor = stage.reactor();
      for (const end of ['near', 'far', 'reactor'] as const) {
        const other = stage.reactor();
        const [near, far] = unixPair(reactor);
        const { socket, peer } = await withPeer(other);
        const giver = end === 'reactor' ? owned(other.adopt(near.detach())) : near;
        const handed = socket.transfer(giver);
        if (end === 'reactor') other.close();
        else if (end === 'near') near.close();
        else far.close();
        const error = await rejection(handed);
        expect(error).toMatchObject({ code: 'ERR_REACTOR_TRANSFER' });
        await expectAlive(reactor, owned(reactor.adopt(socket.detach())), peer);
        expect(await rejection(owned(reactor.socket()).transfer(giver))).toMatchObject({ code: 'EBADF' });
        far.close();
      }
    });

    check('disposing of the receiver ends the channel', async () => {
      const reactor = stage.reactor();
      const [near, far] = unixPair(reactor);
      const receiver = reactor.receiveSockets(far, (socket) => socket.close());
      await owned(reactor.socket()).transfer(near);
      receiver[Symbol.dispose]();
      expect(far.closed).toBe(true);
      const { socket, peer } = await withPeer(reactor);
      await expectOurs(reactor, socket.transfer(near), socket, peer, /ended/).catch(async (error: unknown) => {
        // The giver may have heard of the end already.
        expect(await rejection(socket.transfer(near))).toMatchObject({ code: 'EBADF' });
        expect(near.closed, String(error)).toBe(true);
      });
    });

    check('an answer that is in the channel counts, also when the giver closes it before it has read it', async () => {
      const reactor = stage.reactor();
      const path = `${folder()}/s`;
      const listener = owned(await reactor.listen({ path }));
      new NodeProcess(
        `import { Reactor } from '@fdset/reactor';
         const reactor = new Reactor();
         const channel = await reactor.connect({ path: process.argv.at(-1) });
         reactor.receiveSockets(channel, (socket) => {
           reactor.connection(socket, { data: (connection, chunk) => connection.end('there: ' + chunk) });
         });`,
        { backend: stage.backend, args: [path] },
      );
      const channel = owned(await accepted(reactor, listener));
      const { socket, peer } = await withPeer(reactor);
      peer.write('still served');
      const handed = socket.transfer(channel);
      // This thread hears nothing until the other process has it, and has said so.
      const pause = new Int32Array(new SharedArrayBuffer(4));
      while (channel.recv(Buffer.alloc(16), 0, 16, MSG_PEEK) < 16) Atomics.wait(pause, 0, 0, 5);
      channel.close();
      await handed;
      expect((await peer.receives(19)).toString()).toBe('there: still served');
    });

    check('a receiver that closes the channel in its callback has not taken the socket', async () => {
      const reactor = stage.reactor();
      const [near, far] = unixPair(reactor);
      const receiver = reactor.receiveSockets(far, () => receiver[Symbol.dispose]());
      const { socket, peer } = await withPeer(reactor);
      await expectOurs(reactor, socket.transfer(near), socket, peer, /ended/);
    });

    describe('a peer that keeps to no rule', () => {
      const meets = async (send: (far: Socket, reactor: Reactor) => void): Promise<{ came: number }> => {
        const reactor = stage.reactor();
        const [near, far] = unixPair(reactor);
        let came = 0;
        reactor.receiveSockets(near, (socket) => {
          came += 1;
          socket.close();
        });
        send(far, reactor);
        const into = Buffer.alloc(4096);
        // The channel is given up.
        await until(() => {
          try {
            return far.recv(into) === 0;
          } catch (error) {
            return (error as { code: string }).code === 'ECONNRESET';
          }
        });
        expect(near.closed).toBe(true);
        return { came };
      };

      check('that sends anything else ends its channel', async () => {
        await meets((far) => far.send(Buffer.from('GET / HTTP/1.1\r\n\r\n')));
      });

      check('that announces a gigabyte ends its channel', async () => {
        await meets((far) => far.send(frame(OFFER, 1, 1 << 30, 0)));
      });

      check('that offers no descriptor ends its channel', async () => {
        await meets((far) => far.send(frame(OFFER, 1, 0, 0)));
      });

      check('that answers what was never asked ends its channel', async () => {
        await meets((far) => far.send(frame(TAKEN, 99, 0, 0)));
      });

      check('that sends descriptors beside the rules: they are closed with the channel', async () => {
        const { came } = await meets((far, reactor) => {
          const pair = reactor.socketPair();
          far.sendDescriptors([pair[0].fileno(), pair[1].fileno()], frame(OFFER, 1, 0, 0));
          far.sendDescriptors([pair[0].fileno()], Buffer.from('F'));
          far.shutdown('write');
          for (const each of pair) each.close();
        });
        expect(came).toBe(1);
      });

      check('that gives a regular file, or no JSON, is refused, and the channel goes on', async () => {
        const reactor = stage.reactor();
        const [near, far] = unixPair(reactor);
        const came: unknown[] = [];
        reactor.receiveSockets(near, (socket, data) => {
          came.push(data);
          socket.close();
        });
        const file = openSync(fileURLToPath(import.meta.url), 'r');
        far.sendDescriptors([file], frame(OFFER, 1, 0, 0));
        closeSync(file);
        const [one, two] = unixPair(reactor);
        far.sendDescriptors([one.fileno()], frame(OFFER, 2, 3, 0, '{x}'));
        far.sendDescriptors([two.fileno()], frame(OFFER, 3, 4, 0, 'true'));
        const answers = (await received(reactor, far, 16)).toString('latin1');
        expect(answers).toMatch(/^FDSR/);
        await until(() => came.length === 1);
        expect(came).toEqual([true]);
      });
    });

    check('what is no channel is refused, and the socket stays as it was', async () => {
      const reactor = stage.reactor();
      const [near, far] = unixPair(reactor);
      const [datagrams] = unixPair(reactor, 'datagram');
      const { socket, peer } = await withPeer(reactor);
      const { listener } = await listening(reactor);
      for (const [to, code] of [
        [listener, 'ERR_REACTOR_SOCKET'],
        [datagrams, 'ERR_REACTOR_SOCKET'],
        [near, 'ERR_REACTOR_REGISTERED'],
        [socket, 'ERR_REACTOR_SOCKET'],
        [{}, 'ERR_REACTOR_ARGUMENT'],
        [null, 'ERR_REACTOR_ARGUMENT'],
        [process, 'ERR_REACTOR_ARGUMENT'],
      ] as const) {
        if (to === near) reactor.register(near, 1, () => {});
        // A test runs in a child of its runner: there it has a channel.
        if (to === process && process.connected) continue;
        expect(await rejection(socket.transfer(to as never)), String(code)).toMatchObject({ code });
      }
      expect(await rejection(far.transfer(far))).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
      const cyclic: Record<string, unknown> = {};
      cyclic.self = cyclic;
      for (const data of [cyclic, 7n, () => {}])
        expect(await rejection(socket.transfer(far, data))).toBeInstanceOf(TypeError);
      for (const options of [{ timeoutMs: -1 }, { timeoutMs: 'soon' }, { unread: 'bytes' }])
        expect((await rejection(socket.transfer(far, null, options as never))).code).toMatch(/^ERR_REACTOR_/);
      expect(thrown(() => reactor.receiveSockets(far, 'callback' as never))).toMatchObject({
        code: 'ERR_REACTOR_ARGUMENT',
      });
      expect(thrown(() => reactor.receiveSockets({} as never, () => {}))).toMatchObject({
        code: 'ERR_REACTOR_ARGUMENT',
      });
      expect(thrown(() => stage.reactor().receiveSockets(far, () => {}))).toMatchObject({ code: 'ERR_REACTOR_SOCKET' });
      reactor.receiveSockets(far, () => {});
      expect(thrown(() => reactor.receiveSockets(far, () => {}))).toMatchObject({ code: 'ERR_REACTOR_REGISTERED' });
      await expectAlive(reactor, socket, peer);
    });
  },
  { only: 'kernel', timeoutMs: 30_000 },
);

describeBackends(
  'hand-offs without descriptors',
  (stage) => {
    const reactorOf = stage.reactor;
    stage.needs()('are refused with the capability that is missing, and the connection stays', async () => {
      const reactor = reactorOf();
      const { socket, peer } = await withPeer(reactor);
      const { port1 } = new MessageChannel();
      const lacks = { code: 'ENOTSUP', message: expect.stringContaining("lacks the capability 'rawDescriptors'") };
      expect(await rejection(socket.transfer(port1 as never))).toMatchObject(lacks);
      const connection = reactor.connection(socket);
      expect(await rejection(connection.transfer(port1 as never))).toMatchObject(lacks);
      expect(connection.closed).toBe(false);
      expect(thrown(() => reactor.receiveSockets(port1 as never, () => {}))).toMatchObject(lacks);
      expect(thrown(() => reactor.adoptNode(peer.socket))).toMatchObject({
        code: 'ENOTSUP',
        message: expect.stringContaining("'adopt'"),
      });
      connection.destroy();
      port1.close();
    });
  },
  { only: 'emulated' },
);
