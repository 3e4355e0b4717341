/** When the process lives and when it ends: items 46, 97, 98, 107. Each test runs a process of its own. */
import { describe, expect, it } from 'vitest';
import { describeBackends } from '../support/backends.js';
import { NetPeer } from '../support/net-peer.js';
import { NodeProcess, type Outcome, runNode, stillRunsAfter } from '../support/node-process.js';

const PRELUDE = `
  import { Reactor, READABLE, WRITABLE } from '@fdset/reactor';
  const reactor = new Reactor();
  const LOOPBACK = { host: '127.0.0.1', port: 0 };
`;

/** Longer than a process needs that has nothing left to do. */
const LONG_ENOUGH_MS = 250;

describeBackends('process life', (stage) => {
  const run = (source: string): Promise<Outcome> => runNode(PRELUDE + source, { backend: stage.backend });
  const start = (source: string): NodeProcess => new NodeProcess(PRELUDE + source, { backend: stage.backend });

  describe('the process ends by itself', () => {
    it.each([
      ['with a reactor that was never used', ''],
      [
        'with sockets that are open and unregistered',
        `
        const listener = await reactor.listen(LOOPBACK);
        const socket = await reactor.connect(listener.localAddress);
        socket.send(Buffer.from('x'));
        globalThis.kept = [listener, socket];`,
      ],
      [
        'when the last registration has ended',
        `
        const listener = await reactor.listen(LOOPBACK);
        const registration = reactor.register(listener, READABLE, () => {});
        setTimeout(() => registration.unregister(), 20);`,
      ],
      [
        'when the registered socket is closed',
        `
        const listener = await reactor.listen(LOOPBACK);
        reactor.register(listener, READABLE, () => {});
        setTimeout(() => listener.close(), 20);`,
      ],
      [
        'with a registration that was made with ref: false',
        `
        const listener = await reactor.listen(LOOPBACK);
        reactor.register(listener, READABLE, () => {}, { ref: false });`,
      ],
      [
        'with registrations, after unref',
        `
        const listener = await reactor.serve(LOOPBACK, {});
        reactor.setTimer(60_000, () => {});
        reactor.unref();`,
      ],
      [
        'with a timer that was unreferenced, at once or later',
        `
        reactor.setTimer(60_000, () => {}, { ref: false });
        reactor.setTimer(60_000, () => {}).unref();
        reactor.setTimer(60_000, () => {}).cancel();`,
      ],
      [
        'after its last timer',
        `
        reactor.setTimer(60_000, () => {}).unref().ref().unref();
        reactor.setTimer(20, () => {});`,
      ],
      ['after a posted task', 'reactor.post(() => {});'],
      [
        'when a select has ended, by its timeout or by a socket',
        `
        const listener = await reactor.listen(LOOPBACK);
        const socket = await reactor.connect(listener.localAddress);
        await reactor.select([], [socket], []);
        await reactor.select([socket], [], [], 20);`,
      ],
      [
        'when listener and connections are closed',
        `
        const listener = await reactor.serve(LOOPBACK, { data(connection, chunk) { connection.end(chunk); } });
        const connection = await reactor.open(listener.socket.localAddress);
        connection.on('data', (chunk) => console.log(String(chunk)));
        connection.end('x');
        await new Promise((resolve) => connection.on('close', resolve));
        await listener.close();`,
      ],
      [
        'when the reactor is closed',
        `
        await reactor.serve(LOOPBACK, {});
        reactor.setTimer(60_000, () => {});
        void reactor.run();
        void reactor.sleep(60_000);
        setTimeout(() => reactor.close(), 20);`,
      ],
      [
        'after stop',
        `
        await reactor.serve(LOOPBACK, {});
        setTimeout(() => reactor.stop(), 20);
        await reactor.run();`,
      ],
      [
        'when a connect was refused',
        `
        const listener = await reactor.listen(LOOPBACK);
        const address = listener.localAddress;
        listener.close();
        await reactor.connect(address).catch((error) => console.log(error.code));`,
      ],
    ])('%s (46)', async (_when, source) => {
      const { code, stderr } = await run(`${source}\nconsole.log('last line');`);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    });

    it('and every line of it has run: nothing ends it early', async () => {
      const { lines } = await run(`
        const listener = await reactor.listen(LOOPBACK);
        const socket = await reactor.connect(listener.localAddress);
        await reactor.select([socket], [], [], 30);
        console.log('select');
        await reactor.sleep(30);
        console.log('sleep');
        await new Promise((resolve) => reactor.post(resolve));
        console.log('post');
        const peer = listener.accept();
        const readable = new Promise((resolve) => reactor.register(socket, READABLE, (_socket, _bits, own) => {
          own.unregister();
          resolve();
        }));
        setTimeout(() => peer.send(Buffer.from('x')), 30).unref();
        await readable;
        console.log('register');`);
      expect(lines).toEqual(['select', 'sleep', 'post', 'register']);
    });
  });

  describe('the process lives', () => {
    it.each([
      ['while a socket is registered', 'reactor.register(await reactor.listen(LOOPBACK), READABLE, () => {});'],
      [
        'while a registration is parked',
        `
        const registration = reactor.register(await reactor.listen(LOOPBACK), READABLE, () => {});
        registration.modify(0);`,
      ],
      [
        'while a listener listens, paused or not',
        'const listener = await reactor.serve(LOOPBACK, {}); listener.pause();',
      ],
      ['while a timer is active', 'reactor.setTimer(60_000, () => {}).unref().ref();'],
      ['while a select waits', 'void reactor.select([await reactor.listen(LOOPBACK)], [], []);'],
      ['while run is waiting', 'void reactor.run();'],
      [
        'after unref and ref',
        `
        reactor.register(await reactor.listen(LOOPBACK), READABLE, () => {});
        reactor.unref().ref();`,
      ],
    ])('%s (46)', async (_while, source) => {
      const node = start(`${source}\nconsole.log('ready');`);
      await node.line(0);
      expect(await stillRunsAfter(node, LONG_ENOUGH_MS)).toBe(true);
    });

    it('while a connection is open, though nobody reads it (46)', async () => {
      const node = start(`
        const listener = await reactor.serve(LOOPBACK, { open: () => listener.close() });
        console.log(listener.socket.localAddress.port);`);
      const peer = await NetPeer.connect({ host: '127.0.0.1', port: Number(await node.line(0)) });
      expect(await stillRunsAfter(node, LONG_ENOUGH_MS)).toBe(true);
      expect(peer.socket.destroyed).toBe(false);
    });

    it('while a connection that reads is open; it ends with the peer (46)', async () => {
      const node = start(`
        const listener = await reactor.serve(LOOPBACK, { open: () => listener.close(), data() {} });
        console.log(listener.socket.localAddress.port);`);
      const peer = await NetPeer.connect({ host: '127.0.0.1', port: Number(await node.line(0)) });
      expect(await stillRunsAfter(node, LONG_ENOUGH_MS)).toBe(true);
      peer.end();
      expect(await node.ended()).toMatchObject({ code: 0, stderr: '' });
    });

    it('until what was written has left, also after unref of everything else', async () => {
      const node = start(`
        const listener = await reactor.serve(LOOPBACK, {
          open(connection) { connection.end(Buffer.alloc(8 << 20)); connection.resume(); listener.close(); },
        });
        console.log(listener.socket.localAddress.port);`);
      const peer = await NetPeer.connect({ host: '127.0.0.1', port: Number(await node.line(0)) }, { paused: true });
      expect(await stillRunsAfter(node, LONG_ENOUGH_MS)).toBe(true);
      peer.read();
      await peer.ended;
      expect(peer.received.length).toBe(8 << 20);
      peer.end();
      expect(await node.ended()).toMatchObject({ code: 0, stderr: '' });
    });
  });

  it.each([
    ['an unreferenced registration', '{ ref: false }', ''],
    ['a registration of an unreferenced reactor', '{}', 'reactor.unref();'],
  ])('%s is served as promptly, while something else keeps the process', async (_what, options, unref) => {
    const { lines, code } = await run(`
      const listener = await reactor.listen(LOOPBACK);
      const socket = await reactor.connect(listener.localAddress);
      // The loop's next own business: what waits for it is late.
      const next = setTimeout(() => console.log('late'), 4000);
      const registration = reactor.register(socket, 0, () => {
        console.log('at once');
        registration.unregister();
        clearTimeout(next);
      }, ${options});
      ${unref}
      setTimeout(() => registration.modify(WRITABLE), 20);`);
    expect(lines).toEqual(['at once']);
    expect(code).toBe(0);
  });

  it('process.exit in a handler ends it at once, with all that is open', async () => {
    const { code, lines } = await run(`
      const listener = await reactor.serve(LOOPBACK, { open() { console.log('open'); process.exit(3); } });
      await reactor.open(listener.socket.localAddress);
      await reactor.run();`);
    expect({ code, lines }).toEqual({ code: 3, lines: ['open'] });
  });

  it('a reactor with idle registrations uses no processor time (107)', async () => {
    const { lines } = await run(`
      const listener = await reactor.serve(LOOPBACK, { data() {} });
      const open = [];
      for (let i = 0; i < 50; i += 1) open.push(await reactor.open(listener.socket.localAddress));
      for (const connection of open) connection.resume();
      while (listener.connections < open.length) await reactor.sleep(1);
      await new Promise((resolve) => setTimeout(resolve, 50));
      // Should that have been late: what there was to do is done.
      for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve));
      const { turns } = reactor.metrics;
      const before = process.cpuUsage();
      await new Promise((resolve) => setTimeout(resolve, 400));
      const { user, system } = process.cpuUsage(before);
      console.log(reactor.metrics.turns - turns);
      console.log((user + system) / 1000);
      process.exit();`);
    const [turns, cpuMs] = lines.map(Number) as [number, number];
    expect(turns).toBeLessThanOrEqual(1);
    // A loop that spins would use all of the 400.
    expect(cpuMs).toBeLessThan(150);
  });

  stage.needs('rawDescriptors')('a child process inherits none of our descriptors (98)', async () => {
    const { lines } = await run(`
      import { execFileSync } from 'node:child_process';
      const listener = await reactor.serve(LOOPBACK, {});
      const connection = await reactor.open(listener.socket.localAddress);
      const pair = reactor.socketPair();
      reactor.selectSync(pair, [], [], 1);
      console.log(execFileSync('sh', ['-c', 'ls -l /proc/$$/fd'], { encoding: 'utf8' }));
      process.exit();`);
    const open = lines.filter((line) => line.includes('->'));
    expect(open.length).toBeGreaterThanOrEqual(3);
    expect(open.filter((line) => /eventpoll|eventfd/.test(line))).toEqual([]);
    // Its standard streams are pipes, which Node makes of sockets; three of them and no more.
    expect(open.filter((line) => line.includes('socket:')).length).toBeLessThanOrEqual(3);
    expect(open.filter((line) => / ([3-9]|\d\d+) -> socket:/.test(line))).toEqual([]);
  });

  it('children that are forked while it serves disturb nothing, and hold nothing open (99)', async () => {
    const { lines, code } = await run(`
      import { spawn } from 'node:child_process';
      const echo = { data(connection, chunk) { connection.write(chunk); } };
      const listener = await reactor.serve(LOOPBACK, echo);
      const address = listener.socket.localAddress;
      const connection = await reactor.open(address);
      let got = 0;
      connection.on('data', (chunk) => { got += chunk.length; connection.write(chunk); });
      connection.write('round and round');
      const children = [];
      for (let i = 0; i < 4; i += 1) {
        const before = got;
        const child = spawn('sleep', ['30'], { stdio: 'ignore' });
        await new Promise((resolve) => child.once('spawn', resolve));
        children.push(child);
        while (got < before + 1000) await new Promise((resolve) => setImmediate(resolve));
      }
      const accepted = [...reactor.registrations()].map(({ data }) => data).find((each) => each?.remoteAddress && each !== connection);
      const seen = new Promise((resolve) => accepted.once('close', (info) => resolve(info.by)));
      connection.reset();
      console.log(await seen);
      await listener.close();
      // A child that held the listening socket would keep the port taken.
      const again = await reactor.listen(address);
      again.close();
      console.log('free');
      for (const child of children) child.kill();`);
    expect({ lines, code }).toEqual({ lines: ['error', 'free'], code: 0 });
  });

  // Three threads one after the other, in a process that is begun for them: 5 s were seen on a busy machine.
  describe('a worker thread that is the only user of the package', { timeout: 30_000 }, () => {
    /** Runs `source` in a worker thread, three times, and `after` in the main thread beside it. */
    const inWorker = (source: string, after: string): Promise<Outcome> =>
      runNode(
        `
        import { Worker } from 'node:worker_threads';
        const source = ${JSON.stringify(`import { parentPort } from 'node:worker_threads';${PRELUDE}${source}`)};
        for (let i = 0; i < 3; i += 1) {
          // It has --input-type=module from this process.
          const worker = new Worker(source, { eval: true });
          worker.on('error', (error) => console.log('error ' + error.message));
          ${after}
        }
        console.log('still here');`,
        { backend: stage.backend },
      );

    const BUSY = `
      const listener = await reactor.serve(LOOPBACK, { data(connection, chunk) { connection.write(chunk); } });
      const connection = await reactor.open(listener.socket.localAddress);
      connection.on('data', (chunk) => connection.write(chunk));
      connection.write('round and round');
      reactor.setTimer(1, () => {}, { repeatMs: 1 });
      void reactor.select([listener.socket], [], []);
      parentPort.postMessage('ready');`;

    it('can be terminated in the middle of its work, without a crash (97)', async () => {
      const outcome = await inWorker(
        BUSY,
        `await new Promise((resolve) => worker.once('message', resolve));
         await worker.terminate();`,
      );
      expect(outcome).toMatchObject({ code: 0, signal: null, lines: ['still here'], stderr: '' });
    });

    it('can end by process.exit of its own, without a crash (97)', async () => {
      const outcome = await inWorker(
        `${BUSY} setTimeout(() => process.exit(), 10);`,
        `await new Promise((resolve) => worker.once('exit', resolve));`,
      );
      expect(outcome).toMatchObject({ code: 0, signal: null, lines: ['still here'], stderr: '' });
    });

    it('ends by itself when nothing is registered in it (97)', async () => {
      const outcome = await inWorker(
        `const listener = await reactor.listen(LOOPBACK);
         const socket = await reactor.connect(listener.localAddress);
         await reactor.select([], [socket], []);`,
        `await new Promise((resolve) => worker.once('exit', resolve));`,
      );
      expect(outcome).toMatchObject({ code: 0, signal: null, lines: ['still here'], stderr: '' });
    });

    stage.needs('selectSync')('that waits in selectSync ends when the process exits (97)', async () => {
      const outcome = await inWorker(
        `const listener = await reactor.listen(LOOPBACK);
         parentPort.postMessage('ready');
         reactor.selectSync([listener], [], []);`,
        `await new Promise((resolve) => worker.once('message', resolve));
         setTimeout(() => process.exit(5), 20);
         await new Promise(() => {});`,
      );
      expect(outcome).toMatchObject({ code: 5, signal: null, stderr: '' });
    });
  });
});
