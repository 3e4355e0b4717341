import { readdirSync } from 'node:fs';
import { defineConfig } from 'tsup';

export default defineConfig({
  entry: readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => `src/${file}`),
  format: ['esm'],
  target: 'node20',
  clean: true,
  sourcemap: true,
});
