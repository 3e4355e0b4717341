/** `pnpm bench`: see plan/options.ts for the command line and the README for what it measures and how. */
import os from 'node:os';
import path from 'node:path';
import { CommanderError } from 'commander';
import pc from 'picocolors';
import { benchFolder, compile, compiler, type Program } from './compile.js';
import { killAllChildren } from './measure/children.js';
import { choosePlacement } from './measure/placement.js';
import { runMicro } from './micro.js';
import { UsageError } from './plan/nearest.js';
import { type BenchOptions, parseOptions } from './plan/options.js';
import { targets } from './plan/targets.js';
import { parametersOf, workloads } from './plan/workloads.js';
import { compareRuns, renderComparison, requireComparable } from './results/compare.js';
import { judge } from './results/fail-if.js';
import * as format from './results/format.js';
import { Progress } from './results/progress.js';
import { describeEnvironment, type ResultsFile, ResultsWriter, readResults, SCHEMA } from './results/results.js';
import { summarize } from './results/summary.js';
import { renderWorkload } from './results/table.js';
import { expectedSeconds, makePlan, runPlan, type Tools, type WorkloadPlan } from './run.js';

function printList(): void {
  console.log(pc.bold('workloads'));
  for (const workload of workloads) {
    console.log(`  ${workload.name.padEnd(16)} ${workload.title} (${parametersOf(workload)})`);
    console.log(pc.dim(`${' '.repeat(19)}${workload.targets.join(', ')}`));
  }
  console.log(pc.bold('targets'));
  for (const target of targets) console.log(`  ${target.name.padEnd(16)} ${target.title}`);
}

function printPlan(plan: readonly WorkloadPlan[], options: BenchOptions, tools: Tools): void {
  const { warmup, duration, slice } = options.preset;
  console.log(
    `preset ${options.presetName}: ${warmup} s warm-up, ${duration} s measured in slices of ${slice} s; seed ${options.seed}; ${tools.placement.reason}; load client: ${tools.clientKind}`,
  );
  for (const { workload, rounds, duration: own, targets: taking, skipped } of plan) {
    const longer = own === duration ? '' : ` (${own} s measured in each)`;
    console.log(
      `${pc.bold(workload.name)}  ${rounds} rounds${longer} of ${taking.map((target) => target.name).join(', ') || 'nothing'}`,
    );
    for (const { target, reason } of skipped) console.log(pc.dim(`  without ${target.name}: ${reason}`));
  }
  console.log(`about ${format.duration(expectedSeconds(plan, options))}`);
}

function prepareTools(options: BenchOptions): Tools & { compilerName: string | undefined } {
  const cc = compiler();
  if (options.client === 'c' && !cc) throw new UsageError('--client c needs a C compiler (cc, or CC) and Linux');
  const clientKind = options.client === 'auto' ? (cc ? 'c' : 'ts') : options.client;
  const client =
    clientKind === 'c' && cc
      ? [compile('load', cc)]
      : [process.execPath, path.join(benchFolder, 'dist/load/client.js')];
  return {
    client,
    clientKind,
    compilerName: cc,
    placement: choosePlacement(options.pin),
    compiled: (name) => (cc ? compile(name as Program, cc) : undefined),
  };
}

async function bench(options: BenchOptions): Promise<number> {
  if (options.list) {
    printList();
    return 0;
  }
  const tools = prepareTools(options);
  const plan = makePlan(options);
  const old = options.compare === undefined ? undefined : readResults(options.compare);
  if (old && options.compare !== undefined) requireComparable(tools.clientKind, old, options.compare);
  if (options.dryRun) {
    printPlan(plan, options, tools);
    return 0;
  }
  // The harness only waits; nevertheless it yields to what is measured.
  os.setPriority(0, 5);
  const expected = expectedSeconds(plan, options);
  const results: ResultsFile = {
    kind: 'fdset-bench',
    schema: SCHEMA,
    startedAt: new Date().toISOString(),
    finishedAt: null,
    arguments: process.argv.slice(2),
    seed: options.seed,
    client: tools.clientKind,
    placement: tools.placement,
    preset: { name: options.presetName, ...options.preset },
    stallSeconds: options.stall,
    environment: describeEnvironment(tools.compilerName),
    workloads: plan.map((each) => each.workload),
    cells: [],
  };
  const writer = new ResultsWriter(options.out ?? path.join(benchFolder, 'results'), results);
  const { environment } = results;
  console.error(
    pc.dim(
      `${environment.cpu}, ${environment.cpus} CPUs, ${environment.system}, Node.js ${environment.node}; ${tools.placement.reason}`,
    ),
  );
  console.error(
    pc.dim(
      `load client: ${tools.clientKind === 'c' ? 'load/load.c' : 'src/load/client.ts'}; seed ${options.seed}; about ${format.duration(expected)}`,
    ),
  );

  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      abort.abort();
      killAllChildren();
    });
  }
  const progress = new Progress(expected);
  await runPlan(
    plan,
    options,
    tools,
    {
      onProgress: (label, line) => progress.tick(label, line),
      onSpent: (seconds) => progress.spend(seconds),
      onCell: (label, cell) => {
        writer.add(cell);
        progress.done(label, cell);
      },
      onWorkload: (workload) => {
        progress.clear();
        console.log(renderWorkload(workload, summarize(results.cells, workload)));
      },
    },
    abort.signal,
  );
  progress.clear();
  if (abort.signal.aborted) {
    console.error(pc.yellow(`interrupted; what was measured is in ${writer.file}`));
    return 130;
  }
  writer.finish();
  if (old && options.compare !== undefined) console.log(renderComparison(compareRuns(old, results), options.compare));
  console.log(`\nresults: ${path.relative(process.cwd(), writer.file)}`);
  return conclude(options, results);
}

/** The exit code: 1 if a target failed or a condition of `--fail-if` is true. */
function conclude(options: BenchOptions, { cells, workloads: ran }: ResultsFile): number {
  let code = 0;
  for (const cell of cells) {
    if (cell.outcome === 'ok' || cell.outcome === 'skipped' || cell.outcome === 'unavailable') continue;
    console.error(pc.red(`${cell.workload}: ${cell.target} ${cell.outcome}: ${cell.reason ?? ''}`));
    code = 1;
  }
  for (const condition of options.failIf) {
    const { value, failed } = judge(condition, cells, ran);
    const shown = value === undefined ? 'nothing to judge by' : `it is ${value.toPrecision(4)}`;
    if (failed) code = 1;
    console.error(
      failed ? pc.red(`fail if ${condition.text}: ${shown}`) : pc.green(`fail if ${condition.text}: no, ${shown}`),
    );
  }
  return code;
}

// Who reads along may leave (`| head`): what is measured goes on, and stands in the file of results.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });

try {
  const action = parseOptions(process.argv.slice(2));
  process.exitCode = action.kind === 'micro' ? await runMicro(action.options) : await bench(action.options);
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else if (error instanceof UsageError) {
    console.error(`bench: ${error.message}`);
    process.exitCode = 2;
  } else {
    throw error;
  }
}
