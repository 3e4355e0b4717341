/** Addresses between fdset's form and that of node:net. */
import { networkInterfaces } from 'node:os';
import { type Address, checkAddress, type Family, isUnixAddress, toLiteral } from '../../address.js';
import { misuse, notSupported, socketError } from '../../errors.js';
import { emulatedCapabilities } from './capabilities.js';
import { findInterface, zoneOf } from './interfaces.js';

/** `sun_path` less its final NUL: unix(7); 104 bytes on the BSDs and macOS. */
const LONGEST_PATH = { linux: 107, win32: Number.POSITIVE_INFINITY }[process.platform as string] ?? 103;

/**
 * What node:net's `listen` and `connect` take. Throws `ERR_REACTOR_ADDRESS` where the address is not of the socket's
 * family, `ERR_REACTOR_NAME` for a name, `ENOTSUP` for what node:net cannot express.
 */
export function toEndpoint(value: unknown, family: Family, verb: string): Address {
  const address = checkAddress(value);
  if (isUnixAddress(address)) {
    if (family !== 'unix')
      throw misuse('ERR_REACTOR_ADDRESS', `${verb}: an ${family} socket takes { host, port }, got a path`);
    if (address.path.startsWith('\0') && !emulatedCapabilities.abstractUnix)
      throw notSupported(verb, 'abstractUnix', 'emulated');
    // libuv cuts a longer one, and another path would come to be.
    if (Buffer.byteLength(address.path) > LONGEST_PATH) throw socketError('ENAMETOOLONG', verb, address);
    return { path: address.path };
  }
  if (family !== 'ipv4' && family !== 'ipv6')
    throw misuse('ERR_REACTOR_ADDRESS', `${verb}: a ${family} socket takes { path }, got a host`);
  if (address.flowInfo !== undefined && address.flowInfo !== 0) throw notSupported(verb, 'rawOptions', 'emulated');
  const host = toLiteral(address, family);
  return { host: family === 'ipv6' ? withZone(host, address.scopeId, verb) : host, port: address.port };
}

// libuv resolves a zone by the interface's name only; a wrong one would mean no zone at all.
function withZone(host: string, scopeId: number | undefined, verb: string): string {
  const zone = host.indexOf('%');
  if (zone === -1 && (scopeId === undefined || scopeId === 0)) return host;
  const literal = zone === -1 ? host : host.slice(0, zone);
  const found = findInterface(zone === -1 ? String(scopeId) : host.slice(zone + 1), verb);
  return found === null ? literal : `${literal}%${zoneOf(found)}`;
}

/** The address that Node tells of a socket; `undefined` where it tells none. */
export function fromEndpoint(host: string | undefined, port: number | undefined): Address | undefined {
  if (host === undefined || port === undefined) return undefined;
  const zone = host.indexOf('%');
  if (zone === -1) return { host, port };
  const address = { host: host.slice(0, zone), port };
  const entries = networkInterfaces()[host.slice(zone + 1)];
  // Its other addresses have no scope.
  for (const entry of entries ?? [])
    if (entry.family === 'IPv6' && entry.scopeid !== 0) return { ...address, scopeId: entry.scopeid };
  return address;
}

/** What `getsockname(2)` tells of a socket that was never bound. */
export function unboundAddress(family: Family): Address | undefined {
  if (family === 'ipv4') return { host: '0.0.0.0', port: 0 };
  return family === 'ipv6' ? { host: '::', port: 0 } : undefined;
}
