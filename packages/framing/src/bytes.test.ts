import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { allocate, copyOf, indexOfByte, isBytes, utf8Text, View } from './bytes.js';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

/** The package as it is where there is no `Buffer`, or another one. */
async function loadedWith(Buffer: unknown): Promise<typeof import('./index.js')> {
  vi.resetModules();
  vi.stubGlobal('Buffer', Buffer);
  const framing = await import('./index.js');
  vi.unstubAllGlobals();
  return framing;
}

describe('indexOfByte', () => {
  it('finds what lies behind 2 GiB, which the indexOf of Node.js does not', () => {
    const block = new Uint8Array(2 ** 31 + 100);
    block[2 ** 31 + 50] = 1;
    expect(indexOfByte(block, 1, 2 ** 31 - 9, block.length)).toBe(2 ** 31 + 50);
    expect(indexOfByte(block, 1, 2 ** 31 + 5, block.length)).toBe(2 ** 31 + 50);
    expect(indexOfByte(block, 1, 2 ** 31 + 51, block.length)).toBe(-1);
    expect(indexOfByte(block, 1, 2 ** 31 + 5, 2 ** 31 + 50)).toBe(-1);
  });
});

describe('where there is no Buffer', () => {
  it('everything works on plain Uint8Arrays', async () => {
    const { decodeAll, encodeAll, lengthField, lines, utf8Lines } = await loadedWith(undefined);
    const long = new Uint8Array(5000).fill(97);
    const bytes = encodeAll(lengthField(), ['ü', new Uint8Array(0), long]);
    const frames = decodeAll(lengthField(), bytes);
    expect(frames.map((frame) => frame.constructor)).toEqual([Uint8Array, Uint8Array, Uint8Array]);
    expect(frames.map((frame) => frame.length)).toEqual([2, 0, 5000]);
    expect(decodeAll(utf8Lines({ eol: 'any' }), new TextEncoder().encode('ü\r\n€\r\ufeff'))).toEqual([
      'ü',
      '€',
      '\ufeff',
    ]);
    expect(decodeAll(lines({ eol: 'crlf' }), new TextEncoder().encode(`${'x'.repeat(100)}\r\ny`))).toHaveLength(2);
    expect(() => decodeAll(utf8Lines(), Uint8Array.of(0xc3, 10))).toThrow(
      expect.objectContaining({ code: 'BAD_UTF8' }),
    );
  });

  it('a Buffer whose inner class behaves otherwise is not trusted', async () => {
    class Odd extends Uint8Array {
      static get [Symbol.species]() {
        return class {} as unknown as Uint8ArrayConstructor;
      }
    }
    const { decodeAll, lengthField } = await loadedWith(
      Object.assign(Odd, { from: Buffer.from, allocUnsafeSlow: Buffer.allocUnsafeSlow }),
    );
    expect(decodeAll(lengthField({ size: 1 }), Uint8Array.of(1, 65))).toEqual([Uint8Array.of(65)]);
  });
});

describe('bytes', () => {
  it('views and copies are Buffers in Node.js', () => {
    const { buffer } = Uint8Array.of(1, 2, 3, 4);
    expect(Buffer.isBuffer(new View(buffer, 1, 2))).toBe(true);
    expect([...new View(buffer, 1, 2)]).toEqual([2, 3]);
    const copy = copyOf(buffer, 1, 2);
    expect([Buffer.isBuffer(copy), [...copy], copy.buffer === buffer]).toEqual([true, [2, 3], false]);
    expect(allocate(1000).length).toBeGreaterThanOrEqual(1000);
  });

  it('the search looks at nothing behind the end', () => {
    for (const size of [3, 16, 17, 40, 1000]) {
      const block = new Uint8Array(size + 5);
      block[size] = 10;
      expect(indexOfByte(block, 10, 0, size)).toBe(-1);
      expect(indexOfByte(block, 10, 1, size + 1)).toBe(size);
      expect(indexOfByte(block, 10, 1, size + 5)).toBe(size);
      expect(indexOfByte(block, 10, size + 1, size + 5)).toBe(-1);
      block[size - 1] = 10;
      expect(indexOfByte(block, 10, 0, size)).toBe(size - 1);
    }
  });

  it('bytes are Uint8Arrays and nothing else', () => {
    expect([new Uint8Array(1), Buffer.from('a')].map(isBytes)).toEqual([true, true]);
    const others = [
      new Uint16Array(1),
      new Int8Array(1),
      new DataView(new ArrayBuffer(1)),
      new ArrayBuffer(1),
      [1],
      'a',
      null,
    ];
    expect(others.map(isBytes)).toEqual(others.map(() => false));
  });

  it('text is undefined where it is not UTF-8', () => {
    expect(utf8Text(Buffer.from('\ufeffü\ufffd'))).toBe('\ufeffü\ufffd');
    expect(utf8Text(Uint8Array.of(0xc3, 0xbc))).toBe('ü');
    for (const wrong of [[0xc3], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xf8]])
      expect(utf8Text(Buffer.from(wrong))).toBeUndefined();
  });
});

describe('the package', () => {
  it('imports nothing of Node.js, but for its entry that is for it, and nothing that is not its own', () => {
    const sources = readdirSync(new URL('.', import.meta.url), { recursive: true, encoding: 'utf8' });
    const own = sources.filter(
      (file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !file.startsWith('testing') && file !== 'node.ts',
    );
    expect(own.length).toBeGreaterThan(15);
    for (const file of own) {
      const text = readFileSync(new URL(file, import.meta.url), 'utf8');
      for (const [, from] of text.matchAll(/from '([^']+)'/g)) expect(from, file).toMatch(/^\.\.?\/.*\.js$/);
      expect(text, file).not.toMatch(/new Function|\beval\(/);
    }
  });
});
