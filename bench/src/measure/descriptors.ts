/** Room for many descriptors: each open connection is one, in the server and in the load client. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** What a process needs beside its connections: Node's own, a listener, connections of the last slice that are still being closed. */
const OTHERS = 200;

/** The hard limit of this process (`ulimit -Hn`), which Node.js and the C programs make use of; infinite where the system does not tell. */
export function hardLimit(): number {
  try {
    const limit = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === undefined || limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function withLimit(limit: number): string[] {
  return ['prlimit', `--nofile=${limit}:${limit}`];
}

function mayRaise(limit: number): boolean {
  return spawnSync('prlimit', [...withLimit(limit).slice(1), 'true'], { stdio: 'ignore' }).status === 0;
}

/**
 * What goes before a command that opens so many connections: nothing where the hard limit is wide enough, prlimit(1) where it may be raised.
 * A string says what is missing.
 */
export function roomFor(connections: number, hard = hardLimit(), raisable = mayRaise): readonly string[] | string {
  const wanted = connections + OTHERS;
  if (wanted <= hard) return [];
  if (raisable(wanted)) return withLimit(wanted);
  return `${connections} connections need ${wanted} descriptors, and the hard limit (ulimit -Hn) is ${hard}`;
}
