/** The harness against real servers, right ones and faulty ones, through both load clients. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { benchFolder, compile, compiler } from '../compile.js';
import { Histogram } from '../load/histogram.js';
import type { LoadOptions } from '../load/result.js';
import { type ResultsFile, readResults } from '../results/results.js';
import { choosePlacement } from './placement.js';
import { measure } from './session.js';

const cc = compiler();
const dist = (file: string) => path.join(benchFolder, 'dist', file);
const built = existsSync(dist('cli.js'));
const clients = [
  ...(cc ? [['c', [compile('load', cc)]] as const] : []),
  ...(built ? [['ts', [process.execPath, dist('load/client.js')]] as const] : []),
] as const;
const servers = [
  ...(cc ? [['c-epoll', [compile('epoll-echo', cc)]] as const] : []),
  ['node-net', [process.execPath, dist('targets/node-net.js')]] as const,
] as const;
const faulty = (fault: string) => [process.execPath, dist('testing/faulty-server.js'), '--fault', fault];
const folder = mkdtempSync(path.join(os.tmpdir(), 'fdset-bench-'));
afterAll(() => rmSync(folder, { recursive: true }));

const load: Omit<LoadOptions, 'host' | 'port' | 'serverPids'> = {
  shape: 'sessions',
  connections: 5,
  idle: 0,
  size: 64,
  pipeline: 1,
  frame: null,
  warmup: 0.05,
  duration: 0.2,
  interval: 0.002,
  // A server that the system keeps waiting has not answered anything by then.
  atLeast: 200,
  longest: 10,
  settle: 0.1,
  stall: 5,
  collect: false,
};

function run(
  server: readonly string[],
  kind: 'c' | 'ts',
  client: readonly string[],
  changes: Partial<typeof load> = {},
) {
  return measure({ server, client, clientKind: kind, placement: choosePlacement(true), load: { ...load, ...changes } });
}

function children(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]) === pid;
      } catch {
        return false;
      }
    })
    .map(Number);
}

it('is built: the tests run what `node scripts/prepare.mjs` makes', () => {
  expect(built, 'bench/dist is missing').toBe(true);
});

describe.each(clients)('with the %s client', (kind, client) => {
  it.each(servers)('%s is measured in sessions', async (_name, server) => {
    const { outcome, reason, load: result, stop } = await run(server, kind, client, { pipeline: 4, frame: 'u32' });
    expect(reason).toBeUndefined();
    expect(outcome).toBe('ok');
    expect(result).toMatchObject({
      schema: 2,
      client: kind,
      shape: 'sessions',
      messageBytes: 68,
      errors: {},
      options: { connections: 5, pipeline: 4, frame: 'u32' },
    });
    expect(result!.messages).toBeGreaterThan(100);
    expect(result!.latency.count).toBe(result!.messages);
    expect(result!.latency.histogramNs.reduce((sum, [, count]) => sum + count, 0)).toBe(result!.messages);
    const { p50, p90, p99, p999, max } = result!.latency;
    expect([p50, p90, p99, p999, max]).toEqual([p50, p90, p99, p999, max].sort((a, b) => a - b));
    expect(p50).toBeGreaterThan(1);
    // The histogram of either client, read by the code of the other.
    const histogram = new Histogram();
    for (const [value, count] of result!.latency.histogramNs) histogram.record(value, count);
    expect(Math.abs(histogram.percentile(0.99) / 1000 - p99)).toBeLessThanOrEqual(p99 / 100);
    expect(result!.perConnection!.least).toBeGreaterThan(0);
    expect(result!.startupSeconds).toBeGreaterThan(0);
    expect(result!.server!.cpuSeconds).toBeGreaterThan(0);
    expect(result!.server!.cpuSeconds).toBeLessThan(result!.elapsedSeconds * os.cpus().length + 0.05);
    expect(result!.server!.pssBytes).toBeGreaterThan(50_000);
    expect(result!.server!.processes).toBe(1);
    expect(stop).toMatchObject({ graceful: true, leftBehind: false });
  });

  it.each(servers)('%s is measured in arrivals', async (_name, server) => {
    const { outcome, reason, load: result } = await run(server, kind, client, { shape: 'arrivals' });
    expect(reason).toBeUndefined();
    expect(outcome).toBe('ok');
    expect(result!.errors).toEqual({});
    expect(result!.messages).toBeGreaterThan(20);
    expect(result!.latency.count).toBe(result!.messages);
  });

  it.each(servers)('%s is measured with idle connections', async (_name, server) => {
    const gc = server[0] === process.execPath ? [server[0], '--expose-gc', ...server.slice(1)] : server;
    const {
      outcome,
      reason,
      load: result,
    } = await run(gc, kind, client, { shape: 'idle', connections: 600, collect: true });
    expect(reason).toBeUndefined();
    expect(outcome).toBe('ok');
    expect(result!.server!.pssBytesBefore).toBeGreaterThan(50_000);
    expect(result!.server!.pssBytes).toBeGreaterThan(50_000);
  });

  it.each(servers)('%s is measured with quiet connections beside one that floods', async (_name, server) => {
    const begun = performance.now();
    const changes = { shape: 'flood', interval: 0.02, duration: 0.5, atLeast: 50 } as const;
    const { outcome, reason, load: result, stop } = await run(server, kind, client, changes);
    const seconds = (performance.now() - begun) / 1000;
    expect(reason).toBeUndefined();
    expect(outcome).toBe('ok');
    expect(result).toMatchObject({ shape: 'flood', errors: {} });
    // At most what was due: 5 connections, a message each 20 ms. What a stall before the clock has kept back comes after it.
    expect(result!.messages).toBeGreaterThanOrEqual(50);
    expect(result!.messages).toBeLessThanOrEqual(5 * (Math.ceil(seconds / 0.02) + 1));
    expect(result!.latency.count).toBe(result!.messages);
    // More than one connection with a message in flight could bring, and than a window.
    expect(result!.floodBytes).toBeGreaterThan(1_000_003);
    expect(stop).toMatchObject({ graceful: true });
  });

  it.each([
    ['corrupt', 'corrupt', /^(the connection that floods: something else than was sent|connection \d+: byte)/],
    ['close', 'failed', /closed (by the server|the connection)|the server lost|reset|pipe/i],
    ['stall', 'stalled', /no reply for 0.6 s|nothing (was answered|came back)/],
  ])('a server that would %s under a flood is found out', async (fault, expected, message) => {
    const stall = fault === 'stall' ? 0.6 : load.stall;
    const { outcome, reason } = await run(faulty(fault), kind, client, { shape: 'flood', duration: 20, stall });
    expect(outcome).toBe(expected);
    expect(reason).toMatch(message);
  });

  it('what a pause of the server keeps back counts from when it was due: one pause is many slow messages', async () => {
    const changes = { shape: 'flood', interval: 0.02, warmup: 0, duration: 2.5 } as const;
    const { outcome, reason, load: result } = await run([...faulty('pause'), '--after', '400'], kind, client, changes);
    expect(reason).toBeUndefined();
    expect(outcome).toBe('ok');
    // In 300 ms each of the 5 connections would have asked 15 times.
    const slow = result!.latency.histogramNs.filter(([ns]) => ns > 50e6).reduce((sum, [, count]) => sum + count, 0);
    expect(slow).toBeGreaterThan(30);
  });

  it('messages larger than both socket buffers come through: the client reads while it writes', async () => {
    const { outcome, load: result } = await run(servers.at(-1)![1], kind, client, {
      connections: 2,
      size: 8_000_000,
      duration: 0.4,
      atLeast: 2,
    });
    expect(outcome).toBe('ok');
    expect(result!.messageBytes).toBe(8_000_000);
  });

  it('one corrupted byte is found and told', async () => {
    const { outcome, reason } = await run(faulty('corrupt'), kind, client);
    expect(outcome).toBe('corrupt');
    expect(reason).toMatch(
      /^connection \d: byte 32 of message \d+ came back as 0x[0-9a-f]{2} where 0x[0-9a-f]{2} was sent$/,
    );
  });

  it('a server that stalls is given up after the stall time, and the result says so', async () => {
    const begun = performance.now();
    const { outcome, reason } = await run(faulty('stall'), kind, client, { duration: 60, stall: 0.6 });
    expect(outcome).toBe('stalled');
    expect(reason).toMatch(
      /no reply for 0.6 s in phase (warmup|measure): 5 of 5 connections open, \d+ messages before/,
    );
    expect(performance.now() - begun).toBeLessThan(5000);
  });

  it('a server that closes early has failed, and the early ends are counted', async () => {
    const { outcome, reason, load: result } = await run(faulty('close'), kind, client);
    expect(outcome).toBe('failed');
    expect(reason).toMatch('closed the connection before its reply');
    expect(result!.errors.EOF).toBeGreaterThan(0);
  });

  it.each(['exit', 'die'])(
    'a server that crashes is told with its own error, also where its connections end first: %s',
    async (fault) => {
      const { outcome, reason } = await run(faulty(fault), kind, client);
      expect(outcome).toBe('failed');
      expect(reason).toMatch('the server ended by itself (code 1): RangeError: deliberate');
    },
  );
});

it('a server that ignores SIGTERM is killed, and that is recorded', async () => {
  const { outcome, stop } = await run(faulty('deaf'), clients[0]![0], clients[0]![1]);
  expect(outcome).toBe('ok');
  expect(stop).toMatchObject({ graceful: false });
});

it('a server that does not start has failed with its last words', async () => {
  const { outcome, reason } = await run([process.execPath, '-e', 'throw new TypeError("no")', '--'], 'c', ['true']);
  expect(outcome).toBe('failed');
  expect(reason).toMatch('before it was ready: TypeError: no');
});

// Some ten programs, one after the other.
describe('the command', { timeout: 60_000 }, () => {
  const args = (out: string, ...more: string[]) => [
    dist('cli.js'),
    'echo',
    '--targets',
    'node-net',
    '--connections',
    '2',
    '--rounds',
    '2',
    '--out',
    out,
    ...more,
  ];

  it('writes its results and ends with 1 when a --fail-if is true', async () => {
    const out = path.join(folder, 'fail');
    const child = spawn(
      process.execPath,
      args(
        out,
        '--warmup',
        '0.05',
        '--duration',
        '0.1',
        '--slice',
        '0.05',
        '--seed',
        '3',
        '--fail-if',
        'node-net/node-net echo < 2',
      ),
      { stdio: 'ignore' },
    );
    const code = await new Promise((resolve) => child.once('exit', resolve));
    expect(code).toBe(1);
    const results: ResultsFile = readResults(path.join(out, readdirSync(out)[0]!));
    expect(results).toMatchObject({ kind: 'fdset-bench', seed: 3, client: cc ? 'c' : 'ts' });
    expect(results.finishedAt).not.toBeNull();
    expect(results.cells.map((cell) => [cell.round, cell.outcome, cell.slices?.length])).toEqual([
      [1, 'ok', 2],
      [2, 'ok', 2],
    ]);
  });

  it('goes on, and writes its results, where who reads its output has left', async () => {
    const out = path.join(folder, 'left');
    const times = ['--warmup', '0.05', '--duration', '0.1', '--slice', '0.05'];
    const child = spawn(process.execPath, args(out, ...times), { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    child.stderr.destroy();
    expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(0);
    expect(readResults(path.join(out, readdirSync(out)[0]!)).finishedAt).not.toBeNull();
  });

  it.each(['SIGINT', 'SIGKILL'] as const)('after %s no child is left', async (signal) => {
    const out = path.join(folder, signal);
    const child = spawn(process.execPath, args(out, '--duration', '30'), { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', (code, by) => resolve(by ?? code)));
    // The server and the load client.
    let pids: number[] = [];
    while (pids.length < 2 && child.exitCode === null) {
      await sleep(20);
      pids = children(child.pid!);
    }
    expect(pids).toHaveLength(2);
    child.kill(signal);
    expect(await ended).toBe(signal === 'SIGINT' ? 130 : 'SIGKILL');
    const alive = () => pids.filter((pid) => existsSync(`/proc/${pid}`));
    for (let i = 0; i < 250 && alive().length > 0; i++) await sleep(20);
    expect(alive()).toEqual([]);
  });
});
