/** The load against one server: a slice of it, or a whole measurement with a fresh server of its own. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ClientKind,
  type Figures,
  type LoadOptions,
  type LoadProgress,
  type LoadResult,
  loadArguments,
} from '../load/result.js';
import { Child } from './children.js';
import { type Placement, placed } from './placement.js';
import { type Idleness, Server, type Stopped } from './server.js';

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

/** What became of the load against a server. */
export interface Loaded {
  outcome: MeasurementOutcome;
  reason?: string;
  load?: LoadResult;
}

/** A short stretch of load between those of other targets. */
export interface Slice {
  /** From 1; the slices of one pass are compared with each other. */
  pass: number;
  /** Place in the order of its pass, from 1. */
  position: number;
  figures: Figures;
}

export interface Measurement extends Loaded {
  /** Of which `load` is the sum; absent where the target was measured in one go. */
  slices?: Slice[];
  /** What the target said of itself on its ready line. */
  detail?: string;
  /** From spawn to the ready line. */
  bootMs?: number;
  stop?: Stopped;
  /** What it used between its slices. */
  idle?: Idleness;
}

/** The longest time that the client may take by its own rules; beyond it something is wrong with the client itself. */
function clientLimitMs(load: Setup['load']): number {
  const opening = 65;
  return (2 * opening + load.warmup + load.longest + 2 * load.settle + load.stall + 10) * 1000;
}

/** Runs the load client once. Never rejects for what a target or the load does wrong: that is an outcome. */
export async function loadServer(
  server: Server,
  { client: command, placement, load: given }: Omit<Setup, 'server' | 'clientKind'>,
  onProgress: (progress: LoadProgress) => void,
): Promise<Loaded> {
  const options: LoadOptions = { ...given, host: '127.0.0.1', port: server.port, serverPids: [server.pid] };
  let output = '';
  const client = new Child(
    placed([...command, ...loadArguments(options)], 'load', placement),
    (line) => {
      output += line;
    },
    (line) => {
      if (!line.startsWith('{')) return false;
      onProgress(JSON.parse(line) as LoadProgress);
      return true;
    },
  );
  const timer = setTimeout(() => client.killGroup(), clientLimitMs(given));
  const { code, signal } = await client.ended;
  clearTimeout(timer);
  const load = output.startsWith('{') ? (JSON.parse(output) as LoadResult) : undefined;
  if (load === undefined || load.outcome === 'failed') await server.lost();
  if (server.death !== undefined)
    return { outcome: 'failed', reason: server.death, ...(load === undefined ? {} : { load }) };
  if (load === undefined) {
    const said = client.complaint || 'it said nothing';
    return {
      outcome: 'failed',
      reason: `the load client ended (${signal ?? `code ${code}`}) without a result: ${said}`,
    };
  }
  const reason = load.reason && server.complaint ? `${load.reason} (server: ${server.complaint})` : load.reason;
  return { outcome: load.outcome, load, ...(reason ? { reason } : {}) };
}

/** Ends the server, and says of it what every measurement does. */
export async function concluded(server: Server): Promise<Omit<Measurement, 'outcome'>> {
  const { bootMs, detail, idle } = server;
  const stop = await server.stop();
  return { bootMs, stop, ...(detail ? { detail } : {}), ...(idle ? { idle } : {}) };
}

/** A fresh server, the load against it in one go, the end of both. */
export async function measure(
  setup: Setup,
  onProgress: (progress: LoadProgress) => void = () => {},
): Promise<Measurement> {
  const server = await Server.start(setup.server, setup.placement);
  if (!(server instanceof Server)) return server;
  const loaded = await loadServer(server, setup, onProgress);
  const rest = await concluded(server);
  await sleep(COOL_MS);
  return { ...rest, ...loaded };
}
