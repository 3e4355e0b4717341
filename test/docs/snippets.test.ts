/**
 * The guides run: every `ts` fence of docs/guides is a whole program. It is type checked against the built packages and
 * run in a process of its own, and where a `text` fence follows it, that is what it prints.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Reactor } from '@fdset/reactor';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { guardEachTest } from '../support/backends.js';
import { runNode } from '../support/node-process.js';

const GUIDES = fileURLToPath(new URL('../../docs/guides', import.meta.url));
const TEST_FOLDER = fileURLToPath(new URL('..', import.meta.url));
/** The guides show what the kernel backend can do. */
const NATIVE = new Reactor().backend.name === 'kernel';
/** A snippet ends by itself long before that. */
const TIMEOUT_MS = 30_000;

interface Snippet {
  /** Where it stands: `reactor.md:42`. */
  readonly place: string;
  /** The heading above it. */
  readonly heading: string;
  readonly source: string;
  readonly output: string | undefined;
  /** The file that the compiler takes it for: beside the tests, where the packages resolve. */
  readonly file: string;
}

interface Fence {
  readonly language: string;
  readonly body: string;
  readonly line: number;
  readonly heading: string;
}

function fencesOf(markdown: string): Fence[] {
  const fences: Fence[] = [];
  let heading = '';
  let open: { language: string; line: number; body: string[] } | null = null;
  markdown.split('\n').forEach((text, index) => {
    if (open === null) {
      const fence = /^```(\w*)$/.exec(text);
      if (fence !== null) open = { language: fence[1] as string, line: index + 1, body: [] };
      else heading = /^#+ (.+)$/.exec(text)?.[1] ?? heading;
    } else if (text === '```') {
      fences.push({ language: open.language, line: open.line, body: open.body.join('\n'), heading });
      open = null;
    } else open.body.push(text);
  });
  return fences;
}

function snippetsOf(guide: string): Snippet[] {
  const fences = fencesOf(readFileSync(path.join(GUIDES, guide), 'utf8'));
  return fences.flatMap(({ language, line, body, heading }, i) => {
    if (language !== 'ts') return [];
    const next = fences[i + 1];
    return {
      place: `${guide}:${line}`,
      heading,
      source: body,
      output: next?.language === 'text' ? next.body : undefined,
      file: path.join(TEST_FOLDER, `${path.basename(guide, '.md')}-${line}.ts`),
    };
  });
}

const guides = readdirSync(GUIDES).filter((name) => name.endsWith('.md'));
const snippets = guides.flatMap(snippetsOf);

/** Compiles all snippets as one program; the complaints and the JavaScript by the place of each. */
function compile(): Map<string, { complaints: string[]; code: string }> {
  const { config } = ts.readConfigFile(path.join(TEST_FOLDER, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, TEST_FOLDER);
  const sources = new Map(snippets.map(({ file, source }) => [file, source]));
  // An example leaves what it does not need unused.
  const settings = { ...options, noEmit: false, noUnusedLocals: false, noUnusedParameters: false, sourceMap: false };
  const host = ts.createCompilerHost(settings);
  const { readFile, fileExists, getSourceFile } = host;
  host.readFile = (name) => sources.get(name) ?? readFile.call(host, name);
  host.fileExists = (name) => sources.has(name) || fileExists.call(host, name);
  host.getSourceFile = (name, version, ...rest) => {
    const source = sources.get(name);
    if (source === undefined) return getSourceFile.call(host, name, version, ...rest);
    // The snippets are modules, as the folder's package.json says.
    const file = ts.createSourceFile(name, source, version, true);
    file.impliedNodeFormat = ts.ModuleKind.ESNext;
    return file;
  };
  const program = ts.createProgram([...sources.keys()], settings, host);
  return new Map(
    snippets.map(({ place, file }) => {
      const source = program.getSourceFile(file) as ts.SourceFile;
      const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
      const complaints = found.map(({ messageText, start = 0 }) => {
        const { line } = source.getLineAndCharacterOfPosition(start);
        return `line ${line + 1}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
      });
      let code = '';
      program.emit(source, (_name, text) => {
        code = text;
      });
      return [place, { complaints, code }];
    }),
  );
}

const compiled = compile();

describe('the guides', () => {
  guardEachTest();

  it('are the four of the reactor package, each with programs to run', () => {
    expect(guides).toEqual(expect.arrayContaining(['connections.md', 'reactor.md', 'sockets.md', 'threads.md']));
    for (const guide of guides) expect(snippets.some(({ place }) => place.startsWith(guide))).toBe(true);
  });

  it('compile', () => {
    for (const [place, { complaints }] of compiled) expect(complaints, place).toEqual([]);
  });

  it.runIf(NATIVE).each(snippets.map((snippet) => [snippet.place, snippet.heading, snippet] as const))(
    '%s (%s) runs to its end, and prints what it says',
    { timeout: TIMEOUT_MS },
    async (place, _heading, { output }) => {
      const { code } = compiled.get(place) as { code: string };
      const outcome = await runNode(code);
      expect({ code: outcome.code, stderr: outcome.stderr }).toEqual({ code: 0, stderr: '' });
      if (output !== undefined) expect(outcome.lines.join('\n')).toBe(output);
    },
  );
});
