/** Addresses between fdset's form and what crosses into the native core. */
import { type Address, checkAddress, type Family, isUnixAddress, toLiteral } from '../../address.js';
import { misuse } from '../../errors.js';
import type { Core } from '../../native.js';
import { interfaceIndex } from './interfaces.js';

/** The native core's numbers for the kinds of addresses and families. */
export const FAMILY_CODE: Readonly<Record<Family, number>> = { pipe: 0, unix: 1, ipv4: 4, ipv6: 6 };

/** An address as the core's functions take it, in the order of their arguments. */
export interface CoreAddress {
  readonly kind: number;
  /** The literal, or the path. */
  readonly text: string;
  readonly port: number;
  readonly flow: number;
  readonly scope: number;
}

/** What bind takes for a name that the system makes up (unix(7), autobind). */
export const AUTOBIND: CoreAddress = { kind: FAMILY_CODE.unix, text: '', port: 0, flow: 0, scope: 0 };

/**
 * Checks an address for a socket of `family`. Throws `ERR_REACTOR_ADDRESS` where it is not of that family,
 * `ERR_REACTOR_NAME` for a name, and `ENODEV` for a zone that is no interface.
 */
export function toCoreAddress(core: Core, given: unknown, family: Family, syscall: string): CoreAddress {
  const address = checkAddress(given);
  if (isUnixAddress(address)) {
    if (family !== 'unix')
      throw misuse('ERR_REACTOR_ADDRESS', `${syscall} on an ${family} socket takes { host, port }, got a path`);
    return { kind: FAMILY_CODE.unix, text: address.path, port: 0, flow: 0, scope: 0 };
  }
  if (family !== 'ipv4' && family !== 'ipv6')
    throw misuse('ERR_REACTOR_ADDRESS', `${syscall} on a ${family} socket takes { path }, got a host and port`);
  const { port, flowInfo = 0, scopeId = 0 } = address;
  const text = toLiteral(address, family);
  const zone = family === 'ipv6' ? text.indexOf('%') : -1;
  if (zone === -1) return { kind: FAMILY_CODE[family], text, port, flow: flowInfo, scope: scopeId };
  return {
    kind: FAMILY_CODE.ipv6,
    text: text.slice(0, zone),
    port,
    flow: flowInfo,
    scope: address.scopeId ?? interfaceIndex(core, text.slice(zone + 1), syscall),
  };
}

/** `host * 65536 + port`, as the core packs an IPv4 peer, so that an idle connection keeps 8 bytes of it. */
export function unpackPeer(packed: number): Address {
  const host = Math.floor(packed / 65536);
  return { host: `${host >>> 24}.${(host >>> 16) & 255}.${(host >>> 8) & 255}.${host & 255}`, port: packed % 65536 };
}
