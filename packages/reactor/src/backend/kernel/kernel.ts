/** The kernel backend: real descriptors, epoll on Linux, and libuv only as the starter of turns. */
import { constants as os } from 'node:os';
import { performance } from 'node:perf_hooks';
import type { Family } from '../../address.js';
import { misuse, SocketError, socketError } from '../../errors.js';
import { BAD_ARGUMENT, type Core } from '../../native.js';
import type { SocketType } from '../../socket.js';
import type {
  Backend,
  BackendHost,
  BackendSocket,
  BackendWaker,
  Capabilities,
  Demultiplexer,
  DescriptorTable,
  Driver,
  SocketSpec,
} from '../backend.js';
import { FAMILY_CODE } from './addresses.js';
import { ReceivedAhead } from './ahead.js';
import type { KernelOutbox } from './outbox.js';
import { type KernelContext, KernelSocket, TYPE_CODE } from './socket.js';
import { type ThreadState, threadState } from './thread-state.js';

/** Triples taken from the kernel in one wait, at most. */
const BATCH = 1024;

const CAPABILITIES: Capabilities = {
  syncBind: true,
  oob: true,
  peek: true,
  raw: true,
  hangupWhilePaused: true,
  shutdownRead: true,
  rawDescriptors: true,
  socketPair: true,
  acceptPause: true,
  unixDatagram: true,
  seqpacket: true,
  abstractUnix: true,
  descriptorPassing: true,
  datagramBatch: true,
  rawOptions: true,
  reusePort: true,
  adopt: true,
  blocking: true,
  selectSync: true,
};

export class KernelBackend implements Backend, Demultiplexer, Driver {
  readonly name = 'kernel';
  readonly reason: string;
  readonly capabilities = CAPABILITIES;
  readonly events = new Int32Array(3 * BATCH);
  readonly outbox: KernelOutbox;
  readonly descriptors: DescriptorTable;
  readonly #core: Core;
  readonly #thread: ThreadState;
  readonly #ahead: ReceivedAhead;
  #context: KernelContext | undefined;
  #id = -1;
  #immediate: NodeJS.Immediate | undefined;
  #runTurn: () => void = () => {};
  #lookFds = new Int32Array(64);

  constructor(core: Core, reason: string) {
    this.#core = core;
    this.reason = reason;
    this.#thread = threadState(core);
    this.outbox = this.#thread.outbox;
    this.descriptors = {
      offer: core.offer,
      claim: core.claim,
      settle: (token, keep) => core.settle(token, keep ? 1 : 0),
      withdraw: core.withdraw,
      duplicate: core.duplicate,
      close: (fd) => void core.close(fd),
    };
    this.#ahead = new ReceivedAhead(core, this.#thread.registers, this.#thread.chunks, BATCH);
  }

  get demultiplexer(): Demultiplexer {
    return this;
  }

  get driver(): Driver {
    return this;
  }

  attach(host: BackendHost): void {
    if (this.#context !== undefined)
      throw misuse('ERR_REACTOR_BACKEND', 'this backend serves a reactor already: each needs one of its own');
    this.#context = { core: this.#core, host, traffic: host.traffic, ...this.#thread };
    const id = this.#core.openDemultiplexer(() => host.turn(), this.events, this.#ahead.results);
    if (id < 0) throw new SocketError(id, 'epoll_create1');
    this.#id = id;
    this.#runTurn = () => {
      this.#immediate = undefined;
      host.turn();
    };
  }

  socket(spec: SocketSpec): BackendSocket {
    const fd = this.#core.socket(FAMILY_CODE[spec.family], TYPE_CODE[spec.type], spec.protocol);
    if (fd < 0) throw new SocketError(fd, 'socket');
    return new KernelSocket({ context: this.#sockets(), type: spec.type, family: spec.family }, fd);
  }

  socketPair(spec: SocketSpec): [BackendSocket, BackendSocket] {
    const pair = new Int32Array(2);
    const result = this.#core.socketPair(FAMILY_CODE[spec.family], TYPE_CODE[spec.type], pair);
    if (result < 0) throw new SocketError(result, 'socketpair');
    const [first, second] = pair as unknown as [number, number];
    const kind = { context: this.#sockets(), type: spec.type, family: spec.family };
    return [new KernelSocket(kind, first), new KernelSocket(kind, second)];
  }

  adopt(fd: number): BackendSocket {
    if (!Number.isInteger(fd) || fd < 0)
      throw misuse('ERR_REACTOR_ARGUMENT', `a descriptor is a non-negative integer, got ${String(fd)}`);
    const codes = new Int32Array(2);
    const result = this.#core.adopt(fd, codes);
    if (result === -os.errno.EPERM)
      throw misuse(
        'ERR_REACTOR_NOT_POLLABLE',
        `descriptor ${fd} is a regular file or a directory: it cannot be waited on`,
      );
    if (result === -os.errno.EEXIST)
      throw misuse('ERR_REACTOR_ARGUMENT', `descriptor ${fd} belongs to a socket of this thread already`);
    if (result < 0) throw new SocketError(result, 'adopt');
    const kind = {
      context: this.#sockets(),
      type: nameOf(TYPE_CODE, codes[0]) as SocketType,
      family: nameOf(FAMILY_CODE, codes[1]) as Family,
    };
    const socket = new KernelSocket(kind, fd);
    socket.listening = this.#core.getOption(fd, this.#constant('SOL_SOCKET'), this.#constant('SO_ACCEPTCONN')) === 1;
    return socket;
  }

  waker(woken: () => void): BackendWaker {
    const id = this.#core.openWaker(woken);
    if (id < 0) throw new SocketError(id, 'waker');
    return { handle: { pid: process.pid, id }, close: () => void this.#core.closeWaker(id) };
  }

  watch(socket: BackendSocket, slot: number, generation: number, interest: number): void {
    const descriptor = socket as KernelSocket;
    const fd = descriptor.fileno();
    const result = descriptor.watched
      ? this.#core.watch(this.#id, fd, slot, generation, interest)
      : this.#core.add(this.#id, fd, slot, generation, interest);
    if (result === 0 || interest === 0) {
      descriptor.watched = interest !== 0;
      return;
    }
    if (result === -os.errno.EPERM)
      throw misuse('ERR_REACTOR_NOT_POLLABLE', `descriptor ${fd} cannot be waited on (epoll_ctl(2), EPERM)`);
    throw new SocketError(result, 'epoll_ctl');
  }

  wait(capacity: number): number {
    const count = this.#core.wait(this.#id, capacity);
    return Math.max(count, 0);
  }

  receiveAhead(from: number, count: number): number {
    return this.#ahead.receive(this.#id, from, count);
  }

  received(socket: BackendSocket, index: number): Buffer | 0 | -1 {
    const count = this.#ahead.results[2 * index] as number;
    return count > 0
      ? (socket as KernelSocket).received(this.#ahead.take(index))
      : (socket as KernelSocket).receivedNothing(count);
  }

  look(sockets: readonly BackendSocket[], masks: Int32Array, timeoutMs: number | null): number {
    if (this.#lookFds.length < sockets.length) this.#lookFds = new Int32Array(sockets.length * 2);
    for (let i = 0; i < sockets.length; i += 1) this.#lookFds[i] = (sockets[i] as BackendSocket).fileno();
    const result = this.#core.look(this.#lookFds, masks, sockets.length, timeoutMs ?? -1);
    if (result >= 0) return result;
    if (result !== -os.errno.EINTR) throw socketErrorOf(result);
    masks.fill(0, 0, sockets.length);
    return 0;
  }

  now(): number {
    return performance.now();
  }

  schedule(deadline: number): void {
    if (deadline === Number.POSITIVE_INFINITY) this.#core.schedule(this.#id, -1);
    // One more than rounded up: libuv's clock is cut to whole milliseconds, and a turn before the deadline is in vain.
    else this.#core.schedule(this.#id, Math.max(0, Math.ceil(deadline - performance.now())) + 1);
  }

  post(): void {
    this.#immediate ??= setImmediate(this.#runTurn);
  }

  hold(): void {
    this.#core.hold(this.#id, 1);
  }

  release(): void {
    this.#core.hold(this.#id, 0);
  }

  [Symbol.dispose](): void {
    if (this.#id < 0) return;
    this.#core.closeDemultiplexer(this.#id);
    this.#id = -1;
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    this.#immediate = undefined;
  }

  #sockets(): KernelContext {
    if (this.#context === undefined) throw misuse('ERR_REACTOR_BACKEND', 'the backend has no reactor yet');
    return this.#context;
  }

  #constant(name: string): number {
    return this.#core.constants[name] as number;
  }
}

function nameOf(codes: Readonly<Record<string, number>>, code: number | undefined): string | undefined {
  return Object.keys(codes).find((name) => codes[name] === code);
}

function socketErrorOf(result: number): Error {
  return result === BAD_ARGUMENT ? socketError('EINVAL', 'poll') : new SocketError(result, 'poll');
}
