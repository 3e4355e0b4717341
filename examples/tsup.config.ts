import { readdirSync } from 'node:fs';
import { defineConfig } from 'tsup';

export default defineConfig({
  entry: readdirSync('.', { encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && file !== 'tsup.config.ts')
    .map((file) => `${file}`),
  format: ['esm'],
  target: 'node20',
  clean: true,
  sourcemap: true,
});
