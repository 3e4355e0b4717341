/** Rounds of slices over real servers, right ones and faulty ones. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { benchFolder, compile, compiler } from '../compile.js';
import { cpuSecondsBetween, readServer } from '../load/process-stats.js';
import { seededRandom } from '../results/statistics.js';
import { flagsOf } from '../results/summary.js';
import { choosePlacement } from './placement.js';
import { type Contestant, runRound } from './round.js';
import { Server } from './server.js';
import type { Measurement, Setup } from './session.js';

const dist = (file: string) => path.join(benchFolder, 'dist', file);
const cc = compiler();
const client = cc ? [compile('load', cc)] : [process.execPath, dist('load/client.js')];
const nodeNet = [process.execPath, dist('targets/node-net.js')];
const reactor = [process.execPath, dist('targets/reactor.js')];
const faulty = (fault: string, after: number) => [
  ...[process.execPath, dist('testing/faulty-server.js')],
  ...['--fault', fault, '--after', String(after)],
];
const placement = choosePlacement(true);
const folder = mkdtempSync(path.join(os.tmpdir(), 'fdset-bench-'));
afterAll(() => rmSync(folder, { recursive: true }));
const load: Setup['load'] = {
  ...{ shape: 'sessions', connections: 4, idle: 0, size: 64, pipeline: 1, frame: null, interval: 0.002 },
  ...{ warmup: 0.05, duration: 0.3, atLeast: 1, longest: 2, settle: 0.1, stall: 5, collect: false },
};

function contestant(target: string, server: readonly string[], sliced = true): Contestant<string> {
  return {
    target,
    sliced,
    warmUp: { messages: 0, loads: 1 },
    setup: { server, client, clientKind: cc ? 'c' : 'ts', placement, load },
  };
}

async function round(contestants: Contestant<string>[], passes: number) {
  const steps: string[] = [];
  const loads = new Set<string>();
  const done = await runRound(
    contestants,
    { passes, random: seededRandom(11), signal: new AbortController().signal },
    {
      onProgress: (target, doing) => loads.add(`${target} ${doing}`),
      onStep: (target, step) => steps.push(`${step} ${target}`),
    },
  );
  return { steps, loads, of: (target: string) => done.get(target) as Measurement };
}

describe('a round', () => {
  it('lets the load go from server to server, each once in every pass', async () => {
    const names = ['a', 'b', 'c'];
    const { of, steps } = await round(
      [contestant('a', nodeNet), contestant('b', reactor), contestant('c', nodeNet)],
      3,
    );
    expect(steps.slice(0, 3).sort()).toEqual(names.map((name) => `start ${name}`));
    for (let pass = 0; pass < 3; pass++)
      expect(steps.slice(3 + 3 * pass, 6 + 3 * pass).sort()).toEqual(names.map((name) => `slice ${name}`));
    for (const name of names) {
      const { outcome, reason, slices, load: sum, stop } = of(name);
      expect(reason).toBeUndefined();
      expect(outcome).toBe('ok');
      expect(stop).toMatchObject({ graceful: true, leftBehind: false });
      expect(slices!.map(({ pass }) => pass)).toEqual([1, 2, 3]);
      expect(slices!.reduce((messages, { figures }) => messages + figures.messages, 0)).toBe(sum!.messages);
      expect(sum!.latency.count).toBe(sum!.messages);
      for (const { figures } of slices!) expect(figures.server!.cpuSeconds).toBeGreaterThan(0);
    }
    for (let pass = 1; pass <= 3; pass++)
      expect(names.map((name) => of(name).slices![pass - 1]!.position).sort()).toEqual([1, 2, 3]);
  });

  it('a server that waits for its slice uses no CPU time, whatever the others do', async () => {
    const { of } = await round([contestant('a', nodeNet), contestant('b', reactor)], 3);
    for (const name of ['a', 'b']) {
      const { seconds, cpuSeconds } = of(name).idle!;
      expect(seconds).toBeGreaterThan(0.2);
      expect(cpuSeconds / seconds, name).toBeLessThan(0.05);
    }
  });

  it('a fresh server answers as many messages as were asked for before its first slice, however long that takes', async () => {
    const dying = contestant('dying', faulty('exit', 4000));
    const setup = { ...dying.setup, load: { ...load, warmup: 0.01 } };
    const { of, loads } = await round([{ ...dying, setup, warmUp: { messages: 5000, loads: 2 } }], 1);
    expect(of('dying').outcome).toBe('failed');
    expect([...loads]).toEqual(['dying warm-up']);
  });

  it('warms a fresh server in as many loads as were asked for, whose connections end and come anew', async () => {
    for (const [messages, loads] of [
      [200, 3],
      [0, 1],
    ] as const) {
      const told = path.join(folder, `${loads}.json`);
      const counting = `let accepted = 0;
        const server = require('node:net').createServer((socket) => {
          accepted++;
          socket.on('data', (data) => socket.write(data)).on('error', () => {});
        }).listen(0, '127.0.0.1', () => console.log('ready ' + server.address().port));
        process.on('SIGTERM', () => {
          require('node:fs').writeFileSync(${JSON.stringify(told)}, JSON.stringify(accepted));
          process.exit();
        });
        process.stdin.on('end', () => process.exit()).resume();`;
      const command = [process.execPath, '-e', counting, '--'];
      const { of } = await round([{ ...contestant('a', command), warmUp: { messages, loads } }], 1);
      expect(of('a').reason).toBeUndefined();
      // Four connections for each load of the warm-up, and for the slice.
      expect(JSON.parse(readFileSync(told, 'utf8'))).toBe(4 * (loads + 1));
    }
  });

  it('a server that dies under its load has failed, and the others go on', async () => {
    const { of } = await round([contestant('good', nodeNet), contestant('dying', faulty('exit', 300))], 4);
    expect(of('dying')).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('RangeError: deliberate') });
    expect(of('dying').slices).toBeUndefined();
    expect(of('good')).toMatchObject({ outcome: 'ok' });
    expect(of('good').slices).toHaveLength(4);
  });

  it('a server that does not start, or has failed before its first slice, has a reason', async () => {
    const broken = [process.execPath, '-e', 'throw new TypeError("no")', '--'];
    const { of, loads } = await round(
      [
        contestant('broken', broken),
        { ...contestant('corrupt', faulty('corrupt', 20)), warmUp: { messages: 100, loads: 2 } },
        contestant('good', nodeNet),
      ],
      1,
    );
    expect(of('broken')).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('TypeError: no') });
    expect(of('corrupt')).toMatchObject({ outcome: 'corrupt', stop: { graceful: true } });
    expect(of('good').slices).toHaveLength(1);
    expect([...loads].sort()).toEqual(['corrupt warm-up', 'good slice 1/1', 'good warm-up']);
  });

  it('what cannot be sliced is measured in one go, with a server of its own', async () => {
    const { of, steps } = await round([contestant('a', nodeNet), contestant('whole', nodeNet, false)], 2);
    expect(steps.filter((step) => step.endsWith('whole'))).toEqual(['whole whole']);
    expect(of('whole')).toMatchObject({ outcome: 'ok', stop: { graceful: true } });
    expect(of('whole').slices).toBeUndefined();
    expect(of('whole').load!.elapsedSeconds).toBeGreaterThanOrEqual(0.3);
    expect(of('a').slices).toHaveLength(2);
  });
});

describe('a server at rest', () => {
  const busy = (code: string) => [process.execPath, '-e', code, '--'];
  const burn =
    'const end = Date.now() + 20_000; setInterval(() => { const t = Date.now() + 40; while (Date.now() < t); if (t > end) process.exit(); }, 1)';
  const ready = "console.log('ready 1'); process.stdin.on('end', () => process.exit()).resume();";

  it.each([
    ['itself', `${ready} ${burn}`],
    ['a child', `${ready} require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(burn)}])`],
  ])('is caught when %s goes on working', async (_who, code) => {
    const server = await Server.start(busy(code), placement);
    if (!(server instanceof Server)) throw new Error(server.reason);
    await server.rest();
    const before = readServer([server.pid], false)!;
    // More than is wanted: what is read where a thread has ended meanwhile counts in ticks of 10 ms.
    while (cpuSecondsBetween(before, readServer([server.pid], false)!) < 0.25) await sleep(20);
    server.wake();
    expect(server.idle!.cpuSeconds).toBeGreaterThanOrEqual(0.2);
    expect(flagsOf({ workload: 'echo', target: 'any', round: 1, outcome: 'ok', idle: server.idle! })).toEqual([
      'not-idle',
    ]);
    await server.stop();
  });
});
