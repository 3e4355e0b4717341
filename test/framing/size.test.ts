/** What framing costs who sends it over a network: bundled, minified and gzipped. */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';

interface Bundler {
  build(options: object): Promise<{ outputFiles: { contents: Uint8Array }[] }>;
}

const require = createRequire(import.meta.url);
const { build } = createRequire(require.resolve('tsup'))('esbuild') as Bundler;

/** Bytes of a bundle that exports these names; `platform: 'neutral'` has nothing of Node.js to resolve. */
async function gzipped(names: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: {
      contents: `export { ${names} } from '@fdset/framing'`,
      resolveDir: fileURLToPath(new URL('.', import.meta.url)),
    },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    write: false,
  });
  return gzipSync(outputFiles[0]!.contents, { level: 9 }).length;
}

const KIB = 1024;
const CORE = 'Framed, decodeAll, encodeAll, Needles, FramingError, FRAMING_ERRORS, FRAMING_MISUSE';

/** What each part of the main entry adds to the core, and a bound of it in KiB. */
const GROUPS: Record<string, [names: string, most: number]> = {
  codecs: [
    'lines, utf8Lines, delimiter, lengthField, varint, fixed, asciiLength, netstring, octetCount, typeTable, untilClose, slip, cobs, dotStuffed, statusReply',
    8,
  ],
  combinators: ['mapped, text, json, once, inParts, checksummed', 3.25],
  adapters: ['framed, frames, makefile, decoderStream, encoderStream', 6.25],
  'struct and pack': [
    'struct, array, be, bits, bool, le, f16, f32, f64, i8, i16, i24, i32, i64, u8, u16, u24, u32, u64, ascii, bytes, latin1, padding, utf8, pack, unpack, iterUnpack, calcsize',
    7.25,
  ],
};

describe('bundled, minified and gzipped', () => {
  it('the core is below 9 KiB, and with lines and lengthField below 12', async () => {
    expect(await gzipped(CORE)).toBeLessThan(9 * KIB);
    expect(await gzipped(`${CORE}, lines, utf8Lines, lengthField`)).toBeLessThan(12 * KIB);
  });

  it.each(Object.entries(GROUPS))('the %s are a part by themselves', async (_group, [names, most]) => {
    expect((await gzipped(`${CORE}, ${names}`)) - (await gzipped(CORE))).toBeLessThan(most * KIB);
  });

  it('who takes a framer and lines stays below 9.5 KiB', async () => {
    expect(await gzipped('Framed, lines')).toBeLessThan(9.5 * KIB);
  });

  it('who does not use a codec does not pay for it', async () => {
    const core = await gzipped(CORE);
    for (const [name, most] of [
      ['fixed', 1.5],
      ['varint', 2],
      ['netstring', 1.75],
      ['typeTable', 1.75],
      ['slip', 2],
      ['cobs', 2],
      ['dotStuffed', 2],
      ['statusReply', 2.5],
      ['lengthField', 3],
      ['json', 1.25],
      ['checksummed', 2],
      ['once', 0.75],
      ['inParts', 2],
    ] as const) {
      expect((await gzipped(`${CORE}, ${name}`)) - core, name).toBeLessThan(most * KIB);
    }
  });
});
