import { defineConfig } from 'tsup';

export default defineConfig({
  entry: ['src/index.ts', 'src/internal.ts', 'src/testing/index.ts'],
  format: ['esm', 'cjs'],
  target: 'node20',
  // What is marked @internal is shared between the files here, and no part of the published types.
  dts: { compilerOptions: { stripInternal: true } },
  clean: true,
  sourcemap: true,
  // The CommonJS build finds the native core by import.meta.url, which esbuild would leave empty.
  shims: true,
});
