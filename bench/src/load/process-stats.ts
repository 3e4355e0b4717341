/**
 * CPU time and memory of a server and its descendants, read from outside, for the TypeScript load client; load/server-stats.c is its exact twin
 * in C. A process's CPU clock cannot be read from JavaScript. In its place: the nanoseconds of /proc/<pid>/task/<tid>/schedstat, as long as no
 * thread has ended between two readings (an ended thread takes its figure along), else utime and stime, which keep ended threads but count
 * ticks of 10 ms. Elsewhere than on Linux nothing is known.
 */
import { readdirSync, readFileSync } from 'node:fs';

const TICK_SECONDS = 0.01;

interface ProcessSample {
  ticks: number;
  /** By thread: nanoseconds on a CPU. */
  threads: Map<string, number>;
}

export interface ServerSample {
  processes: Map<number, ProcessSample>;
  /** Ticks of ended children, in their parents. */
  reapedTicks: number;
  pssBytes: number;
}

interface Stat {
  parent: number;
  ticks: number;
  reapedTicks: number;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** The fields of /proc/<pid>/stat that follow the name, which may itself hold blanks and parentheses. */
export function parseStat(text: string): Stat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number) => Number(fields[number - 3]);
  return { parent: field(4), ticks: field(14) + field(15), reapedTicks: field(16) + field(17) };
}

function descendants(roots: readonly number[], stats: ReadonlyMap<number, Stat>): Set<number> {
  const found = new Set(roots.filter((pid) => stats.has(pid)));
  for (let size = -1; size !== found.size; ) {
    size = found.size;
    for (const [pid, { parent }] of stats) if (found.has(parent)) found.add(pid);
  }
  return found;
}

/** `undefined` where there is no /proc. Memory, which takes milliseconds to read, only when asked for. */
export function readServer(roots: readonly number[], withMemory: boolean): ServerSample | undefined {
  const stats = new Map<number, Stat>();
  for (const name of list('/proc')) {
    const text = /^\d+$/.test(name) ? read(`/proc/${name}/stat`) : undefined;
    if (text !== undefined) stats.set(Number(name), parseStat(text));
  }
  if (stats.size === 0) return undefined;
  const sample: ServerSample = { processes: new Map(), reapedTicks: 0, pssBytes: 0 };
  for (const pid of descendants(roots, stats)) {
    const threads = new Map<string, number>();
    for (const thread of list(`/proc/${pid}/task`)) {
      const text = read(`/proc/${pid}/task/${thread}/schedstat`);
      if (text !== undefined) threads.set(thread, Number(text.split(' ')[0]));
    }
    const { ticks, reapedTicks } = stats.get(pid)!;
    sample.processes.set(pid, { ticks, threads });
    sample.reapedTicks += reapedTicks;
    if (withMemory)
      sample.pssBytes += Number(/^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`) ?? '')?.[1] ?? 0) * 1024;
  }
  return sample;
}

function ownSeconds(before: ProcessSample | undefined, after: ProcessSample): number {
  const earlier = before?.threads ?? new Map<string, number>();
  const allThere = [...earlier.keys()].every((thread) => after.threads.has(thread));
  if (!allThere || after.threads.size === 0) return (after.ticks - (before?.ticks ?? 0)) * TICK_SECONDS;
  let nanoseconds = 0;
  for (const [thread, time] of after.threads) nanoseconds += time - (earlier.get(thread) ?? 0);
  return nanoseconds / 1e9;
}

/** CPU seconds used between two samples. What a process that is gone had used before the first one is in its parent's account now, and is taken off. */
export function cpuSecondsBetween(before: ServerSample, after: ServerSample): number {
  let seconds = (after.reapedTicks - before.reapedTicks) * TICK_SECONDS;
  for (const [pid, sample] of after.processes) seconds += ownSeconds(before.processes.get(pid), sample);
  for (const [pid, sample] of before.processes) if (!after.processes.has(pid)) seconds -= sample.ticks * TICK_SECONDS;
  return seconds;
}

export interface MachineSample {
  busySeconds: number;
  stealSeconds: number;
}

export function readMachine(): MachineSample {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (
    /^cpu +(.*)$/m.exec(read('/proc/stat') ?? '')?.[1] ?? ''
  )
    .split(' ')
    .map(Number);
  return { busySeconds: (user + nice + system + irq + softirq) * TICK_SECONDS, stealSeconds: steal * TICK_SECONDS };
}
