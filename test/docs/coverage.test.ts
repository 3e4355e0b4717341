/** The tables of coverage hold: every item and every trap has its row, and every test that a row names is there. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('../../', import.meta.url);
const text = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

interface Row {
  readonly key: string;
  readonly entries: readonly string[];
}

/** `- **key** what`, and below it one `  - entry` after the other. */
function rowsOf(page: string): Row[] {
  return text(page)
    .split(/^- (?=\*\*)/m)
    .slice(1)
    .map((item) => ({
      key: /^\*\*(\w+)\*\* \S/.exec(item)?.[1] ?? '?',
      entries: item.split('\n').flatMap((line) => /^ {2}- (.*)$/.exec(line)?.[1] ?? []),
    }));
}

/** By page, how many rows there are of each kind; those of the kind '' are bare numbers. */
const PAGES: Record<string, Record<string, number>> = {
  'docs/coverage.md': { '': 107, D: 23, A: 9, C: 6, R: 6, W: 9, U: 5, L: 10 },
  'docs/coverage-framing.md': { T: 33, P: 14 },
};

describe.each(Object.entries(PAGES))('%s', (page, kinds) => {
  const rows = rowsOf(page);

  it('has one entry for each item and each trap, in their order', () => {
    const keys = Object.entries(kinds).flatMap(([kind, count]) =>
      Array.from({ length: count }, (_, i) => `${kind}${i + 1}`),
    );
    expect(rows.map(({ key }) => key)).toEqual(keys);
  });

  it('names only tests that are there, by file and whole title', () => {
    const missing: string[] = [];
    for (const { key, entries } of rows)
      for (const entry of entries) {
        const named = /^`([^`]+\.test\.ts)`: (.+)$/.exec(entry);
        if (named === null) continue;
        const [, file, title] = named as unknown as [string, string, string];
        const there = existsSync(fileURLToPath(new URL(file, ROOT)));
        // A title stands in quotes of some kind.
        const quoted = there && ["'", '`', '"'].some((quote) => text(file).includes(`${quote}${title}${quote}`));
        if (!quoted) missing.push(`${key}: ${entry}`);
      }
    expect(missing).toEqual([]);
  });

  it('names a test in each row, or says what is pending, or why there is none', () => {
    const bare = rows
      .filter(({ entries }) => entries.length === 0 || entries.some((entry) => entry.length < 10))
      .map(({ key }) => key);
    expect(bare).toEqual([]);
    for (const { key, entries } of rows)
      for (const entry of entries)
        if (/^`(test|packages)/.test(entry)) expect(entry, key).toMatch(/^`(test|packages)\/[\w/.-]+\.test\.ts`: \S/);
  });

  it('has the number of its item in the title of a test of each item that has one', () => {
    const without = rows
      .filter(({ key }) => /^\d+$/.test(key))
      .filter(({ key, entries }) => {
        const tests = entries.filter((entry) => entry.startsWith('`'));
        return tests.length > 0 && !tests.some((entry) => new RegExp(`[(\\s]${key}[,)]`).test(entry));
      })
      .map(({ key }) => key);
    expect(without).toEqual([]);
  });
});
