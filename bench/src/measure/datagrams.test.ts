/** The shape `datagrams` of the C load client, against the targets and against servers with a fault. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { benchFolder, compile, compiler } from '../compile.js';
import type { LoadOptions } from '../load/result.js';
import { commandOf, targetNamed } from '../plan/targets.js';
import { workloads } from '../plan/workloads.js';
import { choosePlacement } from './placement.js';
import { measure } from './session.js';

const cc = compiler();
const dist = (file: string) => path.join(benchFolder, 'dist', file);
const targets = workloads.find(({ name }) => name === 'datagrams')!.targets;
const faulty = (fault: string, after = 100) => [
  ...[process.execPath, dist('testing/faulty-datagrams.js')],
  ...['--fault', fault, '--after', String(after)],
];

const load: Omit<LoadOptions, 'host' | 'port' | 'serverPids'> = {
  ...{ shape: 'datagrams', connections: 64, idle: 0, size: 64, pipeline: 1, frame: null, interval: 0 },
  ...{ warmup: 0.05, duration: 0.2, atLeast: 1500, longest: 10, settle: 0.1, stall: 5, collect: false },
  // A server that the system keeps waiting for 200 ms has lost nothing.
  lostAfter: 4,
};

function run(server: readonly string[], changes: Partial<typeof load> = {}) {
  const client = [compile('load', cc!)];
  return measure({
    ...{ server, client, clientKind: 'c' as const, placement: choosePlacement(true) },
    load: { ...load, ...changes },
  });
}

describe.runIf(cc)('datagrams', () => {
  it.each(targets)('%s is measured, and nothing is lost', async (name) => {
    const server = commandOf(targetNamed(name), (program) => compile(program as 'udp-echo', cc!));
    const { outcome, reason, load: result, stop } = await run(server);
    expect(reason).toBeUndefined();
    expect(outcome).toBe('ok');
    expect(result).toMatchObject({ shape: 'datagrams', client: 'c', messageBytes: 64, errors: {}, lostDatagrams: 0 });
    expect(result!.messages).toBeGreaterThan(200);
    expect(result!.latency.count).toBe(result!.messages);
    expect(result!.latency.p50).toBeGreaterThan(1);
    expect(result!.server!.cpuSeconds).toBeGreaterThan(0);
    expect(stop).toMatchObject({ graceful: true, leftBehind: false });
  });

  it.each([
    [1, 2048],
    [64, 16],
    [1024, 17],
  ])('%i of %i bytes in flight come back whole', async (connections, size) => {
    const server = commandOf(targetNamed('datagram-batch'), () => '');
    const { outcome, reason, load: result } = await run(server, { connections, size });
    expect(reason).toBeUndefined();
    expect(outcome).toBe('ok');
    expect(result!.messages).toBeGreaterThan(connections);
  });

  it.each([
    ['corrupt', /^datagram \d+: byte 32 came back as 0x[0-9a-f]{2} where 0x[0-9a-f]{2} was sent$/],
    ['head', /^(datagram \d+: byte \d+ came back as|datagram \d+ came back twice)/],
    ['short', /^a datagram of 63 bytes came back where 64 were sent$/],
    ['double', /^datagram \d+ came back twice$/],
  ])('a reply that is wrong (%s) is found and told', async (fault, message) => {
    const { outcome, reason } = await run(faulty(fault), { duration: 20, longest: 20 });
    expect(outcome).toBe('corrupt');
    expect(reason).toMatch(message);
  });

  it.each(['drop', 'late'])(
    'a datagram that is lost (%s) is counted once, and its place filled again',
    async (fault) => {
      // The only one in flight: without a new one in its place nothing would come back any more. The late one comes after 1.5 s.
      const {
        outcome,
        reason,
        load: result,
      } = await run(faulty(fault), {
        ...{ connections: 1, warmup: 0, duration: 2, atLeast: 200, longest: 10, lostAfter: 1 },
      });
      expect(reason).toBeUndefined();
      expect(outcome).toBe('ok');
      expect(result!.lostDatagrams).toBe(1);
      expect(result!.messages).toBeGreaterThanOrEqual(200);
    },
  );

  it('a server that stalls is given up after the stall time, and what it lost is told', async () => {
    const { outcome, reason, load: result } = await run(faulty('stall'), { duration: 60, longest: 60, stall: 0.6 });
    expect(outcome).toBe('stalled');
    expect(reason).toMatch(/no reply for 0.6 s in phase (warmup|measure): 64 of 64 datagrams in flight, \d+ messages/);
    expect(result!.messages).toBeLessThanOrEqual(100);
  });

  it('a server that dies has failed with its own error', async () => {
    const { outcome, reason } = await run(faulty('exit'), { duration: 20, longest: 20 });
    expect(outcome).toBe('failed');
    expect(reason).toMatch('the server ended by itself (code 1): RangeError: deliberate');
  });

  it.each([
    [['--size', '15'], 'a datagram has 16 to 2048 bytes, not 15'],
    [['--size', '2049'], 'a datagram has 16 to 2048 bytes, not 2049'],
    [['--connections', '1025'], 'at most 1024 datagrams are in flight, not 1025'],
    [['--pipeline', '2'], 'one message at a time'],
  ])('%j is refused', (args, message) => {
    const { status, stderr } = spawnSync(compile('load', cc!), ['datagrams', '--port', '9', ...args]);
    expect(status).toBe(1);
    expect(String(stderr)).toMatch(message);
  });
});

it('the load client in TypeScript says that it has no datagrams', () => {
  const { status, stderr } = spawnSync(process.execPath, [dist('load/client.js'), 'datagrams', '--port', '9']);
  expect(status).not.toBe(0);
  expect(String(stderr)).toMatch('datagrams need load/load.c');
});
