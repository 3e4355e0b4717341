/**
 * Hand-offs to a process with which there is an IPC channel. That carries messages and Node's own handles only, so it is used
 * to agree on a channel of our own: the giver listens on a name of the abstract namespace and sends the name and a secret,
 * the other process connects and says the secret. (The name is no secret: /proc/net/unix shows it.)
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { BackendSocket, DescriptorTable, MovableSocket } from '../backend/backend.js';
import { READABLE, WOULD_BLOCK } from '../readiness.js';
import type { SocketReceiver } from '../socket.js';
import { channelOver, type DescriptorChannel } from './channel.js';
import { type Attachment, type HandOffHost, TAG, TransferError } from './host.js';

const SECRET_BYTES = 16;
/** Those who connect and say nothing. */
const MOST_STRANGERS = 16;

/** A ChildProcess, or `process` in a child. */
export interface Peer {
  readonly connected: boolean;
  send(message: unknown, callback: (error: Error | null) => void): boolean;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  once(event: 'disconnect', listener: () => void): unknown;
  off(event: string, listener: (...values: never[]) => void): unknown;
}

interface Invitation {
  readonly name: string;
  /** Hexadecimal. */
  readonly secret: string;
}

/** By reactor and process: the channel, once it stands. */
const channels = new WeakMap<HandOffHost, WeakMap<Peer, Promise<DescriptorChannel>>>();

export async function giveToProcess(
  host: HandOffHost,
  socket: MovableSocket,
  table: DescriptorTable,
  to: Peer,
  data: unknown,
  unread: Uint8Array,
  timeoutMs: number,
): Promise<void> {
  const fd = socket.lend();
  const began = performance.now();
  let channel: DescriptorChannel;
  try {
    channel = await channelTo(host, to, timeoutMs);
  } catch (error) {
    socket.restore(fd);
    throw new TransferError(socket, unread, error as Error);
  }
  socket.restore(fd);
  return channel.give(socket, table, data, unread, timeoutMs, performance.now() - began);
}

function channelTo(host: HandOffHost, to: Peer, timeoutMs: number): Promise<DescriptorChannel> {
  let mine = channels.get(host);
  if (mine === undefined) {
    mine = new WeakMap();
    channels.set(host, mine);
  }
  const there = mine.get(to);
  if (there !== undefined) return there;
  const made = invite(host, to, timeoutMs).then((socket) => {
    const channel = channelOver(socket);
    channel.onClose = () => mine.delete(to);
    return channel;
  });
  mine.set(to, made);
  made.catch(() => mine.delete(to));
  return made;
}

/** The socket by which the other process has come. */
function invite(host: HandOffHost, to: Peer, timeoutMs: number): Promise<BackendSocket> {
  const secret = randomBytes(SECRET_BYTES);
  const name = `\0fdset-${process.pid}-${randomBytes(8).toString('hex')}`;
  return new Promise((resolve, reject) => {
    if (!to.connected) throw new Error('the IPC channel of that process is closed');
    const listener = host.backend.socket({ type: 'stream', family: 'unix', protocol: 0 });
    const strangers = new Set<BackendSocket>();
    let timer: NodeJS.Timeout | undefined;
    const attachment: Attachment = { close: () => fail(new Error('the reactor was closed')) };
    const end = (): void => {
      clearTimeout(timer);
      host.attached.delete(attachment);
      to.off('disconnect', onDisconnect);
      listener.close();
      for (const stranger of strangers) stranger.close();
    };
    const fail = (error: Error): void => {
      end();
      reject(error);
    };
    const onDisconnect = (): void => fail(new Error('its receiver has ended'));
    /** Whoever says the secret is no stranger. */
    const onCaller = (caller: BackendSocket): void => {
      const said = Buffer.alloc(SECRET_BYTES);
      let count = 0;
      try {
        count = caller.recv(said);
      } catch {
        // It has gone.
      }
      if (count === WOULD_BLOCK) return;
      strangers.delete(caller);
      if (count !== SECRET_BYTES || !timingSafeEqual(said, secret)) {
        caller.close();
        return;
      }
      (caller.watch as { registration: { unregister(): void } } | null)?.registration.unregister();
      end();
      resolve(caller);
    };
    const onCallers = (): void => {
      const caller = listener.accept() as BackendSocket | null;
      if (caller === null) return;
      if (strangers.size >= MOST_STRANGERS) {
        caller.close();
        return;
      }
      strangers.add(caller);
      host.register(caller, READABLE, { readable: () => onCaller(caller) }, undefined, false);
    };
    try {
      listener.bind({ path: name });
      listener.listen(MOST_STRANGERS);
      host.register(listener, READABLE, { readable: onCallers }, undefined, true);
      host.attached.add(attachment);
      to.once('disconnect', onDisconnect);
      if (timeoutMs > 0)
        timer = setTimeout(() => fail(new Error(`no receiver has answered within ${timeoutMs} ms`)), timeoutMs);
      const invitation: Invitation = { name, secret: secret.toString('hex') };
      to.send({ [TAG]: invitation }, (error) => {
        if (error !== null) fail(error);
      });
    } catch (error) {
      fail(error as Error);
    }
  });
}

export function receiveFromProcess(host: HandOffHost, from: Peer, callback: SocketReceiver): Disposable {
  const open = new Set<DescriptorChannel>();
  const listener = (message: unknown): void => {
    const invitation = (message as { [TAG]?: Invitation } | null)?.[TAG];
    if (invitation === undefined) return;
    const channel = follow(host, invitation, callback);
    if (channel === null) return;
    open.add(channel);
    channel.onClose = () => open.delete(channel);
  };
  from.on('message', listener);
  const receiver = {
    close() {
      host.attached.delete(receiver);
      from.off('message', listener);
      for (const channel of open) channel.close();
    },
    [Symbol.dispose]() {
      receiver.close();
    },
  };
  host.attached.add(receiver);
  return receiver;
}

/** Connects; `null` where nobody waits any more: the giver has its sockets. */
function follow(host: HandOffHost, { name, secret }: Invitation, callback: SocketReceiver): DescriptorChannel | null {
  const socket = host.backend.socket({ type: 'stream', family: 'unix', protocol: 0 });
  try {
    socket.connect({ path: name });
    socket.send(Buffer.from(secret, 'hex'));
  } catch {
    socket.close();
    return null;
  }
  const channel = channelOver(socket);
  // The listener of the IPC channel keeps the process alive, as long as there is one.
  channel.receive(callback, false);
  return channel;
}
