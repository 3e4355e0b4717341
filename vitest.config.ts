import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

// Node 20 reads these certificates at the start of each process, for 80 ms; the suite starts hundreds, and stays on loopback.
delete process.env.NODE_EXTRA_CA_CERTS;

/** Long for their size, by which vitest orders what it has not run before: begun late, one of them would end alone. */
const LONG = /\/(threads\/ends|soak\/soak|hand-off\/soak|fuzz\/native|servers\/example)\.test\.ts$/;

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) => LONG.test(moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    testTimeout: 15_000,
    hookTimeout: 15_000,
    // Descriptors, signals and native handles belong to a process: each test file gets its own.
    pool: 'forks',
    // What is built is loaded as users load it, and not transformed once more for each file.
    server: { deps: { external: [/\/dist\/.*\.js$/] } },
    // Tests of sockets wait more than they compute: one file more than there are processors keeps these busy.
    maxWorkers: availableParallelism() + 1,
    sequence: { sequencer: LongFirst },
    coverage: { provider: 'v8', include: ['packages/*/src/**/*.ts'] },
    projects: [
      {
        extends: true,
        test: {
          name: 'codecs',
          include: ['packages/framing/src/**/*.test.ts'],
          // Bytes in, bytes out: these hold nothing of the process.
          isolate: false,
          // Nor do they wait for anything: the longest compute for 6 s, and share their processor with others.
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'sockets',
          include: [
            'packages/{reactor,servers}/src/**/*.test.ts',
            'bench/src/**/*.test.ts',
            'test/!(alone)/**/*.test.ts',
          ],
        },
      },
      // Their bounds are milliseconds. With one worker vitest runs them after all others, one at a time.
      { extends: true, test: { name: 'alone', include: ['test/alone/**/*.test.ts'], maxWorkers: 1 } },
    ],
  },
});
