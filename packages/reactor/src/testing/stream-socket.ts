/** Stream sockets in memory: who listens, who connects, and how they come to each other. */
import { type Address, type Family, type InetAddress, isUnixAddress } from '../address.js';
import { checkBacklog } from '../arguments.js';
import { socketError } from '../errors.js';
import { READABLE } from '../readiness.js';
import { destination, isWildcard, seenFrom, sourceFor, toEndpoint, unbound } from './addresses.js';
import { Link, type LinkScript } from './link.js';
import type { Owner } from './socket.js';
import { CONNECTED, CONNECTING, FRESH, LISTENING, StreamTransfer } from './stream-transfer.js';
import type { Happening } from './timeline.js';

/** How long a SYN without an answer waits to be sent again at first, and how often that is done (tcp_syn_retries). */
const FIRST_SYN_RETRY_MS = 1000;
const MOST_SYN_RETRIES = 6;

export class StreamSocket extends StreamTransfer {
  /** What the other end of its connection is to experience, of who plays a recording; of a listening socket, each one's. */
  playing: { readonly inbound: LinkScript; readonly outbound: LinkScript } | null = null;
  readonly #queue: StreamSocket[] = [];
  #backlog = 0;
  #retry: Happening | null = null;
  /** What its handshake is numbered as, beside the directions of connections. */
  #handshake = 0;

  constructor(family: Family, owner: Owner) {
    super('stream', family, owner);
    this.readiness = this.evaluate();
  }

  get listening(): boolean {
    return this.phase === LISTENING && !this.closed;
  }

  listen(backlog = 511): void {
    this.enter('listen');
    checkBacklog(backlog);
    if (this.phase !== FRESH && this.phase !== LISTENING) throw socketError('EINVAL', 'listen');
    if (this.phase === FRESH) {
      if (this.local === null) {
        if (this.family === 'unix') throw socketError('EINVAL', 'listen');
        this.network.registry.bind(this, unbound(this.family));
      }
      this.network.registry.checkListen(this);
      this.phase = LISTENING;
    }
    this.#backlog = backlog;
    this.refresh();
  }

  accept(): StreamSocket | null {
    this.enter('accept');
    if (this.phase !== LISTENING) throw socketError('EINVAL', 'accept');
    if (this.#queue.length === 0 || this.refuses) return null;
    this.network.takeDescriptor('accept');
    const accepted = this.#queue.shift() as StreamSocket;
    this.host.traffic.accepts += 1;
    this.network.note('accept', this.id, accepted.id);
    this.refresh();
    return accepted;
  }

  connect(address: Address): 'connected' | 'connecting' {
    this.enter('connect');
    const to = toEndpoint(address, this.family, 'connect');
    if (this.phase === CONNECTING) throw socketError('EALREADY', 'connect', to);
    if (this.phase !== FRESH) throw socketError('EISCONN', 'connect', to);
    this.pending = this.remembered = null;
    this.refused = false;
    this.network.note('connect', this.id, 0);
    if (isUnixAddress(to)) {
      this.#connectUnix(to.path, to);
      return 'connected';
    }
    const host = destination(to.host);
    if (this.family === 'ipv6' && !host.includes(':') && this.options.is('ipv6Only'))
      throw socketError('ENETUNREACH', 'connect', to);
    this.#nameItself(host);
    this.remote = to;
    this.phase = CONNECTING;
    this.#handshake = this.network.number('link');
    this.#attempt({ host, port: to.port }, 0);
    this.refresh();
    return 'connecting';
  }

  /** An address for who has none, and for who is bound to any interface: that of the way to `host`. */
  #nameItself(host: string): void {
    const local = this.local as InetAddress | null;
    if (local !== null && !isWildcard(local.host)) return;
    const source = seenFrom(this.family, { host: sourceFor(host), port: 0 }) as InetAddress;
    if (local !== null) {
      // Where it is registered stays; what it tells is the address in use.
      this.local = { host: source.host, port: local.port };
      return;
    }
    this.local = { host: source.host, port: this.network.registry.ephemeral(this) };
  }

  #connectUnix(path: string, to: Address): void {
    const listener = this.network.registry.named(path);
    if (listener === undefined) throw socketError(path.startsWith('\0') ? 'ECONNREFUSED' : 'ENOENT', 'connect', to);
    if (!(listener instanceof StreamSocket)) throw socketError('EPROTOTYPE', 'connect', to);
    if (!listener.listening) throw socketError('ECONNREFUSED', 'connect', to);
    // No readiness tells when there is room: connect(2), EAGAIN.
    if (listener.#isFull) throw socketError('EAGAIN', 'connect', to);
    this.remote = to;
    listener.#queueUp(this);
    this.phase = CONNECTED;
    this.refresh();
  }

  /** A SYN. Where the queue of the listener is full it is lost, and sent again later. */
  #attempt(to: InetAddress, retries: number): void {
    const { network } = this;
    this.#retry = null;
    this.#after(retries, () => {
      if (this.phase !== CONNECTING || this.closed) return;
      const from = (this.local as InetAddress).port;
      const listener = network.registry.find('stream', to, from, (socket) => socket.listening) as
        | StreamSocket
        | undefined;
      const local = this.local as InetAddress;
      if (listener === undefined && local.port === to.port && destination(local.host) === to.host) {
        // Both SYNs cross: RFC 9293, 3.5, simultaneous open.
        this.#join(this);
        this.#connected();
        return;
      }
      if (listener === undefined) {
        this.#after(retries + 1, () => this.#fail('ECONNREFUSED'));
        return;
      }
      if (listener.#isFull) {
        const again = network.now() + FIRST_SYN_RETRY_MS * 2 ** retries;
        const act = retries < MOST_SYN_RETRIES ? () => this.#attempt(to, retries + 1) : () => this.#fail('ETIMEDOUT');
        this.#retry = network.timeline.at(again, act, true);
        return;
      }
      listener.#queueUp(this);
      // What the server sends comes behind its answer to the SYN.
      const answered = this.#after(retries + 1, () => this.#connected());
      this.inbound?.notBefore(answered);
    });
  }

  /** After one latency, or at once where there is none. Returns when that is. */
  #after(at: number, act: () => void): number {
    const latency = this.network.latency(this.#handshake, at);
    const time = this.network.now() + latency;
    if (latency === 0) act();
    else this.network.timeline.at(time, act);
    return time;
  }

  get #isFull(): boolean {
    // One more than the backlog: sk_acceptq_is_full of Linux.
    return this.#queue.length > this.#backlog;
  }

  /** Takes a connection of `client` into the queue. */
  #queueUp(client: StreamSocket): void {
    const accepted = new StreamSocket(this.family, this.owner);
    accepted.options.inherit(this.options);
    accepted.local = this.#addressFor(client);
    accepted.remote = client.local === null ? { path: '' } : seenFrom(this.family, client.local);
    accepted.playing = this.playing;
    accepted.#join(client);
    accepted.phase = CONNECTED;
    accepted.refresh();
    this.#queue.push(accepted);
    this.refresh();
  }

  /** Where a client has reached this listening socket. */
  #addressFor(client: StreamSocket): Address {
    const { local } = this;
    const { remote } = client;
    if (local === null || remote === undefined || isUnixAddress(local) || isUnixAddress(remote))
      return local ?? { path: '' };
    return isWildcard(local.host) ? seenFrom(this.family, { host: destination(remote.host), port: local.port }) : local;
  }

  #join(other: StreamSocket): void {
    const isLocal = this.family === 'unix';
    this.peer = other;
    other.peer = this;
    if (other === this) {
      this.outbound = this.inbound = new Link(this.network, this, this, isLocal);
      return;
    }
    this.outbound = other.inbound = new Link(this.network, this, other, isLocal);
    this.inbound = other.outbound = new Link(this.network, other, this, isLocal);
    this.#play();
    other.#play();
  }

  #play(): void {
    if (this.playing === null) return;
    (this.outbound as Link).script = this.playing.inbound;
    (this.inbound as Link).script = this.playing.outbound;
  }

  /** Two sockets that are connected with each other. */
  static pair(owner: Owner): [StreamSocket, StreamSocket] {
    const pair: [StreamSocket, StreamSocket] = [new StreamSocket('unix', owner), new StreamSocket('unix', owner)];
    pair[0].#join(pair[1]);
    for (const socket of pair) {
      socket.phase = CONNECTED;
      socket.remote = { path: '' };
      socket.refresh();
    }
    return pair;
  }

  #connected(): void {
    if (this.phase !== CONNECTING || this.closed) return;
    this.phase = CONNECTED;
    this.network.note('connected', this.id, 0);
    this.refresh();
  }

  #fail(code: string): void {
    if (this.phase !== CONNECTING || this.closed) return;
    this.#retry?.cancel();
    this.pending = socketError(code, 'connect', this.remote);
    this.phase = FRESH;
    this.refused = true;
    this.network.note('refused', this.id, 0);
    this.refresh();
  }

  finishConnect(): boolean {
    this.enter('connect');
    if (this.phase === CONNECTING) return false;
    if (this.pending !== null && this.phase !== CONNECTED) {
      const error = this.takePending();
      this.host.closing(this);
      throw socketError(error.code, 'connect', this.remote);
    }
    if (this.phase === CONNECTED) return true;
    throw socketError('ENOTCONN', 'connect');
  }

  protected override leave(): boolean {
    if (!super.leave()) return false;
    this.#retry?.cancel();
    for (const waiting of this.#queue.splice(0)) waiting.reset();
    return true;
  }

  protected override evaluate(): number {
    if (this.phase !== LISTENING) return super.evaluate();
    return this.#queue.length > 0 ? READABLE : 0;
  }
}
