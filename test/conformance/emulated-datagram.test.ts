/** Where node:dgram shows through: what the emulated backend promises of datagram sockets beyond the contract. */
import { createSocket, type Socket as DgramSocket } from 'node:dgram';
import { ERROR, type InetAddress, READABLE, type Socket, WOULD_BLOCK, WRITABLE } from '@fdset/reactor';
import { expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { describeBackends } from '../support/backends.js';
import { bound, receivedFrom, refusal, textFrom } from '../support/datagrams.js';
import { runNode } from '../support/node-process.js';
import { owned } from '../support/sockets.js';
import { Log, once, rejection, rounds, thrown, until } from '../support/waiting.js';

/** A socket of node:dgram itself, on a port of 127.0.0.1. */
async function plain(): Promise<{ peer: DgramSocket; address: InetAddress }> {
  const peer = createSocket('udp4');
  afterTest(() => new Promise<void>((done) => peer.close(done)));
  peer.bind(0, '127.0.0.1');
  await once(peer, 'listening');
  return { peer, address: { host: '127.0.0.1', port: peer.address().port } };
}

describeBackends(
  'datagrams of node:dgram',
  (stage) => {
    it('what nobody receives is kept up to 4 MiB, and the rest is dropped and counted', async () => {
      const reactor = stage.reactor();
      const [{ socket, address }, sender] = [bound(reactor), bound(reactor)];
      const [SIZE, SENT] = [60_000, 75];
      const kept = Math.floor((4 * 1024 * 1024) / SIZE);
      const payload = Buffer.alloc(SIZE);
      for (let i = 0; i < SENT; i += 1) {
        payload.writeUInt32BE(i);
        sender.socket.sendTo(payload, address);
        // The system's own buffer holds three of them: Node takes each before the next is sent.
        await rounds(2);
      }
      expect(reactor.metrics).toMatchObject({ datagramsDropped: SENT - kept, bytesIn: 0, bytesOut: SENT * SIZE });
      const numbers: number[] = [];
      for (let got = socket.recvFrom(payload); got !== null; got = socket.recvFrom(payload))
        numbers.push(payload.readUInt32BE());
      expect(numbers).toEqual(Array.from({ length: kept }, (_, i) => i));
      sender.socket.sendTo(Buffer.from('again'), address);
      expect(await textFrom(reactor, socket)).toBe('again');
      expect(reactor.metrics).toMatchObject({ datagramsDropped: SENT - kept, bytesIn: kept * SIZE + 5 });
    });

    it('of small ones 4096 are kept, in their order, however they are taken out', async () => {
      const reactor = stage.reactor();
      const [{ socket, address }, sender] = [bound(reactor), bound(reactor)];
      const into = Buffer.alloc(4);
      let sent = 0;
      const send = async (count: number) => {
        for (const end = sent + count; sent < end; sent += 1) {
          into.writeUInt32BE(sent);
          sender.socket.sendTo(into, address);
          if (sent % 64 === 63) await rounds(4);
        }
        await rounds(4);
      };
      await send(100);
      for (let i = 0; i < 60; i += 1) {
        socket.recvFrom(into);
        expect(into.readUInt32BE()).toBe(i);
      }
      await send(4200 - 100);
      expect(reactor.metrics.datagramsDropped).toBe(4200 - 60 - 4096);
      for (let i = 60; i < 60 + 4096; i += 1) {
        socket.recvFrom(into);
        if (into.readUInt32BE() !== i) expect(into.readUInt32BE()).toBe(i);
      }
      expect(socket.recvFrom(into)).toBeNull();
    });

    it('a bind that fails is told once, by the next verb, and another one may follow', async () => {
      const reactor = stage.reactor();
      const { address } = bound(reactor);
      const socket = owned(reactor.socket({ type: 'datagram' }));
      socket.bind(address);
      expect(await reactor.select([socket], [socket], [socket])).toEqual([[socket], [], [socket]]);
      const inUse = { name: 'SocketError', code: 'EADDRINUSE', syscall: 'bind', port: address.port };
      expect(thrown(() => socket.sendTo(Buffer.from('x'), address))).toMatchObject(inUse);
      expect(socket.localAddress).toEqual({ host: '0.0.0.0', port: 0 });
      socket.bind(address);
      expect(socket.takeError()).toMatchObject(inUse);
      expect(socket.takeError()).toBeNull();
      expect(await reactor.select([socket], [], [socket], 0)).toEqual([[], [], []]);
      socket.bind({ host: '127.0.0.1', port: 0 });
      expect((socket.localAddress as InetAddress).port).toBeGreaterThan(0);
      expect(thrown(() => socket.bind({ host: '127.0.0.1', port: 0 }))).toMatchObject({ code: 'EINVAL' });
    });

    it('what the system refuses to send is told by the next verb, once, with the address', async () => {
      const reactor = stage.reactor();
      const { socket } = bound(reactor, 'ipv4', '');
      const to = { host: '127.255.255.255', port: 9 };
      const calls = new Log<number>();
      reactor.register(socket, READABLE | ERROR, (_socket, readiness, registration) => {
        calls.add(readiness);
        registration.unregister();
      });
      expect(socket.sendTo(Buffer.from('x'), to)).toBe(1);
      await calls.reaches(1);
      expect(calls.entries[0]).toBe(READABLE | ERROR);
      expect(thrown(() => socket.recvFrom(Buffer.alloc(1)))).toMatchObject({
        code: 'EACCES',
        syscall: 'recvfrom',
        address: to.host,
        port: 9,
      });
      expect(socket.recvFrom(Buffer.alloc(1))).toBeNull();
    });

    it('a connected socket sends to its peer alone, whoever is named', async () => {
      const reactor = stage.reactor();
      const [server, other] = [bound(reactor), bound(reactor)];
      const client = owned(reactor.socket({ type: 'datagram' }));
      expect(client.connect(server.address)).toBe('connected');
      expect(client.finishConnect()).toBe(true);
      expect(client.sendTo(Buffer.from('named'), server.address)).toBe(5);
      expect(await textFrom(reactor, server.socket)).toBe('named');
      expect(thrown(() => client.sendTo(Buffer.from('x'), other.address))).toMatchObject({
        code: 'EISCONN',
        port: other.address.port,
      });
      expect(thrown(() => client.connect({ ...server.address, port: 0 }))).toMatchObject({ code: 'EINVAL' });
      expect(client.remoteAddress).toEqual(server.address);
      client.shutdown('write');
      expect(thrown(() => client.send(Buffer.from('x')))).toMatchObject({ code: 'EPIPE', syscall: 'send' });
      client.shutdown('read');
      expect(client.recv(Buffer.alloc(4))).toBe(0);
      expect(thrown(() => server.socket.shutdown('both'))).toMatchObject({ code: 'ENOTCONN' });
    });

    it('the verbs of streams are refused, and those of a closed socket with EBADF', () => {
      const reactor = stage.reactor();
      const { socket, address } = bound(reactor);
      const calls: (() => unknown)[] = [
        () => socket.listen(),
        () => socket.accept(),
        () => socket.detach(),
        () => socket.setRawOption(0, 0, Buffer.alloc(4)),
      ];
      expect(calls.map((call) => thrown(call).code)).toEqual(['ENOTSUP', 'ENOTSUP', 'ENOTSUP', 'ENOTSUP']);
      expect(thrown(() => socket.finishConnect())).toMatchObject({ code: 'ENOTCONN' });
      socket.close();
      socket.close();
      expect([socket.closed, socket.localAddress, socket.remoteAddress]).toEqual([true, undefined, undefined]);
      calls.push(
        () => socket.bind(address),
        () => socket.connect(address),
        () => socket.finishConnect(),
        () => socket.recv(Buffer.alloc(1)),
        () => socket.recvFrom(Buffer.alloc(1)),
        () => socket.send(Buffer.alloc(1)),
        () => socket.sendv([Buffer.alloc(1)]),
        () => socket.sendTo(Buffer.alloc(1), address),
        () => socket.takeError(),
        () => socket.shutdown('read'),
        () => socket.getOption('ttl'),
        () => socket.setOption('ttl', 1),
        () => socket.joinGroup('239.255.77.7'),
      );
      expect(new Set(calls.map((call) => thrown(call).code))).toEqual(new Set(['EBADF']));
    });

    it('options and groups are kept until the socket is bound, and a refusal is told then', async () => {
      const reactor = stage.reactor();
      const socket = owned(reactor.socket({ type: 'datagram' }));
      socket.setOption('broadcast', true);
      socket.setOption('reuseAddress', true);
      expect(thrown(() => socket.getOption('receiveBuffer')).message).toContain('once the socket is bound');
      socket.joinGroup('239.255.77.7', { interface: '127.0.0.1' });
      socket.bind({ host: '', port: 0 });
      expect(socket.takeError()).toBeNull();
      const to = { host: '127.255.255.255', port: (socket.localAddress as InetAddress).port };
      expect(socket.sendTo(Buffer.from('all'), to)).toBe(3);
      expect(await textFrom(reactor, socket)).toBe('all');
      expect(thrown(() => socket.joinGroup('239.255.77.7', { interface: '127.0.0.1' }))).toMatchObject({
        code: 'EADDRINUSE',
      });
      for (const name of ['reuseAddress', 'reusePort', 'ipv6Only'] as const)
        expect(['EINVAL', 'EOPNOTSUPP', 'ENOTSUP']).toContain(thrown(() => socket.setOption(name, true)).code);
      const wrong = owned(reactor.socket({ type: 'datagram' }));
      wrong.leaveGroup('239.255.77.7', { interface: '127.0.0.1' });
      expect(await refusal(reactor, wrong, () => wrong.bind({ host: '', port: 0 }))).toMatchObject({
        code: 'EADDRNOTAVAIL',
        syscall: 'setsockopt',
      });
      expect(wrong.sendTo(Buffer.from('it is bound'), to)).toBe(11);
    });

    it('without a bind, a send binds; the bytes are the caller’s again at once', async () => {
      const reactor = stage.reactor();
      const { peer, address } = await plain();
      const socket = owned(reactor.socket({ type: 'datagram' }));
      const came = once<Buffer>(peer, 'message');
      const bytes = Buffer.from('as it was');
      expect(socket.sendTo(bytes, address)).toBe(9);
      bytes.fill(0);
      expect((await came).toString()).toBe('as it was');
      peer.send('answer', (socket.localAddress as InetAddress).port, '127.0.0.1');
      expect((await receivedFrom(reactor, socket))[0]).toBe('answer');
    });

    it('1024 are sent in one tick; then a send would block until the next', async () => {
      const reactor = stage.reactor();
      const [{ socket }, sink] = [bound(reactor), bound(reactor)];
      let sent = 0;
      while (socket.sendTo(Buffer.from('x'), sink.address) !== WOULD_BLOCK) sent += 1;
      expect(sent).toBe(1024);
      expect(await reactor.select([], [socket], [])).toEqual([[], [socket], []]);
      expect(socket.sendTo(Buffer.from('x'), sink.address)).toBe(1);
    });

    it('a close in the handler is the end, also for what is queued and for the outcome of a send', async () => {
      const reactor = stage.reactor();
      const [{ socket, address }, sender] = [bound(reactor), bound(reactor)];
      const calls = new Log<string>();
      reactor.register(socket, READABLE | WRITABLE, {
        writable(ready, registration) {
          registration.modify(READABLE);
          ready.sendTo(Buffer.from('x'), { host: '127.255.255.255', port: 9 });
        },
        readable(ready) {
          calls.add('readable');
          ready.close();
        },
      });
      for (let i = 0; i < 3; i += 1) sender.socket.sendTo(Buffer.from('x'), address);
      await calls.reaches(1);
      await rounds(5);
      expect(calls.entries).toEqual(['readable']);
    });

    it('settled waits for the outcome of a bind, and gives its error', async () => {
      const reactor = stage.reactor();
      const { address } = bound(reactor);
      const socket = owned(reactor.socket({ type: 'datagram' })) as Socket & { settled(): Promise<void> };
      socket.bind(address);
      expect(await rejection(socket.settled())).toMatchObject({ code: 'EADDRINUSE' });
      expect(socket.takeError()).toBeNull();
      socket.bind({ host: '127.0.0.1', port: 0 });
      await socket.settled();
    });

    it('where the system takes a datagram later only, a send would block, and close lets what was sent go out', async () => {
      // The option of Node takes its direct way to the system away: every send is queued first.
      const { code, lines, stderr } = await runNode(
        `
          import { Reactor, READABLE } from '@fdset/reactor';
          const reactor = new Reactor();
          const make = () => { const s = reactor.socket({ type: 'datagram' }); s.bind({ host: '127.0.0.1', port: 0 }); return s; };
          const [server, client] = [make(), make()];
          const bytes = Buffer.from('one');
          console.log(client.sendTo(bytes, server.localAddress), client.sendTo(bytes, server.localAddress));
          bytes.fill('-');
          await reactor.select([], [client], []);
          console.log('writable', client.sendTo(Buffer.from('two'), server.localAddress));
          client.close();
          const got = [];
          reactor.register(server, READABLE, (socket) => {
            const into = Buffer.alloc(8);
            for (let r = socket.recvFrom(into); r !== null; r = socket.recvFrom(into)) got.push(into.toString('latin1', 0, r.bytes));
            if (got.length === 2) { console.log(got.join(' ')); socket.close(); }
          });
        `,
        { backend: stage.backend, node: ['--test-udp-no-try-send'] },
      );
      expect({ code, lines, stderr }).toEqual({ code: 0, lines: ['3 -1', 'writable 3', 'one two'], stderr: '' });
    });

    it('an open socket does not keep the process, a registered one does', async () => {
      const source = (rest: string) => `
        import { Reactor, READABLE } from '@fdset/reactor';
        const reactor = new Reactor();
        const socket = reactor.socket({ type: 'datagram' });
        socket.bind({ host: '127.0.0.1', port: 0 });
        ${rest}
        process.on('exit', () => console.log('exit'));
      `;
      const open = await runNode(source(''), { backend: stage.backend });
      expect(open).toMatchObject({ code: 0, lines: ['exit'] });
      const held = await runNode(
        source(`
          reactor.register(socket, READABLE, () => { console.log('readable'); socket.close(); });
          setTimeout(() => { const s = reactor.socket({ type: 'datagram' }); s.sendTo(Buffer.from('x'), socket.localAddress); }, 50).unref();
        `),
        { backend: stage.backend },
      );
      expect(held).toMatchObject({ code: 0, lines: ['readable', 'exit'] });
    });

    it('an idle socket that was written to and read from is at rest: no turn is run for it', async () => {
      const reactor = stage.reactor();
      const [one, two] = [bound(reactor), bound(reactor)];
      reactor.register(two.socket, READABLE, (socket) => void socket.recvFrom(Buffer.alloc(8)));
      one.socket.sendTo(Buffer.from('x'), two.address);
      await until(() => reactor.metrics.bytesIn === 1);
      await rounds(3);
      const { turns } = reactor.metrics;
      await rounds(20);
      expect(reactor.metrics.turns).toBe(turns);
    });
  },
  { only: 'emulated' },
);
