/** Listening sockets that the service manager has opened for this process: systemd's socket activation. */
import { describe, misuse } from './errors.js';

/** A descriptor that was handed to this process; `reactor.listen` and `reactor.serve` take it as their target. */
export interface InheritedListener {
  readonly fd: number;
  /** `FileDescriptorName=` of the socket unit, by default the unit's own name; 'unknown' where the manager gave none. */
  readonly name: string;
}

/** `SD_LISTEN_FDS_START`: they follow the standard streams. */
const FIRST_FD = 3;
/** The largest that Linux has: `fs.nr_open` as it is by default, and PID_MAX_LIMIT. */
const MOST_FDS = 2 ** 20;
const MOST_PIDS = 2 ** 22;

/**
 * The descriptors of `LISTEN_FDS`, from 3 on, as sd_listen_fds(3) finds them: none where `LISTEN_PID` is missing or names
 * another process (the variables were meant for a parent). Nothing is opened or checked: `listen` does. The variables
 * stay in the environment, where they mean nothing to a child process. A value that is no number throws
 * `ERR_REACTOR_ARGUMENT`.
 *
 * ```ts
 * const [inherited] = inheritedListeners();
 * await reactor.serve(inherited ?? { host: '127.0.0.1', port: 7000 }, handler);
 * ```
 */
export function inheritedListeners(environment: NodeJS.ProcessEnv = process.env): InheritedListener[] {
  if (numberOf(environment, 'LISTEN_PID', MOST_PIDS) !== process.pid) return [];
  const length = numberOf(environment, 'LISTEN_FDS', MOST_FDS) ?? 0;
  const names = environment.LISTEN_FDNAMES?.split(':') ?? [];
  return Array.from({ length }, (_, i) => ({ fd: FIRST_FD + i, name: names[i] || 'unknown' }));
}

function numberOf(environment: NodeJS.ProcessEnv, name: string, most: number): number | undefined {
  const text = environment[name];
  if (text === undefined || text === '') return undefined;
  if (/^\d+$/.test(text) && Number(text) <= most) return Number(text);
  throw misuse('ERR_REACTOR_ARGUMENT', `${name} must be a number from 0 to ${most}, got ${describe(text)}`);
}
