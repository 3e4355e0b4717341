/** Which backend runs, and why: each case in a process of its own, because the native core is looked for once. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Reactor } from '@fdset/reactor';
import { describe, expect, it } from 'vitest';
import { afterTest } from '../support/after-test.js';
import { guardEachTest } from '../support/backends.js';
import { runNode } from '../support/node-process.js';

const LOADS = new Reactor().capabilities.adopt;
const PACKAGE = path.dirname(path.dirname(createRequire(import.meta.url).resolve('@fdset/reactor')));

interface Case {
  /** What happens before the package is loaded. */
  readonly before?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly from?: string;
  readonly options?: string;
}

/** `name: reason` of the backend that runs, or the code and message that the constructor throws. It echoes a byte over it first. */
async function told({ before = '', env = {}, from = '@fdset/reactor', options = '' }: Case): Promise<string> {
  const environment = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const { code, lines, stderr } = await runNode(
    `
      ${before}
      const { Reactor } = await import(${JSON.stringify(from)});
      try {
        const reactor = new Reactor(${options});
        const listener = await reactor.serve({ host: '127.0.0.1', port: 0 }, { data: (c, chunk) => c.end(chunk) });
        const connection = await reactor.open(listener.socket.localAddress);
        connection.write('x');
        for await (const chunk of connection) if (String(chunk) !== 'x') throw new Error('no echo');
        reactor.close();
        console.log(reactor.backend.name + ': ' + reactor.backend.reason);
      } catch (error) {
        console.log(error.code + ': ' + error.message);
      }
    `,
    // A whole environment: what the suite itself was started with must not decide.
    { through: ['env', '-u', 'FDSET_BACKEND', '-u', 'FDSET_NATIVE', '-u', 'FDSET_CORE', ...environment] },
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(lines).toHaveLength(1);
  return lines[0] as string;
}

/** The built package in another place, with what `native` puts beside it. */
function copied(native: (folder: string) => void): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'fdset-package-'));
  afterTest(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(path.join(PACKAGE, 'dist'), path.join(folder, 'dist'), { recursive: true });
  cpSync(path.join(PACKAGE, 'package.json'), path.join(folder, 'package.json'));
  symlinkSync(path.join(PACKAGE, 'node_modules'), path.join(folder, 'node_modules'));
  native(path.join(folder, 'native'));
  return pathToFileURL(path.join(folder, 'dist/index.js')).href;
}

function runtime(name: string, version: string): string {
  return `Object.defineProperty(process.versions, '${name}', { value: '${version}' });`;
}

describe('reactor.backend says', () => {
  guardEachTest();

  it.runIf(LOADS)('that the native core is loaded', async () => {
    expect(await told({})).toBe('kernel: the native core is loaded');
    expect(await told({ options: `{ backend: 'auto' }` })).toBe('kernel: the native core is loaded');
  });

  it('that the option has asked for it, whatever the environment says', async () => {
    const env = { FDSET_BACKEND: 'kernel' };
    expect(await told({ env, options: `{ backend: 'emulated' }` })).toBe('emulated: asked for by the option backend');
  });

  it.runIf(LOADS)('that the option has asked for the kernel', async () => {
    const env = { FDSET_BACKEND: 'emulated' };
    expect(await told({ env, options: `{ backend: 'kernel' }` })).toBe('kernel: asked for by the option backend');
  });

  it('that FDSET_BACKEND has asked for it; an unknown one there is refused', async () => {
    expect(await told({ env: { FDSET_BACKEND: 'emulated' } })).toBe('emulated: asked for by FDSET_BACKEND');
    if (LOADS) expect(await told({ env: { FDSET_BACKEND: 'kernel' } })).toBe('kernel: asked for by FDSET_BACKEND');
    expect(await told({ env: { FDSET_BACKEND: 'select' } })).toContain(
      "ERR_REACTOR_BACKEND: backend must be 'auto', 'kernel', 'emulated' or a Backend, got 'select'",
    );
  });

  it('that FDSET_NATIVE is off, and refuses the kernel with the same words', async () => {
    const env = { FDSET_NATIVE: 'off' };
    expect(await told({ env })).toBe('emulated: FDSET_NATIVE is off: the native core is not loaded');
    expect(await told({ env, options: `{ backend: 'kernel' }` })).toBe(
      'ERR_REACTOR_BACKEND: the kernel backend cannot run here: FDSET_NATIVE is off: the native core is not loaded',
    );
  });

  it('that the core is not built, and how it is', async () => {
    const reason = await told({ from: copied(() => {}) });
    expect(reason).toMatch(
      /^emulated: the native core is not built here, npx fdset-native build does it: No native build/,
    );
  });

  it('that the core cannot be loaded: a binary that is broken, and one that is none', async () => {
    const withBinary = (bytes: string): string =>
      copied((folder) => {
        mkdirSync(path.join(folder, 'build/Release'), { recursive: true });
        writeFileSync(path.join(folder, 'build/Release/fdset.node'), bytes);
      });
    expect(await told({ from: withBinary('') })).toMatch(/^emulated: the native core cannot be loaded: .*too short/);
    expect(await told({ from: withBinary('x'.repeat(10_000)) })).toMatch(
      /^emulated: the native core cannot be loaded: .*invalid ELF header/,
    );
  });

  it('that FDSET_CORE cannot be loaded', async () => {
    const reason = await told({ env: { FDSET_CORE: '/nowhere/fdset.node' } });
    expect(reason).toMatch(/^emulated: FDSET_CORE cannot be loaded: .*\/nowhere\/fdset\.node/);
  });

  it('that there is no core for the platform', async () => {
    const before = `Object.defineProperty(process, 'platform', { value: 'darwin' });`;
    expect(await told({ before })).toBe('emulated: there is no native core for darwin yet, only for linux');
  });

  // The real ones run test/runtimes/smoke.mjs, by scripts/matrix.mjs.
  it('that Bun and Deno have no libuv, and does not open the core there: not even by FDSET_CORE', async () => {
    const env = { FDSET_CORE: '/nowhere/fdset.node' };
    for (const [name, called] of [
      ['bun', 'Bun'],
      ['deno', 'Deno'],
    ] as const) {
      const before = runtime(name, '9.8.7');
      expect(await told({ before, env })).toBe(`emulated: ${called} 9.8.7 has no libuv, which the native core needs`);
      expect(await told({ before, options: `{ backend: 'kernel' }` })).toBe(
        `ERR_REACTOR_BACKEND: the kernel backend cannot run here: ${called} 9.8.7 has no libuv, which the native core needs`,
      );
    }
  });
});
