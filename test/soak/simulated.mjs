#!/usr/bin/env node
/**
 * How long a simulated network takes: connections that exchange messages while it faults in every way that costs no
 * connection, and days in which nothing but a timer of a minute runs. The short form of it runs in
 * test/simulated/speed.test.ts.
 */
import assert from 'node:assert/strict';
import { Reactor } from '@fdset/reactor';
import { SimulatedNetwork } from '@fdset/reactor/testing';
import { readOptions, whole } from '../../scripts/options.mjs';

const HELP = `node test/soak/simulated.mjs [options]

  --connections n  at the same time (1000)
  --messages n     that each sends, and gets back before it sends the next (100)
  --bytes n        of each message (64)
  --days n         without anything but a timer of a minute (30)
  --seed n         of the faults (1)
  --runs n         of both (3): the first one has cold code
  --help           this text

A run ends with a line of JSON: the messages that came back, the hash of the trace, and of both parts the seconds that passed
and those of the processor, which say more on a busy machine.
Ends with 0 when all came back, with the same trace in every run.`;

const { values } = readOptions(HELP, {
  connections: whole(1000),
  messages: whole(100),
  bytes: whole(64),
  days: whole(30),
  seed: whole(1, 0),
  runs: whole(3),
});

const FAULTS = { splits: true, partialSends: true, spurious: true, wouldBlock: true, emfile: true };
const DAY_MS = 24 * 3_600_000;
const MINUTE_MS = 60_000;

/** Tries again while there are no descriptors. */
async function retried(attempt) {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (error.code !== 'EMFILE') throw error;
    }
  }
}

/** Connects, sends one message after the other, each when the echo of the one before is complete; returns how many came back. */
async function converse(reactor, address) {
  const connection = await retried(() => reactor.open(address));
  const message = Buffer.alloc(values.bytes, 'message ');
  let echoed = 0;
  let missing = values.bytes;
  connection.on('data', (chunk) => {
    missing -= chunk.length;
    if (missing > 0) return;
    missing = values.bytes;
    echoed += 1;
    if (echoed < values.messages) connection.write(message);
    else connection.end();
  });
  connection.write(message);
  await new Promise((resolve) => connection.once('close', resolve));
  return echoed;
}

async function exchange() {
  const network = new SimulatedNetwork({ seed: values.seed, faults: FAULTS, latencyMs: [1, 20] });
  const [near, far] = [new Reactor({ backend: network.backend() }), new Reactor({ backend: network.backend() })];
  const took = stopwatch();
  const counts = await network.run(async () => {
    const handler = { data: (connection, chunk) => void connection.write(chunk) };
    const options = { backlog: values.connections };
    const listener = await retried(() => far.serve({ host: '127.0.0.1', port: 0 }, handler, options));
    const { localAddress } = listener.socket;
    return Promise.all(Array.from({ length: values.connections }, () => converse(near, localAddress)));
  });
  const times = took();
  near.close();
  far.close();
  return { messages: counts.reduce((sum, count) => sum + count, 0), trace: network.trace, times };
}

async function idle() {
  const network = new SimulatedNetwork({ seed: values.seed, faults: FAULTS });
  const reactor = new Reactor({ backend: network.backend() });
  let minutes = 0;
  reactor.setTimer(
    MINUTE_MS,
    () => {
      minutes += 1;
    },
    { repeatMs: MINUTE_MS },
  );
  const took = stopwatch();
  await network.advance(values.days * DAY_MS);
  const times = took();
  reactor.close();
  return { minutes, times };
}

/** Of what is done until the result is called. */
function stopwatch() {
  const began = performance.now();
  const used = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(used);
    return { seconds: (performance.now() - began) / 1000, cpuSeconds: (user + system) / 1e6 };
  };
}

let first;
for (let run = 0; run < values.runs; run += 1) {
  const { messages, trace, times } = await exchange();
  const { minutes, times: idleTimes } = await idle();
  console.log(JSON.stringify({ messages, trace, ...times, idleDays: values.days, idle: idleTimes }));
  first ??= trace;
  assert.equal(messages, values.connections * values.messages, 'a message did not come back');
  assert.equal(minutes, (values.days * DAY_MS) / MINUTE_MS, 'the timer did not fire each minute');
  assert.equal(trace, first, 'the same seed had another trace');
}
