/** Listening: the options' checks, an address or a name, a unix path, or a descriptor that listens already. */
import { readFileSync } from 'node:fs';
import { type Address, checkAddress, type Family, familyOf, type ListenTarget } from './address.js';
import { checkBacklog, checkFlag } from './arguments.js';
import type { BackendSocket, Capabilities } from './backend/backend.js';
import { describe, misuse, notSupported, outOfRange, socketError } from './errors.js';
import { resolve } from './names.js';
import { ownPath, pathOf, removeIfStale, removeOwnedPath, setModeToBe, settleMode } from './unix-path.js';

export interface ListenOptions {
  /** Connections that may wait (511). The system may clamp it: see `Listener.backlog`. */
  backlog?: number;
  /** `SO_REUSEADDR` (true). */
  reuseAddress?: boolean;
  /** `SO_REUSEPORT` (false): several listeners on one port, among which the system distributes the connections. `ENOTSUP` for a path. */
  reusePort?: boolean;
  /** Do not take IPv4 connections on an IPv6 address (the system's default). Nothing on an IPv4 address. */
  ipv6Only?: boolean;
  /** Linux, TCP: accept only once data has come, or after this many seconds. */
  deferAccept?: number;
  /**
   * The permissions of a unix path (by the umask), such as 0o600; it never has wider ones, also not while it is being
   * made. Connecting needs the permission to write. Where the backend lacks `rawDescriptors`: `ENOTSUP`.
   */
  mode?: number;
}

/** What listening needs of its reactor. */
export interface ListenHost {
  readonly name: string;
  readonly capabilities: Capabilities;
  socket(spec: { type: 'stream'; family: 'ipv4' | 'ipv6' | 'unix' }): BackendSocket;
  adopt(fd: number): BackendSocket;
  /** Resolves when the connect of the socket is decided; rejects when it is closed. */
  untilDecided(socket: BackendSocket): Promise<void>;
}

export const DEFAULT_BACKLOG = 511;

/** Throws `ERR_REACTOR_ARGUMENT` for an option of a wrong type or out of its range. */
export function checkListenOptions(options: ListenOptions): void {
  if (typeof options !== 'object' || options === null)
    throw misuse('ERR_REACTOR_ARGUMENT', `the options are an object, got ${describe(options)}`);
  for (const name of ['reuseAddress', 'reusePort', 'ipv6Only'] as const) checkFlag(options[name], name);
  if (options.backlog !== undefined) checkBacklog(options.backlog);
  checkInteger(options, 'deferAccept', 0x7fffffff, (value) => `${value}`);
  checkInteger(options, 'mode', 0o777, (value) => `0o${value.toString(8)}`);
}

function checkInteger(
  options: ListenOptions,
  name: 'deferAccept' | 'mode',
  most: number,
  show: (value: number) => string,
): void {
  const value = options[name];
  if (value === undefined) return;
  if (typeof value !== 'number')
    throw misuse('ERR_REACTOR_ARGUMENT', `${name} must be a number, got ${describe(value)}`);
  if (!Number.isInteger(value) || value < 0 || value > most)
    throw outOfRange('ERR_REACTOR_ARGUMENT', `${name} must be an integer from 0 to ${show(most)}, got ${show(value)}`);
}

/** The backlog as the system takes it: Linux cuts it to `net.core.somaxconn` without a word (listen(2)). */
export function effectiveBacklog(requested = DEFAULT_BACKLOG): number {
  try {
    return Math.min(requested, Number.parseInt(readFileSync('/proc/sys/net/core/somaxconn', 'latin1'), 10));
  } catch {
    return requested;
  }
}

export function isInherited(target: ListenTarget): target is { fd: number } {
  return typeof target === 'object' && target !== null && 'fd' in target;
}

/** A socket that is bound and listens. Of a name, the first address that the resolver gives. */
export async function listen(host: ListenHost, target: ListenTarget, options: ListenOptions): Promise<BackendSocket> {
  checkListenOptions(options);
  if (isInherited(target)) return inherit(host, target.fd);
  const [address] = (await resolve(checkAddress(target))) as [Address];
  const path = pathOf(address);
  if (options.mode !== undefined) {
    if (path === undefined)
      throw misuse('ERR_REACTOR_ARGUMENT', 'mode is for a unix path: this address has no permissions');
    if (!host.capabilities.rawDescriptors) throw notSupported('listen', 'rawDescriptors', host.name);
  }
  if (options.reusePort === true && familyOf(address) === 'unix') throw socketError('ENOTSUP', 'setsockopt', address);
  try {
    return await open(host, address, path, options);
  } catch (error) {
    if (path === undefined || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    if (!(await removeIfStale(path, () => answers(host, address)))) throw error;
    return await open(host, address, path, options);
  }
}

async function open(
  host: ListenHost,
  address: Address,
  path: string | undefined,
  options: ListenOptions,
): Promise<BackendSocket> {
  const family = familyOf(address) as 'ipv4' | 'ipv6' | 'unix';
  const socket = host.socket({ type: 'stream', family });
  try {
    setOptions(socket, family, options);
    if (options.mode !== undefined) setModeToBe(socket, options.mode);
    socket.bind(address);
    // Without descriptors the backend sees to the path: Node removes it by itself, and in memory there is none.
    if (path !== undefined && host.capabilities.rawDescriptors) ownPath(socket, path);
    // Before it listens nobody can connect, whatever the permissions.
    if (path !== undefined && options.mode !== undefined) settleMode(path, options.mode);
    socket.listen(options.backlog ?? DEFAULT_BACKLOG);
    await socket.settled();
    return socket;
  } catch (error) {
    removeOwnedPath(socket);
    socket.close();
    throw error;
  }
}

function setOptions(socket: BackendSocket, family: Family, options: ListenOptions): void {
  if (options.deferAccept !== undefined) socket.setOption('deferAccept', options.deferAccept);
  if (family === 'unix') return;
  if (options.reuseAddress ?? true) socket.setOption('reuseAddress', true);
  if (options.reusePort ?? false) socket.setOption('reusePort', true);
  if (family === 'ipv6' && options.ipv6Only !== undefined) socket.setOption('ipv6Only', options.ipv6Only);
}

/** Whether somebody listens there: by a connect, which a listener sees as a client that leaves at once. */
async function answers(host: ListenHost, address: Address): Promise<boolean> {
  const socket = host.socket({ type: 'stream', family: 'unix' });
  try {
    if (socket.connect(address) === 'connecting') {
      do await host.untilDecided(socket);
      while (!socket.finishConnect());
    }
    return true;
  } catch (error) {
    // Everything else (a full queue, no permission, a datagram socket) means that somebody is there.
    return !['ECONNREFUSED', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '');
  } finally {
    socket.close();
  }
}

function inherit(host: ListenHost, fd: number): BackendSocket {
  const socket = host.adopt(fd);
  if (socket.listening) return socket;
  const { type, family } = socket;
  socket.detach();
  throw misuse(
    'ERR_REACTOR_SOCKET',
    `{ fd } takes a socket that listens already, and descriptor ${fd} does not: it is ${
      type === 'pipe' ? 'a pipe or a terminal' : `a ${family} ${type} socket`
    }`,
  );
}
