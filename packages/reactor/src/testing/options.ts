/** The named options: every one is checked and kept; those that mean something in memory are looked at by the sockets. */
import type { Family } from '../address.js';
import { describe, misuse, notSupported, outOfRange, socketError } from '../errors.js';
import type { SocketOptions, SocketType } from '../socket.js';

type Value = boolean | number | string;
/** What a switch takes, a name, or the least and the most of a number. */
type Kind = 'boolean' | 'name' | readonly [least: number, most: number];

interface Known {
  readonly initial: Value;
  readonly kind: Kind;
  /** Only on streams over IP, on sockets over IP, or on IPv6. */
  readonly on?: 'tcp' | 'ip' | 'ipv6';
}

const COUNT: Kind = [0, 2 ** 31 - 1];
const OCTET: Kind = [0, 255];
const SECONDS: Kind = [1, 32767];

/** What the buffers hold, in bytes, when nothing else was said: the second of Linux's tcp_rmem, and the one before tcp_wmem grew. */
const RECEIVE_BYTES = 131_072;
const SEND_BYTES = 87_380;

/** All but `linger`, which is of its own kind. `null`: only the system could tell. */
const KNOWN: Readonly<Record<Exclude<keyof SocketOptions, 'linger'>, Known | null>> = {
  reuseAddress: { initial: false, kind: 'boolean' },
  reusePort: { initial: false, kind: 'boolean' },
  noDelay: { initial: false, kind: 'boolean', on: 'tcp' },
  keepAlive: { initial: false, kind: 'boolean' },
  keepAliveIdle: { initial: 7200, kind: SECONDS, on: 'tcp' },
  keepAliveInterval: { initial: 75, kind: SECONDS, on: 'tcp' },
  keepAliveCount: { initial: 9, kind: [1, 127], on: 'tcp' },
  receiveBuffer: { initial: RECEIVE_BYTES, kind: COUNT },
  sendBuffer: { initial: SEND_BYTES, kind: COUNT },
  broadcast: { initial: false, kind: 'boolean' },
  ipv6Only: { initial: false, kind: 'boolean', on: 'ipv6' },
  oobInline: { initial: false, kind: 'boolean' },
  userTimeout: { initial: 0, kind: COUNT, on: 'tcp' },
  tos: { initial: 0, kind: OCTET, on: 'ip' },
  ttl: { initial: 64, kind: [1, 255], on: 'ip' },
  multicastTtl: { initial: 1, kind: OCTET, on: 'ip' },
  multicastLoop: { initial: true, kind: 'boolean', on: 'ip' },
  multicastInterface: { initial: '', kind: 'name', on: 'ip' },
  deferAccept: { initial: 0, kind: COUNT, on: 'tcp' },
  fastOpen: { initial: 0, kind: COUNT, on: 'tcp' },
  quickAck: { initial: true, kind: 'boolean', on: 'tcp' },
  congestion: { initial: 'cubic', kind: 'name', on: 'tcp' },
  mark: { initial: 0, kind: [0, 2 ** 32 - 1] },
  tcpInfo: null,
  peerCredentials: null,
};

/** The least that a buffer holds, whatever was set: SOCK_MIN_RCVBUF of Linux. */
const LEAST_BUFFER_BYTES = 2048;

export class OptionStore {
  linger: false | 0 = false;
  // Looked at with every byte.
  receiveBuffer = RECEIVE_BYTES;
  sendBuffer = SEND_BYTES;
  oobInline = false;
  readonly #type: SocketType;
  readonly #family: Family;
  readonly #values: Partial<Record<string, Value>> = {};

  constructor(type: SocketType, family: Family) {
    this.#type = type;
    this.#family = family;
  }

  get(name: unknown): unknown {
    if (name === 'linger') return this.linger;
    const known = this.#known(name, 'getsockopt');
    return this.#values[name as string] ?? known.initial;
  }

  set(name: unknown, value: unknown): void {
    if (name === 'linger') {
      if (value !== false && value !== 0)
        throw outOfRange(
          'ERR_REACTOR_ARGUMENT',
          `linger takes false or 0, got ${describe(value)}: a positive time would block the loop in close`,
        );
      this.linger = value;
      return;
    }
    const { kind } = this.#known(name, 'setsockopt', value);
    check(name as string, value, kind);
    this.#values[name as string] = value as Value;
    this.#settle();
  }

  #settle(): void {
    const { receiveBuffer, sendBuffer, oobInline } = this.#values;
    this.receiveBuffer = Math.max(LEAST_BUFFER_BYTES, (receiveBuffer as number | undefined) ?? RECEIVE_BYTES);
    this.sendBuffer = Math.max(LEAST_BUFFER_BYTES, (sendBuffer as number | undefined) ?? SEND_BYTES);
    this.oobInline = oobInline === true;
  }

  /** Whether a switch is on. */
  is(name: 'reuseAddress' | 'reusePort' | 'broadcast' | 'ipv6Only' | 'multicastLoop'): boolean {
    return (this.#values[name] ?? KNOWN[name]?.initial) === true;
  }

  /** Ms; 0 for the system's own. */
  get userTimeout(): number {
    return (this.#values.userTimeout as number | undefined) ?? 0;
  }

  /** What an accepted socket has from its listener, as on Linux. */
  inherit(from: OptionStore): void {
    Object.assign(this.#values, from.#values);
    this.linger = from.linger;
    this.#settle();
  }

  #known(name: unknown, verb: string, value?: unknown): Known {
    if (typeof name !== 'string' || !Object.hasOwn(KNOWN, name))
      throw misuse(
        'ERR_REACTOR_ARGUMENT',
        `there is no option ${describe(name)}; there are ${Object.keys(KNOWN).join(', ')}, linger`,
      );
    const known = KNOWN[name as keyof typeof KNOWN];
    if (known === null) {
      if (verb === 'setsockopt')
        throw misuse('ERR_REACTOR_ARGUMENT', `option ${name} can only be read, not set to ${describe(value)}`);
      throw notSupported(verb, 'rawOptions', 'simulated');
    }
    const isUnix = this.#family === 'unix';
    const has =
      known.on === undefined ||
      (known.on === 'tcp' && !isUnix && this.#type === 'stream') ||
      (known.on === 'ip' && !isUnix) ||
      (known.on === 'ipv6' && this.#family === 'ipv6');
    if (!has) throw socketError(isUnix ? 'EOPNOTSUPP' : 'ENOPROTOOPT', verb);
    return known;
  }
}

function check(name: string, value: unknown, kind: Kind): void {
  if (kind === 'boolean' || kind === 'name') {
    const wanted = kind === 'boolean' ? 'boolean' : 'string';
    if (typeof value !== wanted)
      throw misuse('ERR_REACTOR_ARGUMENT', `option ${name} takes a ${wanted}, got ${describe(value)}`);
    return;
  }
  if (typeof value !== 'number')
    throw misuse('ERR_REACTOR_ARGUMENT', `option ${name} takes a number, got ${describe(value)}`);
  const [least, most] = kind;
  if (!(Number.isInteger(value) && value >= least && value <= most))
    throw outOfRange('ERR_REACTOR_ARGUMENT', `option ${name} takes an integer from ${least} to ${most}, got ${value}`);
}
