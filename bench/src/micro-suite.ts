/** What the suites of `bench micro` have in common: they run Benchmark.js and print a line of JSON for each case. */
import Benchmark from 'benchmark';

/** A case as it is printed by the child and read by micro.ts. */
export interface MicroCase {
  name: string;
  /** The case of the same pass that this one is compared with. */
  reference: string;
  /** Operations a second. */
  hz: number;
  /** Relative margin of error of `hz`, percent. */
  rme: number;
  bytesPerOperation?: number;
  /** Seconds per operation, as sampled. */
  sample: number[];
}

export interface SuiteCase {
  name: string;
  /** Absent: this case is itself a reference. */
  reference?: string;
  bytesPerOperation?: number;
  /** Returns something that depends on all its work; it is fed to the sink. */
  run(): number | Promise<number>;
  /** `run` gives a promise, and the next call waits for it. */
  asynchronous?: boolean;
  /** Operations that one call of `run` does. = 1 */
  operations?: number;
}

let sink = 0;

/**
 * Runs the cases after each other, with `--reverse` the last one first: passes alternate, because a case inherits its heap from those before it.
 * Their results end in a sum that is printed, so that no work can be left out.
 */
export function runSuite(cases: readonly SuiteCase[]): void {
  const suite = new Benchmark.Suite();
  for (const each of process.argv.includes('--reverse') ? [...cases].reverse() : cases) {
    const { run } = each;
    const take = (result: number) => {
      sink = (sink + result) | 0;
    };
    if (each.asynchronous) {
      const deferred = async (deferral: { resolve(): void }) => {
        take(await run());
        deferral.resolve();
      };
      suite.add(each.name, deferred, { minSamples: 30, maxTime: 1, defer: true });
    } else {
      suite.add(each.name, () => take(run() as number), { minSamples: 30, maxTime: 1 });
    }
  }
  suite.on('cycle', (event: { target: Benchmark }) => {
    const { name, hz, stats, error } = event.target as Benchmark & { name: string; error?: Error };
    if (error) throw error;
    const described = cases.find((each) => each.name === name)!;
    const operations = described.operations ?? 1;
    const line: MicroCase = {
      name,
      reference: described.reference ?? name,
      hz: hz * operations,
      rme: stats.rme,
      ...(described.bytesPerOperation === undefined ? {} : { bytesPerOperation: described.bytesPerOperation }),
      sample: stats.sample.map((seconds) => seconds / operations),
    };
    console.log(JSON.stringify(line));
  });
  suite.on('complete', () => console.error(`sink ${sink}`));
  suite.run();
}
