/**
 * Arbitraries of fast-check for codecs: `@fdset/framing/arbitraries`. The caller brings fast-check along (version 3 or 4):
 * nothing here depends on it.
 */
import type { Codec } from './codec.js';
import { encodeAll } from './decode-all.js';
import { Framed, type FramedOptions } from './framed.js';
import { sameMessage } from './same-message.js';

/** What is used of an arbitrary. */
export interface ArbitraryLike<T> {
  map<U>(mapper: (value: T) => U): ArbitraryLike<U>;
  filter(refinement: (value: T) => boolean): ArbitraryLike<T>;
}

/** What is used of the module `fast-check`; the module itself has this shape. */
export interface FastCheck {
  uint8Array(constraints?: { minLength?: number; maxLength?: number }): ArbitraryLike<Uint8Array>;
  array<T>(arbitrary: ArbitraryLike<T>, constraints?: { minLength?: number; maxLength?: number }): ArbitraryLike<T[]>;
  nat(max: number): ArbitraryLike<number>;
  tuple<A, B>(one: ArbitraryLike<A>, other: ArbitraryLike<B>): ArbitraryLike<[A, B]>;
  constantFrom<T>(...values: T[]): ArbitraryLike<T>;
}

/** Messages, the stream that they make, and a way in which it may arrive. */
export interface FramedStream<M> {
  readonly messages: M[];
  readonly bytes: Uint8Array;
  readonly chunks: Uint8Array[];
}

/** Options of {@link payloads}. */
export interface PayloadOptions {
  /** Default 0. */
  minLength?: number;
  /** Default 64. */
  maxLength?: number;
  /** Byte strings that no payload contains: the delimiters of a codec without escapes. */
  without?: readonly Uint8Array[];
}

/** Payloads: bytes, now and then those that codecs stumble over (CR, LF, NUL, 0x7d, 0xc0, 0xff, digits). */
export function payloads(fc: FastCheck, options: PayloadOptions = {}): ArbitraryLike<Uint8Array> {
  const { minLength = 0, maxLength = 64, without = [] } = options;
  const awkward = fc.constantFrom(0x00, 0x0a, 0x0d, 0x2e, 0x30, 0x39, 0x3a, 0x7d, 0x7e, 0x7f, 0x80, 0xc0, 0xdb, 0xff);
  const bytes = fc
    .tuple(fc.uint8Array({ minLength, maxLength }), fc.array(fc.tuple(fc.nat(0xffff), awkward), { maxLength: 8 }))
    .map(([plain, changes]) => {
      const bytes = plain.slice();
      for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
      return bytes;
    });
  return without.length === 0 ? bytes : bytes.filter((payload) => !without.some((needle) => contains(payload, needle)));
}

/** Messages of `codec` and the stream that they make, cut anywhere, empty chunks among the pieces. */
export function streams<I, O>(
  fc: FastCheck,
  codec: Codec<I, O>,
  messages: ArbitraryLike<O>,
  options: { maxMessages?: number } = {},
): ArbitraryLike<FramedStream<O>> {
  const several = fc.array(messages, { maxLength: options.maxMessages ?? 6 });
  return fc.tuple(several, fc.array(fc.nat(0x7fffffff), { maxLength: 12 })).map(([sent, cuts]) => {
    const bytes = encodeAll(codec, sent);
    return { messages: sent, bytes, chunks: cutAt(bytes, cuts) };
  });
}

/** What `chunks` decode to; a fatal error is thrown. */
export function decodeChunks<I>(codec: Codec<I, never>, chunks: Iterable<Uint8Array>, options?: FramedOptions): I[] {
  const messages: I[] = [];
  const framer = new Framed(codec, (message) => messages.push(message), options);
  for (const chunk of chunks) framer.push(chunk);
  framer.end();
  return messages;
}

/**
 * A predicate for `fc.property(streams(…), roundTrips(codec))`: what was sent comes back, whatever the cuts. Throws with both
 * where it does not. `received` says what a message that was sent is when it comes back, where that is another one.
 */
export function roundTrips<I, O = I>(
  codec: Codec<I, O>,
  received: (message: O) => unknown = (message) => message,
): (stream: FramedStream<O>) => void {
  return ({ messages, chunks, bytes }) => {
    const wanted = messages.map(received);
    const got = decodeChunks(codec as unknown as Codec<I, never>, chunks);
    if (!sameMessage(got, wanted))
      throw new Error(`${wanted.length} messages in ${bytes.length} bytes came back as ${got.length} others`);
  };
}

function cutAt(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((one, other) => one - other);
  return [0, ...places].map((from, i) => bytes.slice(from, places[i] ?? bytes.length));
}

function contains(bytes: Uint8Array, needle: Uint8Array): boolean {
  for (let at = 0; at + needle.length <= bytes.length; at += 1)
    if (needle.every((byte, i) => bytes[at + i] === byte)) return true;
  return false;
}
