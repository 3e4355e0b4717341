/** The named socket options, each with its level, its number and its own type. */
import { describe, misuse, outOfRange, SocketError } from '../../errors.js';
import type { Core } from '../../native.js';
import type { SocketOptions } from '../../socket.js';

type Kind = 'boolean' | 'count';

interface NamedOption {
  readonly level: string;
  readonly name: string;
  readonly kind: Kind;
  /** The pair for IPv6 sockets, where it is another one. */
  readonly ipv6?: readonly [level: string, name: string];
}

const TCP = 'IPPROTO_TCP';
const SOL = 'SOL_SOCKET';

const NAMED: { readonly [K in Exclude<keyof SocketOptions, 'linger'>]: NamedOption } = {
  reuseAddress: { level: SOL, name: 'SO_REUSEADDR', kind: 'boolean' },
  reusePort: { level: SOL, name: 'SO_REUSEPORT', kind: 'boolean' },
  noDelay: { level: TCP, name: 'TCP_NODELAY', kind: 'boolean' },
  keepAlive: { level: SOL, name: 'SO_KEEPALIVE', kind: 'boolean' },
  keepAliveIdle: { level: TCP, name: 'TCP_KEEPIDLE', kind: 'count' },
  keepAliveInterval: { level: TCP, name: 'TCP_KEEPINTVL', kind: 'count' },
  keepAliveCount: { level: TCP, name: 'TCP_KEEPCNT', kind: 'count' },
  receiveBuffer: { level: SOL, name: 'SO_RCVBUF', kind: 'count' },
  sendBuffer: { level: SOL, name: 'SO_SNDBUF', kind: 'count' },
  broadcast: { level: SOL, name: 'SO_BROADCAST', kind: 'boolean' },
  ipv6Only: { level: 'IPPROTO_IPV6', name: 'IPV6_V6ONLY', kind: 'boolean' },
  oobInline: { level: SOL, name: 'SO_OOBINLINE', kind: 'boolean' },
  userTimeout: { level: TCP, name: 'TCP_USER_TIMEOUT', kind: 'count' },
  tos: { level: 'IPPROTO_IP', name: 'IP_TOS', kind: 'count', ipv6: ['IPPROTO_IPV6', 'IPV6_TCLASS'] },
  ttl: { level: 'IPPROTO_IP', name: 'IP_TTL', kind: 'count', ipv6: ['IPPROTO_IPV6', 'IPV6_UNICAST_HOPS'] },
  deferAccept: { level: TCP, name: 'TCP_DEFER_ACCEPT', kind: 'count' },
  quickAck: { level: TCP, name: 'TCP_QUICKACK', kind: 'boolean' },
};

/** Below every value of an option: the core returns an error as `ERROR_BASE - errno`. */
const ERROR_BASE = -(2 ** 31);

function named(option: string): NamedOption {
  const found = (NAMED as Record<string, NamedOption | undefined>)[option];
  if (found === undefined || !Object.hasOwn(NAMED, option))
    throw misuse(
      'ERR_REACTOR_ARGUMENT',
      `unknown socket option ${describe(option)}; the named ones are ${Object.keys(NAMED).join(', ')}, linger`,
    );
  return found;
}

function numbers(core: Core, option: NamedOption, ipv6: boolean): [level: number, name: number] {
  const [level, name] = ipv6 && option.ipv6 !== undefined ? option.ipv6 : [option.level, option.name];
  return [core.constants[level] as number, core.constants[name] as number];
}

export function getNamedOption(core: Core, fd: number, ipv6: boolean, option: string): boolean | number {
  if (option === 'linger') return getLinger(core, fd);
  const found = named(option);
  const value = core.getOption(fd, ...numbers(core, found, ipv6));
  if (value < ERROR_BASE) throw new SocketError(value - ERROR_BASE, 'getsockopt');
  return found.kind === 'boolean' ? value !== 0 : value;
}

export function setNamedOption(core: Core, fd: number, ipv6: boolean, option: string, value: unknown): void {
  if (option === 'linger') {
    setLinger(core, fd, value);
    return;
  }
  const found = named(option);
  if (typeof value !== (found.kind === 'boolean' ? 'boolean' : 'number'))
    throw misuse('ERR_REACTOR_ARGUMENT', `option ${option} takes a ${found.kind}, got ${describe(value)}`);
  if (found.kind === 'count' && !(Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31))
    throw outOfRange('ERR_REACTOR_ARGUMENT', `option ${option} takes an integer from 0 to 2147483647, got ${value}`);
  const result = core.setOption(fd, ...numbers(core, found, ipv6), Number(value));
  if (result < 0) throw new SocketError(result, 'setsockopt');
}

/** `struct linger`: two ints, on and seconds. */
function getLinger(core: Core, fd: number): false | 0 {
  const bytes = new Int32Array(2);
  const result = core.getRawOption(
    fd,
    core.constants.SOL_SOCKET as number,
    core.constants.SO_LINGER as number,
    new Uint8Array(bytes.buffer),
  );
  if (result < 0) throw new SocketError(result, 'getsockopt');
  // A positive time can only come from a raw option; it is told as it is.
  return bytes[0] === 0 ? false : (bytes[1] as 0);
}

function setLinger(core: Core, fd: number, value: unknown): void {
  if (value !== false && value !== 0)
    throw outOfRange(
      'ERR_REACTOR_ARGUMENT',
      `linger takes false or 0, got ${describe(value)}: a positive time would block the loop in close, and is only set by setRawOption`,
    );
  const result = core.setRawOption(
    fd,
    core.constants.SOL_SOCKET as number,
    core.constants.SO_LINGER as number,
    new Uint8Array(Int32Array.of(value === false ? 0 : 1, 0).buffer),
  );
  if (result < 0) throw new SocketError(result, 'setsockopt');
}
