/** A program that knows nothing of it runs on a simulated network, unchanged. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Reactor } from '@fdset/reactor';
import { SimulatedNetwork } from '@fdset/reactor/testing';
import { describe, expect, it } from 'vitest';
import { guardEachTest } from '../support/backends.js';

const program = fileURLToPath(new URL('../../examples/dist/echo-server.js', import.meta.url));
const preload = new URL('fixtures/on-network.mjs', import.meta.url).href;

describe('a network that is provided', () => {
  guardEachTest();

  it.runIf(existsSync(program))('the echo example runs on it unchanged', { timeout: 30_000 }, async () => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--import', preload, program]);
    expect(stderr).toBe('');
    expect(stdout.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^ready: reactor on 127\.0\.0\.1:\d+$/),
      'simulated: all came back',
    ]);
  });

  it('is taken by reactors without a choice of their own, until it is disposed of', () => {
    const nameOf = (options?: { backend: 'emulated' }): string => {
      const reactor = new Reactor(options);
      reactor.close();
      return reactor.backend.name;
    };
    const usual = nameOf();
    const outer = new SimulatedNetwork().provide();
    const inner = new SimulatedNetwork().provide();
    expect([nameOf(), nameOf({ backend: 'emulated' })]).toEqual(['simulated', 'emulated']);
    inner[Symbol.dispose]();
    inner[Symbol.dispose]();
    expect(nameOf()).toBe('simulated');
    // In the order in which they were provided, too.
    const later = new SimulatedNetwork().provide();
    outer[Symbol.dispose]();
    expect(nameOf()).toBe('simulated');
    later[Symbol.dispose]();
    expect(nameOf()).toBe(usual);
  });
});
