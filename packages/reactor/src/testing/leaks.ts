/** Whether something leaves the process as it was. */
import { AssertionError } from 'node:assert';
import { readdirSync, readlinkSync } from 'node:fs';
import { checkMs } from '../arguments.js';
import { describe, misuse } from '../errors.js';

export interface LeakOptions {
  /** How long closing may take: `uv_close` and a peer's end need some rounds of the loop (2000). */
  settleMs?: number;
}

/** Handles of libuv that sockets, reactors and children have: those of Node itself come and go. */
const HANDLES = new Set(['poll', 'tcp', 'udp', 'pipe', 'process']);

/**
 * Calls `use`, and resolves with what it gives once the process holds no more descriptors, handles, timers and immediates
 * than before. Rejects with an AssertionError that lists what is left, or with what `use` throws. Descriptors are looked for
 * where there is `/proc/self/fd`. Nothing else may open or close anything meanwhile, nor have a timer begin or end: one that
 * a test's runner ends may hide one that is left.
 */
export async function expectNoLeaks<T>(use: () => T | Promise<T>, options: LeakOptions = {}): Promise<T> {
  if (typeof use !== 'function')
    throw misuse('ERR_REACTOR_ARGUMENT', `expectNoLeaks takes a function, got ${describe(use)}`);
  const settleMs = checkMs(options.settleMs ?? 2000, 'settleMs');
  const before = holdings();
  const result = await use();
  const deadline = performance.now() + settleMs;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    const left = added(before, holdings());
    if (left.length === 0) return result;
    if (performance.now() >= deadline)
      throw new AssertionError({
        message: `left open: ${left.join(', ')}`,
        actual: left,
        expected: [],
        operator: 'expectNoLeaks',
      });
  }
}

/** What the process holds, by names, with a count of each. */
function holdings(): Map<string, number> {
  const counts = new Map<string, number>();
  const count = (name: string): void => void counts.set(name, (counts.get(name) ?? 0) + 1);
  for (const name of descriptors()) count(name);
  const { libuv } = process.report.getReport() as unknown as { libuv: { type: string }[] };
  for (const { type } of libuv) if (HANDLES.has(type)) count(`handle ${type}`);
  for (const kind of process.getActiveResourcesInfo()) if (kind === 'Immediate' || kind === 'Timeout') count(kind);
  return counts;
}

function descriptors(): string[] {
  let numbers: string[];
  try {
    numbers = readdirSync('/proc/self/fd');
  } catch {
    return [];
  }
  return numbers.flatMap((number) => {
    try {
      return `descriptor ${number} (${readlinkSync(`/proc/self/fd/${number}`)})`;
    } catch {
      // That of the listing itself.
      return [];
    }
  });
}

function added(before: ReadonlyMap<string, number>, now: ReadonlyMap<string, number>): string[] {
  const names: string[] = [];
  for (const [name, count] of now) {
    const more = count - (before.get(name) ?? 0);
    if (more > 0) names.push(more === 1 ? name : `${more} ${name}`);
  }
  return names;
}
