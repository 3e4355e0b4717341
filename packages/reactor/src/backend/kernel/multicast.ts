/** Multicast groups, and the interface that multicasts leave by. */
import { isIPv4 } from 'node:net';
import type { Family } from '../../address.js';
import { SocketError, socketError } from '../../errors.js';
import { checkGroup } from '../../groups.js';
import type { Core } from '../../native.js';
import type { GroupOptions } from '../../socket.js';
import { FAMILY_CODE } from './addresses.js';
import { interfaceIndex, ipv4Of } from './interfaces.js';

/** Joins or leaves a group, of any source or of one. */
export function changeGroup(
  core: Core,
  fd: number,
  family: Family,
  join: boolean,
  group: string,
  options: GroupOptions = {},
): void {
  const verb = join ? 'joinGroup' : 'leaveGroup';
  if (fd < 0) throw socketError('EBADF', 'setsockopt');
  if (family !== 'ipv4' && family !== 'ipv6') throw socketError('ENOTSUP', 'setsockopt');
  checkGroup(group, options, family, verb);
  const index = interfaceIndex(core, options.interface ?? '', 'setsockopt');
  const kind = FAMILY_CODE[family];
  let result: number;
  if (options.source === undefined) result = core.group(fd, Number(join), index, kind, group);
  else result = core.group(fd, Number(join), index, kind, group, options.source);
  if (result < 0) throw new SocketError(result, 'setsockopt', { host: group, port: 0 });
}

/** The option `multicastInterface`: an IPv4 socket knows an address, an IPv6 socket an interface. */
export function getMulticastInterface(core: Core, fd: number, ipv6: boolean): string {
  const level = core.constants[ipv6 ? 'IPPROTO_IPV6' : 'IPPROTO_IP'] as number;
  const name = core.constants[ipv6 ? 'IPV6_MULTICAST_IF' : 'IP_MULTICAST_IF'] as number;
  const value = new Int32Array(1);
  const bytes = new Uint8Array(value.buffer);
  const result = core.getRawOption(fd, level, name, bytes);
  if (result < 0) throw new SocketError(result, 'getsockopt');
  const index = value[0] as number;
  if (index === 0) return '';
  if (!ipv6) return bytes.join('.');
  const found = core.interfaceName(index);
  // An interface that has gone since still has its index.
  return typeof found === 'string' ? found : String(index);
}

export function setMulticastInterface(core: Core, fd: number, ipv6: boolean, value: unknown): void {
  const index = interfaceIndex(core, value, 'setsockopt');
  let result: number;
  if (ipv6)
    result = core.setOption(
      fd,
      core.constants.IPPROTO_IPV6 as number,
      core.constants.IPV6_MULTICAST_IF as number,
      index,
    );
  else {
    const address = index === 0 ? '0.0.0.0' : isIPv4(value as string) ? (value as string) : ipv4Of(core, index);
    result = core.setGroupInterface(fd, index, FAMILY_CODE.ipv4, address);
  }
  if (result < 0) throw new SocketError(result, 'setsockopt');
}
