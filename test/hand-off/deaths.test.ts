/** A receiver that dies, at each point of a hand-off: the rows of docs/decisions/0022. */
import { readFileSync } from 'node:fs';
import { MessageChannel } from 'node:worker_threads';
import type { InetAddress, Socket, TransferError } from '@fdset/reactor';
import { describe, expect } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { childTaker, expectAlive, expectOurs, type Taker, threadTaker } from '../support/hand-off.js';
import { NetPeer } from '../support/net-peer.js';
import { owned, received, withPeer } from '../support/sockets.js';
import { Thread } from '../support/threads.js';
import { Log, once, rejection, until } from '../support/waiting.js';

const shared = (): Int32Array => new Int32Array(new SharedArrayBuffer(8));

/** It is in the place where it hangs for ever. */
const hangs = (flag: Int32Array): Promise<void> => until(() => Atomics.load(flag, 0) === 1);

/** Resolves when the kernel has stopped it. */
async function stopped(taker: Awaited<ReturnType<typeof childTaker>>): Promise<void> {
  const { pid } = taker.child.process;
  taker.child.process.kill('SIGSTOP');
  await until(() => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.startsWith('T') === true);
}

describeBackends(
  'a receiver that dies',
  (stage) => {
    const check = stage.needs('rawDescriptors');

    describe.each([
      ['a thread', threadTaker],
      ['a child process', childTaker],
    ] as const)('%s', (_who, taker) => {
      check('before the hand-off: it is ours at once', async () => {
        const reactor = stage.reactor();
        const { to, kill } = await taker('echo');
        await kill();
        const { socket, peer } = await withPeer(reactor);
        await expectOurs(reactor, socket.transfer(to), socket, peer, /ended|closed/);
      });

      check('and never received: what waits for it is ours again', async () => {
        const reactor = stage.reactor();
        const { to, kill } = await taker('deaf');
        const { socket, peer } = await withPeer(reactor);
        const handed = socket.transfer(to);
        await Promise.all([kill(), expectOurs(reactor, handed, socket, peer, /ended/)]);
      });

      check('by itself, and never received: what waits for it is ours again', async () => {
        const reactor = stage.reactor();
        const { to } = await taker('deaf');
        const { socket, peer } = await withPeer(reactor);
        const handed = socket.transfer(to);
        if ('send' in to) to.send('exit');
        else to.postMessage('exit');
        await expectOurs(reactor, handed, socket, peer, /ended/);
      });

      check('in its callback, with a connection made of it: it is ours again', async () => {
        const reactor = stage.reactor();
        const { to, ended } = await taker('die-in-callback');
        const { socket, peer } = await withPeer(reactor);
        peer.write('unread here;');
        const handed = rejection(socket.transfer(to));
        expect(await handed).toMatchObject({ code: 'ERR_REACTOR_TRANSFER' });
        await ended;
        const into = Buffer.alloc(12);
        await reactor.select([socket], [], []);
        // What had come is still there: the one that died has read none of it.
        expect(into.toString('latin1', 0, socket.recv(into))).toBe('unread here;');
        await expectAlive(reactor, owned(socket), peer);
      });

      check('after its answer: it was the receiver’s, and its peer sees the end', async () => {
        const reactor = stage.reactor();
        const { to, ended } = await taker('die-after');
        const { socket, peer } = await withPeer(reactor);
        await socket.transfer(to);
        await ended;
        await Promise.race([peer.ended, peer.closed]);
        expect(socket.closed).toBe(true);
      });

      check('with ten on their way: those that it has not answered are ours again, each of them alive', async () => {
        const reactor = stage.reactor();
        const { to, kill } = await taker('echo');
        const made = await Promise.all(Array.from({ length: 10 }, () => withPeer(reactor)));
        const outcomes = made.map(({ socket }) =>
          socket.transfer(to, { quiet: true }).then(
            () => 'taken',
            () => 'ours',
          ),
        );
        await Promise.race(outcomes);
        await kill();
        for (const [i, { socket, peer }] of made.entries()) {
          if ((await outcomes[i]) === 'ours') await expectAlive(reactor, owned(socket), peer);
          else await Promise.race([peer.ended, peer.closed]);
        }
      });
    });

    describe('a thread that is terminated', () => {
      check('before it has read the message: it is ours again', async () => {
        const reactor = stage.reactor();
        const flag = shared();
        const { to, kill } = await threadTaker('hang', { shared: flag });
        (to as { postMessage(order: string): void }).postMessage('hang');
        await hangs(flag);
        const { socket, peer } = await withPeer(reactor);
        const handed = socket.transfer(to);
        await Promise.all([kill(), expectOurs(reactor, handed, socket, peer, /ended/)]);
      });

      check('in its callback, holding it: it is ours again, and was closed by nobody', async () => {
        const reactor = stage.reactor();
        const flag = shared();
        const { to, kill } = await threadTaker('hang-in-callback', { shared: flag });
        const { socket, peer } = await withPeer(reactor);
        const handed = socket.transfer(to, undefined, { timeoutMs: 20 });
        // No timer fires here before it holds it: the time would be over with nobody there yet.
        while (Atomics.load(flag, 0) !== 1) Atomics.wait(flag, 0, 0, 5);
        // The time is over and it is held: neither given up nor taken back.
        await Promise.race([
          handed.catch(() => expect.fail('taken back while it was held')),
          new Promise((resolve) => setTimeout(resolve, 60)),
        ]);
        await Promise.all([kill(), expectOurs(reactor, handed, socket, peer, /ended|20 ms/)]);
      });

      check(
        'after it has closed it in its callback: it is taken, and no other descriptor of its number is touched',
        async () => {
          const reactor = stage.reactor();
          const flag = shared();
          const { to, kill } = await threadTaker('close-and-hang', { shared: flag });
          const { socket, peer } = await withPeer(reactor);
          const fd = socket.fileno();
          const handed = socket.transfer(to);
          await hangs(flag);
          await peer.ended;
          // The number is somebody else's by now.
          const others: Socket[] = [];
          while (!others.some((other) => other.fileno() === fd)) others.push(owned(reactor.socket()));
          await kill();
          await handed;
          expect(socket.closed).toBe(true);
          for (const other of others) expect(other.getOption('sendBuffer')).toBeGreaterThan(0);
        },
      );

      check('one that closes it and throws has taken it', async () => {
        const reactor = stage.reactor();
        const { to } = await threadTaker('close-and-throw');
        const { socket, peer } = await withPeer(reactor);
        await socket.transfer(to);
        await peer.ended;
      });
    });

    describe('a port', () => {
      check('that is closed by its receiver, or was before: it is ours again', async () => {
        const reactor = stage.reactor();
        const { socket, peer } = await withPeer(reactor);
        const { port1, port2 } = new MessageChannel();
        const handed = socket.transfer(port1);
        port2.close();
        await expectOurs(reactor, handed, socket, peer, /ended/);
        await expectOurs(reactor, socket.transfer(port1, undefined, { timeoutMs: 500 }), socket, peer, /ended|500 ms/);
      });

      check('within one thread, and two receivers at it: the first one takes it', async () => {
        const reactor = stage.reactor();
        const other = stage.reactor();
        const { port1, port2 } = new MessageChannel();
        const { socket, peer } = await withPeer(reactor);
        const came: [string, Socket][] = [];
        const receivers = [
          reactor.receiveSockets(port2, (each) => came.push(['first', owned(each)])),
          other.receiveSockets(port2, (each) => came.push(['second', owned(each)])),
        ];
        await socket.transfer(port1);
        expect(came.map(([who]) => who)).toEqual(['first']);
        await expectAlive(reactor, came[0]?.[1] as Socket, peer);
        for (const receiver of receivers) receiver[Symbol.dispose]();
        port1.close();
      });
    });

    describe('a process that is killed', () => {
      check('while it is stopped, with the descriptor in its queue: it is ours again', async () => {
        const reactor = stage.reactor();
        const taker = await childTaker('echo');
        const { to, kill } = taker;
        // The channel stands.
        const first = await withPeer(reactor);
        await first.socket.transfer(to);
        await stopped(taker);
        const { socket, peer } = await withPeer(reactor);
        const handed = socket.transfer(to);
        await Promise.all([kill(), expectOurs(reactor, handed, socket, peer, /ended/)]);
      });

      check('before it has followed the invitation: it is ours again', async () => {
        const reactor = stage.reactor();
        const taker = await childTaker('echo');
        await stopped(taker);
        const { socket, peer } = await withPeer(reactor);
        const handed = socket.transfer(taker.to);
        await Promise.all([taker.kill(), expectOurs(reactor, handed, socket, peer, /ended/)]);
      });
    });

    describe('a process that is only late', () => {
      /** It comes to itself, answers elsewhere, and serves nothing of what was taken back. */
      const expectOnlyOurs = async (taker: Taker, socket: Socket, peer: NetPeer): Promise<void> => {
        const reactor = stage.reactor();
        (taker.to as { kill(signal: string): void }).kill('SIGCONT');
        const probe = await withPeer(reactor);
        await probe.socket.transfer(taker.to);
        probe.peer.write('probe');
        expect((await probe.peer.receives(12)).toString()).toBe('there: probe');
        await expectAlive(reactor, owned(reactor.adopt(socket.detach())), peer);
        expect(peer.received.toString()).not.toContain('there');
      };

      check('finds it taken back, and lets go of it', async () => {
        const reactor = stage.reactor();
        const taker = await childTaker('echo', { tag: 'there: ' });
        await (await withPeer(reactor)).socket.transfer(taker.to);
        await stopped(taker);
        const { socket, peer } = await withPeer(reactor);
        const handed = socket.transfer(taker.to, undefined, { timeoutMs: 100 });
        await expectOurs(reactor, handed, socket, peer, /100 ms/);
        const { descriptors } = taker.child;
        await expectOnlyOurs(taker, socket, peer);
        // The probe; and a channel in the place of the one that was given up.
        await until(() => taker.child.descriptors === descriptors + 1);
      });

      check('and has followed no invitation: that one is over', async () => {
        const reactor = stage.reactor();
        const taker = await childTaker('echo', { tag: 'there: ' });
        await stopped(taker);
        const { socket, peer } = await withPeer(reactor);
        const error = (await rejection(socket.transfer(taker.to, undefined, { timeoutMs: 100 }))) as TransferError;
        expect(error.message).toMatch(/100 ms/);
        await expectOnlyOurs(taker, socket, peer);
      });
    });

    describe('the giver', () => {
      const GIVER = new URL('./fixtures/giver.mjs', import.meta.url);

      const giver = async () => {
        const flags = shared();
        const { port1, port2 } = new MessageChannel();
        const thread = new Thread(GIVER, { port: port2, shared: flags }, { transferList: [port2] });
        const address = await once<InetAddress>(port1, 'message');
        port1.removeAllListeners('message');
        const peer = await NetPeer.connect(address);
        await until(() => Atomics.load(flags, 0) === 1);
        const end = (): void => {
          Atomics.store(flags, 1, 1);
          Atomics.notify(flags, 1);
        };
        return { thread, port: port1, peer, end };
      };

      check(
        'dies before anybody has read of it: the peer sees the end, and what comes later finds nothing',
        async () => {
          const reactor = stage.reactor();
          const { thread, port, peer, end } = await giver();
          end();
          await thread.ended;
          await Promise.race([peer.ended, peer.closed]);
          let came = 0;
          const closed = once(port, 'close');
          reactor.receiveSockets(port, () => {
            came += 1;
          });
          await closed;
          expect(came).toBe(0);
        },
      );

      check('dies while the receiver holds it: it is the receiver’s', async () => {
        const reactor = stage.reactor();
        const { thread, port, peer, end } = await giver();
        const came = new Log<Socket>();
        const receiver = reactor.receiveSockets(port, (socket) => {
          end();
          // Long enough for the other thread to end meanwhile.
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
          came.add(owned(socket));
        });
        await came.reaches(1);
        await thread.ended;
        await expectAlive(reactor, came.entries[0] as Socket, peer);
        receiver[Symbol.dispose]();
      });
    });

    check('a stranger who comes in the place of a child is handed nothing', async () => {
      const reactor = stage.reactor();
      const { to, kill } = await childTaker('deaf');
      const { socket, peer } = await withPeer(reactor);
      const handed = socket.transfer(to);
      const names = readFileSync('/proc/net/unix', 'latin1').matchAll(
        new RegExp(`@(fdset-${process.pid}-[0-9a-f]+)`, 'g'),
      );
      const [name] = [...names].map(([, found]) => found);
      for (const said of [Buffer.alloc(16), Buffer.alloc(3), null]) {
        const stranger = owned(await reactor.connect({ path: `\0${name}` }));
        if (said === null) stranger.shutdown('write');
        else stranger.send(said);
        expect((await received(reactor, stranger)).length).toBe(0);
      }
      await Promise.all([kill(), expectOurs(reactor, handed, socket, peer, /ended/)]);
    });
  },
  { only: 'kernel', timeoutMs: 30_000 },
);
