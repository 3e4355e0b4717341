/**
 * The waker of backends without one of their own: a BroadcastChannel has a name in all threads of the process, and shared
 * memory says whether it was rung already, so that many wakes are one message, and whether it is closed.
 */
import { randomUUID } from 'node:crypto';
import { BroadcastChannel } from 'node:worker_threads';
import type { BackendWaker, WakerHandle } from './backend/backend.js';

const IDLE = 0;
const RUNG = 1;
const CLOSED = 2;

export function openChannelWaker(woken: () => void): BackendWaker {
  const state = new Int32Array(new SharedArrayBuffer(4));
  const handle: WakerHandle = { pid: process.pid, id: `fdset-waker-${randomUUID()}`, state };
  const channel = new BroadcastChannel(handle.id as string);
  channel.onmessage = () => {
    // A wake from here on is another one.
    if (Atomics.compareExchange(state, 0, RUNG, IDLE) === RUNG) woken();
  };
  channel.unref();
  return {
    handle,
    close() {
      Atomics.store(state, 0, CLOSED);
      channel.close();
    },
  };
}

/** `false` where it is closed. */
export function ringChannel(name: string, state: Int32Array): boolean {
  const before = Atomics.compareExchange(state, 0, IDLE, RUNG);
  if (before === IDLE) {
    const channel = new BroadcastChannel(name);
    channel.postMessage(null);
    channel.close();
  }
  return before !== CLOSED;
}
