/**
 * The contract between the reactor and whatever supplies its sockets. A backend supplies three things that must match:
 * the sockets, the {@link Demultiplexer} that can wait on them, and the {@link Driver}, which starts a turn. All policy
 * (registrations, select, the order of dispatch, budgets, timers, connections) stands above, once.
 *
 * What a backend promises:
 *
 *  1. Readiness is level-triggered: while a watched socket has a condition of its interest, every `wait` reports it.
 *     It may report a condition that has passed already (spurious readiness): verbs then return WOULD_BLOCK.
 *  2. `wait` writes at most `capacity` triples (slot, generation, mask) into `events` and returns their count. What did
 *     not fit keeps its place and comes with a later `wait`; no ready socket is passed over for ever.
 *  3. A triple names the slot and generation of the socket's latest `watch`. After `watch(…, 0)` and after `closing` was
 *     told, `wait` reports nothing more of that socket.
 *  4. A mask holds READABLE, WRITABLE, ERROR as the socket is, and the hints HANGUP and READ_CLOSED. It may hold bits
 *     that the interest lacks (the kernel cannot mask errors and hang-ups): the reactor masks.
 *  5. While a watched socket is ready, or the deadline has passed, or `post` was called, the driver starts turns, each
 *     from the top of the stack: never inside another turn, never within a call of the reactor.
 *  6. When nothing is ready, due or posted, no turn is started and no processor time is used.
 *  7. Verbs never block and never call back into user code. Would-block is a value.
 *  8. `close`, `reset` and `detach` of a socket tell {@link BackendHost.closing} before its descriptor goes, and so does a
 *     `finishConnect` that fails. Told twice of one socket, the second time is nothing to the reactor.
 *  9. `now` never goes back; it is the time that `schedule` speaks of.
 * 10. What the backend cannot do is a `false` in `capabilities`, and the verb throws `ENOTSUP` that names it.
 */
import type { Family } from '../address.js';
import type { Traffic } from '../metrics.js';
import type { Socket, SocketType } from '../socket.js';

/** What a backend can do. Everything else behaves the same on every backend. */
export interface Capabilities {
  /** `bind` and `listen` are finished on return and throw their errors. */
  readonly syncBind: boolean;
  /** Urgent data: MSG_OOB, `atMark`, `oobInline`, and ERROR when it comes. */
  readonly oob: boolean;
  /** `MSG_PEEK`. */
  readonly peek: boolean;
  /** Raw sockets (with the system's permission). */
  readonly raw: boolean;
  /** READ_CLOSED may be asked for alone: a paused connection hears that its peer hung up. */
  readonly hangupWhilePaused: boolean;
  /** `shutdown('read')` and `shutdown('both')`. */
  readonly shutdownRead: boolean;
  /** Sockets have descriptors: `fileno`, `detach`. */
  readonly rawDescriptors: boolean;
  /** `reactor.socketPair`. */
  readonly socketPair: boolean;
  /** While nobody waits on a listening socket, connections stay in the system's queue. */
  readonly acceptPause: boolean;
  /** Unix datagram sockets. */
  readonly unixDatagram: boolean;
  /** Sockets of type `seqpacket`. */
  readonly seqpacket: boolean;
  /** Unix addresses in the abstract namespace. */
  readonly abstractUnix: boolean;
  /** Descriptors can be sent over unix sockets (`SCM_RIGHTS`). */
  readonly descriptorPassing: boolean;
  /** Several datagrams in one system call. */
  readonly datagramBatch: boolean;
  /** `getRawOption`, `setRawOption`, and every named option. */
  readonly rawOptions: boolean;
  /** `reusePort` balances connections between listeners. */
  readonly reusePort: boolean;
  /** `reactor.adopt`. */
  readonly adopt: boolean;
  /** The blocking verbs (`recvSync` and its siblings). */
  readonly blocking: boolean;
  /** `reactor.selectSync`. */
  readonly selectSync: boolean;
}

/** What the reactor gives to its backend. */
export interface BackendHost {
  /** Runs one turn. Never throws. Called by the driver only. */
  turn(): void;
  /** The socket is about to lose its descriptor, or its connect has failed: the reactor drops its registration and its watch. */
  closing(socket: BackendSocket): void;
  /**
   * Where the backend's sockets add what they receive and send: in a verb that moves bytes, one addition of their count; in
   * `accept`, one of each connection.
   */
  readonly traffic: Traffic;
}

/** A socket as its backend makes it: the user's verbs, and what the layers above need beneath them. */
export interface BackendSocket extends Socket {
  /** The reactor's record of this socket while it is watched. The backend only carries it. */
  watch: object | null;

  /** Who watches it, where that is not the backend's demultiplexer: of sockets that stand above others. */
  readonly watcher?: Pick<Demultiplexer, 'watch'>;

  /** Whether `listen` was called: such a socket carries connections, not bytes. */
  readonly listening: boolean;

  /**
   * Settles when a `bind` or `listen` that was begun has ended; rejects with its error, which is then no longer
   * pending. With capability `syncBind` there is nothing to wait for.
   */
  settled(): Promise<void>;

  /** The reactor's host that the socket was made for: tells sockets of another reactor apart. */
  readonly host: BackendHost;

  /**
   * Receives what is there, at most 64 KiB, as a chunk: 0 at the end of the stream, WOULD_BLOCK when nothing is there,
   * and otherwise a Buffer that belongs to the receiver. With `borrow` the Buffer is the backend's own and holds its
   * bytes only until the next call of `receive` in this thread.
   */
  receive(borrow: boolean): Buffer | 0 | -1;
}

/** A socket whose descriptor can be on its way to another thread or process. */
export interface MovableSocket extends BackendSocket {
  /**
   * Ends this object as `detach` does, but the descriptor stays this thread's: to be offered or closed by the
   * {@link DescriptorTable}, or put back. Throws `EBADF` once closed.
   */
  lend(): number;
  /** Puts the descriptor back: the object is open again, and unregistered. */
  restore(fd: number): void;
}

/**
 * Whose the descriptors are, among the threads of the process. What is offered belongs to the table until one thread has
 * claimed it and settled; if that thread ends before, it is on offer again. Results below 0 are negated errnos.
 */
export interface DescriptorTable {
  /** Makes a descriptor of this thread's an offer; its token. */
  offer(fd: number): number;
  /** The descriptor, held by this thread until it settles; `-ENOENT` where somebody else has it. */
  claim(token: number): number;
  /** Keeps what was claimed, or gives it back; `-ENOENT` where it was closed or given away meanwhile. */
  settle(token: number, keep: boolean): number;
  /** Takes an offer of this thread's back: the descriptor; `-EBUSY` while another thread holds it; `-ENOENT` where it was kept. */
  withdraw(token: number): number;
  /** Another descriptor of the same file, nobody's yet. */
  duplicate(fd: number): number;
  /** Closes a descriptor that was lent. */
  close(fd: number): void;
}

/**
 * Names a waker in all threads of its process: plain data for `postMessage` and `workerData`. What stands in it is no part of
 * the contract.
 */
export interface WakerHandle {
  readonly pid: number;
  readonly id: number | string;
  /** Where the waker is a BroadcastChannel: whether it is rung, or closed. */
  readonly state?: Int32Array;
}

/** A way into the reactor from any thread of its process. */
export interface BackendWaker {
  readonly handle: WakerHandle;
  /** Nothing is called back from here on. Idempotent. */
  close(): void;
}

export interface SocketSpec {
  readonly type: SocketType;
  readonly family: Family;
  readonly protocol: number;
}

/**
 * Small sends of many sockets that leave in one go: each is opened and filled, then all are sent, then each asked for its
 * result. Nothing else happens between the first `open` and the last `result`.
 */
export interface Outbox {
  /** Makes room for `bytes` of `socket`; `false` where they are too many to be copied, or where it is full. */
  open(socket: BackendSocket, bytes: number): boolean;
  /** Copies a part of what the latest `open` made room for. */
  put(chunk: Uint8Array): void;
  /** Whether an `open` found no room that there is after `send`. */
  readonly full: boolean;
  send(): void;
  /** What `send` of the socket would have returned for the `index`th that was opened; throws its SocketError. */
  result(socket: BackendSocket, index: number): number;
}

/** Tells which watched sockets are ready. */
export interface Demultiplexer {
  /** Triples (slot, generation, mask), written by `wait`. */
  readonly events: Int32Array;

  /** Sets what is waited for: any interest replaces the one before; 0 removes the socket. The slot stays the same while it is watched. Throws `ERR_REACTOR_NOT_POLLABLE` or a SocketError, and then nothing has changed. */
  watch(socket: BackendSocket, slot: number, generation: number, interest: number): void;

  /** Reports what is ready now, without waiting, and returns the count of triples. */
  wait(capacity: number): number;

  /**
   * Optional, as {@link received} is. Receives for the events of the latest `wait` from index `from` to `count` whose
   * interest holds AHEAD, as `receive(false)` of their sockets would, sets AHEAD in their masks, and returns the index it
   * has come to. The results stand until the next call.
   */
  receiveAhead?(from: number, count: number): number;
  /** What was received ahead for the event at `index`: as {@link BackendSocket.receive} gives or throws it. */
  received?(socket: BackendSocket, index: number): Buffer | 0 | -1;

  /**
   * Looks at `sockets` whether they are watched or not: `masks[i]` comes in as the interest of `sockets[i]` and goes out
   * as its readiness, ANDed with the interest. Returns how many are not 0. With `timeoutMs` other than 0 (`null` = for
   * ever) it blocks the thread until one is ready (capability `selectSync`).
   */
  look(sockets: readonly BackendSocket[], masks: Int32Array, timeoutMs: number | null): number;
}

/** Starts the turns, and keeps the time. */
export interface Driver {
  /** Milliseconds of a clock that never goes back; fractions count. */
  now(): number;
  /** Start a turn at `deadline` (of `now`) even when nothing is ready; `Infinity` for none. The latest call counts. */
  schedule(deadline: number): void;
  /** Start a turn soon. Posts before it starts are one. */
  post(): void;
  /** Keep the process alive from now on. Idempotent, as `release` is. */
  hold(): void;
  /** Let the process end although something is still watched. The state at the beginning. */
  release(): void;
}

export interface Backend extends Disposable {
  readonly name: 'kernel' | 'emulated' | 'simulated' | (string & {});
  /** Why this backend runs, for `reactor.backend.reason`. */
  readonly reason: string;
  readonly capabilities: Capabilities;
  readonly demultiplexer: Demultiplexer;
  readonly driver: Driver;
  /** Where descriptors change their threads, on backends that have them. */
  readonly descriptors?: DescriptorTable;
  /** Where small sends are gathered, on backends that gain by it. */
  readonly outbox?: Outbox;

  /** Called once, before everything else, by the reactor that it serves; a second call throws `ERR_REACTOR_BACKEND`. */
  attach(host: BackendHost): void;

  /** A new socket: non-blocking, closed on exec. */
  socket(spec: SocketSpec): BackendSocket;

  /** A socket for a descriptor that exists already (capability `adopt`). It becomes non-blocking, and the reactor's to close. */
  adopt(fd: number): BackendSocket;

  /** Two connected unix sockets (capability `socketPair`). */
  socketPair(spec: SocketSpec): [BackendSocket, BackendSocket];

  /**
   * Optional: without it, wakers go by a BroadcastChannel. `woken` is called in this thread, from the top of the stack, once
   * for all wakes before it; an open waker does not keep the process alive.
   */
  waker?(woken: () => void): BackendWaker;

  /** Stops the driver and frees the demultiplexer. Sockets that are still open stay open. Idempotent. */
  [Symbol.dispose](): void;
}
