/** What every target program has in common: its arguments, the ready line, its end. */
import { parseArgs } from 'node:util';

export interface Serving {
  port: number;
  /** Ends the server; the process exits when it settles. */
  stop(): unknown;
  /** Words for the results file, for instance the backend in use. */
  detail?: string;
}

/** Thrown by a target that cannot run on this machine: its row is skipped with this reason. */
export class Unavailable extends Error {}

/**
 * Runs a target: `--host` and `--port` (0 = any) are passed on, `ready <port> [detail]` or `unavailable <reason>` is printed, SIGTERM ends it.
 * It ends as well when its standard input does: the harness holds the other end, and whatever becomes of the harness, nothing is left behind.
 */
export async function runTarget(start: (address: { host: string; port: number }) => Promise<Serving>): Promise<void> {
  const { values } = parseArgs({
    options: { host: { type: 'string', default: '127.0.0.1' }, port: { type: 'string', default: '0' } },
  });
  let serving: Serving;
  try {
    serving = await start({ host: values.host, port: Number(values.port) });
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    process.stdout.write(`unavailable ${error.message.replaceAll('\n', ' ')}\n`);
    process.exit(0);
  }
  process.once('SIGTERM', async () => {
    await serving.stop();
    process.exit(0);
  });
  process.on('SIGUSR2', () => (globalThis as { gc?: () => void }).gc?.());
  process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0));
  process.stdin.resume();
  process.stdout.write(`ready ${serving.port}${serving.detail ? ` ${serving.detail}` : ''}\n`);
}
