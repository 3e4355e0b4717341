#!/usr/bin/env node
// Connections that come, talk and go in every way there is, for minutes or hours: an echo server and its clients in one
// process, half of the clients by node:net. It fails when nothing moves on, when a byte is wrong, when descriptors or
// memory grow, or when something is left behind at the end.
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { above, flag, oneOf, readOptions, whole } from './options.mjs';

const HELP = `usage: node scripts/soak.mjs [options]
  --minutes <n>      how long (2); fractions count
  --clients <n>      connections at a time (64)
  --backend <name>   kernel or emulated (what the reactor chooses)
  --seed <n>         of the clients' behaviour (1)
  --quiet            only the last line
The last line is JSON: rounds by kind, and the growth of memory and descriptors. Exit code 1 when one of them is too large.`;

const { values } = readOptions(HELP, {
  minutes: above(0, 2),
  clients: whole(64),
  backend: oneOf(['kernel', 'emulated']),
  seed: whole(1, 0),
  quiet: flag,
});
const { clients } = values;
const durationMs = values.minutes * 60_000;

/** A client that has not got on for this long is stuck. */
const STUCK_MS = 10_000;
/** Growth of the resident set, in bytes, that the allocators may still cause once they are warm. */
const MEMORY_SLACK = 32 << 20;
/** The same of what is alive after a collection. */
const HEAP_SLACK = 1 << 20;

const root = path.resolve(fileURLToPath(import.meta.url), '../..');
const entry = createRequire(path.join(root, 'test/package.json')).resolve('@fdset/reactor');
const { Reactor } = await import(pathToFileURL(entry).href);
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

const reactor = new Reactor(values.backend === undefined ? {} : { backend: values.backend });
const listener = await reactor.serve(
  { host: '127.0.0.1', port: 0 },
  {
    // It echoes, and ends or resets in its turn where the client asks by its first byte.
    data(connection, chunk) {
      if (chunk[0] === 0x45) connection.end(chunk);
      else if (chunk[0] === 0x52) connection.reset();
      else if (!connection.write(chunk)) connection.pause();
    },
    drain: (connection) => connection.resume(),
    error() {},
  },
  { backlog: clients * 2 },
);
const address = listener.socket.localAddress;

let state = values.seed >>> 0 || 1;
/** An integer below `most` (xorshift32). */
function random(most) {
  state ^= state << 13;
  state >>>= 0;
  state ^= state >>> 17;
  state ^= state << 5;
  state >>>= 0;
  return state % most;
}

const rounds = {};
let failure = '';
let over = false;

/** Both kinds of client, as the same few verbs: write, end, reset, destroy, and the events data, end, error, close. */
const dial = [
  async () => {
    const connection = await reactor.open(address);
    connection.on('error', () => {});
    return connection;
  },
  () =>
    new Promise((resolve, reject) => {
      const socket = net.connect({ ...address, allowHalfOpen: true });
      socket.reset = () => socket.resetAndDestroy();
      socket.once('connect', () => resolve(socket));
      socket.once('error', reject);
      socket.on('error', () => {});
    }),
];

/** What a client does once it is connected. The first byte tells the server what to do: see above. */
const KINDS = {
  async echo(client) {
    const bytes = Buffer.alloc(1 + random(40_000), 0x2e);
    const back = received(client, bytes.length);
    client.write(bytes);
    await back;
    client.end();
  },
  async halfClose(client) {
    const bytes = Buffer.alloc(1 + random(4000), 0x2e);
    const back = received(client, bytes.length);
    client.write(bytes);
    client.end();
    await back;
  },
  async serverEnds(client) {
    const back = received(client, 100);
    client.write(Buffer.alloc(100, 0x45));
    await back;
    client.end();
  },
  async serverResets(client) {
    client.resume();
    client.write(Buffer.alloc(1, 0x52));
  },
  async reset(client) {
    const back = received(client, 10);
    client.write(Buffer.alloc(10, 0x2e));
    await back;
    client.reset();
  },
  async resetUnread(client) {
    client.write(Buffer.alloc(10_000, 0x2e));
    client.reset();
  },
  async destroyAtOnce(client) {
    client.destroy();
  },
};

/** Resolves when so many bytes have come back, all of one kind. */
function received(client, bytes) {
  return new Promise((resolve, reject) => {
    let count = 0;
    client.on('data', (chunk) => {
      count += chunk.length;
      if (chunk[0] !== chunk[chunk.length - 1] || count > bytes) reject(new Error('other bytes came back'));
      if (count === bytes) resolve();
    });
    client.once('close', () => reject(new Error(`closed after ${count} of ${bytes} bytes`)));
  });
}

function deadline(kind) {
  let timer;
  const promise = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${kind} is stuck`)), STUCK_MS);
  });
  return { promise, cancel: () => clearTimeout(timer) };
}

async function runClient() {
  const kinds = Object.keys(KINDS);
  while (!over) {
    const kind = kinds[random(kinds.length)];
    const by = random(2);
    const { promise: stuck, cancel } = deadline(kind);
    try {
      const client = await Promise.race([dial[by](), stuck]);
      const closed = new Promise((resolve) => client.once('close', resolve));
      await Promise.race([KINDS[kind](client), stuck]);
      client.resume();
      await Promise.race([closed, stuck]);
      const name = `${kind} by ${by === 0 ? 'fdset' : 'node:net'}`;
      rounds[name] = (rounds[name] ?? 0) + 1;
    } catch (error) {
      failure ||= `${kind}: ${error.message}`;
      over = true;
    } finally {
      cancel();
    }
  }
}

const descriptors = () => (process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0);
const total = () => Object.values(rounds).reduce((sum, count) => sum + count, 0);

/** All clients at work until `end`; then all of them gone, and what is left of them. */
async function stretch(end) {
  over = false;
  const timer = setTimeout(() => {
    over = true;
  }, end - performance.now());
  await Promise.all(Array.from({ length: clients }, runClient));
  clearTimeout(timer);
  const patience = performance.now() + STUCK_MS;
  while (failure === '' && listener.connections > 0) {
    if (performance.now() > patience) failure = `${listener.connections} connections of the server do not end`;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  for (let i = 0; i < 3; i += 1) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { rss, heapUsed } = process.memoryUsage();
  return { rss, heap: heapUsed, descriptors: descriptors(), rounds: total() };
}

const began = performance.now();
const STRETCHES = 8;
const samples = [];
for (let i = 1; i <= STRETCHES && failure === ''; i += 1) {
  samples.push(await stretch(began + (durationMs * i) / STRETCHES));
  const { rss, descriptors: open, rounds: done } = samples.at(-1);
  if (samples.length > 1 && done === samples.at(-2).rounds) failure ||= 'nothing moves on';
  if (!values.quiet)
    console.log(
      `${Math.round((performance.now() - began) / 1000)} s: ${done} rounds, ${rss >> 20} MiB, ${open} descriptors`,
    );
}
await listener.close();
reactor.close();

/** After the warm-up, three eighths of the time, nothing may grow. */
const warm = samples[Math.min(2, samples.length - 1)];
const last = samples.at(-1);
const memoryGrowth = last.rss - warm.rss;
const heapGrowth = last.heap - warm.heap;
const descriptorGrowth = last.descriptors - warm.descriptors;
if (memoryGrowth > MEMORY_SLACK) failure ||= `the memory has grown by ${memoryGrowth >> 20} MiB`;
if (heapGrowth > HEAP_SLACK) failure ||= `what is alive has grown by ${heapGrowth >> 10} KiB`;
if (descriptorGrowth > 0) failure ||= `${descriptorGrowth} descriptors were left open`;
console.log(
  JSON.stringify({
    ok: failure === '',
    failure,
    seconds: (performance.now() - began) / 1000,
    total: total(),
    rounds,
    memoryGrowth,
    heapGrowth,
    descriptorGrowth,
  }),
);
process.exitCode = failure === '' ? 0 : 1;
