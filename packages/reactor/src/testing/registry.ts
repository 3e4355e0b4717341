/** Who has which port, path or abstract name. */
import { type Address, type InetAddress, isUnixAddress } from '../address.js';
import { socketError } from '../errors.js';
import { destination, isWildcard } from './addresses.js';
import type { SimulatedSocket } from './socket.js';

/** The ephemeral ports of Linux: ip_local_port_range. */
const FIRST_EPHEMERAL = 32768;
const LAST_EPHEMERAL = 60999;

export class Registry {
  /** Sockets that were bound, by their port, in the order of their binding. */
  readonly #ports = { stream: new Map<number, SimulatedSocket[]>(), datagram: new Map<number, SimulatedSocket[]>() };
  readonly #names = new Map<string, SimulatedSocket>();
  #ephemeral = FIRST_EPHEMERAL - 1;
  #autobound = 0;

  /** Gives `socket` the address; port 0 is one that is free. Throws `EADDRINUSE`. */
  bind(socket: SimulatedSocket, address: Address): void {
    if (isUnixAddress(address)) {
      if (this.#names.has(address.path)) throw socketError('EADDRINUSE', 'bind', address);
      this.#names.set(address.path, socket);
      socket.local = address;
      return;
    }
    const local = address.port === 0 ? { host: address.host, port: this.ephemeral(socket) } : address;
    const bound = this.#at(socket, local.port);
    if (bound.some((other) => conflicts(other, socket, local.host))) throw socketError('EADDRINUSE', 'bind', address);
    this.#table(socket).set(local.port, [...bound, socket]);
    socket.local = local;
  }

  /** An abstract name of the network's choice: unix(7), autobind. */
  autobind(socket: SimulatedSocket): void {
    this.#autobound += 1;
    this.bind(socket, { path: `\0${this.#autobound.toString(16).padStart(5, '0')}` });
  }

  /** A port that nobody has. Throws `EADDRINUSE` when there is none. */
  ephemeral(socket: SimulatedSocket): number {
    for (let tried = FIRST_EPHEMERAL; tried <= LAST_EPHEMERAL; tried += 1) {
      this.#ephemeral = this.#ephemeral === LAST_EPHEMERAL ? FIRST_EPHEMERAL : this.#ephemeral + 1;
      if (this.#at(socket, this.#ephemeral).length === 0) return this.#ephemeral;
    }
    throw socketError('EADDRINUSE', 'bind');
  }

  /** Before `socket` listens: of those that share its address by `reuseAddress` only one may. */
  checkListen(socket: SimulatedSocket): void {
    const { local } = socket;
    if (local === null || isUnixAddress(local)) return;
    const others = this.#at(socket, local.port).filter((other) => other !== socket && other.listening);
    const shares = (other: SimulatedSocket) => other.options.is('reusePort') && socket.options.is('reusePort');
    if (others.some((other) => overlaps(other, socket, local.host) && !shares(other)))
      throw socketError('EADDRINUSE', 'listen', local);
  }

  release(socket: SimulatedSocket): void {
    const { local } = socket;
    if (local === null) return;
    if (isUnixAddress(local)) {
      if (this.#names.get(local.path) === socket) this.#names.delete(local.path);
      return;
    }
    const left = this.#at(socket, local.port).filter((other) => other !== socket);
    if (left.length === 0) this.#table(socket).delete(local.port);
    else this.#table(socket).set(local.port, left);
  }

  named(path: string): SimulatedSocket | undefined {
    return this.#names.get(path);
  }

  /**
   * Who receives what is sent to `to`: of those that `may`, who is bound to that very address before who is bound to any.
   * Several are chosen among by the sender, always alike.
   */
  find(type: 'stream' | 'datagram', to: InetAddress, from: number, may: (socket: SimulatedSocket) => boolean) {
    const host = destination(to.host);
    const reached = (this.#ports[type].get(to.port) ?? []).filter((socket) => may(socket) && isReached(socket, host));
    const exact = reached.filter((socket) => !isWildcard((socket.local as InetAddress).host));
    const candidates = exact.length > 0 ? exact : reached;
    // Of datagram sockets that share an address by `reuseAddress`, Linux takes the last.
    const shared = candidates.filter((socket) => socket.options.is('reusePort'));
    return shared.length > 1 ? shared[from % shared.length] : candidates.at(-1);
  }

  /** Everybody at a port: for broadcasts and multicasts. */
  all(port: number): readonly SimulatedSocket[] {
    return this.#ports.datagram.get(port) ?? [];
  }

  #table(socket: SimulatedSocket): Map<number, SimulatedSocket[]> {
    return this.#ports[socket.type === 'datagram' ? 'datagram' : 'stream'];
  }

  #at(socket: SimulatedSocket, port: number): SimulatedSocket[] {
    return this.#table(socket).get(port) ?? [];
  }
}

function isReached(socket: SimulatedSocket, host: string): boolean {
  const local = (socket.local as InetAddress).host;
  const isIpv6 = host.includes(':');
  if (local === '::') return isIpv6 || !socket.options.is('ipv6Only');
  return local === '0.0.0.0' ? !isIpv6 : destination(local) === host;
}

/** Whether both would receive something that is sent to one address. */
function overlaps(other: SimulatedSocket, socket: SimulatedSocket, host: string): boolean {
  const theirs = (other.local as InetAddress).host;
  return theirs === host || covers(other, theirs, host) || covers(socket, host, theirs);
}

/** Whether `local`, which `socket` has, means every interface, that of `host` included. */
function covers(socket: SimulatedSocket, local: string, host: string): boolean {
  if (local === '::') return host.includes(':') || !socket.options.is('ipv6Only');
  return local === '0.0.0.0' && !host.includes(':');
}

function conflicts(other: SimulatedSocket, socket: SimulatedSocket, host: string): boolean {
  if (!overlaps(other, socket, host)) return false;
  if (other.options.is('reusePort') && socket.options.is('reusePort')) return false;
  return !(other.options.is('reuseAddress') && socket.options.is('reuseAddress') && !other.listening);
}
