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
  dts: true,
  clean: true,
  sourcemap: true,
});
