/** Idle connections beside the load, held by either client. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { benchFolder, compile, compiler } from '../compile.js';
import type { ClientKind } from '../load/result.js';
import { seededRandom } from '../results/statistics.js';
import { choosePlacement } from './placement.js';
import { runRound } from './round.js';
import type { Measurement, Setup } from './session.js';

const cc = compiler();
const clients = [
  ...(cc ? [['c', [compile('load', cc)]] as const] : []),
  ['ts', [process.execPath, path.join(benchFolder, 'dist/load/client.js')]] as const,
] as const;
const folder = mkdtempSync(path.join(os.tmpdir(), 'fdset-bench-'));
afterAll(() => rmSync(folder, { recursive: true }));

const load: Setup['load'] = {
  ...{ shape: 'sessions', connections: 4, idle: 300, size: 64, pipeline: 1, frame: null, interval: 0.002 },
  ...{ warmup: 0.05, duration: 0.3, atLeast: 1, longest: 2, settle: 0.1, stall: 5, collect: false },
};

/** An echo; `each` is done with every connection, and `last` when it is asked to end. */
const server = (each: string, last = '') => [
  ...[process.execPath, '-e'],
  `let accepted = 0, open = 0, messages = 0, least = Infinity;
  const server = require('node:net').createServer((socket) => {
    accepted++; open++;
    socket.on('data', (data) => { socket.write(data); if (++messages > 3) least = Math.min(least, open); });
    socket.on('close', () => open--).on('error', () => {});
    ${each}
  }).listen(0, '127.0.0.1', () => console.log('ready ' + server.address().port));
  process.on('SIGTERM', () => { ${last}; process.exit(); });
  process.stdin.on('end', () => process.exit()).resume();`,
  '--',
];

async function round(command: readonly string[], clientKind: ClientKind, client: readonly string[], idle = load.idle) {
  const setup: Setup = {
    ...{ server: command, client, clientKind, placement: choosePlacement(true) },
    load: { ...load, idle },
  };
  const contestant = { target: 'it', setup, sliced: true, warmUp: { messages: 0, loads: 1 } };
  const doing = new Set<string>();
  const done = await runRound(
    [contestant],
    { passes: 3, random: seededRandom(5), signal: new AbortController().signal },
    { onProgress: (_, what) => doing.add(what), onStep: () => {} },
  );
  return { doing: [...doing], measurement: done.get('it') as Measurement };
}

describe.each(clients)('idle connections that the %s client holds', (kind, client) => {
  it('are opened once, before the warm-up, and stay open over all slices', async () => {
    const told = path.join(folder, `${kind}.json`);
    const last = `require('node:fs').writeFileSync(${JSON.stringify(told)}, JSON.stringify({ accepted, least }))`;
    const { measurement } = await round(server('', last), kind, client);
    expect(measurement.reason).toBeUndefined();
    expect(measurement).toMatchObject({ outcome: 'ok', load: { options: { connections: 4, idle: 300 }, errors: {} } });
    expect(measurement.slices!.map(({ figures }) => figures.options.idle)).toEqual([300, 300, 300]);
    const { accepted, least } = JSON.parse(readFileSync(told, 'utf8')) as Record<string, number>;
    // A probe for each 128 of them, and four connections for the warm-up and for each slice.
    expect(accepted).toBe(300 + 3 + 4 * 4);
    // All of them, beside every message but those of the probes.
    expect(least).toBeGreaterThan(300);
  });

  it('make their server fail when it closes one of them', async () => {
    const { measurement } = await round(
      server('if (accepted === 200) setTimeout(() => socket.destroy(), 400)'),
      kind,
      client,
    );
    expect(measurement.outcome).toBe('failed');
    expect(measurement.reason).toMatch(/the server closed (a connection that was held|an idle connection)|ECONNRESET/);
    expect(measurement.load?.messages).toBeUndefined();
  });

  it('make their server fail when it closes one of them while others are still being opened', async () => {
    const { measurement } = await round(server('if (accepted === 200) socket.destroy()'), kind, client);
    expect(measurement.outcome).toBe('failed');
    expect(measurement.reason).toMatch(/the server closed (a connection that was held|an idle connection)|ECONNRESET/);
  });

  it('that cannot be opened are told with the reason', async () => {
    const { measurement, doing } = await round(
      server('if (accepted === 200) throw new RangeError("deliberate")'),
      kind,
      client,
    );
    expect(measurement.outcome).toBe('failed');
    expect(measurement.reason).toMatch(/ECONNRE|Connection re|EOF|closed|stalled|established/);
    expect(doing).not.toContain('warm-up');
  });

  it('are no part of a measurement that wants none', async () => {
    const told = path.join(folder, `${kind}-none.json`);
    const last = `require('node:fs').writeFileSync(${JSON.stringify(told)}, JSON.stringify({ accepted }))`;
    const { measurement } = await round(server('', last), kind, client, 0);
    expect(measurement).toMatchObject({ outcome: 'ok', load: { options: { idle: 0 } } });
    expect(existsSync(told) && JSON.parse(readFileSync(told, 'utf8'))).toEqual({ accepted: 16 });
  });
});
