/** The blocking verbs (capability `blocking`): they wait in the thread, with a timeout, and do not need the loop. */
import { READABLE, type Socket, WOULD_BLOCK } from '@fdset/reactor';
import { expect } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { bound } from '../support/datagrams.js';
import { NodeProcess } from '../support/node-process.js';
import { PythonPeer } from '../support/python-peer.js';
import { pipe } from '../support/socket-states.js';
import { accepted, digest, listening, owned, pair, pattern } from '../support/sockets.js';
import { abstractName } from '../support/unix.js';
import { Log, rounds, thrown } from '../support/waiting.js';

/** A process that exits while a thread of it is stuck in a blocking verb. */
const STUCK = `
  import { Worker } from 'node:worker_threads';
  import { Reactor } from '@fdset/reactor';
  new Reactor().close();
  const source = \`
    import { parentPort } from 'node:worker_threads';
    import { Reactor } from '@fdset/reactor';
    const reactor = new Reactor();
    const listener = await reactor.listen({ host: '127.0.0.1', port: 0 });
    const socket = await reactor.connect(listener.localAddress);
    parentPort.postMessage('stuck');
    socket.recvSync(Buffer.alloc(1));
    parentPort.postMessage('never');\`;
  const worker = new Worker(source, { eval: true });
  process.on('exit', () => console.log(Date.now()));
  worker.on('message', (text) => {
    console.log(text);
    setTimeout(() => process.exit(4), 30);
  });`;

describeBackends('blocking verbs', (stage) => {
  const check = stage.needs('blocking');

  async function withPython(): Promise<{ socket: Socket; peer: PythonPeer }> {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    const peer = await PythonPeer.connect(address);
    return { socket: await accepted(reactor, listener), peer };
  }

  check('recvSync gives bytes, the end as 0, and WOULD_BLOCK after its time', async () => {
    const [socket, other] = await pair(stage.reactor());
    const into = Buffer.from('........');
    const began = performance.now();
    expect(socket.recvSync(into, { timeoutMs: 40 })).toBe(WOULD_BLOCK);
    expect(performance.now() - began).toBeGreaterThanOrEqual(39);
    expect(socket.recvSync(into, { timeoutMs: 0 })).toBe(WOULD_BLOCK);
    other.send(Buffer.from('abcdef'));
    expect(socket.recvSync(into, { offset: 2, length: 3 })).toBe(3);
    expect(into.toString()).toBe('..abc...');
    other.shutdown('write');
    expect(socket.recvSync(into)).toBe(3);
    expect(socket.recvSync(into)).toBe(0);
  });

  check('recvSync waits for what a real peer sends later', async () => {
    const { socket, peer } = await withPython();
    const sent = peer.send('later');
    const into = Buffer.alloc(16);
    expect(socket.recvSync(into, { timeoutMs: 4000 })).toBe(5);
    expect(into.toString('latin1', 0, 5)).toBe('later');
    await sent;
  });

  check('sendAllSync sends all, however slowly it is read', async () => {
    const { socket, peer } = await withPython();
    const data = pattern(8 << 20);
    const drained = peer.drain();
    await rounds(3);
    expect(socket.sendAllSync(data, { timeoutMs: 6000 })).toBe(data.length);
    socket.shutdown('write');
    expect(await drained).toEqual({ count: data.length, sha1: digest(data), how: 'end' });
  });

  check('sendAllSync gives up after its time, with the count that was sent', async () => {
    const [socket] = await pair(stage.reactor());
    const data = Buffer.alloc(32 << 20);
    const count = socket.sendAllSync(data, { timeoutMs: 30 });
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThan(data.length);
    expect(socket.sendAllSync(data, { timeoutMs: 0 })).toBeLessThan(data.length);
  });

  check('acceptSync and connectSync wait for their outcome', async () => {
    const reactor = stage.reactor();
    const { listener, address } = await listening(reactor);
    expect(listener.acceptSync({ timeoutMs: 20 })).toBeNull();
    const client = owned(reactor.socket());
    client.connectSync(address, { timeoutMs: 1000 });
    const server = owned(listener.acceptSync({ timeoutMs: 1000 }) as Socket);
    expect(server.remoteAddress).toEqual(client.localAddress);
    listener.close();
    expect(thrown(() => owned(reactor.socket()).connectSync(address, { timeoutMs: 1000 }))).toMatchObject({
      code: 'ECONNREFUSED',
      syscall: 'connect',
      port: address.port,
    });
  });

  check('connectSync ends with ETIMEDOUT where nobody answers', async () => {
    const reactor = stage.reactor();
    const { address } = await PythonPeer.listen({ backlog: 0 });
    owned(reactor.socket()).connectSync(address, { timeoutMs: 1000 });
    const error = thrown(() => owned(reactor.socket()).connectSync(address, { timeoutMs: 60 }));
    expect(error).toMatchObject({ code: 'ETIMEDOUT', syscall: 'connect' });
  });

  check('connectSync waits for room in the queue of a unix listener, which no readiness tells (C4)', async () => {
    const reactor = stage.reactor();
    const address = { path: abstractName() };
    const listener = owned(reactor.socket({ family: 'unix' }));
    listener.bind(address);
    listener.listen(0);
    owned(reactor.socket({ family: 'unix' })).connectSync(address, { timeoutMs: 1000 });
    const waiting = owned(reactor.socket({ family: 'unix' }));
    expect(thrown(() => waiting.connect(address))).toMatchObject({ code: 'EAGAIN' });
    const began = performance.now();
    expect(thrown(() => waiting.connectSync(address, { timeoutMs: 30 }))).toMatchObject({
      code: 'ETIMEDOUT',
      address: address.path,
    });
    expect(performance.now() - began).toBeGreaterThanOrEqual(29);
    // A process of its own takes the first connection while this thread waits.
    const handed = new NodeProcess(
      `
      import { Reactor } from '@fdset/reactor';
      const reactor = new Reactor();
      const listener = reactor.adopt(3);
      console.log('ready');
      process.stdin.once('data', () => {
        setTimeout(() => {
          listener.accept().close();
          listener.close();
          process.exit();
        }, 20);
      });`,
      { backend: stage.backend, descriptors: [listener.fileno()] },
    );
    await handed.line(0);
    handed.child.stdin?.write('go\n');
    // Written by the loop: one round of it, before the thread waits.
    await rounds(2);
    waiting.connectSync(address, { timeoutMs: 6000 });
    expect(waiting.remoteAddress).toEqual(address);
    expect(await handed.ended()).toMatchObject({ code: 0, stderr: '' });
  });

  check('datagrams are waited for one by one, and an empty one is sent and received as 0', async () => {
    const reactor = stage.reactor();
    const [{ socket, address }, sender] = [bound(reactor), bound(reactor)];
    const into = Buffer.alloc(16);
    expect(socket.recvSync(into, { timeoutMs: 10 })).toBe(WOULD_BLOCK);
    sender.socket.connect(address);
    expect(sender.socket.sendAllSync(Buffer.alloc(0))).toBe(0);
    expect(sender.socket.sendAllSync(Buffer.from('two'))).toBe(3);
    expect([socket.recvSync(into), socket.recvSync(into)]).toEqual([0, 3]);
    expect(thrown(() => sender.socket.sendAllSync(Buffer.alloc(70_000)))).toMatchObject({ code: 'EMSGSIZE' });
    socket.close();
    sender.socket.send(Buffer.from('x'));
    expect(thrown(() => sender.socket.recvSync(into, { timeoutMs: 4000 }))).toMatchObject({ code: 'ECONNREFUSED' });
  });

  check('pipes wait, too', () => {
    const reactor = stage.reactor();
    const [read, write] = pipe(reactor);
    const into = Buffer.alloc(8);
    expect(read.recvSync(into, { timeoutMs: 10 })).toBe(WOULD_BLOCK);
    expect(write.sendAllSync(Buffer.from('piped'))).toBe(5);
    expect(read.recvSync(into)).toBe(5);
    expect(write.sendAllSync(Buffer.alloc(1 << 20), { timeoutMs: 10 })).toBeLessThan(1 << 20);
    write.close();
    let count = 1;
    while (count > 0) count = read.recvSync(Buffer.alloc(65536), { timeoutMs: 100 });
    expect(count).toBe(0);
  });

  check('a registration of the same socket is served afterwards with what is left', async () => {
    const reactor = stage.reactor();
    const [socket, other] = await pair(reactor);
    const counts = new Log<number>();
    reactor.register(socket, READABLE, (ready) => counts.add(ready.recv(Buffer.alloc(8))));
    other.send(Buffer.from('abcdef'));
    expect(socket.recvSync(Buffer.alloc(2))).toBe(2);
    await counts.reaches(1);
    expect(counts.entries).toEqual([4]);
  });

  check('wrong ranges and timeouts are refused', async () => {
    const [socket] = await pair(stage.reactor());
    const bytes = Buffer.alloc(8);
    for (const options of [{ offset: 9 }, { offset: 4, length: 5 }, { length: 0 }, { offset: -1 }])
      expect(thrown(() => socket.recvSync(bytes, options))).toMatchObject({ code: 'ERR_REACTOR_BUFFER' });
    for (const timeoutMs of [-1, Number.NaN, '5' as never])
      for (const call of [
        () => socket.recvSync(bytes, { timeoutMs }),
        () => socket.sendAllSync(bytes, { timeoutMs }),
        () => socket.acceptSync({ timeoutMs }),
        () => socket.connectSync({ host: '127.0.0.1', port: 1 }, { timeoutMs }),
      ])
        expect(thrown(call)).toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
    expect(thrown(() => socket.sendAllSync('text' as never))).toMatchObject({ code: 'ERR_REACTOR_BUFFER' });
  });

  // Three processes, one after another.
  check(
    'a worker thread that is stuck in one ends at once when the process exits (97)',
    { timeout: 24_000 },
    async () => {
      const took: number[] = [];
      for (let i = 0; i < 3; i += 1) {
        const node = new NodeProcess(STUCK, { backend: stage.backend });
        const { code, signal, lines, stderr } = await node.ended();
        took.push(Date.now() - Number(lines.at(-1)));
        expect({ code, signal, stderr, lines: lines.slice(0, -1) }).toEqual({
          code: 4,
          signal: null,
          stderr: '',
          lines: ['stuck'],
        });
      }
      // Woken, that is: a thread that nobody wakes looks up after 500 ms, each time. A busy machine makes single ones slow.
      expect(Math.min(...took)).toBeLessThan(300);
    },
  );
});
