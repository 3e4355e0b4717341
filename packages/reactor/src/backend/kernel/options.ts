/** The named socket options, each with its level, its number and its own type. */
import { checkSwitch, checkWithin } from '../../arguments.js';
import { describe, misuse, outOfRange, SocketError } from '../../errors.js';
import type { Core } from '../../native.js';
import type { SocketOptions } from '../../socket.js';
import { getMulticastInterface, setMulticastInterface } from './multicast.js';

/** What a switch takes, or the least and the most of a number. */
type Kind = 'boolean' | readonly [least: number, most: number];

interface NamedOption {
  readonly level: string;
  readonly name: string;
  readonly kind: Kind;
  /** The pair for IPv6 sockets, where it is another one. */
  readonly ipv6?: readonly [level: string, name: string];
}

const TCP = 'IPPROTO_TCP';
const SOL = 'SOL_SOCKET';
const IP = 'IPPROTO_IP';
const IPV6 = 'IPPROTO_IPV6';

const COUNT: Kind = [0, 2 ** 31 - 1];
const OCTET: Kind = [0, 255];
/** MAX_TCP_KEEPIDLE and MAX_TCP_KEEPINTVL of Linux. */
const KEEPALIVE_SECONDS: Kind = [1, 32767];

/** Options that are no plain numbers. */
interface SpecialOption {
  get(core: Core, fd: number, ipv6: boolean): unknown;
  /** Absent where it can only be read. */
  set?(core: Core, fd: number, value: unknown, ipv6: boolean): void;
}

type SpecialName = 'linger' | 'congestion' | 'mark' | 'multicastInterface' | 'tcpInfo' | 'peerCredentials';

const SPECIAL: { readonly [K in SpecialName]: SpecialOption } = {
  linger: { get: getLinger, set: setLinger },
  congestion: { get: getCongestion, set: setCongestion },
  mark: { get: getMark, set: setMark },
  multicastInterface: {
    get: getMulticastInterface,
    set: (core, fd, value, ipv6) => setMulticastInterface(core, fd, ipv6, value),
  },
  tcpInfo: { get: (core, fd) => structure(core.tcpInfo(fd)) },
  peerCredentials: { get: (core, fd) => structure(core.peerCredentials(fd)) },
};

const NAMED: { readonly [K in Exclude<keyof SocketOptions, SpecialName>]: NamedOption } = {
  reuseAddress: { level: SOL, name: 'SO_REUSEADDR', kind: 'boolean' },
  reusePort: { level: SOL, name: 'SO_REUSEPORT', kind: 'boolean' },
  noDelay: { level: TCP, name: 'TCP_NODELAY', kind: 'boolean' },
  keepAlive: { level: SOL, name: 'SO_KEEPALIVE', kind: 'boolean' },
  keepAliveIdle: { level: TCP, name: 'TCP_KEEPIDLE', kind: KEEPALIVE_SECONDS },
  keepAliveInterval: { level: TCP, name: 'TCP_KEEPINTVL', kind: KEEPALIVE_SECONDS },
  keepAliveCount: { level: TCP, name: 'TCP_KEEPCNT', kind: [1, 127] },
  receiveBuffer: { level: SOL, name: 'SO_RCVBUF', kind: COUNT },
  sendBuffer: { level: SOL, name: 'SO_SNDBUF', kind: COUNT },
  broadcast: { level: SOL, name: 'SO_BROADCAST', kind: 'boolean' },
  ipv6Only: { level: IPV6, name: 'IPV6_V6ONLY', kind: 'boolean' },
  oobInline: { level: SOL, name: 'SO_OOBINLINE', kind: 'boolean' },
  userTimeout: { level: TCP, name: 'TCP_USER_TIMEOUT', kind: COUNT },
  tos: { level: IP, name: 'IP_TOS', kind: OCTET, ipv6: [IPV6, 'IPV6_TCLASS'] },
  ttl: { level: IP, name: 'IP_TTL', kind: [1, 255], ipv6: [IPV6, 'IPV6_UNICAST_HOPS'] },
  multicastTtl: { level: IP, name: 'IP_MULTICAST_TTL', kind: OCTET, ipv6: [IPV6, 'IPV6_MULTICAST_HOPS'] },
  multicastLoop: { level: IP, name: 'IP_MULTICAST_LOOP', kind: 'boolean', ipv6: [IPV6, 'IPV6_MULTICAST_LOOP'] },
  deferAccept: { level: TCP, name: 'TCP_DEFER_ACCEPT', kind: COUNT },
  fastOpen: { level: TCP, name: 'TCP_FASTOPEN', kind: COUNT },
  quickAck: { level: TCP, name: 'TCP_QUICKACK', kind: 'boolean' },
};

/** Below every value of an option: the core returns an error as `ERROR_BASE - errno`. */
const ERROR_BASE = -(2 ** 31);

function named(option: string): NamedOption {
  const found = (NAMED as Record<string, NamedOption | undefined>)[option];
  if (found === undefined || !Object.hasOwn(NAMED, option))
    throw misuse(
      'ERR_REACTOR_ARGUMENT',
      `unknown socket option ${describe(option)}; the named ones are ${Object.keys(NAMED).join(', ')}, ${Object.keys(SPECIAL).join(', ')}`,
    );
  return found;
}

function special(option: string): SpecialOption | undefined {
  return Object.hasOwn(SPECIAL, option) ? SPECIAL[option as SpecialName] : undefined;
}

function numbers(core: Core, option: NamedOption, ipv6: boolean): [level: number, name: number] {
  const [level, name] = ipv6 && option.ipv6 !== undefined ? option.ipv6 : [option.level, option.name];
  return [core.constants[level] as number, core.constants[name] as number];
}

export function getNamedOption(core: Core, fd: number, ipv6: boolean, option: string): unknown {
  const found = special(option);
  if (found !== undefined) return found.get(core, fd, ipv6);
  const plain = named(option);
  const value = getNumber(core, fd, ...numbers(core, plain, ipv6));
  return plain.kind === 'boolean' ? value !== 0 : value;
}

export function setNamedOption(core: Core, fd: number, ipv6: boolean, option: string, value: unknown): void {
  const found = special(option);
  if (found !== undefined) {
    if (found.set === undefined)
      throw misuse('ERR_REACTOR_ARGUMENT', `option ${option} can only be read, not set to ${describe(value)}`);
    found.set(core, fd, value, ipv6);
    return;
  }
  const plain = named(option);
  if (plain.kind === 'boolean') checkSwitch(value, option);
  else checkWithin(value, option, plain.kind);
  check(core.setOption(fd, ...numbers(core, plain, ipv6), Number(value)));
}

function getNumber(core: Core, fd: number, level: number, name: number): number {
  const value = core.getOption(fd, level, name);
  if (value < ERROR_BASE) throw new SocketError(value - ERROR_BASE, 'getsockopt');
  return value;
}

/** The result of a setsockopt. */
function check(result: number): void {
  if (result < 0) throw new SocketError(result, 'setsockopt');
}

/** What the core makes of a structure: an object, or a negative errno. */
function structure(result: object | number): object {
  if (typeof result === 'number') throw new SocketError(result, 'getsockopt');
  return result;
}

/** TCP_CA_NAME_MAX of Linux, with the NUL. */
const CONGESTION_BYTES = 16;

function getCongestion(core: Core, fd: number): string {
  const bytes = Buffer.alloc(CONGESTION_BYTES);
  const { IPPROTO_TCP, TCP_CONGESTION } = core.constants;
  const count = core.getRawOption(fd, IPPROTO_TCP as number, TCP_CONGESTION as number, bytes);
  if (count < 0) throw new SocketError(count, 'getsockopt');
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end === -1 ? count : end);
}

function setCongestion(core: Core, fd: number, value: unknown): void {
  if (typeof value !== 'string')
    throw misuse('ERR_REACTOR_ARGUMENT', `option congestion takes the name of an algorithm, got ${describe(value)}`);
  if (!/^[\x21-\x7e]{1,15}$/.test(value))
    throw outOfRange('ERR_REACTOR_ARGUMENT', `option congestion takes a name of 1 to 15 characters, got '${value}'`);
  const { IPPROTO_TCP, TCP_CONGESTION } = core.constants;
  check(core.setRawOption(fd, IPPROTO_TCP as number, TCP_CONGESTION as number, Buffer.from(value)));
}

/** `SO_MARK` is unsigned: the core's numbers are not. */
function getMark(core: Core, fd: number): number {
  const { SOL_SOCKET, SO_MARK } = core.constants;
  return getNumber(core, fd, SOL_SOCKET as number, SO_MARK as number) >>> 0;
}

function setMark(core: Core, fd: number, value: unknown): void {
  checkWithin(value, 'mark', [0, 2 ** 32 - 1]);
  const { SOL_SOCKET, SO_MARK } = core.constants;
  check(core.setOption(fd, SOL_SOCKET as number, SO_MARK as number, (value as number) | 0));
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
  check(
    core.setRawOption(
      fd,
      core.constants.SOL_SOCKET as number,
      core.constants.SO_LINGER as number,
      new Uint8Array(Int32Array.of(value === false ? 0 : 1, 0).buffer),
    ),
  );
}
