/** What all sockets of a simulated network have in common: their place in it, their options, and the verbs that none of them has. */
import type { Address, Family } from '../address.js';
import type { BackendHost, BackendSocket } from '../backend/backend.js';
import { SocketWithoutDescriptor } from '../backend/without-descriptors.js';
import type { DatagramBatch } from '../datagram-batch.js';
import { describe, misuse, notSupported, type SocketError, socketError } from '../errors.js';
import type { ReceivedDatagram, Socket, SocketOptions, SocketType } from '../socket.js';
import { toEndpoint, unbound } from './addresses.js';
import type { ChunkPool } from './chunk-pool.js';
import type { Decisions } from './decisions.js';
import type { FaultChances } from './faults.js';
import { OptionStore } from './options.js';
import type { Registry } from './registry.js';
import type { Timeline } from './timeline.js';

/** What sockets need of their network. */
export interface NetworkCore {
  readonly timeline: Timeline;
  readonly decisions: Decisions;
  readonly chances: FaultChances;
  readonly registry: Registry;
  readonly pool: ChunkPool;
  /** Bytes a second of each direction of a connection; `Infinity` for no limit. */
  readonly bytesPerSecond: number;
  now(): number;
  /** The number of the next socket, or of the next direction of a connection. */
  number(kind: 'socket' | 'link'): number;
  /** How long what a subject sends at this place takes, in ms. */
  latency(subject: number, at: number): number;
  /** Throws EMFILE where there is to be no descriptor. */
  takeDescriptor(syscall: string): void;
  /** Something has happened: it becomes part of the trace. */
  note(what: string, subject: number, value: number): void;
}

/** Who hears that a socket's readiness is another one. */
export interface ReadinessSink {
  changed(socket: SimulatedSocket): void;
}

/** The reactor's side of a socket. */
export interface Owner {
  readonly network: NetworkCore;
  readonly host: BackendHost;
  readonly sink: ReadinessSink;
}

export abstract class SimulatedSocket extends SocketWithoutDescriptor implements BackendSocket {
  abstract readonly type: SocketType;
  readonly family: Family;
  readonly id: number;
  watch: object | null = null;
  closed = false;
  /** What is ready now, hints included. */
  readiness = 0;

  // The demultiplexer's: the watch, what it tells although it is not so, and how often it has ceased to be ready.
  slot = -1;
  generation = 0;
  interest = 0;
  falsely = 0;
  calms = 0;
  // Its place in the list of the ready ones.
  isListed = false;
  readyBefore: SimulatedSocket | null = null;
  readyAfter: SimulatedSocket | null = null;

  readonly options: OptionStore;
  /** Where it was bound to, or what it was given by connecting. */
  local: Address | null = null;
  protected remote: Address | undefined = undefined;
  /** SO_ERROR. */
  protected pending: SocketError | null = null;
  protected readonly owner: Owner;
  protected readonly network: NetworkCore;
  #calls = 0;

  constructor(type: SocketType, family: Family, owner: Owner) {
    super();
    this.family = family;
    this.owner = owner;
    this.network = owner.network;
    this.id = owner.network.number('socket');
    this.options = new OptionStore(type, family);
  }

  get host(): BackendHost {
    return this.owner.host;
  }

  abstract readonly listening: boolean;

  settled(): Promise<void> {
    return Promise.resolve();
  }

  get localAddress(): Address | undefined {
    if (this.closed) return undefined;
    const address = this.local ?? unbound(this.family);
    return isUnnamed(address) ? undefined : { ...address };
  }

  get remoteAddress(): Address | undefined {
    const { remote } = this;
    return this.closed || remote === undefined || isUnnamed(remote) ? undefined : { ...remote };
  }

  fileno(): number {
    return -1;
  }

  bind(address: Address): void {
    this.enter('bind');
    if (this.family === 'unix' && (address as { path?: unknown } | null)?.path === '') {
      if (this.local === null) this.network.registry.autobind(this);
      return;
    }
    const endpoint = toEndpoint(address, this.family, 'bind');
    if (this.local !== null || this.listening) throw socketError('EINVAL', 'bind', endpoint);
    this.network.registry.bind(this, endpoint);
  }

  // --- for those that derive from it ---------------------------------------------------------------------------------

  protected enter(verb: string): void {
    if (this.closed) throw socketError('EBADF', verb);
  }

  /** Whether this call of a transfer would-blocks although it need not. */
  protected get refuses(): boolean {
    const { decisions, chances } = this.network;
    this.#calls += 1;
    return decisions.refuses('block', this.id, this.#calls, chances.wouldBlock);
  }

  /** What is ready, worked out anew. */
  protected abstract evaluate(): number;

  /** Works the readiness out, and tells the demultiplexer where it has changed. */
  refresh(): void {
    const readiness = this.closed ? 0 : this.evaluate();
    if (readiness === this.readiness) return;
    this.readiness = readiness;
    this.owner.sink.changed(this);
  }

  /** The pending error, which is thereby told. */
  protected takePending(): SocketError {
    const error = this.pending as SocketError;
    this.pending = null;
    this.refresh();
    return error;
  }

  /** `true` where it was open. */
  protected leave(): boolean {
    if (this.closed) return false;
    this.host.closing(this);
    this.closed = true;
    this.interest = 0;
    this.readiness = 0;
    this.network.registry.release(this);
    this.network.note('close', this.id, 0);
    return true;
  }

  // --- the verbs of the kinds ----------------------------------------------------------------------------------------

  abstract listen(backlog?: number): void;
  abstract accept(): Socket | null;
  abstract connect(address: Address): 'connected' | 'connecting';
  abstract finishConnect(): boolean;
  abstract recv(into: Uint8Array, offset?: number, length?: number, flags?: number): number;
  abstract receive(borrow: boolean): Buffer | 0 | -1;
  abstract send(from: Uint8Array, offset?: number, length?: number, flags?: number): number;
  abstract sendv(chunks: readonly Uint8Array[]): number;
  abstract recvFrom(into: Uint8Array, flags?: number): ReceivedDatagram | null;
  abstract sendTo(from: Uint8Array, to: Address, flags?: number): number;
  abstract recvBatch(batch: DatagramBatch): number;
  abstract sendBatch(batch: DatagramBatch, start?: number, end?: number): number;
  abstract takeError(): SocketError | null;
  abstract shutdown(how: 'read' | 'write' | 'both'): void;
  abstract close(): void;
  abstract reset(): void;
  abstract atMark(): boolean;
  abstract joinGroup(group: string, options?: { interface?: string; source?: string }): void;
  abstract leaveGroup(group: string, options?: { interface?: string; source?: string }): void;

  [Symbol.dispose](): void {
    this.close();
  }

  getOption<K extends keyof SocketOptions>(name: K): SocketOptions[K] {
    this.enter('getsockopt');
    return this.options.get(name) as SocketOptions[K];
  }

  setOption<K extends keyof SocketOptions>(name: K, value: SocketOptions[K]): void {
    this.enter('setsockopt');
    this.options.set(name, value);
    this.refresh();
  }

  protected refuse(verb: string, capability: string): never {
    this.enter(verb);
    throw notSupported(verb, capability, 'simulated');
  }
}

function isUnnamed(address: Address): boolean {
  return 'path' in address && address.path === '';
}

export function checkDirection(how: unknown): asserts how is 'read' | 'write' | 'both' {
  if (how !== 'read' && how !== 'write' && how !== 'both')
    throw misuse('ERR_REACTOR_ARGUMENT', `shutdown takes 'read', 'write' or 'both', got ${describe(how)}`);
}
