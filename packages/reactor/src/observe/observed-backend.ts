/**
 * A backend around the real one, which tells an {@link Observer} of its sockets and of each wait. Receiving ahead and the
 * outbox (docs/decisions/0009) are not offered: so every byte goes through a verb of its socket.
 */
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
} from '../backend/backend.js';
import { describeReadiness } from '../readiness.js';
import type { Observer } from './observer.js';
import type { TraceValue } from './trace-event.js';

export class ObservedBackend implements Backend, Demultiplexer {
  readonly name: Backend['name'];
  readonly reason: string;
  readonly capabilities: Capabilities;
  readonly driver: Driver;
  readonly descriptors?: DescriptorTable;
  readonly waker?: (woken: () => void) => BackendWaker;
  readonly #inner: Backend;
  readonly #observer: Observer;
  /** The number of the socket that has a slot. */
  readonly #slots: number[] = [];

  constructor(inner: Backend, observer: Observer) {
    this.name = inner.name;
    this.reason = inner.reason;
    this.capabilities = inner.capabilities;
    this.driver = inner.driver;
    if (inner.descriptors !== undefined) this.descriptors = inner.descriptors;
    if (inner.waker !== undefined) this.waker = inner.waker.bind(inner);
    this.#inner = inner;
    this.#observer = observer;
    observer.follow(() => inner.driver.now());
  }

  get demultiplexer(): Demultiplexer {
    return this;
  }

  get events(): Int32Array {
    return this.#inner.demultiplexer.events;
  }

  attach(host: BackendHost): void {
    this.#inner.attach(host);
  }

  socket(spec: SocketSpec): BackendSocket {
    const { family, type, protocol } = spec;
    const args = protocol === 0 ? [family, type] : [family, type, protocol];
    const socket = this.#telling('socket', args, () => this.#inner.socket(spec));
    this.#observer.made(socket, 'socket', args);
    return socket;
  }

  adopt(fd: number): BackendSocket {
    const socket = this.#telling('adopt', [fd], () => this.#inner.adopt(fd));
    this.#observer.made(socket, 'adopt', [fd]);
    return socket;
  }

  socketPair(spec: SocketSpec): [BackendSocket, BackendSocket] {
    const pair = this.#telling('socketPair', [spec.type], () => this.#inner.socketPair(spec));
    const [first, second] = pair;
    this.#observer.observe(first);
    this.#observer.made(first, 'socketPair', [spec.type], this.#observer.observe(second));
    return pair;
  }

  watch(socket: BackendSocket, slot: number, generation: number, interest: number): void {
    const id = this.#observer.idOf(socket);
    const args = [describeReadiness(interest)];
    this.#telling('watch', args, () => this.#inner.demultiplexer.watch(socket, slot, generation, interest), id);
    this.#slots[slot] = id;
    this.#observer.happened('watch', args, { socket: id });
  }

  wait(capacity: number): number {
    const count = this.#inner.demultiplexer.wait(capacity);
    if (!this.#observer.tells) return count;
    const ready = Array.from({ length: count }, (_, i): [number, number] => [
      this.#slots[this.events[3 * i] as number] ?? 0,
      this.events[3 * i + 2] as number,
    ]);
    this.#observer.happened('wait', [capacity], { result: count, ready });
    return count;
  }

  look(sockets: readonly BackendSocket[], masks: Int32Array, timeoutMs: number | null): number {
    const count = this.#inner.demultiplexer.look(sockets, masks, timeoutMs);
    const ready: [number, number][] = [];
    for (const [i, socket] of sockets.entries())
      if (masks[i] !== 0) ready.push([this.#observer.idOf(socket), masks[i] as number]);
    this.#observer.happened('look', [sockets.length, timeoutMs], { result: count, ready });
    return count;
  }

  [Symbol.dispose](): void {
    this.#inner[Symbol.dispose]();
  }

  /** Tells what `deed` throws; what it does otherwise is its caller's to tell. */
  #telling<T>(call: string, args: readonly TraceValue[], deed: () => T, socket = 0): T {
    try {
      return deed();
    } catch (error) {
      this.#observer.failed(call, args, error, socket);
      throw error;
    }
  }
}
