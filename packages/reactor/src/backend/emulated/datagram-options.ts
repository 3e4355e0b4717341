/** The named options that node:dgram has. It can set them on a bound socket only: until then they are kept here. */
import type { Socket as DgramSocket } from 'node:dgram';
import type { InetFamily } from '../../address.js';
import { checkSwitch, checkWithin } from '../../arguments.js';
import { SocketError, socketError } from '../../errors.js';
import type { SocketOptions } from '../../socket.js';
import { toSocketError } from './failures.js';
import { findInterface, toDgramInterface } from './interfaces.js';
import { checkDatagramOption, checkLinger, checkReusePort } from './options.js';

/** How each is told to a bound socket. */
const SETTERS = {
  broadcast: (socket: DgramSocket, value: boolean) => socket.setBroadcast(value),
  ttl: (socket: DgramSocket, value: number) => socket.setTTL(value),
  multicastTtl: (socket: DgramSocket, value: number) => socket.setMulticastTTL(value),
  multicastLoop: (socket: DgramSocket, value: boolean) => socket.setMulticastLoopback(value),
  // libuv takes 0 for a question.
  receiveBuffer: (socket: DgramSocket, value: number) => socket.setRecvBufferSize(Math.max(1, value)),
  sendBuffer: (socket: DgramSocket, value: number) => socket.setSendBufferSize(Math.max(1, value)),
  multicastInterface: (socket: DgramSocket, value: string) => socket.setMulticastInterface(value),
} as const;

type Settable = keyof typeof SETTERS;
type Value = boolean | number | string;

const RANGES = {
  ttl: [1, 255],
  multicastTtl: [0, 255],
  receiveBuffer: [0, 2 ** 31 - 1],
  sendBuffer: [0, 2 ** 31 - 1],
} as const;

/** What Node cannot be asked for, as the system begins. */
const BEGINNING: Partial<SocketOptions> = {
  reuseAddress: false,
  reusePort: false,
  ipv6Only: false,
  linger: false,
  broadcast: false,
  ttl: process.platform === 'win32' ? 128 : 64,
  multicastTtl: 1,
  multicastLoop: true,
  multicastInterface: '',
};

/** Options that take effect when the socket is bound, and only then. */
const AT_BIND = new Set<string>(['reuseAddress', 'reusePort', 'ipv6Only']);

export class DatagramOptions {
  readonly #family: InetFamily;
  /** As they are read. */
  readonly #values = new Map<string, unknown>();
  /** As node:dgram takes them, in the order they were set. */
  readonly #toSet = new Map<Settable, Value>();

  constructor(family: InetFamily) {
    this.#family = family;
  }

  get(name: keyof SocketOptions, socket: DgramSocket | null): unknown {
    checkDatagramOption(name, 'getsockopt', this.#family);
    if (socket !== null && name === 'receiveBuffer') return attempt(() => socket.getRecvBufferSize(), 'getsockopt');
    if (socket !== null && name === 'sendBuffer') return attempt(() => socket.getSendBufferSize(), 'getsockopt');
    if (this.#values.has(name)) return this.#values.get(name);
    if (name in BEGINNING) return BEGINNING[name];
    const error = socketError('ENOTSUP', 'getsockopt');
    error.message = `getsockopt ENOTSUP: on the emulated backend ${name} can be read once the socket is bound (capability 'syncBind')`;
    throw error;
  }

  /** Checks and keeps the value, and sets it where there is a bound socket. */
  set(name: keyof SocketOptions, value: unknown, socket: DgramSocket | null): void {
    checkDatagramOption(name, 'setsockopt', this.#family);
    const [read, toSet] = this.#checked(name, value);
    if (socket !== null && AT_BIND.has(name)) throw socketError('EINVAL', 'setsockopt');
    if (toSet !== undefined) {
      if (socket !== null) apply(socket, name as Settable, toSet);
      else this.#toSet.set(name as Settable, toSet);
    }
    this.#values.set(name, read);
  }

  /** What `dgram.createSocket` is given. */
  get creation(): { reuseAddr: boolean; reusePort: boolean; ipv6Only: boolean } {
    const is = (name: string): boolean => this.#values.get(name) === true;
    return { reuseAddr: is('reuseAddress'), reusePort: is('reusePort'), ipv6Only: is('ipv6Only') };
  }

  /** Sets what was kept, on a socket that has just been bound. Throws the first refusal of the system; the others are set. */
  apply(socket: DgramSocket): void {
    const failures: unknown[] = [];
    for (const [name, value] of this.#toSet) {
      try {
        apply(socket, name, value);
      } catch (error) {
        failures.push(error);
      }
    }
    this.#toSet.clear();
    if (failures.length > 0) throw failures[0];
  }

  /** The value as it is read, and as node:dgram takes it. */
  #checked(name: keyof SocketOptions, value: unknown): [read: unknown, toSet?: Value] {
    switch (name) {
      case 'linger':
        return [checkLinger(value)];
      case 'reusePort':
        return [checkReusePort(value)];
      case 'reuseAddress':
      case 'ipv6Only':
        return [checkSwitch(value, name)];
      case 'broadcast':
      case 'multicastLoop': {
        const on = checkSwitch(value, name);
        return [on, on];
      }
      case 'multicastInterface': {
        const found = findInterface(value, 'setsockopt');
        const given = toDgramInterface(found, this.#family, value as string, 'setsockopt');
        if (found === null) return ['', given];
        return [this.#family === 'ipv4' ? given : found.name, given];
      }
      default: {
        const number = checkWithin(value, name, RANGES[name as keyof typeof RANGES]);
        return [number, number];
      }
    }
  }
}

function apply(socket: DgramSocket, name: Settable, value: Value): void {
  attempt(() => (SETTERS[name] as (on: DgramSocket, to: Value) => unknown)(socket, value), 'setsockopt');
}

/** Calls into node:dgram; what the system refuses is thrown as the error of `syscall`. */
export function attempt<T>(call: () => T, syscall: string, host?: string): T {
  try {
    return call();
  } catch (error) {
    const { errno } = toSocketError(error as NodeJS.ErrnoException, syscall);
    throw new SocketError(errno, syscall, host === undefined ? undefined : { host, port: 0 }, { cause: error });
  }
}
