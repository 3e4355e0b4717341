import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['packages/*/src/**/*.test.ts', 'bench/src/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 15_000,
    hookTimeout: 15_000,
    // Descriptors, signals and native handles belong to a process: each test file gets its own.
    pool: 'forks',
    coverage: { provider: 'v8', include: ['packages/*/src/**/*.ts'] },
  },
});
