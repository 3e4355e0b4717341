/** One measurement: a fresh server, the load against it, the end of both. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from './children.js';
import { type ClientKind, type LoadOptions, type LoadProgress, type LoadResult, loadArguments } from './load-result.js';
import { type Placement, placed } from './placement.js';

const READY_MS = 15_000;
const STOP_MS = 5_000;
/** Between two measurements: what the last one left in the kernel's queues is worked off. */
const COOL_MS = 30;

export interface Setup {
  /** The target's command without `--host` and `--port`. */
  server: readonly string[];
  /** The load client's command without its options. */
  client: readonly string[];
  clientKind: ClientKind;
  placement: Placement;
  load: Omit<LoadOptions, 'host' | 'port' | 'serverPids'>;
}

export type MeasurementOutcome = LoadResult['outcome'] | 'unavailable';

export interface Measurement {
  outcome: MeasurementOutcome;
  reason?: string;
  load?: LoadResult;
  /** What the target said of itself on its ready line. */
  detail?: string;
  /** From spawn to the ready line. */
  bootMs?: number;
  stop?: { graceful: boolean; leftBehind: boolean; elapsedMs: number };
}

type Ready = { port: number; detail: string } | { unavailable: string } | { failed: string };

function waitForReady(command: readonly string[]): { server: Child; ready: Promise<Ready> } {
  let server!: Child;
  const ready = new Promise<Ready>((resolve) => {
    const timer = setTimeout(() => resolve({ failed: `no ready line after ${READY_MS / 1000} s` }), READY_MS);
    const settle = (result: Ready) => {
      clearTimeout(timer);
      resolve(result);
    };
    server = new Child(command, (line) => {
      const [word, first, ...rest] = line.split(' ');
      if (word === 'ready') settle({ port: Number(first), detail: rest.join(' ') });
      if (word === 'unavailable') settle({ unavailable: line.slice('unavailable '.length) });
    });
    server.ended.then(({ code, signal }) => {
      settle({
        failed: `the server ended (${signal ?? `code ${code}`}) before it was ready: ${server.complaint || 'it said nothing'}`,
      });
    });
  });
  return { server, ready };
}

/** The longest time that the client may take by its own rules; beyond it something is wrong with the client itself. */
function clientLimitMs(load: Setup['load']): number {
  const opening = 65;
  return (2 * opening + load.warmup + load.longest + 2 * load.settle + load.stall + 10) * 1000;
}

async function runClient(
  setup: Setup,
  port: number,
  serverPid: number,
  onProgress: (progress: LoadProgress) => void,
): Promise<LoadResult | string> {
  const options: LoadOptions = { ...setup.load, host: '127.0.0.1', port, serverPids: [serverPid] };
  let output = '';
  const client = new Child(
    placed([...setup.client, ...loadArguments(options)], 'load', setup.placement),
    (line) => {
      output += line;
    },
    (line) => {
      if (!line.startsWith('{')) return false;
      onProgress(JSON.parse(line) as LoadProgress);
      return true;
    },
  );
  const timer = setTimeout(() => client.killGroup(), clientLimitMs(setup.load));
  const { code, signal } = await client.ended;
  clearTimeout(timer);
  if (output.startsWith('{')) return JSON.parse(output) as LoadResult;
  return `the load client ended (${signal ?? `code ${code}`}) without a result: ${client.complaint || 'it said nothing'}`;
}

/** Never rejects for what a target or the load does wrong: that is an outcome. */
export async function measure(
  setup: Setup,
  onProgress: (progress: LoadProgress) => void = () => {},
): Promise<Measurement> {
  const begun = performance.now();
  const command = placed([...setup.server, '--host', '127.0.0.1', '--port', '0'], 'server', setup.placement);
  const { server, ready } = waitForReady(command);
  const state = await ready;
  if ('unavailable' in state) {
    await server.stop(STOP_MS);
    return { outcome: 'unavailable', reason: state.unavailable };
  }
  if ('failed' in state) {
    server.killGroup();
    return { outcome: 'failed', reason: state.failed };
  }
  const bootMs = performance.now() - begun;
  let died: string | undefined;
  server.ended.then(({ code, signal }) => {
    died = signal ?? `code ${code}`;
  });
  const load = await runClient(setup, state.port, server.pid, onProgress);
  const early = died;
  const stop = await server.stop(STOP_MS);
  await sleep(COOL_MS);
  const common = { bootMs, stop, ...(state.detail ? { detail: state.detail } : {}) };
  if (early !== undefined) {
    const reason = `the server ended by itself (${early}): ${server.complaint || 'it said nothing'}`;
    return { ...common, outcome: 'failed', reason, ...(typeof load === 'string' ? {} : { load }) };
  }
  if (typeof load === 'string') return { ...common, outcome: 'failed', reason: load };
  const reason = load.reason && server.complaint ? `${load.reason} (server: ${server.complaint})` : load.reason;
  return { ...common, outcome: load.outcome, load, ...(reason ? { reason } : {}) };
}
