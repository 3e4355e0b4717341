/** The BSD verbs, the same on every backend: this file holds the shapes and no code. */
import type { ChildProcess } from 'node:child_process';
import type { MessagePort, Worker } from 'node:worker_threads';
import type { Address, Family } from './address.js';
import type { DatagramBatch } from './datagram-batch.js';
import type { SocketError } from './errors.js';

export type SocketType = 'stream' | 'datagram' | 'seqpacket' | 'raw' | 'pipe';

/**
 * `TCP_INFO` as the system has it: times in microseconds, but the `last…` ones in milliseconds; windows in segments,
 * rates in bytes a second. What an older kernel does not tell is 0.
 */
export interface TcpInfo {
  /** 1 is ESTABLISHED, as in `<netinet/tcp.h>`. */
  readonly state: number;
  readonly congestionState: number;
  readonly retransmits: number;
  readonly probes: number;
  readonly backoff: number;
  readonly options: number;
  readonly rto: number;
  readonly ato: number;
  readonly sendMss: number;
  readonly receiveMss: number;
  readonly unacked: number;
  readonly sacked: number;
  readonly lost: number;
  readonly retrans: number;
  readonly lastDataSent: number;
  readonly lastDataReceived: number;
  readonly lastAckReceived: number;
  readonly pmtu: number;
  readonly rtt: number;
  readonly rttVariance: number;
  readonly minRtt: number;
  readonly slowStartThreshold: number;
  readonly congestionWindow: number;
  readonly advertisedMss: number;
  readonly reordering: number;
  readonly receiveRtt: number;
  readonly receiveSpace: number;
  readonly totalRetrans: number;
  readonly pacingRate: number;
  readonly deliveryRate: number;
  readonly bytesAcked: number;
  readonly bytesReceived: number;
  readonly notSentBytes: number;
  readonly segmentsOut: number;
  readonly segmentsIn: number;
  readonly dataSegmentsOut: number;
  readonly dataSegmentsIn: number;
}

/** Who was at the other end of a unix socket when it was connected, or when it began to listen. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Which packets of a multicast group. */
export interface GroupOptions {
  /** The interface to receive on: its name, its index in digits, or one of its addresses (the system's choice). */
  interface?: string;
  /** The only sender to receive from: a literal of the group's family (any). */
  source?: string;
}

/**
 * Who is handed a socket: a thread, by its Worker or a MessagePort; a process with an IPC channel, by its ChildProcess or, from
 * the child, by `process`; any other process of this machine, by a connected unix stream socket, which from then on is
 * for hand-offs alone.
 */
export type TransferTarget = Worker | MessagePort | ChildProcess | NodeJS.Process | Socket;

export interface TransferOptions {
  /** How long the receiver may take to answer, in ms (30 000; 0 for ever). */
  timeoutMs?: number;
  /** Bytes that were received already and go before all that the socket still gives: its receiver is given them. */
  unread?: Uint8Array;
}

/**
 * Takes a socket that was handed over. It has no registration, and is the reactor's that receives. To throw is to refuse: the
 * socket goes back, and the giver's promise is rejected with the error as its cause.
 */
export type SocketReceiver = (socket: Socket, data: unknown, unread: Buffer) => void;

/** What `recvFrom` gives. */
export interface ReceivedDatagram {
  /** The count of bytes that were written. */
  bytes: number;
  /** The sender; `{ path: '' }` for a unix socket without a name. */
  address: Address;
  /** Whether the datagram was longer than the buffer: the rest is lost. */
  truncated: boolean;
}

/**
 * The named options; every other one goes through {@link Socket.getRawOption}. `tcpInfo` and `peerCredentials` are
 * read-only. A wrong type is a TypeError, a number outside its range a RangeError (`ERR_REACTOR_ARGUMENT`); what the
 * system refuses is a SocketError (`ENOPROTOOPT` or `ENOTSUP` where the socket has no such option).
 */
export interface SocketOptions {
  /** `SO_REUSEADDR` */
  reuseAddress: boolean;
  /** `SO_REUSEPORT`, where the platform balances it (capability `reusePort`). */
  reusePort: boolean;
  /** `TCP_NODELAY` */
  noDelay: boolean;
  /** `SO_KEEPALIVE` */
  keepAlive: boolean;
  /** `TCP_KEEPIDLE`, seconds before the first probe, 1 to 32767. */
  keepAliveIdle: number;
  /** `TCP_KEEPINTVL`, seconds between probes, 1 to 32767. */
  keepAliveInterval: number;
  /** `TCP_KEEPCNT`, 1 to 127. */
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
  /** `IP_TOS`, or `IPV6_TCLASS`, 0 to 255. */
  tos: number;
  /** `IP_TTL`, or `IPV6_UNICAST_HOPS`, 1 to 255. */
  ttl: number;
  /** `IP_MULTICAST_TTL`, or `IPV6_MULTICAST_HOPS`, 0 to 255; 0 stays on this host. */
  multicastTtl: number;
  /** `IP_MULTICAST_LOOP`: whether this host receives its own multicasts. */
  multicastLoop: boolean;
  /**
   * `IP_MULTICAST_IF`: the interface that multicasts leave by, set by its name, its index in digits, or one of its
   * addresses. Read as an address of an IPv4 socket and as a name of an IPv6 socket; `''` is the system's choice.
   */
  multicastInterface: string;
  /** `SO_LINGER`: `false`, or 0 for an abortive close. A positive time would block the loop: only as a raw option. */
  linger: false | 0;
  /** `TCP_DEFER_ACCEPT`, seconds that a connection without data is held back. The system rounds it up to its retransmissions. */
  deferAccept: number;
  /** `TCP_FASTOPEN` of a listening socket: how many connections may wait that brought data with their SYN; 0 is off. */
  fastOpen: number;
  /** `TCP_QUICKACK`: the system may set it back at any time. */
  quickAck: boolean;
  /** `TCP_CONGESTION`: the name of the algorithm (`'cubic'`). An unknown one is `ENOENT`. */
  congestion: string;
  /** `SO_MARK`, an unsigned 32-bit number for the packet filter; setting it takes CAP_NET_ADMIN. */
  mark: number;
  /** `TCP_INFO`; read-only. */
  tcpInfo: TcpInfo;
  /** `SO_PEERCRED` of a unix socket; read-only. `ENOTCONN` without a peer. */
  peerCredentials: PeerCredentials;
}

/**
 * A socket. Its verbs never block: where nothing can be done they return {@link WOULD_BLOCK} or `null`. Misuse throws
 * a `TypeError` or `RangeError` with a code; a failed system call throws a {@link SocketError}; a verb on a closed
 * socket throws `EBADF`. No verb looks a name up: an address takes a literal, `''` or `'localhost'`, and any other host
 * throws `ERR_REACTOR_NAME`.
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
   * Binds to a local address; port 0 lets the system choose, and on a unix socket `{ path: '' }` has it make up an
   * abstract name (capability `abstractUnix`). A path stays in the file system when the socket is closed. With capability `syncBind` it is finished on return, and
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

  /**
   * Sends several chunks in one call, as {@link send}; the count may end within a chunk. Of a stream at most `IOV_MAX`
   * (1024) chunks are looked at; more of them in one datagram are `EMSGSIZE`.
   */
  sendv(chunks: readonly Uint8Array[]): number;

  /**
   * Receives one datagram and tells who sent it; `null` where none is there. `flags`: `MSG_PEEK`, `MSG_OOB`. An empty
   * `into` is a RangeError, as for `recv`. Throws `ECONNREFUSED` and the like, which says that an earlier datagram
   * could not be delivered (a connected socket): the socket goes on. On a stream it is `recv` with the peer's address.
   */
  recvFrom(into: Uint8Array, flags?: number): ReceivedDatagram | null;

  /**
   * Sends one datagram and returns its length, or {@link WOULD_BLOCK}. It leaves whole or not at all: `EMSGSIZE` for
   * one that is too long. An empty one is sent, too. `flags`: `MSG_OOB`, `MSG_MORE`.
   */
  sendTo(from: Uint8Array, to: Address, flags?: number): number;

  /**
   * Receives as many datagrams as are there and as the batch holds, in place of what it held, in their order. Returns
   * their count, 1 at least, or {@link WOULD_BLOCK}, which leaves the batch empty. For datagram and raw sockets: others
   * throw `ENOTSUP`. One system call with the capability `datagramBatch`.
   */
  recvBatch(batch: DatagramBatch): number;

  /**
   * Sends the datagrams from `start` (0) to before `end` (all), and returns how many were sent, or {@link WOULD_BLOCK}.
   * It may stop early, at a full buffer or before a datagram that cannot be sent: go on at the first unsent, whose error
   * is thrown then. A batch that was received can be sent back as it is.
   */
  sendBatch(batch: DatagramBatch, start?: number, end?: number): number;

  /**
   * Sends `payload`, of 1 byte at least, and with its first byte duplicates of up to 253 descriptors (`SCM_RIGHTS` of
   * unix(7)), which stay open here. Returns the bytes sent, or {@link WOULD_BLOCK}: then no descriptor was sent either;
   * what a partial send left goes by `send`. Capability `descriptorPassing`; not on a unix socket: `ENOTSUP`; one of
   * them not open: `EBADF`.
   */
  sendDescriptors(descriptors: readonly number[], payload: Uint8Array): number;

  /**
   * Receives bytes and the descriptors that came with them, closed on exec; `null` where nothing is there. They are the
   * caller's: adopt or close each. `truncated`: descriptors were lost, because this process may open no more (`EMFILE`),
   * or a part of the datagram, because `into` was too short. 0 bytes are the end of the stream.
   */
  recvDescriptors(into: Uint8Array): { bytes: number; descriptors: number[]; truncated: boolean } | null;

  /**
   * The pending error (`SO_ERROR`), once; a later `recv` of a stream that would return 0 throws it. Of a datagram socket
   * with `IP_RECVERR` set it takes the errors of the error queue, one a call, with the address that each concerns: until
   * they are all taken the socket stays in ERROR.
   */
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

  /**
   * Joins a multicast group. A receiver should be bound to the group's port, at any address. Throws
   * `ERR_REACTOR_ADDRESS` where `group` or `source` is no literal of the socket's family, `ENODEV` where there is no
   * such interface or no route, `EADDRINUSE` where it is joined already, `EINVAL` where it is no group.
   */
  joinGroup(group: string, options?: GroupOptions): void;
  /** Leaves a group as it was joined: with the same `source`. `EADDRNOTAVAIL` where it is not joined. */
  leaveGroup(group: string, options?: GroupOptions): void;

  /** `getsockopt(2)` by numbers of the system's headers (capability `rawOptions`). */
  getRawOption(level: number, name: number, length: number): Buffer;
  setRawOption(level: number, name: number, value: Uint8Array): void;

  /**
   * Gives the descriptor away: this object is closed and unregistered, the descriptor is not, and is the caller's to
   * adopt or to close (capability `rawDescriptors`).
   */
  detach(): number;

  /**
   * Hands the socket over to another thread or process, whose `reactor.receiveSockets` is given it and `data`: cloned as by
   * `postMessage` for a thread, as JSON for a process. Listening sockets go with their queue. From the call on this object
   * is closed and unregistered. Resolves when the receiver's callback has returned: then the socket is there and nowhere
   * else.
   *
   * Where the receiver has ended, has refused it or has not answered in time, rejects with a `TransferError`, and the socket
   * is ours again: this same object is open, and unregistered. Rejects with `ERR_REACTOR_ARGUMENT`, `EBADF`, or what
   * makes `data` unfit, and nothing has changed; with `ENOTSUP` without the capability `rawDescriptors`.
   */
  transfer(to: TransferTarget, data?: unknown, options?: TransferOptions): Promise<void>;

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
