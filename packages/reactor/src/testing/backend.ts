/** One reactor's share of a simulated network. */
import type { Backend, BackendHost, BackendSocket, SocketSpec } from '../backend/backend.js';
import { describe, misuse, notSupported, socketError } from '../errors.js';
import { simulatedCapabilities } from './capabilities.js';
import { DatagramSocket } from './datagram-socket.js';
import { SimulatedDemultiplexer } from './demultiplexer.js';
import { type Conductor, SimulatedDriver } from './driver.js';
import type { NetworkCore, Owner } from './socket.js';
import { StreamSocket } from './stream-socket.js';

const PROTOCOLS = { stream: 6, datagram: 17 } as const;

export class SimulatedBackend implements Backend {
  readonly name = 'simulated';
  readonly reason = 'of a simulated network';
  readonly capabilities = simulatedCapabilities;
  readonly driver: SimulatedDriver;
  readonly demultiplexer: SimulatedDemultiplexer;
  readonly #network: NetworkCore;
  readonly #conductor: Conductor;
  #owner: Owner | null = null;

  constructor(network: NetworkCore, conductor: Conductor) {
    this.#network = network;
    this.#conductor = conductor;
    this.driver = new SimulatedDriver(conductor);
    this.demultiplexer = new SimulatedDemultiplexer(
      () => conductor.stir(),
      network.decisions,
      network.chances.spurious,
    );
  }

  attach(host: BackendHost): void {
    if (this.#owner !== null)
      throw misuse('ERR_REACTOR_BACKEND', 'this simulated backend serves a reactor already: take another one');
    this.#owner = { network: this.#network, host, sink: this.demultiplexer };
    this.driver.start(host, this.demultiplexer);
    this.#conductor.stir();
  }

  socket({ type, family, protocol }: SocketSpec): BackendSocket {
    const owner = this.#attached();
    if (type !== 'stream' && type !== 'datagram') throw notSupported('socket', type, this.name);
    if (family === 'pipe') throw notSupported('socket', 'pipe', this.name);
    if (!Number.isInteger(protocol))
      throw misuse('ERR_REACTOR_ARGUMENT', `protocol must be an integer, got ${describe(protocol)}`);
    if (protocol !== 0 && (protocol !== PROTOCOLS[type] || family === 'unix'))
      throw socketError('EPROTONOSUPPORT', 'socket');
    this.#network.takeDescriptor('socket');
    return type === 'stream' ? new StreamSocket(family, owner) : new DatagramSocket(family, owner);
  }

  adopt(_fd: number): never {
    throw notSupported('adopt', 'adopt', this.name);
  }

  socketPair({ type }: SocketSpec): [BackendSocket, BackendSocket] {
    const owner = this.#attached();
    if (type !== 'stream' && type !== 'datagram') throw notSupported('socketpair', type, this.name);
    this.#network.takeDescriptor('socketpair');
    return type === 'stream' ? StreamSocket.pair(owner) : DatagramSocket.pair(owner);
  }

  [Symbol.dispose](): void {
    this.driver.stop();
    this.demultiplexer.clear();
  }

  #attached(): Owner {
    if (this.#owner === null) throw misuse('ERR_REACTOR_BACKEND', 'the backend has no reactor yet');
    return this.#owner;
  }
}
