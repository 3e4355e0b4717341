/** The two entries of the package as they are built. */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const require = createRequire(import.meta.url);
const dist = path.dirname(fileURLToPath(import.meta.resolve('@fdset/framing')));

describe('the built package', () => {
  it('shares one FramingError between its entries, as a CommonJS package too', async () => {
    const pairs = [
      [require('@fdset/framing'), require('@fdset/framing/protocols')],
      [await import('@fdset/framing'), await import('@fdset/framing/protocols')],
    ] as [typeof import('@fdset/framing'), typeof import('@fdset/framing/protocols')][];
    for (const [{ decodeAll, FramingError }, { resp }] of pairs) {
      expect(() => decodeAll(resp(), Buffer.from('?'))).toThrow(FramingError);
    }
  });

  it('main entry and protocols import nothing of Node, and generate no code', () => {
    const reached = new Set<string>();
    const follow = (name: string) => {
      if (reached.has(name)) return;
      reached.add(name);
      const source = readFileSync(path.join(dist, name), 'utf8');
      expect(source, name).not.toMatch(/new Function|\beval\(/);
      for (const [, imported] of source.matchAll(/^(?:import|export)[^'"]*['"]([^'"]+)['"]/gm)) {
        expect(imported, name).toMatch(/^\.\//);
        follow(imported!.slice(2));
      }
    };
    follow('index.js');
    follow('protocols.js');
    expect(reached.size).toBeGreaterThan(2);
    expect(readdirSync(dist)).toContain('protocols.d.cts');
  });
});
