/** Network namespaces, in which a test makes interfaces and counts as it likes. */
import { spawnSync } from 'node:child_process';

/** What runs the program that follows in a namespace of its own, once the commands of `setup` have been run there. */
export function namespace(...setup: string[]): string[] {
  return ['unshare', '-rn', 'sh', '-c', [...['ip link set lo up', ...setup], 'exec "$@"'].join(' && '), 'sh'];
}

/** What a program prints in the namespace; `null` where none can be made here. */
export function printedIn(within: readonly string[], ...program: string[]): string | null {
  const [first, ...rest] = [...within, ...program] as [string, ...string[]];
  const { status, stdout } = spawnSync(first, rest, { encoding: 'utf8' });
  return status === 0 ? stdout : null;
}
