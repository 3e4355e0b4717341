/** The backend of every platform where Node runs: sockets of node:net and node:dgram, with the BSD verbs' meaning. */
import { misuse, notSupported, socketError } from '../../errors.js';
import type { Backend, BackendHost, BackendSocket, SocketSpec } from '../backend.js';
import { emulatedCapabilities } from './capabilities.js';
import { EmulatedDatagramSocket } from './datagram-socket.js';
import { EmulatedDemultiplexer } from './demultiplexer.js';
import { EmulatedDriver } from './driver.js';
import { EmulatedSocket } from './socket.js';

const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;

/**
 * Sockets of node:net (TCP over IPv4 and IPv6, unix streams) and of node:dgram (UDP), with select's three sets made of
 * their events. Readiness is synthetic: Node reads ahead, up to some 192 KiB a stream, and `recv` gives what it has read.
 * Beyond the contract of {@link Backend} this backend promises of streams:
 *
 *  - `send` copies what it takes: at most the high-water mark (64 KiB) less what Node has queued. It would-blocks while
 *    connecting. A socket whose queue was full is writable again when the queue is empty.
 *  - `recv` gives at most what is buffered. On an error what was buffered is delivered first, then the error is thrown
 *    once, and then the end (0) is told.
 *  - While 64 KiB are unread nothing more is read: behind them the FIN and the reset of the peer are invisible.
 *  - `close` lets queued bytes go out, and the FIN after them, as BSD's close does; they hold the process meanwhile, for
 *    60 s at most without progress. What was unread may make it a reset (where the system had it) or not (where Node had).
 *  - `reset`, and `close` with the option `linger` 0, are `resetAndDestroy`. A unix socket has no reset: it is closed.
 *  - `bind` only keeps the address and `listen` only starts. A failure makes the socket READABLE and ERROR, and the next
 *    verb throws it once (or `takeError` returns it); the socket is fresh then. The port that the system has chosen
 *    stands in `localAddress` as soon as it listens.
 *  - `connect` always answers `'connecting'`. After a connect that failed, another may be begun.
 *  - Connections are accepted by Node, one a turn of its loop, and wait in a queue of at most `backlog`; surplus ones are
 *    reset. Those that wait when the listening socket is closed are reset.
 *  - Options set early are kept until they can be applied. `reuseAddress` is always on. Those that node:net lacks throw
 *    `ENOTSUP`.
 *  - `shutdown('read')`: what was read before can still be received, what comes after it is thrown away.
 *  - `MSG_PEEK` looks at what is buffered; `MSG_MORE` is accepted and changes nothing.
 *  - A listening unix socket removes its path when it is closed, as node:net does.
 *
 * Of datagram sockets:
 *
 *  - Under Node `bind` and `connect` have happened when they return, and `connect` answers `'connected'`; other runtimes
 *    take a tick, and meanwhile a send would block. A bind that fails is told as that of a stream is: by the next verb.
 *    A socket that sends or connects without being bound is bound first. `settled` waits.
 *  - Node receives whether anybody asks or not, and cannot be paused. A socket keeps 4096 datagrams of 4 MiB together at
 *    most; what comes beyond is dropped, and counted in `datagramsDropped` of the metrics.
 *  - What the system refuses to send (`EACCES`, `ENETUNREACH`, `ECONNREFUSED` of the datagram before) Node tells in the
 *    next tick: the socket is then READABLE and ERROR, and the next verb throws it once, or `takeError` returns it. What
 *    is wrong by itself (`EMSGSIZE`, `EDESTADDRREQ`) is thrown at once. At most 1024 datagrams are sent in one tick.
 *  - `sendTo` of a connected socket to another than its peer is `EISCONN`, as on the BSDs.
 *  - Options and groups set before it is bound are kept until then; a refusal is told by the next verb. `reuseAddress`,
 *    `reusePort` and `ipv6Only` cannot be changed afterwards (`EINVAL`). Those that Node cannot be asked for are read as
 *    they were set, or as the system begins.
 *  - An interface is known by its index only where it has a link-local address.
 *
 * Of both:
 *
 *  - An open socket, watched or not, does not keep the process alive: `hold` does. Except while a connect is undecided or
 *    sent bytes are queued: libuv waits for those.
 */
export class EmulatedBackend implements Backend {
  readonly name = 'emulated';
  readonly reason: string;
  readonly capabilities = emulatedCapabilities;
  readonly driver = new EmulatedDriver();
  readonly demultiplexer = new EmulatedDemultiplexer(this.driver.wake);
  #host: BackendHost | null = null;

  /** `reason`: why this backend runs, for people. */
  constructor(reason: string) {
    this.reason = reason;
  }

  attach(host: BackendHost): void {
    if (this.#host !== null)
      throw misuse('ERR_REACTOR_BACKEND', 'this emulated backend serves a reactor already: a backend serves one');
    this.#host = host;
    this.driver.start(host, this.demultiplexer);
  }

  socket(spec: SocketSpec): BackendSocket {
    if (this.#host === null) throw misuse('ERR_REACTOR_BACKEND', 'socket() was called before attach()');
    const { type, family, protocol } = spec;
    if (type === 'datagram' && (family === 'ipv4' || family === 'ipv6')) {
      if (protocol !== 0 && protocol !== IPPROTO_UDP) throw socketError('EPROTONOSUPPORT', 'socket');
      return new EmulatedDatagramSocket(family, this.#host, this.demultiplexer);
    }
    if (type !== 'stream') throw notSupported('socket', type === 'datagram' ? 'unixDatagram' : type, this.name);
    if (family === 'pipe') throw notSupported('socket', 'pipe', this.name);
    if (protocol !== 0 && (protocol !== IPPROTO_TCP || family === 'unix'))
      throw socketError('EPROTONOSUPPORT', 'socket');
    return new EmulatedSocket(family, this.#host, this.demultiplexer);
  }

  adopt(_fd: number): never {
    throw notSupported('adopt', 'adopt', this.name);
  }

  socketPair(_spec: SocketSpec): never {
    throw notSupported('socketpair', 'socketPair', this.name);
  }

  [Symbol.dispose](): void {
    this.driver.stop();
    this.demultiplexer.clear();
  }
}
