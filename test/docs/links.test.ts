/** The links of the documentation lead somewhere: to a file or folder that is there, and to a heading in it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

function markdownIn(folder: string): string[] {
  return readdirSync(path.join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(folder, entry.name);
    if (entry.isDirectory()) return folder === '.' ? [] : markdownIn(name);
    return entry.name.endsWith('.md') ? [name] : [];
  });
}

const pages = [
  ...markdownIn('.'),
  ...markdownIn('docs'),
  ...readdirSync(path.join(ROOT, 'packages')).map((name) => `packages/${name}/README.md`),
  'bench/README.md',
];

/** The text without its fences and code spans, in which brackets are no links. */
function proseOf(page: string): string {
  return readFileSync(path.join(ROOT, page), 'utf8')
    .replace(/^```.*?^```$/gms, '')
    .replace(/`[^`\n]*`/g, 'code');
}

/** What a heading is called in a link: as GitHub makes it. */
function anchorsOf(page: string): string[] {
  return [...readFileSync(path.join(ROOT, page), 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    (heading as string)
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

describe('the documentation', () => {
  it.each(pages)('%s has no link that leads nowhere', (page) => {
    const astray = [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target]) => target as string)
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => {
        const [file, anchor] = target.split('#') as [string, string?];
        const name = file === '' ? page : path.join(path.dirname(page), file);
        if (!existsSync(path.join(ROOT, name))) return true;
        return anchor !== undefined && !anchorsOf(name).includes(anchor);
      });
    expect(astray).toEqual([]);
  });
});
