import { shown, wrongType } from './errors.js';

/** Why a channel has closed. `peer`: the other side ended first; `error`: `error` says what went wrong. */
export interface ChannelCloseInfo {
  by: 'peer' | 'local' | 'error' | 'shutdown';
  error?: Error;
}

/**
 * What framing asks of a connection: the shape of `Connection` of `@fdset/reactor`, of `net.Socket` and of every
 * `Duplex` of Node.js. Framing imports neither.
 */
export interface ByteChannel {
  /**
   * Queues `data` by reference, to be sent in order; the bytes are left alone until they have been sent. `false`: the
   * queue is above its high-water mark, and 'drain' will follow.
   */
  write(data: Uint8Array | string): boolean;
  /** Stops 'data' after the one being delivered. */
  pause(): unknown;
  resume(): unknown;
  /** Sends what is queued, then the end of the stream; bytes of the peer keep coming. */
  end(data?: Uint8Array | string): unknown;
  /** Closes at once and drops what is queued. Absent: `end` is called instead. */
  destroy?(error?: Error): unknown;
  /** Hands what is queued to the system now. Called before `destroy`, so that answers given before a bad frame leave. */
  flush?(): unknown;
  /** Resolves when all that was written has left, rejects if the channel dies before. Absent: 'drain' is waited for. */
  flushed?(): Promise<void>;
  /** Bytes queued for sending; `writableLength` of a `Duplex` serves as well. */
  readonly bufferedBytes?: number;
  readonly writableLength?: number;

  /**
   * 'data': the bytes belong to the receiver from then on, are never written again and may be kept; a first listener
   * starts the flow. 'end': the peer sends no more. 'drain': writing may go on. 'error', at most once, and 'close',
   * exactly once and last, with {@link ChannelCloseInfo} (a `net.Socket` gives a boolean: that is understood).
   */
  // biome-ignore lint/suspicious/noExplicitAny: the listeners of emitters of every make must be assignable
  on(event: 'data' | 'end' | 'drain' | 'error' | 'close', listener: (...values: any[]) => void): unknown;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  off(event: 'data' | 'end' | 'drain' | 'error' | 'close', listener: (...values: any[]) => void): unknown;

  /**
   * For channels that can block: called when a read waits for bytes. `true`: something was emitted ('data', 'end', or
   * 'error' and 'close') before it returned, and it is called again while a read still waits; so the promise of that
   * read is settled when the reader gives it. `false`: what comes will come later. Absent: as `false`.
   */
  fetch?(): boolean;

  /**
   * A hook of plugins, called with every incoming message before it is delivered. `undefined`: deliver it as it is;
   * `null`: swallow it; anything else is delivered in its place. Absent: nothing to do. It is looked up once, when the
   * channel is framed.
   */
  interceptMessage?(message: unknown): unknown;
}

const METHODS = ['write', 'pause', 'resume', 'end', 'on', 'off'] as const;

/** Misuse is told at once, and not by the first byte. */
export function checkChannel(channel: ByteChannel): void {
  for (const method of METHODS) {
    if (typeof channel?.[method] === 'function') continue;
    throw wrongType('ERR_FRAMING_CHANNEL', `a byte channel with a method ${method} is wanted, got ${shown(channel)}`);
  }
}

/** What the argument of a 'close' event says, whoever emitted it. */
export function closeInfo(
  given: unknown,
  error: Error | undefined,
  endedBy: 'peer' | 'local' | undefined,
): ChannelCloseInfo {
  if (typeof given === 'object' && given !== null && 'by' in given) return given as ChannelCloseInfo;
  return error === undefined ? { by: endedBy ?? 'local' } : { by: 'error', error };
}

/** Bytes that the channel has not sent yet, as far as it tells. */
export function bufferedBytesOf(channel: ByteChannel): number {
  return channel.bufferedBytes ?? channel.writableLength ?? 0;
}
