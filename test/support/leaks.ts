/** After each test: no descriptor, no handle and no timer more than before it. */
import { readdirSync, readlinkSync } from 'node:fs';
import { expect } from 'vitest';

/** What a process holds, by names that can be compared and read. */
export interface Holdings {
  readonly descriptors: readonly string[];
  readonly timers: readonly string[];
  readonly handles: readonly string[];
}

interface ReportedHandle {
  readonly type: string;
  readonly is_referenced?: boolean;
}

/** Handles of libuv that a reactor, a socket or a child process makes. Node's own loop-wide ones come and go with them. */
const OURS = new Set(['poll', 'tcp', 'pipe', 'udp', 'process']);

function descriptors(): string[] {
  const found: string[] = [];
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      found.push(`${fd} -> ${readlinkSync(`/proc/self/fd/${fd}`)}`);
    } catch {
      // The descriptor of the listing itself.
    }
  }
  return found.sort();
}

/** Each of these with its number among its kind: `Timeout 1`, `Timeout 2`. So one that goes takes no name from the others. */
function counted(kinds: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].sort().flatMap(([kind, count]) => Array.from({ length: count }, (_, i) => `${kind} ${i + 1}`));
}

/** Timers and immediates that keep the process, as Node counts them. */
function timers(): string[] {
  return counted(process.getActiveResourcesInfo().filter((kind) => kind === 'Immediate' || kind === 'Timeout'));
}

/** libuv's handles, the native core's among them. Only a report tells of these, and takes longer than most tests. */
function handles(): string[] {
  const report = process.report.getReport() as unknown as { libuv: ReportedHandle[] };
  return counted(report.libuv.map(({ type }) => type).filter((type) => OURS.has(type)));
}

/** What was held when a test was last found to have left nothing. */
let last: Holdings | undefined;

/** While the descriptors are the same, no handle has come since: what was held then is held now. */
export function holdings(): Holdings {
  const now = descriptors();
  if (last !== undefined && String(now) === String(last.descriptors)) return last;
  return { descriptors: now, timers: timers(), handles: handles() };
}

/** Closing takes a few rounds of the loop, and a peer's end some more: longer than this it is a leak. */
const SETTLE_MS = 2000;
/** A process that was stopped meanwhile has had the time, and not the rounds. */
const LEAST_LOOKS = 50;

/** Waits until the process holds what it held `before`, and fails with the difference if it does not get there. */
export async function expectHoldings(before: Holdings): Promise<void> {
  const deadline = performance.now() + SETTLE_MS;
  for (let looks = 1; ; looks++) {
    // One round first: uv_close is asynchronous. The timer of this very wait is over when it is looked.
    await new Promise((resolve) => setTimeout(resolve, 1));
    const late = looks >= LEAST_LOOKS && performance.now() >= deadline;
    const now = { descriptors: descriptors(), timers: timers() };
    const settled = noMore(now.descriptors, before.descriptors) && noMore(now.timers, before.timers);
    if (!settled && !late) continue;
    const held = { ...now, handles: handles() };
    if (settled && noMore(held.handles, before.handles)) {
      last = held;
      return;
    }
    if (!late) continue;
    last = undefined;
    const opened = held.descriptors.filter((name) => !before.descriptors.includes(name));
    expect({ opened, timers: held.timers, handles: held.handles }, 'something was left open by the test').toEqual({
      opened: [],
      timers: before.timers,
      handles: before.handles,
    });
    return;
  }
}

/** Fewer is no leak: what an earlier test of the file let go may have been closed since, and a timer of the runner's may be over. */
function noMore(now: readonly string[], before: readonly string[]): boolean {
  return now.every((name) => before.includes(name));
}
