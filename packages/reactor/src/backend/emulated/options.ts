/** The named options that node:net has. What is set before there is a stream is kept until there is one. */

import type { Family } from '../../address.js';
import { describe, misuse, notSupported, outOfRange, socketError } from '../../errors.js';
import type { SocketOptions } from '../../socket.js';
import type { Stream } from './stream.js';

/** Every name of {@link SocketOptions}; `false`: node:net has no way to it. */
const KNOWN: Record<keyof SocketOptions, boolean> = {
  reuseAddress: true,
  reusePort: true,
  noDelay: true,
  keepAlive: true,
  keepAliveIdle: true,
  keepAliveInterval: false,
  keepAliveCount: false,
  receiveBuffer: false,
  sendBuffer: false,
  broadcast: false,
  ipv6Only: true,
  oobInline: false,
  userTimeout: false,
  tos: false,
  ttl: false,
  multicastTtl: false,
  multicastLoop: false,
  multicastInterface: false,
  linger: true,
  deferAccept: false,
  fastOpen: false,
  quickAck: false,
  congestion: false,
  mark: false,
  tcpInfo: false,
  peerCredentials: false,
};

/** TCP's own, which a unix socket lacks. */
const TCP_ONLY = new Set<string>(['noDelay', 'keepAliveIdle']);

export class OptionStore {
  noDelay = false;
  keepAlive = false;
  /** Seconds; Linux begins with two hours. */
  keepAliveIdle = 7200;
  linger: false | 0 = false;
  ipv6Only = false;
  reusePort = false;

  get(name: keyof SocketOptions, family: Family): boolean | number {
    checkName(name, 'getsockopt', family);
    // libuv sets it on every socket that it binds, and Windows needs it not.
    if (name === 'reuseAddress') return true;
    return this[name as 'noDelay'];
  }

  /** Checks and keeps the value, and sets it where there is a stream. */
  set(name: keyof SocketOptions, value: unknown, family: Family, canReusePort: boolean, stream: Stream | null): void {
    checkName(name, 'setsockopt', family);
    if (name === 'keepAliveIdle') this.keepAliveIdle = checkSeconds(value, name);
    else if (name === 'linger') this.linger = checkLinger(value);
    else if (name === 'reuseAddress') {
      if (!checkBoolean(value, name)) throw notSupported('setsockopt', 'rawOptions', 'emulated');
    } else if (name === 'reusePort') {
      if (checkBoolean(value, name) && !canReusePort) throw notSupported('setsockopt', 'reusePort', 'emulated');
      this.reusePort = value as boolean;
    } else if (name === 'noDelay' || name === 'keepAlive' || name === 'ipv6Only')
      this[name] = checkBoolean(value, name);
    if (stream === null) return;
    if (name === 'noDelay') stream.setNoDelay(this.noDelay);
    else if (name === 'keepAlive' || name === 'keepAliveIdle') this.#setKeepAlive(stream);
  }

  /** What an accepted socket has from its listener, as on Linux. */
  inherit(from: OptionStore, stream: Stream): void {
    this.keepAliveIdle = from.keepAliveIdle;
    this.linger = from.linger;
    if (!from.noDelay && !from.keepAlive) return;
    this.noDelay = from.noDelay;
    this.keepAlive = from.keepAlive;
    this.apply(stream);
  }

  /** Sets what was kept, on a stream that has just connected. */
  apply(stream: Stream): void {
    if (this.noDelay) stream.setNoDelay(true);
    if (this.keepAlive) this.#setKeepAlive(stream);
  }

  #setKeepAlive(stream: Stream): void {
    if (this.keepAlive) stream.setKeepAlive(true, this.keepAliveIdle * 1000);
    else stream.setKeepAlive(false);
  }
}

function checkName(name: unknown, verb: string, family: Family): void {
  if (typeof name !== 'string' || !Object.hasOwn(KNOWN, name))
    throw misuse(
      'ERR_REACTOR_ARGUMENT',
      `there is no option ${describe(name)}; there are ${Object.keys(KNOWN).join(', ')}`,
    );
  if (!KNOWN[name as keyof SocketOptions])
    throw notSupported(verb, name === 'oobInline' ? 'oob' : 'rawOptions', 'emulated');
  if ((family === 'unix' && TCP_ONLY.has(name)) || (family !== 'ipv6' && name === 'ipv6Only'))
    throw socketError('EOPNOTSUPP', verb);
}

function checkBoolean(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean')
    throw misuse('ERR_REACTOR_ARGUMENT', `option ${name} must be true or false, got ${describe(value)}`);
  return value;
}

function checkSeconds(value: unknown, name: string): number {
  if (typeof value !== 'number')
    throw misuse('ERR_REACTOR_ARGUMENT', `option ${name} must be a number of seconds, got ${describe(value)}`);
  if (!Number.isInteger(value) || value < 1 || value > 32767)
    throw outOfRange('ERR_REACTOR_ARGUMENT', `option ${name} must be an integer from 1 to 32767 seconds, got ${value}`);
  return value;
}

function checkLinger(value: unknown): false | 0 {
  if (value === false || value === 0) return value;
  if (typeof value === 'number')
    throw outOfRange(
      'ERR_REACTOR_ARGUMENT',
      `option linger must be false or 0 (a positive time would block the loop), got ${value}`,
    );
  throw misuse('ERR_REACTOR_ARGUMENT', `option linger must be false or 0, got ${describe(value)}`);
}
