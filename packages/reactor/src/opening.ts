/** Sockets that take their time to open, and a reactor that may be closed meanwhile: none is left open then. */
import type { Address, ListenTarget } from './address.js';
import type { Backend, BackendSocket } from './backend/backend.js';
import { type ConnectOptions, checkConnect, connect } from './connector.js';
import type { Dispatcher } from './dispatch/dispatcher.js';
import { misuse } from './errors.js';
import { type ListenOptions, listen } from './listening.js';

/** How the reactor makes sockets. */
export type SocketMaker = Pick<Backend, 'name' | 'capabilities'> & {
  socket(spec: { type: 'stream'; family: 'ipv4' | 'ipv6' | 'unix' }): BackendSocket;
  adopt(fd: number): BackendSocket;
};

export class Opening {
  readonly #maker: SocketMaker;
  readonly #dispatcher: Dispatcher;
  /** Rejects what is under way when the reactor is closed. */
  readonly #pending: Set<(error: unknown) => void>;

  constructor(maker: SocketMaker, dispatcher: Dispatcher, pending: Set<(error: unknown) => void>) {
    this.#maker = maker;
    this.#dispatcher = dispatcher;
    this.#pending = pending;
  }

  async listen(target: ListenTarget, options: ListenOptions): Promise<BackendSocket> {
    const { name, capabilities } = this.#maker;
    const socket = await listen(
      {
        name,
        capabilities,
        socket: (spec) => this.#maker.socket(spec),
        adopt: (fd) => this.#maker.adopt(fd),
        untilDecided: (probe) => this.#untilDecided(probe),
      },
      target,
      options,
    );
    return this.#checked(socket, 'listen');
  }

  async connect(address: Address, options: ConnectOptions): Promise<BackendSocket> {
    checkConnect(address, options);
    const socket = await connect(
      {
        socket: (spec) => this.#maker.socket(spec),
        untilDecided: (attempt) => this.#untilDecided(attempt),
        setTimer: (delayMs, callback) => this.#dispatcher.timers.add(delayMs, callback),
        connecting: this.#pending,
      },
      address,
      options,
    );
    return this.#checked(socket, 'connect');
  }

  /** Closed in the microtasks between the attempt's end and here: nobody else would close it. */
  #checked(socket: BackendSocket, verb: string): BackendSocket {
    if (!this.#dispatcher.closed) return socket;
    socket.close();
    throw closedMeanwhile(verb);
  }

  /** Resolves when a connect is decided; rejects with EBADF when the socket is closed meanwhile. */
  async #untilDecided(socket: BackendSocket): Promise<void> {
    await this.#dispatcher.selects.select([[], [socket], [socket]], null, undefined);
  }
}

function closedMeanwhile(verb: string): Error {
  return misuse('ERR_REACTOR_CLOSED', `the reactor was closed during ${verb}`);
}
