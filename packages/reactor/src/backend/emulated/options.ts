/** The named options that node:net has. What is set before there is a stream is kept until there is one. */
import type { Family } from '../../address.js';
import { checkSwitch, checkWithin } from '../../arguments.js';
import { describe, misuse, notSupported, outOfRange, socketError } from '../../errors.js';
import type { SocketOptions } from '../../socket.js';
import { emulatedCapabilities, features } from './capabilities.js';
import type { Stream } from './stream.js';

const STREAM = 1;
const DATAGRAM = 2;

/** Every name of {@link SocketOptions}, with the sockets of Node that have a way to it. */
const HAVING: Record<keyof SocketOptions, number> = {
  reuseAddress: STREAM | DATAGRAM,
  reusePort: STREAM | DATAGRAM,
  noDelay: STREAM,
  keepAlive: STREAM,
  keepAliveIdle: STREAM,
  keepAliveInterval: features.keepAliveProbes ? STREAM : 0,
  keepAliveCount: features.keepAliveProbes ? STREAM : 0,
  receiveBuffer: DATAGRAM,
  sendBuffer: DATAGRAM,
  broadcast: DATAGRAM,
  ipv6Only: STREAM | DATAGRAM,
  oobInline: 0,
  userTimeout: 0,
  tos: features.typeOfService ? STREAM : 0,
  ttl: DATAGRAM,
  multicastTtl: DATAGRAM,
  multicastLoop: DATAGRAM,
  multicastInterface: DATAGRAM,
  linger: STREAM | DATAGRAM,
  deferAccept: 0,
  fastOpen: 0,
  quickAck: 0,
  congestion: 0,
  mark: 0,
  tcpInfo: 0,
  peerCredentials: 0,
};

/** TCP's own, which other sockets lack. */
const TCP_ONLY = new Set<string>(['noDelay', 'keepAliveIdle', 'keepAliveInterval', 'keepAliveCount']);
/** The Internet's, which a unix socket lacks. */
const INTERNET_ONLY = new Set<string>([...TCP_ONLY, 'tos']);

const SECONDS = [1, 32767] as const;
const PROBES = [1, 127] as const;
const OCTET = [0, 255] as const;

export class OptionStore {
  noDelay = false;
  keepAlive = false;
  linger: false | 0 = false;
  ipv6Only = false;
  reusePort = false;
  /** The numbers, where they are not as at the beginning: most sockets have no object for them. */
  #numbers: Readonly<Numbers> = UNSET;

  get(name: keyof SocketOptions, family: Family): boolean | number {
    checkName(name, 'getsockopt', STREAM, family);
    // libuv sets it on every socket that it binds, and Windows needs it not.
    if (name === 'reuseAddress') return true;
    if (Object.hasOwn(UNSET, name)) return this.#numbers[name as keyof Numbers];
    return this[name as 'noDelay'];
  }

  /** Checks and keeps the value, and sets it where there is a stream. */
  set(name: keyof SocketOptions, value: unknown, family: Family, stream: Stream | null): void {
    checkName(name, 'setsockopt', STREAM, family);
    if (name === 'linger') this.linger = checkLinger(value);
    else if (name === 'reuseAddress') {
      if (!checkSwitch(value, name)) throw notSupported('setsockopt', 'rawOptions', 'emulated');
    } else if (name === 'reusePort') this.reusePort = checkReusePort(value);
    else if (name === 'noDelay' || name === 'keepAlive' || name === 'ipv6Only') this[name] = checkSwitch(value, name);
    else this.#numbers = { ...this.#numbers, [name]: checkWithin(value, name, RANGES[name as keyof Numbers]) };
    if (stream === null) return;
    if (name === 'noDelay') stream.setNoDelay(this.noDelay);
    else if (name === 'tos') this.#setTypeOfService(stream);
    else if (name.startsWith('keepAlive')) this.#setKeepAlive(stream);
  }

  /** What an accepted socket has from its listener, as on Linux. */
  inherit(from: OptionStore, stream: Stream): void {
    this.linger = from.linger;
    this.#numbers = from.#numbers;
    this.noDelay = from.noDelay;
    this.keepAlive = from.keepAlive;
    this.apply(stream);
  }

  /** Sets what was kept, on a stream that has just connected. */
  apply(stream: Stream): void {
    if (this.noDelay) stream.setNoDelay(true);
    if (this.keepAlive) this.#setKeepAlive(stream);
    if (this.#numbers.tos !== 0) this.#setTypeOfService(stream);
  }

  #setKeepAlive(stream: Stream): void {
    if (!this.keepAlive) {
      stream.setKeepAlive(false);
      return;
    }
    const { keepAliveIdle, keepAliveInterval, keepAliveCount } = this.#numbers;
    // Of its own libuv would probe once a second: the others are told as well where Node passes them on.
    if (features.keepAliveProbes)
      (stream.setKeepAlive as (...values: unknown[]) => void)(
        true,
        keepAliveIdle * 1000,
        keepAliveInterval * 1000,
        keepAliveCount,
      );
    else stream.setKeepAlive(true, keepAliveIdle * 1000);
  }

  #setTypeOfService(stream: Stream): void {
    (stream as unknown as { setTypeOfService(tos: number): void }).setTypeOfService(this.#numbers.tos);
  }
}

type Numbers = Pick<SocketOptions, 'keepAliveIdle' | 'keepAliveInterval' | 'keepAliveCount' | 'tos'>;

/** As Linux begins. */
const UNSET: Readonly<Numbers> = Object.freeze({
  keepAliveIdle: 7200,
  keepAliveInterval: 75,
  keepAliveCount: 9,
  tos: 0,
});

const RANGES: { readonly [K in keyof Numbers]: readonly [number, number] } = {
  keepAliveIdle: SECONDS,
  keepAliveInterval: SECONDS,
  keepAliveCount: PROBES,
  tos: OCTET,
};

/** Throws where there is no such option, or none on such a socket. */
export function checkDatagramOption(name: unknown, verb: string, family: Family): void {
  checkName(name, verb, DATAGRAM, family);
}

function checkName(name: unknown, verb: string, carrier: number, family: Family): void {
  if (typeof name !== 'string' || !Object.hasOwn(HAVING, name))
    throw misuse(
      'ERR_REACTOR_ARGUMENT',
      `there is no option ${describe(name)}; there are ${Object.keys(HAVING).join(', ')}`,
    );
  const having = HAVING[name as keyof SocketOptions];
  if (
    having !== 0 &&
    ((family === 'unix' && INTERNET_ONLY.has(name)) ||
      (family !== 'ipv6' && name === 'ipv6Only') ||
      (carrier === DATAGRAM && TCP_ONLY.has(name)))
  )
    throw socketError('EOPNOTSUPP', verb);
  if ((having & carrier) === 0) throw notSupported(verb, name === 'oobInline' ? 'oob' : 'rawOptions', 'emulated');
}

export function checkReusePort(value: unknown): boolean {
  if (checkSwitch(value, 'reusePort') && !emulatedCapabilities.reusePort)
    throw notSupported('setsockopt', 'reusePort', 'emulated');
  return value as boolean;
}

export function checkLinger(value: unknown): false | 0 {
  if (value === false || value === 0) return value;
  if (typeof value === 'number')
    throw outOfRange(
      'ERR_REACTOR_ARGUMENT',
      `option linger must be false or 0 (a positive time would block the loop), got ${value}`,
    );
  throw misuse('ERR_REACTOR_ARGUMENT', `option linger must be false or 0, got ${describe(value)}`);
}
