/**
 * The node:net socket beneath a stream socket: made, listened to, and got rid of. One set of listeners serves all of
 * them (they find their {@link StreamOwner} on the stream), so that a connection costs no closures.
 */
import { Socket as NetSocket } from 'node:net';
import type { Address } from '../../address.js';

/** What Node may have taken from a `send` and not handed to the system yet: the high-water mark. */
export const SEND_LIMIT = 64 * 1024;

/**
 * How long bytes of a closed socket may wait for a peer that reads nothing. The kernel gives such a peer up as well,
 * after some minutes; and meanwhile ours hold the process.
 */
const LINGER_MS = 60_000;

/** Who hears of a stream. */
export interface StreamOwner {
  onConnect(): void;
  onData(chunk: Buffer): void;
  onEnd(): void;
  /** The queue was full and is empty. Told once for each {@link awaitDrain}. */
  onDrain(): void;
  /** The stream is destroyed. What Node itself had still buffered has come as `onData` before. */
  onFailure(error: NodeJS.ErrnoException): void;
}

const OWNER = Symbol('owner');
const NOTHING = Buffer.alloc(0);

/** A node:net socket whose events go to an owner; `null` once nobody is interested any more. */
export type Stream = NetSocket & { [OWNER]: StreamOwner | null };

/** A stream that connects to `target`, from `from` where that is given. It does not keep the process alive. */
export function createStream(owner: StreamOwner, target: Address, from: Address | null): Stream {
  // `allowHalfOpen`: that the peer ends says nothing about what we still have to send.
  const stream = new NetSocket({ allowHalfOpen: true, highWaterMark: SEND_LIMIT } as object) as Stream;
  stream.on('connect', onConnect);
  adoptStream(stream, owner);
  if ('path' in target) stream.connect({ path: target.path });
  else if (from === null || 'path' in from) stream.connect({ host: target.host, port: target.port });
  else stream.connect({ host: target.host, port: target.port, localAddress: from.host, localPort: from.port });
  // Only now, because Node's unref wants the handle, which `connect` makes.
  stream.unref();
  return stream;
}

/** Takes a stream over and starts its flow. */
export function adoptStream(socket: NetSocket, owner: StreamOwner): Stream {
  const stream = socket as Stream;
  stream[OWNER] = owner;
  stream.on('data', onData);
  stream.on('end', onEnd);
  stream.on('error', onError);
  return stream;
}

/** Stops the flow. Node still reads once more, into its own buffer, before it leaves bytes to the system. */
export function pauseStream(stream: Stream | null): void {
  if (stream !== null && !stream.destroyed) stream.pause();
}

/** Lets it flow again: what Node has buffered comes in the next tick. */
export function resumeStream(stream: Stream | null): void {
  stream?.resume();
}

/**
 * Whether the end that a TCP stream has just told is a reset. libuv takes one that comes together with the last data for
 * an end (`uv__stream_io`: POLLHUP after a partial read). A write of nothing sends nothing, and fails where the connection
 * is gone.
 */
export function wasReset(stream: Stream): boolean {
  if (stream.writableEnded || stream.writableLength !== 0) return false;
  stream.write(NOTHING);
  return stream.errored !== null;
}

/** Tells the failure of a write at once, which Node would tell in the next tick. */
export function failStream(stream: Stream): void {
  tellFailure(stream, stream.errored as NodeJS.ErrnoException);
}

/** Calls `onDrain` when all that is queued has gone. */
export function awaitDrain(stream: Stream): void {
  stream.once('drain', onDrain);
}

/**
 * Closes as `close(2)` does: what is queued goes out, then the FIN. Like the kernel it does not read what comes in the
 * meantime, so that unread input may turn the FIN into a reset.
 */
export function closeStream(stream: Stream): void {
  stream[OWNER] = null;
  if (stream.writableLength === 0 || stream.destroyed) {
    stream.destroy();
    return;
  }
  stream.pause();
  stream.setTimeout(LINGER_MS, onLingerOver);
  stream.destroySoon();
}

/** Closes with a reset; what is queued is dropped. `hasReset`: unix sockets have none. */
export function resetStream(stream: Stream, hasReset: boolean): void {
  stream[OWNER] = null;
  // A connect that is still going has nothing to reset.
  if (!hasReset || stream.destroyed || stream.connecting) stream.destroy();
  // libuv refuses to reset while its shutdown is under way, and Node would then never close the descriptor.
  else if (stream.writableEnded && !stream.writableFinished && stream.writableLength === 0)
    stream.once('finish', resetNow);
  else stream.resetAndDestroy();
}

function onConnect(this: Stream): void {
  this[OWNER]?.onConnect();
}

function onData(this: Stream, chunk: Buffer): void {
  this[OWNER]?.onData(chunk);
}

function onEnd(this: Stream): void {
  this[OWNER]?.onEnd();
}

function onDrain(this: Stream): void {
  this[OWNER]?.onDrain();
}

function onError(this: Stream, error: NodeJS.ErrnoException): void {
  tellFailure(this, error);
}

function tellFailure(stream: Stream, error: NodeJS.ErrnoException): void {
  const owner = stream[OWNER];
  if (owner === null) return;
  // A failed write destroys the stream, also while it is paused with input that it has read.
  for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) owner.onData(chunk);
  stream[OWNER] = null;
  owner.onFailure(error);
}

function onLingerOver(this: Stream): void {
  this.destroy();
}

function resetNow(this: Stream): void {
  this.resetAndDestroy();
}
