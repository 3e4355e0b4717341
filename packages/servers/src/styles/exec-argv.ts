/** Node's own arguments for a worker: this process's, without those that say what its program is. */

/** With an argument that follows them. */
const PROGRAM_FLAGS: ReadonlySet<string> = new Set(['-e', '--eval', '-p', '--print', '-pe', '--input-type']);

/**
 * To be given as `execArgv`. Node leaves out the program of `node -e` by itself, but not `--input-type`, with which a
 * worker cannot load its file.
 */
export function execArgv(): { execArgv?: string[] } {
  const given = process.execArgv;
  if (!given.some((flag) => flag.startsWith('--input-type'))) return {};
  const kept: string[] = [];
  for (let i = 0; i < given.length; i += 1) {
    const flag = given[i] as string;
    if (PROGRAM_FLAGS.has(flag)) i += 1;
    else if (!flag.startsWith('--input-type=')) kept.push(flag);
  }
  return { execArgv: kept };
}
