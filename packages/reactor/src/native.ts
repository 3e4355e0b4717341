/** Loads the native core. This file stays as deep below the package as the built ones are: the path depends on it. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';

/**
 * The functions of the native core. Each makes one system call, and returns its count or a negative errno;
 * {@link BAD_ARGUMENT} means that an argument was not what it must be, and nothing was done.
 */
export interface Core {
  readonly constants: Readonly<Record<string, number>>;
  socket(family: number, type: number, protocol: number): number;
  socketPair(family: number, type: number, into: Int32Array): number;
  adopt(fd: number, typeAndFamily: Int32Array): number;
  bind(fd: number, kind: number, host: string, port: number, flow: number, scope: number): number;
  listen(fd: number, backlog: number): number;
  accept(fd: number): number;
  setPackedPeer(into: Float64Array): number;
  acceptedAddress(): object | undefined;
  connect(fd: number, kind: number, host: string, port: number, flow: number, scope: number): number;
  finishConnect(fd: number): number;
  takeError(fd: number): number;
  localAddress(fd: number): object | undefined | number;
  remoteAddress(fd: number): object | undefined | number;
  shutdown(fd: number, how: number): number;
  recvFrom(fd: number, into: Uint8Array, flags: number): number;
  sendTo(
    fd: number,
    from: Uint8Array,
    flags: number,
    kind: number,
    host: string,
    port: number,
    flow: number,
    scope: number,
  ): number;
  /** A batch crosses as its payloads, their stride, the raw addresses and the headers: see `datagram-batch.ts`. */
  recvBatch(fd: number, payloads: Uint8Array, stride: number, addresses: Uint8Array, headers: Int32Array): number;
  sendBatch(
    fd: number,
    payloads: Uint8Array,
    stride: number,
    addresses: Uint8Array,
    headers: Int32Array,
    start: number,
    end: number,
  ): number;
  takeQueuedError(fd: number): number;
  encodeAddress(into: Uint8Array, kind: number, host: string, port: number, flow: number, scope: number): number;
  decodeAddress(raw: Uint8Array, length: number): object | undefined | number;
  sendDescriptors(fd: number, descriptors: Int32Array, payload: Uint8Array): number;
  recvDescriptors(fd: number, into: Uint8Array, descriptors: Int32Array): number;
  group(fd: number, join: number, interfaceIndex: number, kind: number, group: string, source?: string): number;
  setGroupInterface(fd: number, index: number, kind: number, address: string): number;
  interfaceIndex(name: string): number;
  interfaceName(index: number): string | number;
  tcpInfo(fd: number): object | number;
  peerCredentials(fd: number): object | number;
  atMark(fd: number): number;
  close(fd: number): number;
  reset(fd: number): number;
  detach(fd: number): number;
  getOption(fd: number, level: number, name: number): number;
  setOption(fd: number, level: number, name: number, value: number): number;
  getRawOption(fd: number, level: number, name: number, into: Uint8Array): number;
  setRawOption(fd: number, level: number, name: number, value: Uint8Array): number;
  recv(fd: number, into: Uint8Array, offset?: number, length?: number, flags?: number): number;
  send(fd: number, from: Uint8Array, offset?: number, length?: number, flags?: number): number;
  sendv(fd: number, chunks: readonly Uint8Array[], offset: number): number;
  /** The registers of the verbs without arguments: {@link REGISTER}. */
  setRegisters(registers: Int32Array): number;
  pin(buffer: Uint8Array, which: number): number;
  recvPinned(): void;
  sendPinned(): void;
  /** Returns a number only to refuse its argument. */
  sendChunk(chunk: Uint8Array): number | undefined;
  receive(): void;
  borrow(fd: number): number;
  /** Sends what stands in the outbox: see `backend/kernel/outbox.ts`. */
  sendAll(): void;
  setOutbox(bytes: Uint8Array, sends: Int32Array): number;
  setBlock(block: Uint8Array): number;
  setPool(pool: Uint8Array, offset: number): number;
  openDemultiplexer(turn: () => void, triples: Int32Array, received: Int32Array): number;
  closeDemultiplexer(id: number): number;
  add(id: number, fd: number, slot: number, generation: number, interest: number): number;
  watch(id: number, fd: number, slot: number, generation: number, interest: number): number;
  wait(id: number, capacity: number): number;
  /** Receives for events of the latest wait: see `backend/kernel/ahead.ts`. */
  receiveAhead(): void;
  schedule(id: number, delayMs: number): number;
  hold(id: number, on: number): number;
  threadWaker(): number;
  openWaker(woken: () => void): number;
  closeWaker(handle: number): number;
  wake(handle: number): number;
  /** Descriptors on their way between threads: see `native/offers.c`. */
  offer(fd: number): number;
  claim(token: number): number;
  settle(token: number, keep: number): number;
  withdraw(token: number): number;
  duplicate(fd: number): number;
  wakeForExit(): number;
  recvSync(fd: number, into: Uint8Array, offset: number, length: number, timeoutMs: number): number;
  sendAllSync(fd: number, from: Uint8Array, timeoutMs: number): number;
  waitSync(fd: number, interest: number, timeoutMs: number): number;
  look(fds: Int32Array, masks: Int32Array, count: number, timeoutMs: number): number;
}

/** What the core returns for an argument that JavaScript should have checked. */
export const BAD_ARGUMENT = -100000;

/**
 * The registers of the functions without arguments and of `sendChunk`: three go in, the result comes out, and with it from
 * `receive` and `receiveAhead` an offset.
 */
export const REGISTER_FD = 0;
export const REGISTER_OFFSET = 1;
export const REGISTER_LENGTH = 2;
export const REGISTER_RESULT = 3;
export const REGISTERS = 4;

let loaded: Core | string | undefined;

/** The core, or the reason why there is none here. */
export function loadCore(): Core | string {
  loaded ??= load();
  return loaded;
}

function load(): Core | string {
  if (process.env.FDSET_NATIVE === 'off') return 'FDSET_NATIVE is off: the native core is not loaded';
  // These runtimes end their process when they open a binary that uses libuv: they must not even try.
  const { bun, deno } = process.versions;
  if (bun !== undefined) return withoutLibuv('Bun', bun);
  if (deno !== undefined) return withoutLibuv('Deno', deno);
  if (process.platform !== 'linux') return `there is no native core for ${process.platform} yet, only for linux`;
  const folder = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../native');
  const require = createRequire(import.meta.url);
  // Another build of the core: one with sanitizers, which scripts/sanitize.mjs makes.
  const other = process.env.FDSET_CORE;
  try {
    if (other) return require(path.resolve(other)) as Core;
    return (require('node-gyp-build') as (folder: string) => Core)(folder);
  } catch (error) {
    const [reason = ''] = (error as Error).message.split('\n');
    if (other) return `FDSET_CORE cannot be loaded: ${reason}`;
    // What node-gyp-build says where it finds nothing to open.
    return reason.startsWith('No native build')
      ? `the native core is not built here, npx fdset-native build does it: ${reason}`
      : `the native core cannot be loaded: ${reason}`;
  }
}

function withoutLibuv(runtime: string, version: string): string {
  return `${runtime} ${version} has no libuv, which the native core needs`;
}

/**
 * process.exit() joins the worker threads: one that waits in a blocking verb must be woken before. It may be the only
 * one that has loaded the core; opened here once more, it is the same library with the same table of wakers.
 */
if (isMainThread)
  process.on('exit', () => {
    const core = loadCore();
    if (typeof core !== 'string') core.wakeForExit();
  });
