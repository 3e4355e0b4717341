/** Multicast groups, as every backend takes them. */
import { isIPv4, isIPv6 } from 'node:net';
import type { InetFamily } from './address.js';
import { describe, misuse } from './errors.js';
import type { GroupOptions } from './socket.js';

/** Checks what `joinGroup` and `leaveGroup` are given; the interface is the backend's. Throws `ERR_REACTOR_ADDRESS`, `ERR_REACTOR_ARGUMENT`. */
export function checkGroup(group: unknown, options: unknown, family: InetFamily, verb: string): void {
  checkLiteral(group, 'group', family, verb);
  if (typeof options !== 'object' || options === null)
    throw misuse('ERR_REACTOR_ARGUMENT', `${verb}: options are { interface, source }, got ${describe(options)}`);
  const { source } = options as GroupOptions;
  if (source !== undefined) checkLiteral(source, 'source', family, verb);
}

function checkLiteral(value: unknown, name: string, family: InetFamily, verb: string): void {
  const literal = typeof value === 'string' && (family === 'ipv4' ? isIPv4(value) : isIPv6(value));
  if (!literal || (value as string).includes('%'))
    throw misuse('ERR_REACTOR_ADDRESS', `${verb}: ${name} must be an ${family} literal, got ${describe(value)}`);
}
