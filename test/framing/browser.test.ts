/** Framing in a browser: the built bundles, loaded by headless Chromium, run every vector. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DIST = path.join(ROOT, 'packages/framing/dist');
const VECTORS = path.join(ROOT, 'packages/framing/vectors');
const CHROMIUM = ['chromium', 'chromium-browser', 'google-chrome'].find(isThere);

/** The gate installs it; without it the test says so. */
function isThere(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Of every file; those of struct are none of a codec. */
const vectors = readdirSync(VECTORS)
  .filter((file) => file.endsWith('.jsonl'))
  .flatMap((file) => readFileSync(path.join(VECTORS, file), 'utf8').split('\n'))
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as { codec: string })
  .filter(({ codec }) => codec !== 'struct');

/** Serves the page, its program, the bundles and nothing else. */
function answer(url: string): { type: string; body: string | Buffer } | undefined {
  const script = 'text/javascript';
  if (url === '/')
    return { type: 'text/html', body: '<!doctype html><body>not run<script type="module" src="/page.js"></script>' };
  if (url === '/page.js')
    return { type: script, body: readFileSync(fileURLToPath(new URL('browser/page.js', import.meta.url))) };
  if (url === '/vectors.js') return { type: script, body: `export default ${JSON.stringify(vectors)}` };
  const bundle = /^\/framing\/([\w-]+\.js)$/.exec(url)?.[1];
  return bundle === undefined ? undefined : { type: script, body: readFileSync(path.join(DIST, bundle)) };
}

describe.skipIf(CHROMIUM === undefined)('in a browser (needs chromium)', () => {
  let server: Server;
  let profile: string;

  beforeAll(async () => {
    profile = mkdtempSync(path.join(tmpdir(), 'fdset-chromium-'));
    server = createServer((request, response) => {
      const found = answer(request.url ?? '');
      response.writeHead(found === undefined ? 404 : 200, { 'content-type': found?.type ?? 'text/plain' });
      response.end(found?.body);
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
  });

  afterAll(async () => {
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  });

  it('every vector holds in every chunking, from the bundle', { timeout: 120_000 }, async () => {
    const { port } = server.address() as AddressInfo;
    const flags = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      `--user-data-dir=${profile}`,
      '--dump-dom',
      `http://127.0.0.1:${port}/`,
    ];
    const { stdout } = await promisify(execFile)(CHROMIUM as string, flags, { timeout: 110_000, maxBuffer: 1 << 24 });
    const text = /<body>(.*)<\/body>/s.exec(stdout)?.[1] ?? stdout;
    const found = JSON.parse(text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')) as {
      vectors: number;
      runs: number;
      failures: string[];
    };
    expect(found.failures).toEqual([]);
    expect(found.vectors).toBe(vectors.length);
    expect(found.runs).toBeGreaterThan(vectors.length * 20);
  });
});
