import { inspect } from 'node:util';
import { unhex } from '../hex.js';
import * as framing from '../index.js';
import { type Codec, Framed, FramingError } from '../index.js';
import * as protocols from '../protocols/index.js';
import type { DecodeVector } from './vectors.js';

export { concat } from '../bytes.js';
export { cuttings, inPieces } from '../cuttings.js';
export { unhex } from '../hex.js';

/** What a stream gave: messages in hex, recoverable errors, and the fatal error with its place. */
export interface Outcome {
  frames: string[];
  skipped: string[];
  error: string | undefined;
}

/** Lets `framer` see the chunks; `collect` has been told where messages go. */
export type MakeFramer = (
  onMessage: (message: unknown) => void,
  onError: (error: FramingError) => void,
) => Framed<unknown, never>;

/** A message of any codec of the vectors in hex. */
export function hex(message: unknown): string {
  if (typeof message === 'object' && message !== null && 'lines' in message) {
    const { code, lines } = message as framing.StatusReply;
    return hex([code, ...lines].join('\n'));
  }
  const bytes = message;
  return Buffer.from(bytes as Uint8Array | string as Uint8Array).toString('hex');
}

/** Their frames are the bytes of whole messages. */
const RAW = new Set(['resp', 'ber', 'stomp', 'memcacheReply', 'proxyHeader']);

/** The codec of a vector. Byte strings in options are hex. */
export function codecOf(name: string, options: Record<string, unknown>): Codec<unknown, never> {
  const factories = { ...framing, ...protocols } as unknown as Record<
    string,
    (options: unknown) => Codec<unknown, never>
  >;
  const factory = factories[name];
  if (factory === undefined) throw new Error(`there is no codec ${name}`);
  const given: Record<string, unknown> = RAW.has(name) ? { ...options, raw: true } : { ...options };
  if (given.delimiters !== undefined) given.delimiters = (given.delimiters as string[]).map(unhex);
  if (given.trailer !== undefined) given.trailer = unhex(given.trailer as string);
  return factory(given);
}

/** `switch` is no factory: it stands for `use` after so many messages. */
export function framerOf(vector: Pick<DecodeVector, 'codec' | 'options'>): MakeFramer {
  if (vector.codec !== 'switch') {
    const codec = codecOf(vector.codec, vector.options);
    return (onMessage, onError) => new Framed(codec, onMessage, { onError });
  }
  const { first, after, then } = vector.options as {
    first: { codec: string; options: Record<string, unknown> };
    after: number;
    then: { codec: string; options: Record<string, unknown> };
  };
  const before = codecOf(first.codec, first.options);
  const behind = codecOf(then.codec, then.options);
  return (onMessage, onError) => {
    let count = 0;
    const framer: Framed<unknown, never> = new Framed(
      before,
      (message) => {
        onMessage(message);
        if (++count === after) framer.use(behind, onMessage);
      },
      { onError },
    );
    return framer;
  };
}

/** Bytes in hex; of a WebSocket frame its payload; of other messages all that is in them. */
function shownFrame(message: unknown): string {
  if (typeof message === 'string') return hex(Buffer.from(message));
  if (message instanceof Uint8Array) return hex(message);
  if (typeof message === 'object' && message !== null && 'lines' in message) return hex(message);
  const { payload, opcode } = (message ?? {}) as { payload?: unknown; opcode?: unknown };
  if (opcode !== undefined && payload instanceof Uint8Array) return hex(payload);
  // Of an error without the place where it was made.
  return inspect(message, { depth: null, breakLength: Number.POSITIVE_INFINITY }).replace(/\n +at .*/g, '');
}

/** Runs the chunks through a new framer. */
export function outcome(make: MakeFramer, chunks: readonly Uint8Array[], end = true): Outcome {
  const frames: string[] = [];
  const skipped: string[] = [];
  const framer = make(
    (message) => frames.push(shownFrame(message)),
    (error) => skipped.push(`${error.code} at ${error.offset}`),
  );
  let error: string | undefined;
  try {
    for (const chunk of chunks) framer.push(chunk);
    if (end) framer.end();
  } catch (thrown) {
    if (!(thrown instanceof FramingError)) throw thrown;
    error = `${thrown.code} at ${thrown.offset}`;
  }
  return { frames, skipped, error };
}
