/** Plays the other end of a recorded connection on a simulated network. */
import { type Address, familyOf } from '../address.js';
import { describe, misuse } from '../errors.js';
import { Reactor } from '../reactor.js';
import { READABLE, WOULD_BLOCK } from '../readiness.js';
import type { Socket } from '../socket.js';
import type { SimulatedNetwork } from './network.js';
import { inboundOf, type RecordedConnection } from './recording.js';
import { StreamSocket } from './stream-socket.js';

export interface ReplayOptions {
  /** Where the program listens; or, of a connection that the program makes itself, where it connects to. */
  address: Address;
  /** What the program receives, where the recording has no payloads: at least as many bytes as were received. */
  bytes?: Uint8Array;
}

/** What the program has done under the replay. */
export interface ReplayedConnection {
  /** What it has sent. */
  readonly received: Buffer;
  /** How it has ended its side. */
  readonly ended: 'end' | 'reset';
}

/**
 * Plays the peer of a recorded connection against a program on `network`: connects to where the program listens, or listens
 * where it connects to. The program's receives give the recorded bytes, cut where they were cut (a receive never reaches
 * beyond a recorded one), at the recorded times of the virtual clock; its sends take a part, and would-block, at the
 * recorded places of what it sends; the end or the reset comes when it came.
 *
 * Resolves when the program has ended its side. Beside the network's latency, which is best left 0, the same program does
 * what it did when it was recorded. Rejects with the SocketError where no connection comes about, and throws
 * `ERR_REACTOR_ARGUMENT` where there is nothing to play.
 */
export async function replayConnection(
  network: SimulatedNetwork,
  recorded: RecordedConnection,
  options: ReplayOptions,
): Promise<ReplayedConnection> {
  const bytes = inboundOf(recorded, options.bytes);
  const family = familyOf(options.address);
  if (family === undefined || family === 'pipe')
    throw misuse('ERR_REACTOR_ARGUMENT', `address must be a literal or a path, got ${describe(options.address)}`);
  const reactor = new Reactor({ backend: network.backend() });
  try {
    const own = reactor.socket({ family });
    if (!(own instanceof StreamSocket)) throw misuse('ERR_REACTOR_ARGUMENT', 'the network is of another copy of fdset');
    own.playing = scriptsOf(recorded);
    const socket =
      recorded.role === 'accepted'
        ? await connected(reactor, own, options.address)
        : await accepted(reactor, own, options.address);
    return await new Player(reactor, socket, recorded, bytes).play();
  } finally {
    reactor.close();
  }
}

function scriptsOf({ receives, partialSends, blockedSends }: RecordedConnection): StreamSocket['playing'] {
  let at = 0;
  const cuts = receives.map(({ bytes }) => {
    at += bytes;
    return at;
  });
  return {
    inbound: { cuts, parts: [], stalls: [] },
    outbound: { cuts: [], parts: partialSends, stalls: blockedSends },
  };
}

async function connected(reactor: Reactor, socket: Socket, address: Address): Promise<Socket> {
  if (socket.connect(address) === 'connecting')
    while (!socket.finishConnect()) await reactor.select([], [socket], [socket]);
  return socket;
}

async function accepted(reactor: Reactor, listener: Socket, address: Address): Promise<Socket> {
  listener.bind(address);
  listener.listen();
  try {
    for (;;) {
      const socket = listener.accept();
      if (socket !== null) return socket;
      await reactor.select([listener], [], []);
    }
  } finally {
    listener.close();
  }
}

class Player {
  readonly #reactor: Reactor;
  readonly #socket: Socket;
  readonly #recorded: RecordedConnection;
  readonly #bytes: Buffer;
  readonly #received: Buffer[] = [];
  #over: (how: 'end' | 'reset') => void = () => {};

  constructor(reactor: Reactor, socket: Socket, recorded: RecordedConnection, bytes: Buffer) {
    this.#reactor = reactor;
    this.#socket = socket;
    this.#recorded = recorded;
    this.#bytes = bytes;
  }

  async play(): Promise<ReplayedConnection> {
    const reading = this.#read();
    try {
      await this.#send();
      return { ended: await reading, received: Buffer.concat(this.#received) };
    } finally {
      reading.catch(() => {});
      this.#socket.close();
    }
  }

  async #send(): Promise<void> {
    const { receives, end } = this.#recorded;
    const began = this.#reactor.now();
    let sent = 0;
    for (const { atMs, bytes } of receives) {
      await this.#until(began + atMs);
      for (const to = sent + bytes; sent < to; ) {
        const count = this.#attempt(() => this.#socket.send(this.#bytes, sent, to - sent));
        if (count === null) return;
        if (count === WOULD_BLOCK) await this.#reactor.select([], [this.#socket], []);
        else sent += count;
      }
    }
    if (end === null) return;
    await this.#until(began + end.atMs);
    if (end.how === 'end') this.#attempt(() => this.#socket.shutdown('write'));
    else {
      this.#socket.reset();
      this.#over('reset');
    }
  }

  async #until(time: number): Promise<void> {
    const left = time - this.#reactor.now();
    if (left > 0) await this.#reactor.sleep(left);
  }

  /** `null` where the connection is over: what the program does differently is told by how it has ended. */
  #attempt<T>(deed: () => T): T | null {
    try {
      return this.#socket.closed ? null : deed();
    } catch {
      return null;
    }
  }

  /** Takes what the program sends, to its end. */
  #read(): Promise<'end' | 'reset'> {
    return new Promise((resolve) => {
      const into = Buffer.alloc(65_536);
      this.#over = (how) => {
        this.#reactor.registrationOf(this.#socket)?.unregister();
        resolve(how);
      };
      this.#reactor.register(this.#socket, READABLE, (socket) => {
        try {
          const count = socket.recv(into);
          if (count > 0) this.#received.push(Buffer.from(into.subarray(0, count)));
          else if (count === 0) this.#over('end');
        } catch {
          this.#over('reset');
        }
      });
    });
  }
}
