import { defineConfig } from 'tsup';

export default defineConfig({
  entry: {
    index: 'src/index.ts',
    protocols: 'src/protocols/index.ts',
    node: 'src/node.ts',
    arbitraries: 'src/arbitraries/index.ts',
  },
  format: ['esm', 'cjs'],
  target: 'es2022',
  platform: 'neutral',
  external: ['node:stream'],
  // CommonJS too: the errors of the protocols are of the class that the framer knows.
  splitting: true,
  // What is marked @internal is shared between the files here, and no part of the published types.
  dts: { compilerOptions: { stripInternal: true } },
  clean: true,
  sourcemap: true,
  esbuildOptions(options, { format }) {
    // Puts constants into the code as numbers (see src/ascii.ts); names and lines are left as they are. What tsup makes
    // CommonJS of, where chunks are shared, must not be shortened: it was a syntax error.
    options.minifySyntax = format === 'esm';
  },
});
