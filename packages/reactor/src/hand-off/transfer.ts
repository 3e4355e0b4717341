/** The two ends of a hand-off, by the kind of whom it goes to or comes from. */
import { checkMs, checkUnread } from '../arguments.js';
import type { BackendSocket, MovableSocket } from '../backend/backend.js';
import { describe, misuse } from '../errors.js';
import type { SocketReceiver, TransferOptions, TransferTarget } from '../socket.js';
import { channelOver } from './channel.js';
import { ANSWER_MS, descriptorsOf, type HandOffHost } from './host.js';
import { giveToProcess, type Peer, receiveFromProcess } from './processes.js';
import { giveToThread, type Listenable, type Postable, receiveFromThread } from './threads.js';

const NOTHING = new Uint8Array(0);

/** Throws `ERR_REACTOR_ARGUMENT` where nothing can be handed to `to`, and nothing has been done. */
export function checkTransfer(to: unknown, options: TransferOptions = {}): void {
  if (!isSocket(to) && !isProcess(to) && !isPort(to))
    throw misuse(
      'ERR_REACTOR_ARGUMENT',
      `a socket is handed to a Worker, a MessagePort, a process with an IPC channel or a unix stream socket, got ${describe(to)}`,
    );
  if (isSocket(to)) checkChannelSocket(to);
  checkMs(options.timeoutMs ?? ANSWER_MS, 'timeoutMs');
  if (options.unread !== undefined) checkUnread(options.unread);
}

export async function transfer(
  host: HandOffHost,
  socket: MovableSocket,
  to: TransferTarget,
  data: unknown,
  options: TransferOptions = {},
): Promise<void> {
  const table = descriptorsOf(host.backend, 'transfer');
  checkTransfer(to, options);
  if ((to as unknown) === socket) throw misuse('ERR_REACTOR_ARGUMENT', 'a socket cannot be handed over itself');
  const { timeoutMs = ANSWER_MS, unread = NOTHING } = options;
  if (isSocket(to)) return channelOver(to).give(socket, table, data, unread, timeoutMs);
  if (isProcess(to)) return giveToProcess(host, socket, table, to, data, unread, timeoutMs);
  return giveToThread(table, socket, to as Postable, data, unread, timeoutMs);
}

export function receive(host: HandOffHost, from: unknown, callback: SocketReceiver): Disposable {
  descriptorsOf(host.backend, 'receiveSockets');
  if (typeof callback !== 'function')
    throw misuse('ERR_REACTOR_ARGUMENT', `receiveSockets takes a callback, got ${describe(callback)}`);
  if (isSocket(from)) {
    checkChannelSocket(from);
    if ((from.host as unknown) !== host)
      throw misuse('ERR_REACTOR_SOCKET', 'receiveSockets takes a socket of this reactor');
    return channelOver(from).receive(callback);
  }
  if (isProcess(from)) return receiveFromProcess(host, from, callback);
  if (isPort(from)) return receiveFromThread(host, from as unknown as Listenable, callback);
  throw misuse(
    'ERR_REACTOR_ARGUMENT',
    `sockets are received from a Worker, a MessagePort, a process with an IPC channel or a unix stream socket, got ${describe(from)}`,
  );
}

function isSocket(value: unknown): value is BackendSocket {
  return has(value, 'fileno') && has(value, 'recvDescriptors');
}

function isProcess(value: unknown): value is Peer {
  return has(value, 'send') && typeof (value as { connected?: unknown }).connected === 'boolean';
}

function isPort(value: unknown): value is Postable {
  return has(value, 'postMessage') && has(value, 'on');
}

function has(value: unknown, method: string): boolean {
  return typeof (value as Record<string, unknown> | null | undefined)?.[method] === 'function';
}

function checkChannelSocket(socket: BackendSocket): void {
  if (socket.family !== 'unix' || socket.type !== 'stream' || socket.listening)
    throw misuse(
      'ERR_REACTOR_SOCKET',
      `descriptors travel over a connected unix stream socket, got a ${socket.listening ? 'listening' : `${socket.family} ${socket.type}`} socket`,
    );
}
