#!/usr/bin/env node
/**
 * Echoes a stream between two reactors whose system calls fail at random, and compares every byte. The short form runs
 * in the test suite; the long one is `node scripts/fault-echo.mjs --bytes 1GiB`.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { kind, oneOf, readOptions, text, whole } from './options.mjs';

const HELP = `usage: node scripts/fault-echo.mjs [--bytes 16MiB] [--seed 1] [--rate 0.05] [--form all] [--connections 4] [--log file]

Echoes a stream between two reactors whose system calls fail at random, and compares every byte.

  --bytes        how much in all, for each form: a number, with KiB, MiB or GiB (16MiB)
  --seed         decides which calls fail (1)
  --rate         the probability of each kind of fault (0.05)
  --form         connection, registration, select, or all
  --connections  how many share the bytes (4)
  --log          where the injected faults are written, as JSON

Ends with code 0 when the same bytes came back and nothing was left open, otherwise with 1.`;

const UNITS = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };
const FORMS = ['connection', 'registration', 'select'];

const { values } = readOptions(HELP, {
  bytes: kind('16MiB', 'a number, with KiB, MiB or GiB', (given) => {
    const found = /^(\d+)(KiB|MiB|GiB)?$/.exec(given);
    return found === null ? undefined : Number(found[1]) * (UNITS[found[2]] ?? 1);
  }),
  seed: whole(1, Number.MIN_SAFE_INTEGER),
  rate: kind(0.05, 'a probability up to 0.5', (given) =>
    Number(given) >= 0 && Number(given) <= 0.5 ? Number(given) : undefined,
  ),
  form: oneOf(['all', ...FORMS], 'all'),
  connections: whole(4),
  log: text(),
});
const { bytes, seed, rate, connections } = values;

const root = path.resolve(fileURLToPath(import.meta.url), '../..');
const { Reactor, READABLE, WRITABLE, WOULD_BLOCK } = await import(
  pathToFileURL(path.join(root, 'packages/reactor/dist/index.js')).href
);

const LOOPBACK = { host: '127.0.0.1', port: 0 };

/** Faults that cost no byte and no connection. */
const FAULTS = {
  '*': { EINTR: rate, EAGAIN: rate, short: 2 * rate },
  send: { ENOBUFS: rate },
  accept: { ECONNABORTED: 0.3, EPROTO: 0.1, EMFILE: rate, ENFILE: rate, ENOMEM: rate },
  socket: { EMFILE: rate, ENOBUFS: rate },
  finishConnect: { ECONNREFUSED: rate, ETIMEDOUT: rate },
};

// --- the stream ------------------------------------------------------------------------------------------------------

/** A prime, so that a byte in a wrong place is a wrong byte whatever sizes it came in. */
const PERIOD = 1_048_573;
const PATTERN = Buffer.alloc(2 * PERIOD);
for (let i = 0, state = 1; i < PATTERN.length; i += 1) {
  if (i < PERIOD) state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  PATTERN[i] = i < PERIOD ? state >>> 24 : PATTERN[i - PERIOD];
}

/** The side that sends the stream and compares what comes back. */
class Stream {
  sent = 0;
  received = 0;

  constructor(length) {
    this.length = length;
  }

  /** The next chunk to send, from one byte to 64 KiB, small ones as often as large ones; empty at the end. */
  next() {
    const size = Math.min(Math.floor(65536 ** Math.random()), this.length - this.sent);
    const at = this.sent % PERIOD;
    return PATTERN.subarray(at, at + size);
  }

  compare(chunk) {
    const at = this.received % PERIOD;
    if (!chunk.equals(PATTERN.subarray(at, at + chunk.length)))
      throw new Error(`other bytes came back between ${this.received} and ${this.received + chunk.length}`);
    this.received += chunk.length;
    progress.bytes += chunk.length;
  }

  /** At the end of the stream. */
  finish() {
    if (this.received !== this.length) throw new Error(`${this.received} of ${this.length} bytes came back`);
  }
}

const progress = { bytes: 0, faults: new Map(), log: [] };

function faultsFor(side, own) {
  return {
    seed: own,
    calls: FAULTS,
    onFault(fault) {
      const name = `${fault.call} ${fault.fault}`;
      progress.faults.set(name, (progress.faults.get(name) ?? 0) + 1);
      if (values.log !== undefined) progress.log.push({ side, ...fault });
    },
  };
}

/** Tries again what an injected fault has ended before it began. */
async function persist(attempt) {
  for (let i = 0; ; i += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (i === 100) throw error;
    }
  }
}

/** Calls `accept` until it would block; what it throws is tried again. */
function acceptWaiting(listener, admit) {
  for (;;) {
    let socket;
    try {
      socket = listener.accept();
    } catch {
      // The listener is ready still: the next turn tells it again.
      return;
    }
    if (socket === null) return;
    admit(socket);
  }
}

/** What a raw socket has received and not yet sent. */
class Pending {
  buffer = Buffer.alloc(65536);
  start = 0;
  end = 0;
  ended = false;

  get empty() {
    return this.start === this.end;
  }

  receive(socket) {
    const count = socket.recv(this.buffer);
    if (count === WOULD_BLOCK) return;
    if (count === 0) this.ended = true;
    else [this.start, this.end] = [0, count];
  }

  send(socket) {
    const count = socket.send(this.buffer, this.start, this.end - this.start);
    if (count !== WOULD_BLOCK) this.start += count;
  }
}

// --- the three forms -------------------------------------------------------------------------------------------------

const forms = {
  async connection(server, client) {
    const echo = {
      data(connection, chunk) {
        if (!connection.write(chunk)) connection.pause();
      },
      drain: (connection) => connection.resume(),
    };
    const listener = await persist(() => server.serve(LOOPBACK, echo));
    listener.on('error', () => {});
    await eachStream(async (stream) => {
      const connection = await persist(() => client.open(listener.socket.localAddress));
      await new Promise((resolve, reject) => {
        const fill = () => {
          for (;;) {
            const chunk = stream.next();
            if (chunk.length === 0) {
              connection.end();
              return;
            }
            stream.sent += chunk.length;
            if (!connection.write(chunk)) return;
          }
        };
        connection.on('data', (chunk) => {
          try {
            stream.compare(chunk);
          } catch (error) {
            connection.destroy(error);
          }
        });
        connection.on('drain', fill);
        connection.on('error', reject);
        connection.on('close', resolve);
        fill();
      });
    });
    await listener.close();
  },

  async registration(server, client) {
    const listener = await persist(() => server.listen(LOOPBACK));
    const echo = {
      readable(socket, registration) {
        const pending = registration.data;
        if (pending.empty) pending.receive(socket);
        if (pending.ended) socket.close();
        else if (!pending.empty) this.writable(socket, registration);
      },
      writable(socket, registration) {
        registration.data.send(socket);
        registration.modify(registration.data.empty ? READABLE : WRITABLE);
      },
    };
    server.register(listener, READABLE, {
      readable: () =>
        acceptWaiting(listener, (socket) => server.register(socket, READABLE, echo, { data: new Pending() })),
    });
    const into = Buffer.alloc(65536);
    await eachStream(async (stream) => {
      const socket = await persist(() => client.connect(listener.localAddress));
      await new Promise((resolve, reject) => {
        const guarded = (step) => (_socket, registration) => {
          try {
            step(registration);
          } catch (error) {
            socket.close();
            reject(error);
          }
        };
        client.register(socket, READABLE | WRITABLE, {
          readable: guarded(() => {
            const count = socket.recv(into);
            if (count === WOULD_BLOCK) return;
            if (count > 0) stream.compare(into.subarray(0, count));
            else {
              socket.close();
              resolve();
            }
          }),
          writable: guarded((registration) => {
            const chunk = stream.next();
            if (chunk.length > 0) {
              const count = socket.send(chunk);
              if (count !== WOULD_BLOCK) stream.sent += count;
              return;
            }
            socket.shutdown('write');
            registration.modify(READABLE);
          }),
        });
      });
    });
    listener.close();
  },

  async select(server, client) {
    const listener = await persist(() => server.listen(LOOPBACK));
    const open = new Map();
    let serving = true;
    const serve = async () => {
      while (serving || open.size > 0) {
        const readers = [...open].filter(([, pending]) => pending.empty).map(([socket]) => socket);
        const writers = [...open].filter(([, pending]) => !pending.empty).map(([socket]) => socket);
        if (serving) readers.push(listener);
        const [readable, writable] = await server.select(readers, writers, [], 20);
        for (const socket of readable) {
          if (socket === listener) {
            acceptWaiting(listener, (accepted) => open.set(accepted, new Pending()));
            continue;
          }
          const pending = open.get(socket);
          pending.receive(socket);
          if (!pending.ended) continue;
          open.delete(socket);
          socket.close();
        }
        for (const socket of writable) open.get(socket).send(socket);
      }
    };
    const served = serve();
    const into = Buffer.alloc(65536);
    await eachStream(async (stream) => {
      const socket = await persist(() => client.connect(listener.localAddress));
      let sending = true;
      for (;;) {
        const [readable, writable] = await client.select([socket], sending ? [socket] : [], []);
        if (writable.length > 0) {
          const chunk = stream.next();
          if (chunk.length === 0) {
            socket.shutdown('write');
            sending = false;
          } else stream.sent += Math.max(0, socket.send(chunk));
        }
        if (readable.length === 0) continue;
        const count = socket.recv(into);
        if (count === 0) break;
        if (count !== WOULD_BLOCK) stream.compare(into.subarray(0, count));
      }
      socket.close();
    });
    serving = false;
    await served;
    listener.close();
  },
};

async function eachStream(echo) {
  const share = Math.ceil(bytes / connections);
  const lengths = Array.from({ length: connections }, (_, i) => Math.max(0, Math.min(share, bytes - i * share)));
  await Promise.all(
    lengths.map(async (length) => {
      const stream = new Stream(length);
      await echo(stream);
      stream.finish();
    }),
  );
}

// --- the run ---------------------------------------------------------------------------------------------------------

const descriptors = () => readdirSync('/proc/self/fd').length;

async function run(form) {
  const before = descriptors();
  progress.bytes = 0;
  progress.faults.clear();
  const server = new Reactor({ backend: 'kernel', faults: faultsFor('server', seed) });
  const client = new Reactor({ backend: 'kernel', faults: faultsFor('client', seed + 1) });
  const began = performance.now();
  const ticker = setInterval(() => {
    console.log(`${form}: ${(progress.bytes / 2 ** 20).toFixed(0)} of ${(bytes / 2 ** 20).toFixed(0)} MiB came back`);
  }, 5000);
  try {
    await forms[form](server, client);
  } finally {
    clearInterval(ticker);
    const left = server.metrics.registrations + client.metrics.registrations;
    server.close();
    client.close();
    if (left > 0) console.log(`${form}: ${left} registrations were left`);
  }
  const seconds = (performance.now() - began) / 1000;
  // uv_close takes a round of the loop.
  for (let i = 0; i < 50 && descriptors() > before; i += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  const left = descriptors() - before;
  if (left > 0) throw new Error(`${left} descriptors were left open`);
  const total = [...progress.faults.values()].reduce((sum, count) => sum + count, 0);
  const kinds = [...progress.faults].sort().map(([name, count]) => `${name} ${count}`);
  console.log(`${form}: ok, ${bytes} bytes in ${seconds.toFixed(1)} s, ${total} faults (${kinds.join(', ')})`);
}

for (const form of values.form === 'all' ? FORMS : [values.form]) {
  try {
    await run(form);
  } catch (error) {
    console.error(`${form}: FAILED with seed ${seed}: ${error.stack}`);
    process.exitCode = 1;
  }
}
if (values.log !== undefined) writeFileSync(values.log, JSON.stringify(progress.log));
