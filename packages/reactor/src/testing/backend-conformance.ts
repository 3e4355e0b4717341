/** The contract of a backend (backend/backend.ts), each guarantee a test, for whoever writes one. */
import assert from 'node:assert/strict';
import type { Address, InetAddress } from '../address.js';
import type { Backend, BackendHost, BackendSocket, Capabilities } from '../backend/backend.js';
import type { Traffic } from '../metrics.js';
import { ERROR, MSG_OOB, MSG_PEEK, READABLE, WOULD_BLOCK, WRITABLE } from '../readiness.js';

/** What a test runner gives: vitest's, jest's, mocha's, and that of `node:test`. */
export interface TestRunner {
  describe(name: string, define: () => void): unknown;
  it(name: string, test: () => Promise<void>): unknown;
}

/** A backend that nobody is attached to. */
export type BackendFactory = () => Backend | Promise<Backend>;

const LOOPBACK: InetAddress = { host: '127.0.0.1', port: 0 };
/** What has not come by then does not come. */
const PATIENCE_MS = 5000;
/** A stretch in which nothing must happen. */
const SILENCE_MS = 60;

/** A reactor as small as can be: it counts. */
class Host implements BackendHost {
  readonly traffic: Traffic = { bytesIn: 0, bytesOut: 0, accepts: 0, datagramsDropped: 0 };
  readonly closings: BackendSocket[] = [];
  /** Of each closing, whether the socket was still open. */
  readonly wereOpen: boolean[] = [];
  turns = 0;
  /** Turns that began within another, or within a call of ours. */
  nested = 0;
  onTurn: (() => void) | null = null;
  readonly #backend: Backend;
  #busy = false;

  constructor(backend: Backend) {
    this.#backend = backend;
    backend.attach(this);
  }

  turn(): void {
    if (this.#busy) this.nested += 1;
    this.turns += 1;
    this.within(() => this.onTurn?.());
  }

  closing(socket: BackendSocket): void {
    this.closings.push(socket);
    this.wereOpen.push(!socket.closed);
    this.#backend.demultiplexer.watch(socket, 0, 0, 0);
  }

  /** A call in which no turn may start. */
  within<T>(call: () => T): T {
    const before = this.#busy;
    this.#busy = true;
    try {
      return call();
    } finally {
      this.#busy = before;
    }
  }
}

/** What one test has. All that it has opened is closed at its end. */
class Bench {
  readonly backend: Backend;
  readonly host: Host;
  readonly #sockets: BackendSocket[] = [];

  constructor(backend: Backend) {
    this.backend = backend;
    this.host = new Host(backend);
    // Turns start only where something keeps the loop going, on some backends.
    backend.driver.hold();
  }

  own(socket: BackendSocket): BackendSocket {
    this.#sockets.push(socket);
    return socket;
  }

  stream(): BackendSocket {
    return this.own(this.backend.socket({ type: 'stream', family: 'ipv4', protocol: 0 }));
  }

  async listener(): Promise<BackendSocket> {
    const socket = this.stream();
    socket.bind(LOOPBACK);
    socket.listen(16);
    await socket.settled();
    return socket;
  }

  /** What a look gives now. */
  readiness(socket: BackendSocket, interest = READABLE | WRITABLE | ERROR): number {
    const masks = Int32Array.of(interest);
    this.backend.demultiplexer.look([socket], masks, 0);
    return masks[0] as number;
  }

  async ready(socket: BackendSocket, bit: number): Promise<void> {
    await until(() => (this.readiness(socket) & bit) !== 0, `readiness ${bit}`);
  }

  async pair(): Promise<[client: BackendSocket, server: BackendSocket]> {
    const listener = await this.listener();
    const client = this.stream();
    if (client.connect(listener.localAddress as Address) === 'connecting') {
      await this.ready(client, WRITABLE);
      assert.equal(client.finishConnect(), true);
    }
    await this.ready(listener, READABLE);
    const server = this.own(listener.accept() as BackendSocket);
    listener.close();
    return [client, server];
  }

  /** The triples of one wait. */
  wait(capacity = 64): [slot: number, generation: number, mask: number][] {
    const { demultiplexer } = this.backend;
    const count = this.host.within(() => demultiplexer.wait(capacity));
    assert.ok(count <= capacity, `wait(${capacity}) reported ${count} triples`);
    return Array.from({ length: count }, (_, i) => [...demultiplexer.events.subarray(3 * i, 3 * i + 3)]) as never;
  }

  watch(socket: BackendSocket, slot: number, generation: number, interest: number): void {
    this.host.within(() => this.backend.demultiplexer.watch(socket, slot, generation, interest));
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
    this.backend[Symbol.dispose]();
  }
}

/** A call that needs a capability, and is refused without it. */
const NEEDS: { readonly [C in keyof Capabilities]?: (bench: Bench, socket: BackendSocket) => unknown } = {
  oob: (_bench, socket) => socket.send(Buffer.from('!'), 0, 1, MSG_OOB),
  peek: (_bench, socket) => socket.recv(Buffer.alloc(1), 0, 1, MSG_PEEK),
  raw: ({ backend }) => backend.socket({ type: 'raw', family: 'ipv4', protocol: 1 }),
  shutdownRead: (_bench, socket) => socket.shutdown('read'),
  rawDescriptors: (_bench, socket) => socket.detach(),
  socketPair: ({ backend }) => backend.socketPair({ type: 'stream', family: 'unix', protocol: 0 }),
  unixDatagram: ({ backend }) => backend.socket({ type: 'datagram', family: 'unix', protocol: 0 }),
  seqpacket: ({ backend }) => backend.socket({ type: 'seqpacket', family: 'unix', protocol: 0 }),
  descriptorPassing: (_bench, socket) => socket.sendDescriptors([0], Buffer.from('x')),
  rawOptions: (_bench, socket) => socket.getRawOption(1, 3, 4),
  adopt: ({ backend }) => backend.adopt(0),
  blocking: (_bench, socket) => socket.recvSync(Buffer.alloc(1), { timeoutMs: 1 }),
  selectSync: ({ backend }, socket) => backend.demultiplexer.look([socket], Int32Array.of(READABLE), 1),
};

/**
 * Defines the tests of the backends' contract with the test runner's own `describe` and `it`; they assert with
 * `node:assert`. `factory` gives a new backend for each test, which disposes of it. The backend's time must pass by itself:
 * of a simulated network, after `network.follow()`.
 *
 * It is the ground on which a reactor stands, not all that its sockets do: for that, run your programs on it.
 */
export function backendConformance(factory: BackendFactory, { describe, it }: TestRunner): void {
  const test = (name: string, run: (bench: Bench) => Promise<void>): void => {
    it(name, async () => {
      const bench = new Bench(await factory());
      try {
        await run(bench);
        assert.equal(bench.host.nested, 0, 'a turn was started within another one, or within a call');
      } finally {
        bench.close();
      }
    });
  };

  describe('the contract of a backend', () => {
    test('1. while a watched socket has a condition of its interest, every wait reports it', async (bench) => {
      const [client, server] = await bench.pair();
      client.send(Buffer.from('unread'));
      await bench.ready(server, READABLE);
      bench.watch(server, 3, 1, READABLE);
      for (let times = 0; times < 3; times += 1) assert.deepEqual(slots(bench.wait(), READABLE), [3]);
      const into = Buffer.alloc(16);
      assert.equal(server.recv(into), 6);
      assert.deepEqual(slots(bench.wait(), READABLE), []);
    });

    test('2. a wait reports no more than its capacity, and passes no ready socket over', async (bench) => {
      const seen = new Set<number>();
      for (let slot = 0; slot < 5; slot += 1) bench.watch((await bench.pair())[0], slot, 0, WRITABLE);
      for (let waits = 0; waits < 10 && seen.size < 5; waits += 1) for (const [slot] of bench.wait(2)) seen.add(slot);
      assert.deepEqual([...seen].sort(), [0, 1, 2, 3, 4]);
    });

    test('3. a triple names the slot and generation of the latest watch, and none comes after the last', async (bench) => {
      const [client, other] = await bench.pair();
      bench.watch(client, 7, 1, WRITABLE);
      assert.deepEqual(
        bench.wait().map(([slot, generation]) => [slot, generation]),
        [[7, 1]],
      );
      bench.watch(client, 7, 1, 0);
      assert.deepEqual(bench.wait(), []);
      bench.watch(client, 7, 2, WRITABLE);
      bench.watch(other, 8, 5, WRITABLE);
      assert.deepEqual(
        new Map(bench.wait().map(([slot, generation]) => [slot, generation])),
        new Map([
          [7, 2],
          [8, 5],
        ]),
      );
      client.close();
      assert.deepEqual(
        bench.wait().map(([slot]) => slot),
        [8],
      );
    });

    test('4. a mask tells the three sets as the socket is, and any interest replaces the one before', async (bench) => {
      const [client, server] = await bench.pair();
      bench.watch(server, 0, 0, READABLE | WRITABLE);
      assert.deepEqual(slots(bench.wait(), READABLE), []);
      client.send(Buffer.from('x'));
      await bench.ready(server, READABLE);
      const [[, , mask] = [0, 0, 0]] = bench.wait();
      assert.equal(mask & (READABLE | WRITABLE | ERROR), READABLE | WRITABLE);
      server.recv(Buffer.alloc(1));
      bench.watch(server, 0, 0, READABLE);
      assert.deepEqual(bench.wait(), []);
    });

    test('5. a turn starts when a watched socket is ready, and when post was called', async (bench) => {
      const { backend, host } = bench;
      const [client, server] = await bench.pair();
      bench.watch(server, 0, 0, READABLE);
      await silence();
      const { turns } = host;
      host.onTurn = () => {
        for (const [slot] of bench.wait()) if (slot === 0) server.recv(Buffer.alloc(16));
      };
      host.within(() => client.send(Buffer.from('wake up')));
      await until(() => host.turns > turns, 'a turn for a ready socket');
      await until(() => host.traffic.bytesIn === 7, 'the bytes');
      await silence();
      const before = host.turns;
      host.within(() => {
        backend.driver.post();
        backend.driver.post();
      });
      await until(() => host.turns > before, 'a posted turn');
      await silence();
      assert.equal(host.turns - before, 1, 'posts before a turn are one');
      // A post within a turn is another turn's.
      host.onTurn = () => {
        host.onTurn = null;
        backend.driver.post();
      };
      backend.driver.post();
      await until(() => host.turns - before === 3, 'the turn that a turn has posted');
    });

    test('6. when nothing is ready, due or posted, no turn starts', async (bench) => {
      const [, server] = await bench.pair();
      const listener = await bench.listener();
      bench.watch(server, 0, 0, READABLE);
      bench.watch(listener, 1, 0, READABLE);
      await silence();
      const { turns } = bench.host;
      await silence();
      assert.equal(bench.host.turns, turns);
    });

    test('7. verbs do not block: what cannot be done now is a value', async (bench) => {
      const [client, server] = await bench.pair();
      const listener = await bench.listener();
      assert.equal(server.recv(Buffer.alloc(1)), WOULD_BLOCK);
      assert.equal(server.receive(false), WOULD_BLOCK);
      assert.equal(listener.accept(), null);
      const block = Buffer.alloc(64 * 1024);
      let taken = 0;
      for (let count = client.send(block); count !== WOULD_BLOCK; count = client.send(block)) {
        taken += count;
        assert.ok(taken < 2 ** 30, 'send has no end');
      }
      assert.ok(taken > 0);
      bench.watch(client, 0, 0, WRITABLE);
      let received = 0;
      while (received < taken) {
        await bench.ready(server, READABLE);
        const chunk = server.receive(false);
        if (chunk !== WOULD_BLOCK) received += (chunk as Buffer).length;
      }
      await bench.ready(client, WRITABLE);
      client.shutdown('write');
      await bench.ready(server, READABLE);
      assert.equal(server.receive(false), 0);
      assert.equal(server.recv(Buffer.alloc(1)), 0);
    });

    test('8. the host is told before a socket closes, and when a connect has failed', async (bench) => {
      const { host } = bench;
      const [client, server] = await bench.pair();
      host.closings.length = host.wereOpen.length = 0;
      client.reset();
      server.close();
      server.close();
      assert.deepEqual([host.closings.includes(client), host.closings.includes(server)], [true, true]);
      assert.deepEqual(host.wereOpen.slice(0, 2), [true, true]);
      const gone = await bench.listener();
      const address = gone.localAddress as Address;
      gone.close();
      const refused = bench.stream();
      const error = await failureOf(async () => {
        refused.connect(address);
        while (!refused.finishConnect()) await pause();
      });
      assert.deepEqual([error.code, error.syscall], ['ECONNREFUSED', 'connect']);
      assert.ok(host.closings.includes(refused));
      assert.throws(() => server.recv(Buffer.alloc(1)), { code: 'EBADF' });
    });

    test('9. now does not go back, and a deadline is of the same clock', async (bench) => {
      const { driver } = bench.backend;
      let latest = driver.now();
      for (let times = 0; times < 1000; times += 1) {
        const now = driver.now();
        assert.ok(now >= latest);
        latest = now;
      }
      await silence();
      let began = Number.NaN;
      bench.host.onTurn = () => {
        bench.host.onTurn = null;
        began = driver.now();
      };
      const deadline = driver.now() + 30;
      bench.host.within(() => driver.schedule(deadline));
      await until(() => !Number.isNaN(began), 'a turn at the deadline');
      assert.ok(began >= deadline, 'the turn came before its deadline');
      const before = bench.host.turns;
      driver.schedule(driver.now() + 20);
      driver.schedule(Number.POSITIVE_INFINITY);
      await silence();
      assert.equal(bench.host.turns, before, 'the latest call of schedule counts');
    });

    test('10. what the backend cannot do is told by its capabilities, and refused with ENOTSUP that names it', async (bench) => {
      const { capabilities } = bench.backend;
      for (const [name, call] of Object.entries(NEEDS) as [keyof Capabilities, (typeof NEEDS)['oob']][]) {
        assert.equal(typeof capabilities[name], 'boolean', name);
        if (capabilities[name]) continue;
        const [client] = await bench.pair();
        assert.throws(
          () => call?.(bench, client),
          (error: NodeJS.ErrnoException) => error.code === 'ENOTSUP' && error.message.includes(`'${name}'`),
          `${name} is missing, and its verb must say so`,
        );
      }
    });

    test('sockets add what they move to the traffic of the host', async (bench) => {
      const { traffic } = bench.host;
      const [client, server] = await bench.pair();
      assert.equal(traffic.accepts, 1);
      assert.equal(client.sendv([Buffer.from('12'), Buffer.from('345')]), 5);
      await bench.ready(server, READABLE);
      await until(() => server.recv(Buffer.alloc(8)) !== WOULD_BLOCK && traffic.bytesIn === 5, 'five bytes');
      assert.deepEqual([traffic.bytesIn, traffic.bytesOut], [5, 5]);
    });

    test('a look sees sockets that nobody watches, and only what is asked for', async (bench) => {
      const [client, server] = await bench.pair();
      client.send(Buffer.from('x'));
      await bench.ready(server, READABLE);
      const masks = Int32Array.of(READABLE, WRITABLE, READABLE);
      assert.equal(bench.backend.demultiplexer.look([server, server, client], masks, 0), 2);
      assert.deepEqual([...masks], [READABLE, WRITABLE, 0]);
    });

    test('it serves one reactor: a second attach is refused', async ({ backend, host }) => {
      assert.throws(() => backend.attach(host), { code: 'ERR_REACTOR_BACKEND' });
    });

    test('hold and release may be repeated; when it is disposed of no turn starts, and sockets stay', async (bench) => {
      const { backend, host } = bench;
      const [client, server] = await bench.pair();
      for (const verb of ['hold', 'hold', 'release', 'release', 'hold'] as const) backend.driver[verb]();
      bench.watch(client, 0, 0, WRITABLE);
      await until(() => host.turns > 0, 'a turn');
      backend.driver.post();
      backend[Symbol.dispose]();
      backend[Symbol.dispose]();
      const { turns } = host;
      await silence();
      assert.equal(host.turns, turns);
      assert.equal(server.closed, false);
    });
  });
}

/** The slots that were reported with one of the bits. */
function slots(triples: readonly (readonly [number, number, number])[], bits: number): number[] {
  return triples.filter(([, , mask]) => (mask & bits) !== 0).map(([slot]) => slot);
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

function silence(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `${what} has not come within ${PATIENCE_MS} ms`);
    await pause();
  }
}

async function failureOf(call: () => Promise<void>): Promise<NodeJS.ErrnoException> {
  try {
    await call();
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
  throw new assert.AssertionError({ message: 'a connect to nobody has succeeded' });
}
