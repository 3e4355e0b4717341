/** Whom is measured: the targets by name, what each is, and where it cannot take part. */
import path from 'node:path';
import { benchFolder } from '../compile.js';
import { roomFor } from '../measure/descriptors.js';
import type { Workload } from './workloads.js';

export interface Target {
  name: string;
  title: string;
  /** A program compiled from load/, or a module of src/targets. */
  program: { c: string } | { module: string };
  /** Most connections it can hold open, with the reason. */
  sessions?: { most: number; reason: string };
  /**
   * A thread or process for each connection runs cold code when it is opened: slices, which open their connections anew, would measure
   * little else. It is measured in one go.
   */
  coldConnections?: boolean;
  /** Speaks u32 frames only. */
  framesOnly?: boolean;
  /** The workload's idle connections are held open beside the load. */
  crowded?: boolean;
  /** Serves datagrams, and no connections. */
  datagrams?: boolean;
}

const threads = { most: 250, reason: 'a thread for each connection: at most 250' };

export const targets: readonly Target[] = [
  { name: 'c-epoll', title: 'C over epoll, one thread: the 100 % line', program: { c: 'epoll-echo' } },
  { name: 'node-net', title: "node:net, socket.on('data', d => socket.write(d))", program: { module: 'node-net' } },
  {
    name: 'node-net-again',
    title: 'the same program as node-net: what their ratio differs from 1 by is noise',
    program: { module: 'node-net' },
  },
  {
    name: 'reactor',
    title: 'reactor.serve, Connection with one shared handler object',
    program: { module: 'reactor' },
  },
  {
    name: 'reactor-borrowed',
    title: 'as reactor, with borrowChunks: nothing is allocated for what is received',
    program: { module: 'reactor-borrowed' },
  },
  {
    name: 'registered',
    title: 'reactor.register, recv and send in the readable handler',
    program: { module: 'registered' },
  },
  { name: 'emulated', title: 'as reactor, on the emulated backend', program: { module: 'emulated' } },
  { name: 'select', title: 'a loop over reactor.select', program: { module: 'select' } },
  {
    name: 'framed',
    title: 'framed(connection, lengthField): decodes and encodes each message',
    program: { module: 'framed' },
    framesOnly: true,
  },
  {
    name: 'iterative',
    title: 'createServer, iterative',
    program: { module: 'iterative' },
    sessions: { most: 1, reason: 'serves one client at a time: open sessions only with --connections 1' },
  },
  {
    name: 'thread',
    title: "createServer, thread-per-connection, io 'reactor'",
    program: { module: 'thread' },
    sessions: threads,
    coldConnections: true,
  },
  {
    name: 'thread-blocking',
    title: "createServer, thread-per-connection, io 'blocking'",
    program: { module: 'thread-blocking' },
    sessions: threads,
    coldConnections: true,
  },
  {
    name: 'process',
    title: 'createServer, process-per-connection',
    program: { module: 'process' },
    sessions: { most: 100, reason: 'a process for each connection: at most 100' },
    coldConnections: true,
  },
  { name: 'style-reactor', title: 'createServer, reactor', program: { module: 'style-reactor' } },
  {
    name: 'c-epoll-crowded',
    title: 'as c-epoll, with the idle connections of the workload beside the load',
    program: { c: 'epoll-echo' },
    crowded: true,
  },
  {
    name: 'node-net-crowded',
    title: 'as node-net, with the idle connections of the workload beside the load',
    program: { module: 'node-net' },
    crowded: true,
  },
  {
    name: 'reactor-crowded',
    title: 'as reactor, with the idle connections of the workload beside the load',
    program: { module: 'reactor' },
    crowded: true,
  },
  {
    name: 'reactor-timed',
    title: 'as reactor-crowded, with an idle timeout (idleMs) on every connection',
    program: { module: 'reactor-timed' },
    crowded: true,
  },
  {
    name: 'c-udp',
    title: 'C over recvmmsg and sendmmsg, one thread: the 100 % line of datagrams',
    program: { c: 'udp-echo' },
    datagrams: true,
  },
  {
    name: 'node-dgram',
    title: "node:dgram, socket.on('message', (m, r) => socket.send(m, r.port, r.address))",
    program: { module: 'node-dgram' },
    datagrams: true,
  },
  {
    name: 'datagram-batch',
    title: 'reactor.register, recvBatch and sendBatch over a DatagramBatch',
    program: { module: 'datagram-batch' },
    datagrams: true,
  },
  {
    name: 'datagram',
    title: 'reactor.register, recvFrom and sendTo of each datagram',
    program: { module: 'datagram' },
    datagrams: true,
  },
];

export function targetNamed(name: string): Target {
  const found = targets.find((target) => target.name === name);
  if (!found) throw new TypeError(`no target '${name}'`);
  return found;
}

/** Whether it is built on this project's packages, and not what they are compared with. */
export function isOurs(name: string): boolean {
  const { program } = targetNamed(name);
  return 'module' in program && !program.module.startsWith('node-');
}

/** The limits of load/datagrams.h: what tells datagrams apart, the room that the targets have, and UIO_MAXIOV. */
const LEAST_DATAGRAM = 16;
const MOST_DATAGRAM = 2048;
const MOST_IN_FLIGHT = 1024;

/** Why the target cannot take part in the workload, or `undefined`. */
export function obstacle(target: Target, workload: Workload): string | undefined {
  const wanted = workload.shape === 'datagrams';
  if ((target.datagrams ?? false) !== wanted) return `serves ${wanted ? 'connections' : 'datagrams'} only`;
  if (wanted && (workload.size < LEAST_DATAGRAM || workload.size > MOST_DATAGRAM))
    return `datagrams have ${LEAST_DATAGRAM} to ${MOST_DATAGRAM} bytes here`;
  if (wanted && workload.connections > MOST_IN_FLIGHT) return `at most ${MOST_IN_FLIGHT} datagrams are in flight here`;
  if (target.crowded && !workload.idle) return 'stands beside idle connections, and this workload has none';
  const open = workload.connections + (workload.shape === 'flood' ? 1 : 0);
  if (workload.shape !== 'arrivals' && target.sessions && open > target.sessions.most) return target.sessions.reason;
  if (target.framesOnly && workload.frame === null) return 'speaks u32 frames only, and this workload has none';
  const room = roomFor(descriptorsOf(target, workload));
  return typeof room === 'string' ? room : undefined;
}

/** How many connections are open at a time, in the server or in the load clients. */
function descriptorsOf(target: Target, { shape, connections, idle = 0 }: Workload): number {
  if (shape === 'datagrams') return 1;
  return connections + (target.crowded ? idle : 0);
}

/** What goes before the commands of its server and load clients, so that these have room for all connections. */
export function limitsOf(target: Target, workload: Workload): readonly string[] {
  const room = roomFor(descriptorsOf(target, workload));
  return typeof room === 'string' ? [] : room;
}

/**
 * Slices open their connections anew, and a port rests for a minute in TIME_WAIT: beyond so many connections in a round each target is
 * measured in one go.
 */
const SLICED_CONNECTIONS = 20_000;

/** Whether the target is measured in slices, between those of others. `idle` is about memory, which neighbours would share. */
export function isSliced(target: Target, workload: Workload, passes: number): boolean {
  if (workload.shape === 'idle' || target.coldConnections) return false;
  return (
    workload.shape === 'arrivals' ||
    workload.shape === 'datagrams' ||
    workload.connections * passes <= SLICED_CONNECTIONS
  );
}

/** The command that runs it; `compiled` gives the path of a C program. `--expose-gc` lets memory be read after a collection, and changes nothing else. */
export function commandOf(target: Target, compiled: (name: string) => string): string[] {
  if ('c' in target.program) return [compiled(target.program.c)];
  return [process.execPath, '--expose-gc', path.join(benchFolder, 'dist/targets', `${target.program.module}.js`)];
}
