/** The BSD verbs, the same on every backend: this file holds the shapes and no code. */
import type { Address, Family } from './address.js';
import type { SocketError } from './errors.js';

export type SocketType = 'stream' | 'datagram' | 'seqpacket' | 'raw' | 'pipe';

/** The named options; every other one goes through {@link Socket.getRawOption}. `tcpInfo` and `peerCredentials` are read-only. */
export interface SocketOptions {
  /** `SO_REUSEADDR` */
  reuseAddress: boolean;
  /** `SO_REUSEPORT`, where the platform balances it (capability `reusePort`). */
  reusePort: boolean;
  /** `TCP_NODELAY` */
  noDelay: boolean;
  /** `SO_KEEPALIVE` */
  keepAlive: boolean;
  /** `TCP_KEEPIDLE`, seconds before the first probe. */
  keepAliveIdle: number;
  /** `TCP_KEEPINTVL`, seconds between probes. */
  keepAliveInterval: number;
  /** `TCP_KEEPCNT` */
  keepAliveCount: number;
  /** `SO_RCVBUF`, bytes. Linux doubles what is set, for its bookkeeping: what is read back is the double. */
  receiveBuffer: number;
  /** `SO_SNDBUF`, bytes; doubled as `receiveBuffer`. */
  sendBuffer: number;
  /** `SO_BROADCAST` */
  broadcast: boolean;
  /** `IPV6_V6ONLY` */
  ipv6Only: boolean;
  /** `SO_OOBINLINE` */
  oobInline: boolean;
  /** `TCP_USER_TIMEOUT`, milliseconds that sent data may stay unacknowledged. */
  userTimeout: number;
  /** `IP_TOS`, or `IPV6_TCLASS` */
  tos: number;
  /** `IP_TTL`, or `IPV6_UNICAST_HOPS` */
  ttl: number;
  /** `SO_LINGER`: `false`, or 0 for an abortive close. A positive time would block the loop: only as a raw option. */
  linger: false | 0;
  /** `TCP_DEFER_ACCEPT`, seconds. */
  deferAccept: number;
  /** `TCP_QUICKACK` */
  quickAck: boolean;
}

/**
 * A socket. Its verbs never block: where nothing can be done they return {@link WOULD_BLOCK} or `null`. Misuse throws
 * a `TypeError` or `RangeError` with a code; a failed system call throws a {@link SocketError}; a verb on a closed
 * socket throws `EBADF`.
 */
export interface Socket {
  readonly type: SocketType;
  readonly family: Family;
  readonly closed: boolean;
  /** `getsockname(2)`; `undefined` once closed or where there is none. */
  readonly localAddress: Address | undefined;
  /** `getpeername(2)`. Of an accepted socket: what `accept` returned, also when the peer has gone since. */
  readonly remoteAddress: Address | undefined;

  /** The descriptor's number: -1 once closed, or where the backend has none. */
  fileno(): number;

  /**
   * Binds to a local address; port 0 lets the system choose. With capability `syncBind` it is finished on return, and
   * errors (`EADDRINUSE`, `EACCES`) are thrown here; otherwise a failure makes the socket `READABLE|ERROR`, and the
   * next verb throws it once.
   */
  bind(address: Address): void;

  /**
   * Starts to listen, with at most `backlog` (511) connections waiting; the system may clamp it
   * (`net.core.somaxconn`). Finished on return as `bind` is.
   */
  listen(backlog?: number): void;

  /** The next waiting connection, or `null` where there is none. A listening socket is readable while there is one. */
  accept(): Socket | null;

  /**
   * Begins to connect. `'connecting'`: the outcome comes as WRITABLE (or ERROR) and is fetched by `finishConnect`.
   */
  connect(address: Address): 'connected' | 'connecting';

  /**
   * The outcome of a connect: `true` = connected, `false` = still connecting; throws the connect's error once, after
   * which the socket is unregistered.
   */
  finishConnect(): boolean;

  /**
   * Receives into `into[offset, offset + length)`. Returns the count of bytes, at least 1; 0 at the end of the stream
   * (of a datagram socket: an empty datagram); or {@link WOULD_BLOCK}. A `length` of 0 is a `RangeError`, because its
   * 0 could not be told from the end. `flags`: `MSG_PEEK`, `MSG_OOB`. Throws `ECONNRESET` and the like.
   */
  recv(into: Uint8Array, offset?: number, length?: number, flags?: number): number;

  /**
   * Sends from `from[offset, offset + length)` and returns how many bytes the system took, which may be fewer, or
   * {@link WOULD_BLOCK}. The bytes are copied before it returns. `flags`: `MSG_OOB`, `MSG_MORE`. Throws `EPIPE`
   * after `shutdown('write')` or when the peer has gone; no signal is raised.
   */
  send(from: Uint8Array, offset?: number, length?: number, flags?: number): number;

  /** Sends several chunks in one call, as {@link send}; the count may end within a chunk. At most `IOV_MAX` chunks are looked at. */
  sendv(chunks: readonly Uint8Array[]): number;

  /** The pending error (`SO_ERROR`), once; a later `recv` that would return 0 throws it. */
  takeError(): SocketError | null;

  /** Ends one direction or both: the peer sees the end of the stream after all that was sent. */
  shutdown(how: 'read' | 'write' | 'both'): void;

  /** Closes at once and drops the registration. What was sent still goes out. Idempotent. */
  close(): void;

  /** Abortive close: the peer sees a reset (`SO_LINGER` 0), and what was not sent yet is dropped. */
  reset(): void;

  /** Whether the next byte to receive is the urgent one (`sockatmark(3)`; capability `oob`). */
  atMark(): boolean;

  getOption<K extends keyof SocketOptions>(name: K): SocketOptions[K];
  setOption<K extends keyof SocketOptions>(name: K, value: SocketOptions[K]): void;

  /** `getsockopt(2)` by numbers of the system's headers (capability `rawOptions`). */
  getRawOption(level: number, name: number, length: number): Buffer;
  setRawOption(level: number, name: number, value: Uint8Array): void;

  /**
   * Gives the descriptor away: this object is closed and unregistered, the descriptor is not, and is the caller's to
   * adopt or to close (capability `rawDescriptors`).
   */
  detach(): number;

  [Symbol.dispose](): void;

  /**
   * Receives, waiting for at most `timeoutMs` (for ever, if absent). For worker threads (capability `blocking`): it
   * blocks the thread. Returns as {@link recv}; {@link WOULD_BLOCK} when the time is over; {@link INTERRUPTED} when
   * the thread was woken.
   */
  recvSync(into: Uint8Array, options?: { offset?: number; length?: number; timeoutMs?: number }): number;

  /** Sends all of `from`, waiting where it must. Returns the count sent: fewer when the time was over; {@link INTERRUPTED} when the thread was woken. */
  sendAllSync(from: Uint8Array, options?: { timeoutMs?: number }): number;

  /** The next connection, waiting for it; `null` when the time is over or the thread was woken. */
  acceptSync(options?: { timeoutMs?: number }): Socket | null;

  /** Connects, waiting for the outcome; throws the error, `ETIMEDOUT` when the time is over, or `EINTR` when the thread was woken. */
  connectSync(address: Address, options?: { timeoutMs?: number }): void;
}
