/** A connection given away: its socket by detach() and transfer(), its bytes by toDuplex(). */
import { misuse, notSupported, socketError } from '../errors.js';
import { descriptorsOf } from '../hand-off/host.js';
import { checkTransfer } from '../hand-off/transfer.js';
import type { Socket, TransferOptions, TransferTarget } from '../socket.js';
import type { Connection } from './connection.js';
import { ConnectionDuplex } from './duplex.js';
import { finish } from './ending.js';
import { pause } from './flow.js';
import { ABOVE_ALL, filter } from './outbound.js';
import { push } from './queued.js';
import {
  type AnyConnection,
  BRIDGED,
  DETACHED,
  ENDED,
  FILTERED,
  FINISHED,
  FINISHING,
  HEARD,
  OPEN,
  rare,
  Staged,
  UNPACKED,
} from './state.js';
import { end, flush } from './writing.js';

export function detach(connection: AnyConnection): { socket: Socket; unread: Buffer } {
  checkDetachable(connection);
  connection.kind.host.dispatcher.keepReceived();
  const { rarity } = connection;
  const kept = rarity === null ? [] : rarity.kept;
  const failure = rarity?.brokenPipe ?? kept.find((item) => item instanceof Error);
  if (failure)
    throw misuse('ERR_REACTOR_DETACH', `detach: the connection has failed (${failure.message})`, { cause: failure });
  // The end of the stream is told by the socket again.
  const received = kept.splice(0).map((item) => (item instanceof Staged ? item.item : item));
  const unread = Buffer.concat(received.filter((item): item is Buffer => item instanceof Uint8Array));
  connection.flags |= DETACHED;
  connection.registration?.unregister();
  finish(connection, { by: 'local' });
  return { socket: connection.transport, unread };
}

export async function transfer(
  connection: AnyConnection,
  to: TransferTarget,
  data: unknown,
  options: Omit<TransferOptions, 'unread'>,
): Promise<void> {
  descriptorsOf(connection.kind.host.dispatcher.backend, 'transfer');
  if ((connection.flags & UNPACKED) !== 0) throw notSupported('transfer', 'rawDescriptors', 'Duplex');
  checkTransfer(to, options);
  const { socket, unread } = detach(connection);
  return socket.transfer(to, data, { ...options, unread });
}

function checkDetachable(connection: AnyConnection): void {
  flush(connection);
  if (connection.ended !== null) throw misuse('ERR_REACTOR_CLOSED', 'detach: the connection is closed');
  if (connection.bufferedBytes > 0)
    throw misuse(
      'ERR_REACTOR_DETACH',
      `detach: ${connection.bufferedBytes} bytes that were written have not left; await flushed() first`,
    );
  if ((connection.flags & FINISHING) !== 0)
    throw misuse('ERR_REACTOR_DETACH', 'detach: a plugin holds the end of the connection');
  if ((connection.flags & BRIDGED) !== 0)
    throw misuse('ERR_REACTOR_DETACH', 'detach: the Duplex of toDuplex() reads the connection');
}

export function toDuplex(connection: AnyConnection): ConnectionDuplex {
  const made = connection.rarity?.duplex;
  if (made) return made as ConnectionDuplex;
  if (connection.ended !== null) throw misuse('ERR_REACTOR_CLOSED', 'toDuplex: the connection is closed');
  pause(connection);
  // A 'data' listener that is added now does not begin the flow: the stream asks for itself.
  connection.flags |= BRIDGED | HEARD;
  const { settings, host } = connection.kind;
  const duplex = ConnectionDuplex.make(connection as Connection, {
    allowHalfOpen: settings.allowHalfOpen,
    highWaterMark: settings.highWaterMark,
    copies: settings.borrowChunks,
    ended: connection.flow === ENDED,
    finished: connection.writing !== OPEN,
    send: (chunks, done) => send(connection, chunks, done),
    finish: (done) => sendEnd(connection, done),
    setHeld: (held) => {
      if (connection.registration !== null) host.dispatcher.setHeld(connection.registration, held);
    },
  });
  rare(connection).duplex = duplex;
  return duplex;
}

type Done = (error?: Error) => void;

/** The Duplex limits by itself what is queued: sends at once, and tells when all has left. */
function send(connection: AnyConnection, chunks: readonly Uint8Array[], done: Done): void {
  if (connection.ended !== null || connection.writing !== OPEN || connection.rarity?.brokenPipe) {
    done(failureOf(connection) ?? brokenPipe(connection));
    return;
  }
  for (const given of chunks) {
    const isFiltered = (connection.flags & FILTERED) !== 0 && given.length > 0;
    const chunk = isFiltered ? filter(connection, given, ABOVE_ALL) : given;
    if (connection.ended !== null) break;
    if (chunk === null || chunk.length === 0) continue;
    if (connection.rarity !== null) connection.rarity.written += chunk.length;
    push(connection, chunk);
  }
  flush(connection);
  // A hook may have closed it.
  if (connection.ended !== null) done(failureOf(connection) ?? brokenPipe(connection));
  else whenLeft(connection, done);
}

function sendEnd(connection: AnyConnection, done: Done): void {
  end(connection);
  flush(connection);
  if (connection.ended !== null || connection.writing === FINISHED) done();
  else if ((connection.flags & FINISHING) !== 0) rare(connection).onFinished.push(done);
  else whenLeft(connection, done);
}

function whenLeft(connection: AnyConnection, done: Done): void {
  const failure = failureOf(connection);
  if (failure) done(failure);
  else if (connection.bufferedBytes === 0) done();
  else rare(connection).waiters.push({ mark: rare(connection).written, resolve: done, reject: done });
}

function brokenPipe(connection: AnyConnection): Error {
  return socketError('EPIPE', 'send', connection.remoteAddress);
}

function failureOf(connection: AnyConnection): Error | null | undefined {
  return connection.ended?.error ?? connection.rarity?.brokenPipe;
}
