/** The blocking verbs (capability `blocking`): they wait in the thread, with a timeout, and do not need the loop. */
import { READABLE, type Socket, WOULD_BLOCK } from '@fdset/reactor';
import { expect } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { NodeProcess } from '../support/node-process.js';
import { PythonPeer } from '../support/python-peer.js';
import { accepted, digest, listening, owned, pair, pattern } from '../support/sockets.js';
import { Log, rounds, thrown } from '../support/waiting.js';

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

  check('a worker thread that is stuck in one ends at once when the process exits (97)', async () => {
    const node = new NodeProcess(
      `
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
      });`,
      { backend: stage.backend },
    );
    const { code, signal, lines, stderr } = await node.ended();
    expect({ code, signal, stderr, lines: lines.slice(0, -1) }).toEqual({
      code: 4,
      signal: null,
      stderr: '',
      lines: ['stuck'],
    });
    // Woken, that is: a thread that nobody wakes looks up after 500 ms.
    expect(Date.now() - Number(lines.at(-1))).toBeLessThan(300);
  });
});
