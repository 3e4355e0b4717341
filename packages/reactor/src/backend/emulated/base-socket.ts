/** What every socket of this backend is: its place in the demultiplexer, and the verbs that no socket of Node has. */
import type { Family } from '../../address.js';
import { notSupported, type SocketError, socketError } from '../../errors.js';
import type { BackendHost } from '../backend.js';
import { SocketWithoutDescriptor } from '../without-descriptors.js';

/** Hears that a socket's `readiness` is another one. */
export interface ReadinessSink {
  changed(socket: BaseSocket): void;
}

interface Waiter {
  resolve(): void;
  reject(error: SocketError): void;
}

const NOBODY: Waiter[] = [];

export abstract class BaseSocket extends SocketWithoutDescriptor {
  readonly family: Family;
  readonly host: BackendHost;
  watch: object | null = null;

  // The demultiplexer's: the watch, whether it is ready for what it is watched for, and whether it stands in the ring.
  slot = -1;
  generation = 0;
  interest = 0;
  live = false;
  inRing = false;

  /** What is ready now, hints included. */
  readiness: number;

  protected readonly sink: ReadinessSink;
  /** Who waits for the outcome of a bind or listen. */
  #waiters: Waiter[] = NOBODY;

  constructor(family: Family, host: BackendHost, sink: ReadinessSink, readiness: number) {
    super();
    this.family = family;
    this.host = host;
    this.sink = sink;
    this.readiness = readiness;
  }

  abstract get closed(): boolean;
  abstract close(): void;

  [Symbol.dispose](): void {
    this.close();
  }

  fileno(): number {
    return -1;
  }

  atMark(): never {
    this.refuse('sockatmark', 'oob');
  }

  /** Settles when what was begun has ended. */
  protected outcome(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters = [...this.#waiters, { resolve, reject }];
    });
  }

  /** Tells the outcome to those who wait for it; `false` where nobody does. */
  protected tellWaiters(error: SocketError | null): boolean {
    const waiters = this.#waiters;
    if (waiters === NOBODY) return false;
    this.#waiters = NOBODY;
    for (const waiter of waiters)
      if (error === null) waiter.resolve();
      else waiter.reject(error);
    return true;
  }

  protected refuse(verb: string, capability: string): never {
    throw this.closed ? socketError('EBADF', verb) : notSupported(verb, capability, 'emulated');
  }
}
