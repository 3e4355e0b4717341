/** Network interfaces, as users name them: by name, by index, or by one of their addresses. */
import { isIP, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, misuse, noInterface } from '../../errors.js';
import type { Core } from '../../native.js';

/**
 * The index of an interface; 0, which leaves the choice to the system, for `''` and the any-addresses. `given` is a name
 * (`eth0`), an index in digits, one of its addresses, or an IPv6 address with a zone (`::%eth0`). Throws `ENODEV`.
 */
export function interfaceIndex(core: Core, given: unknown, syscall: string): number {
  if (typeof given !== 'string')
    throw misuse('ERR_REACTOR_ARGUMENT', `an interface is a name or an address of it, got ${describe(given)}`);
  const zone = given.indexOf('%');
  if (zone !== -1 && isIPv6(given)) return interfaceIndex(core, given.slice(zone + 1), syscall);
  if (given === '' || given === '0.0.0.0' || given === '::') return 0;
  if (/^\d{1,9}$/.test(given)) return Number(given);
  const name = isIP(given) === 0 ? given : nameWith(given);
  const index = name === undefined ? -1 : core.interfaceIndex(name);
  if (index < 0) throw noInterface(given, syscall);
  return index;
}

/** The first IPv4 address of an interface; `0.0.0.0` where it has none. */
export function ipv4Of(core: Core, index: number): string {
  const entries = networkInterfaces()[String(core.interfaceName(index))];
  return entries?.find(({ family }) => family === 'IPv4')?.address ?? '0.0.0.0';
}

function nameWith(address: string): string | undefined {
  const found = Object.entries(networkInterfaces()).find(([, entries]) =>
    entries?.some((entry) => entry.address === address),
  );
  return found?.[0];
}
