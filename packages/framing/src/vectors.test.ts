import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { encodeAll, type FramingError } from './index.js';
import { codecOf, concat, cuttings, type DecodeVector, framerOf, hex, outcome, unhex } from './testing/rechunk.js';

function vectorsOf<V>(file: string): V[] {
  const text = readFileSync(new URL(`../vectors/${file}`, import.meta.url), 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as V);
}

const decodeVectors = vectorsOf<DecodeVector>('decode.jsonl').filter((vector) => framerOf(vector) !== undefined);
const encodeVectors = vectorsOf<{
  name: string;
  codec: string;
  options: Record<string, unknown>;
  encode: string[];
  bytes?: string;
  error?: string;
}>('encode.jsonl').filter(({ codec, options }) => codecOf(codec, options) !== undefined);

describe('every decode vector gives the same frames and the same error at the same place in any chunking', () => {
  it('finds the vectors of the codecs that exist', () => {
    const codecs = new Set(decodeVectors.map((vector) => vector.codec));
    for (const name of [
      'fixed delimiter lines utf8Lines lengthField asciiLength varint netstring octetCount typeTable untilClose',
      'slip cobs dotStuffed statusReply switch',
    ]
      .join(' ')
      .split(' ')) {
      expect(codecs).toContain(name);
    }
    for (const name of ['resp', 'websocket', 'chunked', 'ber', 'stomp', 'memcacheReply', 'proxyHeader']) {
      expect(codecs).toContain(name);
    }
    expect(decodeVectors.length).toBeGreaterThanOrEqual(111);
  });

  for (const vector of decodeVectors) {
    it(vector.name, () => {
      const make = framerOf(vector)!;
      const chunks = vector.chunks.map(unhex);
      const expected = outcome(make, chunks, vector.end !== false);
      expect(expected.frames).toEqual(vector.frames);
      expect(expected.error?.split(' ')[0]).toBe(vector.error);
      expect(expected.skipped).toHaveLength(vector.errors ?? 0);
      for (const [name, cut] of cuttings(concat(chunks))) {
        expect(outcome(make, cut, vector.end !== false), name).toEqual(expected);
      }
    });
  }
});

describe('every encode vector gives its bytes or its error', () => {
  for (const vector of encodeVectors) {
    it(vector.name, () => {
      const codec = codecOf(vector.codec, vector.options)!;
      let result: string | undefined;
      try {
        result = hex(encodeAll(codec, vector.encode.map(unhex) as never[]));
      } catch (error) {
        result = (error as FramingError).code;
      }
      expect(result).toBe(vector.bytes ?? vector.error);
    });
  }
});
