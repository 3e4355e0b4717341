import { describe, expect, it } from 'vitest';
import { figuresOf, type LoadResult } from '../load/result.js';
import { workloads } from '../plan/workloads.js';
import { compareRuns, requireComparable } from './compare.js';
import { judge, parseCondition } from './fail-if.js';
import { headline, metricNamed } from './metrics.js';
import type { Cell, ResultsFile } from './results.js';
import { flagsOf, ratio, summarize, valuesOf } from './summary.js';
import { renderWorkload } from './table.js';

const echo = workloads.find((workload) => workload.name === 'echo')!;

function load(perCpuSecond: number, changes: Partial<LoadResult> = {}): LoadResult {
  return {
    schema: 2,
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
    clientCpuSeconds: 0.4,
    clientShare: 0.4,
    server: { cpuSeconds: 0.5, pssBytes: 1e6, pssBytesBefore: 0, processes: 1, threads: 1 },
    machine: { busySeconds: 0.9, stealSeconds: 0, listenOverflows: 0, retransmits: 0 },
    ...changes,
  } as LoadResult;
}

function cell(target: string, round: number, perCpuSecond: number, changes: Partial<LoadResult> = {}): Cell {
  return { workload: 'echo', target, round, outcome: 'ok', load: load(perCpuSecond, changes) };
}

/** A round of slices: their figures by pass, and no sum of them that could be taken by mistake. */
function sliced(target: string, round: number, perCpuSecond: number[]): Cell {
  const slices = perCpuSecond.map((value, index) => ({
    pass: index + 1,
    position: 1,
    figures: figuresOf(load(value)),
  }));
  return { ...cell(target, round, 1e9), slices };
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
  it('ranks by the headline and relates each target to the baselines of the workload', () => {
    const rows = summarize(cells, echo);
    expect(rows.map((row) => row.target)).toEqual(['c-epoll', 'reactor', 'node-net']);
    expect(rows[1]).toMatchObject({
      ratios: {
        'c-epoll': { median: 0.925 },
        'node-net': { least: 1.8, most: 1.9, quartiles: [1.825, 1.875], count: 2 },
      },
    });
    expect(rows[1]!.values.cpuPerMessage).toBeCloseTo((1e6 / 190 + 1e6 / 90) / 2);
  });

  it('pairs the slices of a pass: a machine that changes its speed between passes changes no ratio', () => {
    const own = [
      sliced('c-epoll', 1, [100, 200, 50]),
      sliced('reactor', 1, [90, 180, 45]),
      sliced('c-epoll', 2, [300]),
      sliced('reactor', 2, [150]),
    ];
    const [, row] = summarize(own, echo);
    expect(row).toMatchObject({ target: 'reactor', slices: 4, rounds: 2 });
    expect(row!.ratios['c-epoll']).toEqual({ median: 0.9, quartiles: [0.8, 0.9], least: 0.5, most: 0.9, count: 4 });
    expect(row!.values.perCpuSecond).toBe(120);
  });

  it('a slice that has no partner in its pass is in no ratio', () => {
    const own = [sliced('c-epoll', 1, [100]), sliced('reactor', 1, [90, 10]), sliced('reactor', 2, [10])];
    expect(ratio(own, 'echo', 'reactor', 'c-epoll', headline('sessions'))).toMatchObject({ median: 0.9, count: 1 });
  });

  it('a target that was measured in one go is paired with the sums of the rounds', () => {
    const own = [{ ...sliced('c-epoll', 1, [100, 300]), load: load(200) }, cell('thread', 1, 50)];
    expect(ratio(own, 'echo', 'thread', 'c-epoll', headline('sessions'))).toMatchObject({ median: 0.25, count: 1 });
  });

  it('percentiles are those of whole rounds, and compared by rounds, where a slice has too few messages above them', () => {
    const slow = (p99: number, count: number) => ({ latency: { ...load(1).latency, p99, count } });
    const of = (target: string, p99: number[], whole: number, counts: number[]): Cell => ({
      ...cell(target, 1, 1, slow(whole, 1e6)),
      slices: p99.map((value, index) => ({
        pass: index + 1,
        position: 1,
        figures: figuresOf(load(1, slow(value, counts[index]!))),
      })),
    });
    const p99 = metricNamed('p99');
    const enough = [2500, 2500];
    const base = of('c-epoll', [10, 100], 90, enough);
    const told = [base, of('reactor', [12, 150], 99, enough)];
    expect(valuesOf(told, 'echo', 'reactor', p99)).toEqual([12, 150]);
    expect(ratio(told, 'echo', 'reactor', 'c-epoll', p99)).toMatchObject({ median: 1.35, count: 2 });
    const tooFew = [base, of('reactor', [12, 150], 99, [2500, 2499])];
    expect(valuesOf(tooFew, 'echo', 'reactor', p99)).toEqual([99]);
    expect(ratio(tooFew, 'echo', 'reactor', 'c-epoll', p99)).toMatchObject({ median: 1.1, count: 1 });
    // Always: nothing lies above the slowest.
    expect(valuesOf(told, 'echo', 'reactor', metricNamed('max'))).toHaveLength(1);
    // The headline of a flood is such a one.
    expect(headline('flood')).toBe(p99);
  });

  it('a server that used CPU time while others were under load is flagged', () => {
    const rested = (cpuSeconds: number): Cell => ({ ...cell('reactor', 1, 100), idle: { seconds: 2, cpuSeconds } });
    expect(flagsOf(rested(0.021))).toEqual(['not-idle']);
    expect(flagsOf(rested(0.019))).toEqual([]);
  });

  it('datagrams that were lost are counted and flagged', () => {
    const workload = workloads.find(({ name }) => name === 'datagrams')!;
    const lossy = (round: number, lostDatagrams: number): Cell => ({
      ...cell('c-udp', round, 100, { shape: 'datagrams', lostDatagrams }),
      workload: 'datagrams',
    });
    const rows = summarize([lossy(1, 0), lossy(2, 3), lossy(3, 5)], workload);
    expect(rows).toMatchObject([{ flags: ['lost 2/3'], values: { lost: 3 } }]);
    expect(renderWorkload(workload, rows)).toMatch(/x c-udp .*x node-dgram .* lost /);
    expect(judge(parseCondition('c-udp datagrams.lost > 2'), [lossy(1, 3)], [workload]).failed).toBe(true);
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
        { workload: 'echo', target: 'reactor', round: 2, outcome: 'stalled', reason: 'no reply for 5 s' },
        cell('node-net', 1, 5),
      ],
      echo,
    );
    expect(rows[1]).toMatchObject({ target: 'reactor', reason: 'stalled in round 2: no reply for 5 s', values: {} });
    expect(renderWorkload(echo, rows)).toMatch('no reply for 5 s');
  });

  it('has a column for each baseline of the workload, and no other', () => {
    const heads = (workload: typeof echo) =>
      [...renderWorkload(workload, summarize(cells, workload)).matchAll(/x (\S+) \(quartiles\)/g)].map(
        ([, name]) => name,
      );
    expect(heads(echo)).toEqual(['c-epoll', 'node-net']);
    expect(heads({ ...echo, baselines: ['reactor'] })).toEqual(['reactor']);
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

  it('says where the quartiles of the ratios do not touch, of five pairs at least', () => {
    const run = (rate: number, rounds: number[]) =>
      file(
        'c',
        rounds.flatMap((round) => [cell('node-net', round, 100), cell('reactor', round, rate + round)]),
      );
    const five = [1, 2, 3, 4, 5];
    expect(compareRuns(run(180, five), run(182, five)).changes).toMatchObject([{ apart: false }]);
    expect(compareRuns(run(180, [1, 2, 3, 4]), run(250, [1, 2, 3, 4])).changes).toMatchObject([{ apart: false }]);
    expect(compareRuns(run(180, five), run(184, five)).changes).toMatchObject([{ apart: true }]);
    expect(compareRuns(run(180, five), run(250, five)).changes).toMatchObject([{ target: 'reactor', apart: true }]);
  });

  it('reads a run from before the slices by its rounds, and says so', () => {
    const old = { ...file('c', cells), schema: 1 as const };
    const now = {
      ...file('c', [sliced('node-net', 1, [100, 50]), sliced('reactor', 1, [200, 100])]),
      schema: 2 as const,
    };
    const { changes, notes } = compareRuns(old, now);
    expect(changes).toMatchObject([
      { target: 'reactor', before: { count: 2, median: 1.85 }, after: { count: 2, median: 2 } },
    ]);
    expect(notes.join()).toMatch('without slices then');
  });

  it('refuses to mix the two load clients', () => {
    expect(() => requireComparable('c', file('ts', cells), 'old.json')).toThrow('never mixed');
    expect(() => requireComparable('ts', file('ts', cells), 'old.json')).not.toThrow();
  });

  it('goes by the last baseline of the workload, whoever that is', () => {
    const against = { ...echo, baselines: ['node-net', 'c-epoll'] as const };
    const { changes } = compareRuns(file('c', cells), { ...file('c', cells), workloads: [against] });
    expect(changes.map((change) => [change.target, change.baseline, change.before.median])).toEqual([
      ['node-net', 'c-epoll', 0.5],
      ['reactor', 'c-epoll', 0.925],
    ]);
  });

  it('leaves out a workload that was run with other parameters, and says so', () => {
    const old = { ...file('c', cells), workloads: [{ ...echo, connections: 7 }] };
    const { changes, notes } = compareRuns(old, file('c', cells));
    expect(changes).toEqual([]);
    expect(notes.join()).toMatch('other parameters');
  });
});
