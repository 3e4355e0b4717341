/** The guide of observing: its snippets run and print what it shows, and its tables are those of the code. */
import { readFileSync } from 'node:fs';
import { Reactor, WARNINGS } from '@fdset/reactor';
import { describe, expect, it } from 'vitest';
import { guardEachTest } from '../support/backends.js';
import { runNode } from '../support/node-process.js';

const GUIDE = readFileSync(new URL('../../docs/observing.md', import.meta.url), 'utf8');
const NATIVE = new Reactor().backend.name === 'kernel';

/** Each snippet with what it prints and the heading above it. */
function snippets(): { source: string; prints: string; heading: string }[] {
  const found: { source: string; prints: string; heading: string }[] = [];
  for (const match of GUIDE.matchAll(/```ts run\n(.*?)```\n\n```text\n(.*?)```/gs)) {
    const heading =
      GUIDE.slice(0, match.index)
        .match(/^## .*$/gm)
        ?.at(-1) ?? '';
    found.push({ source: match[1] as string, prints: match[2] as string, heading: heading.slice(3) });
  }
  return found;
}

/** Numbers are those of the machine, but for those that follow a #. */
function settled(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.trim().replace(/(?<![#\w])\d+(\.\d+)?/g, 'N'))
    .join('\n');
}

/** The rows of a table whose first column is code: `[code, second column]`. */
function rows(pattern: string): Record<string, string> {
  const found = GUIDE.matchAll(new RegExp(`^\\| \`(${pattern})\` +\\| (.+?) +\\|`, 'gm'));
  return Object.fromEntries([...found].map(([, code, meaning]) => [code, meaning]));
}

describe('the guide of observing', () => {
  guardEachTest();

  it('has a snippet for each way, and none that is not run', () => {
    expect(snippets().map(({ heading }) => heading)).toEqual([
      'Metrics',
      'inspect()',
      'Diagnostics channels',
      'Trace and record',
      'Trace and record',
      'Debug',
    ]);
    expect(GUIDE.match(/^```ts/gm)).toHaveLength(6);
  });

  for (const [i, { source, prints, heading }] of snippets().entries())
    it.runIf(NATIVE)(`snippet ${i + 1} (${heading}) runs, and prints what stands below it`, async () => {
      const { code, lines, stderr } = await runNode(source, { backend: 'auto' });
      expect({ code, stderr: stderr.includes('FdsetWarning') ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      expect(settled(lines.join('\n'))).toBe(settled(prints));
    });

  it('its tables are those of the code', () => {
    const reactor = new Reactor();
    expect(Object.keys(rows('[a-z]\\w+(?:In|Out|Ms|s|d|le|Times|Errors|Share|Hits)')).sort()).toEqual(
      Object.keys(reactor.metrics).sort(),
    );
    reactor.close();
    expect(rows('WARN_REACTOR_\\w+')).toEqual(WARNINGS);
  });
});
