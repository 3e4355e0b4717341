/** Addresses of the simulated network: one host, to which every unicast literal belongs. */
import { SocketAddress } from 'node:net';
import { type Address, checkAddress, type Family, type InetAddress, isUnixAddress, toLiteral } from '../address.js';
import { misuse, socketError } from '../errors.js';

/** `sun_path` of Linux less its final NUL: unix(7). */
const LONGEST_PATH = 107;
const MAPPED = '::ffff:';

/**
 * An address for a socket of `family`, its literal in the form that compares equal. Throws `ERR_REACTOR_ADDRESS` where it is
 * not of that family, `ERR_REACTOR_NAME` for a name.
 */
export function toEndpoint(given: unknown, family: Family, verb: string): Address {
  const address = checkAddress(given);
  if (isUnixAddress(address)) {
    if (family !== 'unix')
      throw misuse('ERR_REACTOR_ADDRESS', `${verb}: an ${family} socket takes { host, port }, got a path`);
    if (Buffer.byteLength(address.path) > LONGEST_PATH) throw socketError('ENAMETOOLONG', verb, address);
    return { path: address.path };
  }
  if (family !== 'ipv4' && family !== 'ipv6')
    throw misuse('ERR_REACTOR_ADDRESS', `${verb}: a ${family} socket takes { path }, got a host`);
  const literal = toLiteral(address, family);
  if (family === 'ipv4') return { host: literal, port: address.port };
  const zone = literal.indexOf('%');
  const host = zone === -1 ? literal : literal.slice(0, zone);
  return { host: new SocketAddress({ address: host, family: 'ipv6' }).address, port: address.port };
}

export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** Whom a datagram or connect to `host` reaches: an IPv4-mapped IPv6 address is the IPv4 one; any interface is the loopback. */
export function destination(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '::1';
  return isMapped(host) ? host.slice(MAPPED.length) : host;
}

export function isMapped(host: string): boolean {
  return host.startsWith(MAPPED) && host.includes('.');
}

/** How a socket of `family` sees the address of another one. */
export function seenFrom(family: Family, address: Address): Address {
  if (family !== 'ipv6' || isUnixAddress(address) || address.host.includes(':')) return { ...address };
  return { host: MAPPED + address.host, port: address.port };
}

/** The local address of a socket that speaks to `host`, when it was bound to none. */
export function sourceFor(host: string): string {
  return host.startsWith('127.') ? '127.0.0.1' : host;
}

export function isBroadcast(host: string): boolean {
  return host === '255.255.255.255' || host === '127.255.255.255';
}

export function isMulticast(host: string): boolean {
  if (host.includes(':')) return host.startsWith('ff');
  const first = Number.parseInt(host, 10);
  return first >= 224 && first <= 239;
}

/** What `getsockname(2)` tells of a socket that was never bound. */
export function unbound(family: Family): Address {
  if (family === 'unix') return { path: '' };
  return { host: family === 'ipv6' ? '::' : '0.0.0.0', port: 0 } satisfies InetAddress;
}
