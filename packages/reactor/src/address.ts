/** The forms of an address, and their checks: what is wrong is said at once, before any system call. */
import { isIP, isIPv4, isIPv6 } from 'node:net';
import { describe, misuse, outOfRange } from './errors.js';

/**
 * `host` is an IPv4 or IPv6 literal; `''` means any interface, `'localhost'` the loopback address of the family. A zone
 * (`fe80::1%eth0`) is the name or index of the interface, as `scopeId` is.
 */
export interface InetAddress {
  host: string;
  /** 0 to 65535; 0 lets the system choose when binding. */
  port: number;
  /** IPv6 only: the flow label and traffic class, as in `sin6_flowinfo`. */
  flowInfo?: number;
  /** IPv6 only: the zone of a link-local address, an interface's index. */
  scopeId?: number;
}

/** A unix address. A leading NUL is the abstract namespace of Linux. */
export interface UnixAddress {
  path: string;
}

export type Address = InetAddress | UnixAddress;

/** What may be listened on: an address, or an inherited listening descriptor (systemd's socket activation). */
export type ListenTarget = Address | { fd: number };

export type InetFamily = 'ipv4' | 'ipv6';
export type Family = InetFamily | 'unix' | 'pipe';

export function isUnixAddress(address: Address): address is UnixAddress {
  return 'path' in address;
}

/** `127.0.0.1:80`, `[::1]:80` or the path, for messages; an abstract name is shown with an `@`. */
export function formatAddress(address: Address | undefined): string {
  if (address === undefined) return '(none)';
  if (isUnixAddress(address)) return address.path.replace('\0', '@');
  return isIPv6(address.host) ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** The shape of an address: throws `ERR_REACTOR_ADDRESS` or `ERR_REACTOR_ARGUMENT`, and returns it typed. */
export function checkAddress(value: unknown): Address {
  if (value === null || typeof value !== 'object')
    throw misuse('ERR_REACTOR_ADDRESS', `an address is { host, port } or { path }, got ${describe(value)}`);
  const address = value as Partial<InetAddress & UnixAddress>;
  if (address.path !== undefined) {
    if (typeof address.path !== 'string' || address.path === '')
      throw misuse('ERR_REACTOR_ADDRESS', `path must be a non-empty string, got ${describe(address.path)}`);
    if (address.path.indexOf('\0', 1) !== -1)
      throw misuse('ERR_REACTOR_ADDRESS', 'path may hold a NUL only as its first character (the abstract namespace)');
    return address as UnixAddress;
  }
  if (typeof address.host !== 'string')
    throw misuse('ERR_REACTOR_ADDRESS', `host must be a string, got ${describe(address.host)}`);
  checkPort(address.port);
  checkWord(address.flowInfo, 'flowInfo');
  checkWord(address.scopeId, 'scopeId');
  return address as InetAddress;
}

function checkWord(value: unknown, name: string): void {
  if (value === undefined) return;
  if (typeof value !== 'number')
    throw misuse('ERR_REACTOR_ADDRESS', `${name} must be a number, got ${describe(value)}`);
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff)
    throw outOfRange('ERR_REACTOR_ADDRESS', `${name} must be an integer from 0 to 4294967295, got ${value}`);
}

export function checkPort(port: unknown): asserts port is number {
  if (typeof port !== 'number') throw misuse('ERR_REACTOR_ARGUMENT', `port must be a number, got ${describe(port)}`);
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw outOfRange('ERR_REACTOR_ARGUMENT', `port must be an integer from 0 to 65535, got ${port}`);
}

/**
 * The literal of an address for a socket of `family`. `''` and `'localhost'` become the family's any and loopback
 * addresses; another name throws `ERR_REACTOR_NAME`, since looking it up would block: `reactor.listen` and
 * `reactor.connect` look names up.
 */
export function toLiteral(address: InetAddress, family: InetFamily): string {
  const { host } = address;
  if (host === '') return family === 'ipv6' ? '::' : '0.0.0.0';
  if (host === 'localhost') return family === 'ipv6' ? '::1' : '127.0.0.1';
  if (family === 'ipv6' ? isIPv6(host) : isIPv4(host)) return host;
  if (isIP(host) !== 0)
    throw misuse('ERR_REACTOR_ADDRESS', `an ${family} socket takes an ${family} literal, got ${describe(host)}`);
  throw misuse(
    'ERR_REACTOR_NAME',
    `${describe(host)} is a name, and a socket verb looks none up: give a literal, or use reactor.listen or reactor.connect`,
  );
}

/** The family that an address asks for; `undefined` where it is a name that has to be looked up. */
export function familyOf(address: Address): Family | undefined {
  if (isUnixAddress(address)) return 'unix';
  if (address.host === '' || address.host === 'localhost' || isIPv4(address.host)) return 'ipv4';
  return isIPv6(address.host) ? 'ipv6' : undefined;
}
