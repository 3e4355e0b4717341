/** The sockets that are ready, in the order in which they are reported. Linked through the sockets: they come and go with every event. */
import type { SimulatedSocket } from './socket.js';

export class ReadyList {
  size = 0;
  #first: SimulatedSocket | null = null;
  #last: SimulatedSocket | null = null;

  /** Puts it at the end; `false` where it is in the list already. */
  add(socket: SimulatedSocket): boolean {
    if (socket.isListed) return false;
    socket.isListed = true;
    socket.readyBefore = this.#last;
    if (this.#last === null) this.#first = socket;
    else this.#last.readyAfter = socket;
    this.#last = socket;
    this.size += 1;
    return true;
  }

  /** `false` where it is not in the list. */
  delete(socket: SimulatedSocket): boolean {
    if (!socket.isListed) return false;
    const { readyBefore, readyAfter } = socket;
    if (readyBefore === null) this.#first = readyAfter;
    else readyBefore.readyAfter = readyAfter;
    if (readyAfter === null) this.#last = readyBefore;
    else readyAfter.readyBefore = readyBefore;
    socket.isListed = false;
    socket.readyBefore = socket.readyAfter = null;
    this.size -= 1;
    return true;
  }

  /** Takes the first one out. */
  shift(): SimulatedSocket | null {
    const first = this.#first;
    if (first !== null) this.delete(first);
    return first;
  }
}
