/** Puts server and load on different cores, where `taskset` exists and the process may use two. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Placement {
  /** `split`: the server, with all its threads and children, on one core and the load on another. `none`: where the system puts them. */
  kind: 'split' | 'none';
  serverCpu?: number;
  loadCpu?: number;
  reason: string;
}

/** The CPU numbers in a list like `0-3,8`. */
export function parseCpuList(list: string): number[] {
  return list
    .trim()
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
}

function allowedCpus(): number[] {
  try {
    const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return list ? parseCpuList(list) : [];
  } catch {
    return [];
  }
}

export function choosePlacement(pin: boolean): Placement {
  if (!pin) return { kind: 'none', reason: '--no-pin' };
  if (spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status !== 0)
    return { kind: 'none', reason: 'no taskset here' };
  const [serverCpu, loadCpu] = allowedCpus();
  if (serverCpu === undefined || loadCpu === undefined) return { kind: 'none', reason: 'only one CPU' };
  return { kind: 'split', serverCpu, loadCpu, reason: `server on CPU ${serverCpu}, load on CPU ${loadCpu}` };
}

/** The command, pinned to its CPU. `taskset` replaces itself by the program, so that the process id is the program's. */
export function placed(command: readonly string[], role: 'server' | 'load', placement: Placement): string[] {
  const cpu = role === 'server' ? placement.serverCpu : placement.loadCpu;
  return cpu === undefined ? [...command] : ['taskset', '-c', String(cpu), ...command];
}
