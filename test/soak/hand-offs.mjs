#!/usr/bin/env node
/**
 * Connections that are handed to threads and to processes, and to processes that are killed meanwhile: each is served by
 * exactly one, to the last byte, and no descriptor is left on either side. The short form of it runs in
 * test/hand-off/soak.test.ts.
 */
import { fork } from 'node:child_process';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Reactor, WOULD_BLOCK } from '@fdset/reactor';
import { readOptions, whole } from '../../scripts/options.mjs';

const HELP = `node test/soak/hand-offs.mjs [options]

  --threads n    hand-offs to threads (10000)
  --processes n  hand-offs to processes (1000)
  --kills n      processes that are killed while they are handed five connections (1000)
  --seed n       decides when they are killed (1)
  --help         this text

Ends with one line of JSON, and with 0 when every connection was served by one, and nothing was left open.`;

const { values } = readOptions(HELP, {
  threads: whole(10_000, 0),
  processes: whole(1000, 0),
  kills: whole(1000, 0),
  seed: whole(1, 0),
});
const { threads, processes, kills } = values;
let state = values.seed >>> 0;
/** mulberry32 */
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

const TAKER = new URL('../hand-off/fixtures/taker.mjs', import.meta.url);
/** Handed over at a time. */
const BATCH = 50;
const reactor = new Reactor();
const listener = await reactor.listen({ host: '127.0.0.1', port: 0 });
const { port } = listener.localAddress;
const descriptors = (pid = 'self') => readdirSync(`/proc/${pid}/fd`).length;
/** Closing takes a few rounds of the loop on either side: longer than this it is a leak. */
const SETTLE_MS = 5000;

/** Whatever goes wrong is an end with 1 and a sentence. */
function check(holds, what) {
  if (holds) return;
  console.error(`hand-offs: ${what} (seed ${values.seed})`);
  process.exit(1);
}

/** Waits until `count` gives no more than `most`, and checks that it comes to that. */
async function settles(count, most, where) {
  const end = performance.now() + SETTLE_MS;
  while (count() > most && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
  check(count() <= most, `${count() - most} descriptors are left ${where}`);
}

class Client {
  received = '';
  ended = false;
  #socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: false });
  #waiters = [];
  constructor() {
    const told = () => {
      for (const tell of this.#waiters.splice(0)) tell();
    };
    this.#socket.on('data', (chunk) => {
      this.received += chunk;
      told();
    });
    for (const event of ['close', 'error'])
      this.#socket.on(event, () => {
        this.ended = true;
        told();
      });
    this.closed = new Promise((resolve) => this.#socket.once('close', resolve));
  }
  write(text) {
    this.#socket.write(text);
  }
  end() {
    this.#socket.end();
    return this.closed;
  }
  async until(holds) {
    while (!holds() && !this.ended) await new Promise((resolve) => this.#waiters.push(resolve));
  }
}

/** `n` connections: the accepted socket and the client of each. One call at a time: they come in the order of the connects. */
let turnstile = Promise.resolve();
function connections(n) {
  const made = turnstile.then(() => connect(n));
  turnstile = made;
  return made;
}

async function connect(n) {
  const made = [];
  for (let i = 0; i < n; i += 1) {
    const client = new Client();
    let socket = listener.accept();
    while (socket === null) {
      await reactor.select([listener], [], []);
      socket = listener.accept();
    }
    made.push({ socket, client });
  }
  return made;
}

function startThread() {
  const worker = new Worker(TAKER, { workerData: { conduct: 'echo', tag: 'there ' } });
  const ready = new Promise((resolve) => worker.once('message', resolve));
  return { to: worker, ready, end: () => worker.terminate(), descriptors: () => 0 };
}

function startProcess() {
  const child = fork(fileURLToPath(TAKER), [JSON.stringify({ conduct: 'echo', tag: 'there ' })]);
  const ready = new Promise((resolve) => child.once('message', resolve));
  const gone = new Promise((resolve) => child.once('exit', resolve));
  const end = () => {
    child.kill('SIGKILL');
    return gone;
  };
  return { to: child, ready, end, descriptors: () => descriptors(child.pid) };
}

/** Hands `total` connections over, each of which says something before and after it, and ends. */
async function handOver(total, start) {
  if (total === 0) return;
  const taker = start();
  await taker.ready;
  let before;
  for (let done = 0; done < total; done += BATCH) {
    const made = await connections(Math.min(BATCH, total - done));
    await Promise.all(
      made.map(async ({ socket, client }, i) => {
        client.write(`${done + i};`);
        await socket.transfer(taker.to, { quiet: true });
        await client.until(() => client.received.endsWith(';'));
        client.write(`and ${done + i};`);
        const wanted = [`there ${done + i};there and ${done + i};`, `there ${done + i};and ${done + i};`];
        await client.until(() => client.received.length >= wanted[0].length);
        check(wanted.includes(client.received), `a client got '${client.received}', expected '${wanted[0]}'`);
        await client.end();
      }),
    );
    // The first batch has made the channel.
    before ??= { here: descriptors(), there: taker.descriptors() };
  }
  await settles(descriptors, before.here, 'here');
  await settles(taker.descriptors, before.there, 'there');
  await taker.end();
}

const outcomes = { taken: 0, ours: 0 };

async function killOne() {
  const child = startProcess();
  await child.ready;
  const made = await connections(5);
  for (const { client } of made) client.write('ping;');
  let taken = 0;
  const settled = made.map(({ socket }) =>
    socket.transfer(child.to, { quiet: true }).then(
      () => {
        taken += 1;
        return 'taken';
      },
      () => 'ours',
    ),
  );
  // Before the first is taken, in between, or after the last; and within a millisecond, at any moment.
  const first = Math.floor(random() * 6);
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  while (taken < first) await turn();
  const end = performance.now() + random() * (first === 0 ? 10 : 1);
  while (performance.now() < end) await turn();
  await child.end();
  for (const [i, { socket, client }] of made.entries()) {
    const outcome = await settled[i];
    outcomes[outcome] += 1;
    if (outcome === 'taken') {
      // It went with the process that had it.
      await client.until(() => false);
      check(['', 'there ping;'].includes(client.received), `one that was taken got '${client.received}'`);
    } else {
      await reactor.select([socket], [], []);
      const into = Buffer.alloc(64);
      const length = socket.recv(into);
      check(
        length !== WOULD_BLOCK && into.toString('latin1', 0, length) === 'ping;',
        `one that came back has lost its bytes`,
      );
      socket.send(Buffer.from('here;'));
      await client.until(() => client.received.endsWith(';'));
      check(client.received === 'here;', `one that came back was served by two: '${client.received}'`);
      socket.close();
    }
    await client.end();
  }
}

const began = performance.now();
await handOver(threads, startThread);
await handOver(processes, startProcess);
if (kills > 0) await killOne();
const before = descriptors();
for (let done = 1; done < kills; done += 2) await Promise.all([killOne(), done + 1 < kills ? killOne() : null]);
await settles(descriptors, before, 'of those that were killed');
console.log(
  JSON.stringify({ threads, processes, kills, ...outcomes, seconds: Math.round((performance.now() - began) / 1000) }),
);
process.exit(0);
