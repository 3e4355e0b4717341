/** Sockets that no kernel watches: they tell themselves what they are ready for, and are dispatched at the next turn. */
import type { BackendSocket } from './backend/backend.js';

/** A socket whose readiness is computed. */
export interface SoftwareSocket extends BackendSocket {
  /** What is asked for. Written by {@link SoftwareReadiness.watch}. */
  interest: number;
  /** What it is ready for now. */
  readonly readiness: number;
}

/** Level-triggered: a socket stays here as long as it has what is asked for. */
export class SoftwareReadiness {
  readonly #ready = new Set<SoftwareSocket>();
  readonly #post: () => void;

  /** `post` starts a turn. */
  constructor(post: () => void) {
    this.#post = post;
  }

  /** As the demultiplexer's: sets what is waited for; 0 removes the socket. */
  watch(socket: BackendSocket, _slot: number, _generation: number, interest: number): void {
    (socket as SoftwareSocket).interest = interest;
    this.changed(socket as SoftwareSocket);
  }

  /** The socket's readiness or interest may be another one than before. */
  changed(socket: SoftwareSocket): void {
    if ((socket.readiness & socket.interest) === 0) {
      this.#ready.delete(socket);
      return;
    }
    this.#ready.add(socket);
    this.#post();
  }

  get size(): number {
    return this.#ready.size;
  }

  /** Calls for each that is ready; what still is after that has its turn again in the next one. */
  dispatch(call: (socket: SoftwareSocket, readiness: number) => void): void {
    for (const socket of [...this.#ready]) {
      const { readiness } = socket;
      if ((readiness & socket.interest) !== 0) call(socket, readiness);
      this.changed(socket);
    }
  }
}
