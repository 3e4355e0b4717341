/** The command line. */
import { Command, InvalidArgumentError } from 'commander';
import { type Condition, parseCondition } from '../results/fail-if.js';
import { known } from './nearest.js';
import { targets } from './targets.js';
import { adjusted, type Preset, type PresetName, presets, roundsOf, type Workload, workloads } from './workloads.js';

export interface BenchOptions {
  workloads: Workload[];
  /** `undefined`: each workload's own. */
  targets: string[] | undefined;
  presetName: PresetName;
  preset: Preset;
  /** By `--rounds`: every workload gets them, whatever its share. */
  rounds: number | undefined;
  /** By `--duration`: every workload measures so long in a round. */
  duration: number | undefined;
  /** By `--slice`: so long are the slices of every workload. */
  slice: number | undefined;
  stall: number;
  pin: boolean;
  client: 'auto' | 'c' | 'ts';
  seed: number;
  out: string | undefined;
  compare: string | undefined;
  failIf: Condition[];
  list: boolean;
  dryRun: boolean;
}

export interface MicroOptions {
  suites: string[];
  passes: number;
}

function integer(least: number, most: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least || value > most)
      throw new InvalidArgumentError(`A whole number from ${least} to ${most} is wanted.`);
    return value;
  };
}

function seconds(least: number, most: number) {
  return (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= least && value <= most))
      throw new InvalidArgumentError(`Seconds from ${least} to ${most} are wanted.`);
    return value;
  };
}

function choice(kind: string, names: readonly string[]) {
  return (text: string): string => known(kind, text, names);
}

const helpAfter = `
Presets:
${Object.entries(presets)
  .map(
    ([name, preset]) =>
      `  ${name.padEnd(6)} ${preset.rounds} round${preset.rounds === 1 ? '' : 's'}, ${preset.warmup} s warm-up and ${preset.duration} s measured each, in slices of ${preset.slice} s`,
  )
  .join('\n')}
  The core workloads, echo and pipelined, get all rounds, most others fewer; fairness gets few and long ones, in long slices, because
  its percentiles need them. --rounds, --duration and --slice hold for every workload.

--fail-if '<target>[/<target>] <workload>[.<metric>] <operator> <number>' (repeatable) makes the run end with code 1 if it is true of
the median, or if there is nothing to judge by. With two targets their ratio within each pass of slices is judged (within each round
for start-up, memory, and percentiles of slices with too few messages), without a metric the workload's headline (messages per server CPU second; for idle bytes per connection, for fairness p99). Metrics: perCpuSecond rate
p50 p90 p99 p999 max cpuPerMessage floodRate memory startup bytesPerConnection (times in us, start-up in s).
  bench echo --fail-if 'registered/c-epoll echo < 0.95' --fail-if 'reactor/node-net echo < 1.45'
  bench fairness --fail-if 'reactor/c-epoll fairness > 1.25'
  bench idle --fail-if 'reactor idle > 1000'

Exit codes: 0 ok, 1 a target failed or a --fail-if was true, 2 a mistake on the command line, 130 interrupted.
`;

interface Raw {
  targets?: string;
  preset: PresetName;
  rounds?: number;
  connections?: number;
  idle?: number;
  size?: number;
  pipeline?: number;
  warmup?: number;
  duration?: number;
  slice?: number;
  stall: number;
  pin: boolean;
  client: BenchOptions['client'];
  seed?: number;
  out?: string;
  compare?: string;
  failIf?: Condition[];
  list?: boolean;
  dryRun?: boolean;
}

function chooseTargets(list: string | undefined): string[] | undefined {
  if (list === undefined) return undefined;
  const names = targets.map((target) => target.name);
  if (list === 'all') return names;
  const chosen = list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return [...new Set(chosen.map((name) => known('target', name, names)))];
}

function chooseWorkloads(chosen: readonly string[], raw: Raw): Workload[] {
  const names = workloads.map((workload) => workload.name);
  const wanted = new Set(chosen.map((name) => known('workload', name, [...names, 'micro'])));
  return workloads
    .filter((workload) => wanted.size === 0 || wanted.has(workload.name))
    .map((workload) => adjusted(workload, raw, presets[raw.preset]));
}

export type Action = { kind: 'bench'; options: BenchOptions } | { kind: 'micro'; options: MicroOptions };

/**
 * Reads the arguments that follow `bench`. Mistakes throw: commander's CommanderError for an option, UsageError for a name.
 * `--help` throws a CommanderError with code `commander.helpDisplayed`.
 */
export function parseOptions(args: readonly string[]): Action {
  let action: Action | undefined;
  const program = new Command('bench')
    .description(
      'Measures servers by messages per server CPU second: one load generator, fresh processes, slices of load that alternate.',
    )
    .argument('[workload...]', `of ${workloads.map((workload) => workload.name).join(', ')} (= all)`)
    .option('--targets <names>', "comma-separated, or 'all' (= the workload's own; --list shows them)")
    .option('--preset <name>', Object.keys(presets).join(', '), choice('preset', Object.keys(presets)), 'quick')
    .option('--rounds <n>', 'rounds of every workload', integer(1, 1000))
    .option('--connections <n>', 'connections, or clients at a time', integer(1, 100_000))
    .option('--idle <n>', 'idle connections beside them (crowded only)', integer(1, 1_000_000))
    .option('--size <n>', 'payload bytes of a message', integer(1, 2 ** 26))
    .option('--pipeline <n>', 'messages in one send (sessions only)', integer(1, 65_536))
    .option('--warmup <seconds>', 'of load on a fresh server before anything is measured', seconds(0, 600))
    .option('--duration <seconds>', "measured in a round: the sum of a target's slices", seconds(0.05, 600))
    .option('--slice <seconds>', 'measured in one go, between slices of the other targets', seconds(0.05, 600))
    .option('--stall <seconds>', 'give a target up after so long without a reply', seconds(0.1, 600), 5)
    .option('--no-pin', 'leave the placement to the system')
    .option(
      '--client <kind>',
      'c, ts, or auto: c where there is a compiler',
      choice('client', ['auto', 'c', 'ts']),
      'auto',
    )
    .option('--seed <n>', 'of the order within the rounds (= random, printed)', integer(0, 2 ** 32 - 1))
    .option('--out <folder>', 'for the results file (= bench/results)')
    .option('--compare <file>', 'show how the ratios to the baselines differ from those of an earlier results file')
    .option('--fail-if <condition>', 'see below', (text: string, all: Condition[] | undefined) => [
      ...(all ?? []),
      parseCondition(text),
    ])
    .option('--list', 'show the workloads and targets')
    .option('--dry-run', 'show what would be run, and how long it takes')
    .addHelpText('after', helpAfter)
    .enablePositionalOptions()
    .exitOverride()
    .action((chosen: string[], raw: Raw) => {
      const base = presets[raw.preset];
      const preset: Preset = {
        ...base,
        ...(raw.warmup === undefined ? {} : { warmup: raw.warmup }),
        ...(raw.duration === undefined ? {} : { duration: raw.duration }),
      };
      action = {
        kind: 'bench',
        options: {
          workloads: chooseWorkloads(chosen, raw),
          targets: chooseTargets(raw.targets),
          presetName: raw.preset,
          preset,
          rounds: raw.rounds,
          duration: raw.duration,
          slice: raw.slice,
          stall: raw.stall,
          pin: raw.pin,
          client: raw.client,
          seed: raw.seed ?? Math.floor(Math.random() * 2 ** 32),
          out: raw.out,
          compare: raw.compare,
          failIf: raw.failIf ?? [],
          list: raw.list ?? false,
          dryRun: raw.dryRun ?? false,
        },
      };
    });
  program
    .command('micro')
    .description('Benchmark.js suites, each in a child process, in interleaved passes')
    .argument('[suite...]', `of ${microSuites.join(', ')} (= all)`)
    .option('--passes <n>', 'how often each suite is run', integer(1, 100), 3)
    .exitOverride()
    .action((suites: string[], raw: { passes: number }) => {
      action = {
        kind: 'micro',
        options: { suites: suites.map((name) => known('suite', name, microSuites)), passes: raw.passes },
      };
    });
  program.parse([...args], { from: 'user' });
  if (!action) throw new Error('commander ran no action');
  return action;
}

export const microSuites = [
  'dispatch',
  'escapes',
  'length-field',
  'linear',
  'lines',
  'mqtt',
  'postgres',
  'prefixes',
  'protocols',
  'resp',
  'struct',
  'timeouts',
  'unpack',
  'varint',
  'websocket',
] as const;

/** How many rounds a workload gets. */
export function plannedRounds(workload: Workload, options: BenchOptions): number {
  return options.rounds ?? roundsOf(workload, options.preset.rounds);
}

/** Seconds measured of each of its targets in a round. */
export function plannedDuration(workload: Workload, { duration, preset }: BenchOptions): number {
  return duration ?? preset.duration * (preset.rounds === 1 ? 1 : (workload.durationTimes ?? 1));
}

/** Into how many slices that is cut. */
export function plannedPasses(workload: Workload, options: BenchOptions): number {
  const { slice, preset } = options;
  const length = slice ?? preset.slice * (preset.rounds === 1 ? 1 : (workload.sliceTimes ?? 1));
  return Math.max(1, Math.round(plannedDuration(workload, options) / length));
}
