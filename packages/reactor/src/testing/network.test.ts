/** The network itself: its clock, its repeatability, and each fault, seen to happen and to be survived. */
import { setImmediate as immediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  type Connection,
  type InetAddress,
  READABLE,
  Reactor,
  type ReactorOptions,
  WOULD_BLOCK,
  WRITABLE,
} from '../index.js';
import type { NetworkFaults } from './faults.js';
import { SimulatedNetwork, type SimulatedNetworkOptions } from './network.js';
import type { DecisionKind } from './schedule.js';

function reactorOn(network: SimulatedNetwork, options: ReactorOptions = {}): Reactor {
  return new Reactor({ ...options, backend: network.backend() });
}

function pattern(bytes: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + (i >> 8) * 7) & 255));
}

/** Tries again while there are no descriptors. */
async function retried<T>(attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error;
    }
  }
}

/** Echoes `bytes` between two reactors, and gives what came back, and how it ended. */
function echo(network: SimulatedNetwork, bytes: Buffer): Promise<{ back: Buffer; error: string | undefined }> {
  const [near, far] = [reactorOn(network), reactorOn(network)];
  return network.run(async () => {
    const handler = { data: (connection: Connection, chunk: Buffer) => void connection.write(chunk) };
    const listener = await retried(() => far.serve({ host: '127.0.0.1', port: 0 }, handler));
    const connection = await retried(() => near.open(listener.socket.localAddress as InetAddress));
    const chunks: Buffer[] = [];
    let error: string | undefined;
    connection.on('data', (chunk) => chunks.push(chunk));
    connection.on('error', ({ code }: NodeJS.ErrnoException) => {
      error = code;
    });
    const closed = new Promise((resolve) => connection.once('close', resolve));
    for (let at = 0; at < bytes.length; at += 1000) {
      connection.write(bytes.subarray(at, at + 1000));
      await near.sleep(1);
    }
    connection.end();
    await closed;
    near.close();
    far.close();
    return { back: Buffer.concat(chunks), error };
  });
}

function kinds(network: SimulatedNetwork): Set<string> {
  return new Set(network.schedule.split(',').map((part) => part.split(':')[0] as string));
}

describe('a simulated network', () => {
  it('has a clock that stands still, and moves on as far as it is told', async () => {
    const network = new SimulatedNetwork();
    const reactor = reactorOn(network);
    const fired: number[] = [];
    reactor.setTimer(1000, () => fired.push(reactor.now()), { repeatMs: 500 });
    await immediate();
    expect([network.now(), fired]).toEqual([0, []]);
    await network.advance(999);
    expect([network.now(), fired]).toEqual([999, []]);
    await network.advance(1001);
    expect([network.now(), fired]).toEqual([2000, [1000, 1500, 2000]]);
    reactor.close();
  });

  it('lets promises settle between two turns', async () => {
    const network = new SimulatedNetwork();
    const reactor = reactorOn(network);
    const order: string[] = [];
    for (const name of ['first', 'second'])
      reactor.setTimer(name === 'first' ? 1 : 2, () => {
        order.push(name);
        void Promise.resolve()
          .then(() => new Promise((resolve) => process.nextTick(resolve)))
          .then(() => order.push(`after the ${name}`));
      });
    await network.advance(2);
    expect(order).toEqual(['first', 'after the first', 'second', 'after the second']);
    reactor.close();
  });

  it('is idle when nothing is under way: timers to come are not waited for', async () => {
    const network = new SimulatedNetwork({ latencyMs: [5, 5], bytesPerSecond: 1000 });
    const reactor = reactorOn(network);
    const received: string[] = [];
    const listener = await reactor.serve(
      { host: '127.0.0.1', port: 0 },
      { data: (_connection, chunk) => void received.push(chunk.toString()) },
      { idleMs: 60_000 },
    );
    const opened = reactor.open(listener.socket.localAddress as InetAddress);
    await network.runUntilIdle();
    // A SYN and its answer.
    expect(network.now()).toBe(10);
    (await opened).write('x'.repeat(100));
    await network.runUntilIdle();
    // 100 bytes at 1000 a second, and the latency.
    expect([network.now(), received.join('')]).toEqual([115, 'x'.repeat(100)]);
    expect(listener.connections).toBe(1);
    // Idle timeouts are coarse.
    await network.advance(61_000);
    expect(listener.connections).toBe(0);
    reactor.close();
  });

  it('30 idle days with a timer of a minute take no time', { timeout: 5000 }, async () => {
    const network = new SimulatedNetwork();
    const reactor = reactorOn(network);
    let minutes = 0;
    reactor.setTimer(60_000, () => minutes++, { repeatMs: 60_000 });
    await network.advance(30 * 24 * 3_600_000);
    expect(minutes).toBe(30 * 24 * 60);
    reactor.close();
  });

  it('says that a program waits for what will never come', async () => {
    const network = new SimulatedNetwork();
    const reactor = reactorOn(network);
    const socket = reactor.socket({ type: 'datagram' });
    socket.bind({ host: '127.0.0.1', port: 0 });
    await expect(network.run(() => reactor.select([socket], [], []))).rejects.toMatchObject({
      name: 'SimulationError',
      code: 'ERR_SIMULATION_STUCK',
    });
    await expect(network.run(() => reactor.sleep(2000), { limitMs: 1000 })).rejects.toMatchObject({
      code: 'ERR_SIMULATION_LATE',
    });
    reactor.close();
  });

  it('says that a handler spins', async () => {
    const network = new SimulatedNetwork();
    const reactor = reactorOn(network);
    const [one, two] = reactor.socketPair();
    reactor.register(one, READABLE, () => {});
    two.send(Buffer.from('never received'));
    await expect(network.advance(1)).rejects.toMatchObject({ code: 'ERR_SIMULATION_SPIN' });
    reactor.close();
  });

  it('tells who waits that it was closed, and nothing happens any more', async () => {
    const network = new SimulatedNetwork();
    const reactor = reactorOn(network);
    const waiting = network.advance(1000);
    let fired = false;
    reactor.setTimer(10, () => {
      fired = true;
    });
    network.close();
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_SIMULATION_CLOSED' });
    await expect(network.runUntilIdle()).rejects.toMatchObject({ code: 'ERR_SIMULATION_CLOSED' });
    expect(fired).toBe(false);
  });

  it('refuses options and faults that are none', () => {
    const wrong: [SimulatedNetworkOptions, string][] = [
      [{ seed: 0.5 }, 'seed must be an integer or a string, got 0.5'],
      [{ latencyMs: [5, 1] }, 'latencyMs must be [least, most] with 0 <= least <= most, got [5, 1]'],
      [{ bytesPerSecond: 0 }, 'bytesPerSecond must be above 0, got 0'],
      [{ faults: { split: true } as NetworkFaults }, "got 'split'"],
      [{ faults: { splits: 2 } }, 'faults.splits must be a probability from 0 to 1, got 2'],
      [{ replay: 'cut:3' }, "got 'cut:3'"],
    ];
    for (const [options, message] of wrong)
      expect(() => new SimulatedNetwork(options)).toThrow(
        expect.objectContaining({ code: 'ERR_REACTOR_ARGUMENT', message: expect.stringContaining(message) }),
      );
  });
});

const ALL: NetworkFaults = { splits: true, partialSends: true, spurious: true, wouldBlock: true, emfile: true };

describe('chance', () => {
  const bytes = pattern(40_000);

  it('is the same for the same seed, to the bit, and another for another', async () => {
    const run = async (seed: string | number) => {
      const network = new SimulatedNetwork({ seed, faults: ALL, latencyMs: [1, 20] });
      expect((await echo(network, bytes)).back.equals(bytes)).toBe(true);
      return [network.trace, network.schedule, network.now()];
    };
    const first = await run(7);
    expect(await run(7)).toEqual(first);
    expect((await run(8))[0]).not.toBe(first[0]);
    expect((await run('7'))[0]).not.toBe(first[0]);
  });

  it('is taken again from the schedule, without the seed', async () => {
    const first = new SimulatedNetwork({ seed: 3, faults: ALL, latencyMs: [1, 20] });
    await echo(first, bytes);
    const again = new SimulatedNetwork({ replay: first.schedule, latencyMs: [1, 20] });
    await echo(again, bytes);
    expect([again.trace, again.schedule]).toEqual([first.trace, first.schedule]);
    const calm = new SimulatedNetwork({ replay: '', latencyMs: [1, 20] });
    await echo(calm, bytes);
    expect(calm.schedule).toBe('');
  });

  it.each<[keyof NetworkFaults, DecisionKind]>([
    ['splits', 'cut'],
    ['partialSends', 'part'],
    ['spurious', 'false'],
    ['wouldBlock', 'block'],
    ['emfile', 'full'],
  ])('%s happens, alone, and a connection loses nothing by it', async (fault, kind) => {
    for (const chance of [fault === 'emfile' ? 0.5 : true, 1]) {
      const network = new SimulatedNetwork({ seed: 5, faults: { [fault]: chance } });
      const { back, error } = await echo(network, bytes);
      expect([back.equals(bytes), error]).toEqual([true, undefined]);
      expect([...kinds(network)]).toEqual([kind]);
    }
  });

  it('a reset of the network is ECONNRESET or EPIPE, behind bytes that are right as far as they came', async () => {
    const network = new SimulatedNetwork({ seed: 1, faults: { reset: 0.1 }, latencyMs: [1, 5] });
    const { back, error } = await echo(network, bytes);
    expect(['ECONNRESET', 'EPIPE']).toContain(error);
    expect(back.length).toBeLessThan(bytes.length);
    expect(bytes.subarray(0, back.length).equals(back)).toBe(true);
    expect(kinds(network)).toContain('reset');
  });

  it('a half-open connection is silent until what was sent is given up', async () => {
    // The numbers of the directions: 1 is the handshake, 2 leads from the server, 3 to it.
    const network = new SimulatedNetwork({ replay: 'mute:3@0' });
    const reactor = reactorOn(network);
    const heard: string[] = [];
    const listener = await reactor.serve({ host: '127.0.0.1', port: 0 }, { data: () => void heard.push('data') });
    const connection = await network.run(() => reactor.open(listener.socket.localAddress as InetAddress));
    const errors: (string | undefined)[] = [];
    connection.on('error', ({ code }: NodeJS.ErrnoException) => errors.push(code)).resume();
    connection.write('hello?');
    await network.advance(600_000);
    expect([network.schedule, heard, errors]).toEqual(['mute:3@0', [], []]);
    await network.advance(600_000);
    expect([heard, errors]).toEqual([[], ['ETIMEDOUT']]);
    reactor.close();
  });

  it('datagrams get lost, and are overtaken', async () => {
    const send = async (faults: NetworkFaults): Promise<number[]> => {
      const network = new SimulatedNetwork({ seed: 2, faults });
      const reactor = reactorOn(network);
      const [from, to] = [reactor.socket({ type: 'datagram' }), reactor.socket({ type: 'datagram' })];
      to.bind({ host: '127.0.0.1', port: 0 });
      from.connect(to.localAddress as InetAddress);
      const got: number[] = [];
      reactor.register(to, READABLE, (socket) => {
        const into = Buffer.alloc(8);
        if (socket.recv(into) !== WOULD_BLOCK) got.push(into[0] as number);
      });
      for (let i = 0; i < 100; i += 1) {
        from.send(Buffer.from([i]));
        await network.advance(1);
      }
      await network.runUntilIdle();
      reactor.close();
      return got;
    };
    const numbers = Array.from({ length: 100 }, (_, i) => i);
    expect(await send({})).toEqual(numbers);
    const lossy = await send({ loss: 0.2 });
    expect(lossy.length).toBeGreaterThan(50);
    expect(lossy.length).toBeLessThan(100);
    expect(lossy).toEqual([...lossy].sort((a, b) => a - b));
    const mixed = await send({ reorder: 0.3 });
    expect(mixed).not.toEqual(numbers);
    expect([...mixed].sort((a, b) => a - b)).toEqual(numbers);
  });

  it('200 connections exchange 20 messages each under faults, the same at every run', async () => {
    const run = async () => {
      const network = new SimulatedNetwork({
        seed: 11,
        faults: { splits: 0.1, wouldBlock: 0.05, partialSends: 0.05 },
        latencyMs: [1, 3],
      });
      const reactor = reactorOn(network);
      let done = 0;
      const listener = await reactor.serve(
        { host: '127.0.0.1', port: 0 },
        { data: (connection, chunk) => void connection.write(chunk) },
        { backlog: 2000 },
      );
      const opening = Array.from({ length: 200 }, () => reactor.open(listener.socket.localAddress as InetAddress));
      await network.run(async () => {
        await Promise.all(
          opening.map(async (opened) => {
            const connection = await opened;
            let bytes = 0;
            connection.on('data', (chunk) => {
              bytes += chunk.length;
              if (bytes % 16 !== 0) return;
              if (bytes === 320) connection.end();
              else connection.write('0123456789abcdef');
            });
            connection.write('0123456789abcdef');
            await new Promise((resolve) => connection.once('close', resolve));
            if (bytes === 320) done += 1;
          }),
        );
      });
      reactor.close();
      expect(done).toBe(200);
      return network.trace;
    };
    expect(await run()).toBe(await run());
  });
});

describe('on one network', () => {
  it('the bytes of a full receiver wait at the sender, which is told when there is room', async () => {
    const network = new SimulatedNetwork();
    const reactor = reactorOn(network);
    const [one, two] = reactor.socketPair();
    let taken = 0;
    for (let count = 0; count !== WOULD_BLOCK; taken += Math.max(count, 0)) count = one.send(Buffer.alloc(10_000));
    const told: number[] = [];
    reactor.register(one, WRITABLE, (_socket, readiness, registration) => {
      told.push(readiness);
      registration.unregister();
    });
    await network.runUntilIdle();
    expect(told).toEqual([]);
    let got = 0;
    for (let count = 1; got < taken && count > 0; got += Math.max(count, 0)) count = two.recv(Buffer.alloc(65_536));
    expect(got).toBe(taken);
    await network.runUntilIdle();
    expect(told).toEqual([WRITABLE]);
    reactor.close();
  });

  it('ports belong to all of its reactors, and to no other network', async () => {
    const [network, other] = [new SimulatedNetwork(), new SimulatedNetwork()];
    const [one, two, three] = [reactorOn(network), reactorOn(network), reactorOn(other)];
    const address = { host: '10.0.0.1', port: 80 };
    await one.listen(address);
    await expect(two.listen(address)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await three.listen(address);
    const socket = await network.run(() => two.connect(address));
    expect(socket.remoteAddress).toEqual(address);
    await expect(network.run(() => two.connect({ host: '10.0.0.2', port: 80 }))).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
    for (const reactor of [one, two, three]) reactor.close();
  });

  it('everybody who is connected to a full unix datagram socket is told when there is room', async () => {
    const network = new SimulatedNetwork();
    const reactor = reactorOn(network);
    const datagrams = () => reactor.socket({ type: 'datagram', family: 'unix' });
    const [receiver, one, two] = [datagrams(), datagrams(), datagrams()];
    receiver.bind({ path: '\0receiver' });
    for (const sender of [one, two]) sender.connect({ path: '\0receiver' });
    while (one.send(Buffer.from('x')) !== WOULD_BLOCK);
    expect(two.send(Buffer.from('y'))).toBe(WOULD_BLOCK);
    const told: string[] = [];
    for (const [name, sender] of [
      ['one', one],
      ['two', two],
    ] as const)
      reactor.register(sender, WRITABLE, (_socket, _readiness, registration) => {
        told.push(name);
        registration.unregister();
      });
    await network.runUntilIdle();
    expect(told).toEqual([]);
    receiver.recv(Buffer.alloc(1));
    await network.runUntilIdle();
    expect(told).toEqual(['one', 'two']);
    reactor.close();
  });

  it('a send of a datagram would block while the send buffer is full, and is told when half of it has left', async () => {
    const network = new SimulatedNetwork({ bytesPerSecond: 1_000_000 });
    const reactor = reactorOn(network);
    const [sender, receiver] = [reactor.socket({ type: 'datagram' }), reactor.socket({ type: 'datagram' })];
    for (const socket of [sender, receiver]) socket.bind({ host: '127.0.0.1', port: 0 });
    sender.setOption('sendBuffer', 10_000);
    const to = receiver.localAddress as InetAddress;
    let sent = 0;
    while (sender.sendTo(Buffer.alloc(1000), to) !== WOULD_BLOCK) sent += 1;
    // As on Linux: while it is not full, one more is taken.
    expect(sent).toBe(11);
    expect(await network.run(() => reactor.select([], [sender], [], 5))).toEqual([[], [], []]);
    expect(await network.run(() => reactor.select([], [sender], [], 60_000))).toEqual([[], [sender], []]);
    expect(network.now()).toBe(6);
    expect(sender.sendTo(Buffer.alloc(1000), to)).toBe(1000);
    await network.runUntilIdle();
    let received = 0;
    while (receiver.recv(Buffer.alloc(1000)) !== WOULD_BLOCK) received += 1;
    expect([received, network.now()]).toEqual([12, 12]);
    reactor.close();
  });

  it('what a server says first comes behind its answer to the client', async () => {
    // The answer takes 50 ms, the reset that follows it 1.
    const network = new SimulatedNetwork({ replay: 'delay:1@1=255', latencyMs: [1, 50] });
    const reactor = reactorOn(network);
    const { socket } = await reactor.serve({ host: '127.0.0.1', port: 0 }, (connection) => connection.reset());
    const opening = reactor.open(socket.localAddress as InetAddress);
    // Met between the handshake and its event, it is the outcome of the connect.
    await expect(network.run(() => opening)).rejects.toMatchObject({ code: 'ECONNRESET', syscall: 'connect' });
    expect(network.now()).toBe(51);
    reactor.close();
  });
});
