import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { readResults, SCHEMA } from './results.js';

const folder = mkdtempSync(path.join(os.tmpdir(), 'fdset-bench-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(content: string): string {
  const name = path.join(folder, 'results.json');
  writeFileSync(name, content);
  return name;
}
const results = (schema: number) => file(JSON.stringify({ kind: 'fdset-bench', schema, cells: [] }));

it('files of this schema, and of the one before the slices, can be read', () => {
  expect(readResults(results(SCHEMA)).schema).toBe(SCHEMA);
  expect(readResults(results(1)).schema).toBe(1);
});

it('a file of a later schema, of something else or of nothing is refused with the reason', () => {
  expect(() => readResults(results(SCHEMA + 1))).toThrow(`has schema ${SCHEMA + 1}, this bench reads 1 and 2`);
  expect(() => readResults(file('{}'))).toThrow('is not a results file of this bench');
  expect(() => readResults(file('{"kind":'))).toThrow('cannot read');
  expect(() => readResults(path.join(folder, 'absent.json'))).toThrow('cannot read');
});
