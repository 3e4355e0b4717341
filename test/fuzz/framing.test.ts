/**
 * Every codec and protocol with what a hostile peer may send, in a process of its own, so that one that hangs is seen. What
 * it has found stands as tests of their own beside the codecs.
 */
import { fileURLToPath } from 'node:url';
import * as framing from '@fdset/framing';
import * as protocols from '@fdset/framing/protocols';
import { expect, it } from 'vitest';
import { fuzz } from './run.js';

const SCRIPT = fileURLToPath(new URL('../../scripts/fuzz-framing.mjs', import.meta.url));
const BROKEN = fileURLToPath(new URL('broken-codecs.mjs', import.meta.url));

/** Those that need no options. */
function codecs(): string[] {
  return Object.entries({ ...framing, ...protocols } as unknown as Record<string, (options: object) => unknown>)
    .filter(([name, value]) => /^[a-z]/.test(name) && typeof value === 'function' && isCodec(value))
    .map(([name]) => name);
}

function isCodec(factory: (options: object) => unknown): boolean {
  try {
    return typeof (factory({}) as { decode?: unknown }).decode === 'function';
  } catch {
    return false;
  }
}

it('whatever comes is a message or a FramingError, the same in any chunking', { timeout: 60_000 }, async () => {
  const { stdout, ...end } = await fuzz(SCRIPT, 3, '--seed', String(1 + Math.floor(Math.random() * 1e6)));
  expect(end).toEqual({ code: 0, signal: null, stderr: '' });
  const { counts } = JSON.parse(stdout) as { counts: Record<string, { streams: number; errors: number }> };
  for (const [name, { streams, errors }] of Object.entries(counts)) {
    expect(streams, name).toBeGreaterThanOrEqual(20);
    expect(errors, name).toBeGreaterThan(0);
  }
  const names = Object.keys(counts).map((name) => name.split(/[ ,]/, 1)[0]);
  expect(codecs().length).toBeGreaterThan(20);
  expect(names).toEqual(expect.arrayContaining(codecs()));
});

it.each([
  ['messages that depend on the cuts', 'cuts', /whole, .* in \d+ pieces/],
  ['another error than a FramingError', 'throws', /TypeError: oh/],
  ['memory that is allocated for nothing', 'allocates', /allocates \d+ bytes for/],
  ['memory that is held for nothing', 'holds', /holds \d+ bytes of/],
  ['streams that take too long', 'slow', /takes \d\S* s of processor time/],
])('finds %s', { timeout: 60_000 }, async (_what, only, message) => {
  const { code, stderr } = await fuzz(SCRIPT, 0.1, '--also', BROKEN, '--only', only, '--slow', '0.3');
  expect(stderr).toMatch(message);
  expect(code).toBe(1);
});
