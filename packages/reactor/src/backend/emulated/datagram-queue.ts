/** Datagrams that Node has received and nobody has asked for yet. */
import type { RemoteInfo } from 'node:dgram';

/**
 * node:dgram cannot be paused: what comes while the queue is full is dropped, as the system drops what comes to a full
 * receive buffer. The limits are far above the 212,992 bytes that Linux begins with, which stand before this queue.
 */
const MOST_DATAGRAMS = 4096;
const MOST_BYTES = 4 * 1024 * 1024;

export interface Arrived {
  readonly payload: Buffer;
  readonly sender: RemoteInfo;
}

export class DatagramQueue {
  #items: (Arrived | null)[] = [];
  #first = 0;
  #bytes = 0;

  get size(): number {
    return this.#items.length - this.#first;
  }

  /** Takes a datagram; `false` where it has to be dropped. */
  push(payload: Buffer, sender: RemoteInfo): boolean {
    if (this.size >= MOST_DATAGRAMS || this.#bytes + payload.length > MOST_BYTES) return false;
    this.#items.push({ payload, sender });
    this.#bytes += payload.length;
    return true;
  }

  first(): Arrived | null {
    return this.#items[this.#first] ?? null;
  }

  /** Lets the first one go. */
  shift(): void {
    this.#bytes -= (this.#items[this.#first] as Arrived).payload.length;
    this.#items[this.#first] = null;
    this.#first += 1;
    if (this.size > 0 && this.#first < MOST_DATAGRAMS) return;
    this.#items = this.#items.slice(this.#first);
    this.#first = 0;
  }

  clear(): void {
    this.#items = [];
    this.#first = this.#bytes = 0;
  }
}
