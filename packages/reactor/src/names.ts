/** Names: of hosts, by the system's resolver or by name servers of one's own; of services; and of this host. */
import { lookup as lookupBySystem, Resolver, reverse as reverseBySystem } from 'node:dns/promises';
import { isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { type Address, checkAddress, checkPort, familyOf, type InetAddress, type InetFamily } from './address.js';
import { describe, lookupError, misuse } from './errors.js';

export interface ResolverOptions {
  /** Name servers to ask, as '192.0.2.53', '192.0.2.53:5353' or '[2001:db8::53]:53', instead of the system's resolver. */
  servers?: readonly string[];
  /** How long one name server may take to answer, in ms (5000); with `servers` only. */
  timeoutMs?: number;
}

export interface LookupOptions extends ResolverOptions {
  /** Only addresses of this family (both). */
  family?: InetFamily;
  /** The port of the addresses (0). */
  port?: number;
}

/**
 * The addresses of a host, in the order in which they are to be tried: the system's own (RFC 6724), which getaddrinfo(3)
 * gives from the hosts file and the name service; with `servers`, the AAAA records before the A records. A literal
 * answers itself; a zone in it (`fe80::1%eth0`) becomes its `scopeId`. Takes a thread of libuv's pool, not this one.
 *
 * Rejects with a SocketError that has the resolver's code (`ENOTFOUND`, `EAI_AGAIN`, `ETIMEOUT`) and names the host;
 * with `ERR_REACTOR_ARGUMENT` for misuse.
 */
export async function lookup(host: string, options: LookupOptions = {}): Promise<InetAddress[]> {
  checkHost(host);
  const { family, port = 0 } = options;
  if (family !== undefined && family !== 'ipv4' && family !== 'ipv6')
    throw misuse('ERR_REACTOR_ARGUMENT', `family must be 'ipv4' or 'ipv6', got ${describe(family)}`);
  checkPort(port);
  const resolver = resolverOf(options);
  const found = isIP(host) !== 0 ? [host] : await addressesOf(host, resolver);
  const addresses = found.map((literal) => fromLiteral(literal, port));
  const wanted = family === undefined ? addresses : addresses.filter((address) => familyOf(address) === family);
  if (wanted.length === 0) throw lookupError(host, new Error(`it has no ${family ?? ''} address`));
  return wanted;
}

async function addressesOf(host: string, resolver: Resolver | undefined): Promise<string[]> {
  try {
    if (resolver === undefined)
      return (await lookupBySystem(host, { all: true, verbatim: true })).map(({ address }) => address);
    const answers = await Promise.allSettled([resolver.resolve6(host), resolver.resolve4(host)]);
    const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    // Of two failures that of the A records: a host without IPv6 is the usual case.
    if (found.length === 0) throw (answers[1] as PromiseRejectedResult).reason;
    return found;
  } catch (error) {
    throw lookupError(host, error);
  }
}

/**
 * The names of an address, by the hosts file and the name service. Rejects with a SocketError that has the resolver's
 * code (`ENOTFOUND`: it has none), with `ERR_REACTOR_ADDRESS` for what is no address.
 */
export async function reverse(address: string | InetAddress, options: ResolverOptions = {}): Promise<string[]> {
  const literal = typeof address === 'object' && address !== null ? address.host : address;
  if (typeof literal !== 'string' || isIP(literal) === 0)
    throw misuse(
      'ERR_REACTOR_ADDRESS',
      `reverse takes an IPv4 or IPv6 literal, or an address with one, got ${describe(literal)}`,
    );
  const resolver = resolverOf(options);
  const [bare] = literal.split('%') as [string];
  try {
    return await (resolver === undefined ? reverseBySystem(bare) : resolver.reverse(bare));
  } catch (error) {
    throw lookupError(literal, error, 'getnameinfo');
  }
}

/** This host's own name, as `hostname(1)` tells it. */
export function hostName(): string {
  return hostname();
}

/** The addresses that a target of `listen` or `connect` stands for: itself, unless it is a name. */
export async function resolve(
  address: Address,
  look: (host: string) => Promise<readonly Address[]> = lookup,
): Promise<Address[]> {
  if ('path' in address) return [address];
  const { host } = address;
  if (host === '' || (isIP(host) !== 0 && !host.includes('%'))) return [address];
  const found = isIP(host) !== 0 ? await lookup(host) : await look(host);
  if (!Array.isArray(found) || found.length === 0) throw lookupError(host, new Error('it has no address'));
  return found.map((entry) => checkAddress({ ...address, ...entry, port: address.port }));
}

function fromLiteral(literal: string, port: number): InetAddress {
  const [host, zone] = literal.split('%') as [string, string?];
  return zone === undefined ? { host, port } : { host, port, scopeId: scopeOf(zone, literal) };
}

/** The index of a zone, which is an interface's name or the index itself (RFC 4007, 11.2). */
function scopeOf(zone: string, literal: string): number {
  if (/^\d+$/.test(zone)) return Number(zone);
  const entries = networkInterfaces()[zone];
  const scope = entries?.find((entry) => entry.family === 'IPv6' && entry.scopeid !== 0)?.scopeid;
  if (scope === undefined) throw lookupError(literal, new Error(`there is no interface '${zone}' with such addresses`));
  return scope;
}

function checkHost(host: unknown): asserts host is string {
  if (typeof host === 'string' && host !== '' && !host.includes('\0')) return;
  throw misuse(
    'ERR_REACTOR_ARGUMENT',
    `a host is a name or a literal, a string that is not empty, got ${describe(host)}`,
  );
}

function resolverOf({ servers, timeoutMs = 5000 }: ResolverOptions): Resolver | undefined {
  if (servers === undefined) return undefined;
  if (!Array.isArray(servers) || servers.length === 0 || servers.some((server) => typeof server !== 'string'))
    throw misuse('ERR_REACTOR_ARGUMENT', `servers must be a list of name servers' literals, got ${describe(servers)}`);
  if (!(Number.isInteger(timeoutMs) && timeoutMs > 0))
    throw misuse('ERR_REACTOR_ARGUMENT', `timeoutMs must be an integer above 0, got ${describe(timeoutMs)}`);
  const resolver = new Resolver({ timeout: timeoutMs, tries: 2 });
  try {
    resolver.setServers(servers);
  } catch {
    throw misuse(
      'ERR_REACTOR_ARGUMENT',
      `servers must be IP literals, with a port or without, got ${servers.join(', ')}`,
    );
  }
  return resolver;
}
