import { readdirSync } from 'node:fs';
import { defineConfig } from 'tsup';

export default defineConfig({
  entry: readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => `src/${file}`),
  format: ['esm'],
  // The peers are devDependencies, which tsup would bundle: they are to run as they are published.
  skipNodeModulesBundle: true,
  target: 'node20',
  clean: true,
  sourcemap: true,
});
