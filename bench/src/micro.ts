/** `bench micro`: Benchmark.js suites, each in a child process of its own, in passes that take turns. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import Table from 'cli-table3';
import pc from 'picocolors';
import { benchFolder } from './compile.js';
import { Child, killAllChildren } from './measure/children.js';
import { choosePlacement, placed } from './measure/placement.js';
import type { MicroCase } from './micro-suite.js';
import { type MicroOptions, microSuites } from './plan/options.js';
import * as format from './results/format.js';
import { describeEnvironment } from './results/results.js';
import { median, pairedRatios, spread } from './results/statistics.js';

/** A case takes seconds; a suite that has told of none for so long hangs. */
const CASE_LIMIT_MS = 60_000;

interface Pass {
  suite: string;
  pass: number;
  cases: MicroCase[];
  reason?: string;
}

async function runSuite(suite: string, pass: number): Promise<Pass> {
  const cases: MicroCase[] = [];
  let unavailable: string | undefined;
  const command = [
    process.execPath,
    '--expose-gc',
    path.join(benchFolder, 'dist/micro', `${suite}.js`),
    ...(pass % 2 === 0 ? ['--reverse'] : []),
  ];
  const child = new Child(placed(command, 'load', choosePlacement(true)), (line) => {
    timer.refresh();
    if (line.startsWith('{')) cases.push(JSON.parse(line) as MicroCase);
    if (line.startsWith('unavailable ')) unavailable = line.slice('unavailable '.length);
  });
  const timer = setTimeout(() => child.killGroup(), CASE_LIMIT_MS);
  const { code, signal } = await child.ended;
  clearTimeout(timer);
  if (unavailable !== undefined) return { suite, pass, cases: [], reason: unavailable };
  if (code !== 0)
    return { suite, pass, cases: [], reason: `ended with ${signal ?? `code ${code}`}: ${child.complaint}` };
  return { suite, pass, cases };
}

/** Each case: its rate, and how it stands to the suite's first case, the reference, in the same pass. */
export function renderSuite(suite: string, passes: readonly Pass[]): string {
  const table = new Table({
    head: ['case', 'ops/s', '+- %', 'time/op', 'MB/s', 'x reference (range)'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  const rates = (name: string) =>
    new Map(
      passes.flatMap(({ pass, cases }) =>
        cases.filter((each) => each.name === name).map((each) => [pass, each.hz] as const),
      ),
    );
  for (const { name, reference } of passes[0]?.cases ?? []) {
    const measured = passes.flatMap(({ cases }) => cases.filter((each) => each.name === name));
    const hz = median(measured.map((each) => each.hz));
    const bytes = measured[0]?.bytesPerOperation;
    const ratios = spread(pairedRatios(rates(name), rates(reference)));
    table.push([
      name,
      format.count(hz),
      (median(measured.map((each) => each.rme)) ?? 0).toFixed(1),
      format.microseconds(hz ? 1e6 / hz : undefined),
      hz && bytes ? ((hz * bytes) / 1e6).toFixed(0) : '',
      name === reference || !ratios
        ? '1'
        : `${ratios.median.toFixed(2)} (${ratios.least.toFixed(2)}-${ratios.most.toFixed(2)})`,
    ]);
  }
  return `\n${pc.bold(`micro ${suite}`)}  ${pc.dim(`${passes.length} passes, medians`)}\n${table.toString()}`;
}

export async function runMicro(options: MicroOptions): Promise<number> {
  const suites = options.suites.length > 0 ? options.suites : [...microSuites];
  const passes: Pass[] = [];
  const startedAt = new Date().toISOString();
  let interrupted = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      interrupted = true;
      killAllChildren();
    });
  }
  for (let pass = 1; pass <= options.passes; pass++) {
    for (const suite of suites) {
      if (interrupted) return 130;
      const done = await runSuite(suite, pass);
      if (interrupted) return 130;
      passes.push(done);
      process.stderr.write(
        `micro ${pass}/${options.passes}  ${suite}  ${done.reason ?? `${done.cases.length} cases`}\n`,
      );
    }
  }
  let code = 0;
  for (const suite of suites) {
    const own = passes.filter((each) => each.suite === suite);
    const failed = own.find((each) => each.reason !== undefined);
    if (failed) code = 1;
    console.log(failed ? `\n${pc.bold(`micro ${suite}`)}  ${pc.red(failed.reason ?? '')}` : renderSuite(suite, own));
  }
  const folder = path.join(benchFolder, 'results');
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${startedAt.replaceAll(':', '-').replace(/\.\d+Z$/, 'Z')}-micro.json`);
  writeFileSync(
    file,
    `${JSON.stringify({ kind: 'fdset-bench-micro', schema: 1, startedAt, environment: describeEnvironment(undefined), passes }, null, 1)}\n`,
  );
  console.log(`\nresults: ${path.relative(process.cwd(), file)}`);
  return code;
}
