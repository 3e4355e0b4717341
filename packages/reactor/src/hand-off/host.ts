/** What hand-offs need of their reactor, and what they tell of themselves. */
import type { Backend, BackendSocket, DescriptorTable } from '../backend/backend.js';
import { notSupported } from '../errors.js';
import type { AnyHandler, SocketRegistration } from '../registration.js';
import type { Socket } from '../socket.js';

/** Something that ends with its reactor. */
export interface Attachment {
  close(): void;
}

export interface HandOffHost {
  readonly backend: Backend;
  /** Closed with the reactor. */
  readonly attached: Set<Attachment>;
  register(
    socket: BackendSocket,
    interest: number,
    handler: AnyHandler,
    data: unknown,
    held: boolean,
  ): SocketRegistration;
  /** Whether the registration keeps the process alive. */
  setHeld(registration: SocketRegistration, held: boolean): void;
}

/** The key of a message of ours, among the user's own. */
export const TAG = '@fdset/hand-off';

/** How long a receiver may take, where its giver does not say. */
export const ANSWER_MS = 30_000;

/** Throws `ENOTSUP` where the backend has no descriptors. */
export function descriptorsOf(backend: Backend, verb: string): DescriptorTable {
  if (backend.descriptors === undefined) throw notSupported(verb, 'rawDescriptors', backend.name);
  return backend.descriptors;
}

/**
 * A socket was not taken (`ERR_REACTOR_TRANSFER`): `cause` says why. It is ours again: `socket` is open and unregistered, and
 * `unread` are the bytes that go before all that it still gives.
 */
export class TransferError extends Error {
  readonly code = 'ERR_REACTOR_TRANSFER';
  readonly socket: Socket;
  readonly unread: Buffer;

  constructor(socket: Socket, unread: Uint8Array, cause: Error) {
    super(`the socket was not taken: ${cause.message}`, { cause });
    this.socket = socket;
    this.unread = Buffer.from(unread.buffer, unread.byteOffset, unread.byteLength);
  }

  override get name(): string {
    return 'TransferError';
  }
}

/** Why a receiver has refused a socket, as it travels. */
export interface Refusal {
  readonly message: string;
  readonly code?: string;
}

export function refusalOf(error: unknown): Refusal {
  const { code } = (error ?? {}) as { code?: unknown };
  const message = error instanceof Error ? error.message : String(error);
  return typeof code === 'string' ? { message, code } : { message };
}

export function refusedBy(refusal: Refusal): Error {
  const { message, code } = refusal;
  return Object.assign(new Error(`its receiver refused it: ${message}`), code === undefined ? {} : { code });
}
