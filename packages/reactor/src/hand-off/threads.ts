/**
 * Hand-offs between threads: the descriptor's number stays, its owner changes, by way of the process's table of offers. The
 * message is only the news of an offer and the answer only that of its end: what has happened stands in the table, so it
 * is the same whatever became of the receiver.
 */
import { constants as os } from 'node:os';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { BackendSocket, DescriptorTable, MovableSocket } from '../backend/backend.js';
import { SocketError } from '../errors.js';
import type { SocketReceiver } from '../socket.js';
import { descriptorsOf, type HandOffHost, type Refusal, refusalOf, refusedBy, TAG, TransferError } from './host.js';

const { EBUSY, ENOENT } = os.errno;
/** Between two looks at an offer that the other thread holds undecided, while it ends or its callback runs. */
const LOOK_MS = 5;

/** A Worker or a MessagePort. */
export interface Postable {
  postMessage(message: unknown, transfer: readonly MessagePort[]): void;
  readonly threadId?: number;
}

export interface Listenable {
  on(event: 'message', listener: (message: unknown) => void): unknown;
  off(event: 'message', listener: (message: unknown) => void): unknown;
}

interface Offer {
  readonly token: number;
  readonly data: unknown;
  readonly unread: Uint8Array;
  /** Where the receiver answers; it closes when the receiver ends. */
  readonly answer: MessagePort;
}

/** What the receiver answers: nothing, or why it refuses. */
type Answer = Refusal | null;

export function giveToThread(
  table: DescriptorTable,
  socket: MovableSocket,
  to: Postable,
  data: unknown,
  unread: Uint8Array,
  timeoutMs: number,
): Promise<void> {
  // A worker that has ended drops messages without a word.
  if (to.threadId === -1)
    return Promise.reject(new TransferError(socket, unread, new Error('the thread has ended already')));
  const fd = socket.lend();
  const token = table.offer(fd);
  if (token < 0) {
    socket.restore(fd);
    return Promise.reject(new SocketError(token, 'transfer'));
  }
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    let over = false;
    /** Looks what has become of the offer; if nobody has taken it, it is taken back. */
    const conclude = (failure: Error): void => {
      if (over) return;
      clearTimeout(timer);
      const back = table.withdraw(token);
      if (back === -EBUSY) {
        timer = setTimeout(conclude, LOOK_MS, failure);
        return;
      }
      over = true;
      port1.close();
      if (back === -ENOENT) resolve();
      else if (back < 0) reject(new SocketError(back, 'transfer'));
      else {
        socket.restore(back);
        reject(failure);
      }
    };
    const untaken = (message: string): Error => new TransferError(socket, unread, new Error(message));
    port1.on('message', (answer: Answer) => {
      conclude(answer === null ? untaken('it was given back') : new TransferError(socket, unread, refusedBy(answer)));
    });
    port1.on('close', () => conclude(untaken('its receiver has ended')));
    if (timeoutMs > 0)
      timer = setTimeout(() => conclude(untaken(`no receiver has answered within ${timeoutMs} ms`)), timeoutMs);
    try {
      to.postMessage({ [TAG]: { token, data, unread, answer: port2 } satisfies Offer }, [port2]);
    } catch (error) {
      // `data` cannot be cloned.
      conclude(error as Error);
    }
  });
}

export function receiveFromThread(host: HandOffHost, port: Listenable, callback: SocketReceiver): Disposable {
  const table = descriptorsOf(host.backend, 'receiveSockets');
  const listener = (message: unknown): void => {
    const offer = (message as { [TAG]?: Offer } | null)?.[TAG];
    if (offer !== undefined) take(host, table, offer, callback);
  };
  port.on('message', listener);
  const receiver = {
    close() {
      host.attached.delete(receiver);
      port.off('message', listener);
    },
    [Symbol.dispose]() {
      receiver.close();
    },
  };
  host.attached.add(receiver);
  return receiver;
}

function take(host: HandOffHost, table: DescriptorTable, offer: Offer, callback: SocketReceiver): void {
  const { token, data, unread, answer } = offer;
  const fd = table.claim(token);
  // It was taken back, or there are two receivers at this port.
  if (fd < 0) return;
  let socket: BackendSocket | undefined;
  let refusal: Answer = null;
  try {
    socket = host.backend.adopt(fd);
    callback(socket, data, Buffer.from(unread.buffer, unread.byteOffset, unread.byteLength));
  } catch (error) {
    refusal = refusalOf(error);
    if (socket !== undefined && !socket.closed) (socket as MovableSocket).lend();
  }
  // What the callback has closed or given away is taken, also if it has thrown.
  if (table.settle(token, refusal === null) < 0) refusal = null;
  answer.postMessage(refusal);
  answer.close();
}
