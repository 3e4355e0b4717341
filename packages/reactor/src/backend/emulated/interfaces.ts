/** Network interfaces, as users name them, in the form that node:dgram takes. */
import { isIP, isIPv4, isIPv6 } from 'node:net';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import type { InetFamily } from '../../address.js';
import { describe, misuse, noInterface } from '../../errors.js';

/** What node:dgram takes for the system's choice. */
export const ANY_INTERFACE = { ipv4: '0.0.0.0', ipv6: '::' } as const;

export interface Interface {
  readonly name: string;
  readonly entries: readonly NetworkInterfaceInfo[];
}

/**
 * The interface that `given` is: a name (`eth0`), an index in digits, one of its addresses, or an IPv6 address with a zone
 * (`::%eth0`); `null`, which leaves the choice to the system, for `''` and the any-addresses. An index is known where the
 * interface has a link-local address: Node tells it nowhere else. Throws `ENODEV`.
 */
export function findInterface(given: unknown, syscall: string): Interface | null {
  if (typeof given !== 'string')
    throw misuse('ERR_REACTOR_ARGUMENT', `an interface is a name or an address of it, got ${describe(given)}`);
  const zone = given.indexOf('%');
  if (zone !== -1 && isIPv6(given)) return findInterface(given.slice(zone + 1), syscall);
  if (given === '' || given === ANY_INTERFACE.ipv4 || given === ANY_INTERFACE.ipv6) return null;
  const index = /^\d{1,9}$/.test(given) ? Number(given) : undefined;
  if (index === 0) return null;
  const byAddress = isIP(given) !== 0;
  for (const [name, entries = []] of Object.entries(networkInterfaces())) {
    if (index === undefined && !byAddress) {
      if (name === given) return { name, entries };
    } else if (
      entries.some((entry) =>
        index === undefined ? entry.address === given : entry.family === 'IPv6' && entry.scopeid === index,
      )
    )
      return { name, entries };
  }
  throw noInterface(given, syscall);
}

/** For IPv4 an address of it, for IPv6 a zone. `given`, an IPv4 address, is meant itself. */
export function toDgramInterface(found: Interface | null, family: InetFamily, given: string, syscall: string): string {
  if (found === null) return ANY_INTERFACE[family];
  if (family === 'ipv6') return `::%${zoneOf(found)}`;
  if (isIPv4(given)) return given;
  const address = found.entries.find((entry) => entry.family === 'IPv4')?.address;
  if (address !== undefined) return address;
  throw noInterface(`${given} with an IPv4 address`, syscall);
}

/** How the system names it behind the % of an address: Windows by its number. */
export function zoneOf({ name, entries }: Interface): string {
  if (process.platform !== 'win32') return name;
  return String(entries.find((entry) => entry.family === 'IPv6')?.scopeid ?? 0);
}
