/** After each test: no descriptor, no handle and no timer more than before it. */
import { readdirSync, readlinkSync } from 'node:fs';
import { expect } from 'vitest';

/** What a process holds, by names that can be compared and read. */
export interface Holdings {
  readonly descriptors: readonly string[];
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

/** Timers and immediates that keep the process, as Node counts them; and libuv's handles, the native core's among them. */
function handles(): string[] {
  const report = process.report.getReport() as unknown as { libuv: ReportedHandle[] };
  const counts = new Map<string, number>();
  for (const { type } of report.libuv) if (OURS.has(type)) counts.set(type, (counts.get(type) ?? 0) + 1);
  for (const kind of process.getActiveResourcesInfo())
    if (kind === 'Immediate' || kind === 'Timeout') counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => `${count} ${kind}`).sort();
}

export function holdings(): Holdings {
  return { descriptors: descriptors(), handles: handles() };
}

/** Closing takes a few rounds of the loop, and a peer's end some more: longer than this it is a leak. */
const SETTLE_MS = 2000;

/** Waits until the process holds what it held `before`, and fails with the difference if it does not get there. */
export async function expectHoldings(before: Holdings): Promise<void> {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    // One round first: uv_close is asynchronous. The timer of this very wait is over when it is looked.
    await new Promise((resolve) => setTimeout(resolve, 1));
    const now = holdings();
    if (same(now, before)) return;
    if (performance.now() < deadline) continue;
    const opened = now.descriptors.filter((name) => !before.descriptors.includes(name));
    expect({ opened, handles: now.handles }, 'something was left open by the test').toEqual({
      opened: [],
      handles: before.handles,
    });
    return;
  }
}

/** Fewer is no leak: what an earlier test of the file let go may have been closed since. */
function same(now: Holdings, before: Holdings): boolean {
  return (
    now.descriptors.every((name) => before.descriptors.includes(name)) &&
    now.handles.every((line) => before.handles.includes(line))
  );
}
