/** Planted bugs of the usual kinds: found, made short, and replayed. */
import assert from 'node:assert/strict';
import { describe, expect, it } from 'vitest';
import { type Connection, ERROR, type InetAddress, READABLE, Reactor, type Socket, WOULD_BLOCK } from '../index.js';
import { type ExplorationError, type ExploreOptions, explore, type Program } from './explore.js';
import type { SimulatedNetwork } from './network.js';

function reactorOn(network: SimulatedNetwork): Reactor {
  return new Reactor({ backend: network.backend() });
}

/** A server that answers each line, and a client that counts the answers. `onChunk` is the server's idea of lines. */
function lines(onChunk: (connection: Connection, chunk: Buffer, state: { rest: string }) => string[]): Program {
  return async (network) => {
    const reactor = reactorOn(network);
    const heard: string[] = [];
    const state = { rest: '' };
    const listener = await reactor.serve(
      { host: '127.0.0.1', port: 0 },
      { data: (connection, chunk) => void heard.push(...onChunk(connection, chunk, state)) },
    );
    const connection = await reactor.open(listener.socket.localAddress as InetAddress);
    for (const line of ['alpha', 'beta', 'gamma']) {
      connection.write(`${line}\n`);
      await reactor.sleep(20);
    }
    await connection.close();
    assert.deepEqual(heard, ['alpha', 'beta', 'gamma']);
  };
}

/** Takes for granted that a chunk holds whole lines. */
const brokenLines = lines((_connection, chunk) =>
  chunk
    .toString()
    .split('\n')
    .filter((line) => line !== ''),
);

const rightLines = lines((_connection, chunk, state) => {
  const parts = (state.rest + chunk.toString()).split('\n');
  state.rest = parts.pop() as string;
  return parts;
});

/** Sends 3000 bytes by raw verbs; `onPartial` says where to go on when only a part was taken. */
function sender(onPartial: (at: number, count: number) => number): Program {
  return async (network) => {
    const reactor = reactorOn(network);
    const [near, far] = reactor.socketPair();
    const bytes = Buffer.from(Array.from({ length: 3000 }, (_, i) => i & 255));
    const sending = (async () => {
      for (let at = 0; at < bytes.length; ) {
        const count = near.send(bytes, at);
        if (count === WOULD_BLOCK) await reactor.select([], [near], []);
        else at = onPartial(at, count);
      }
      near.shutdown('write');
    })();
    assert.equal((await toEnd(reactor, far)).compare(bytes), 0);
    await sending;
  };
}

async function toEnd(reactor: Reactor, socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (;;) {
    const into = Buffer.alloc(1024);
    const count = socket.recv(into);
    if (count === 0) return Buffer.concat(chunks);
    if (count === WOULD_BLOCK) await reactor.select([socket], [], []);
    else chunks.push(into.subarray(0, count));
  }
}

/** A peer says its last words and resets. `hasty`: an error is looked at before the bytes that stand before it. */
function lastWords(hasty: boolean): Program {
  return async (network) => {
    const reactor = reactorOn(network);
    const listener = await reactor.listen({ host: '127.0.0.1', port: 0 });
    const client = await reactor.connect(listener.localAddress as InetAddress);
    let server = listener.accept();
    for (; server === null; server = listener.accept()) await reactor.select([listener], [], []);
    const accepted = server;
    let heard = '';
    const over = new Promise<void>((resolve) => {
      reactor.register(client, READABLE | ERROR, (socket, readiness) => {
        const into = Buffer.alloc(64);
        try {
          if (hasty && readiness & ERROR) throw socket.takeError();
          const count = socket.recv(into);
          if (count > 0) heard += into.toString('latin1', 0, count);
        } catch {
          socket.close();
          resolve();
        }
      });
    });
    for (let at = 0; at < 9; ) {
      const count = accepted.send(Buffer.from('last word'), at);
      if (count === WOULD_BLOCK) await reactor.select([], [accepted], []);
      else at += count;
    }
    await reactor.sleep(1);
    accepted.reset();
    await over;
    assert.equal(heard, 'last word');
  };
}

async function failureOf(program: Program, options: ExploreOptions = {}): Promise<ExplorationError> {
  return explore(program, options).then(
    (runs) => Promise.reject(new Error(`nothing was found in ${runs} runs`)),
    (error) => {
      if (error.name !== 'ExplorationError') throw error;
      return error;
    },
  );
}

describe('explore', () => {
  it.each<[string, Program, Program, number]>([
    ['a codec that takes for granted that lines come whole', brokenLines, rightLines, 1],
    ['a server that forgets the rest of a partial send', sender(() => 3000), sender((at, count) => at + count), 1],
    ['a reader that loses the last bytes before a reset', lastWords(true), lastWords(false), 3],
  ])('finds %s, makes it short, and replays it', async (_name, broken, right, most) => {
    const failure = await failureOf(broken, { seeds: 1000 });
    expect(failure.cause).toBeInstanceOf(assert.AssertionError);
    expect(failure.schedule.split(',').length).toBeLessThanOrEqual(most);
    expect(failure.message).toContain(`explore(program, { replay: '${failure.schedule}' })`);
    for (let times = 0; times < 2; times += 1) {
      const again = await failureOf(broken, { replay: failure.schedule });
      expect([again.schedule, (again.cause as Error).message]).toEqual([
        failure.schedule,
        (failure.cause as Error).message,
      ]);
    }
    // The same, without the bug.
    expect(await explore(right, { seeds: 100 })).toBe(100);
    expect(await explore(right, { replay: failure.schedule })).toBe(1);
  });

  it('finds a program that waits for ever', async () => {
    const failure = await failureOf(async (network) => {
      const reactor = reactorOn(network);
      const [near, far] = reactor.socketPair();
      far.send(Buffer.from('ab'));
      await reactor.select([near], [], []);
      // It believes that two bytes come at once.
      for (let count = 0; count < 2; ) {
        count = near.recv(Buffer.alloc(2));
        await reactor.select([near], [], []);
      }
    });
    expect(failure.cause).toMatchObject({ code: 'ERR_SIMULATION_STUCK' });
  });

  it('fails by what a handler throws with nobody to catch it', async () => {
    const failure = await failureOf(async (network) => {
      const reactor = reactorOn(network);
      const [near, far] = reactor.socketPair();
      reactor.connection(near, {
        data(_connection, chunk) {
          assert.equal(chunk.toString(), 'whole');
        },
      });
      far.send(Buffer.from('whole'));
      await network.runUntilIdle();
    });
    expect(failure.cause).toBeInstanceOf(assert.AssertionError);
    expect(failure.schedule).toMatch(/^(cut|part):\d+@\d$/);
  });

  it('says that a failure does not repeat itself', async () => {
    let runs = 0;
    const failure = await failureOf(() => {
      runs += 1;
      assert.notEqual(runs, 3);
    });
    expect(failure.message).toContain('depends on something else than its network');
  });

  it('needs no fault for what fails without', async () => {
    const failure = await failureOf(async (network) => {
      await echoOnce(network);
      assert.fail('always');
    });
    expect([failure.seed, failure.schedule]).toEqual([1, '']);
  });

  it('refuses what is no program, no number and no schedule', async () => {
    for (const call of [
      () => explore('program' as never),
      () => explore(() => {}, { seeds: 0 }),
      () => explore(() => {}, { replay: 'cut' }),
    ])
      await expect(call()).rejects.toMatchObject({ code: 'ERR_REACTOR_ARGUMENT' });
  });
});

async function echoOnce(network: SimulatedNetwork): Promise<void> {
  const reactor = reactorOn(network);
  const [near, far] = reactor.socketPair();
  far.send(Buffer.from('x'));
  await reactor.select([near], [], []);
}
