/**
 * What one readiness event costs in the reactor, without any system call: a scripted backend reports 64 sockets as readable, and a whole turn runs
 * over them. The reference is the bare loop over the same triples that one would write without a reactor. An operation is an event.
 */
import {
  type Backend,
  type BackendHost,
  type BackendSocket,
  READABLE,
  Reactor,
  type ReadinessHandler,
} from '@fdset/reactor';
import { runSuite } from '../micro-suite.js';

const SOCKETS = 64;

/** A backend whose sockets are always readable. Only what a turn uses is there. */
class AlwaysReadable {
  readonly name = 'scripted';
  readonly reason = 'bench micro';
  readonly capabilities = {};
  host!: BackendHost;
  #watched: { slot: number; generation: number }[] = [];

  readonly demultiplexer = {
    events: new Int32Array(3 * 1024),
    watch: (_socket: BackendSocket, slot: number, generation: number, interest: number) => {
      this.#watched = this.#watched.filter((each) => each.slot !== slot);
      if (interest !== 0) this.#watched.push({ slot, generation });
    },
    wait: (capacity: number) => {
      const { events } = this.demultiplexer;
      const count = Math.min(capacity, this.#watched.length);
      for (let i = 0; i < count; i++) {
        const { slot, generation } = this.#watched[i]!;
        events[3 * i] = slot;
        events[3 * i + 1] = generation;
        events[3 * i + 2] = READABLE;
      }
      return count;
    },
    look: () => 0,
  };

  readonly driver = {
    now: () => performance.now(),
    schedule: () => {},
    post: () => {},
    hold: () => {},
    release: () => {},
  };

  attach(host: BackendHost): void {
    this.host = host;
  }

  /** What a registration needs of a socket. */
  socket(): BackendSocket {
    return {
      watch: null,
      host: this.host,
      closed: false,
      listening: false,
      type: 'stream',
      family: 'ipv4',
    } as unknown as BackendSocket;
  }

  [Symbol.dispose](): void {}
}

let served = 0;
const shared: ReadinessHandler = {
  readable(socket) {
    served += socket.closed ? 2 : 1;
  },
};

function reactorTurn(register: (reactor: Reactor, socket: BackendSocket) => void): () => number {
  const backend = new AlwaysReadable();
  const reactor = new Reactor({ backend: backend as unknown as Backend });
  for (let i = 0; i < SOCKETS; i++) register(reactor, backend.socket());
  return () => {
    backend.host.turn();
    return served;
  };
}

function bareLoop(): () => number {
  const backend = new AlwaysReadable();
  const sockets = Array.from({ length: SOCKETS }, () => backend.socket());
  const handlers = sockets.map(() => shared as { readable(socket: BackendSocket): void });
  sockets.forEach((socket, slot) => {
    backend.demultiplexer.watch(socket, slot, 0, READABLE);
  });
  return () => {
    const { events } = backend.demultiplexer;
    const count = backend.demultiplexer.wait(1024);
    for (let i = 0; i < count; i++) {
      const slot = events[3 * i]!;
      handlers[slot]!.readable(sockets[slot]!);
    }
    return served;
  };
}

const reference = 'bare loop over the triples';
const cases = [
  { name: reference, run: bareLoop() },
  {
    name: 'registered, one shared handler object',
    reference,
    run: reactorTurn((reactor, socket) => reactor.register(socket, READABLE, shared)),
  },
  {
    name: 'registered, a callback each',
    reference,
    run: reactorTurn((reactor, socket) =>
      reactor.register(socket, READABLE, (readable) => {
        served += readable.closed ? 2 : 1;
      }),
    ),
  },
];
// A turn that serves nothing would be fast indeed.
for (const { name, run } of cases) {
  const before = served;
  run();
  if (served - before !== SOCKETS) throw new Error(`'${name}' served ${served - before} of ${SOCKETS} events`);
}
runSuite(cases.map((each) => ({ ...each, operations: SOCKETS })));
