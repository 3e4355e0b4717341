import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { encodeAll, type FramingError } from './index.js';
import { codecOf, concat, cuttings, framerOf, hex, outcome, unhex } from './testing/rechunk.js';
import { readVectors } from './testing/vectors.js';

const vectors = readVectors();

describe('the vectors', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'fdset-vectors-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('are those of every file, for every codec that has some', () => {
    const files = readdirSync(fileURLToPath(new URL('../vectors', import.meta.url)));
    expect(files).toEqual(expect.arrayContaining(['decode.jsonl', 'encode.jsonl', 'struct.jsonl']));
    const codecs = new Set(vectors.decode.map(({ codec }) => codec));
    for (const name of [
      'fixed delimiter lines utf8Lines lengthField asciiLength varint netstring octetCount typeTable untilClose',
      'slip cobs dotStuffed statusReply switch resp websocket chunked ber stomp memcacheReply proxyHeader',
    ]
      .join(' ')
      .split(' ')) {
      expect(codecs).toContain(name);
    }
    expect(vectors.decode.length).toBeGreaterThanOrEqual(111);
    expect(vectors.encode.length).toBeGreaterThanOrEqual(18);
    expect(vectors.struct.length).toBeGreaterThanOrEqual(16);
    expect(vectors.unread).toEqual([]);
  });

  it('may stand in files of any name, several kinds in one, and what is not read is told', () => {
    const decode = { name: 'd', codec: 'slip', options: {}, chunks: ['61c0'], frames: ['61'] };
    const encode = { name: 'e', codec: 'slip', options: {}, encode: ['61'], bytes: '61c0' };
    const struct = { name: 's', codec: 'struct', options: { format: '>H' }, values: [1], bytes: '0001' };
    const lines = [decode, encode, struct].map((vector) => JSON.stringify(vector));
    writeFileSync(path.join(folder, 'more.jsonl'), `${lines.join('\n')}\n\n`);
    expect(readVectors([folder])).toEqual({ decode: [decode], encode: [encode], struct: [struct], unread: [] });
    writeFileSync(path.join(folder, 'more.jsonl'), `${JSON.stringify({ ...decode, within: 5 })}\n\n{"name":"x"}`);
    expect(readVectors([folder]).unread).toEqual([
      'more.jsonl:1: within',
      'more.jsonl:3: none of chunks, encode, values',
    ]);
  });
});

describe('every decode vector gives the same frames and the same error at the same place in any chunking', () => {
  for (const vector of vectors.decode) {
    it(vector.name, () => {
      const make = framerOf(vector);
      const chunks = vector.chunks.map(unhex);
      const expected = outcome(make, chunks, vector.end !== false);
      expect(expected.frames).toEqual(vector.frames);
      const [code, offset] = expected.error?.split(' at ') ?? [];
      expect(code).toBe(vector.error);
      if (vector.offset !== undefined) expect(Number(offset)).toBe(vector.offset);
      expect(expected.skipped).toHaveLength(vector.errors ?? 0);
      for (const [name, cut] of cuttings(concat(chunks))) {
        expect(outcome(make, cut, vector.end !== false), name).toEqual(expected);
      }
    });
  }
});

describe('every encode vector gives its bytes or its error', () => {
  for (const vector of vectors.encode) {
    it(vector.name, () => {
      const codec = codecOf(vector.codec, vector.options);
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
