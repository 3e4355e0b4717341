import { describe, expect, it } from 'vitest';
import { compareRuns, requireComparable } from './compare.js';
import { judge, parseCondition } from './fail-if.js';
import type { LoadResult } from './load-result.js';
import type { Cell, ResultsFile } from './results.js';
import { flagsOf, summarize } from './summary.js';
import { renderWorkload } from './table.js';
import { workloads } from './workloads.js';

const echo = workloads.find((workload) => workload.name === 'echo')!;

function load(perCpuSecond: number, changes: Partial<LoadResult> = {}): LoadResult {
  return {
    schema: 1,
    client: 'c',
    shape: 'sessions',
    outcome: 'ok',
    startupSeconds: 0.01,
    elapsedSeconds: 1,
    messages: perCpuSecond / 2,
    messageBytes: 64,
    errors: {},
    options: { connections: 50, idle: 0, size: 64, pipeline: 1, frame: null, warmup: 0.5, duration: 1 },
    latency: {
      unit: 'us',
      count: 1,
      mean: 10,
      p50: 10,
      p90: 12,
      p99: 20,
      p999: 30,
      max: 40,
      oldestPending: 0,
      histogramNs: [],
    },
    sliceMs: 250,
    slices: [],
    clientCpuSeconds: 0.4,
    clientShare: 0.4,
    server: { cpuSeconds: 0.5, pssBytes: 1e6, pssBytesBefore: 0, processes: 1, threads: 1 },
    machine: { busySeconds: 0.9, stealSeconds: 0, listenOverflows: 0, retransmits: 0 },
    ...changes,
  } as LoadResult;
}

function cell(target: string, round: number, perCpuSecond: number, changes: Partial<LoadResult> = {}): Cell {
  return { workload: 'echo', target, round, position: 1, outcome: 'ok', load: load(perCpuSecond, changes) };
}

const cells = [
  cell('node-net', 1, 100),
  cell('node-net', 2, 50),
  cell('c-epoll', 1, 200),
  cell('c-epoll', 2, 100),
  cell('reactor', 1, 190),
  cell('reactor', 2, 90),
];

describe('--fail-if', () => {
  it('reads a ratio of two targets, an absolute figure, and a metric', () => {
    expect(parseCondition('registered/c-epoll echo < 0.95')).toEqual({
      text: 'registered/c-epoll echo < 0.95',
      target: 'registered',
      baseline: 'c-epoll',
      workload: 'echo',
      operator: '<',
      limit: 0.95,
    });
    expect(parseCondition('reactor idle>1e3')).toMatchObject({
      target: 'reactor',
      workload: 'idle',
      operator: '>',
      limit: 1000,
    });
    expect(parseCondition(' reactor / node-net pipelined.p99 >= 2 ')).toMatchObject({ metric: 'p99', operator: '>=' });
  });

  it('names the nearest of an unknown target, workload or metric, and refuses what it cannot read', () => {
    expect(() => parseCondition('reactr/node-net echo < 1')).toThrow("did you mean 'reactor'");
    expect(() => parseCondition('reactor/node-net eco < 1')).toThrow("did you mean 'echo'");
    expect(() => parseCondition('reactor echo.p9 < 1')).toThrow("did you mean 'p9");
    expect(() => parseCondition('reactor idle.rate < 1')).toThrow('unknown metric');
    for (const text of ['', 'echo < 1', 'reactor echo = 1', 'reactor echo < fast', 'reactor echo < 1 2'])
      expect(() => parseCondition(text)).toThrow('is not of the form');
  });

  it('judges by the median of the ratios within each round', () => {
    const verdict = judge(parseCondition('reactor/c-epoll echo < 0.95'), cells, [echo]);
    expect(verdict.value).toBeCloseTo((0.95 + 0.9) / 2);
    expect(verdict.failed).toBe(true);
    expect(judge(parseCondition('reactor/c-epoll echo < 0.9'), cells, [echo]).failed).toBe(false);
    expect(judge(parseCondition('reactor echo.p99 > 15'), cells, [echo])).toMatchObject({ value: 20, failed: true });
  });

  it('fails when there is nothing to judge by', () => {
    expect(judge(parseCondition('select/c-epoll echo < 0.1'), cells, [echo])).toMatchObject({
      value: undefined,
      failed: true,
    });
    expect(judge(parseCondition('reactor/c-epoll pipelined < 0.1'), cells, [echo]).failed).toBe(true);
  });
});

describe('the summary', () => {
  it('ranks by the headline and relates each target to both lines', () => {
    const rows = summarize(cells, echo);
    expect(rows.map((row) => row.target)).toEqual(['c-epoll', 'reactor', 'node-net']);
    expect(rows[1]).toMatchObject({ ofLine: { median: 0.925 }, ofBaseline: { least: 1.8, most: 1.9, count: 2 } });
    expect(rows[1]!.values.cpuPerMessage).toBeCloseTo((1e6 / 190 + 1e6 / 90) / 2);
  });

  it('flags a busy client, a busy machine and errors, with how many rounds they concern', () => {
    expect(flagsOf(cell('reactor', 1, 100, { clientShare: 0.86 }))).toEqual(['client-bound']);
    expect(flagsOf(cell('reactor', 1, 100, { clientShare: 0.85 }))).toEqual([]);
    expect(
      flagsOf(
        cell('reactor', 1, 100, {
          machine: { busySeconds: 1.1, stealSeconds: 0.03, listenOverflows: 0, retransmits: 0 },
        }),
      ),
    ).toEqual(['busy-machine', 'steal']);
    const rows = summarize(
      [
        cell('reactor', 1, 100, { clientShare: 0.99 }),
        cell('reactor', 2, 100),
        cell('node-net', 1, 50, { errors: { ECONNRESET: 2 } }),
      ],
      echo,
    );
    expect(rows.map((row) => row.flags)).toEqual([['client-bound 1/2'], ['ECONNRESET']]);
  });

  it('a target that failed in one round has a reason in place of figures, and comes last', () => {
    const rows = summarize(
      [
        cell('reactor', 1, 1000),
        { workload: 'echo', target: 'reactor', round: 2, position: 1, outcome: 'stalled', reason: 'no reply for 5 s' },
        cell('node-net', 1, 5),
      ],
      echo,
    );
    expect(rows[1]).toMatchObject({ target: 'reactor', reason: 'stalled in round 2: no reply for 5 s', values: {} });
    expect(renderWorkload(echo, rows)).toMatch('no reply for 5 s');
  });

  it('rows without CPU figures are shown without a headline', () => {
    const rows = summarize([cell('reactor', 1, 100, { server: null }), cell('node-net', 1, 5)], echo);
    expect(rows.map((row) => row.target)).toEqual(['node-net', 'reactor']);
    expect(rows[1]!.values.rate).toBe(50);
    expect(renderWorkload(echo, rows)).toMatch('reactor');
  });
});

describe('--compare', () => {
  const file = (client: 'c' | 'ts', own: Cell[]) =>
    ({
      client,
      placement: { kind: 'split', reason: '' },
      environment: { node: process.version },
      workloads: [echo],
      cells: own,
    }) as unknown as ResultsFile;

  it('compares ratios to node:net, not figures: a machine twice as fast changes nothing', () => {
    const faster = cells.map((each) => cell(each.target, each.round, each.load!.messages * 4));
    const { changes } = compareRuns(file('c', cells), file('c', faster));
    expect(changes.map((change) => [change.target, change.factor])).toEqual([
      ['c-epoll', 1],
      ['reactor', 1],
    ]);
  });

  it('says where the ranges of the ratios do not touch', () => {
    const run = (rate: number, rounds: number[]) =>
      file(
        'c',
        rounds.flatMap((round) => [cell('node-net', round, 100), cell('reactor', round, rate + round)]),
      );
    expect(compareRuns(run(180, [1, 2, 3]), run(182, [1, 2, 3])).changes).toMatchObject([{ apart: false }]);
    expect(compareRuns(run(180, [1]), run(250, [1])).changes).toMatchObject([{ apart: false }]);
    expect(compareRuns(run(180, [1, 2, 3]), run(250, [1, 2, 3])).changes).toMatchObject([
      { target: 'reactor', apart: true },
    ]);
  });

  it('refuses to mix the two load clients', () => {
    expect(() => requireComparable('c', file('ts', cells), 'old.json')).toThrow('never mixed');
    expect(() => requireComparable('ts', file('ts', cells), 'old.json')).not.toThrow();
  });

  it('leaves out a workload that was run with other parameters, and says so', () => {
    const old = { ...file('c', cells), workloads: [{ ...echo, connections: 7 }] };
    const { changes, notes } = compareRuns(old, file('c', cells));
    expect(changes).toEqual([]);
    expect(notes.join()).toMatch('other parameters');
  });
});
