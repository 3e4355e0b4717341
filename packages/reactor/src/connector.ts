/** Connecting: the addresses of a name one after the other, a timeout, an abort, and one error at the end. */
import { lookup } from 'node:dns/promises';
import { type Address, familyOf, type InetAddress, isUnixAddress } from './address.js';
import type { BackendSocket } from './backend/backend.js';
import { lookupError, SocketError, socketError } from './errors.js';

export interface ConnectOptions {
  /** For the whole attempt, names included; 0 for none (30 000). Afterwards the promise rejects with ETIMEDOUT. */
  timeoutMs?: number;
  /** Ends the attempt: the promise rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Where to connect from. */
  localAddress?: Address;
  /** `TCP_NODELAY` (true). */
  noDelay?: boolean;
}

/** What connecting needs of its reactor. */
export interface ConnectorHost {
  socket(options: { type: 'stream'; family: 'ipv4' | 'ipv6' | 'unix' }): BackendSocket;
  /** Resolves when the socket is writable or in error; rejects when it is closed. */
  untilDecided(socket: BackendSocket): Promise<void>;
  setTimer(delayMs: number, callback: () => void): { cancel(): void };
}

export const DEFAULT_CONNECT_TIMEOUT_MS = 30_000;

/** The literal addresses that a target stands for, in the resolver's order. */
export async function resolve(address: Address): Promise<Address[]> {
  if (familyOf(address) !== undefined && !('host' in address && address.host === 'localhost')) return [address];
  const { host } = address as InetAddress;
  try {
    const found = await lookup(host, { all: true, verbatim: true });
    return found.map((entry) => ({ ...address, host: entry.address }));
  } catch (error) {
    throw lookupError(host, error);
  }
}

export function connect(host: ConnectorHost, address: Address, options: ConnectOptions): Promise<BackendSocket> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
  return new Promise((resolvePromise, reject) => {
    let current: BackendSocket | null = null;
    let over = false;
    const settle = (finish: () => void): void => {
      if (over) return;
      over = true;
      timer?.cancel();
      options.signal?.removeEventListener('abort', onAbort);
      finish();
    };
    const cancel = (error: unknown): void =>
      settle(() => {
        current?.close();
        reject(error);
      });
    const onAbort = (): void => cancel(options.signal?.reason);
    const timer =
      timeoutMs > 0 ? host.setTimer(timeoutMs, () => cancel(socketError('ETIMEDOUT', 'connect', address))) : null;
    if (options.signal?.aborted) {
      cancel(options.signal.reason);
      return;
    }
    options.signal?.addEventListener('abort', onAbort, { once: true });

    const attempt = async (): Promise<BackendSocket> => {
      const errors: Error[] = [];
      for (const target of await resolve(address)) {
        if (over) break;
        try {
          current = open(host, target, options);
          if (current.connect(target) === 'connecting') await untilConnected(host, current);
          return current;
        } catch (error) {
          // Unless it was closed because it is over.
          if (!over) current?.close();
          current = null;
          errors.push(error as Error);
        }
      }
      throw combine(errors, address);
    };
    attempt().then(
      (socket) => settle(() => resolvePromise(socket)),
      (error) => cancel(error),
    );
  });
}

function open(host: ConnectorHost, target: Address, options: ConnectOptions): BackendSocket {
  const family = familyOf(target) as 'ipv4' | 'ipv6' | 'unix';
  const socket = host.socket({ type: 'stream', family });
  try {
    if (!isUnixAddress(target) && (options.noDelay ?? true)) socket.setOption('noDelay', true);
    if (options.localAddress !== undefined) socket.bind(options.localAddress);
  } catch (error) {
    socket.close();
    throw error;
  }
  return socket;
}

async function untilConnected(host: ConnectorHost, socket: BackendSocket): Promise<void> {
  do await host.untilDecided(socket);
  while (!socket.finishConnect());
}

/** One error for all attempts: the only one, or the first with the others as its cause. */
function combine(errors: Error[], address: Address): Error {
  const [first] = errors;
  if (first === undefined) return lookupError((address as InetAddress).host, new Error('the name has no address'));
  if (errors.length === 1 || !(first instanceof SocketError)) return first;
  return new SocketError(first.errno, first.syscall, address, {
    cause: new AggregateError(errors, `no address of ${(address as InetAddress).host} could be connected to`),
  });
}
